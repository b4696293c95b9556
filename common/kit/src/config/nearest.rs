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

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn edits(left: &str, right: &str) -> usize {
    strsim::osa_distance(begin(left), begin(right))
}

/// The first 64 characters: the time that a comparison takes grows with the lengths of both words, and the word is whatever
/// stands in the file.
fn begin(word: &str) -> &str {
    word.char_indices().nth(64).map_or(word, |(at, _)| &word[..at])
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
