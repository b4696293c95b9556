//! How connections end: each has one outcome, which is counted and logged in one line. What strangers can cause is
//! bounded, and their words are escaped.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::receiver::Tale;
use kit::log::Limiter;
use kit::units;
use link::accept::Failed;
use proto::login::Refusal;
use proto::shown::Shown;
use tracing::{debug, info, warn};

use crate::repeats::{Peer, Repeats};

/// How a connection ended.
#[derive(Debug)]
pub enum Outcome {
    /// Before it was logged in.
    Failed(Failed),
    /// Its place was needed for another before it was logged in, or recvd stopped then.
    Dropped,
    /// Its network has failed so often while it waited for its turn that nobody listens.
    Unheard,
    /// It was told why not.
    Refused {
        /// As whom it came.
        user: String,
        /// What it was told.
        refusal: Refusal,
    },
    /// The same, when it wanted to begin to write.
    SentAway {
        /// As whom it came.
        user: String,
        /// The module with the folder in it, `www/site`.
        place: String,
        /// What it was told.
        refusal: Refusal,
    },
    /// Its module cannot work now, whoever comes: that was said when it began.
    Unserved {
        /// As whom it came.
        user: String,
        /// The module that it asked for, as the peer wrote it.
        module: String,
    },
    /// It had a session.
    Session(Box<Report>),
}

/// What became of a session.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Report {
    pub user: String,
    /// The module with the folder in it, `www/site`.
    pub place: String,
    pub software: String,
    pub lasted: Duration,
    pub files: u64,
    pub removed: u64,
    pub problems: u64,
    /// What the sender has told of itself.
    pub tale: Tale,
    /// Bytes of frames, after TLS and before they are unpacked.
    pub received: u64,
    /// In the words of the role and of the link.
    pub end: String,
    pub severity: Severity,
}

/// How the line about an end is logged: whether a person should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Severity {
    Info,
    Warning,
}

/// Counts of outcomes since the start, and the bound on lines about strangers.
#[derive(Debug)]
pub struct Tally {
    sessions: AtomicU64,
    refused: AtomicU64,
    strangers: AtomicU64,
    lines: Limiter,
    repeats: Repeats,
}

impl Tally {
    /// Counts from zero, and a bound of 20 lines at once and one a second.
    pub fn new() -> Tally {
        let lines = Limiter::new(20, Duration::from_secs(1));
        let [sessions, refused, strangers] = std::array::from_fn(|_| AtomicU64::new(0));
        Tally { sessions, refused, strangers, lines, repeats: Repeats::default() }
    }

    /// Counts and logs one.
    pub fn record(&self, peer: SocketAddr, outcome: Outcome) {
        match outcome {
            Outcome::Session(report) => {
                self.sessions.fetch_add(1, Ordering::Relaxed);
                match report.severity {
                    Severity::Info => info!("{peer}: {report}"),
                    Severity::Warning => warn!("{peer}: {report}"),
                }
            }
            Outcome::Refused { user, refusal } => self.sent_away(peer, user, String::new(), &refusal),
            Outcome::SentAway { user, place, refusal } => self.sent_away(peer, user, place, &refusal),
            Outcome::Unserved { user, module } => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                debug!("{peer}: user {}: module {} cannot work now", Escaped(&user), Escaped(&module));
            }
            Outcome::Failed(failed) => {
                self.strangers.fetch_add(1, Ordering::Relaxed);
                self.bounded(|held| info!("{peer}: {}{held}", Escaped(&failed.to_string())));
            }
            Outcome::Dropped => {
                self.strangers.fetch_add(1, Ordering::Relaxed);
                self.bounded(|held| info!("{peer}: closed before its login was over, to make room{held}"));
            }
            Outcome::Unheard => self.unheard(peer),
        }
    }

    /// Logs that a session begins. Whatever kept the peer from one before is over, and would be news if it came again.
    pub fn begins(&self, peer: SocketAddr, user: &str, place: &str) {
        for place in [place, ""] {
            self.repeats.are_over(&who(peer, user.to_owned(), place.to_owned()));
        }
        info!("{peer}: session of {} in {} begins", Escaped(user), Escaped(place));
    }

    fn sent_away(&self, peer: SocketAddr, user: String, place: String, refusal: &Refusal) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let who = who(peer, user, place);
        let at = if who.place.is_empty() { String::new() } else { format!(" in {}", Escaped(&who.place)) };
        let line = |held| warn!("{peer}: user {}{at}: {}{held}", Escaped(&who.user), refused(refusal));
        match refusal {
            Refusal::Busy { reason, .. } => {
                if let Some(repeated) = self.repeats.is_news(&who, reason, Instant::now()) {
                    self.bounded(|held| line(HeldBack(held.0 + repeated)));
                }
            }
            _ => self.bounded(line),
        }
    }

    /// Logs one whose network has failed too often.
    pub fn unheard(&self, peer: SocketAddr) {
        self.bounded(|held| debug!("{peer}: not listened to after failed logins{held}"));
    }

    /// Writes a line that strangers can cause, unless there were too many.
    pub fn bounded(&self, line: impl FnOnce(HeldBack)) {
        if let Some(held_back) = self.lines.permit() {
            line(HeldBack(held_back));
        }
    }
}

fn who(peer: SocketAddr, user: String, place: String) -> Peer {
    Peer { from: peer.ip().to_canonical(), user, place }
}

/// The tail of a line that comes after some that were held back.
pub struct HeldBack(u64);

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " ({} such lines were held back)", self.0) }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sessions, refused, strangers] =
            [&self.sessions, &self.refused, &self.strangers].map(|count| count.load(Ordering::Relaxed));
        let sessions = units::counted(sessions, "session", "sessions");
        write!(f, "{sessions}, {refused} refused, {strangers} that did not log in")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { user, place, software, files, removed, problems, .. } = self;
        let (lasted, received) = (units::duration(self.lasted), units::bytes(self.received));
        let files = units::counted(*files, "file", "files");
        let removed = units::counted(*removed, "removal", "removals");
        let problems = units::counted(*problems, "problem", "problems");
        write!(
            f,
            "session of {} ({}) in {} ended after {lasted}: {}; {files}, {removed}, {problems}, \
             {received} received{}",
            Escaped(user),
            Escaped(software),
            Escaped(place),
            Escaped(&self.end),
            told(&self.tale),
        )
    }
}

/// Whether a single transfer was whole, and what it left out, as the sender says.
fn told(Tale { report, done, .. }: &Tale) -> String {
    let entries = |count| units::counted(count, "entry", "entries");
    match (done, report) {
        (Some(done), _) if done.problems == 0 => "; complete".into(),
        (Some(done), _) => format!("; complete but for {} in trouble", entries(done.problems)),
        (None, Some((report, _))) if report.problems > 0 => {
            format!("; {} in trouble, as the sender says", entries(report.problems))
        }
        (None, _) => String::new(),
    }
}

/// A refusal in the words of this side.
fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Denied => "denied".into(),
        Refusal::Busy { reason, .. } => format!("sent away for now: {reason}"),
        other => format!("refused: {other}"),
    }
}

/// A peer's text, escaped and cut like everything that others have named.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(self.0.as_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_forge_a_line() {
        let shown = Escaped("a\nb\u{1b}[2J\u{9b}\u{202e}").to_string();
        assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown}");
        assert!(Escaped(&"ж".repeat(1000)).to_string().len() <= proto::shown::SHOWN);
    }
}
