//! Memory in which frames stand while the intake reads them. Contents are slices of it: what is small could keep all of it
//! alive. So contents are copied out of frames that have little else which is kept; where they stay, all of that memory is
//! charged, once, until the last of them is written.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use super::memory::{Charge, Retained};
use super::operation::{Bundle, Item, Operation};
use crate::channel::BUFFER;

/// What a buffer from the connection may keep alive: what is read at a time stands in memory for twice as much.
const READ: usize = 2 * BUFFER;
/// A buffer that keeps alive so many times its length is not kept.
const SPARSE: usize = 4;

/// One buffer of frames, or what came out of one `Packed`.
#[derive(Debug, Default)]
pub(super) struct Frames {
    length: usize,
    /// What is kept alive by any slice of it.
    weight: usize,
    /// Bytes of it that were read since contents were settled.
    read: usize,
    /// The charge for all of it, once something is kept in it.
    kept: Option<Arc<Charge>>,
}

impl Frames {
    /// As they came from the connection.
    pub(super) fn received(length: usize) -> Frames {
        Frames { length, weight: length.max(READ), ..Frames::default() }
    }

    /// As they came out of a `Packed`, in memory of their own.
    pub(super) fn unpacked(length: usize) -> Frames {
        Frames { length, weight: length, ..Frames::default() }
    }

    /// So many bytes were read of it.
    pub(super) fn read(&mut self, bytes: usize) {
        self.read += bytes;
    }

    /// The contents that came from here since the last time stay here, or are copied.
    pub(super) fn settle(&mut self, bundle: &mut Bundle, retained: &Retained) {
        let read = mem::take(&mut self.read);
        let used = mem::take(&mut bundle.unsettled);
        let has_content = |operation: &Operation| operation.content().is_some_and(|content| !content.is_empty());
        if bundle.operations[bundle.settled..].iter().any(has_content) && self.keeps(used, read, retained) {
            bundle.frames.extend(self.kept.clone());
        } else {
            bundle.copy_contents(bundle.settled);
        }
        bundle.settled = bundle.operations.len();
    }

    /// Whether contents stay where they are: where `used` of the bytes `read` are retained anyway, and there is room.
    fn keeps(&mut self, used: usize, read: usize, retained: &Retained) -> bool {
        if self.kept.is_none() && 2 * used >= read && SPARSE * self.length >= self.weight {
            self.kept = retained.try_operations(self.weight).map(Arc::new);
        }
        self.kept.is_some()
    }

    /// What is to come from here is not kept here any more.
    pub(super) fn let_go(&mut self) {
        self.kept = None;
    }
}

impl Bundle {
    /// Copies the contents of its operations, from that one on.
    pub(super) fn copy_contents(&mut self, from: usize) {
        for operation in &mut self.operations[from..] {
            if let Operation::Put { item: Item::Inline(_, content), .. } = operation {
                // An empty slice keeps memory alive, too.
                *content = Bytes::copy_from_slice(content);
                self.copied += content.len();
            }
        }
    }

