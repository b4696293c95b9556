//! Time and work come to the engine from outside: nothing in it asks the system what time it is, or starts a thread, but the
//! two files that others take that from.

use super::forbid;
use super::report;

const GIVERS: [&str; 2] = ["common/engine/src/clock.rs", "common/engine/src/workers.rs"];

#[test]
fn the_engine_has_no_clock_and_no_threads_of_its_own() {
    let words = [
        "Instant::now",
        "SystemTime::now",
        ".elapsed()",
        "thread::spawn",
        "thread::Builder",
        "thread::sleep",
        "spawn_scoped",
    ];
    let found = forbid(&words, |s| s.crate_name() == "engine" && !GIVERS.contains(&s.path.as_str()));
    report("the engine takes its time from clock.rs and its threads from workers.rs", found);
}
