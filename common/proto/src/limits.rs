//! Every bound of the wire, each a constant with its reason. A peer that passes one is cut off; none is negotiated.

use std::time::Duration;

/// The versions of the protocol that this build speaks, lowest and highest.
pub const VERSIONS: (u16, u16) = (1, 1);
/// The ALPN identifier. A peer that does not offer it is refused by the TLS handshake.
pub const ALPN: &[u8] = b"pushd/1";
/// Default TCP port of recvd.
pub const PORT: u16 = 8730;
/// Largest frame, without its 4-byte length: one `Put` with the largest xattrs and the largest inline content.
pub const FRAME: usize = 1024 * 1024;
/// Largest frame before the login is over: a user name, a password and a module.
pub const LOGIN_FRAME: usize = 4 * 1024;
/// Largest user name and module name, in bytes.
pub const USER: usize = 255;
/// Bytes of the text by which a peer names its program, in `Hello` and `Welcome`.
pub const SOFTWARE: usize = 128;
/// Digests in `Opened` that say where a folder and those above it stand: what fits into a frame of the login, with room to
/// spare.
pub const PLACES: usize = 128;
/// Largest password, in bytes: refused before anything is hashed.
pub const PASSWORD: usize = 1024;
/// Largest file content that travels inside its `Put`; more is a blob.
pub const INLINE: usize = 256 * 1024;
/// Largest file, in bytes (Linux `off_t`).
pub const SIZE: u64 = i64::MAX as u64;
/// Largest piece of a blob in one `Data`.
pub const DATA: usize = 256 * 1024;
/// Blobs open at the same time in one session.
pub const BLOBS: usize = 64;
/// Extensions of one message.
pub const EXTENSIONS: usize = 32;
/// Patterns of one sort in a policy.
pub const PATTERNS: usize = 1024;
/// Bytes of one such pattern.
pub const PATTERN: usize = 4096;
/// Bytes of all patterns in a policy: they fit into one frame.
pub const POLICY: usize = 512 * 1024;
/// Bytes of the name of a mark.
pub const MARK: usize = 255;
/// Marks of one folder.
pub const MARKED: usize = 4096;
/// Times that a sender hears `Differs` at once, whatever sessions it has: each rules a content out of what a file may hold.
pub const GUESSES: u32 = 1024;
/// After how long it may hear it once more.
pub const GUESS_PAUSE: Duration = Duration::from_secs(10);
/// Smallest file that has a signature, in bytes: what the digest of a smaller one would tell of its content is not worth
/// what it saves.
pub const BASIS: u64 = 256 * 1024;
/// Longest chunk of a signature, in bytes: one is read into memory at a time.
pub const CHUNK: usize = 8 * 1024 * 1024;
/// Shortest chunk of a signature, in bytes: a digest of a few bytes would tell them.
pub const CHUNK_LEAST: usize = 2 * 1024;
/// Chunks of one signature: a sender holds all of them.
pub const CHUNKS: usize = 1024 * 1024;
/// Bytes of the chunks in one `Signature` frame; a longer one travels as several.
pub const SIGNATURE: usize = 256 * 1024;
/// Ranges of one blob that are copied ahead of what comes before them, each apart from the next: the receiver remembers them,
/// so that no two pieces overlap.
pub const AHEAD: usize = 1024;
/// Bytes that a sender has named by `Copy` and not been told of by `Copied`.
pub const BACKLOG: u64 = 64 * 1024 * 1024;
/// Bytes of the frames in one `Packed`, before they were compressed: what becomes no smaller still fits into a frame.
pub const PACKED: usize = 960 * 1024;
/// Window of the compression, as a power of two: memory that a receiver needs for it. Where none has been granted it is the
/// least.
pub const PACKED_WINDOW: u8 = 20;
/// The windows that a receiver may grant, likewise.
pub const WINDOWS: std::ops::RangeInclusive<u8> = PACKED_WINDOW..=23;
/// Bytes of one path, all components and separators.
pub const PATH: usize = 65_535;
/// Components of one path.
pub const DEPTH: usize = 1024;
/// Bytes of one name (Linux `NAME_MAX`).
pub const NAME: usize = 255;
/// Bytes of a symbolic link's text (Linux `PATH_MAX`, without its NUL).
pub const LINK_TEXT: usize = 4095;
/// Extended attributes of one entry, and bytes of all their names and values.
pub const XATTRS: usize = 256;
/// Bytes of all the names and values of one entry's extended attributes.
pub const XATTR_BYTES: usize = 256 * 1024;
/// Paths of one hard-link group in one `Link`; a larger group travels as several with the same first path.
pub const LINKS: usize = 64;
/// Bytes of the entries in one `Listing` frame; a larger folder is asked for in parts.
pub const LISTING: usize = 256 * 1024;
/// Entries of one folder of the receiver that a sender hears of: no source has as many that it could list.
pub const LISTED: u64 = 100_000_000;
/// A part of a listing that is not the last counts as so many of them at least: a quarter of those with the longest names.
pub const LISTED_PART: u64 = 200;
/// Bytes of a reason in a problem or refusal.
pub const REASON: usize = 1024;
/// Messages of a receiver that answer nothing, as signs of life, of which so many may come at once and one more after each
/// [`CHATTER_PAUSE`]: without a bound they keep the sender busy for ever.
pub const CHATTER: u32 = 4096;
/// How long one of the [`CHATTER`] counts.
pub const CHATTER_PAUSE: Duration = Duration::from_millis(100);
/// Reports that a sender may send beside one for each second of its session.
pub const REPORTS: u64 = 64;
/// Operations that a sender may have unacknowledged.
pub const WINDOW: u64 = 16 * 1024;
/// Bytes that a receiver holds in memory for one session: operations that it has taken and answers that it has not sent.
pub const RETAINED: usize = 64 * 1024 * 1024;
