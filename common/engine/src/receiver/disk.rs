//! Whether the disk of a module takes what it is given: a condition of the module, whatever session meets it. Written by the
//! publishers of all its sessions; read by who tells people of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proto::Outcome;
use tokio::sync::Notify;

/// A shortage is over only when nothing was refused for so long, so that it does not come and go with single entries.
const CALM: Duration = Duration::from_secs(5);
/// The file system itself is asked when no sender has tried anything for so long: those that wait try once a minute at least.
const SILENCE: Duration = Duration::from_secs(150);

/// One for all sessions of a module; it knows of a shortage from the first refusal until it is over.
#[derive(Debug, Default)]
pub struct Disk {
    lacking: Mutex<Option<Lacking>>,
    begun: Notify,
}

#[derive(Debug)]
struct Lacking {
    shortage: Shortage,
    /// When something was refused the last time.
    last: Instant,
    /// Bytes of the largest content that was refused.
    most: u64,
    /// Something as large was taken since the last refusal.
    eased: bool,
}

/// What a disk lacks, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// In the words of the file system.
    pub reason: String,
    /// When the first operation was refused.
    pub since: Instant,
    /// Operations that were refused because of it.
    pub refused: u64,
}

impl Disk {
    /// Notes what became of an operation with so many bytes of content. One without content that was carried out proves
    /// nothing: it may have had nothing to change.
    pub(super) fn note(&self, content: Option<u64>, outcome: Option<&Outcome>, now: Instant) {
        match (outcome, content) {
            (Some(Outcome::Full { reason } | Outcome::ReadOnly { reason }), _) => {
                self.refused(content.unwrap_or_default(), reason, now);
            }
            (None | Some(Outcome::Partly { .. } | Outcome::Want), Some(bytes)) => self.taken(bytes),
            _ => {}
        }
    }

    fn refused(&self, bytes: u64, reason: &str, now: Instant) {
        let mut lacking = self.lock();
        match &mut *lacking {
            Some(lacking) => {
                lacking.shortage.refused += 1;
                (lacking.last, lacking.eased) = (now, false);
                lacking.most = lacking.most.max(bytes);
            }
            None => {
                let shortage = Shortage { reason: reason.to_owned(), since: now, refused: 1 };
                *lacking = Some(Lacking { shortage, last: now, most: bytes, eased: false });
                self.begun.notify_one();
            }
        }
    }

    fn taken(&self, bytes: u64) {
        if let Some(lacking) = &mut *self.lock() {
            lacking.eased |= bytes >= lacking.most;
        }
    }

    /// Ready when the disk lacks something.
    pub async fn lacks(&self) -> Shortage {
        loop {
            if let Some(shortage) = self.shortage() {
                return shortage;
            }
            self.begun.notified().await;
        }
    }

    /// What it lacks now; `None` where it takes what is given.
    pub fn shortage(&self) -> Option<Shortage> {
        self.lock().as_ref().map(|lacking| lacking.shortage.clone())
    }

    /// What it lacked, if that is over: if something as large as what was refused has been taken since; or if nothing was tried
    /// for long, and `has_room` says that so many bytes would fit. To be asked once a second.
    pub fn is_over(&self, now: Instant, has_room: impl FnOnce(u64) -> bool) -> Option<Shortage> {
        let mut lacking = self.lock();
        let known = lacking.as_ref()?;
        let (quiet, most) = (now.saturating_duration_since(known.last), known.most);
        let over = (known.eased && quiet >= CALM) || (quiet >= SILENCE && has_room(most));
        if over { lacking.take().map(|lacking| lacking.shortage) } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lacking>> {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Outcome {
        Outcome::Full { reason: "no space".into() }
    }

    #[test]
    fn it_is_over_when_something_as_large_is_taken_and_nothing_refused_since() {
        let disk = Disk::default();
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(disk.shortage(), None);
        disk.note(Some(1), None, Instant::now());
        disk.note(Some(100), Some(&full()), Instant::now());
        disk.note(Some(10), Some(&full()), Instant::now());
        disk.note(Some(50), None, Instant::now());
        disk.note(Some(500), Some(&Outcome::Refused { reason: "another matter".into() }), Instant::now());
        assert_eq!(disk.is_over(later(20), |_| true), None, "only something smaller was taken");
        disk.note(Some(100), Some(&Outcome::Want), Instant::now());
        assert_eq!(disk.is_over(later(1), |_| true), None, "not calm yet");
        let over = disk.is_over(later(20), |_| false).unwrap();
        assert_eq!((over.refused, &over.reason[..]), (2, "no space"));
        assert_eq!(disk.shortage(), None);
    }

    #[test]
    fn where_nobody_asks_any_more_the_file_system_is_asked() {
        let disk = Disk::default();
        disk.note(Some(100), Some(&full()), Instant::now());
        let later = Instant::now() + Duration::from_secs(200);
        assert_eq!(disk.is_over(later, |bytes| bytes < 100), None);
        assert!(disk.is_over(later, |bytes| bytes == 100).is_some());
    }
}
