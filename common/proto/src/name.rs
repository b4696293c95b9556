//! Parsed names: the only form in which a path travels.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::shown::Shown;
pub use crate::shown::escape;

/// Why bytes are not a name or a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A component has no bytes, or the path begins or ends with a slash.
    #[error("has an empty component")]
    Empty,
    /// A component is longer than [`NAME`](crate::limits::NAME).
    #[error("has a name longer than 255 bytes")]
    LongName,
    /// The path is longer than [`PATH`](crate::limits::PATH).
    #[error("is longer than 65535 bytes")]
    LongPath,
    /// The path has more than [`DEPTH`](crate::limits::DEPTH) components.
    #[error("is deeper than 1024 folders")]
    Deep,
    /// A component is `.` or `..`.
    #[error("has a component '.' or '..'")]
    Dots,
    /// A name holds a slash or a NUL byte.
    #[error("holds a slash or a NUL byte")]
    Byte,
}

/// One component: 1 to 255 bytes, no slash, no NUL, not `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// A path beneath a root: components joined by single slashes; the root itself is empty. Ordered by bytes. Its clones share
/// the bytes: what waits, is looked at and is on its way stands in many maps, and whoever may write to a source chooses how
/// long it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelPath(Arc<[u8]>);

/// Paths of so many bytes are put together without an allocation more.
const SHORT: usize = 256;

