//! The nearest valid word to a mistyped one.

/// The word of `known` that `word` was most likely meant to be, or `None` when none is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let Some(distance) = near(word, candidate, allowed) else { continue };
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The distance, where it is small enough to suggest the word. One word at the start of the other (`password`,
/// `password_file`) counts as near, after all typing mistakes.
fn near(word: &str, candidate: &str, allowed: usize) -> Option<usize> {
    let distance = edits(&word.to_lowercase().replace('-', "_"), candidate);
    if distance <= allowed {
        return Some(distance);
    }
    let (short, long) = if word.len() < candidate.len() { (word, candidate) } else { (candidate, word) };
    (short.len() >= 3 && long.starts_with(short)).then_some(allowed + distance)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. Words are cut at 64
/// characters, so a hostile key costs nothing.
fn edits(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(l != r);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn distances() {
        for (left, right, want) in
            [("path", "path", 0), ("pth", "path", 1), ("paht", "path", 1), ("", "abc", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(edits(left, right), want, "{left} {right}");
        }
    }

    #[test]
    fn suggestions() {
        let known = ["path", "targets", "delete", "max_delete", "password_file", "ca_file"];
        for (word, want) in [
            ("pth", Some("path")),
            ("Path", Some("path")),
            ("target", Some("targets")),
            ("max-delete", Some("max_delete")),
            ("password", Some("password_file")),
            ("bandwidth", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), want, "{word}");
        }
    }
}
