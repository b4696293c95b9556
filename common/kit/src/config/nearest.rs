//! The nearest valid word to a mistyped one.

/// The word of `known` that `word` was most likely meant to be, or `None` when none is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = begin(word);
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

/// How many typing mistakes lie between the two words, where they are few enough to suggest the word. A word with which the
/// other begins (`password`, `password_file`) is near too, but less than any with typing mistakes only.
fn near(word: &str, candidate: &str, allowed: usize) -> Option<usize> {
    let distance = strsim::osa_distance(&word.to_lowercase().replace('-', "_"), candidate);
    if distance <= allowed {
        return Some(distance);
    }
    let (short, long) = if word.len() < candidate.len() { (word, candidate) } else { (candidate, word) };
    (short.len() >= 3 && long.starts_with(short)).then_some(allowed + distance)
}

/// The first 64 characters: the time that a comparison takes grows with the lengths of both words, and the word is whatever
/// stands in the file.
fn begin(word: &str) -> &str {
    word.char_indices().nth(64).map_or(word, |(at, _)| &word[..at])
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggestions() {
        let known = ["path", "targets", "delete", "max_delete", "password_file", "ca_file"];
        for (word, want) in [
            ("pth", Some("path")),
            ("Path", Some("path")),
            ("paht", Some("path")),
            ("target", Some("targets")),
            ("max-delete", Some("max_delete")),
            ("password", Some("password_file")),
            ("bandwidth", None),
            ("x", None),
            ("", None),
            (&"x".repeat(100_000), None),
        ] {
            assert_eq!(nearest(word, known), want, "{word}");
        }
    }
}
