//! What a target was sent again although nothing had changed at the source: a bound for what a receiver can have by asking,
//! whatever it answers, also over many connections.
//!
//! A *version* is one state of a file under one name. Those that were sent in the last hour are remembered, the latest of them:
//! what is not among them and has changed since the oldest of them was sent was never sent, so a change is never held
//! against a target. Of those before a few bits each are left, a million of them: what is not among these either was never
//! sent, however long it had to wait. Only with more than that may something have been sent and forgotten.
//!
//! INVARIANT: in an hour the target gets each version once, and beyond that twice what there is (a little more where there is
//! little). A file whose names the target joins is one, under whichever it is sent. Where each is a file of its own there, each
//! has a version, but there is only one such file at the source. Then all that the target is owed waits until enough of that is
//! an hour old, or a person asks for it.

mod faded;
mod ledger;
mod repeats;
mod versions;

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use proto::RelPath;
use sys::Stat;

use super::lock;
use crate::clock::Clock;
use ledger::Ledger;
use repeats::Repeats;
use versions::{Version, Versions};

/// For how long it is remembered what was sent.
const HOUR: Duration = Duration::from_secs(3600);

/// Bytes of content, and entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub bytes: u64,
    pub entries: u64,
}

impl Amount {
    fn plus(self, more: Amount) -> Amount {
        let Amount { bytes, entries } = more;
        Amount { bytes: self.bytes.saturating_add(bytes), entries: self.entries.saturating_add(entries) }
    }

    /// Of each the larger.
    fn max(self, other: Amount) -> Amount {
        Amount { bytes: self.bytes.max(other.bytes), entries: self.entries.max(other.entries) }
    }

    fn beyond(self, most: Amount) -> Amount {
        let Amount { bytes, entries } = most;
        Amount { bytes: self.bytes.saturating_sub(bytes), entries: self.entries.saturating_sub(entries) }
    }
}

/// What there is, or has come: under all names, as it is sent, and each file once, however many names it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    pub named: Amount,
    pub once: Amount,
}

impl Stock {
    fn plus(self, more: Stock) -> Stock {
        Stock { named: self.named.plus(more.named), once: self.once.plus(more.once) }
    }

    /// Of each the larger.
    fn max(self, other: Stock) -> Stock {
        Stock { named: self.named.max(other.named), once: self.once.max(other.once) }
    }
}

/// What is known of a version that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// It was not sent in the last hour, as far as that goes back.
    New,
    /// It was: the change that led to it is not at the source.
    Sent,
    /// It may have been: that is more than is remembered.
    Perhaps,
}

/// On which occasion something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A pass over all there is, which meets each entry once, and counts it.
    FullPass,
    Other,
}

/// What has come of a look at the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Something may be sent.
    Open,
    /// Nothing is, until then, when it is looked at again.
    UsedUp(Instant),
}

/// Locked for a moment, and never across a wait.
pub(crate) struct Account {
    clock: Clock,
    books: Mutex<Books>,
}

struct Books {
    versions: Versions,
    ledger: Ledger,
    repeats: Repeats,
    /// Since when the target is known to keep asking; it is told once.
    asks: Option<SystemTime>,
}

impl Account {
    /// Of a target that was sent nothing yet.
    pub fn new(clock: Clock) -> Account {
        Account { books: Mutex::new(Books::new()), clock }
    }

    /// A person has asked for all of it: what was sent before does not count, and a target that goes on asking is told of anew.
    /// Nothing else begins it anew: neither a connection nor a pass, as a target can have as many of those as it likes.
    pub fn begin_anew(&self) {
        let mut books = lock(&self.books);
        let counted = books.ledger.counted();
        let asked = std::mem::replace(&mut *books, Books::new()).asks;
        books.ledger.count(counted);
        if asked.is_some() {
            tracing::info!(
                "a person has the target sent all there is: what it has asked for so far does not count any more"
            );
        }
    }

    /// When what stands under this name may be sent, if not now: the target has got this version again and again.
    pub fn due(&self, path: &RelPath, stat: &Stat) -> Option<Instant> {
        let now = self.clock.now();
        let books = lock(&self.books);
        if books.repeats.is_empty() {
            return None;
        }
        books.repeats.due(books.versions.of(path, stat), now)
    }

