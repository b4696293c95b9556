//! Operations that make entries or change what is in them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::FileType;

use super::super::Twins;
use super::{Want, World, inode};
use crate::rig::fs::{Open, acl, at, is_folder, mknod, open, punch, remove_xattr, set_mtime, set_xattr, write};

impl World {
    pub(super) fn create(&mut self) -> io::Result<String> {
        let path = self.place_to_write();
        let content = self.content();
        write(&path, &content)?;
        Ok(format!("{} of {}", self.relative(&path), content.len()))
    }

    pub(super) fn overwrite(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::File)?;
        let file = File::options().write(true).open(&path)?;
        let at = self.rng.below(file.metadata()?.len());
        let len = self.rng.below(300) as usize;
        file.write_all_at(&self.rng.bytes(len), at)?;
        Ok(format!("{} {len} at {at}", self.relative(&path)))
    }

    pub(super) fn append(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::File)?;
        let len = self.rng.between(1, 2_000) as usize;
        File::options().append(true).open(&path)?.write_all(&self.rng.bytes(len))?;
        Ok(format!("{} {len}", self.relative(&path)))
    }

    /// In the middle, or takes something out: all behind it moves.
    pub(super) fn insert(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::File)?;
        let mut content = fs::read(&path)?;
        let at = self.rng.below(content.len() as u64) as usize;
        let len = self.rng.between(1, 5_000) as usize;
        let new = if self.rng.one_in(2) { self.rng.bytes(len) } else { Vec::new() };
        content.splice(at..content.len().min(at + if new.is_empty() { len } else { 0 }), new);
        write(&path, &content)?;
        Ok(format!("{} at {at}, now of {}", self.relative(&path), content.len()))
    }

    pub(super) fn truncate(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::File)?;
        let file = File::options().write(true).open(&path)?;
        let old = file.metadata()?.len();
        let new = if self.rng.one_in(3) { old + self.rng.below(100_000) } else { self.rng.below(old + 1) };
        file.set_len(new)?;
        Ok(format!("{} from {old} to {new}", self.relative(&path)))
    }

    /// As editors do: a temporary beside it, renamed over it.
    pub(super) fn replace(&mut self) -> io::Result<String> {
        let path = self.existing(Want::NoFolder)?;
        self.serial += 1;
        let temporary = path.with_file_name(format!(".save{}", self.serial % 5));
        let content = self.content();
        self.may_write(&temporary)?;
        write(&temporary, &content)?;
        if self.rng.one_in(2) {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&temporary, fs::Permissions::from_mode(0o640))?;
        }
        let victim = self.relative(&path);
        fs::rename(&temporary, &path)?;
        Ok(format!("{} by {}, where was {victim}", self.relative(&path), self.relative(&temporary)))
    }

    pub(super) fn punch(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::File)?;
        let len = fs::symlink_metadata(&path)?.len();
        let at = self.rng.below(len);
        punch(&path, at, 1 + self.rng.below(20_000))?;
        Ok(format!("{} at {at}", self.relative(&path)))
    }

    pub(super) fn sparse(&mut self) -> io::Result<String> {
        let path = self.place_to_write();
        let file = open(&path, Open::Truncated)?;
        let size = 1_000_000 + self.rng.below(3_000_000);
        file.set_len(size)?;
        for _ in 0..self.rng.below(3) {
            let len = self.rng.below(5_000) as usize;
            file.write_all_at(&self.rng.bytes(len), self.rng.below(size - 5_000))?;
        }
        Ok(format!("{} of {size}", self.relative(&path)))
    }

    /// Opens a file and keeps it open.
    pub(super) fn hold(&mut self) -> io::Result<String> {
        if self.held.len() >= 4 {
            return self.let_go();
        }
        let path = if self.rng.one_in(2) { self.place_to_write() } else { self.changeable(Want::File)? };
        let file = open(&path, Open::Appending)?;
        self.held.push((path.clone(), file));
        Ok(self.relative(&path))
    }

    pub(super) fn write_held(&mut self) -> io::Result<String> {
        if self.held.is_empty() {
            return self.hold();
        }
        let n = self.rng.below(self.held.len() as u64) as usize;
        let file = &self.held[n].1;
        if name_is_gone(file) || self.linked.contains(&file.metadata()?.ino()) {
            let (path, _) = self.held.remove(n);
            return Ok(format!("none to {}: its name is gone, or it has a new one", self.relative(&path)));
        }
        let len = self.rng.between(1, 500) as usize;
        let bytes = self.rng.bytes(len);
        self.held[n].1.write_all(&bytes)?;
        let inode = inode(&self.held[n].1.metadata()?);
        Ok(format!("{inode} {len}, opened as {}", self.relative(&self.held[n].0)))
    }

    pub(super) fn let_go(&mut self) -> io::Result<String> {
        let n = self.rng.below(self.held.len() as u64) as usize;
        if self.held.is_empty() {
            return Err(io::Error::other("nothing is held"));
        }
        let (path, _) = self.held.remove(n);
        Ok(self.relative(&path))
    }

    /// Deletes a file and makes another of the same name: perhaps on the same inode.
    pub(super) fn recreate(&mut self) -> io::Result<String> {
        let path = self.existing(Want::File)?;
        let victim = self.relative(&path);
        fs::remove_file(&path)?;
        let content = self.content();
        write(&path, &content)?;
        Ok(format!("{} instead of {victim}", self.relative(&path)))
    }

    pub(super) fn burst(&mut self) -> io::Result<String> {
        let folder = self.folder();
        self.serial += 1;
        let folder = at(&folder, format!("burst{}", self.serial).as_bytes());
        fs::create_dir(&folder)?;
        let many = self.rng.between(20, 120);
        for n in 0..many {
            let content = self.content();
            let most = if self.twins == Twins::Made { 2_000 } else { 2_000 - n as usize };
            write(&folder.join(n.to_string()), &content[..content.len().min(most)])?;
        }
        Ok(format!("{} {many}", self.relative(&folder)))
    }

    /// A new tree, deep at once, with a file in each folder as soon as it is there.
    pub(super) fn deep(&mut self) -> io::Result<String> {
        let top = self.place();
        let mut path = top.clone();
        let levels = self.rng.between(2, 9);
        for level in 0..levels {
            fs::create_dir(&path)?;
            let content = self.content();
            write(&path.join(format!("f{level}")), &content)?;
            let name = self.name();
            path = at(&path, &name);
        }
        Ok(format!("{} {levels} levels", self.relative(&top)))
    }

    pub(super) fn mkdir(&mut self) -> io::Result<String> {
        let path = self.place();
        fs::create_dir(&path)?;
        Ok(self.relative(&path))
    }

    pub(super) fn symlink(&mut self) -> io::Result<String> {
        let path = self.place();
        self.serial += 1;
        let text = match self.rng.below(5) {
            0 => "/etc/passwd".into(),
            1 => "../..".into(),
            2 => "x/".repeat(self.rng.between(1, 2_000) as usize),
            3 => ".".into(),
            _ => format!("text {}", self.serial),
        };
        std::os::unix::fs::symlink(&text, &path)?;
        Ok(self.relative(&path))
    }

    pub(super) fn special(&mut self) -> io::Result<String> {
        let path = self.place();
        match self.rng.below(3) {
            0 if is_root() => mknod(&path, FileType::CharacterDevice, 0o600, 1, 3)?,
            1 => mknod(&path, FileType::Socket, 0o755, 0, 0)?,
            _ => mknod(&path, FileType::Fifo, 0o640, 0, 0)?,
        }
        Ok(self.relative(&path))
    }

    pub(super) fn chmod(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::Any)?;
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_symlink() {
            return Err(io::Error::other("a link has no mode"));
        }
        let mut mode = self.rng.below(0o10000) as u32;
        if self.rng.one_in(2) {
            mode &= 0o777;
        }
        if !is_root() {
            mode |= if kind.is_dir() { 0o700 } else { 0o600 };
        }
        crate::rig::fs::chmod(&path, mode)?;
        Ok(format!("{} {mode:04o}", self.relative(&path)))
    }

    pub(super) fn chown(&mut self) -> io::Result<String> {
        if !is_root() {
            return Err(io::Error::other("not root"));
        }
        let path = self.changeable(Want::Any)?;
        let (uid, gid) = (self.rng.below(5) as u32 * 1_000, self.rng.below(5) as u32 * 100);
        std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
        Ok(format!("{} {uid}:{gid}", self.relative(&path)))
    }

    /// Forward, back, before 1970: never a time that another content of the size had.
    pub(super) fn utime(&mut self) -> io::Result<String> {
        let path = if self.rng.one_in(40) { self.root.clone() } else { self.changeable(Want::Any)? };
        let secs = self.rng.below(3_000_000_000) as i64 - if self.rng.one_in(8) { 3_000_000_000 } else { 0 };
        set_mtime(&path, secs, self.rng.below(1_000_000_000) as u32)?;
        Ok(format!("{} {secs}", self.relative(&path)))
    }

    pub(super) fn set_xattr(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::Any)?;
        let name = format!("user.{}", self.rng.below(4));
        let len = if self.rng.one_in(10) { 2_000 } else { self.rng.below(60) } as usize;
        set_xattr(&path, &name, &self.rng.bytes(len))?;
        Ok(format!("{} {name}", self.relative(&path)))
    }

    pub(super) fn remove_xattr(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::Any)?;
        let name = match self.rng.below(6) {
            4 => "system.posix_acl_access".to_string(),
            5 => "system.posix_acl_default".to_string(),
            n => format!("user.{n}"),
        };
        remove_xattr(&path, &name)?;
        Ok(format!("{} {name}", self.relative(&path)))
    }

    pub(super) fn acl(&mut self) -> io::Result<String> {
        let path = self.changeable(Want::Any)?;
        let which =
            if is_folder(&path) && self.rng.one_in(2) { "system.posix_acl_default" } else { "system.posix_acl_access" };
        set_xattr(&path, which, &acl(self.rng.below(8) as u16))?;
        Ok(format!("{} {which}", self.relative(&path)))
    }

    /// Removes what stands there and makes something of another kind under the name.
    pub(super) fn flip(&mut self) -> io::Result<String> {
        let path = self.existing(Want::Any)?;
        let victim = self.relative(&path);
        crate::rig::fs::remove(&path)?;
        let kind = self.make_something(&path)?;
        Ok(format!("{} to {kind}, where was {victim}", self.relative(&path)))
    }

    pub(super) fn make_something(&mut self, path: &Path) -> io::Result<&'static str> {
        match self.rng.below(5) {
            0 => {
                let content = self.content();
                write(path, &content)?;
                Ok("a file")
            }
            1 => {
                std::os::unix::fs::symlink("anchor", path)?;
                Ok("a link")
            }
            2 => {
                fs::create_dir(path)?;
                Ok("an empty folder")
            }
            3 => {
                fs::create_dir_all(path.join("in/ner"))?;
                for file in ["in/file", "in/ner/file"] {
                    let content = self.content();
                    write(&path.join(file), &content)?;
                }
                Ok("a folder")
            }
            _ => {
                mknod(path, FileType::Fifo, 0o600, 0, 0)?;
                Ok("a FIFO")
            }
        }
    }
}

/// Whether the name through which the file was opened was unlinked. LIMIT: what is written then changes the file's other
/// names without an event on any of them; only a full pass sees it.
fn name_is_gone(file: &File) -> bool {
    let shown = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    shown.is_ok_and(|shown| shown.as_os_str().as_bytes().ends_with(b" (deleted)"))
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