// Order and hash are those of the bytes.
impl Borrow<[u8]> for RelPath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Name {
    /// Takes 1 to 255 bytes that are one component.
    pub fn parse(bytes: &[u8]) -> Result<Name, Invalid> {
        match bytes {
            b"" => Err(Invalid::Empty),
            b"." | b".." => Err(Invalid::Dots),
            _ if bytes.len() > crate::limits::NAME => Err(Invalid::LongName),
            _ if bytes.iter().any(|b| matches!(b, 0 | b'/')) => Err(Invalid::Byte),
            _ => Ok(Name(bytes.into())),
        }
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl RelPath {
    /// The empty path: the root itself.
    pub fn root() -> RelPath {
        RelPath::default()
    }

    /// Parses `a/b/c`; no bytes at all is the root.
    pub fn parse(bytes: &[u8]) -> Result<RelPath, Invalid> {
        if bytes.is_empty() {
            return Ok(RelPath::root());
        }
        if bytes.len() > crate::limits::PATH {
            return Err(Invalid::LongPath);
        }
        let mut depth = 0;
        for part in bytes.split(|b| *b == b'/') {
            depth += 1;
            match part {
                b"" => return Err(Invalid::Empty),
                b"." | b".." => return Err(Invalid::Dots),
                _ if part.len() > crate::limits::NAME => return Err(Invalid::LongName),
                _ if part.contains(&0) => return Err(Invalid::Byte),
                _ if depth > crate::limits::DEPTH => return Err(Invalid::Deep),
                _ => {}
            }
        }
        Ok(RelPath(bytes.into()))
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as bytes, without a leading slash; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What would be wrong with this path and one more component.
    pub fn check(&self, name: &Name) -> Result<(), Invalid> {
        match () {
            () if self.0.len() + usize::from(!self.is_root()) + name.0.len() > crate::limits::PATH => {
                Err(Invalid::LongPath)
            }
            () if self.depth() >= crate::limits::DEPTH => Err(Invalid::Deep),
            () => Ok(()),
        }
    }

    /// This path with one more component; an error when that passes a limit.
    pub fn join(&self, name: &Name) -> Result<RelPath, Invalid> {
        self.check(name)?;
        if self.is_root() {
            return Ok(RelPath(name.as_bytes().into()));
        }
        Ok(RelPath::of([&self.0, b"/", &name.0]))
    }

    /// Of these bytes one after the other, which are known to be a path.
    fn of(parts: [&[u8]; 3]) -> RelPath {
        let len = parts.iter().map(|part| part.len()).sum();
        if len > SHORT {
            return RelPath(parts.concat().into());
        }
        let (mut bytes, mut at) = ([0; SHORT], 0);
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        RelPath(bytes[..len].into())
    }

    /// The folder that holds it and its name there; `None` for the root.
    pub fn split(&self) -> Option<(RelPath, Name)> {
        if self.is_root() {
            return None;
        }
        let cut = self.0.iter().rposition(|b| *b == b'/');
        let (parent, name) = match cut {
            Some(at) => (RelPath(self.0[..at].into()), &self.0[at + 1..]),
            None => (RelPath::root(), &self.0[..]),
        };
        Some((parent, Name(name.into())))
    }

    /// The folder that holds it; `None` for the root.
    pub fn parent(&self) -> Option<RelPath> {
        self.split().map(|(parent, _)| parent)
    }

    /// The entry of the root that it is, or is beneath; of the root the root.
    pub fn top(&self) -> RelPath {
        RelPath(self.top_bytes().into())
    }

    /// The bytes of the same, by which a map of paths can be asked.
    pub fn top_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|b| *b == b'/').unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// Its components, first to last.
    pub fn names(&self) -> impl Iterator<Item = Name> + '_ {
        self.0.split(|b| *b == b'/').filter(|part| !part.is_empty()).map(|part| Name(part.into()))
    }

    /// The number of components; 0 for the root.
    pub fn depth(&self) -> usize {
        if self.is_root() { 0 } else { 1 + self.0.iter().filter(|b| **b == b'/').count() }
    }

    /// Whether it is `folder` or stands somewhere beneath it.
    pub fn is_within(&self, folder: &RelPath) -> bool {
        folder.is_root() || (self.0.starts_with(&folder.0) && matches!(self.0.get(folder.0.len()), None | Some(b'/')))
    }

    /// The bytes with one more behind them: not a path of an entry, but a bound for ranges of paths in byte order.
    pub fn with_suffix(&self, byte: u8) -> RelPath {
        RelPath::of([&self.0, &[byte], b""])
    }

    /// The same place after `from` became `to`: `None` when it is not within `from` or the result passes a limit.
    pub fn rebase(&self, from: &RelPath, to: &RelPath) -> Option<RelPath> {
        if !self.is_within(from) {
            return None;
        }
        let rest = &self.0[from.0.len()..];
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        let mut bytes = to.0.to_vec();
        if !to.is_root() && !rest.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(rest);
        RelPath::parse(&bytes).ok()
    }
}

impl From<Name> for RelPath {
    fn from(name: Name) -> RelPath {
        RelPath(name.0.into())
    }
}

/// Escaped and cut: see [`Shown`].
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Escaped and cut, see [`Shown`]; the root shows as `.`.
impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str(".") } else { Shown(&self.0).fmt(f) }
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_clean_paths_parse() {
        let long = [b'n'; 256];
        for (bytes, why) in [
            (&b"/a"[..], Invalid::Empty),
            (b"a/", Invalid::Empty),
            (b"a//b", Invalid::Empty),
            (b".", Invalid::Dots),
            (b"a/../b", Invalid::Dots),
            (b"a/./b", Invalid::Dots),
            (b"a\0", Invalid::Byte),
            (&long, Invalid::LongName),
            (&b"a/".repeat(1024)[..], Invalid::Empty),
            (&[&b"a/".repeat(1024)[..], b"a"].concat(), Invalid::Deep),
            (&[b'n'; 65_536], Invalid::LongPath),
        ] {
            assert_eq!(RelPath::parse(bytes), Err(why));
        }
        assert_eq!(Name::parse(b"a/b"), Err(Invalid::Byte));
        assert_eq!(Name::parse(b""), Err(Invalid::Empty));
        assert_eq!(Name::parse(b"..."), Ok(Name(Box::from(&b"..."[..]))));
        assert_eq!(RelPath::parse(&[&b"a/".repeat(1023)[..], b"a"].concat()).unwrap().depth(), 1024);
    }

    #[test]
    fn a_path_is_within_whole_components_only() {
        assert!(path("a/b").is_within(&path("a")));
        assert!(path("a").is_within(&path("a")));
        assert!(!path("ab").is_within(&path("a")));
        assert!(!path("a").is_within(&path("a/b")));
        assert!(path("a").is_within(&RelPath::root()));
        assert!(!RelPath::root().is_within(&path("a")));
    }

    #[test]
    fn a_path_moves_with_its_folder() {
        assert_eq!(path("a/b/c").rebase(&path("a/b"), &path("x")), Some(path("x/c")));
        assert_eq!(path("a/b").rebase(&path("a/b"), &path("x/y")), Some(path("x/y")));
        assert_eq!(path("a/b").rebase(&path("a"), &RelPath::root()), Some(path("b")));
        assert_eq!(path("a").rebase(&RelPath::root(), &path("x")), Some(path("x/a")));
        assert_eq!(path("ab").rebase(&path("a"), &path("x")), None);
    }

    #[test]
    fn names_show_without_what_drives_a_terminal() {
        let shown = path("a\x1b[2J\u{202e}\\é\n").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\u{202e}\\\\é\\u{a}");
        assert_eq!(RelPath::parse(b"a\xff").unwrap().to_string(), "a\\xff");
        assert_eq!(RelPath::root().to_string(), ".");
    }
}