    /// This version is being sent, by so much at once, and by whom. What is known of it. That of a file whose names the target
    /// joins is sent under the root: it is the same under all of them.
    pub fn sends(&self, path: &RelPath, stat: &Stat, amount: Amount, by: Occasion) -> Past {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut books = lock(&self.books);
        let version = books.versions.of(path, stat);
        let past = books.versions.meet(version, stat.ctime, (now, wall));
        if past == Past::New && by == Occasion::Other && versions::is_of_late(stat.ctime, wall) {
            let named = Amount { bytes: stat.size, entries: 1 };
            // Under another name it may have come before.
            let known = stat.nlink > 1 && !path.is_root() && {
                let file = books.versions.of_file(stat);
                books.versions.meet(file, stat.ctime, (now, wall)) == Past::Sent
            };
            let once = Amount { bytes: if known { 0 } else { stat.size }, entries: 1 };
            books.ledger.grows(Stock { named, once }, now);
        }
        books.ledger.sends(past, amount, now);
        past
    }

    /// More of a version that is being sent.
    pub fn sends_on(&self, past: Past, bytes: u64) {
        if past != Past::New {
            lock(&self.books).ledger.sends(past, Amount { bytes, entries: 0 }, self.clock.now());
        }
    }

    /// An entry without content is sent again, as the target has said that it did not take it.
    pub fn sends_again(&self) {
        lock(&self.books).ledger.sends(Past::Sent, Amount { bytes: 0, entries: 1 }, self.clock.now());
    }

    /// The target lacks what was to be changed for this version, which is sent again where it has said so before.
    pub fn lacks(&self, path: &RelPath, stat: &Stat) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut books = lock(&self.books);
        let lacking = books.versions.lacking(path, stat);
        let past = books.versions.meet(lacking, stat.ctime, (now, wall));
        books.ledger.sends(past, Amount { bytes: 0, entries: 1 }, now);
    }

    /// All of this version was sent, of which that was known.
    pub fn has_sent(&self, path: &RelPath, stat: &Stat, past: Past) {
        if past == Past::Sent {
            let now = self.clock.now();
            let mut books = lock(&self.books);
            let version: Version = books.versions.of(path, stat);
            books.repeats.again(version, now);
        }
    }

    /// A pass over all begins to count what there is.
    pub fn begin_count(&self) {
        lock(&self.books).ledger.begin_count();
    }

    /// It has found more.
    pub fn count(&self, found: Stock) {
        lock(&self.books).ledger.count(found);
    }

    /// It has found all. Returns how many entries that is.
    pub fn end_count(&self) -> u64 {
        let mut books = lock(&self.books);
        books.ledger.end_count();
        books.ledger.counted().named.entries
    }

    /// Whether anything may be sent. Says in the log once that the target keeps asking, and once that it does not any more.
    pub fn standing(&self) -> Standing {
        let (now, mut books) = (self.clock.now(), lock(&self.books));
        let balance = books.ledger.balance(now);
        let standing = balance.standing();
        if let Standing::UsedUp(_) = standing
            && books.asks.is_none()
        {
            books.asks = Some(self.clock.wall());
            let Amount { bytes, entries } = balance.again;
            tracing::error!(
                "the target keeps asking for what it was sent: in an hour {entries} entries and {bytes} bytes left again \
                 without a change at the source; what it is owed waits"
            );
        } else if books.asks.is_some() && balance.is_calm() {
            books.asks = None;
            tracing::info!("the target does not keep asking any more");
        }
        standing
    }

    /// What was sent again in the last hour.
    #[cfg(test)]
    pub fn again(&self) -> Amount {
        lock(&self.books).ledger.balance(self.clock.now()).again
    }

    /// What there is, as far as it was counted, each file once.
    #[cfg(test)]
    pub fn counted(&self) -> Amount {
        lock(&self.books).ledger.counted().once
    }

    /// Since when the target keeps asking, while something has to wait for that.
    pub fn asks(&self) -> Option<SystemTime> {
        let mut books = lock(&self.books);
        let held = books.ledger.balance(self.clock.now()).standing() != Standing::Open;
        books.asks.filter(|_| held)
    }
}

impl Books {
    fn new() -> Books {
        Books { versions: Versions::new(), ledger: Ledger::default(), repeats: Repeats::default(), asks: None }
    }
}

#[cfg(test)]
mod tests;
