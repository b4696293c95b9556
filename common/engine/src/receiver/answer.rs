//! One folder of the mirror as it stands, against the digest of the sender's. Runs on pool threads; changes nothing.

use std::io;

use bytes::Bytes;
use proto::{Digest, Entry, Keep, Kept, Kind, Name, RelPath, ToSender, codec, digest};
use sys::{Dir, Stage, Tree};

use super::verdict;
use crate::channel::frame;
use crate::parts::in_parts;
use crate::workers::Workers;

/// A `Compare` to be answered.
#[derive(Debug)]
pub(super) struct Ask {
    /// Its place in its run.
    pub place: usize,
    pub op: u64,
    pub path: RelPath,
    pub digest: Digest,
}

/// What to tell the sender, and what was seen by the way.
#[derive(Debug)]
pub(super) struct Answer {
    pub place: usize,
    pub path: RelPath,
    /// Encoded; none when the digests are equal.
    pub frames: Vec<Bytes>,
    pub shared: Vec<Shared>,
    /// The answer is an outcome: the folder could not be read.
    pub problem: bool,
}

/// A file in the folder that has other names too.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub inode: (u64, u64),
    pub name: Name,
}

/// Lists the folder and compares.
///
/// LIMIT: the whole listing is held in memory while it is compared and sent, about 200 bytes an entry.
pub(super) fn compare(here: Here<'_>, ask: Ask) -> Answer {
    let Ask { place, op, path, digest: theirs } = ask;
    let mut shared = Vec::new();
    let mut problem = false;
    let list = |shared: &mut _| here.tree.dir(&path).and_then(|dir| entries(&dir, (here, &path), shared));
    let listed = match list(&mut shared) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            shared.clear();
            here.stage.widen(here.tree, &path).and_then(|()| list(&mut shared))
        }
        listed => listed,
    };
    let frames = match listed {
        Ok(entries) if digest::folder(&entries) == theirs => Vec::new(),
        Ok(entries) => listing(op, entries),
        Err(error) if sys::is_absence(&error) => vec![frame(&ToSender::NoFolder { op })],
        Err(error) => {
            problem = true;
            vec![frame(&ToSender::Outcome { op, outcome: verdict::of("list the folder", &error) })]
        }
    };
    Answer { place, path, frames, shared, problem }
}

/// Where what is compared stands, and how it is looked at.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub tree: &'a Tree,
    pub stage: &'a Stage,
    pub keep: Keep,
    /// Who looks at a large folder.
    pub workers: Workers,
}

/// What stands in the folder, in order of names, without temporaries. Kinds that the module does not make are listed
/// too, so that the sender can have them removed.
fn entries(dir: &Dir, here: (Here<'_>, &RelPath), shared: &mut Vec<Shared>) -> io::Result<Vec<Entry>> {
    let mut names: Vec<Name> = dir.list()?.into_iter().map(|found| found.name).collect();
    names.retain(|name| !sys::stage::is_reserved(name));
    names.sort_unstable();
    let mut entries = Vec::with_capacity(names.len());
    for part in in_parts(names, here.0.workers.at_once(), |part| look_at(dir, here, part)) {
        let (mut seen, mut linked) = part?;
        entries.append(&mut seen);
        shared.append(&mut linked);
    }
    Ok(entries)
}

/// Those entries of a folder, and which of them have other names too.
fn look_at(dir: &Dir, (here, path): (Here<'_>, &RelPath), names: Vec<Name>) -> io::Result<(Vec<Entry>, Vec<Shared>)> {
    let (mut entries, mut shared) = (Vec::with_capacity(names.len()), Vec::new());
    let Here { tree, stage, keep, .. } = here;
    let inside = dir.inside();
    for name in names {
        // RACE: a name may vanish after it was listed; then it is as if it had never been there.
        let Some(mut stat) = dir.lookup(&name)? else { continue };
        stat.mode = stage.mode_before(&stat).unwrap_or(stat.mode);
        let extra = match inside.extra(&name, &stat, keep) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let path = path.join(&name).map_err(io::Error::other)?;
                let _unlocked = stage.unlock_reading(tree, (dir, &name), &path)?;
                inside.extra(&name, &stat, keep)?
            }
            extra => extra?,
        };
        if stat.kind == Kind::File && stat.nlink > 1 && keep.has(Kept::Hardlinks) {
            shared.push(Shared { inode: (stat.dev, stat.ino), name: name.clone() });
        }
        entries.push(stat.entry(name, extra, keep));
    }
    Ok((entries, shared))
}

/// The entries in as many frames as they need; one for a folder that is empty.
fn listing(op: u64, entries: Vec<Entry>) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let (mut left, mut parts) = (&entries[..], Vec::new());
    while !left.is_empty() {
        // Never 0: the longest entry fits.
        let fit = codec::entries_that_fit(left).clamp(1, left.len());
        left = &left[fit..];
        parts.push(fit);
    }
    let mut entries = entries.into_iter();
    for part in parts {
        let part = entries.by_ref().take(part).collect();
        frames.push(frame(&ToSender::Listing { op, entries: part, last: entries.len() == 0 }));
    }
    if frames.is_empty() {
        frames.push(frame(&ToSender::Listing { op, entries: Vec::new(), last: true }));
    }
    frames
}
