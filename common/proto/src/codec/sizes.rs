//! How much of a long list fits into one frame. The sender splits link groups by it, the receiver listings.

use crate::limits;
use crate::meta::Entry;
use crate::name::RelPath;
use crate::wire;

const _: () = {
    // The largest frames that their makers do not split: each has room, with its type byte.
    const TYPE: usize = 1;
    let meta = 1 + 8 + 2 + 8 + 12 + 2 + limits::XATTR_BYTES + limits::XATTRS * 5;
    const FLAGS: usize = 1;
    assert!(TYPE + 2 + limits::PATH + FLAGS + meta + 1 + limits::INLINE <= limits::FRAME);
    assert!(TYPE + 2 + limits::PATH + FLAGS + meta + 8 + 2 + limits::LINK_TEXT <= limits::FRAME);
    assert!(TYPE + 2 * (2 + limits::PATH) + FLAGS <= limits::FRAME);
    assert!(limits::POLICY + 2 * (2 + 2 * limits::PATTERNS) + 128 <= limits::FRAME);
    assert!(TYPE + 8 + 1 + limits::LISTING <= limits::FRAME);
    assert!(TYPE + 4 + 8 + limits::DATA <= limits::FRAME);
    assert!(TYPE + 4 + 8 + 1 + limits::SIGNATURE <= limits::FRAME);
    assert!(TYPE + 1 + limits::USER + 2 + limits::PASSWORD <= limits::LOGIN_FRAME);
    assert!(wire::ENTRY_LONGEST <= limits::LISTING);
};

/// How many of `entries`, from the first, fit into one `Listing`: at least one, unless there are none.
pub fn entries_that_fit(entries: &[Entry]) -> usize {
    let lengths = entries.iter().map(wire::entry_len);
    fitting(lengths, limits::LISTING)
}

/// How many chunks fit into one `Signature`.
pub const CHUNKS_THAT_FIT: usize = limits::SIGNATURE / 20;

/// How many of `others`, from the first, fit into one `Link` with `first`: 1..=64, unless there are none.
pub fn links_that_fit(first: &RelPath, others: &[RelPath]) -> usize {
    let lengths = others.iter().take(limits::LINKS).map(|path| 2 + path.as_bytes().len());
    fitting(lengths, limits::FRAME - (1 + 2 + first.as_bytes().len() + 1))
}

fn fitting(lengths: impl Iterator<Item = usize>, room: usize) -> usize {
    lengths
        .scan(room, |left, len| {
            *left = left.checked_sub(len)?;
            Some(())
        })
        .count()
}
