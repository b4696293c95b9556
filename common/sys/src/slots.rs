//! A small file in a held root that is written again and again, and of which a power cut leaves the old content or the new.
//! recvd keeps its leases in one.
//!
//! It has two places, written in turns, each with a number that rises and a digest; what holds is the whole one with the
//! higher number. So it is written where it stands: no other file takes its name, which would change the mtime of the folder,
//! a part of the mirror; and on most file systems a full disk takes it, as its blocks are there already.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use proto::digest::{self, Digest as Sum};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::process::effective_uid;
use crate::stat::Stat;
use crate::tree::Tree;

/// Bytes of each place.
const PLACE: u64 = 1024 * 1024;
/// Number, length and digest.
const HEAD: usize = 8 + 4 + 16;
/// The most that fits.
pub const LARGEST: usize = PLACE as usize - HEAD;

/// How far the file is. It is not held open: a disk on which something is open for writing cannot be made read-only.
#[derive(Debug)]
pub struct Slots {
    name: String,
    /// Of the content that holds; 0 before the first.
    number: u64,
    /// Where that stands, 0 or 1.
    at: u64,
}

/// What [`Slots::open`] has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    /// No such file, or one that was never written.
    Nothing,
    /// What was written last, whole.
    Content(Vec<u8>),
    /// Something that was not written here, or not whole: why, as the end of a sentence.
    Foreign(String),
}

impl Slots {
    /// Opens the file of this name in the root and reads it; makes none.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn open(tree: &Tree, name: &str) -> io::Result<(Option<Slots>, Stored)> {
        let file = match open(tree, name, OFlags::RDONLY) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok((None, Stored::Nothing)),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                return Ok((None, Stored::Foreign("it is no regular file".into())));
            }
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        if Stat::of(&file)?.kind != proto::Kind::File {
            return Ok((None, Stored::Foreign("it is no regular file".into())));
        }
        if !is_own(&stat) {
            return Ok((
                None,
                Stored::Foreign(format!("it belongs to uid {} and has {} names", stat.st_uid, stat.st_nlink)),
            ));
        }
        if stat.st_mode & 0o7777 != 0o600 {
            // Not on a disk that is read-only.
            let _ = rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR);
        }
        Slots::read(&file, name)
    }

    fn read(file: &File, name: &str) -> io::Result<(Option<Slots>, Stored)> {
        let size = file.metadata()?.len();
        let name = name.to_owned();
        let places = [read_place(file, 0)?, read_place(file, 1)?];
        let best = (0u64..).zip(places).filter_map(|(at, place)| place.map(|(number, content)| (number, at, content)));
        match best.max_by_key(|(number, ..)| *number) {
            Some((number, at, content)) => Ok((Some(Slots { name, number, at }), Stored::Content(content))),
            None if size == 0 => Ok((Some(Slots { name, number: 0, at: 1 }), Stored::Nothing)),
            None => Ok((None, Stored::Foreign("it was written by somebody else, or is not whole".into()))),
        }
    }

    /// Makes the file, in place of what has its name; the root's mtime stays. It survives a power cut, empty.
    ///
    /// # Errors
    /// Of the operating system, as where a folder has the name.
    pub fn make(tree: &Tree, name: &str) -> io::Result<Slots> {
        let root = tree.root()?;
        let before = root.stat()?;
        match rustix::fs::unlinkat(tree.fd(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(tree.fd(), name, flags, Mode::RUSR | Mode::WUSR).map(File::from);
        // Without the right to set it, the mtime stays that of this change.
        let _ = root.set_mtime(before.mtime);
        let file = made?;
        // The root may hand down an ACL.
        match rustix::fs::fremovexattr(&file, "system.posix_acl_access") {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        file.sync_all()?;
        root.sync()?;
        Ok(Slots { name: name.to_owned(), number: 0, at: 1 })
    }

    /// Writes a new content, of at most [`LARGEST`] bytes, and returns when it survives a power cut. After an error the one
    /// before holds, or this one.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn write(&mut self, tree: &Tree, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= LARGEST);
        let length = length.ok_or(io::ErrorKind::FileTooLarge)?;
        let (number, at) = (self.number + 1, 1 - self.at);
        let mut bytes = Vec::with_capacity(HEAD + content.len());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&sum(number, content));
        bytes.extend_from_slice(content);
        let file = self.file(tree)?;
        file.write_all_at(&bytes, at * PLACE)?;
        file.sync_data()?;
        (self.number, self.at) = (number, at);
        Ok(())
    }

    /// Takes away all that it holds: afterwards [`Stored::Nothing`] is found, also after a power cut. For when it cannot be
    /// written: this needs no room.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn clear(&mut self, tree: &Tree) -> io::Result<()> {
        let file = self.file(tree)?;
        file.set_len(0)?;
        file.sync_all()
    }

    /// To be written to. One that was removed, or replaced by something else, is made anew.
    fn file(&self, tree: &Tree) -> io::Result<File> {
        if let Ok(file) = open(tree, &self.name, OFlags::RDWR)
            && file.metadata()?.is_file()
            && is_own(&rustix::fs::fstat(&file)?)
        {
            return Ok(file);
        }
        match rustix::fs::statat(tree.fd(), &*self.name, AtFlags::SYMLINK_NOFOLLOW) {
            // It is the one, and cannot be written to.
            Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() && is_own(&stat) => {}
            _ => drop(Slots::make(tree, &self.name)?),
        }
        Ok(open(tree, &self.name, OFlags::RDWR)?)
    }

    /// The number of the content that holds. It rises with each.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Begins above this number: what was written up to it, and is not there, will not be taken for what is to come.
    pub fn begin_above(&mut self, number: u64) {
        self.number = self.number.max(number);
    }
}

