//! What the status shows of one source: how the watching goes, how much of it is not watched, and up to when that is known.
//! Written by the source's thread, read by the control socket.

use std::time::SystemTime;

use crate::status::SourceState;

/// One for each source, for as long as the program runs.
#[derive(Debug, Clone)]
pub struct Board {
    /// How the watching goes.
    pub state: SourceState,
    /// Why it is absent, halted or not watched.
    pub reason: Option<String>,
    /// Folders that are watched.
    pub watches: u64,
    /// Queue overflows since the start.
    pub overflows: u64,
    /// Folders that are not watched, each with all beneath it.
    pub unwatched: u64,
    compared: Option<Compared>,
}

/// The last comparison of what is not watched.
#[derive(Debug, Clone)]
struct Compared {
    /// When it began: what happened before is found by it.
    began: SystemTime,
    /// When it had become work of every target. A target that owes nothing later has done it.
    owed: SystemTime,
    /// Of each target: when the comparison began that it had acknowledged last before this one; `None` where there was none.
    before: Vec<Option<SystemTime>>,
}

impl Board {
    /// Of a source that is not watched yet.
    pub fn new() -> Board {
        Board { state: SourceState::Starting, reason: None, watches: 0, overflows: 0, unwatched: 0, compared: None }
    }

    /// Notes how much is watched, and how much is not. What comes to be unwatched is compared at that moment.
    pub fn watched(&mut self, watches: usize, unwatched: usize) {
        (self.watches, self.unwatched) = (watches as u64, unwatched as u64);
        match self.compared {
            _ if unwatched == 0 => self.compared = None,
            None => {
                let now = SystemTime::now();
                self.compared = Some(Compared { began: now, owed: now, before: Vec::new() });
            }
            Some(_) => {}
        }
    }

    /// Notes that all that is not watched is being compared: it `began` then, and every target owes it by now. `in_sync`: when
    /// each target, before it owed this, was last owed nothing.
    pub fn compared(&mut self, began: SystemTime, in_sync: &[Option<SystemTime>]) {
        let before = (0..).zip(in_sync).map(|(target, in_sync)| self.acknowledged(target, (*in_sync)?)).collect();
        self.compared = Some(Compared { began, owed: SystemTime::now(), before });
    }

    /// Up to which moment a target is known to be in sync. `in_sync`: when it was last owed nothing; to be read after this
    /// board was.
    pub fn known(&self, target: usize, in_sync: SystemTime) -> SystemTime {
        self.acknowledged(target, in_sync).map_or(in_sync, |began| began.min(in_sync))
    }

    /// When the last comparison began that a target has acknowledged. `None` where there was none: then everything was watched,
    /// and watching knows of all.
    fn acknowledged(&self, target: usize, in_sync: SystemTime) -> Option<SystemTime> {
        let Compared { began, owed, before } = self.compared.as_ref()?;
        if in_sync > *owed { Some(*began) } else { before.get(target).copied().flatten() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_watched_is_known_up_to_the_comparison_that_is_acknowledged() {
        let ago = |seconds| SystemTime::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let mut board = Board::new();
        let (earlier, later) = (ago(90), SystemTime::now() + Duration::from_secs(600));
        board.watched(7, 0);
        assert_eq!(board.known(0, later), later, "all is watched");
        board.watched(7, 2);
        assert_eq!(board.known(0, earlier), earlier, "all was watched then");
        assert!(board.known(0, later) <= SystemTime::now());
        // Of two targets one has acknowledged the first comparison, and not yet the second.
        let (first, second) = (ago(60), ago(30));
        board.compared(first, &[Some(earlier), None]);
        board.compared(second, &[Some(later), Some(earlier)]);
        assert_eq!(board.known(0, first.max(ago(50))), first);
        assert_eq!(board.known(1, earlier), earlier, "this one has none");
        assert_eq!((board.known(0, later), board.known(1, later)), (second, second), "now both have");
        board.watched(9, 0);
        assert_eq!(board.known(0, later), later);
    }
}
