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
    /// `one_file_system` is on, and another file system is mounted there: the folder is kept, not what is in it.
    Mounted,
    /// The module does not keep setuid and setgid bits: the entry is kept without them.
    Setid,
}

impl Rule {
    /// Whether nothing at all of the entry is mirrored.
    pub(crate) fn is_of_all(self) -> bool {
        match self {
            Rule::Reserved | Rule::Kind(_) => true,
            Rule::Mounted | Rule::Setid => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, word) = match self {
            Rule::Reserved => return f.write_str("its name begins with .recvd-, as those of recvd's own files do"),
            Rule::Mounted => return f.write_str("another file system is mounted there, and one_file_system is on"),
            Rule::Setid => ("setuid or setgid", "setid"),
            Rule::Kind(Kind::Symlink) => ("a symbolic link", "symlinks"),
            Rule::Kind(Kind::Fifo) => ("a FIFO", "specials"),
            Rule::Kind(Kind::Socket) => ("a socket", "specials"),
            Rule::Kind(Kind::CharDevice | Kind::BlockDevice) => ("a device", "specials"),
            // Every module keeps these.
            Rule::Kind(Kind::File) => ("a file", "files"),
            Rule::Kind(Kind::Dir) => ("a folder", "folders"),
        };
        write!(f, "{what}, and the module does not keep \"{word}\"")
    }
}
