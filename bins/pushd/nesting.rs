//! A target within its own source, or a source within its own target, on one host: the first is copied into itself without
//! end, the second is deleted by its own mirror. Nothing is sent there.
//!
//! Asked when a target has said where its folder stands, before the first frame: by `run`, `sync` and `check`.

use std::io;
use std::path::Path;

use proto::digest::Digest;
use sys::{Mounts, Place, Tree};

/// How source and target lie in each other. It shows as the operator's sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nesting {
    /// The target's folder is in the source.
    #[error(
        "the folder of the target stands within the source, which would be copied into itself without end: nothing is sent; \
         choose another folder for one of them"
    )]
    TargetWithin,
    /// The source is in the target's folder.
    #[error(
        "the source stands within the folder of the target, which would delete it as something that the source does not \
         have: nothing is sent; choose another folder for one of them"
    )]
    SourceWithin,
    /// They are one folder.
    #[error("the folder of the target is the source itself: nothing is sent; choose another folder for one of them")]
    Same,
}

/// How they lie in each other, if they do. `target`: what `Opened` says. Nothing is known of a target on another host, nor
/// where the kernel does not tell where folders stand.
pub fn nesting(source: &Tree, mounts: Mounts, target: &[Digest]) -> Option<Nesting> {
    let own = target.first()?;
    // A source that is not seen from the root of this process cannot be compared, and is not refused for it.
    let tops = tops(source, mounts).ok()?;
    if tops.first().is_some_and(|source| source.digest() == *own) {
        return Some(Nesting::Same);
    }
    if tops.iter().any(|top| target.contains(&top.digest())) {
        return Some(Nesting::TargetWithin);
    }
    tops.iter().any(|top| top.digests().contains(own)).then_some(Nesting::SourceWithin)
}

/// The same for a source that is not open; nothing where it is missing.
pub fn nesting_at(source: &Path, mounts: Mounts, target: &[Digest]) -> Option<Nesting> {
    nesting(&Tree::open(source, mounts).ok()?, mounts, target)
}

/// The source's root, and all that is mounted in it where that is entered.
fn tops(source: &Tree, mounts: Mounts) -> io::Result<Vec<Place>> {
    let mut tops = vec![Place::of(source)?];
    if mounts == Mounts::Cross {
        tops.extend(Place::mounted_beneath(source.path())?);
    }
    Ok(tops)
}
