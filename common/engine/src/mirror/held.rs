//! Deletions that wait, of all kinds together: what is told of them, and what the log says.

use super::absent::Told;
use super::{Mirror, lock};
use crate::pending::{Away, Held, Why};

impl Mirror {
    /// Deletions that wait, if any do.
    pub fn deletions_held(&self) -> Option<Held> {
        let held = self.pending().deletions_held(self.now());
        self.with_absent(held)
    }

    /// The same with what is beneath mount points on which nothing is mounted.
    fn with_absent(&self, held: Option<Held>) -> Option<Held> {
        let Some(Told { mounts, first, uncounted, entries: beneath, since }) = self.absent.told() else { return held };
        let age = self.clock.since(since);
        let away = Away { mounts, first: Some(Box::new(first)), uncounted, entries: beneath };
        Some(match held {
            None => {
                let (entries, left, largest) = (beneath, None, None);
                Held { entries, age, left, why: Why::Unmounted, seen: 0, total: entries, largest, away }
            }
            Some(held) => {
                let (entries, age) = (held.entries.saturating_add(beneath), held.age.max(age));
                Held { entries, age, left: None, away, ..held }
            }
        })
    }

    /// Whether deletions wait for another reason than the log has said, or none do any more.
    pub(crate) fn is_held_unsaid(&self) -> bool {
        *lock(&self.said) != self.held_why()
    }

    /// Says so in the log. What a pass may not delete it says itself.
    pub(crate) fn say_held(&self) {
        let (held, why) = (self.deletions_held(), self.held_why());
        let before = std::mem::replace(&mut *lock(&self.said), why);
        let Some(Held { entries, left, largest, away, .. }) = held.filter(|_| before != why) else {
            if before.is_some() && why.is_none() {
                tracing::info!("no deletions are held any more");
            }
            return;
        };
        let largest = largest.map_or(String::new(), |(path, with)| format!(" (of {path}: {with})"));
        match why {
            Some(Why::Mass) => {
                let left = left.unwrap_or_default().as_secs_f32();
                tracing::warn!(
                    "{entries} entries were seen to go at once{largest}: held for {left:.1} s, and what is there again then \
                     has not gone; a release lets them go now"
                );
            }
            Some(Why::Emptied) => tracing::error!(
                "the source is empty, and the backup is not ({entries} entries would be deleted): held until something \
                 stands in it again, or until they are released"
            ),
            Some(Why::Unmounted) => tracing::warn!(
                "nothing is mounted now where something was ({}): what the backup has there is held until it is back, or \
                 released",
                away.places()
            ),
            Some(Why::Many) | None => {}
        }
    }

    fn held_why(&self) -> Option<Why> {
        let why = self.pending().held_why();
        why.or_else(|| self.absent.holds().then_some(Why::Unmounted))
    }

    /// All that is held, if nothing else is owed and a person has to let it go on.
    pub(crate) fn held_alone(&self) -> Option<Held> {
        let (held, idle) = {
            let pending = self.pending();
            (pending.deletions_held(self.now()), pending.owes_nothing())
        };
        self.with_absent(held).filter(|held| held.left.is_none() && idle)
    }
}
