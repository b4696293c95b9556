//! Why an entry is left out, or a part of it: a rule says so, so it is no problem. Told by whoever looks at entries, counted
//! and listed by [`Mirror`](crate::mirror::Mirror).

use std::fmt;

use proto::Kind;

/// What leaves an entry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Its name is one of recvd's own.
    Reserved,
    /// The module does not keep entries of this kind.
    Kind(Kind),
    /// The disk of the target cannot hold entries of this kind.
    Unheld(Kind),
    /// `one_file_system` is on, and another file system is mounted there: the folder is kept, not what is in it.
    Mounted,
    /// The module does not keep setuid and setgid bits: the entry is kept without them.
    Setid,
}

impl Rule {
    /// Whether nothing at all of the entry is mirrored.
    pub(crate) fn is_of_all(self) -> bool {
        match self {
            Rule::Reserved | Rule::Kind(_) | Rule::Unheld(_) => true,
            Rule::Mounted | Rule::Setid => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, word) = match self {
            Rule::Reserved => return f.write_str("its name begins with .recvd-, as those of recvd's own files do"),
            Rule::Mounted => return f.write_str("another file system is mounted there, and one_file_system is on"),
            Rule::Setid => return f.write_str("setuid or setgid, and the module does not keep \"setid\""),
            Rule::Unheld(kind) => return write!(f, "{}, and the disk of the target cannot hold one", one(*kind)),
            Rule::Kind(kind @ Kind::Symlink) => (kind, "symlinks"),
            // Every module keeps these.
            Rule::Kind(kind @ Kind::File) => (kind, "files"),
            Rule::Kind(kind @ Kind::Dir) => (kind, "folders"),
            Rule::Kind(kind) => (kind, "specials"),
        };
        write!(f, "{}, and the module does not keep \"{word}\"", one(*kind))
    }
}

/// One entry of that kind, in words.
fn one(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Dir => "a folder",
        Kind::Symlink => "a symbolic link",
        Kind::Fifo => "a FIFO",
        Kind::Socket => "a socket",
        Kind::CharDevice | Kind::BlockDevice => "a device",
    }
}
