//! The house rules that a machine can check, on the text of the sources. Each rule is one test, and each complaint names
//! file and line.
#![allow(missing_docs, clippy::print_stderr)]

use std::fs;
use std::process::Command;

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/displacement.rs"]
mod displacement;
#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/machine.rs"]
mod machine;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/outside.rs"]
mod outside;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use source::{Source, blank, files, product, relative, root, sources, variants, without_tests};

/// Fails with all complaints at once.
fn report(rule: &str, complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{rule}:\n  {}\n", complaints.join("\n  "));
}

/// `path:line` of every line of code with one of `words`, in the sources that `guarded` chooses.
fn forbid(words: &[&str], guarded: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in product().iter().filter(|s| guarded(s)) {
        for word in words {
            found.extend(source.lines_with(word).into_iter().map(|line| format!("{}:{line}: {word}", source.path)));
        }
    }
    found
}

#[test]
fn only_sys_touches_kernel_and_disk() {
    let mut found = forbid(&["std::fs", "tokio::fs", "rustix", "libc"], |s| s.crate_name() != "sys");
    // Modules of ours are called inotify too, so the crate of that name is looked for where it would have to be named.
    for manifest in files(".", &["Cargo.toml"]).iter().filter(|path| !path.ends_with("sys/Cargo.toml")) {
        let text = fs::read_to_string(manifest).unwrap();
        if text.lines().any(|line| line.starts_with("inotify.")) {
            found.push(format!("{}: inotify", relative(manifest)));
        }
    }
    // `use std::{fs, io}`, in one line or several.
    for source in product().iter().filter(|s| s.crate_name() != "sys") {
        for group in source.code.split("use std::{").skip(1) {
            let group = group.split("};").next().unwrap_or_default();
            let names = group.split([',', '{', '}', ' ', '\n']).any(|part| part == "fs" || part.starts_with("fs::"));
            if names {
                found.push(format!("{}: use std::{{fs}}", source.path));
            }
        }
    }
    report("only sys may use the file system, rustix, libc and inotify", found);
}

#[test]
fn only_link_names_rustls() {
    let words = ["rustls", "tokio_rustls", "rustls_native_certs"];
    let mut found = forbid(&words, |s| s.crate_name() != "link");
    for manifest in files("common", &["Cargo.toml"]) {
        let text = fs::read_to_string(&manifest).unwrap();
        if text.contains("rustls") && !manifest.ends_with("link/Cargo.toml") {
            found.push(format!("{}: rustls", relative(&manifest)));
        }
    }
    report("only link may name rustls", found);
}

#[test]
fn crates_use_only_what_stands_to_their_left() {
    const LINE: [&str; 5] = ["proto", "sys", "engine", "link", "kit"];
    let mut found = Vec::new();
    for (place, name) in LINE.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(format!("common/{name}/Cargo.toml"))).unwrap();
        let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for later in &LINE[place..] {
            let named = |line: &str| line.starts_with(&format!("{later}.")) || line.starts_with(&format!("{later} "));
            if normal.lines().any(named) {
                found.push(format!("{name} depends on {later}"));
            }
        }
    }
    report("proto < sys < engine < link < kit < bins", found);
}

#[test]
fn nothing_unsafe_outside_sys() {
    let mut found = forbid(&["unsafe"], |s| s.crate_name() != "sys");
    for source in product() {
        let top = source.path.ends_with("/src/lib.rs") || source.path.ends_with("/main.rs");
        if top && source.crate_name() != "sys" && !source.code.contains("#![forbid(unsafe_code)]") {
            found.push(format!("{}: does not forbid unsafe code", source.path));
        }
    }
    for source in product().iter().filter(|s| s.crate_name() == "sys") {
        for line in source.lines_with("unsafe") {
            let above: Vec<_> = source.text.lines().take(line).collect();
            let explained = above.iter().rev().take(6).any(|l| l.contains("SAFETY:"));
            let attribute = above.last().is_some_and(|l| l.trim_start().starts_with("#"));
            if !explained && !attribute {
                found.push(format!("{}:{line}: no SAFETY: comment", source.path));
            }
        }
    }
    report("unsafe only in sys, and explained", found);
}

#[test]
fn only_main_ends_the_process() {
    report("process::exit only in main.rs", forbid(&["process::exit", "abort"], |s| !s.path.ends_with("/main.rs")));
}

#[test]
fn nothing_is_left_to_do_and_nothing_taken_for_granted() {
    let mut found = forbid(&["todo!", "unimplemented!", "dbg!", "FIXME", "XXX"], |_| true);
    found.extend(forbid(&["anyhow", "eyre"], |_| true));
    for source in sources() {
        for (n, line) in source.text.lines().enumerate() {
            let left = [["TO", "DO"], ["FIX", "ME"]].iter().any(|word| line.contains(&word.concat()));
            if left && !source.path.ends_with("tidy.rs") {
                found.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    report("no unfinished work", found);
}

#[test]
fn no_path_of_a_machine_and_no_word_that_is_not_the_projects() {
    // In two pieces, so that this file does not hold them.
    let words =
        [["/wo", "rk/"], [".lib", "rary/"], ["/tm", "p/target"], ["clau", "de"], ["chat", "gpt"], ["co", "pilot"]];
    let here = root().display().to_string();
    let mut found = Vec::new();
    for path in files(
        ".",
        &[
            ".rs", ".md", ".toml", ".sh", ".yml", ".service", ".1", ".5", ".8", "demo", "check", "bench", "bare",
            "examples", "planted", "run",
        ],
    ) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (n, line) in text.lines().enumerate() {
            let low = line.to_lowercase();
            if line.contains(&here) || words.iter().any(|word| low.contains(&word.concat())) {
                found.push(format!("{}:{}: {}", relative(&path), n + 1, line.trim()));
            }
        }
    }
    report("nothing of the machine on which it was written", found);
}

#[test]
fn the_specification_names_every_message() {
    let specification = fs::read_to_string(root().join("common/proto/PROTOCOL.md")).unwrap();
    let mut found = Vec::new();
    let mut names: Vec<String> = ["Hello", "Welcome", "Login", "Open", "Opened"].map(String::from).into();
    for (file, enums) in [("message.rs", &["ToReceiver", "ToSender", "Outcome"][..]), ("login.rs", &["Refusal"])] {
        let text = fs::read_to_string(root().join("common/proto/src").join(file)).unwrap();
        let code = without_tests(&blank(&text));
        for name in enums {
            let variants = variants(&code, name);
            assert!(variants.len() > 3, "found only {variants:?} of {name}");
            names.extend(variants);
        }
    }
    for name in names {
        if !specification.split(|c: char| !c.is_alphanumeric()).any(|word| word == name) {
            found.push(name);
        }
    }
    report("PROTOCOL.md must name every message", found);
}

#[test]
fn each_planted_bug_can_still_be_planted() {
    let mut found = Vec::new();
    for patch in files("tests/planted", &["patch"]) {
        // Whoever owns the clone.
        let tried = Command::new("git")
            .args(["-c", "safe.directory=*", "apply", "--check"])
            .arg(&patch)
            .current_dir(root())
            .output()
            .unwrap();
        if !tried.status.success() {
            found.push(format!("{}: {}", relative(&patch), String::from_utf8_lossy(&tried.stderr).trim()));
        }
    }
    report("what a patch would change has changed: make it anew, and run scripts/planted", found);
}
