//! What a person or a script is told of deletions that wait: by time, as a mass; until a word, as too many; and as the source
//! is empty. `status` in text, in JSON and watched, `wait` and `sync`, and how they end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::eventually;
use crate::rig::pair::{Pair, Setup};
use crate::rig::process::{Done, pushd_program};

/// Far longer than a test may take: who comes back from it did not wait for its end.
const FOR_EVER: &str = "10h";

/// A live pair with a folder of 150 files and two files beside it; `hold` is how long masses wait.
fn live(test: &str, hold: &str) -> Pair {
    let pair = Pair::live(test, Setup { source: format!("delete_hold = {hold:?}"), ..Setup::default() });
    fs::create_dir(pair.source.join("site")).unwrap();
    for n in 0..150 {
        fs::write(pair.source.join(format!("site/{n}")), format!("page {n}")).unwrap();
    }
    fs::write(pair.source.join("beside"), "x").unwrap();
    pair.settle();
    pair
}

fn held(pair: &Pair) -> Value {
    pair.pushd.target("t")["held"].clone()
}

/// `pushctl status`, which ends with 75; the line about deletions.
fn told(pair: &Pair) -> String {
    let shown = pair.pushd.command(&["status"]);
    assert_eq!(shown.code, 75, "{}", shown.text());
    assert_eq!(pair.pushd.command(&["status", "--exit-zero"]).code, 0);
    let mut lines = shown.out.lines().filter(|line| line.contains("deletion"));
    let line =
        lines.by_ref().find(|line| line.starts_with("  t: ")).unwrap_or_else(|| panic!("{}", shown.out)).to_owned();
    let first = shown.out.lines().find(|line| line.starts_with('●')).unwrap_or_default();
    assert!(first.ends_with("s  deletions held"), "{}", shown.out);
    line
}

/// What `status --watch` shows first of the deletions.
fn watched(pair: &Pair) -> String {
    let mut watching = Command::new(pushd_program());
    watching.args(["status", "--watch", "--config"]).arg(&pair.pushd.config).stdout(Stdio::piped());
    let mut child = watching.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("  t: ") && line.contains("deletion"));
    child.kill().unwrap();
    child.wait().unwrap();
    line.expect("the deletions are shown")
}

/// It says at once that only a person's word helps, and which one.
fn needs_a_word(done: &Done) {
    assert_eq!(done.code, 75, "{}", done.text());
}

#[test]
fn a_mass_waits_for_its_time_and_all_say_until_when() {
    let pair = live("mass", "1h");
    fs::remove_dir_all(pair.source.join("site")).unwrap();
    eventually("all of it is held", || held(&pair)["entries"] == 151);
    let held = held(&pair);
    let moment = |key: &str| held[key].as_str().unwrap_or_else(|| panic!("{held:#}")).to_owned();
    assert!(moment("since") < moment("until"), "{held:#}");
    assert!(moment("why").contains("`pushctl release s`"), "{held:#}");
    let line = told(&pair);
    assert!(line.contains("151 deletions are held") && line.contains(&moment("why")), "{line}");
    assert!(line.contains(", for 59m") && watched(&pair).contains(", for 59m"), "{line}");
    eventually("the log says so", || pair.pushd.daemon.log().contains("were seen to go at once (of site: 151)"));
    let late = pair.pushd.command(&["wait", "--timeout", "300ms"]);
    assert!(late.code == 75 && late.err.contains("s to t: 151 deletions are held since"), "{}", late.text());
    assert!(late.err.contains("(site with 151 of them)") && late.err.contains(", for 59m"), "{}", late.text());
    // Of what is not held nothing is behind.
    let beside = pair.source.join("beside").display().to_string();
    let done = pair.pushd.command(&["wait", "--timeout", FOR_EVER, &beside]);
    assert_eq!(done.code, 0, "{}", done.text());
    assert_eq!(pair.pushd.command(&["release"]).code, 0);
    assert_eq!(pair.pushd.command(&["wait", "--timeout", FOR_EVER]).code, 0);
    assert!(!pair.backup.join("site").exists());
    assert_eq!(pair.pushd.command(&["status"]).code, 0);
    eventually("the log says that, too", || pair.pushd.daemon.log().contains("no deletions are held any more"));
    assert!(pair.pushd.daemon.log().contains("a person lets go on what was held"));
}

#[test]
fn what_is_too_much_waits_for_a_word_and_all_say_which() {
    let mut pair = live("many", "1h");
    pair.pushd.daemon.kill();
    fs::remove_dir_all(pair.source.join("site")).unwrap();
    pair.pushd.daemon.start();
    eventually("all of it is held", || held(&pair)["entries"] == 151);
    let now = held(&pair);
    assert!(now["until"].is_null() && now["since"].is_string(), "{now:#}");
    let line = told(&pair);
    assert!(line.contains("151 deletions are held") && line.contains("`pushctl release s`"), "{line}");
    assert!(
        line.contains("151 of 153 entries")
            && line.contains("(site with 151 of them)")
            && watched(&pair).contains("151 deletions are held"),
        "{line}"
    );
    let waited = pair.pushd.command(&["wait", "--timeout", FOR_EVER]);
    needs_a_word(&waited);
    assert!(waited.err.contains("`pushctl release s`"), "{}", waited.text());
    let synced = pair.pushd.command(&["sync"]);
    needs_a_word(&synced);
    assert!(synced.text().contains("--release"), "{}", synced.text());
    let done = pair.pushd.command(&["sync", "--release"]);
    assert_eq!(done.code, 0, "{}", done.text());
    assert!(!pair.backup.join("site").exists() && held(&pair).is_null());
}

#[test]
fn a_source_that_is_emptied_waits_for_a_word_or_for_something_to_stand_in_it() {
    let pair = live("emptied", "0s");
    for entry in fs::read_dir(&pair.source).unwrap() {
        crate::rig::fs::remove(&entry.unwrap().path()).unwrap();
    }
    // Some may have gone before there was nothing left.
    eventually("what is left is held", || held(&pair)["why"].as_str().is_some_and(|why| why.contains("empty")));
    eventually("all that there is", || held(&pair)["entries"] == crate::rig::compare::mirrored(&pair.backup).len());
    assert!(held(&pair)["until"].is_null(), "{:#}", held(&pair));
    let line = told(&pair);
    assert!(line.contains("the source is empty") && line.contains("`pushctl release s`"), "{line}");
    assert!(watched(&pair).contains("the source is empty"));
    for words in [&["wait", "--timeout", FOR_EVER][..], &["sync"]] {
        needs_a_word(&pair.pushd.command(words));
    }
    eventually("the log says so", || pair.pushd.daemon.log().contains("the source is empty, and the backup is not ("));
    fs::write(pair.source.join("again"), "x").unwrap();
    eventually("what stands there is mirrored", || pair.backup.join("again").exists());
    pair.settle();
}
