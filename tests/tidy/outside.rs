//! Time and work come to the engine from outside: nothing in it asks the system what time it is, or starts a thread, but the
//! two files that others take that from.

use super::report;
use super::source::{Source, product};

const GIVERS: [&str; 2] = ["common/engine/src/clock.rs", "common/engine/src/workers.rs"];

/// How the system is asked, as it stands in code.
const ASKED: [&str; 8] = [
    "Instant::now",
    "SystemTime::now",
    ".elapsed()",
    "thread::spawn",
    "thread::Builder",
    "thread::{Builder",
    "thread::sleep",
    ".spawn_scoped(",
];

fn asks(source: &Source) -> Vec<String> {
    let lines = source.code.lines().enumerate();
    let found = lines.filter_map(|(n, line)| ASKED.iter().find(|asked| line.contains(**asked)).map(|asked| (n, asked)));
    found.map(|(n, asked)| format!("{}:{}: {asked}", source.path, n + 1)).collect()
}

#[test]
fn the_engine_has_no_clock_and_no_threads_of_its_own() {
    let engine = product().into_iter().filter(|s| s.crate_name() == "engine" && !GIVERS.contains(&s.path.as_str()));
    let found = engine.flat_map(|source| asks(&source)).collect();
    report("the engine takes its time from clock.rs and its threads from workers.rs", found);
}

#[test]
fn who_asks_the_system_is_found() {
    let code = "let late = began.elapsed() > LONG;\nlet now = std::time::Instant::now();\nlet elapsed = 3;\n";
    let source = Source { path: "common/engine/src/x.rs".into(), text: code.into(), code: code.into() };
    assert_eq!(asks(&source), ["common/engine/src/x.rs:1: .elapsed()", "common/engine/src/x.rs:2: Instant::now"]);
}
