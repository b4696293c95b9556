//! A tree with every kind of entry that a file system can hold, for tests of fidelity. Builds in the order in which
//! nothing spoils what was set before: folders get their times last.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::fs::{acl, at, chmod, mknod, remove_xattr, set_mtime, set_xattr};
use super::rng::Rng;

/// Which of the entries that modules do not keep by default are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zoo {
    /// Files with setuid and setgid, folders with setgid.
    pub setid: Part,
    /// FIFOs, sockets; devices where the builder is root.
    pub specials: Part,
}

/// Whether a part of the zoo is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Part {
    With,
    Without,
}

impl Zoo {
    /// Only what every module keeps.
    pub const PLAIN: Zoo = Zoo { setid: Part::Without, specials: Part::Without };
    /// Everything.
    pub const WHOLE: Zoo = Zoo { setid: Part::With, specials: Part::With };

    /// Builds the zoo in `root`, an existing folder.
    pub fn build(self, root: &Path) -> io::Result<()> {
        let mut keeper = Keeper { rng: Rng::new(42), folders: Vec::new() };
        keeper.names(root)?;
        keeper.sizes(root)?;
        keeper.sparse(root)?;
        keeper.links(root)?;
        keeper.depth(root)?;
        keeper.attributes(root)?;
        keeper.modes(root)?;
        keeper.times(root)?;
        if self.setid == Part::With {
            keeper.setid(root)?;
        }
        if self.specials == Part::With {
            keeper.specials(root)?;
        }
        for (n, folder) in keeper.folders.iter().enumerate().rev() {
            set_mtime(folder, 1_000_000_000 + n as i64, 123_456_789)?;
        }
        set_mtime(root, 1_234_567_890, 987_654_321)
    }

    /// The relative paths of what a module without `specials` leaves out.
    pub fn special_paths() -> Vec<&'static str> {
        let mut paths = vec!["special/fifo", "special/socket"];
        if rustix::process::geteuid().is_root() {
            paths.extend(["special/null", "special/loop"]);
        }
        paths
    }
}

/// Names that have broken programs before.
pub fn odd_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        &b"new\nline"[..],
        b"escape\x1b[2J",
        b"not utf8 \xff\xfe\x80",
        b"c1 \xc2\x9b",
        b"-rf",
        b"--help",
        b"trailing space ",
        b"trailing dot.",
        b"...",
        b" ",
        b"*?[a-z]",
        b"quote'\"`$(id)",
        b"back\\slash",
        b"tab\there",
        b"\xe2\x80\xaebidi",
        b"nfc \xc3\xa9",
        b"nfd e\xcc\x81",
        b"Case",
        b"case",
        b"~",
        b"#hash#",
        b"a.swp",
    ]
    .map(<[u8]>::to_vec)
    .into();
    names.push(vec![b'x'; 255]);
    names.push([b"\xf0\x9f\x90\xa7".repeat(63), b"abc".to_vec()].concat());
    names
}

struct Keeper {
    rng: Rng,
    /// Folders in the order made, to get their times at the end.
    folders: Vec<PathBuf>,
}

impl Keeper {
    fn folder(&mut self, parent: &Path, name: &[u8]) -> io::Result<PathBuf> {
        let path = at(parent, name);
        fs::create_dir(&path)?;
        self.folders.push(path.clone());
        Ok(path)
    }

    fn names(&mut self, root: &Path) -> io::Result<()> {
        let folder = self.folder(root, b"names")?;
        for name in odd_names() {
            fs::write(at(&folder, &name), &name)?;
        }
        let folders = self.folder(root, b"folder names")?;
        for name in odd_names() {
            let inner = self.folder(&folders, &name)?;
            fs::write(inner.join("inside"), b"x")?;
        }
        Ok(())
    }

