//! What a pass hears of folders: what is in them here, and what the target says of them.

use proto::{Entry, Kind, Name, RelPath};

use super::compared::{Compared, Extras, Stretch, Wrong, cost};
use super::links::Standing;
use super::{Action, Children, Difference, Differing, Pass, blank};
use crate::view::Inode;

impl Pass {
    /// What stands in a folder. Of `others` the target has another file under the same name, whatever size and time say.
    pub fn listed(&mut self, path: RelPath, children: Children, others: Vec<Name>) {
        self.listing -= 1;
        self.empty |= path.is_root() && children.len() == 0 && children.skipped().is_empty();
        if self.is_deep() {
            let folders = children.kinds().filter(|(name, kind)| *kind == Kind::Dir && path.check(name).is_ok());
            // The last is listed next: names in reverse, so that folders are listed in order.
            let folders: Vec<_> = folders.rev().map(|(name, _)| name.clone()).collect();
            self.listing += folders.len();
            if !folders.is_empty() {
                self.todo.push_back(Action::ListWithin(path.clone(), folders));
            }
        }
        match children {
            Children::Listing(here) if !self.blank.contains(&path) => {
                for (name, inode) in &here.linked {
                    if let Ok(path) = path.join(name) {
                        self.links.met(*inode, &path);
                    }
                }
                self.entries += here.entries.len();
                self.todo.push_back(Action::Compare(path.clone(), here.digest));
                self.comparing.insert(path, Compared::new(here, others, self.names));
            }
            children => self.todo.push_back(Action::LookAtAll(path, children)),
        }
    }

    /// A folder could not be listed: what the target has of it stays.
    pub fn unlisted(&mut self) {
        self.partial = true;
        self.listing -= 1;
    }

    /// The target's folder has the digest that it was asked about.
    pub fn is_alike(&mut self, path: &RelPath) {
        if let Some(compared) = self.take(path) {
            self.matched += compared.len() as u64;
            let (others, linked) = compared.into_others();
            self.send(path, others);
            self.meet_differing(path, linked);
        }
        self.take_up_missing(path);
    }

    /// The next part of the target's listing of a folder that has another digest; with the last the folder is through.
    /// Of what is to be deleted so many bytes may be held yet. `stands` says whether something is here by now under a name that
    /// was not when the folder was listed.
    ///
    /// # Errors
    /// When it does not follow the parts before it, or there are too many.
    pub fn differs(
        &mut self,
        path: &RelPath,
        there: &[Entry],
        last: bool,
        room: usize,
        stands: impl Fn(&Name) -> bool,
    ) -> Result<(), Wrong> {
        let Some(compared) = self.comparing.get_mut(path) else { return Ok(()) };
        let held = compared.held;
        // What is only there was found when all was listed first.
        let room = if self.again { 0 } else { room };
        let extras = if self.delete { Extras::UpTo(room) } else { Extras::InTheWay };
        let stretch = compared.told(path, there, last, extras, stands)?;
        self.held += compared.held - held;
        match compared.last_told().filter(|_| !last).cloned() {
            Some(name) => self.to_ask.push_back((path.clone(), name)),
            None => self.conclude(path),
        }
        self.found(path, stretch);
        self.take_up_missing(path);
        Ok(())
    }

    /// The target has no such folder. Where it has told of some of it before, that is gone.
    pub fn is_missing(&mut self, path: &RelPath) {
        if let Some((above, name)) = path.split()
            && self.comparing.get(&above).is_some_and(|above| !above.has_reached(&name))
        {
            // The folder itself goes before what is in it.
            return self.missing.entry(above).or_default().push(name);
        }
        let Some(compared) = self.comparing.get_mut(path) else { return };
        if compared.len() == 0 {
            // It may have been there when the folder above was compared; nothing that is in it will say so.
            self.todo.push_back(Action::Make(path.clone()));
        }
        let stretch = compared.has_nothing();
        self.conclude(path);
        self.found(path, stretch);
        self.take_up_missing(path);
    }

    /// The comparison of this folder failed: nothing is concluded from it, and nothing in it is deleted.
    pub fn uncompared(&mut self, path: &RelPath) {
        self.partial = true;
        if let Some(compared) = self.take(path) {
            self.meet_differing(
                path,
                compared.linked().iter().map(|(name, inode)| (name.clone(), *inode, Standing::Unknown)),
            );
        }
        self.take_up_missing(path);
    }

