//! One full pass of one source to one target, made by `pushd sync` itself or by a running daemon for it: what is asked, how
//! far it is, and the report at the end.

use std::time::Duration;

use engine::mirror::{Held, Mirror, Totals};
use kit::progress::{All, Done, Search};
use kit::{Exit, out, units};
use proto::{Digest, digest};
use serde::{Deserialize, Serialize};

use crate::config::{Source, Target};
use crate::status::{LeftOut, Problem, shown};

/// One source and one of its targets, as a configuration describes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Name of the source.
    pub source: String,
    /// Name of the target.
    pub target: String,
    /// Digest of all that decides what a pass would do: two configurations that agree in it mean the same.
    terms: Digest,
}

impl Pair {
    /// The two as this configuration describes them.
    pub fn new(source: &Source, target: &Target) -> Pair {
        let here = (&source.path, source.delete, source.mounts, source.attributes, source.max_delete);
        let there = (target.address.to_string(), target.destination.to_string(), &target.user);
        let terms = digest::chunk(format!("{here:?} {there:?}").as_bytes()).digest;
        Pair { source: source.name.clone(), target: target.name.clone(), terms }
    }
}

/// What a pass may delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Brake {
    /// No more than `max_delete` allows.
    On,
    /// All that the source does not have.
    Released,
}

/// What became of one target, as `--json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    source: String,
    target: String,
    in_sync: bool,
    files: u64,
    bytes: u64,
    wire_bytes: u64,
    deleted: u64,
    compared: u64,
    seconds: f64,
    problems: Vec<Problem>,
    problems_total: u64,
    left_out: LeftOut,
    error: Option<String>,
}

/// A report, and the exit that it asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// For people and scripts.
    pub report: Report,
    /// The worst of all is that of the command.
    pub exit: Exit,
}

/// How far the sending to a target is.
pub fn done(far: engine::mirror::Far) -> Done {
    let search = if far.whole { Search::Over } else { Search::On };
    let engine::mirror::Far { files, bytes, compared, .. } = far;
    Done { files, bytes, compared, all: All { files: far.found_files, bytes: far.found_bytes, search } }
}

/// How far passes are.
pub enum Far {
    /// Something is still to be done.
    Under(Done),
    /// Each is done, or has failed.
    Over(Vec<Outcome>),
}

/// Why a pass did not come to its end.
pub type Failed = (Exit, String);

/// Shortens the lists of problems of all outcomes together to the length that one may have.
pub fn cut(outcomes: &mut [Outcome]) {
    shown::cut(outcomes.iter_mut().map(|outcome| &mut outcome.report.problems).collect());
    shown::cut(outcomes.iter_mut().map(|outcome| &mut outcome.report.left_out.paths).collect());
}

/// Of a pass that has done all but delete what is too much.
pub fn held(held: &Held) -> Failed {
    (
        Exit::Busy,
        format!("deletions are held: {}; if that is right, run again with --release", crate::held::reason(held)),
    )
}

impl Outcome {
    /// Of a pass that took so long. `before`: the counters at its beginning. What could not be mirrored is in the target's
    /// record.
    pub fn new(
        pair: (&str, &str),
        mirror: &Mirror,
        before: Totals,
        took: Duration,
        done: Result<(), Failed>,
    ) -> Outcome {
        let total = mirror.entries.problems().len();
        let (error, exit) = match done {
            Err((exit, error)) => (Some(error), exit),
            Ok(()) if total > 0 => (None, Exit::Differences),
            Ok(()) => (None, Exit::Ok),
        };
        let now = mirror.sent.totals();
        let report = Report {
            source: pair.0.to_owned(),
            target: pair.1.to_owned(),
            in_sync: exit == Exit::Ok,
            files: now.files - before.files,
            bytes: now.bytes - before.bytes,
            wire_bytes: now.wire_bytes - before.wire_bytes,
            deleted: now.removed - before.removed,
            compared: now.compared - before.compared,
            seconds: took.as_secs_f64(),
            problems: shown::problems(&[mirror]).pop().unwrap_or_default(),
            problems_total: total,
            left_out: shown::left_out(&[mirror]).pop().unwrap_or_default(),
            error,
        };
        Outcome { report, exit }
    }

    /// All that there was to do, as far as it was done.
    pub fn done(&self) -> Done {
        let Report { files, bytes, compared, .. } = self.report;
        Done { files, bytes, compared, all: All { files, bytes, search: Search::Over } }
    }

    /// Of a pass that did not end; nothing else is known of it.
    pub fn unknown(pair: (&str, &str), (exit, error): Failed) -> Outcome {
        let report = Report {
            source: pair.0.to_owned(),
            target: pair.1.to_owned(),
            in_sync: false,
            files: 0,
            bytes: 0,
            wire_bytes: 0,
            deleted: 0,
            compared: 0,
            seconds: 0.0,
            problems: Vec::new(),
            problems_total: 0,
            left_out: LeftOut::default(),
            error: Some(error),
        };
        Outcome { report, exit }
    }
}

impl Report {
    /// What a person has to know, to stderr.
    pub fn complain(&self) {
        let Report { source, target, .. } = self;
        if let Some(error) = &self.error {
            out::complain(format_args!("pushd: {source} to {target}: {error}"));
        }
        for Problem { path, reason, .. } in &self.problems {
            out::complain(format_args!("pushd: {source} to {target}: {path}: {reason}"));
        }
        let beyond = self.problems_total - self.problems.len() as u64;
        if beyond > 0 {
            out::complain(format_args!("pushd: {source} to {target}: and {beyond} more"));
        }
    }

    /// What was done, in one line.
    pub fn stats(&self) -> String {
        let Report { source, target, .. } = self;
        format!(
            "{source} to {target}: {}, {} sent ({} on the wire), {} deleted, {} compared, {} left out, {:.2} s",
            units::counted(self.files, "file", "files"),
            units::bytes(self.bytes),
            units::bytes(self.wire_bytes),
            self.deleted,
            self.compared,
            self.left_out.entries,
            self.seconds
        )
    }
}