    fn sizes(&mut self, root: &Path) -> io::Result<()> {
        let folder = self.folder(root, b"sizes")?;
        const K: usize = 1024;
        for size in [0, 1, 4095, 4096, 4097, 255 * K, 256 * K, 257 * K, 5 * K * K, 5 * K * K + 1] {
            fs::write(folder.join(size.to_string()), self.rng.bytes(size))?;
        }
        self.folder(&folder, b"empty folder")?;
        let many = self.folder(&folder, b"many")?;
        for n in 0..700 {
            fs::write(many.join(format!("{n:04}")), self.rng.bytes(n))?;
        }
        Ok(())
    }

    fn sparse(&mut self, root: &Path) -> io::Result<()> {
        const M: u64 = 1024 * 1024;
        let folder = self.folder(root, b"sparse")?;
        let file = File::create(folder.join("middle and end"))?;
        file.set_len(64 * M)?;
        file.write_all_at(&self.rng.bytes(100_000), 31 * M + 17)?;
        file.write_all_at(b"the end", 64 * M - 7)?;
        File::create(folder.join("all hole"))?.set_len(16 * M)?;
        let file = File::create(folder.join("starts with data"))?;
        file.set_len(8 * M)?;
        file.write_all_at(&self.rng.bytes(5000), 0)?;
        File::create(folder.join("small hole"))?.set_len(100_000)?;
        fs::write(folder.join("zeros, written"), vec![0u8; 300_000])?;
        Ok(())
    }

    fn links(&mut self, root: &Path) -> io::Result<()> {
        let folder = self.folder(root, b"links")?;
        let (left, right) = (self.folder(&folder, b"left")?, self.folder(&folder, b"right")?);
        for (name, text) in [
            ("dangling", "nowhere/at/all"),
            ("absolute", "/etc/passwd"),
            ("upwards", "../../../../etc"),
            ("loop", "loop"),
            ("to folder", "left"),
            ("slash", "left/"),
            ("spaces", "  "),
        ] {
            symlink(text, folder.join(name))?;
            set_mtime(&folder.join(name), 1_111_111_111, 222_222_222)?;
        }
        symlink("y".repeat(4095), folder.join("longest"))?;
        symlink(at(Path::new(""), b"\xff\n\x1b"), folder.join("odd text"))?;
        lchown(folder.join("odd text"), own(1234), own(4321))?;
        for (n, size) in [0usize, 100, 300_000].into_iter().enumerate() {
            let first = left.join(format!("group {n}"));
            fs::write(&first, self.rng.bytes(size))?;
            for other in 0..3 {
                fs::hard_link(&first, right.join(format!("group {n} as {other}")))?;
            }
            fs::hard_link(&first, root.join(format!("group {n} at the top")))?;
        }
        let crowd = self.folder(&folder, b"crowd")?;
        fs::write(crowd.join("0"), b"many names")?;
        for n in 1..150 {
            fs::hard_link(crowd.join("0"), crowd.join(n.to_string()))?;
        }
        Ok(())
    }

    fn depth(&mut self, root: &Path) -> io::Result<()> {
        let mut path = self.folder(root, b"deep")?;
        for level in 0..300 {
            path = self.folder(&path, if level % 50 == 0 { b"level" } else { b"d" })?;
            if level % 25 == 0 {
                fs::write(path.join("file"), level.to_string())?;
            }
        }
        Ok(())
    }

    fn attributes(&mut self, root: &Path) -> io::Result<()> {
        let folder = self.folder(root, b"attributes")?;
        let file = |name: &str| -> io::Result<PathBuf> {
            fs::write(folder.join(name), name)?;
            Ok(folder.join(name))
        };
        set_xattr(&file("small")?, "user.note", b"hello")?;
        set_xattr(&file("empty value")?, "user.empty", b"")?;
        set_xattr(&file("large")?, "user.large", &self.rng.bytes(3072))?;
        let several = file("several")?;
        for n in 0..20 {
            set_xattr(&several, &format!("user.number {n}"), &[n; 5])?;
        }
        set_xattr(&folder, "user.of a folder", b"\0\xff\n")?;
        set_xattr(&file("acl")?, "system.posix_acl_access", &acl(6))?;
        let heirs = self.folder(&folder, b"default acl")?;
        set_xattr(&heirs, "system.posix_acl_default", &acl(7))?;
        fs::write(heirs.join("heir"), b"inherits")?;
        fs::write(heirs.join("disinherited"), b"has none")?;
        remove_xattr(&heirs.join("disinherited"), "system.posix_acl_access")?;
        let below = self.folder(&heirs, b"disinherited folder")?;
        remove_xattr(&below, "system.posix_acl_access")?;
        remove_xattr(&below, "system.posix_acl_default")?;
        self.folder(&heirs, b"heir folder")?;
        Ok(())
    }

