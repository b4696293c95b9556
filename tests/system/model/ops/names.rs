//! Operations that move, link and remove names.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::{Want, World};
use crate::rig::fs::{at, exchange, is_folder, remove, write};

impl World {
    /// Anything that is no folder, to a place that may be taken.
    pub(super) fn rename(&mut self) -> io::Result<String> {
        let from = self.existing(Want::NoFolder)?;
        let to = self.place();
        let victim = self.relative(&to);
        fs::rename(&from, &to)?;
        Ok(format!("{} -> {}, where was {victim}", self.relative(&from), self.relative(&to)))
    }

    /// Over something of the same sort that exists.
    pub(super) fn rename_over(&mut self) -> io::Result<String> {
        let want = if self.rng.one_in(5) { Want::Folder } else { Want::NoFolder };
        let (from, to) = (self.existing(want)?, self.existing(want)?);
        if want == Want::Folder {
            // A folder only replaces an empty one.
            for entry in fs::read_dir(&to)?.flatten().take(3) {
                remove(&entry.path())?;
            }
        }
        let victim = self.relative(&to);
        fs::rename(&from, &to)?;
        Ok(format!("{} -> {}, where was {victim}", self.relative(&from), self.relative(&to)))
    }

    pub(super) fn rename_folder(&mut self) -> io::Result<String> {
        let from = self.existing(Want::Folder)?;
        let to = if self.rng.one_in(2) {
            let name = self.name();
            at(from.parent().unwrap_or(&self.root), &name)
        } else {
            self.place()
        };
        fs::rename(&from, &to)?;
        if self.rng.one_in(4) {
            // Written to at once under the new name.
            let name = self.name();
            let content = self.content();
            let _ = write(&at(&to, &name), &content);
        }
        Ok(format!("{} -> {}", self.relative(&from), self.relative(&to)))
    }

    pub(super) fn exchange(&mut self) -> io::Result<String> {
        let (a, b) = (self.existing(Want::Any)?, self.existing(Want::Any)?);
        exchange(&a, &b)?;
        Ok(format!("{} <-> {}", self.relative(&a), self.relative(&b)))
    }

    /// A chain of renames, the last first.
    pub(super) fn rotate(&mut self) -> io::Result<String> {
        let folder = self.folder();
        let name = |n: u32| folder.join(format!("log.{n}"));
        for n in (0..6).rev() {
            let _ = fs::rename(name(n), name(n + 1));
        }
        let content = self.content();
        self.may_write(&name(0))?;
        write(&name(0), &content)?;
        Ok(self.relative(&folder))
    }

    pub(super) fn move_out(&mut self) -> io::Result<String> {
        let from = self.existing(Want::Any)?;
        self.serial += 1;
        let to = self.outside.join(format!("out{}", self.serial));
        fs::rename(&from, &to)?;
        Ok(format!("{} -> {}", self.relative(&from), self.relative(&to)))
    }

    /// What was moved out comes back somewhere, changed perhaps; or something new.
    pub(super) fn move_in(&mut self) -> io::Result<String> {
        let mut waiting: Vec<_> = fs::read_dir(&self.outside)?.flatten().map(|e| e.path()).collect();
        waiting.sort();
        let from = if waiting.is_empty() || self.rng.one_in(3) {
            self.serial += 1;
            let path = self.outside.join(format!("new{}", self.serial));
            self.make_something(&path)?;
            path
        } else {
            self.rng.pick(&waiting).clone()
        };
        if is_folder(&from) && self.rng.one_in(2) {
            let name = self.name();
            let content = self.content();
            write(&at(&from, &name), &content)?;
        }
        let to = self.place();
        let victim = self.relative(&to);
        fs::rename(&from, &to)?;
        Ok(format!("{} -> {}, where was {victim}", self.relative(&from), self.relative(&to)))
    }

    pub(super) fn delete(&mut self) -> io::Result<String> {
        let want = if self.rng.one_in(5) { Want::Any } else { Want::NoFolder };
        let path = self.existing(want)?;
        let victim = self.relative(&path);
        remove(&path)?;
        Ok(victim)
    }

    pub(super) fn hard_link(&mut self) -> io::Result<String> {
        let from = self.existing(Want::File)?;
        let to = self.place();
        fs::hard_link(&from, &to)?;
        self.linked.insert(fs::symlink_metadata(&to)?.ino());
        Ok(format!("{} = {}", self.relative(&from), self.relative(&to)))
    }

    /// Gives a name its own copy, as editors do that replace.
    pub(super) fn break_link(&mut self) -> io::Result<String> {
        let path = self.existing(Want::File)?;
        let temporary = path.with_file_name("parted.tmp");
        let content = fs::read(&path)?;
        self.may_write(&temporary)?;
        write(&temporary, &content)?;
        let victim = self.relative(&path);
        fs::rename(&temporary, &path)?;
        Ok(format!("{} instead of {victim}", self.relative(&path)))
    }
}
