//! Reading one version of a regular file: what is sent is what stood there at one instant, or the exact beginning of a
//! file that only grew. Anything else is read again.

use std::io;
use std::ops::Range;

use bytes::BytesMut;
use proto::{RelPath, codec};
use sys::{File, Stat};

use crate::view::View;

/// How often a file that changes while it is read is read at once again.
pub(super) const ATTEMPTS: u32 = 3;

/// What became of reading a small file into a buffer.
pub(super) enum Small {
    /// The frame is in the buffer; so many bytes of content.
    Whole(u64),
    /// It changed each time it was read.
    Changing,
}

/// The hash of a file that is small, if it is as it was when it was opened.
pub(super) fn digest(file: &File, first: &Stat) -> Option<[u8; 32]> {
    let mut content = BytesMut::new();
    let read = fill(file, 0..first.size, &mut content).ok()?;
    let same = read == first.size && file.stat().is_ok_and(|now| now.same_content(first));
    same.then(|| blake3::hash(&content).into())
}

/// Appends a `Put` of the file to `buffer`, or nothing.
pub(super) fn small(file: &File, first: Stat, path: &RelPath, view: &View, buffer: &mut BytesMut) -> io::Result<Small> {
    let at = buffer.len();
    let read = read_small(file, first, path, view, buffer);
    if read.is_err() {
        // The frame that was begun.
        buffer.truncate(at);
    }
    read
}

fn read_small(file: &File, first: Stat, path: &RelPath, view: &View, buffer: &mut BytesMut) -> io::Result<Small> {
    let mut before = first;
    let mut earlier: Option<(Stat, BytesMut)> = None;
    for _ in 0..ATTEMPTS {
        if before.size > proto::limits::INLINE as u64 {
            break;
        }
        let meta = view.meta_of(file, &before)?;
        let at = buffer.len();
        let put = codec::start_put(path, &meta, buffer);
        let content = buffer.len();
        let read = fill(file, 0..before.size, buffer)?;
        let after = file.stat()?;
        if read == before.size && after.same_content(&before) {
            return Ok(match put.finish(buffer) {
                Ok(()) => Small::Whole(read),
                Err(_) => Small::Changing,
            });
        }
        let whole = read == before.size;
        let bytes = BytesMut::from(&buffer[content..]);
        put.cancel(buffer);
        debug_assert_eq!(buffer.len(), at);
        // The same beginning twice, with the file longer each time: an exact prefix of a file that only grew.
        if let Some((then, prefix)) = &earlier
            && bytes.starts_with(prefix)
            && before.size > then.size
            && before.ino == then.ino
        {
            return prefix_put(file, then, prefix, path, view, buffer);
        }
        earlier = (whole && after.size >= before.size).then_some((before, bytes));
        before = after;
    }
    Ok(Small::Changing)
}

fn prefix_put(
    file: &File,
    then: &Stat,
    prefix: &[u8],
    path: &RelPath,
    view: &View,
    buffer: &mut BytesMut,
) -> io::Result<Small> {
    let meta = view.meta_of(file, then)?;
    let put = codec::start_put(path, &meta, buffer);
    buffer.extend_from_slice(prefix);
    Ok(match put.finish(buffer) {
        Ok(()) => Small::Whole(meta.size),
        Err(_) => Small::Changing,
    })
}

/// Appends these bytes of the file, as far as they are there; returns how many there were.
pub(super) fn fill(file: &File, range: Range<u64>, buffer: &mut BytesMut) -> io::Result<u64> {
    let start = buffer.len();
    // Callers keep it within INLINE or DATA, far below the address space.
    buffer.resize(start + (range.end - range.start) as usize, 0);
    let read = file.read_at(range.start, &mut buffer[start..])?;
    buffer.truncate(start + read);
    Ok(read as u64)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use proto::{Content, Keep, ToReceiver};
    use sys::faults::{self, Verb};
    use sys::{Mounts, Tree};

    use super::*;

    #[test]
    fn what_cannot_be_read_leaves_nothing_in_the_buffer() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("f"), "content").unwrap();
        let tree = Arc::new(Tree::open(scratch.path(), Mounts::Stay).unwrap());
        let view = Arc::new(View::of_source(tree, Keep::DEFAULT, crate::view::Selection::default()));
        let (file, first) = view.folder(&RelPath::root()).unwrap().open(&proto::Name::parse(b"f").unwrap()).unwrap();
        let mut buffer = BytesMut::from(&b"before"[..]);
        // The second question of the reading is for the content.
        let mut asked = 0;
        faults::plan(move |verb| {
            asked += u32::from(verb == Verb::Read);
            (asked == 2).then(|| io::ErrorKind::Other.into())
        });
        let read = small(&file, first, &RelPath::parse(b"f").unwrap(), &view, &mut buffer);
        faults::end();
        assert!(read.is_err());
        assert_eq!(&buffer[..], b"before");
    }

    #[test]
    fn what_changes_after_the_look_at_it_does_not_get_the_metadata_of_before() {
        let scratch = tempfile::tempdir().unwrap();
        let at = scratch.path().join("f");
        fs::write(&at, "before").unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        fs::File::options().write(true).open(&at).unwrap().set_modified(long_ago).unwrap();
        let tree = Arc::new(Tree::open(scratch.path(), Mounts::Stay).unwrap());
        let view = Arc::new(View::of_source(tree, Keep::DEFAULT, crate::view::Selection::default()));
        let root = view.folder(&RelPath::root()).unwrap();
        let (file, first) = root.open(&proto::Name::parse(b"f").unwrap()).unwrap();
        fs::write(&at, "after.").unwrap();
        let now = file.stat().unwrap();
        let path = RelPath::parse(b"f").unwrap();
        let mut buffer = BytesMut::new();
        let small = small(&file, first, &path, &view, &mut buffer).unwrap();
        assert!(matches!(small, Small::Whole(6)));
        let frame = codec::split(&mut buffer.freeze(), proto::limits::FRAME).unwrap().unwrap();
        let ToReceiver::Put { meta, content: Content::Inline(bytes), .. } =
            ToReceiver::decode(frame, proto::Version::HIGHEST).unwrap()
        else {
            panic!("not a file in one piece");
        };
        assert_eq!((&bytes[..], meta.mtime), (&b"after."[..], now.mtime));
    }
}
