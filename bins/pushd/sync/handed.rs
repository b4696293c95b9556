//! Passes that a running daemon makes for us: it serves the source already, and nobody else may write to its backup
//! meanwhile. We ask how far it is; should we go away it goes on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit::control::{AskError, ask};
use kit::progress::Done;
use kit::{Exit, Stop, apart, out};

use super::TICK;
use crate::control::{Reply, Request};
use crate::report::{Brake, Failed, Outcome, Pair};

/// How long a daemon may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was handed over.
pub(super) struct Handed {
    socket: PathBuf,
    number: u64,
    pairs: Vec<Pair>,
    done: Mutex<Done>,
}

impl Handed {
    /// How far the daemon is.
    pub(super) fn done(&self) -> Done {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until all is done. Blocks.
    fn follow(&self) -> Result<Vec<Outcome>, Failed> {
        loop {
            std::thread::sleep(TICK);
            match ask(&self.socket, &Request::Syncing { number: self.number }, PATIENCE) {
                Ok(Reply::Syncing(done)) => *self.done.lock().unwrap_or_else(PoisonError::into_inner) = done,
                Ok(Reply::Synced(outcomes)) if outcomes.len() == self.pairs.len() => return Ok(outcomes),
                Ok(_) => return Err((Exit::Protocol, "the running pushd answers something else".to_owned())),
                Err(AskError::Refused(sentence)) => return Err((Exit::Busy, sentence)),
                Err(error) => {
                    return Err((Exit::Unreachable, format!("the running pushd was to make this pass: {error}")));
                }
            }
        }
    }
}

/// Asks the daemon at `socket`, if there is one, to make the passes that it serves; says which those are. The error was told.
pub(super) fn hand_over(
    socket: &Path,
    pairs: Vec<Pair>,
    brake: Brake,
) -> Result<(Option<Arc<Handed>>, Vec<bool>), Exit> {
    let ours = (None, vec![false; pairs.len()]);
    match ask(socket, &Request::Sync { pairs: pairs.clone(), brake }, PATIENCE) {
        Ok(Reply::Begun { number, served }) if served.len() == pairs.len() => {
            let pairs: Vec<_> =
                pairs.into_iter().zip(&served).filter(|(_, served)| **served).map(|(pair, _)| pair).collect();
            if pairs.is_empty() {
                return Ok(ours);
            }
            let handed = Handed { socket: socket.to_owned(), number, pairs, done: Mutex::default() };
            Ok((Some(Arc::new(handed)), served))
        }
        Ok(Reply::Full) => {
            out::complain("pushd: the running pushd makes as many passes for others as it can: try again later");
            Err(Exit::Busy)
        }
        Err(AskError::Silent { .. }) => Ok(ours),
        Ok(_) => {
            out::complain(
                "pushd: the running pushd answers something else (is it of another version?): dialling by itself",
            );
            Ok(ours)
        }
        Err(error) => {
            out::complain(format_args!("pushd: dialling by itself, as the running pushd cannot be asked: {error}"));
            Ok(ours)
        }
    }
}

/// The outcomes of what was handed over, in its order. A stop ends only the following.
pub(super) async fn follow(handed: Option<Arc<Handed>>, stop: &Stop) -> Vec<Outcome> {
    let Some(handed) = handed else { return Vec::new() };
    let asking = handed.clone();
    let followed = tokio::select! {
        followed = apart("follow", move || asking.follow()) => {
            followed.unwrap_or_else(|failed| Err((Exit::Busy, failed.to_string())))
        }
        () = stop.requested() => Err((Exit::Busy, "interrupted: the running pushd goes on with this pass".to_owned())),
    };
    followed.unwrap_or_else(|failed| {
        let pairs = handed.pairs.iter();
        pairs.map(|pair| Outcome::unknown((&pair.source, &pair.target), failed.clone())).collect()
    })
}
