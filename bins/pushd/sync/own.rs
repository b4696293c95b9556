//! A pass of our own: dial, compare, send what differs, until nothing is owed, or somebody interrupts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::channel::frame;
use engine::hint::Hint;
use engine::mirror::{Mirror, Totals};
use engine::sender::{Ended, Root, Sender, Until};
use kit::{Exit, Stop, apart};
use proto::{RelPath, ToReceiver};
use sys::Tree;
use tokio::task::JoinHandle;

use crate::answers::Answers;
use crate::config::{Source, Target};
use crate::identity::Identity;
use crate::lane::{self, Dialled, Unreached};
use crate::mounts::KnownMounts;
use crate::report::{self, Brake, Failed, Outcome};

/// How long an interrupted pass may take to give its folder back.
const LAST_WORD: Duration = Duration::from_secs(2);

/// One pass under way.
pub(super) struct Own {
    source: Arc<Source>,
    target: Arc<Target>,
    /// Whose counters the progress line and the report show.
    pub(super) mirror: Arc<Mirror>,
    passing: JoinHandle<(Duration, Result<(), Failed>)>,
}

impl Own {
    /// Begins. To be called inside of a runtime.
    pub(super) fn begin(
        (source, target): (Arc<Source>, Arc<Target>),
        identity: &Arc<Identity>,
        brake: Brake,
        stop: &Stop,
    ) -> Own {
        let mirror = Arc::new(Mirror::selecting(source.selection(), source.rules(), engine::clock::Clock::system()));
        let mounts = Arc::new(KnownMounts::of(&source, identity));
        mounts.be_asked_by(&mirror);
        if brake == Brake::Released {
            mounts.forget_absent(|gone, absent| mirror.forget_absent(gone, absent));
        }
        mounts.tell(|absent| mirror.set_absent(absent));
        if brake == Brake::Released {
            mirror.release_pass();
        }
        let pass =
            Pass { source: source.clone(), target: target.clone(), identity: identity.clone(), mirror: mirror.clone() };
        let passing = tokio::spawn(pass.timed(stop.clone()));
        Own { source, target, mirror, passing }
    }
}

/// Waits for the end of each.
pub(super) async fn gather(passes: Vec<Own>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for Own { source, target, mirror, passing } in passes {
        let panicked = |error: tokio::task::JoinError| (Duration::ZERO, Err((Exit::Busy, error.to_string())));
        let (took, done) = passing.await.unwrap_or_else(panicked);
        outcomes.push(Outcome::new((&source.name, &target.name), &mirror, Totals::default(), took, done));
    }
    outcomes
}

/// What a pass is made of.
struct Pass {
    source: Arc<Source>,
    target: Arc<Target>,
    identity: Arc<Identity>,
    mirror: Arc<Mirror>,
}

impl Pass {
    async fn timed(self, stop: Stop) -> (Duration, Result<(), Failed>) {
        let began = Instant::now();
        let done = self.try_it(&stop).await;
        (began.elapsed(), done)
    }

    async fn try_it(&self, stop: &Stop) -> Result<(), Failed> {
        let Pass { source, target, .. } = self;
        let answers = Answers::of(&source.path, source.mounts);
        if let Some(answers) = answers.clone() {
            // Who does not answer is named by the pass.
            let _ = apart("answers", move || answers.wait()).await;
        }
        let root = Tree::open(&source.path, source.mounts).and_then(|tree| Root::new(Arc::new(tree)));
        let root = root.map_err(|error| (Exit::Input, format!("{}: {error}", source.path.display())))?;
        // Of the daemon, if one was here before: it does not run, or runs with another configuration and lives, which recvd
        // sees.
        let token = self.identity.token(target);
        let dialled = tokio::select! {
            dialled = lane::dial(target, &self.identity, token, (&root.tree, source.mounts)) => dialled.map_err(refused)?,
            () = stop.requested() => return Err(interrupted()),
        };
        if let Some(nesting) = dialled.nested {
            dialled.connection.close().await;
            return Err(refused(nesting.into()));
        }
        // From here on the folder is ours, and is given back before we go.
        tokio::select! {
            done = self.send(root, dialled, stop) => done,
            () = overdue(stop) => Err((
                Exit::Busy,
                "interrupted; the backup could not be told in time, and may keep the folder from other hosts for ten minutes"
                    .to_owned(),
            )),
        }
    }

    async fn send(&self, root: Root, dialled: Dialled, stop: &Stop) -> Result<(), Failed> {
        let Pass { source, target, identity, mirror } = self;
        let Dialled { agreed, mut connection, .. } = dialled;
        mirror.hint([Hint::Subtree { path: RelPath::root() }]);
        let mut sender = Sender::new(root, source.options(), mirror.clone());
        // Should this end before it gives the folder back, the next one still has what recvd wants to see.
        let given = lane::take_up(&mut connection, &agreed, identity, target).await.map_err(refused)?;
        let (frames, driving) = lane::drive(target, agreed.terms, connection);
        lane::greet(given.is_some_and(|given| given.is_noted()), &frames);
        // It goes behind all that the sender sends.
        let last_word = frames.outbox.clone();
        let halt = Arc::new(AtomicBool::new(false));
        let (flag, name) = (halt.clone(), format!("send-{}", target.name));
        let span = tracing::error_span!("send", target_name = %target.name);
        let mut working =
            std::pin::pin!(apart(&name, move || span.in_scope(|| sender.run(frames, Until::InSync, &flag))));
        let ended = tokio::select! {
            biased;
            ended = &mut working => ended,
            () = stop.requested() => {
                halt.store(true, Ordering::Release);
                mirror.wake.notify_one();
                working.await
            }
        };
        let ended = ended.map_err(|failed| (Exit::Busy, failed.to_string()))?;
        // Nobody stays: whoever comes next, this host's daemon too, has the folder at once. An error says that the connection
        // is gone.
        let _ = last_word.send(frame(&ToReceiver::Return)).await;
        drop(last_word);
        let driven = driving.await;
        match ended {
            Ended::InSync => Ok(()),
            Ended::Stopped => Err(interrupted()),
            Ended::Lost => {
                let reason = driven.map_or_else(|error| error.to_string(), |ended| ended.to_string());
                Err((Exit::Unreachable, reason))
            }
            Ended::Held(held) => Err(report::held(&held)),
            ended => Err((lane::exit_of(&ended), lane::sentence(&ended))),
        }
    }
}

/// Ready when an interrupted pass has had the time for its last word: that waits behind what is on its way.
async fn overdue(stop: &Stop) {
    stop.requested().await;
    tokio::time::sleep(LAST_WORD).await;
}

fn refused(error: Unreached) -> Failed {
    (error.exit(), error.to_string())
}

fn interrupted() -> Failed {
    (Exit::Busy, "interrupted: what was sent stays, the next pass goes on from there".to_owned())
}
