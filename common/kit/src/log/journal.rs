//! Priorities for the journal of systemd: `<N>` before a line says how grave it is (sd-daemon(3)); the journal takes it
//! off. Only where stderr is the journal's stream, as others would show it.

use std::sync::LazyLock;

use tracing::Level;

/// Whether stderr is a stream of the journal: the service manager says which one it has opened, and stderr may have been
/// led elsewhere since.
pub(super) fn is_stderr() -> bool {
    static IS: LazyLock<bool> = LazyLock::new(|| {
        let stream = std::env::var("JOURNAL_STREAM").ok();
        stream.and_then(|text| parse(&text)).is_some_and(|stream| sys::stderr::identity() == Some(stream))
    });
    *IS
}

/// Reads `device:inode`, both decimal.
fn parse(stream: &str) -> Option<(u64, u64)> {
    let (device, inode) = stream.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

/// The lines of one message, each with its priority: the journal makes an entry of each line.
pub(super) fn with_priority(level: Level, lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() + 8);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(priority(level));
        out.extend_from_slice(line);
    }
    out
}

/// As in syslog(3): err, warning, info and debug.
fn priority(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        Level::DEBUG | Level::TRACE => b"<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_priority() {
        assert_eq!(with_priority(Level::WARN, b"one\ntwo\n"), b"<4>one\n<4>two\n");
        assert_eq!(with_priority(Level::ERROR, b"{}\n"), b"<3>{}\n");
        assert_eq!(with_priority(Level::INFO, b""), b"");
    }

    #[test]
    fn a_stream_is_a_device_and_an_inode() {
        assert_eq!(parse("9:12345"), Some((9, 12345)));
        for wrong in ["", "9", "9:", ":9", "a:9"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
