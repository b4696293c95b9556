//! Notes in a stage folder of modes that entries of the module have to get back: written before the mode is changed, and read
//! by the sweep after a crash. A note is a symbolic link, which is whole or not there: its text is the mode, the inode number
//! and the paths at which the entry may stand.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use proto::RelPath;
use rustix::fs::RawMode;

use crate::dir::Dir;
use crate::moves::chmod;
use crate::stat::Stat;
use crate::{listing, process, resolve};

/// How the names of notes begin; those of temporaries are numbers.
pub(super) const NAME: &str = "wide-";

/// What a note says.
pub(super) fn text(mode: RawMode, ino: u64, paths: &[&RelPath]) -> Vec<u8> {
    let mut text = format!("{mode:o} {ino} ").into_bytes();
    // No path has an empty name in it.
    text.extend(paths.iter().map(|path| path.as_bytes()).collect::<Vec<_>>().join(&b"//"[..]));
    text
}

/// A note as it was found.
struct Note {
    mode: RawMode,
    ino: u64,
    paths: Vec<Vec<u8>>,
}

/// Gives back the modes of which notes stand in a stage folder that nobody uses any more. Returns how many. Those of another
/// user's stage are not believed.
pub(super) fn heal(root: &Dir, stage: BorrowedFd<'_>) -> io::Result<u64> {
    if Stat::of(stage)?.uid != process::effective_uid() {
        return Ok(0);
    }
    let mut names: Vec<Vec<u8>> = Vec::new();
    listing::anew(stage, |line| {
        if line.name.starts_with(NAME.as_bytes()) {
            names.push(line.name.into());
        }
        Ok(())
    })?;
    let read = |name: &Vec<u8>| parse(rustix::fs::readlinkat(stage, &name[..], Vec::new()).ok()?.as_bytes());
    let mut notes: Vec<Note> = names.iter().filter_map(read).collect();
    // What is beneath a folder is found through it.
    notes.sort_by_key(|note| std::cmp::Reverse(note.paths.iter().map(Vec::len).max()));
    let mut healed = 0;
    for Note { mode, ino, paths } in notes {
        for path in paths {
            let handle = match root.handle(&path) {
                Ok(handle) => handle,
                Err(error) if resolve::is_absence(&error) => continue,
                Err(error) => return Err(error),
            };
            let stat = Stat::of(&handle)?;
            if stat.ino == ino && stat.uid == process::effective_uid() && stat.mode != mode {
                chmod(handle.as_fd(), mode)?;
                healed += 1;
            }
        }
    }
    Ok(healed)
}

fn parse(text: &[u8]) -> Option<Note> {
    let mut words = text.splitn(3, |byte| *byte == b' ');
    let mode = RawMode::from_str_radix(std::str::from_utf8(words.next()?).ok()?, 8).ok()? & 0o7777;
    let ino = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let mut paths = vec![Vec::new()];
    let mut rest = words.next()?;
    while let Some((byte, after)) = rest.split_first() {
        if rest.starts_with(b"//") {
            paths.push(Vec::new());
            rest = &rest[2..];
            continue;
        }
        paths.last_mut()?.push(*byte);
        rest = after;
    }
    Some(Note { mode, ino, paths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let paths = [RelPath::parse(b"a b/c").unwrap(), RelPath::parse(b"d\xff").unwrap()];
        let note = parse(&text(0o2555, 12, &[&paths[0], &paths[1]])).unwrap();
        assert_eq!((note.mode, note.ino), (0o2555, 12));
        assert_eq!(note.paths, [b"a b/c".to_vec(), b"d\xff".to_vec()]);
        assert!(parse(b"").is_none() && parse(b"999 1 a").is_none() && parse(b"755 a").is_none());
    }
}
