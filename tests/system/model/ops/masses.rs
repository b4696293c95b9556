//! Operations that take much away at once, as deploys and slips of the hand do, and bring it back.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Twins;
use super::{Want, World};
use crate::rig::fs::{at, count, exchange, is_folder, remove, set_mtime, write};

/// Copies of what was taken away that are kept for later.
const KEPT: usize = 4;

impl World {
    /// A folder with a few hundred small files in it, in folders.
    pub fn site(&mut self) -> io::Result<String> {
        let top = self.place();
        let (folders, files) = (self.rng.between(1, 6), self.rng.between(20, 60));
        fs::DirBuilder::new().mode(0o755).create(&top)?;
        for n in 0..folders {
            let folder = top.join(format!("part {n}"));
            fs::create_dir(&folder)?;
            for file in 0..files {
                let size = if self.twins == Twins::Made { 300 } else { 300 + n * files + file };
                write(&folder.join(file.to_string()), &self.rng.bytes(size as usize))?;
            }
        }
        Ok(format!("{} {folders} folders of {files}", self.relative(&top)))
    }

    /// Takes away a large part of the source: one large folder, the files of one, or all; and what follows such a thing.
    pub fn raze(&mut self) -> io::Result<String> {
        let top = self.large()?;
        let victim = self.relative(&top);
        let kept = self.rng.one_in(2).then(|| self.keep(&top)).transpose()?;
        let how = match self.rng.below(8) {
            0 => {
                take_out_of(&top)?;
                "all in it"
            }
            1 => {
                let files =
                    fs::read_dir(&top)?.flatten().filter(|entry| entry.file_type().is_ok_and(|it| !it.is_dir()));
                files.into_iter().try_for_each(|entry| remove(&entry.path()))?;
                "its files"
            }
            2 => {
                self.serial += 1;
                fs::rename(&top, self.outside.join(format!("razed{}", self.serial)))?;
                "by a move out"
            }
            _ => {
                remove(&top)?;
                "whole"
            }
        };
        let then = self.follow(&top, kept.is_some())?;
        Ok(format!("{victim} {how}, {then}"))
    }

    /// What comes after a large part has gone.
    fn follow(&mut self, top: &Path, is_kept: bool) -> io::Result<&'static str> {
        Ok(match self.rng.below(6) {
            0 if fs::symlink_metadata(top).is_err() => self.make_something(top)?,
            1 | 2 if is_kept => {
                self.rebuild_last(top)?;
                "and built again at once"
            }
            3 => match top.parent().filter(|parent| *parent != self.root) {
                Some(parent) => {
                    let name = self.name();
                    let _ = fs::rename(parent, at(parent.parent().unwrap_or(&self.root), &name));
                    "and the folder around it is renamed"
                }
                None => "and no more",
            },
            _ => "and no more",
        })
    }

    /// Everything below the root goes, the anchor too.
    pub(super) fn empty(&mut self) -> io::Result<String> {
        if !self.rng.one_in(6) {
            return Err(io::Error::other("not so often"));
        }
        self.empty_now()
    }

    pub fn empty_now(&mut self) -> io::Result<String> {
        let root = self.root.clone();
        let kept = self.rng.one_in(2).then(|| self.keep(&root)).transpose()?;
        take_out_of(&root)?;
        if kept.is_some() && self.rng.one_in(2) {
            self.rebuild_last(&root)?;
            return Ok("and built again at once".into());
        }
        if self.rng.one_in(2) {
            write(&root.join("anchor"), b"here again\n")?;
        }
        Ok("and no more".into())
    }

    /// Something that was taken away stands again, with times and all, whole or in part.
    pub fn rebuild(&mut self) -> io::Result<String> {
        let Some((top, copy)) = self.kept.pop() else { return Err(io::Error::other("nothing is kept")) };
        if self.rng.one_in(4) && is_folder(&copy) {
            for entry in fs::read_dir(&copy)?.flatten().take(2) {
                remove(&entry.path())?;
            }
        }
        self.put_back(&top, &copy)?;
        Ok(self.relative(&top))
    }

    /// The new release is built beside the old one, and takes its place: by two renames or by an exchange.
    pub(super) fn deploy(&mut self) -> io::Result<String> {
        let top = self.large()?;
        self.serial += 1;
        let beside = |word: &str, n: u64| top.with_file_name(format!("{word}{n}"));
        let (new, old) = (beside("new", self.serial), beside("old", self.serial));
        copy(&top, &new)?;
        self.part(&top, &new)?;
        let content = self.content();
        let _ = write(&new.join("release"), &content);
        if self.rng.one_in(2) {
            fs::rename(&top, &old)?;
            fs::rename(&new, &top)?;
            if self.rng.one_in(2) {
                remove(&old)?;
            }
        } else {
            exchange(&top, &new)?;
            remove(&new)?;
        }
        Ok(self.relative(&top))
    }

    /// The largest of a few folders.
    fn large(&mut self) -> io::Result<PathBuf> {
        let some: Vec<_> = (0..6).filter_map(|_| self.pick(Want::Folder)).collect();
        let largest = some.into_iter().max_by_key(|path| count(path));
        largest.ok_or_else(|| io::Error::other("no folder"))
    }

    /// Puts a copy aside.
    fn keep(&mut self, top: &Path) -> io::Result<()> {
        self.serial += 1;
        let place = self.outside.with_file_name("kept").join(self.serial.to_string());
        fs::create_dir_all(place.parent().unwrap_or(&place))?;
        copy(top, &place)?;
        self.part(top, &place)?;
        self.kept.push((top.to_path_buf(), place));
        if self.kept.len() > KEPT {
            let (_, oldest) = self.kept.remove(0);
            remove(&oldest)?;
        }
        Ok(())
    }

    /// LIMIT: of a copy that is put back with its times live, only a full pass sees that it is not one file any more with names
    /// elsewhere. So it has another time.
    fn part(&mut self, from: &Path, copy: &Path) -> io::Result<()> {
        let meta = fs::symlink_metadata(from)?;
        if meta.is_dir() {
            for entry in fs::read_dir(from)?.flatten() {
                self.part(&entry.path(), &copy.join(entry.file_name()))?;
            }
        } else if meta.nlink() > 1 {
            self.serial += 1;
            set_mtime(copy, self.serial as i64, self.rng.below(1_000_000_000) as u32)?;
        }
        Ok(())
    }

    fn rebuild_last(&mut self, top: &Path) -> io::Result<()> {
        match self.kept.pop() {
            Some((_, copy)) => self.put_back(top, &copy),
            None => Ok(()),
        }
    }

    /// Where its folder stands still.
    fn put_back(&mut self, top: &Path, from: &Path) -> io::Result<()> {
        if is_folder(top) && is_folder(from) {
            // What is there is written over, as `cp -a` does: what got a new name in this round is not to be written to.
            for entry in fs::read_dir(from)?.flatten() {
                let to = top.join(entry.file_name());
                if fs::symlink_metadata(&to).is_err() {
                    copy(&entry.path(), &to)?;
                }
            }
        } else if fs::symlink_metadata(top).is_err() {
            copy(from, top)?;
        }
        remove(from)
    }
}

fn take_out_of(folder: &Path) -> io::Result<()> {
    fs::read_dir(folder)?.flatten().try_for_each(|entry| remove(&entry.path()))
}

/// `cp -a`, of something to a name at which nothing stands.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let done = Command::new("cp").args(["-aT", "--"]).args([from, to]).output()?;
    if done.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()))
    }
}
