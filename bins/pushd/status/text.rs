//! `pushd status` for a person.

use std::time::Duration;

use kit::units;

use super::{Durability, Omission, SourceState, SourceStatus, Status, TargetState, TargetStatus};

/// Problems that are listed for one target; the rest is counted.
const PROBLEMS: usize = 10;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// States, numbers and problems.
    Usual,
    /// Also what rules leave out.
    Whole,
}

/// The status as lines.
pub fn render(status: &Status, detail: Detail) -> String {
    let limit = status.watch_limit.map_or(String::new(), |limit| format!(" of at most {}", units::count(limit)));
    let mut out = format!(
        "pushd {}, process {}, up {}, watching {}{limit}\n",
        status.version,
        status.pid,
        units::duration(Duration::from_secs(status.uptime_s)),
        folders(status.watches),
    );
    for source in &status.sources {
        out.push('\n');
        out.push_str(&render_source(source, detail));
    }
    out
}

fn render_source(source: &SourceStatus, detail: Detail) -> String {
    let mut out = format!("● {}  {}\n  {}", source.name, summary(source), source.path);
    out.push_str(&format!("  {} watched", folders(source.watches)));
    out.push_str(&unwatched(source));
    if source.overflows > 0 {
        let overflows = units::counted(source.overflows, "overflow", "overflows");
        out.push_str(&format!(", {overflows} of the kernel's queue (repaired)"));
    }
    out.push('\n');
    if let Some(reason) = &source.reason {
        out.push_str(&format!("  {reason}\n"));
    }
    let mut rows = vec![["TARGET", "STATE", "OWED", "LAG", "IN SYNC", "SENT", "RATE"].map(str::to_owned)];
    rows.extend(source.targets.iter().map(|target| row(source, target)));
    out.push_str(&table(&rows));
    for target in &source.targets {
        out.push_str(&remarks(target));
        if detail == Detail::Whole {
            out.push_str(&omissions(target));
        }
    }
    out
}

fn folders(number: u64) -> String {
    units::counted(number, "folder", "folders")
}

/// What is not watched of a source, and up to when it is known.
fn unwatched(source: &SourceStatus) -> String {
    let known = source
        .compared_at
        .map_or("not known yet".to_owned(), |at| format!("known as of {} ago", units::duration(at.age())));
    match (source.unwatched, source.watches) {
        (0, _) => String::new(),
        (_, 0) => format!(": compared in full every 30 s instead ({known})"),
        (count, _) => format!(
            ", watching in part: {} more and all beneath are compared every 30 s instead ({known})",
            units::count(count)
        ),
    }
}

/// A few words for all of a source.
fn summary(source: &SourceStatus) -> String {
    let word = match source.state {
        SourceState::Absent => "absent",
        SourceState::Halted => "halted",
        SourceState::Starting => "starting",
        SourceState::Live if source.targets.iter().all(TargetStatus::is_in_sync) => {
            match (source.unwatched, source.watches) {
                (0, _) => return in_sync(source.targets.iter().map(|target| target.problems_total).sum()),
                (_, 0) => "not watched",
                _ => "watching in part",
            }
        }
        SourceState::Live if source.targets.iter().any(|target| target.state == TargetState::Halted) => "halted",
        SourceState::Live if source.targets.iter().any(|target| target.state == TargetState::Blocked) => "blocked",
        SourceState::Live if source.targets.iter().any(|target| target.state == TargetState::Offline) => "degraded",
        SourceState::Live if source.targets.iter().all(|target| target.is_in_sync() || target.is_all_but_held()) => {
            "deletions held"
        }
        SourceState::Live => "catching up",
    };
    word.to_owned()
}

/// It is in sync, or would be if everything could be mirrored.
fn in_sync(problems: u64) -> String {
    match problems {
        0 => "in sync".to_owned(),
        problems => format!("in sync but for {}", units::count(problems)),
    }
}

