//! A pass of our own: dial, compare, send what differs, until nothing is owed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use engine::channel::frame;
use engine::hint::Hint;
use engine::mirror::{Deletes, Mirror, Totals};
use engine::sender::{Ended, Root, Sender, Until};
use kit::{Exit, apart};
use proto::login::Purpose;
use proto::{RelPath, ToReceiver};
use sys::Tree;
use tokio::task::JoinHandle;

use crate::config::{Source, Target};
use crate::identity::Identity;
use crate::lane::{self, Reached, Unreached};
use crate::nesting::nesting;
use crate::report::{self, Brake, Failed, Outcome};

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
    pub(super) fn begin(source: Arc<Source>, target: Arc<Target>, identity: &Arc<Identity>, brake: Brake) -> Own {
        let mirror = Arc::new(Mirror::selecting(source.selection(), source.rules(), engine::clock::Clock::system()));
        if brake == Brake::Released {
            mirror.release(Deletes::Once);
        }
        let passing = tokio::spawn(pass(source.clone(), target.clone(), identity.clone(), mirror.clone()));
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

async fn pass(
    source: Arc<Source>,
    target: Arc<Target>,
    identity: Arc<Identity>,
    mirror: Arc<Mirror>,
) -> (Duration, Result<(), Failed>) {
    let began = Instant::now();
    let done = try_pass(&source, &target, &identity, mirror).await;
    (began.elapsed(), done)
}

async fn try_pass(
    source: &Source,
    target: &Arc<Target>,
    identity: &Arc<Identity>,
    mirror: Arc<Mirror>,
) -> Result<(), Failed> {
    let root = Tree::open(&source.path, source.mounts).and_then(|tree| Root::new(Arc::new(tree)));
    let root = root.map_err(|error| (Exit::Input, format!("{}: {error}", source.path.display())))?;
    let refused = |error: Unreached| (error.exit(), error.to_string());
    // Of the daemon, if one was here before: it does not run, or runs with another configuration and lives, which recvd sees.
    let shown = (identity.id(), identity.token(target));
    let whom = target.dialling(Purpose::Push, shown).map_err(|e| refused(Unreached::Password(e)))?;
    let (agreed, mut connection) = link::dial(&whom).await.map_err(|error| refused(error.into()))?;
    if let Some(nesting) = nesting(&root.tree, source.mounts, &agreed.opened.place) {
        connection.close().await;
        return Err(refused(nesting.into()));
    }
    mirror.hint([Hint::Subtree { path: RelPath::root() }]);
    let mut sender = Sender::new(root, source.options(), mirror);
    lane::begin(&mut connection).await.map_err(refused)?;
    // Should this end before it gives the folder back, the next one still has what recvd wants to see.
    let noted = match agreed.opened.token {
        Some(token) => lane::note(identity, target, token).await.is_ok(),
        None => false,
    };
    let (frames, driving) = lane::drive(target, agreed.terms, connection);
    Reached::greet(noted, &frames);
    // It goes behind all that the sender sends.
    let last_word = frames.outbox.clone();
    let name = format!("send-{}", target.name);
    let span = tracing::error_span!("send", target_name = %target.name);
    let working = apart(&name, move || span.in_scope(|| sender.run(frames, Until::InSync, &AtomicBool::new(false))));
    let ended = working.await.map_err(|failed| (Exit::Busy, failed.to_string()))?;
    // Nobody stays: whoever comes next, this host's daemon too, has the folder at once. An error says that the connection is
    // gone.
    let _ = last_word.send(frame(&ToReceiver::Return)).await;
    drop(last_word);
    let driven = driving.await;
    match ended {
        Ended::InSync => Ok(()),
        Ended::Lost => {
            let reason = driven.map_or_else(|error| error.to_string(), |ended| ended.to_string());
            Err((Exit::Unreachable, reason))
        }
        Ended::Halted(halt) => Err(report::halted(&halt)),
        ended => Err((lane::exit_of(&ended), lane::sentence(&ended))),
    }
}
