//! What stands beneath a folder, in maps and sets that are ordered by path.

use std::ops::Bound;

use proto::RelPath;

/// Calls `range` with the bounds of all keys strictly beneath a folder. They stand together in byte order: from `folder/` to
/// just before `folder0`, as `0` is the byte after `/`.
pub(crate) fn range_beneath<T>(folder: &RelPath, range: impl FnOnce((Bound<RelPath>, Bound<RelPath>)) -> T) -> T {
    if folder.is_root() {
        return range((Bound::Excluded(RelPath::root()), Bound::Unbounded));
    }
    range((Bound::Excluded(folder.with_suffix(b'/')), Bound::Excluded(folder.with_suffix(b'/' + 1))))
}