fn open(tree: &Tree, name: &str, access: OFlags) -> Result<File, Errno> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(tree.fd(), name, flags, Mode::empty()).map(File::from)
}

/// Whether nobody else can have made it, or has a name for it.
fn is_own(stat: &rustix::fs::Stat) -> bool {
    stat.st_uid == effective_uid() && stat.st_nlink == 1
}

fn read_place(file: &File, at: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut head = [0; HEAD];
    match file.read_exact_at(&mut head, at * PLACE) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let (number, rest) = head.split_at(8);
    let (length, digest) = rest.split_at(4);
    let number = u64::from_le_bytes(number.try_into().unwrap_or_default());
    let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
    if number == 0 || length > LARGEST {
        return Ok(None);
    }
    let mut content = vec![0; length];
    match file.read_exact_at(&mut content, at * PLACE + HEAD as u64) {
        Ok(()) if sum(number, &content) == digest => Ok(Some((number, content))),
        Ok(()) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn sum(number: u64, content: &[u8]) -> Sum {
    digest::of(&number.to_le_bytes(), &[], content)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::Mounts;

    const NAME: &str = ".recvd-x";

    fn found(tree: &Tree) -> Stored {
        Slots::open(tree, NAME).unwrap().1
    }

    #[test]
    fn the_last_whole_content_holds_wherever_a_write_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path(), Mounts::Stay).unwrap();
        let before = fs::metadata(dir.path()).unwrap().modified().unwrap();
        assert_eq!(found(&tree), Stored::Nothing);
        let mut slots = Slots::make(&tree, NAME).unwrap();
        assert_eq!(found(&tree), Stored::Nothing);
        slots.write(&tree, b"one").unwrap();
        slots.write(&tree, b"two, which is longer").unwrap();
        let path = dir.path().join(NAME);
        let two = fs::read(&path).unwrap();
        slots.write(&tree, b"three").unwrap();
        let three = fs::read(&path).unwrap();
        assert_eq!(found(&tree), Stored::Content(b"three".to_vec()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(dir.path()).unwrap().modified().unwrap(), before, "the root's mtime is mirrored");
        // Any part of the third that reached the disk, from its beginning or its end.
        let changed: Vec<usize> = (0..three.len()).filter(|at| two.get(*at) != three.get(*at)).collect();
        let (first, last) = (changed[0], changed[changed.len() - 1]);
        for cut in first..=last {
            let torn = [&three[..cut], &two[cut..]].concat();
            fs::write(&path, torn).unwrap();
            assert_eq!(found(&tree), Stored::Content(b"two, which is longer".to_vec()), "{cut}");
        }
        // Another one goes on from what it finds.
        let (slots, _) = Slots::open(&tree, NAME).unwrap();
        slots.unwrap().write(&tree, b"again").unwrap();
        assert_eq!(found(&tree), Stored::Content(b"again".to_vec()));
        let mut slots = Slots::open(&tree, NAME).unwrap().0.unwrap();
        slots.clear(&tree).unwrap();
        assert_eq!(found(&tree), Stored::Nothing);
        slots.write(&tree, b"after").unwrap();
        assert_eq!(found(&tree), Stored::Content(b"after".to_vec()));
        assert!(slots.write(&tree, &vec![0; LARGEST]).is_ok() && slots.write(&tree, &vec![0; LARGEST + 1]).is_err());
    }

    #[test]
    fn what_was_not_written_here_is_named_and_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path(), Mounts::Stay).unwrap();
        let path = dir.path().join(NAME);
        let is_foreign = || matches!(found(&tree), Stored::Foreign(_));
        fs::write(&path, "a text of somebody").unwrap();
        assert!(is_foreign());
        fs::write(&path, vec![0xff; 3 * PLACE as usize]).unwrap();
        assert!(is_foreign());
        fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert!(is_foreign());
        Slots::make(&tree, NAME).unwrap().write(&tree, b"ours").unwrap();
        assert_eq!(found(&tree), Stored::Content(b"ours".to_vec()));
        fs::hard_link(&path, dir.path().join("second")).unwrap();
        assert!(is_foreign(), "somebody else could have a name of it");
        fs::remove_file(dir.path().join("second")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(found(&tree), Stored::Content(b"ours".to_vec()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(is_foreign());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(is_foreign() && Slots::make(&tree, NAME).is_err());
    }
}
