//! How names, paths and words of a peer look wherever they are shown: in logs, the status, reports. They come from others,
//! and may be long: escaped, and cut in the middle, where a path says least.

use std::fmt;

/// Longest name or path that is shown, in bytes of what is shown.
pub const SHOWN: usize = 512;

/// Stands for what was cut.
const CUT: &str = "…";

/// Most bytes that one byte becomes when it is escaped: `\u{1b}`.
const WIDEST: usize = 6;

/// Bytes as they are shown: see [`escape`], and at most [`SHOWN`] bytes.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(bytes) = self;
        if bytes.len() <= SHOWN / WIDEST {
            return escape(bytes, f);
        }
        if bytes.len() <= SHOWN {
            let mut whole = String::with_capacity(SHOWN);
            escape(bytes, &mut whole)?;
            if whole.len() <= SHOWN {
                return f.write_str(&whole);
            }
        }
        let half = (SHOWN - CUT.len()) / 2;
        let (head, tail) = (pieces(begin(bytes, half)), pieces(end(bytes, half)));
        head.iter().take(fitting(head.iter(), half)).try_for_each(|piece| f.write_str(piece))?;
        f.write_str(CUT)?;
        tail[tail.len() - fitting(tail.iter().rev(), half)..].iter().try_for_each(|piece| f.write_str(piece))
    }
}

/// The first `most` bytes, and the rest of a character that is begun.
fn begin(bytes: &[u8], most: usize) -> &[u8] {
    let rest = &bytes[most.min(bytes.len())..];
    &bytes[..most.min(bytes.len()) + broken(rest)]
}

/// The last `most` bytes, less those of a character that begins before.
fn end(bytes: &[u8], most: usize) -> &[u8] {
    let end = &bytes[bytes.len().saturating_sub(most)..];
    &end[broken(end)..]
}

/// Bytes of a character that has begun before these.
fn broken(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count()
}

/// What each character, or byte that belongs to none, becomes.
fn pieces(bytes: &[u8]) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut add = |bytes: &[u8]| {
        let mut piece = String::new();
        // Writing to a String cannot fail.
        let _ = escape(bytes, &mut piece);
        pieces.push(piece);
    };
    for chunk in bytes.utf8_chunks() {
        let mut utf8 = [0; 4];
        chunk.valid().chars().for_each(|c| add(c.encode_utf8(&mut utf8).as_bytes()));
        chunk.invalid().chunks(1).for_each(&mut add);
    }
    pieces
}

/// How many of the pieces have at most `most` bytes together.
fn fitting<'a>(pieces: impl Iterator<Item = &'a String>, most: usize) -> usize {
    let mut bytes = 0;
    pieces
        .take_while(|piece| {
            bytes += piece.len();
            bytes <= most
        })
        .count()
}

/// Shows `bytes` with control characters, bidirectional controls and invalid UTF-8 escaped, so that a name from a peer
/// cannot forge a log line or drive a terminal.
pub fn escape(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.write_str("\\\\")?;
            } else if is_hostile(c) {
                write!(out, "{}", c.escape_unicode())?;
            } else {
                out.write_char(c)?;
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// Control characters, line separators and bidirectional controls: what can forge a log line or drive a terminal.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        Shown(bytes).to_string()
    }

    #[test]
    fn what_fits_is_whole() {
        let mut escaped = String::new();
        escape(b"a\x1b/\xff", &mut escaped).unwrap();
        assert_eq!(shown(b"a\x1b/\xff"), escaped);
        for long in [vec![b'x'; SHOWN], "ж".repeat(SHOWN / 2).into_bytes()] {
            assert_eq!(shown(&long).as_bytes(), long);
        }
    }

    #[test]
    fn what_is_long_shows_how_it_begins_and_ends() {
        let path = [&b"begin/"[..], &b"folder/".repeat(9000), b"end"].concat();
        let text = shown(&path);
        assert!(text.len() <= SHOWN && text.len() > SHOWN - 4, "{}", text.len());
        assert!(text.starts_with("begin/folder/") && text.ends_with("/folder/end") && text.contains(CUT), "{text}");
    }

    #[test]
    fn no_bytes_pass_the_bound_and_no_character_is_broken() {
        for (unit, piece) in
            [(&b"\x1b"[..], "\\u{1b}"), (b"\xff", "\\xff"), ("€".as_bytes(), "€"), ("🐧".as_bytes(), "🐧")]
        {
            for times in [85, 86, 128, 129, 171, 512, 513, 60_000] {
                let text = shown(&unit.repeat(times));
                assert!(text.len() <= SHOWN, "{} bytes", text.len());
                let rest = text.replace(piece, "");
                assert!(rest.is_empty() || rest == CUT, "{rest}");
            }
        }
    }
}
