//! Nothing leans on what one machine happens to have: on its folders, or on a toolchain that others do not have.

use std::collections::BTreeSet;
use std::fs;

use super::report;
use super::source::{Source, root, sources, strings};

/// Folders at the top in which each machine has something else. What stands in `/proc`, `/sys`, `/dev`, `/etc`, `/run`,
/// `/srv` and `/usr` in our strings is the kernel's, or is text that nothing opens: configurations and targets of links.
const OF_A_MACHINE: [&str; 13] =
    ["tmp", "var", "home", "root", "mnt", "media", "opt", "work", "workspace", "data", "scratch", "build", "builds"];

/// Where our daemons keep their state by default, on every machine.
const OURS: [&str; 2] = [concat!("/va", "r/lib/pushd"), concat!("/va", "r/lib/recvd")];

/// The absolute paths in the strings of `text` that lead into a folder of a machine, with their lines.
fn paths_of_a_machine(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, string) in strings(text) {
        for (at, _) in string.match_indices('/') {
            let before = string[..at].chars().next_back();
            let path: String =
                string[at..].chars().take_while(|c| !c.is_whitespace() && !"\"'`,;)]".contains(*c)).collect();
            let within = before.is_some_and(|c| c.is_alphanumeric() || "/.-_*~}:".contains(c));
            if !within && leads_into_a_machine(&path) && !OURS.contains(&path.as_str()) {
                found.push((line, path));
            }
        }
    }
    found
}

fn leads_into_a_machine(path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').split('/');
    let top = parts.next().unwrap_or_default();
    // The folder of shared memory is the kernel's, what stands in it is not.
    OF_A_MACHINE.contains(&top) || (top == "dev" && parts.next() == Some("shm") && parts.next().is_some())
}

#[test]
fn no_source_names_a_folder_of_a_machine() {
    let mut found = Vec::new();
    for source in sources() {
        let paths = paths_of_a_machine(&source.text);
        found.extend(paths.into_iter().map(|(line, path)| format!("{}:{line}: {path}", source.path)));
    }
    report("a folder that only some machine has; tests take a scratch folder", found);
}

#[test]
fn a_folder_of_a_machine_is_found_wherever_it_stands_in_a_string() {
    // In two pieces, so that this file does not name them.
    let named = |path: &str| path.replace('@', "/");
    for (code, path) in [
        (r#"fs::copy(pair.backup.join("database"), "@tmp/mb/old.bin").unwrap();"#, "@tmp/mb/old.bin"),
        (r#"symlink("@tmp", &path)"#, "@tmp"),
        (r##"let config = r#"path = "@home/me/www""#;"##, "@home/me/www"),
        (r#"sh(&["-c", "echo >@var/tmp/x; true"])"#, "@var/tmp/x"),
        (r#"create_dir("@dev/shm/one")"#, "@dev/shm/one"),
        (r#"format!("--dir=@root/{}", 1)"#, "@root/{}"),
    ] {
        let code = format!("// a line\n{}\n", named(code));
        assert_eq!(paths_of_a_machine(&code), [(2, named(path))], "{code}");
    }
    for code in [
        r#"// as in @tmp/mb"#,
        r#"open("@dev/shm"); open("@proc/self/fd/3"); symlink("@etc/passwd", at)"#,
        r#"path.join("a@tmp/b"); format!("{}@home", 1); "https:@@data/x"; "@temporary""#,
    ] {
        assert_eq!(paths_of_a_machine(&named(code)), [], "{code}");
    }
}

/// What every Debian has.
const EVERYWHERE: [&str; 5] = ["cp", "rm", "sh", "sleep", "true"];

/// The programs that tests run by name: `Command::new("rsync")`, or the first word of a command line,
/// `vec!["unshare", "-U"]`.
fn programs(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (before, after) in [("Command::new(\"", "\")"), ("vec![\"", "\", \"-")] {
        for rest in source.text.split(before).skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
            if !name.is_empty() && rest[name.len()..].starts_with(after) {
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn every_program_that_tests_run_is_installed_by_check() {
    let check = fs::read_to_string(root().join("scripts/check")).unwrap();
    let packages = check.split("step_packages() {").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
    let installed: BTreeSet<&str> = packages.split_whitespace().collect();
    let (mut found, mut seen) = (Vec::new(), 0);
    for source in sources() {
        for program in programs(&source) {
            seen += 1;
            if !installed.contains(&*program) && !EVERYWHERE.contains(&&*program) {
                found.push(format!("{}: {program}", source.path));
            }
        }
    }
    assert!(seen > 5, "found only {seen} programs");
    report("what tests run and not every machine has stands in the step packages of scripts/check", found);
}
