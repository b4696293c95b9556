//! Operations that give a name another version as a whole, or the same one other metadata: `Put`, `Make`, `Offer`; and what
//! asks whether a `Put` would have room.

use std::io;
use std::sync::Arc;

use proto::{Kind, Meta, Name, Outcome, RelPath};
use sys::{Staged, Stat};

use super::Changes;
use super::folders::Held;
use crate::receiver::basis::Built;
use crate::receiver::outcome::{self, Done};
use crate::receiver::signatures::Signature;
use crate::view::{By, Site, gives_more, narrowed};

/// Why a folder does not get what would give somebody more rights to it.
const UNSURE: &str = "its owner, rights and ACLs: other users of the backup host can change names in the folder above it, \
                      so it may be another folder; 'recvd check' there says how to shut them out";

impl Changes {
    pub(super) fn put(&mut self, path: &RelPath, staged: Staged, built: Option<Built>) -> Done {
        let Some(Built { from, signature }) = built else { return self.publish(path, staged) };
        self.replaced.push(from);
        match signature {
            Some(recorded) => self.publish_signed(path, staged, &recorded.signature),
            None => self.publish(path, staged),
        }
    }

    /// What is not of one moment displaces nothing that is: it is put where nothing stands, or another such file, or one in
    /// which no data is yet, as most are at first.
    pub(super) fn makes_way_for_inexact(&mut self, path: &RelPath) -> Done {
        let failed = |error: io::Error| outcome::of("look at what stands there", &error);
        let (folder, name) = self.parent(path)?;
        let Some(stat) = folder.look(&name).map_err(failed)? else { return Ok(()) };
        self.spares(Site::entry(&folder, &name, path), &stat)?;
        if stat.kind != Kind::File {
            return Err(Outcome::Differs);
        }
        let inexact = folder.marked_meta(&name, &stat).map_err(failed)?.1;
        let has_data = || folder.open(&name)?.0.next_data(0, stat.size);
        if inexact || has_data().map_err(failed)?.is_none() { Ok(()) } else { Err(Outcome::Differs) }
    }

    /// Refused where this folder makes way for no file.
    fn spares(&self, site: Site<'_>, stat: &Stat) -> Done {
        let spared = self.replica.ask_kind(stat.kind);
        spared.map_err(|obstacle| outcome::of_obstacle("put it in place", &obstacle, site, None))
    }

    /// The same with a file of which the signature is known: it is remembered for the next version.
    fn publish_signed(&mut self, path: &RelPath, staged: Staged, signature: &Arc<Signature>) -> Done {
        let staged_as = staged.stat();
        let done = self.publish(path, staged);
        if outcome::is_done(&done)
            && let Ok((folder, name)) = self.parent(path)
            && let (Ok(made), Ok(Some(stat))) = (staged_as, folder.look(&name))
            && stat.same_inode(&made)
            && stat.size == signature.end()
        {
            self.signatures.remember(&stat, Arc::clone(signature));
        }
        done
    }

    /// Whether there is room for a file with so many bytes of content: one is made with its owner and attributes, and thrown
    /// away.
    pub(super) fn ask(&mut self, path: &RelPath, mut meta: Meta, room: u64, inexact: bool) -> Result<Outcome, Outcome> {
        self.replica.view().project(&mut meta);
        let (folder, name) = self.parent(path)?;
        // What cannot be looked at is met by the `Put`.
        if self.replica.is_sparing()
            && let Ok(Some(stat)) = folder.look(&name)
        {
            self.spares(Site::entry(&folder, &name, path), &stat)?;
        }
        let make = || {
            let file = self.replica.file_like(&meta, inexact)?;
            file.reserve(room)?;
            self.replica.finish(file, &meta)
        };
        make().map(|_| Outcome::Want).map_err(|error| outcome::staging(&error))
    }

    pub(super) fn make(&mut self, path: &RelPath, mut meta: Meta) -> Done {
        if !self.replica.view().makes(meta.kind) {
            return Err(outcome::refused(format!("the module keeps no {}", words(meta.kind))));
        }
        self.replica.view().project(&mut meta);
        let there = if path.is_root() {
            Some(Kind::Dir)
        } else {
            let (folder, name) = self.parent(path)?;
            let looked = |error: io::Error| outcome::of("look at what stands there", &error);
            let stat = folder.look(&name).map_err(looked)?;
            match &stat {
                Some(stat) if stat.kind == meta.kind && meta.kind != Kind::Dir => {
                    let there = folder.meta(&name, stat).map_err(looked)?;
                    if there.same_metadata(&meta) {
                        return Ok(());
                    }
                }
                _ => {}
            }
            stat.map(|stat| stat.kind)
        };
        if meta.kind == Kind::Dir && there == Some(Kind::Dir) {
            return self.make_in_place(path, &meta);
        }
        let staged = self.replica.make(&meta).map_err(|error| outcome::staging(&error))?;
        let done = self.publish(path, staged);
        if meta.kind == Kind::Dir && outcome::is_done(&done) {
            // Children are likely to follow; and the batch must flush it with its metadata.
            let folder = self.folders.open(path).map_err(|error| outcome::of("open it", &error))?;
            self.folders.made(&folder, meta.mtime);
        }
        done
    }

