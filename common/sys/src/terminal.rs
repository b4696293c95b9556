//! Asking a person for a password without showing it.
//!
//! Used by `recvd passwd`. Reads the controlling terminal itself, so that it works with stdin and stdout redirected.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr};

/// Longest line taken, in bytes: more than any password that the wire can carry.
const LONGEST: usize = 4096;

/// Whether stdin is a terminal.
pub fn stdin_is_terminal() -> bool {
    isatty(io::stdin())
}

/// Shows `prompt` on the terminal and reads one line, without its end, that is not shown. The caller wipes it.
///
/// # Errors
/// Of the operating system, so `NotFound` or `ENXIO` without a terminal; `Interrupted` for Ctrl-C; `UnexpectedEof` for
/// Ctrl-D or a terminal that went away.
pub fn read_password(prompt: &str) -> io::Result<Vec<u8>> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let quiet = Quiet::new(&terminal)?;
    (&terminal).write_all(prompt.as_bytes())?;
    let line = read_line(&terminal);
    drop(quiet);
    (&terminal).write_all(b"\n")?;
    line
}

/// A terminal that gives each key as it comes and shows none; restored when dropped. Ctrl-C comes as a key, so that the
/// terminal is never left mute.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Quiet<'_> {
    fn new(terminal: &File) -> io::Result<Quiet<'_>> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        // What was typed ahead is dropped: it was shown.
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Quiet { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn read_line(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(LONGEST);
    let mut key = [0];
    loop {
        match from.read(&mut key) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match key[0] {
            b'\n' | b'\r' => return Ok(line),
            // Ctrl-C, Ctrl-D, Ctrl-U, backspace (of a whole character).
            0x03 => return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted")),
            0x04 => return Err(io::ErrorKind::UnexpectedEof.into()),
            0x15 => line.clear(),
            0x08 | 0x7f => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            _ if line.len() == LONGEST => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the line is longer than 4096 bytes"));
            }
            byte => line.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_a_line() {
        assert_eq!(read_line(&b"passs\x7fword\n"[..]).unwrap(), b"password");
        assert_eq!(read_line("ä€\u{7f}x\r".as_bytes()).unwrap(), "äx".as_bytes());
        assert_eq!(read_line(&b"wrong\x15right\n"[..]).unwrap(), b"right");
        assert_eq!(read_line(&b"x\x03"[..]).unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(read_line(&b"x"[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
