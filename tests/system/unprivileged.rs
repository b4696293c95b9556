//! A recvd that is an ordinary user: what it cannot set is named, and all else arrives whole.

use std::fs;
use std::process::Command;

use crate::rig::fs::{chmod, give_away};
use crate::rig::is_root;
use crate::rig::pair::{Pair, Setup};
use crate::rig::process::{Done, pushd_program, run};

/// Who runs recvd and owns its folder, and who runs pushd and owns the source.
const BACKUP: u32 = 65_533;
const SOURCE: u32 = 65_534;
const AS_BACKUP: [&str; 6] = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups"];
const AS_SOURCE: [&str; 6] = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

/// Not started; recvd will run without the rights of root.
fn pair(test: &str, setup: Setup) -> Pair {
    let pair = Pair::new(test, Setup { recvd_prefix: AS_BACKUP.to_vec(), ..setup });
    give_away(&pair.recvd.dir, BACKUP).unwrap();
    pair
}

/// `pushd sync --json` by a pushd without the rights of root either.
fn sync_as_source(pair: &Pair) -> Done {
    give_away(&pair.pushd.dir, SOURCE).unwrap();
    give_away(&pair.source, SOURCE).unwrap();
    let mut command = Command::new(AS_SOURCE[0]);
    command.args(&AS_SOURCE[1..]).arg(pushd_program()).args(["sync", "--json", "--config"]).arg(&pair.pushd.config);
    run(&mut command, None)
}

/// The reasons that a report gives for a path.
fn reasons(done: &Done, path: &str) -> Vec<String> {
    let report = done.report();
    let of_path = |problem: &&serde_json::Value| problem["path"] == path;
    let problems = report["problems"].as_array().into_iter().flatten().filter(of_path);
    problems.map(|problem| problem["reason"].to_string()).collect()
}

#[test]
fn trouble_of_both_sides_with_one_folder_is_named() {
    if !is_root("trouble_of_both_sides_with_one_folder_is_named") {
        return;
    }
    let mut pair = pair("bothsides", Setup::default());
    fs::create_dir(pair.source.join("shut")).unwrap();
    chmod(&pair.source.join("shut"), 0o300).unwrap();
    pair.recvd.start();
    let done = sync_as_source(&pair);
    let reasons = reasons(&done, "shut");
    assert_eq!(done.code, 1, "{}", done.text());
    assert!(reasons.iter().any(|reason| reason.contains("cannot be listed")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("stored")), "{reasons:?}");
}