    fn modes(&mut self, root: &Path) -> io::Result<()> {
        let folder = self.folder(root, b"modes")?;
        // What even its owner cannot read, nobody but root can mirror.
        let whoever = rustix::process::geteuid().is_root();
        let modes = [0o000, 0o400, 0o200, 0o111, 0o644, 0o777, 0o1777];
        for mode in modes.into_iter().filter(|mode| whoever || mode & 0o400 == 0o400) {
            let file = folder.join(format!("file {mode:04o}"));
            fs::write(&file, b"x")?;
            chmod(&file, mode)?;
        }
        for mode in modes.into_iter().filter(|mode| whoever || mode & 0o500 == 0o500) {
            let inner = self.folder(&folder, format!("folder {mode:04o}").as_bytes())?;
            fs::write(inner.join("inside"), b"x")?;
            chmod(&inner, mode)?;
        }
        let owned = folder.join("owned");
        fs::write(&owned, b"x")?;
        lchown(&owned, own(1000), own(100))?;
        let inner = self.folder(&folder, b"owned folder")?;
        lchown(&inner, own(4_000_000_000), own(65_534))
    }

    fn times(&mut self, root: &Path) -> io::Result<()> {
        let folder = self.folder(root, b"times")?;
        for (name, secs, nanos) in [
            ("before 1970", -86_400, 1),
            ("long before", -1_000_000_000, 999_999_999),
            ("the epoch", 0, 0),
            ("one ns", 1_700_000_000, 1),
            ("2038", 2_200_000_000, 500_000_000),
            ("far future", 10_000_000_000, 7),
        ] {
            fs::write(folder.join(name), name)?;
            set_mtime(&folder.join(name), secs, nanos)?;
        }
        Ok(())
    }

    fn setid(&mut self, root: &Path) -> io::Result<()> {
        let folder = self.folder(root, b"setid")?;
        for mode in [0o4755, 0o2755, 0o6755, 0o7777] {
            let file = folder.join(format!("file {mode:04o}"));
            fs::write(&file, b"x")?;
            lchown(&file, own(1000), own(1000))?;
            chmod(&file, mode)?;
        }
        let inner = self.folder(&folder, b"setgid folder")?;
        lchown(&inner, None, own(1000))?;
        chmod(&inner, 0o2775)?;
        fs::write(inner.join("heir"), b"x")?;
        self.folder(&inner, b"heir folder")?;
        Ok(())
    }

    fn specials(&mut self, root: &Path) -> io::Result<()> {
        let folder = self.folder(root, b"special")?;
        let mut made = vec![folder.join("fifo"), folder.join("socket")];
        mknod(&made[0], FileType::Fifo, 0o640, 0, 0)?;
        mknod(&made[1], FileType::Socket, 0o755, 0, 0)?;
        if rustix::process::geteuid().is_root() {
            made.extend([folder.join("null"), folder.join("loop")]);
            mknod(&made[2], FileType::CharacterDevice, 0o666, 1, 3)?;
            mknod(&made[3], FileType::BlockDevice, 0o660, 7, 300)?;
        }
        for (n, path) in made.iter().enumerate() {
            set_mtime(path, 1_500_000_000 + n as i64, 42)?;
        }
        Ok(())
    }
}

/// The owner to set: none without the rights of root.
fn own(id: u32) -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(id)
}
