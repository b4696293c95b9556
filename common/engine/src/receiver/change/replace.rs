//! Operations that give a name another version as a whole, or the same one other metadata: `Put`, `Make`, `Offer`; and what
//! asks whether a `Put` would have room.

use std::io;

use proto::{Kind, Meta, Outcome, RelPath};
use sys::Staged;

use super::Changes;
use crate::delta::Signature;
use crate::receiver::basis::Built;
use crate::receiver::verdict::{self, Verdict};
use crate::view::{By, Site};

impl Changes {
    pub(super) fn put(&mut self, path: &RelPath, staged: Staged, built: Option<Built>) -> Verdict {
        let Some(Built { from, signature }) = built else { return self.publish(path, staged) };
        self.replaced.push(from);
        match signature {
            Some(signature) => self.publish_signed(path, staged, *signature),
            None => self.publish(path, staged),
        }
    }

    /// The same with a file of which the chunks are known: they are remembered of what stands there then.
    fn publish_signed(&mut self, path: &RelPath, staged: Staged, signature: Signature) -> Verdict {
        let staged_as = staged.stat();
        let verdict = self.publish(path, staged);
        if matches!(verdict, Ok(()) | Err(Outcome::Partly { .. }))
            && let Ok((folder, name)) = self.parent(path)
            && let (Ok(made), Ok(Some(stat))) = (staged_as, folder.look(&name))
            && stat.same_inode(&made)
            && stat.size == signature.end()
        {
            self.signatures.remember(&stat, signature);
        }
        verdict
    }

    /// Whether there is room for a file with so many bytes of content: such a one is made, with its owner and attributes, and
    /// not published.
    pub(super) fn ask(&mut self, path: &RelPath, mut meta: Meta, room: u64) -> Result<Outcome, Outcome> {
        self.replica.view().project(&mut meta);
        self.parent(path)?;
        let make = || {
            let file = self.replica.file_like(&meta)?;
            file.reserve(room)?;
            self.replica.finish(file, &meta)
        };
        make().map(|_| Outcome::Want).map_err(|error| verdict::staging(&error))
    }

    pub(super) fn make(&mut self, path: &RelPath, mut meta: Meta) -> Verdict {
        if !self.replica.view().makes(meta.kind) {
            return Err(verdict::refused(format!("the module keeps no {}", words(meta.kind))));
        }
        self.replica.view().project(&mut meta);
        let there = if path.is_root() {
            Some(Kind::Dir)
        } else {
            let (folder, name) = self.parent(path)?;
            let looked = |error: io::Error| verdict::of("look at what stands there", &error);
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
        let staged = self.replica.make(&meta).map_err(|error| verdict::staging(&error))?;
        let verdict = self.publish(path, staged);
        if meta.kind == Kind::Dir && matches!(verdict, Ok(()) | Err(Outcome::Partly { .. })) {
            // Children are likely to follow, and its metadata belongs to the batch's seal.
            let folder = self.folders.open(path).map_err(|error| verdict::of("open it", &error))?;
            self.folders.made(&folder, meta.mtime);
        }
        verdict
    }

    /// A folder that exists gets its metadata, unless it has it already.
    fn make_in_place(&mut self, path: &RelPath, meta: &Meta) -> Verdict {
        let Some(mode) = self.replica.mode_instead(path, meta.mode) else {
            return self.set_in_place(path, meta);
        };
        let text = format!(
            "mode {:04o}: recvd is not root, and needs all rights to the module's own folder: its mode is {mode:04o}",
            meta.mode
        );
        match self.set_in_place(path, &Meta { mode, ..meta.clone() }) {
            Ok(()) => verdict::done(&[text]),
            Err(Outcome::Partly { reason }) => verdict::done(&[text, reason]),
            failed => failed,
        }
    }

    fn set_in_place(&mut self, path: &RelPath, meta: &Meta) -> Verdict {
        let failed = |error: io::Error| verdict::of("set its metadata", &error);
        let folder = self.folders.open(path).map_err(|error| verdict::of_parent(&error))?;
        let stat = folder.stat().map_err(failed)?;
        let mut there = self.replica.meta_of_folder(&folder, &stat).map_err(failed)?;
        if let Some(mtime) = self.folders.mtime(&folder) {
            there.mtime = mtime;
        }
        if there.same_metadata(meta) {
            return Ok(());
        }
        let verdict = self.displace("set its metadata", Site::folder(&folder), By::Metadata(meta, &stat));
        if matches!(verdict, Ok(()) | Err(Outcome::Partly { .. })) {
            self.folders.made(&folder, meta.mtime);
        }
        verdict
    }

    pub(super) fn offer(&mut self, path: &RelPath, mut meta: Meta) -> Verdict {
        let failed = |error: io::Error| verdict::of("set its metadata", &error);
        self.replica.view().project(&mut meta);
        let (folder, name) = self.parent(path)?;
        let Some(stat) = folder.look(&name).map_err(failed)? else { return Err(Outcome::Want) };
        if stat.kind != Kind::File || stat.size != meta.size {
            return Err(Outcome::Want);
        }
        let there = folder.meta(&name, &stat).map_err(failed)?;
        if !meta.content_fits(&there) {
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
        let verdict = self.displace("set its metadata", site, By::Metadata(&meta, &stat));
        if matches!(verdict, Ok(()) | Err(Outcome::Partly { .. })) {
            self.altered.push((folder, name));
        }
        verdict
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