    /// The metadata of a folder that stands there. None is made: what was in it is not known to be there either.
    pub(super) fn mend(&mut self, path: &RelPath, mut meta: Meta) -> Done {
        self.replica.view().project(&mut meta);
        if !path.is_root() {
            let (folder, name) = self.parent(path)?;
            let stat = folder.look(&name).map_err(|error| outcome::of("look at what stands there", &error))?;
            if stat.is_none_or(|stat| stat.kind != Kind::Dir) {
                return Err(Outcome::Absent);
            }
        }
        self.make_in_place(path, &meta)
    }

    /// A folder that exists gets its metadata, unless it has it already.
    fn make_in_place(&mut self, path: &RelPath, meta: &Meta) -> Done {
        let Some(mode) = self.replica.mode_instead(path, meta.mode) else {
            return self.set_in_place(path, meta);
        };
        let text = format!(
            "mode {:04o}: recvd is not root, and needs all rights to the module's own folder: its mode is {mode:04o}",
            meta.mode
        );
        match self.set_in_place(path, &Meta { mode, ..meta.clone() }) {
            Ok(()) => outcome::done(&[text]),
            Err(Outcome::Partly { reason }) => outcome::done(&[text, reason]),
            failed => failed,
        }
    }

    fn set_in_place(&mut self, path: &RelPath, meta: &Meta) -> Done {
        let failed = |error: io::Error| outcome::of("set its metadata", &error);
        let folder = self.folders.open(path).map_err(|error| outcome::of_parent(&error))?;
        let stat = folder.stat().map_err(failed)?;
        let mut there = self.replica.meta_of_folder(&folder, &stat).map_err(failed)?;
        if let Some(mtime) = self.folders.mtime(&folder) {
            there.mtime = mtime;
        }
        if there.same_metadata(meta) {
            return Ok(());
        }
        let site = Site::folder(&folder);
        let done = if gives_more(&there, meta) && !self.replica.may_open(&folder, &stat, meta).map_err(failed)? {
            let less = Meta { mode: narrowed(&there, meta), ..meta.clone() };
            self.displace("set its metadata", site, By::Narrower(&less)).and(outcome::done(&[UNSURE.to_owned()]))
        } else {
            self.displace("set its metadata", site, By::Metadata(meta, &stat))
        };
        if outcome::is_done(&done) {
            self.folders.made(&folder, meta.mtime);
        }
        done
    }

    /// With a digest the content decides, else size and mtime do.
    pub(super) fn offer(&mut self, path: &RelPath, mut meta: Meta, digest: Option<&[u8; 32]>) -> Done {
        let failed = |error: io::Error| outcome::of("set its metadata", &error);
        self.replica.view().project(&mut meta);
        let (folder, name) = self.parent(path)?;
        let Some(stat) = folder.look(&name).map_err(failed)? else { return Err(Outcome::Want) };
        if stat.kind != Kind::File || stat.size != meta.size {
            return Err(Outcome::Want);
        }
        let (there, inexact) = folder.marked_meta(&name, &stat).map_err(failed)?;
        let fits = match digest {
            None => meta.content_fits(&there),
            // An inexact one has not even this content. And the sender's has no other name.
            Some(_) if inexact || stat.nlink != 1 => false,
            Some(digest) => self.has_content((&folder, &name), &stat, digest).map_err(failed)?,
        };
        if inexact || !fits {
            return Err(Outcome::Want);
        }
        if meta.same_metadata(&there) {
            return Ok(());
        }
        // An inode that other names share is never changed: they may stand for other files of the sender.
        if stat.nlink != 1 {
            return Err(Outcome::Want);
        }
        let site = Site::entry(&folder, &name, path);
        let done = self.displace("set its metadata", site, By::Metadata(&meta, &stat));
        if outcome::is_done(&done) {
            self.altered.push((folder, name));
        }
        done
    }

    /// Whether a small file has this hash. Where that was not so too often it is not said, but of all.
    fn has_content(&self, (folder, name): (&Held, &Name), stat: &Stat, digest: &[u8; 32]) -> io::Result<bool> {
        if !self.guesses.take(self.clock.now()) {
            return Ok(false);
        }
        let read = || -> io::Result<bool> {
            let (file, opened) = folder.open(name)?;
            let mut content = vec![0; stat.size as usize];
            let read = file.read_at(0, &mut content)?;
            let same = opened.same_inode(stat) && file.stat()?.same_content(stat);
            Ok(same && read == content.len() && blake3::hash(&content) == *digest)
        };
        let same = read();
        if !matches!(same, Ok(false)) {
            self.guesses.give_back();
        }
        same
    }
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "files",
        Kind::Dir => "folders",
        Kind::Symlink => "symbolic links",
        Kind::Fifo => "FIFOs",
        Kind::Socket => "sockets",
        Kind::CharDevice => "character devices",
        Kind::BlockDevice => "block devices",
    }
}