    /// Copies all contents that stand in frames, and lets those go.
    pub(super) fn leave_frames(&mut self) {
        if !self.frames.is_empty() {
            self.copied = 0;
            self.copy_contents(0);
            self.frames.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::limits::{INLINE, LINKS, PATH, XATTR_BYTES, XATTRS};
    use proto::{Device, Kind, Meta, RelPath, Time, Xattrs};

    use super::super::memory::{Memory, SURE};
    use super::super::operation::BUNDLE_BYTES;
    use super::*;

    fn put(path: &str, xattrs: Xattrs, content: Bytes) -> Operation {
        let (mtime, device, link) = (Time::default(), Device::default(), Box::default());
        let meta = Meta { kind: Kind::File, size: 0, mode: 0, uid: 0, gid: 0, mtime, device, link, xattrs };
        let path = RelPath::parse(path.as_bytes()).unwrap();
        Operation::Put { path, size: 0, inexact: false, item: Item::Inline(meta, content), built: None }
    }

    /// A bundle of files, each with so much content from the memory of these frames and so many bytes of it read.
    fn bundle(memory: &Bytes, frames: &mut Frames, files: usize, content: usize, each: usize) -> Bundle {
        let mut bundle = Bundle::default();
        for file in 0..files {
            bundle.push(put("f", Xattrs::default(), memory.slice(file * each..file * each + content)));
            frames.read(each);
        }
        bundle
    }

    fn stays(bundle: &Bundle, memory: &Bytes) -> bool {
        let within = |content: &Bytes| memory.as_ptr_range().contains(&content.as_ptr());
        let all: Vec<bool> = bundle.operations.iter().filter_map(Operation::content).map(within).collect();
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        all[0]
    }

    #[test]
    fn contents_stay_where_they_are_most_of_what_was_read() {
        let (memory, retained) = (Bytes::from(vec![1; BUFFER]), Memory::default().account());
        let mut frames = Frames::received(BUFFER);
        for part in 0..2 {
            let mut small = bundle(&memory, &mut frames, 64, 4000, 4060);
            frames.settle(&mut small, &retained);
            assert!(stays(&small, &memory), "part {part}");
            assert_eq!((small.frames.len(), small.copied, small.cost()), (1, 0, small.weight));
        }
        // Of files without content the operations are what is kept.
        let mut frames = Frames::unpacked(BUFFER);
        let mut tiny = bundle(&memory, &mut frames, 64, 1, 60);
        frames.settle(&mut tiny, &retained);
        assert!(stays(&tiny, &memory));
    }

    #[test]
    fn small_contents_are_copied_out_of_filler_and_out_of_frames_for_which_there_is_no_room() {
        let memory = Bytes::from(vec![1; BUFFER]);
        let (room, none) = (Memory::default().account(), Memory::new(0, 0).account());
        let _sure = none.try_operations(SURE).unwrap();
        for (mut frames, each, retained) in [
            (Frames::received(BUFFER), 2000, &room),
            (Frames::unpacked(BUFFER), 2000, &room),
            // All that is read at a time stands in more memory than that.
            (Frames::received(BUFFER / 4), 101, &room),
            (Frames::received(BUFFER), 101, &none),
        ] {
            let mut small = bundle(&memory, &mut frames, 64, 100, each);
            frames.settle(&mut small, retained);
            assert!(!stays(&small, &memory));
            assert_eq!((small.frames.len(), small.copied, small.cost()), (0, 6400, small.weight + 6400));
        }
    }

    #[test]
    fn an_empty_content_keeps_nothing_alive() {
        let memory = Bytes::from(vec![1; 100]);
        let mut frames = Frames::unpacked(100);
        let mut empty = Bundle::default();
        let mut content = memory.clone();
        bytes::Buf::advance(&mut content, 100);
        empty.push(put("f", Xattrs::default(), content));
        frames.settle(&mut empty, &Memory::default().account());
        assert!(memory.is_unique());
    }

    #[test]
    fn frames_are_charged_once_and_until_the_last_content_is_written() {
        let (memory, all) = (Bytes::from(vec![1; BUFFER]), Memory::new(0, 0));
        let retained = all.account();
        let mut frames = Frames::unpacked(SURE - 10);
        let mut bundles: Vec<Bundle> = (0..2)
            .map(|_| {
                let mut one = bundle(&memory, &mut frames, 1, 100, 100);
                frames.settle(&mut one, &retained);
                one
            })
            .collect();
        assert!(retained.try_operations(11).is_none() && retained.try_operations(10).is_some());
        drop(frames);
        bundles[0].staged();
        assert!(retained.try_operations(11).is_none());
        bundles[1].staged();
        assert!(retained.try_operations(SURE).is_some());
    }

    #[test]
    fn a_bundle_that_waits_has_left_its_frames() {
        let (memory, retained) = (Bytes::from(vec![1; BUFFER]), Memory::default().account());
        let mut frames = Frames::unpacked(BUFFER);
        let mut waits = bundle(&memory, &mut frames, 10, 1000, 1000);
        frames.settle(&mut waits, &retained);
        waits.leave_frames();
        assert!(!stays(&waits, &memory));
        assert_eq!((waits.frames.len(), waits.copied), (0, 10_000));
    }

    #[test]
    fn the_largest_bundle_fits_into_what_is_sure() {
        let long = |n: usize| {
            let path = format!("{n:03}/{}", "n/".repeat(500) + &vec!["n".repeat(250); 60].join("/"));
            RelPath::parse(path.as_bytes()).unwrap()
        };
        let value = XATTR_BYTES / XATTRS - 8;
        let xattrs = (0..XATTRS).map(|n| (format!("user.{n:03}").into_bytes().into(), vec![0; value].into())).collect();
        let path = vec!["n".repeat(255); PATH / 256].join("/");
        let file = put(&path, Xattrs::new(xattrs).unwrap(), Bytes::from(vec![0; INLINE]));
        // A frame has no room for more.
        let links = Operation::Link { first: long(0), others: (1..=LINKS).map(long).collect() };
        assert!((links.weight() - LINKS * 40).abs_diff(proto::limits::FRAME) < 64 * 1024, "{}", links.weight());
        for operation in [file, links] {
            let mut bundle = Bundle::default();
            bundle.push(operation);
            bundle.leave_frames();
            bundle.copy_contents(0);
            assert!(bundle.cost() + BUNDLE_BYTES <= SURE, "{}", bundle.cost());
        }
    }
}
