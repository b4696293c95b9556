//! What the scripts promise to somebody who has just cloned the project. Nothing here builds.
#![allow(missing_docs, clippy::print_stderr)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name))
}

/// Standard error and output in one text.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// PATH with programs of ours before all others: each says its version, or fails where that is none. None builds.
fn path_with(folder: &Path, programs: &[(&str, Option<&str>)]) -> OsString {
    for (name, version) in programs {
        program(
            folder,
            name,
            &version.map_or("exit 1".into(), |line| format!("test \"$1\" != build && echo '{line}'")),
        );
    }
    path_from(folder)
}

fn program(folder: &Path, name: &str, does: &str) {
    let program = folder.join(name);
    fs::write(&program, format!("#!/bin/sh\n{does}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

fn path_from(folder: &Path) -> OsString {
    let path = env::var_os("PATH").unwrap();
    env::join_paths([folder.to_path_buf()].into_iter().chain(env::split_paths(&path))).unwrap()
}

fn least() -> String {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    manifest["workspace"]["package"]["rust-version"].as_str().unwrap().to_string()
}

#[test]
fn a_rust_that_is_too_old_is_named_in_one_sentence() {
    let stand_in = TempDir::new().unwrap();
    // Debian 12, where cargo and rustc are not even of one version; a rustc that is older than its cargo; a release before
    // the one that is needed.
    let before = format!("1.{}.0", least().split('.').nth(1).unwrap().parse::<u32>().unwrap() - 1);
    for (cargo, rustc) in [("1.65.0", "1.63.0"), ("1.999.0", "1.63.0"), (&*before, &*before)] {
        let lines = [format!("cargo {cargo}"), format!("rustc {rustc} (0000 2023-01-01)")];
        let path = path_with(stand_in.path(), &[("cargo", Some(&lines[0])), ("rustc", Some(&lines[1]))]);
        for (name, words) in
            [("check", &["format"][..]), ("demo", &["--once"]), ("bench", &[]), ("examples", &[]), ("planted", &[])]
        {
            let output = script(name).args(words).env("PATH", &path).output().unwrap();
            let said = said(&output);
            assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{name}: {said}");
            let old = if cargo == "1.999.0" { rustc } else { cargo };
            for word in [format!("is {old}, and Rust {} or newer is needed", least()), "https://rustup.rs".into()] {
                assert!(said.contains(&word), "{name}: {said}");
            }
        }
    }
}

#[test]
fn an_option_without_its_value_is_told() {
    let of_bench = ["--rounds", "--disk", "--output", "--rows"].map(|option| ("bench", option));
    for (name, option) in [("demo", "--durability")].into_iter().chain(of_bench) {
        let output = script(name).arg(option).output().unwrap();
        let sentence = format!("{name}: {option} needs a value; see --help\n");
        assert_eq!((output.status.code(), said(&output)), (Some(64), sentence));
    }
}

#[test]
fn a_comparison_wants_two_builds() {
    let (place, stand_in) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    program(stand_in.path(), "pushd", "exit 1");
    for (builds, why) in [
        (&[stand_in.path()][..], "scripts/bench compare"),
        (&[stand_in.path(), place.path()], "has no pushd and recvd"),
    ] {
        let output = script("bench").arg("compare").args(builds).output().unwrap();
        assert!(output.status.code() == Some(64) && said(&output).contains(why), "{}", said(&output));
    }
}

#[test]
fn a_rust_that_suffices_is_taken() {
    let stand_in = TempDir::new().unwrap();
    for version in [least() + ".0", "1.999.1-nightly".into(), "2.0.0".into()] {
        let lines = [format!("cargo {version}"), format!("rustc {version}")];
        let path = path_with(stand_in.path(), &[("cargo", Some(&lines[0])), ("rustc", Some(&lines[1]))]);
        let output = script("check").arg("format").env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn a_demo_that_is_refused_leaves_nothing_behind() {
    let place = TempDir::new().unwrap();
    let (source, file) = (place.path().join("source"), place.path().join("file"));
    fs::create_dir_all(source.join("in")).unwrap();
    fs::write(&file, "").unwrap();
    fs::write(place.path().join("source/in/kept"), "").unwrap();
    let names = || -> Vec<PathBuf> {
        let mut names: Vec<_> = walk(place.path());
        names.sort();
        names
    };
    let stand_in = TempDir::new().unwrap();
    let path = path_with(stand_in.path(), &[("cargo", Some("cargo 1.999.0")), ("rustc", Some("rustc 1.999.0"))]);
    let before = names();
    for (from, to, why) in [
        (source.join("none"), place.path().join("new"), "none is not a folder"),
        (source.clone(), source.join("new/deeper"), "is in the other"),
        (source.join("in"), source.clone(), "is in the other"),
        (source.clone(), source.clone(), "is in the other"),
        (source.clone(), file.clone(), "file is not a folder"),
        (source.clone(), file.join("new"), "file is not a folder"),
        (place.path().join("source/in"), place.path().join("source/in/../../new/../source"), "is in the other"),
    ] {
        let output = script("demo")
            .args(["--once"])
            .args([&from, &to])
            .env("PATH", &path)
            .env("TMPDIR", place.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(why), "{why}: {}", said(&output));
        assert_eq!(names(), before, "{} to {}", from.display(), to.display());
    }
}

#[test]
fn a_demo_that_does_not_start_leaves_no_folder_that_it_made() {
    let (place, stand_in) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir_all(place.path().join("source/in")).unwrap();
    fs::create_dir(place.path().join("there")).unwrap();
    // It builds, and what it has built fails.
    program(stand_in.path(), "cargo", "echo cargo 1.999.0");
    program(stand_in.path(), "rustc", "echo rustc 1.999.0");
    fs::create_dir(stand_in.path().join("release")).unwrap();
    for name in ["pushd", "recvd"] {
        program(&stand_in.path().join("release"), name, "echo no memory >&2; exit 71");
    }
    let before = walk(place.path());
    let mut demo = script("demo");
    demo.args(["--once".as_ref(), place.path().join("source").as_os_str()]).arg(place.path().join("there/new/deeper"));
    demo.env("PATH", path_from(stand_in.path())).env("CARGO_TARGET_DIR", stand_in.path()).env("TMPDIR", place.path());
    let output = demo.output().unwrap();
    assert!(!output.status.success() && said(&output).contains("no memory"), "{}", said(&output));
    assert_eq!(walk(place.path()), before);
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

/// `scripts/bare` with a home of our own, in which the toolchain is not.
fn bare(home: &Path, command: &str) -> Command {
    let mut bare = script("bare");
    let place = |name: &str, of_home: &str| {
        env::var_os(name).unwrap_or_else(|| Path::new(&env::var_os("HOME").unwrap_or_default()).join(of_home).into())
    };
    bare.env("CARGO_HOME", place("CARGO_HOME", ".cargo")).env("RUSTUP_HOME", place("RUSTUP_HOME", ".rustup"));
    bare.env("HOME", home).args(["sh", "-ec", command]);
    bare
}

#[test]
fn what_runs_bare_finds_the_project_and_the_toolchain_and_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("LEFT OUT: what_runs_bare_finds_the_project_and_the_toolchain_and_nothing_else needs root");
        return;
    }
    let place = TempDir::new().unwrap();
    let (home, file) = (place.path().join("home"), place.path().join("file"));
    fs::create_dir(&home).unwrap();
    fs::write(home.join("something"), "").unwrap();
    fs::write(&file, "").unwrap();
    let command = format!(
        "test ! -e {file} && test -z \"$(ls -A ~)\" && test -f {root}/Cargo.toml
        cargo --version && rustc --version && command -v apt-get >/dev/null
        echo left behind >~/new && mkdir {file} && mount -t tmpfs none {file} && mktemp
        exit 7",
        file = file.display(),
        root = env!("CARGO_MANIFEST_DIR"),
    );
    let output = bare(&home, &command).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(said(&output).contains("rustc 1."), "{}", said(&output));
    assert!(file.is_file() && !home.join("new").exists());
    let made = said(&output).lines().last().unwrap().to_string();
    assert!(!Path::new(&made).exists() && Path::new(&made).is_absolute(), "{made}");
}

#[test]
fn where_nothing_can_be_hidden_it_says_so_and_runs_the_command() {
    let place = TempDir::new().unwrap();
    let path = path_with(place.path(), &[("unshare", None)]);
    let command = format!("test -e {}/unshare && exit 7", place.path().display());
    let output = bare(place.path(), &command).env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(said(&output).contains("bare: on this machine as it is"), "{}", said(&output));
}

/// `scripts/planted` with a cargo that builds nothing, and ends each test as `told`.
fn planted(words: &[&str], told: &str, target: &Path) -> Output {
    let stand_in = TempDir::new().unwrap();
    let cases = format!("case \"$*\" in --version) echo cargo 1.999.0;; *--no-run*) ;; *) {told};; esac");
    program(stand_in.path(), "cargo", &cases);
    program(stand_in.path(), "rustc", "echo rustc 1.999.0");
    let mut planted = script("planted");
    planted.args(words).env("PATH", path_from(stand_in.path())).env("CARGO_TARGET_DIR", target);
    planted.output().unwrap()
}

#[test]
fn planted_bugs_are_found_missed_or_left_out_and_taken_out_again() {
    let target = TempDir::new().unwrap();
    let words = &["no-folder-flush", "no-data-flush"];
    for (told, code, word) in [
        ("echo test some::test ... FAILED; exit 1", 0, "found"),
        ("echo all is well", 1, "MISSED"),
        ("echo 'LEFT OUT: this needs root'", 0, "left out"),
    ] {
        let output = planted(words, told, target.path());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        let lines = said.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!(lines, 2, "{said}");
        let file = "common/sys/src/durable.rs";
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = target.path().join("planted/sources").join(file);
        assert_eq!(fs::read_to_string(copy).unwrap(), fs::read_to_string(root.join(file)).unwrap());
    }
    let output = planted(words, "echo 'error: no such thing'; exit 101", target.path());
    assert!(output.status.code() == Some(1) && said(&output).contains("no test has failed"), "{}", said(&output));
    let output = planted(&["none"], "", target.path());
    assert!(output.status.code() == Some(64) && said(&output).contains("there is no bug none"), "{}", said(&output));
}

#[test]
fn the_commit_chooses_two_planted_bugs_and_always_the_same() {
    let target = TempDir::new().unwrap();
    let found = |output: &Output| -> Vec<String> {
        let names = |line: &str| line.strip_prefix("found")?.split(':').next().map(|name| name.trim().to_string());
        said(output).lines().filter_map(names).collect()
    };
    let first = planted(&["--of-commit"], "echo test some::test ... FAILED; exit 1", target.path());
    let names = found(&first);
    assert!(first.status.success() && names.len() == 2 && names[0] != names[1], "{}", said(&first));
    assert_eq!(found(&planted(&["--of-commit"], "echo test some::test ... FAILED; exit 1", target.path())), names);
    // One that cannot be tested here is no reason to test fewer.
    let once = target.path().join("once");
    let told = format!(
        "if mkdir {}; then echo LEFT OUT: for a test; else echo test some::test ... FAILED; exit 1; fi",
        once.display()
    );
    let others = planted(&["--of-commit"], &told, target.path());
    let found = found(&others);
    assert!(found.len() == 2 && found[0] == names[1] && !found.contains(&names[0]), "{}", said(&others));
}
