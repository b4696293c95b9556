//! How a session that begins comes to its folder, or hears why not.

use std::sync::Arc;
use std::time::Duration;

use proto::RelPath;
use proto::login::Refusal;
use proto::shown::Shown as Printed;
use tokio::time::{Instant, timeout};

use super::holder::{Holder, Life, Question};
use super::leases::{Held, Obstacle};
use super::record::Record;
use super::{Claim, Lease, RETRY, busy};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);
/// Who writes there is not told to another user.
const STRANGER: &str = "another user's session writes to that folder";
/// After what time one may try again whose place another took meanwhile.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Those that a newcomer has asked for a sign of life, and since when it waits for one to end.
#[derive(Default)]
struct Asked {
    questions: Vec<(Arc<Holder>, Question)>,
    leaving: Option<Instant>,
}

impl Asked {
    fn life(&mut self, holder: &Arc<Holder>) -> Life {
        let known = self.questions.iter().find(|(asked, _)| Arc::ptr_eq(asked, holder)).map(|(_, question)| *question);
        let question = known.unwrap_or_else(|| {
            let question = holder.ask();
            self.questions.push((holder.clone(), question));
            question
        });
        holder.life(&question)
    }

    /// How long it has waited for one to end.
    fn wait(&mut self) -> Duration {
        self.leaving.get_or_insert_with(Instant::now).elapsed()
    }
}

impl Lease {
    /// Waits until the folder is its own, and takes it. Returns what it took the place of.
    pub(super) async fn make_way(&self) -> Result<Vec<Held>, Refusal> {
        let mut ended = self.sessions.ended.subscribe();
        let mut asked = Asked::default();
        loop {
            ended.mark_unchanged();
            if let Some(before) = self.take(&mut asked)? {
                return Ok(before);
            }
            // Either way it looks again.
            let _ = timeout(LOOK, ended.changed()).await;
        }
    }

    /// Takes the folder, if nobody is in the way; `None` while that is not known.
    fn take(&self, asked: &mut Asked) -> Result<Option<Vec<Held>>, Refusal> {
        let Lease { sessions, claim, holder, token, epoch, .. } = self;
        let mut state = sessions.state();
        let module = state.modules.entry(claim.module.clone()).or_default();
        match module.leases.obstacle(claim, sessions.silence) {
            Some(Obstacle::Released(left)) => Err(released(left)),
            Some(Obstacle::Absent(held)) => Err(absent(claim, &held)),
            Some(Obstacle::Writing { held, entitled }) => {
                self.ask(claim, &held, entitled, sessions.handover, asked).map(|()| None)
            }
            None if self.continued && !module.leases.continued(claim) || module.leases.is_late(claim, *epoch) => {
                Err(busy("another session wrote to that folder meanwhile", AT_ONCE))
            }
            None => {
                module.changes += 1;
                let before = module.leases.take(claim, (*token, *epoch), holder.clone());
                if self.token().is_none() {
                    module.leases.keep_tokens(claim, holder, &before);
                }
                Ok(Some(before))
            }
        }
    }

    /// Has the one that writes there asked, and sent away if nobody answers and the newcomer has its place.
    fn ask(
        &self,
        claim: &Claim,
        held: &Held,
        entitled: bool,
        handover: Duration,
        asked: &mut Asked,
    ) -> Result<(), Refusal> {
        let Some(holder) = &held.holder else { return Ok(()) };
        if held.record.user != claim.user && !held.returned {
            return Err(busy(STRANGER, RETRY));
        }
        // Who was released is not asked.
        let life =
            if held.returned && entitled && holder.is_asked_to_leave() { Life::Gone } else { asked.life(holder) };
        match life {
            Life::Unknown => Ok(()),
            Life::Lives if held.record.user != claim.user => Err(busy(STRANGER, RETRY)),
            Life::Lives => Err(in_use(claim, holder)),
            // It may have said that it gives the folder back, with its last bytes.
            Life::Gone if !entitled && holder.is_closing() && asked.wait() < handover => Ok(()),
            Life::Gone if !entitled => Err(absent(claim, held)),
            Life::Gone => {
                holder.ask_to_leave(busy("another connection with the same token has taken the folder over", AT_ONCE));
                match asked.wait() >= handover {
                    true => Err(busy("this user's last session in that folder has not ended yet", RETRY)),
                    false => Ok(()),
                }
            }
        }
    }
}

// The same words as long as it is the same session, so that they need be logged only once.

fn in_use(claim: &Claim, holder: &Holder) -> Refusal {
    let (user, from, since) = (&claim.user, holder.from(), holder.since());
    busy(&format!("the folder is in use: another pushd of user {user}, at {from}, writes to it, since {since}"), RETRY)
}

/// What one hears that a person has sent away, for so long.
pub(super) fn released(left: Duration) -> Refusal {
    busy(
        "a person has released the folder at the backup host, so that another host gets in; this one may come again when two \
         minutes are over",
        left,
    )
}

fn absent(claim: &Claim, held: &Held) -> Refusal {
    let record = &held.record;
    let words = spelled(&claim.module, &record.folder);
    let release = format!("it is free ten minutes after it was heard last, or after `recvctl release {words}`");
    if record.user != claim.user {
        return busy(&format!("another user's pushd wrote to that folder last, and may come back: {release}"), RETRY);
    }
    let Record { user, from, since, heard, .. } = record;
    let who = format!(
        "another pushd of user {user}, at {from}, wrote to it last, from {since} to {heard}, and may come back"
    );
    busy(&format!("the folder is in use: {who}: {release} on the backup host"), RETRY)
}

/// As a person names it.
pub fn spelled(module: &str, folder: &RelPath) -> String {
    match folder.is_root() {
        true => module.to_owned(),
        false => format!("{module}:{}", Printed(folder.as_bytes())),
    }
}
