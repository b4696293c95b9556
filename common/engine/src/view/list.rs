//! Lists a folder of a view: names alone, or with all that a target is compared with.

use std::io;

use proto::{Kind, Name, digest};
use sys::{Child, Stat};

use super::listing::{Inode, Listing, Names, Skipped};
use super::{Folder, Rule, Spelled};
use crate::parts::in_parts;

impl Folder {
    /// What is in it with all that a target is compared with, looked at by up to so many threads if there is much. An entry
    /// that vanishes meanwhile is left out; its event will come.
    ///
    /// # Errors
    /// As [`Dir::list`](sys::Dir::list); of a single entry it is noted in the listing.
    pub fn list(&self, threads: usize) -> io::Result<Listing> {
        let (found, unheld) = parted(self, sorted(self)?);
        let names = found.into_iter().map(|found| found.name).collect();
        let mut listing = in_parts(names, threads, |part| look_at(self, part), Listing::append);
        listing.digest = digest::folder(&listing.entries);
        skip_too(&mut listing.skipped, unheld);
        Ok(listing)
    }

    /// What is in it by name and kind. Nothing is looked at whose kind the file system tells.
    ///
    /// # Errors
    /// The same as of [`list`](Folder::list).
    pub fn names(&self) -> io::Result<Names> {
        let (found, unheld) = parted(self, sorted(self)?);
        let mut names = Names { entries: Vec::with_capacity(found.len()), skipped: Vec::new() };
        for Child { name, kind, .. } in found {
            let kind = kind.or_else(|| look(self, &name, &mut names.skipped).map(|stat| stat.kind));
            let Some(kind) = kind else { continue };
            match self.leaves_out(&name, kind) {
                Some(rule) => names.skipped.push((name, Skipped::Rule(rule))),
                None => names.entries.push((name, kind)),
            }
        }
        skip_too(&mut names.skipped, unheld);
        Ok(names)
    }
}

fn sorted(folder: &Folder) -> io::Result<Vec<Child>> {
    let mut found = folder.children()?;
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What the disk of the target can hold, and what it cannot.
fn parted(folder: &Folder, found: Vec<Child>) -> (Vec<Child>, Vec<(Name, Skipped)>) {
    if folder.view().disk().holds_every_name() {
        return (found, Vec::new());
    }
    let spelled = Spelled::of(folder, &found);
    let mut unheld = Vec::new();
    let mut held = found;
    held.retain(|child| match spelled.unheld(&child.name) {
        Some(reason) => {
            unheld.push((child.name.clone(), Skipped::Unheld(reason)));
            false
        }
        None => true,
    });
    (held, unheld)
}

/// More that is skipped, in order of names.
fn skip_too(skipped: &mut Vec<(Name, Skipped)>, more: Vec<(Name, Skipped)>) {
    if !more.is_empty() {
        skipped.extend(more);
        skipped.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
}

/// What stands under the name; `None` when it has vanished. What cannot be looked at, or is not to be, is noted.
fn look(folder: &Folder, name: &Name, skipped: &mut Vec<(Name, Skipped)>) -> Option<Stat> {
    folder.look(name).unwrap_or_else(|error| {
        let why = match error.kind() {
            io::ErrorKind::CrossesDevices => Skipped::Rule(Rule::Mounted),
            _ => Skipped::Trouble(format!("cannot be looked at: {error}")),
        };
        skipped.push((name.clone(), why));
        None
    })
}

fn look_at(folder: &Folder, names: Vec<Name>) -> Listing {
    let mut listing = Listing { entries: Vec::with_capacity(names.len()), ..Listing::default() };
    let (view, inside) = (folder.view(), folder.dir().inside());
    for name in names {
        let Some(stat) = look(folder, &name, &mut listing.skipped) else { continue };
        if let Some(rule) = folder.leaves_out(&name, stat.kind) {
            listing.skipped.push((name, Skipped::Rule(rule)));
            continue;
        }
        match inside.extra(&name, &stat, view.keep) {
            Ok(extra) => {
                if stat.kind != Kind::Dir && stat.nlink > 1 {
                    listing.linked.push((name.clone(), Inode::of(&stat)));
                }
                if view.drops_setid(stat.kind, stat.mode) {
                    listing.setid.push(name.clone());
                }
                let mut entry = stat.entry(name, extra.digest, view.keep);
                entry.mtime = view.time(entry.mtime);
                listing.entries.push(entry);
                listing.nodes.push((stat.dev, stat.ino));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let reason = format!("its metadata cannot be read: {error}");
                listing.skipped.push((name, Skipped::Trouble(reason)));
            }
        }
    }
    listing
}