    /// What is known of these names of files with several.
    fn meet_differing(&mut self, folder: &RelPath, linked: impl IntoIterator<Item = (Name, Inode, Standing)>) {
        let mut apart = Vec::new();
        for (name, inode, standing) in linked {
            let ignored = standing == Standing::Metadata && !self.attributes;
            let Some(path) = folder.join(&name).ok().filter(|_| !ignored) else { continue };
            let cleared = standing == Standing::Barred && self.cleared.contains(&path);
            if self.links.differs(inode, &path, if cleared { Standing::Missing } else { standing }) {
                apart.push(name);
            }
        }
        if !apart.is_empty() {
            self.todo.push_back(Action::SendApart(folder.clone(), apart));
        }
    }

    /// The target has told more of a folder, or all that it will: those in it that it does not have go on, or wait again.
    fn take_up_missing(&mut self, folder: &RelPath) {
        let names = self.missing.remove(folder).unwrap_or_default();
        names.iter().filter_map(|name| folder.join(name).ok()).for_each(|path| self.is_missing(&path));
    }

    fn take(&mut self, path: &RelPath) -> Option<Compared> {
        let compared = self.comparing.remove(path)?;
        self.entries -= compared.len();
        self.held -= compared.held;
        Some(compared)
    }

    /// What is here and differs, up to where the target has told.
    fn found(&mut self, path: &RelPath, Stretch { found, others, came, linked, blank }: Stretch) {
        self.send(path, others);
        self.meet_differing(path, linked);
        if !came.is_empty() {
            self.todo.push_back(Action::LookAtNew(path.clone(), came));
        }
        let blank_itself = blank && self.is_deep();
        let blank = match () {
            () if blank_itself || !self.is_deep() => Vec::new(),
            () => blank::found(&found),
        };
        self.look(path, found.here);
        if blank_itself {
            return self.is_blank(path.clone());
        }
        blank.iter().filter_map(|name| path.join(name).ok()).for_each(|folder| self.is_blank(folder));
    }

    /// All of the target's listing is there.
    fn conclude(&mut self, path: &RelPath) {
        let Some(mut compared) = self.take(path) else { return };
        self.matched += compared.matched;
        if self.delete {
            self.held += compared.extras.iter().map(|(name, _)| cost(path, name)).sum::<usize>();
            self.deletions.add_beyond(if self.again { 0 } else { compared.beyond });
        }
        for (name, kind) in std::mem::take(&mut compared.extras) {
            match path.join(&name) {
                Ok(path) if self.delete => self.deletions.add(path, kind),
                Ok(path) => self.todo.push_back(Action::SayInTheWay(path)),
                // A path that is too long here is not at the target, either.
                Err(_) => {}
            }
        }
    }

    fn send(&mut self, folder: &RelPath, files: Vec<Name>) {
        if !files.is_empty() {
            self.todo.push_back(Action::Send(folder.clone(), files));
        }
    }

    fn look(&mut self, folder: &RelPath, mut differing: Vec<Differing>) {
        if !self.is_deep() {
            // What is in a folder that is new there is not seen by this pass.
            let new = |one: &Differing| one.kind == Kind::Dir && one.difference != Difference::Metadata;
            let new = differing.extract_if(.., |one| new(one)).filter_map(|one| folder.join(&one.name).ok());
            self.todo.extend(new.map(Action::CompareLater));
        }
        if !differing.is_empty() {
            self.todo.push_back(Action::Look(folder.clone(), differing));
        }
    }

    /// What is in this folder is all sent. Answers about those beneath it, which were asked about already, are of no
    /// interest; looks at them follow in order of their paths, so that each folder is made before what is in it.
    fn is_blank(&mut self, folder: RelPath) {
        let asked = crate::sender::places::at_and_beneath(&self.comparing, &folder);
        self.blank.insert(folder);
        for path in asked {
            self.missing.remove(&path);
            if let Some(compared) = self.take(&path) {
                let linked = compared.linked().iter();
                self.meet_differing(
                    &path,
                    linked.map(|(name, inode)| (name.clone(), *inode, Standing::Unknown)).collect::<Vec<_>>(),
                );
                self.todo.push_back(Action::LookAtAll(path, Children::Listing(compared.into_here())));
            }
        }
    }
}
