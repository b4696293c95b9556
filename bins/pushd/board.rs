//! What the status shows of one source: how the watching goes, how much of it is not watched, and up to when that is known.
//! Written by the source's thread, read by the control socket.

use std::time::SystemTime;

use kit::units::Moment;

use crate::status::SourceState;

/// See the module.
#[derive(Debug, Clone)]
pub struct Board {
    /// How the watching goes.
    pub state: SourceState,
    /// Why it is absent, halted or not watched.
    pub reason: Option<String>,
    /// Folders watched.
    pub watches: u64,
    /// Queue overflows since the start.
    pub overflows: u64,
    /// Folders that are not watched, each with all beneath it.
    pub unwatched: u64,
    compared: Option<Compared>,
}

/// When comparisons of what is not watched began.
#[derive(Debug, Clone, Copy)]
struct Compared {
    before: SystemTime,
    last: SystemTime,
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
            None => self.compared(SystemTime::now()),
            Some(_) => {}
        }
    }

    /// Notes that a comparison of all that is not watched was begun at this moment: by now each target owes it.
    pub fn compared(&mut self, last: SystemTime) {
        let before = self.compared.map_or(last, |compared| compared.last);
        self.compared = Some(Compared { before, last });
    }

    /// Up to when it is known what happened in what is not watched, of a target that was owed `paths` after this board was
    /// read; `None` where all is watched.
    pub fn known(&self, paths: u64) -> Option<Moment> {
        let Compared { before, last } = self.compared?;
        Some(Moment(if paths == 0 { last } else { before }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_watched_is_known_up_to_the_comparison_that_is_acknowledged() {
        let mut board = Board::new();
        board.watched(7, 0);
        assert!(board.known(0).is_none());
        board.watched(7, 2);
        let ago = |paths| board.known(paths).unwrap().age();
        assert!(ago(0) < Duration::from_secs(5) && ago(1) < Duration::from_secs(5));
        let now = SystemTime::now();
        let mut board = Board::new();
        board.compared(now.checked_sub(Duration::from_secs(60)).unwrap());
        board.compared(now.checked_sub(Duration::from_secs(30)).unwrap());
        board.watched(7, 2);
        let ago = |paths| board.known(paths).unwrap().age().as_secs();
        assert_eq!((ago(0) / 10, ago(1) / 10), (3, 6), "what is owed may be of the last one");
        board.watched(9, 0);
        assert!(board.known(1).is_none());
    }
}
