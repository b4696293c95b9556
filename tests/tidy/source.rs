//! The sources of the project as the rules of `tidy.rs` read them: files, code without comments, strings and tests, and
//! the few shapes of Rust that the rules ask for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A Rust source file.
pub struct Source {
    /// From the root of the project.
    pub path: String,
    pub text: String,
    /// The text with comments, strings and test modules blanked out; the same lines.
    pub code: String,
}

impl Source {
    /// `proto`, `sys`, … or the name of a program.
    pub fn crate_name(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    pub fn is_test(&self) -> bool {
        let inside = self.path.split('/').any(|part| matches!(part, "tests" | "benches" | "fuzz"));
        inside || self.path.ends_with("/tests.rs")
    }

    /// The module within its crate, as names.
    pub fn module(&self) -> Vec<&str> {
        let skip = if self.path.starts_with("common/") { 3 } else { 2 };
        let mut parts: Vec<_> = self.path.split('/').skip(skip).collect();
        let last = parts.pop().unwrap_or_default();
        let last = last.strip_suffix(".rs").unwrap_or(last);
        if !matches!(last, "mod" | "lib" | "main") {
            parts.push(last);
        }
        parts
    }

    /// Numbers of the lines of code that have `word` as a whole word.
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        let holds = |line: &str| {
            line.match_indices(word).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + word.len()..].chars().next();
                let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !in_word(before) && !in_word(after)
            })
        };
        self.code.lines().enumerate().filter(|(_, line)| holds(line)).map(|(n, _)| n + 1).collect()
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the project beneath `folder` with one of these endings, without what builds leave behind.
pub fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let built = matches!(name.as_str(), "target" | ".git" | "corpus" | "artifacts");
                if !built {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

pub fn sources() -> Vec<Source> {
    ["bins", "common", "tests", "fuzz"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs"]))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            Source { path: relative(&path), code: without_tests(&blank(&text)), text }
        })
        .collect()
}

/// The sources of the programs and crates, without tests.
pub fn product() -> Vec<Source> {
    let ours = |s: &Source| s.path.starts_with("bins/") || s.path.starts_with("common/");
    let mut product: Vec<_> = sources().into_iter().filter(|s| ours(s) && !s.is_test()).collect();
    // A file for tests only is declared in code that is blanked out.
    let place = |s: &Source| [s.crate_name()].into_iter().chain(s.module()).map(String::from).collect::<Vec<_>>();
    let mut declared = BTreeSet::new();
    for source in &product {
        for after in source.code.split("mod ").skip(1).filter(|after| !first_word(after).is_empty()) {
            declared.insert([place(source), vec![first_word(after)]].concat());
        }
    }
    product.retain(|s| s.module().is_empty() || declared.contains(&place(s)));
    product
}

/// Blanks out comments and what stands in strings and characters.
pub fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut n = 0;
    while n < chars.len() {
        if let Some((_, end)) = no_code(&chars, n) {
            out.extend(chars[n..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            n = end;
        } else {
            out.push(chars[n]);
            n += 1;
        }
    }
    out
}

/// The strings of `text` as they are written, with the line that each begins in.
pub fn strings(text: &str) -> Vec<(usize, String)> {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut n, mut line) = (Vec::new(), 0, 1);
    while n < chars.len() {
        let (what, end) = no_code(&chars, n).unwrap_or((NoCode::Other, n + 1));
        if what == NoCode::Text {
            out.push((line, chars[n..end].iter().collect()));
        }
        line += chars[n..end].iter().filter(|c| **c == '\n').count();
        n = end;
    }
    out
}

#[derive(PartialEq, Eq)]
enum NoCode {
    Text,
    /// A comment or a character.
    Other,
}

/// What begins at `n`, if it is no code, and where it ends.
fn no_code(chars: &[char], n: usize) -> Option<(NoCode, usize)> {
    let rest = &chars[n..];
    match rest {
        ['/', '/', ..] => Some((NoCode::Other, n + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()))),
        ['/', '*', ..] => Some((NoCode::Other, find(chars, n + 2, &['*', '/']))),
        ['r', '"', ..] | ['r', '#', ..] if !word_before(chars, n) => {
            raw_string(chars, n).map(|end| (NoCode::Text, end))
        }
        ['"', ..] => Some((NoCode::Text, string(chars, n + 1))),
        ['\'', '\\', ..] => Some((NoCode::Other, find(chars, n + 3, &['\'']))),
        ['\'', _, '\'', ..] => Some((NoCode::Other, n + 3)),
        _ => None,
    }
}

fn word_before(chars: &[char], n: usize) -> bool {
    n > 0 && (chars[n - 1].is_alphanumeric() || chars[n - 1] == '_')
}

fn find(chars: &[char], from: usize, what: &[char]) -> usize {
    (from..chars.len()).find(|n| chars[*n..].starts_with(what)).map_or(chars.len(), |n| n + what.len())
}

fn string(chars: &[char], mut n: usize) -> usize {
    while n < chars.len() && chars[n] != '"' {
        n += if chars[n] == '\\' { 2 } else { 1 };
    }
    (n + 1).min(chars.len())
}

fn raw_string(chars: &[char], n: usize) -> Option<usize> {
    let hashes = chars[n + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(n + 1 + hashes) != Some(&'"') {
        return None;
    }
    let mut end = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    Some(find(chars, n + 2 + hashes, &end))
}

/// Blanks out every `#[cfg(test)]` item that has a body.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_string();
    while let Some(start) = out.find("#[cfg(test)]") {
        let rest = &out[start..];
        let end = match (rest.find('{'), rest.find(';')) {
            (Some(open), semicolon) if semicolon.is_none_or(|at| open < at) => {
                let mut depth = 0;
                rest[open..]
                    .char_indices()
                    .find(|(_, c)| {
                        depth += i32::from(*c == '{') - i32::from(*c == '}');
                        depth == 0
                    })
                    .map_or(rest.len(), |(at, _)| open + at + 1)
            }
            (_, Some(semicolon)) => semicolon + 1,
            _ => rest.len(),
        };
        let blanked: String = rest[..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..start + end, &blanked);
    }
    out
}

pub fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first words of the items of `a::b, c::{d, e}}…`, up to the brace that ends it.
pub fn top_level_items(group: &str) -> Vec<String> {
    let (mut depth, mut items, mut item) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {}
        }
        if c != ',' {
            item.push(c);
        }
    }
    items.push(item);
    items.iter().map(|item| first_word(item)).filter(|word| !word.is_empty()).collect()
}

/// The variants of the enum `name` in `code`.
pub fn variants(code: &str, name: &str) -> Vec<String> {
    let Some((_, body)) = code.split_once(&format!("enum {name} {{")) else { return Vec::new() };
    let mut items = top_level_items(&without_attributes(body));
    items.retain(|item| item.chars().next().is_some_and(char::is_uppercase));
    items
}

fn without_attributes(code: &str) -> String {
    code.lines().filter(|line| !line.trim_start().starts_with("#[")).collect::<Vec<_>>().join("\n")
}
