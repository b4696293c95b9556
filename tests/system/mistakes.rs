//! What people and configs get wrong: a sentence, the exit code of the contract, and nothing lost.

use std::fs;
use std::process::Command;

use crate::rig::eventually;
use crate::rig::fs::chmod;
use crate::rig::pair::{Pair, Recvd, Setup, write_password};
use crate::rig::process::{pushd_program, recvd_program, run};

fn replace(pair: &Pair, from: &str, to: &str) {
    let text = fs::read_to_string(&pair.pushd.config).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(&pair.pushd.config, text.replace(from, to)).unwrap();
}

/// Runs `pushd sync` and demands one of these exit codes, a sentence, and an untouched backup.
fn refused(pair: &Pair, codes: &[i32]) {
    let done = pair.sync(&[]);
    assert!(codes.contains(&done.code), "wanted exit {codes:?}: {}", done.text());
    assert!(!done.err.trim().is_empty(), "no sentence on stderr");
    assert!(!done.err.contains("panicked"), "{}", done.err);
    assert_eq!(fs::read_dir(&pair.backup).unwrap().count(), 0, "the backup was touched");
}

#[test]
fn a_dead_target_is_69() {
    let pair = Pair::new("dead", Setup::default());
    refused(&pair, &[69]);
}

#[test]
fn a_wrong_password_is_77() {
    let mut pair = Pair::new("password", Setup::default());
    pair.recvd.start();
    write_password(&pair.pushd.dir.join("password"), "guess");
    refused(&pair, &[77]);
    assert!(!pair.recvd.daemon.log().contains("guess"), "the password is in the log");
}

#[test]
fn a_wrong_user_and_a_wrong_module_look_the_same() {
    let mut pair = Pair::new("user", Setup::default());
    pair.recvd.start();
    replace(&pair, "user = \"web\"", "user = \"nobody\"");
    refused(&pair, &[77]);
    let unknown_user = pair.sync(&[]).err;
    replace(&pair, "user = \"nobody\"", "user = \"web\"");
    replace(&pair, "module = \"m\"", "module = \"other\"");
    refused(&pair, &[77]);
    drop(unknown_user);
}

#[test]
fn an_unknown_server_certificate_ends_before_the_password_leaves() {
    let mut pair = Pair::new("ca", Setup::default());
    pair.recvd.start();
    let other = Recvd::prepare(&pair.scratch, "other", &Setup::default());
    fs::copy(other.dir.join("cert.pem"), pair.recvd.dir.join("cert.pem")).unwrap();
    refused(&pair, &[69, 77]);
}

#[test]
fn a_wrong_fingerprint_is_refused_even_with_the_right_ca() {
    let zeros = "00".repeat(32);
    let target = format!("fingerprint = \"sha256:{zeros}\"");
    let mut pair = Pair::new("pin", Setup { target, ..Setup::default() });
    pair.recvd.start();
    refused(&pair, &[69, 77]);
}

#[test]
fn a_password_file_that_others_can_read_is_78() {
    let mut pair = Pair::new("0644", Setup::default());
    pair.recvd.start();
    chmod(&pair.pushd.dir.join("password"), 0o644).unwrap();
    refused(&pair, &[78]);
}

#[test]
fn every_complaint_about_a_config_comes_at_once() {
    let pair = Pair::new("complaints", Setup::default());
    replace(&pair, "user = \"web\"", "user = \"web\"\ncompres = \"auto\"");
    replace(&pair, "targets = [\"t\"]", "targets = [\"t\"]\nmax_delte = \"50%\"");
    let done = pair.pushd.command(&["check", "--offline"]);
    assert_eq!(done.code, 78, "{}", done.text());
    for word in ["compres", "max_delte", "max_delete", "pushd.toml"] {
        assert!(done.text().contains(word), "{word} is not in: {}", done.text());
    }
}

#[test]
fn two_sources_with_one_target_are_78() {
    let pair = Pair::new("shared", Setup::default());
    let second = pair.scratch.folder("second");
    let text = fs::read_to_string(&pair.pushd.config).unwrap();
    let table = format!("\n[source.s2]\npath = \"{}\"\ntargets = [\"t\"]\n", second.display());
    fs::write(&pair.pushd.config, text + &table).unwrap();
    refused(&pair, &[78]);
}

#[test]
fn bad_module_roots_are_78() {
    for root in ["/", "nowhere-at-all", "backup/../backup/inner-is-missing"] {
        let recvd = Pair::new("roots", Setup::default());
        let text = fs::read_to_string(&recvd.recvd.config).unwrap();
        let path = format!("path = {:?}", recvd.backup.display().to_string());
        fs::write(&recvd.recvd.config, text.replace(&path, &format!("path = {root:?}"))).unwrap();
        for command in ["check", "run"] {
            let done = run(Command::new(recvd_program()).arg(command).arg("--config").arg(&recvd.recvd.config), None);
            assert_eq!(done.code, 78, "{command} with root {root}: {}", done.text());
        }
    }
}

#[test]
fn overlapping_module_roots_are_78() {
    let pair = Pair::new("overlap", Setup::default());
    let inner = pair.backup.join("inner");
    fs::create_dir(&inner).unwrap();
    let text = fs::read_to_string(&pair.recvd.config).unwrap();
    let table = format!("\n[module.n]\npath = \"{}\"\nusers = {{ web = \"push\" }}\n", inner.display());
    fs::write(&pair.recvd.config, text + &table).unwrap();
    let done = run(Command::new(recvd_program()).arg("check").arg("--config").arg(&pair.recvd.config), None);
    assert_eq!(done.code, 78, "{}", done.text());
}

