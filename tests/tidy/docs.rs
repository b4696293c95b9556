//! What users can touch stands in the documents: every key of the configuration in an example and in README or a man
//! page, every command and option in README or a man page.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::report;
use super::source::{blank, files, product, relative, root, without_tests};

/// Calls with which the configuration is read; their first argument is the key.
const READERS: [&str; 9] = [
    ".or(",
    ".require(",
    ".require::<",
    ".take(",
    ".take::<",
    ".table(",
    ".require_table(",
    ".tables(",
    "at_least_one(",
];

/// The keys that `program` knows, from the sources of its configuration.
fn keys(program: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let prefix = format!("bins/{program}/config");
    for source in product().iter().filter(|s| s.path.starts_with(&prefix)) {
        // Strings are blanked in the code, so the text is searched where the code still has the call.
        let text = without_tests_of(&source.text);
        for reader in READERS.iter().chain(&["flag("]) {
            for after in text.split(reader).skip(1) {
                let argument = match reader.ends_with('<') {
                    true => after.split_once(">(").map_or("", |(_, rest)| rest),
                    false => after,
                };
                let argument = argument.trim_start_matches("table,").trim_start_matches("root,").trim_start();
                if let Some(key) = argument.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                    let fits = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                    out.extend(fits.then(|| key.to_string()));
                }
            }
        }
    }
    out
}

/// The text up to its test module.
fn without_tests_of(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// README and the man pages in one.
fn manual() -> String {
    let pages = files("etc", &[".1", ".5", ".8"]).into_iter().chain(files("man", &[".1", ".5", ".8", ".md"]));
    let readme = fs::read_to_string(root().join("README.md")).unwrap_or_default();
    // Man pages write a hyphen as `\-`.
    pages
        .map(|page| fs::read_to_string(page).unwrap_or_default().replace("\\-", "-"))
        .fold(readme, |all, page| all + &page)
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').any(|part| part == word)
}

#[test]
fn every_key_is_in_the_example_and_in_the_manual() {
    let manual = manual();
    if manual.is_empty() {
        eprintln!("LEFT OUT: there is no README.md yet");
        return;
    }
    let mut found = Vec::new();
    for program in ["pushd", "recvd"] {
        let keys = keys(program);
        assert!(keys.len() > 12, "found only {keys:?} of {program}");
        let examples = files("etc", &[".toml"]);
        let example: String = examples
            .iter()
            .filter(|path| relative(path).contains(program))
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .collect();
        for key in &keys {
            if !has_word(&example, key) {
                found.push(format!("{program}: {key} is not in the example in etc/"));
            }
            if !has_word(&manual, key) && !has_word(&example, key) {
                found.push(format!("{program}: {key} is in no document"));
            }
        }
    }
    report("every key of the configuration is documented", found);
}

#[test]
fn every_command_and_option_is_in_the_manual() {
    let manual = manual();
    if manual.is_empty() {
        eprintln!("LEFT OUT: there is no README.md yet");
        return;
    }
    let mut found = Vec::new();
    for program in ["pushd", "recvd"] {
        for source in product().iter().filter(|s| s.path == format!("bins/{program}/cli.rs")) {
            let (mut flag, mut options) = (None, 0);
            for line in without_tests_of(&source.text).lines().map(str::trim) {
                if let Some(attributes) = line.strip_prefix("#[arg(") {
                    flag = attributes.contains("long").then(|| attributes.split("long = \"").nth(1));
                } else if let (Some(spelt), Some(field)) = (flag, line.strip_prefix("pub ")) {
                    // Spelt out in the attribute, or as the field is.
                    let name = spelt.map_or_else(|| field.split(':').next(), |name| name.split('"').next());
                    let option = format!("--{}", name.unwrap_or_default().replace('_', "-"));
                    if !manual.contains(&option) {
                        found.push(format!("{program}: {option}"));
                    }
                    (flag, options) = (None, options + 1);
                }
            }
            assert!(options > 3, "found only {options} options in {}", source.path);
            let code = without_tests(&blank(&source.text));
            let commands =
                code.split("pub enum Command {").nth(1).and_then(|c| c.split('}').next()).unwrap_or_default();
            for command in commands.split(',').map(super::source::first_word).filter(|c| !c.is_empty()) {
                let spelt = format!("{program} {}", command.to_lowercase());
                // Its second name: pushctl, recvctl.
                let second = format!("{}ctl {}", &program[..4], command.to_lowercase());
                if !manual.contains(&spelt) && !manual.contains(&second) {
                    found.push(spelt);
                }
            }
        }
    }
    report("every command and option is documented", found);
}

#[test]
fn man_pages_are_set_without_a_warning() {
    let mut found = Vec::new();
    for page in files("etc/man", &[".5", ".8"]) {
        let Ok(set) = Command::new("groff").args(["-t", "-man", "-Tutf8", "-ww"]).arg(&page).output() else {
            eprintln!("LEFT OUT: man_pages_are_set_without_a_warning needs groff");
            return;
        };
        if !set.stderr.is_empty() {
            found.push(String::from_utf8_lossy(&set.stderr).into_owned());
        }
    }
    report("groff complains of nothing in a man page", found);
}
