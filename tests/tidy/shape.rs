//! How a source file looks: it says at the top what it is, is short, has no overlong line, and its docs say more than names.

use super::report;
use super::source::{Source, product, sources};

/// Lines that a file may have without a reason. One with a line `//! LONG: reason` in its header may have a quarter more.
const LONG: usize = 400;
const LONGEST: usize = 500;
/// Characters that a line may have: rustfmt keeps code at 120, a comment or a string may stand out a little.
const LONGEST_LINE: usize = 128;
/// A doc comment of so many words says no more than the name, unless it says a unit or a number.
const FEW_WORDS: usize = 3;
const UNITS: [&str; 8] = ["byte", "bit", "second", "minute", "hour", "nanosecond", "microsecond", "millisecond"];

#[test]
fn files_have_a_header_and_a_size() {
    let mut found = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let reason = reason(&source.text);
        match lines {
            LONGEST.. if lines > LONGEST => found.push(format!("{}: {lines} lines, at most {LONGEST}", source.path)),
            _ if lines > LONG && reason.is_none() => {
                found.push(format!("{}: {lines} lines; beyond {LONG} its header needs a LONG: reason", source.path));
            }
            _ if lines <= LONG && reason.is_some() => found.push(format!("{}: LONG, and is not", source.path)),
            _ => {}
        }
        if !source.is_test() && !source.text.starts_with("//!") && !source.text.starts_with("#![") {
            found.push(format!("{}: no header that says what it is", source.path));
        }
        for (n, line) in source.text.lines().enumerate() {
            if line.chars().count() > LONGEST_LINE && !line.contains("r#\"") && !line.contains("http") {
                found.push(format!("{}:{}: {} characters", source.path, n + 1, line.chars().count()));
            }
        }
    }
    report("files have a header, no overlong line, and 400 lines or a reason", found);
}

/// Why a file is long, by its header.
fn reason(text: &str) -> Option<&str> {
    let mut header = text.lines().take_while(|line| line.starts_with("//!"));
    header.find_map(|line| line.strip_prefix("//! LONG: ")).filter(|reason| !reason.trim().is_empty())
}

#[test]
fn docs_say_more_than_the_name() {
    let mut found = Vec::new();
    // What stands on commands and options is what --help says.
    for source in product().iter().filter(|source| !source.path.ends_with("/cli.rs")) {
        found.extend(short_docs(source).into_iter().map(|(line, text)| format!("{}:{line}: {text}", source.path)));
    }
    report("a doc comment says a unit, a bound, an error or a reason, or goes", found);
}

/// Doc comments of few words on what is not for tests only, by their lines.
fn short_docs(source: &Source) -> Vec<(usize, String)> {
    let (mut found, mut said, mut began) = (Vec::new(), String::new(), 0);
    for (n, (line, code)) in source.text.lines().zip(source.code.lines()).enumerate() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            began = if said.is_empty() { n + 1 } else { began };
            said += doc;
            said += " ";
            continue;
        }
        // What an item for tests only has is blanked out.
        if !said.is_empty() && !line.starts_with("#[") && !line.starts_with("//") {
            if !code.trim().is_empty() && says_little(&said) {
                found.push((began, said.trim().to_string()));
            }
            said.clear();
        }
    }
    found
}

fn says_little(doc: &str) -> bool {
    let has_unit = doc.to_lowercase().split(|c: char| !c.is_alphabetic()).any(|word| {
        let one = word.strip_suffix('s').unwrap_or(word);
        UNITS.contains(&one)
    });
    doc.split_whitespace().count() <= FEW_WORDS && !has_unit && !doc.contains(|c: char| c.is_ascii_digit())
}

#[test]
fn docs_of_few_words_are_found_where_they_stand() {
    let text = "/// Which.\nstruct A {\n    /// In seconds, at\n    /// most 9.\n    b: u8,\n}\n\
                /// It does.\n#[must_use]\nfn c() {}\n#[cfg(test)]\nmod tests {\n    /// It is.\n    fn d() {}\n}\n\
                /// Bytes of content.\nconst E: u64 = 9;\n/// 1..=9.\nconst F: u64 = 9;\n";
    let code = super::source::without_tests(&super::source::blank(text));
    let source = Source { path: String::new(), text: text.into(), code };
    assert_eq!(short_docs(&source), [(1, "Which.".to_string()), (7, "It does.".to_string())]);
}