#[test]
fn a_module_where_the_user_may_only_pull_refuses_a_push() {
    let mut pair = Pair::new("pull", Setup::default());
    let text = fs::read_to_string(&pair.recvd.config).unwrap();
    fs::write(&pair.recvd.config, text.replace("web = \"push\"", "web = \"pull\"")).unwrap();
    pair.recvd.start();
    refused(&pair, &[77]);
}

#[test]
fn command_lines_and_files_that_are_wrong_have_their_codes() {
    for program in [pushd_program(), recvd_program()] {
        for (words, codes) in [
            (&["frobnicate"][..], &[64][..]),
            (&["run", "--frobnicate"], &[64]),
            (&["check", "--config", "/nowhere/at/all.toml"], &[66, 78]),
        ] {
            let done = run(Command::new(&program).args(words), None);
            assert!(codes.contains(&done.code), "{words:?} wanted {codes:?}: {}", done.text());
            assert!(!done.err.is_empty(), "{words:?} says nothing");
        }
        assert_eq!(run(Command::new(&program).arg("--version"), None).code, 0);
        assert_eq!(run(Command::new(&program).arg("--help"), None).code, 0);
    }
}

#[test]
fn a_good_config_passes_both_checks() {
    let mut pair = Pair::new("good", Setup::default());
    let done = run(Command::new(recvd_program()).arg("check").arg("--config").arg(&pair.recvd.config), None);
    assert_eq!(done.code, 0, "{}", done.text());
    assert_eq!(pair.pushd.command(&["check", "--offline"]).code, 0);
    let done = pair.pushd.command(&["check"]);
    assert_eq!(done.code, 69, "nothing listens: {}", done.text());
    pair.recvd.start();
    let done = pair.pushd.command(&["check"]);
    assert_eq!(done.code, 0, "{}", done.text());
}

#[test]
fn a_ca_file_is_read_at_each_login_and_a_broken_one_is_told() {
    let mut pair = Pair::new("rotated", Setup::default());
    let (shown, ca) = (pair.recvd.dir.join("cert.pem"), pair.pushd.dir.join("ca.pem"));
    fs::copy(&shown, &ca).unwrap();
    replace(&pair, &shown.display().to_string(), &ca.display().to_string());
    pair.start();
    pair.settle();
    fs::write(&ca, "nothing that is PEM\n").unwrap();
    pair.recvd.daemon.kill();
    pair.recvd.start();
    let told = || pair.pushd.target("t")["last_error"].as_str().is_some_and(|error| error.contains("ca.pem"));
    eventually("the broken file is told", told);
    assert_eq!(pair.pushd.command(&["check"]).code, 78);
    // A new certificate there and in the file here, and pushd is not started anew.
    pair.recvd.daemon.kill();
    fs::remove_file(&shown).unwrap();
    fs::remove_file(pair.recvd.dir.join("key.pem")).unwrap();
    let mut cert = Command::new(recvd_program());
    cert.args(["cert", "--name", "127.0.0.1", "--dir"]).arg(&pair.recvd.dir);
    assert_eq!(run(&mut cert, None).code, 0);
    pair.recvd.start();
    fs::copy(&shown, &ca).unwrap();
    fs::write(pair.source.join("later"), b"after the rotation").unwrap();
    pair.settle();
}

fn keep_state_in(config: &std::path::Path, folder: &str) {
    let text = fs::read_to_string(config).unwrap();
    let line = text.lines().find(|line| line.starts_with("state_dir")).unwrap();
    fs::write(config, text.replace(line, &format!("state_dir = {folder:?}"))).unwrap();
}

#[test]
fn a_check_names_a_folder_for_the_state_that_cannot_be_used() {
    let mut pair = Pair::new("state", Setup::default());
    for dir in [&pair.pushd.dir, &pair.recvd.dir] {
        fs::write(dir.join("file"), "").unwrap();
    }
    for root in ["file", "file/deep", "/proc/nope/deep", "/proc/nope"] {
        keep_state_in(&pair.pushd.config, root);
        keep_state_in(&pair.recvd.config, root);
        for done in [pair.pushd.command(&["check", "--offline"]), pair.recvd.command(&["check"])] {
            assert_eq!(done.code, 78, "{root}: {}", done.text());
            assert!(done.text().contains("cannot use `state_dir`: "), "{root}: {}", done.text());
        }
    }
    // The daemons say the same; recvd serves all the same.
    let (checked, ran) = (pair.pushd.command(&["check", "--offline"]), pair.pushd.command(&["run"]));
    assert_eq!((checked.code, ran.code), (78, 73), "{} {}", checked.text(), ran.text());
    let sentence =
        |text: &str| text.lines().find_map(|line| line.split_once("cannot use `state_dir`: ")).unwrap().1.to_owned();
    assert_eq!(sentence(&checked.text()), sentence(&ran.text()));
    let checked = pair.recvd.command(&["check"]);
    pair.recvd.start_whole();
    assert_eq!(sentence(&checked.text()), sentence(&pair.recvd.daemon.log()));
}
