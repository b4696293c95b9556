//! A file that is written while the source is read: before any question that is asked of its disk for content or metadata. Each
//! version is one write of all of it, and shows whether all of a copy is of one.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use fastrand::Rng;
use sys::faults::Verb;

/// Versions get times of their own: a day in 2001, and a second each. So no two of one size are alike in time.
const DAY: Duration = Duration::from_secs(1_000_000_000);

/// See the module. It holds its file open, whatever names that has.
pub struct Restless {
    file: fs::File,
    pub inode: u64,
    /// The last version, and how many are still to come.
    version: u32,
    left: u32,
    /// Bytes of a version at least.
    size: usize,
    /// Of a hundred questions, before so many it is written.
    often: u8,
    /// It was written since this was asked last.
    written: bool,
    rng: Rng,
}

/// Of whoever asks the disk, and of the world.
pub type Shared = Rc<RefCell<Restless>>;

impl Restless {
    /// The versions of this open file are numbered from there on.
    pub fn new((file, inode): (fs::File, u64), version: u32, rng: &mut Rng) -> Restless {
        let size = *rng.choice(&[100, 1000, 300_000, 600_000]).unwrap();
        let often = *rng.choice(&[100, 100, 100, 30]).unwrap();
        Restless { file, inode, version, left: rng.u32(5..120), size, often, written: false, rng: rng.fork() }
    }

    /// The disk of the source is asked for this.
    pub fn asked(&mut self, verb: Verb) {
        if verb == Verb::Read && self.left > 0 && self.rng.u8(..100) < self.often {
            self.left -= 1;
            self.write();
        }
    }

    /// The next version.
    pub fn write(&mut self) {
        self.version += 1;
        let bytes = content(self.version, self.size + self.rng.usize(..self.size));
        self.file.set_len(bytes.len() as u64).unwrap();
        self.file.write_all_at(&bytes, 0).unwrap();
        self.file.set_modified(UNIX_EPOCH + DAY + Duration::from_secs(self.version.into())).unwrap();
        self.written = true;
    }

    /// Whether it was written since this was asked last.
    pub fn take_written(&mut self) -> bool {
        std::mem::take(&mut self.written)
    }

    pub fn version(&self) -> u32 {
        self.version
    }

    pub fn is_over(&self) -> bool {
        self.left == 0
    }
}

fn content(version: u32, size: usize) -> Vec<u8> {
    let mut bytes = format!("{version}:").into_bytes();
    bytes.resize(size, b'a' + (version % 26) as u8);
    bytes
}

/// Whether this is of one version, or the beginning of one; of what was not written here it is not known.
pub fn is_of_one_moment(bytes: &[u8]) -> bool {
    let Some(at) = bytes.iter().position(|byte| *byte == b':') else { return true };
    let version: u32 = std::str::from_utf8(&bytes[..at]).unwrap().parse().unwrap();
    content(version, bytes.len()) == bytes
}
