//! The operations of a storm, each with the hints that a watcher gives for it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::rc::Rc;

use fastrand::Rng;
use proto::Name;
use rustix::fs::{CWD, RenameFlags};

use super::super::path;
use super::restless::{Restless, Shared};
use super::{MOST, Place};
use crate::hint::{Cause, Hint};

/// Names are few, so that they meet.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What changes the source.
pub struct World<'a> {
    place: &'a Place,
    pub rng: Rng,
    /// Whether it makes files that size and time do not tell apart.
    pub twins: bool,
    content: u32,
    /// Inodes that got one more name in this round. They are not changed until all is at rest: what is done through a
    /// name that is made and removed before anyone looked, the kernel tells of under that name only.
    linked: HashSet<u64>,
    /// Whether files are written while they are read, and the one that is.
    pub busy: bool,
    restless: Option<Shared>,
    versions: u32,
    /// Where such a file has stood in this round.
    pub agitated: HashSet<String>,
    /// No name comes or goes in this round.
    pub calm: bool,
}

impl World<'_> {
    pub fn new(place: &Place, rng: Rng) -> World<'_> {
        let (linked, restless, agitated) = Default::default();
        let (busy, calm) = (false, false);
        World { place, rng, twins: true, content: 0, linked, busy, restless, versions: 0, agitated, calm }
    }

    pub fn begin_round(&mut self) {
        self.linked.clear();
        self.rests();
        self.agitated.clear();
        self.calm = self.busy && self.rng.u8(..4) == 0;
    }

    /// What is written while the source is read.
    pub fn restless(&self) -> Option<Shared> {
        self.restless.clone()
    }

    /// Tells of what was written meanwhile, as the kernel does.
    pub fn tell_written(&mut self) {
        let Some(restless) = self.restless.clone() else { return };
        let (written, over, inode) = {
            let mut restless = restless.borrow_mut();
            self.versions = restless.version();
            (restless.take_written(), restless.is_over(), restless.inode)
        };
        if written && let Some(at) = self.named(inode) {
            let version = self.versions;
            self.place.trace.say(|| format!("DO   version {version} of {at} (inode {inode})"));
            self.place.hints.lock().unwrap().extend(Self::entry(&at, Cause::WRITING));
            self.agitated.insert(at);
        }
        if over {
            self.rests();
        }
    }

    /// The file that is written is closed.
    fn rests(&mut self) {
        let Some(restless) = self.restless.take() else { return };
        let inode = restless.borrow().inode;
        self.named(inode).into_iter().for_each(|at| self.tell(Self::entry(&at, Cause::WRITTEN)));
    }

    /// Under which name this inode stands.
    fn named(&self, inode: u64) -> Option<String> {
        self.entries().into_iter().map(|(at, _)| at).find(|at| self.inode(at) == inode)
    }

    /// A file is written from now on whenever the source is read.
    fn agitate(&mut self) -> Option<String> {
        let known = if self.calm || self.rng.bool() { Some(self.pick(Some(false))?) } else { None };
        let at = known.clone().unwrap_or_else(|| self.free_place());
        if self.restless.is_some() {
            return None;
        }
        let mut options = fs::File::options();
        let file = options.write(true).create_new(known.is_none()).open(self.place.here.join(&at)).ok()?;
        let stat = file.metadata().ok()?;
        if stat.nlink() > 1 || self.linked.contains(&stat.ino()) {
            return None;
        }
        if known.is_none() {
            self.tell(Self::entry_and_folder(&at, Cause::CREATED));
        }
        let mut restless = Restless::new((file, stat.ino()), self.versions, &mut self.rng);
        restless.write();
        self.restless = Some(Rc::new(RefCell::new(restless)));
        self.tell_written();
        Some(format!("agitate {at} (inode {})", stat.ino()))
    }

    fn tell(&self, hints: Vec<Hint>) {
        if self.place.stamps {
            hints.iter().for_each(|hint| self.stamp(hint));
        }
        self.place.hints.lock().unwrap().extend(hints);
    }

    /// What has changed by this hint changed by the world's own clock.
    fn stamp(&self, hint: &Hint) {
        match hint {
            Hint::Entry { path, cause } if cause.has(Cause::ENTRIES | Cause::WRITTEN) => self.place.stamp(path),
            Hint::Subtree { path } => {
                self.place.stamp(path);
                // What `move_in` brings.
                path.join(&Name::parse(b"a").unwrap()).into_iter().for_each(|inside| self.place.stamp(&inside));
            }
            _ => {}
        }
    }

    fn entry(at: &str, cause: Cause) -> Vec<Hint> {
        vec![Hint::Entry { path: path(at), cause }]
    }

    fn entry_and_folder(at: &str, cause: Cause) -> Vec<Hint> {
        let folder = path(at).parent().unwrap();
        vec![Hint::Entry { path: path(at), cause }, Hint::Entry { path: folder, cause: Cause::ENTRIES }]
    }

    fn renamed(&self, from: &str, to: &str) -> Vec<Hint> {
        let folder = fs::symlink_metadata(self.place.here.join(to)).unwrap().is_dir();
        let mut hints = vec![Hint::Renamed { from: path(from), to: path(to), folder, since: self.place.clock.now() }];
        for place in [from, to] {
            hints.push(Hint::Entry { path: path(place).parent().unwrap(), cause: Cause::ENTRIES });
        }
        hints
    }

    fn entries(&self) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(self.place.here.join(&folder)).unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                let at = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let is_folder = entry.file_type().unwrap().is_dir();
                if is_folder {
                    folders.push(at.clone());
                }
                if at != "anchor" {
                    found.push((at, is_folder));
                }
            }
        }
        found.sort();
        found
    }

    fn pick(&mut self, folder: Option<bool>) -> Option<String> {
        let entries: Vec<_> =
            self.entries().into_iter().filter(|(_, is)| folder.is_none_or(|wanted| wanted == *is)).collect();
        self.rng.choice(&entries).map(|(at, _)| at.clone())
    }

    fn free_place(&mut self) -> String {
        let name = *self.rng.choice(&NAMES).unwrap();
        match if self.rng.u8(..3) == 0 { None } else { self.pick(Some(true)) } {
            Some(folder) if folder.split('/').count() < 4 => format!("{folder}/{name}"),
            _ => name.to_owned(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.content += 1;
        let width = if self.rng.u8(..20) == 0 { 300_000 } else { 8 + self.rng.usize(..300) };
        let mut bytes = format!("{}.", self.content).into_bytes();
        bytes.resize(width, b'.');
        bytes
    }

    /// One operation, if it can be done.
    pub fn step(&mut self) {
        let at = self.place.clock.now();
        let said = match self.rng.u8(..35) {
            _ if self.busy && self.rng.u8(..6) == 0 => self.agitate(),
            op if self.calm => {
                if op % 2 == 0 {
                    self.chmod()
                } else {
                    self.overwrite()
                }
            }
            0..=4 => self.write(),
            5..=6 => self.mkdir(),
            7..=10 => self.link(),
            11..=19 => self.rename(),
            20..=23 => self.exchange(),
            24..=26 => self.delete(),
            27..=28 => self.chmod(),
            29..=30 => self.flip(),
            31 => self.move_in(),
            32 if self.twins => self.make_twins(),
            _ => self.overwrite(),
        };
        if let Some(said) = said.filter(|_| self.place.trace.on) {
            self.place.trace.say_at(at, format!("DO   {said}"));
        }
    }

    fn write(&mut self) -> Option<String> {
        let (at, bytes) = (self.free_place(), self.bytes());
        let full = self.place.here.join(&at);
        let new = !full.exists();
        self.may_change(&at)?;
        fs::write(&full, &bytes).ok()?;
        if new {
            self.tell(Self::entry_and_folder(&at, Cause::CREATED));
        }
        self.tell(Self::entry(&at, Cause::WRITTEN));
        Some(format!("write {at} ({} bytes, inode {})", bytes.len(), self.inode(&at)))
    }

    /// Two new files of one size and one time, as a fast program makes them between two ticks of the kernel's clock.
    fn make_twins(&mut self) -> Option<String> {
        let (a, b) = (self.free_place(), self.free_place());
        let time = self.place.clock.wall();
        for at in [&a, &b] {
            self.content += 1;
            let bytes = format!("{:08}", self.content);
            let mut file = fs::File::create_new(self.place.here.join(at)).ok()?;
            file.write_all(bytes.as_bytes()).and_then(|()| file.set_modified(time)).ok()?;
            self.tell(Self::entry_and_folder(at, Cause::CREATED));
            self.tell(Self::entry(at, Cause::WRITTEN));
        }
        Some(format!("twins {a} {b} (inodes {}, {})", self.inode(&a), self.inode(&b)))
    }

    fn overwrite(&mut self) -> Option<String> {
        let (at, bytes) = (self.pick(Some(false))?, self.bytes());
        self.may_change(&at)?;
        fs::write(self.place.here.join(&at), &bytes).ok()?;
        self.tell(Self::entry(&at, Cause::WRITTEN));
        Some(format!("overwrite {at} ({} bytes, inode {})", bytes.len(), self.inode(&at)))
    }

    fn mkdir(&mut self) -> Option<String> {
        let at = self.free_place();
        fs::create_dir(self.place.here.join(&at)).ok()?;
        self.tell(vec![Hint::Subtree { path: path(&at) }]);
        self.tell(Self::entry(&at, Cause::ENTRIES));
        self.tell(vec![Hint::Entry { path: path(&at).parent()?, cause: Cause::ENTRIES }]);
        Some(format!("mkdir {at}"))
    }

    fn link(&mut self) -> Option<String> {
        let (old, new) = (self.pick(Some(false))?, self.free_place());
        if self.restless.as_ref().is_some_and(|restless| restless.borrow().inode == self.inode(&old)) {
            return None;
        }
        fs::hard_link(self.place.here.join(&old), self.place.here.join(&new)).ok()?;
        self.linked.insert(self.inode(&old));
        self.tell(Self::entry_and_folder(&new, Cause::CREATED));
        Some(format!("link {old} = {new} (inode {})", self.inode(&old)))
    }

    fn rename(&mut self) -> Option<String> {
        let (from, to) = (self.pick(None)?, self.free_place());
        if from == to {
            return None;
        }
        let same = self.inode(&from) == self.inode(&to);
        fs::rename(self.place.here.join(&from), self.place.here.join(&to)).ok()?;
        if !same {
            self.tell(self.renamed(&from, &to));
        }
        Some(format!("rename {from} -> {to} (inode {})", self.inode(&to)))
    }

    fn exchange(&mut self) -> Option<String> {
        let (a, b) = (self.pick(None)?, self.pick(None)?);
        if path(&a).is_within(&path(&b)) || path(&b).is_within(&path(&a)) {
            return None;
        }
        rustix::fs::renameat_with(CWD, self.place.here.join(&a), CWD, self.place.here.join(&b), RenameFlags::EXCHANGE)
            .ok()?;
        self.tell(self.renamed(&a, &b));
        self.tell(self.renamed(&b, &a));
        Some(format!("exchange {a} <-> {b} (inodes {}, {})", self.inode(&a), self.inode(&b)))
    }

    fn delete(&mut self) -> Option<String> {
        let at = self.pick(None)?;
        self.remove(&at)?;
        Some(format!("delete {at}"))
    }

    fn remove(&mut self, at: &str) -> Option<()> {
        let full = self.place.here.join(at);
        if !full.is_dir() {
            fs::remove_file(&full).ok()?;
        } else {
            let names = fs::read_dir(&full).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            let mut names: Vec<_> = names.collect();
            names.sort();
            for name in names {
                self.remove(&format!("{at}/{name}"))?;
            }
            fs::remove_dir(&full).ok()?;
        }
        self.tell(Self::entry_and_folder(at, Cause::GONE));
        Some(())
    }

    fn chmod(&mut self) -> Option<String> {
        let (at, mode) = (self.pick(None)?, 0o700 | self.rng.u32(..0o100));
        self.may_change(&at)?;
        fs::set_permissions(self.place.here.join(&at), fs::Permissions::from_mode(mode)).ok()?;
        self.tell(Self::entry(&at, Cause::ATTRIBUTES));
        Some(format!("chmod {at} {mode:o}"))
    }

    /// A file becomes a folder, or the other way.
    fn flip(&mut self) -> Option<String> {
        let at = self.pick(None)?;
        let was_folder = self.place.here.join(&at).is_dir();
        self.remove(&at)?;
        let full = self.place.here.join(&at);
        if was_folder {
            let bytes = self.bytes();
            fs::write(&full, bytes).ok()?;
            self.tell(Self::entry_and_folder(&at, Cause::CREATED));
            self.tell(Self::entry(&at, Cause::WRITTEN));
        } else {
            fs::create_dir(&full).ok()?;
            self.tell(vec![Hint::Subtree { path: path(&at) }]);
            self.tell(vec![Hint::Entry { path: path(&at).parent()?, cause: Cause::ENTRIES }]);
        }
        Some(format!("flip {at}"))
    }

    /// A folder with a file comes from outside.
    fn move_in(&mut self) -> Option<String> {
        let (at, bytes) = (self.free_place(), self.bytes());
        let outside = self.place.here.with_file_name("outside");
        fs::create_dir(&outside).ok()?;
        fs::write(outside.join("a"), bytes).ok()?;
        let done = !self.place.here.join(&at).exists() && fs::rename(&outside, self.place.here.join(&at)).is_ok();
        if !done {
            fs::remove_dir_all(&outside).ok()?;
            return None;
        }
        self.tell(vec![Hint::Subtree { path: path(&at) }]);
        self.tell(vec![Hint::Entry { path: path(&at).parent()?, cause: Cause::ENTRIES }]);
        Some(format!("move in {at}"))
    }

    fn may_change(&self, at: &str) -> Option<()> {
        (!self.linked.contains(&self.inode(at))).then_some(())
    }

    fn inode(&self, at: &str) -> u64 {
        fs::symlink_metadata(self.place.here.join(at)).map_or(0, |meta| meta.ino())
    }

    /// Removes folders until few entries are left.
    pub fn thin_out(&mut self) {
        while self.entries().len() > MOST {
            let at = self.pick(Some(true)).or_else(|| self.pick(None)).unwrap();
            self.remove(&at);
        }
    }
}
