//! The operator's own paths: configuration, certificates, sockets. Links in them are followed, as everywhere.
//!
//! What `link`, `kit` and the programs need of the file system; nothing here takes a name from a peer.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags};

use crate::process::random;

/// Largest configuration file, in bytes.
pub const LARGEST_CONFIG: u64 = 1024 * 1024;

/// Reads a text of at most 1 MiB.
///
/// # Errors
/// Of the operating system; `InvalidData` for a larger file, for bytes that are not UTF-8, and for a byte order mark.
pub fn read_config(path: &Path) -> io::Result<String> {
    let refused = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_CONFIG + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_CONFIG {
        return Err(refused("is larger than 1 MiB".to_owned()));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(refused("begins with a byte order mark; save it as UTF-8 without one".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|b| **b == b'\n').count();
        refused(format!("is not UTF-8 (line {line})"))
    })
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// Of the operating system; `FileTooLarge` for a larger one.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Writes a file that must not be there yet, and waits until it survives a power cut.
///
/// # Errors
/// `AlreadyExists`; else of the operating system. A file that could not be written whole is removed again.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o700).open(path)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_parent(path));
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// Replaces a file, or makes it, in one step that survives a power cut: readers see the old content or the new. The
/// owner stays who it was; a link is followed and stays.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (path, owner) = match fs::canonicalize(path) {
        Ok(path) => {
            let about = fs::metadata(&path)?;
            (path, Some((about.uid(), about.gid())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(error),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{:016x}", u64::from_ne_bytes(random()?)));
    let beside = path.with_file_name(beside);
    let renamed = write_beside(&beside, bytes, mode, owner).and_then(|()| fs::rename(&beside, &path));
    if renamed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    renamed.and_then(|()| sync_parent(&path))
}

/// Leaves a few bytes in a file of ours (0600) for the next start of the program. They may be lost in a power cut, or be
/// those before.
pub fn leave_word(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

/// While it lives, all others wait who ask for one for a file of the same folder.
#[derive(Debug)]
pub struct Turn(#[allow(dead_code, reason = "closing it gives the lock back")] File);

/// Waits for our turn to read, change and [`replace`] a file. The lock is on its folder, as each change puts another file in
/// its place.
pub fn take_turn(path: &Path) -> io::Result<Turn> {
    let folder = File::open(parent(path))?;
    folder.lock()?;
    Ok(Turn(folder))
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o700).open(path)?;
    file.write_all(bytes)?;
    if let Some((uid, gid)) = owner {
        let about = file.metadata()?;
        if (about.uid(), about.gid()) != (uid, gid) {
            std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path without links, `.` and `..`. It must be there.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// The absolute paths that may be meant by one that somebody typed, whether anything is there or not: by its own name in the
/// folder that the links above it lead to, then where it leads if it is a link itself, then as it was typed.
pub fn spellings(path: &Path) -> io::Result<Vec<PathBuf>> {
    let typed = std::path::absolute(path)?;
    let own = typed.parent().zip(typed.file_name()).map(|(above, name)| as_far_as_there(above).join(name));
    let mut found: Vec<PathBuf> = own.into_iter().chain([as_far_as_there(&typed), typed]).collect();
    found.dedup();
    Ok(found)
}

/// Without links, `.` and `..`, as far down as anything is there.
fn as_far_as_there(path: &Path) -> PathBuf {
    match (fs::canonicalize(path), path.parent(), path.components().next_back()) {
        (Ok(there), ..) => there,
        (Err(_), Some(above), Some(last)) => as_far_as_there(above).join(last),
        (Err(_), ..) => path.to_owned(),
    }
}

/// Whether a folder stands there, by itself or through links. `false` too when that cannot be seen.
pub fn is_dir(path: &Path) -> bool {
    path.is_dir()
}

/// Whether anything stands there, also a link that leads nowhere. `false` too when that cannot be seen.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Makes a folder, with those above it, that only we can enter (0700). One that is there stays as it is.
///
/// # Errors
/// `NotADirectory` when something else stands there; else of the operating system.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(_) if exists(path) && !is_dir(path) => Err(io::ErrorKind::NotADirectory.into()),
        done => done,
    }
}

/// The file systems in which the kernel shows itself, by their magic numbers: proc, sysfs, both of cgroups, debugfs, tracefs,
/// securityfs, bpf. Some of them let root make names, which keep nothing.
const OF_THE_KERNEL: [i64; 8] =
    [0x9fa0, 0x6265_6572, 0x27_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0xcafe_4a11];

/// Whether a file could be made under this name, with the folders above it that are missing, as far as that can be seen
/// without changing anything.
///
/// # Errors
/// What is in the way, as a sentence that names it.
pub fn could_make(path: &Path) -> Result<(), String> {
    let mut above = parent(path);
    let about = loop {
        match fs::metadata(above) {
            Ok(about) => break about,
            // A link that leads nowhere is in the way, too.
            Err(error) if exists(above) || !is_missing(&error) => return Err(format!("{}: {error}", above.display())),
            Err(_) => above = parent(above),
        }
    };
    let refused = |error: io::Error| Err(format!("{}: {error}", above.display()));
    if !about.is_dir() {
        return Err(format!("{} is not a folder", above.display()));
    }
    let (rights, how) = (Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    if let Err(error) = rustix::fs::accessat(rustix::fs::CWD, above, rights, how) {
        return refused(error.into());
    }
    match rustix::fs::statfs(above) {
        Ok(about) if is_of_the_kernel(&about) => {
            Err(format!("{} is of a file system that keeps no files", above.display()))
        }
        Ok(_) => Ok(()),
        Err(error) => refused(error.into()),
    }
}

#[allow(clippy::unnecessary_cast, reason = "the type is another one on other processors")]
fn is_of_the_kernel(about: &rustix::fs::StatFs) -> bool {
    OF_THE_KERNEL.contains(&(about.f_type as i64))
}

/// Nothing is there, or something above it is no folder.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Takes all rights to what stands there from everybody but its owner (0600).
///
/// # Errors
/// Of the operating system.
pub fn keep_private(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// Removes a socket that a killed process has left; nothing there is success.
///
/// # Errors
/// `AlreadyExists` when what stands there is no socket; else of the operating system.
pub fn remove_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "is not a socket; move it out of the way")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_typed_path_is_found_through_links_and_where_nothing_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(root.join("real")).unwrap();
        symlink(root.join("real"), root.join("way")).unwrap();
        symlink("nowhere", root.join("real/link")).unwrap();
        let (way, real) = (root.join("way"), root.join("real"));
        assert_eq!(spellings(&way).unwrap(), [way.clone(), real.clone(), way.clone()]);
        assert_eq!(spellings(&way.join("gone/deep")).unwrap()[0], real.join("gone/deep"));
        assert_eq!(spellings(&way.join("link")).unwrap()[0], real.join("link"), "a link is an entry of its own");
        assert_eq!(spellings(&way.join("../real/./link")).unwrap()[0], real.join("link"));
        assert!(spellings(Path::new("relative")).unwrap()[0].is_absolute());
    }

    #[test]
    fn configuration_is_plain_utf8() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recvd.toml");
        assert_eq!(read_config(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, "a = 1\n").unwrap();
        assert_eq!(read_config(&path).unwrap(), "a = 1\n");
        fs::write(&path, b"\xef\xbb\xbfa = 1\n").unwrap();
        assert!(read_config(&path).unwrap_err().to_string().contains("byte order mark"));
        fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
        assert_eq!(read_config(&path).unwrap_err().to_string(), "is not UTF-8 (line 2)");
        fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        assert_eq!(read_config(&path).unwrap_err().to_string(), "is larger than 1 MiB");
    }

    #[test]
    fn a_new_file_overwrites_nothing_and_replacing_keeps_owner_and_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        replace(&path, b"one", 0o600).unwrap();
        assert_eq!(write_new(&path, b"two", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12), Some(34)).unwrap();
        }
        let before = fs::metadata(&path).unwrap();
        let link = dir.path().join("link");
        symlink("users.toml", &link).unwrap();
        replace(&link, b"three", 0o640).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"three");
        let after = fs::metadata(&path).unwrap();
        assert_eq!((before.uid(), before.gid(), 0o640), (after.uid(), after.gid(), after.mode() & 0o7777));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn only_sockets_are_removed_as_sockets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private/control.sock");
        create_private_dir(path.parent().unwrap()).unwrap();
        create_private_dir(path.parent().unwrap()).unwrap();
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o7777, 0o700);
        remove_socket(&path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(exists(&path));
        remove_socket(&path).unwrap();
        assert!(!exists(&path));
        fs::write(&path, "precious").unwrap();
        assert!(remove_socket(&path).is_err());
        assert_eq!(create_private_dir(&path).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn whether_a_file_could_be_made_is_seen_without_making_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::write(at("file"), "").unwrap();
        symlink("nowhere", at("link")).unwrap();
        for good in ["new", "file", "some/way/down/new"] {
            assert_eq!(could_make(&at(good)), Ok(()), "{good}");
        }
        for (bad, guilty) in
            [("file/new", "file is not a folder"), ("file/a/b", "file is not a folder"), ("link/new", "link: ")]
        {
            let told = could_make(&at(bad)).unwrap_err();
            assert!(told.contains(guilty), "{bad}: {told}");
        }
        for path in ["/proc/nope", "/proc/nope/deep/er", "/sys/nope"] {
            assert!(could_make(Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