/// In sync is said of now only where all is watched.
fn state(source: &SourceStatus, target: &TargetStatus) -> String {
    if let (true, 1.., Some(moment)) = (target.is_in_sync(), source.unwatched, target.last_in_sync) {
        return format!("{} {} ago", in_sync(target.problems_total), units::duration(moment.age()));
    }
    match target.is_in_sync() {
        true => in_sync(target.problems_total),
        false if target.is_all_but_held() => "held".to_owned(),
        false => target.state.word().to_owned(),
    }
}

fn row(source: &SourceStatus, target: &TargetStatus) -> [String; 7] {
    let owed = match (target.owed.paths, target.owed.bytes) {
        (0, 0) => "0".to_owned(),
        (paths, 0) => units::count(paths),
        (paths, bytes) => format!("{} / {}", units::count(paths), units::bytes(bytes)),
    };
    let in_sync = match target.last_in_sync {
        _ if target.is_in_sync() && source.unwatched == 0 => "now".to_owned(),
        Some(moment) => format!("{} ago", units::duration(moment.age())),
        None => "never".to_owned(),
    };
    let rate = match target.rate {
        0 => "-".to_owned(),
        rate => units::rate(rate, Duration::from_secs(1)),
    };
    [
        target.name.clone(),
        state(source, target),
        owed,
        units::duration(Duration::from_millis(target.lag_ms)),
        in_sync,
        format!("{}, {}", units::counted(target.sent.files, "file", "files"), units::bytes(target.sent.bytes)),
        rate,
    ]
}

/// Columns as wide as their widest cell.
fn table(rows: &[[String; 7]]) -> String {
    let widths: Vec<usize> =
        (0..7).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = " ".to_owned();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!(" {cell:<width$} "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// What stands in the way of a target, below the table.
fn remarks(target: &TargetStatus) -> String {
    let mut out = String::new();
    if let (Some(error), false) = (&target.last_error, target.is_in_sync()) {
        out.push_str(&format!("  {} ({}): {error}\n", target.name, target.address));
    }
    if let Some(held) = &target.held {
        out.push_str(&format!("  {}: {}\n", target.name, held.sentence()));
    }
    if let Some(done) = target.progress {
        out.push_str(&format!("  {}: {}\n", target.name, done.sentence(target.rate)));
    }
    if target.durability == Some(Durability::None) {
        let sentence = "acknowledges what is in its memory, not on its disk (durability none)";
        out.push_str(&format!("  {}: {sentence}\n", target.name));
    }
    if let Some(disk) = target.disk.as_ref().filter(|disk| !disk.lacks.is_empty()) {
        out.push_str(&format!("  {}: its disk holds less than others: {}\n", target.name, disk.lacks));
    }
    if target.problems_total > 0 {
        out.push_str(&format!("  {}: {} not mirrored\n", target.name, units::count(target.problems_total)));
        for problem in target.problems.iter().take(PROBLEMS) {
            let since = units::duration(problem.since.age());
            out.push_str(&format!("    {}: {} ({since})\n", problem.path, problem.reason));
        }
        let listed = target.problems.len().min(PROBLEMS) as u64;
        if target.problems_total > listed {
            out.push_str(&format!("    and {} more: see --json\n", units::count(target.problems_total - listed)));
        }
    }
    out
}

/// What rules leave out.
fn omissions(target: &TargetStatus) -> String {
    let left_out = &target.left_out;
    if left_out.entries == 0 {
        return String::new();
    }
    let mut out = format!("  {}: {} left out by rule\n", target.name, units::count(left_out.entries));
    for Omission { path, reason } in &left_out.paths {
        out.push_str(&format!("    {path}: {reason}\n"));
    }
    let beyond = left_out.entries.saturating_sub(left_out.paths.len() as u64);
    if beyond > 0 {
        out.push_str(&format!("    and {} more\n", units::count(beyond)));
    }
    out
}
