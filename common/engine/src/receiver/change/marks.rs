//! Marks: moments of the session's folder that have names. They stand in a file of recvd's own in that folder, a line each, in
//! the order in which they were made.
//!
//! A session reads the file for its first mark, and replaces it whole: what stands under that name may be a file of somebody
//! else, or have other names. The new one it holds open. As long as it stands there as it was left, further marks are refused
//! from memory and written behind its end: many come in few compressed bytes.

use std::collections::HashSet;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use proto::limits::{MARK, MARKED};
use proto::login::Durability;
use proto::{Name, Outcome, RelPath};
use sys::stage::Growing;
use sys::{Stat, is_absence};

use super::Changes;
use crate::receiver::outcome::{self, Done};

/// The name of the file.
const NAME: &[u8] = b".recvd-marks";
/// The longest line: nanoseconds since 1970, a blank and the name.
const LINE: usize = 40 + MARK;

/// What a session knows of the marks of its folder: some 100 KiB where there are as many as there may be.
#[derive(Debug)]
pub(super) struct Marks {
    /// Of each name so much of its hash that no two have the same.
    names: HashSet<[u8; 16]>,
    lines: usize,
    /// How the file was when it was last read or written.
    stat: Option<Stat>,
    /// The file, if this session has made it.
    file: Option<Growing>,
}

impl Changes {
    /// Gives this moment a name, which nothing in the folder has yet. The batch before it is as durable as it will be; where an
    /// older one was not, all that there is becomes it first.
    pub(in crate::receiver) fn mark(&mut self, op: u64, name: &str, now: SystemTime) -> Done {
        self.folders.begin(op);
        if self.unsure {
            self.replica.flush_all().map_err(failed)?;
            self.unsure = false;
        }
        let there = self.marks_there().map_err(failed)?;
        let known = self.marks.take().filter(|marks| marks.stands(there.as_ref()));
        let mut marks = match known {
            Some(marks) => marks,
            None => Marks::of(&self.marks_text().map_err(failed)?, there),
        };
        if let Some(refused) = marks.refuse(name) {
            self.marks = Some(marks);
            return Err(refused);
        }
        // A clock before 1970 is wrong in any case.
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = format!("{} {name}\n", since.as_nanos());
        let done = match (&marks.file, &marks.stat) {
            (Some(file), Some(stat)) => {
                file.append(line.as_bytes(), stat.size, self.durability == Durability::Batch).map_err(failed)
            }
            _ => self.replace_marks(&mut marks, &line),
        };
        // Where anything is not as it should be the next mark reads the file.
        if outcome::is_done(&done)
            && let Some(stat) = marks.file.as_ref().and_then(|file| file.stat().ok())
        {
            marks.stat = Some(stat);
            marks.add(name);
            self.marks = Some(marks);
        }
        done
    }

    /// What stands where they are kept.
    fn marks_there(&self) -> io::Result<Option<Stat>> {
        let name = Name::parse(NAME).map_err(io::Error::other)?;
        self.replica.folder(&RelPath::root())?.look(&name)
    }

    /// Those that there are, in whole lines.
    fn marks_text(&self) -> io::Result<String> {
        let not_ours = || io::Error::other("the file of marks is not as recvd makes it");
        let (file, stat) = match self.replica.open(&path()?) {
            Ok(opened) => opened,
            Err(error) if is_absence(&error) => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        if stat.size > (MARKED * LINE) as u64 {
            return Err(io::Error::other("the file of marks is larger than recvd makes it"));
        }
        let mut bytes = vec![0; stat.size as usize];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        // A line without an end was cut off by a power cut or a full disk, and never acknowledged. The disk may have given its
        // length to the file and nothing of its bytes.
        let torn = |byte: &u8| byte.is_ascii_digit() || *byte == 0;
        if !bytes[whole..].iter().take_while(|byte| **byte != b' ').all(torn) {
            return Err(not_ours());
        }
        bytes.truncate(whole);
        String::from_utf8(bytes).map_err(|_| not_ours())
    }

    /// Replaces the file by one with a further line, which is held open.
    fn replace_marks(&mut self, marks: &mut Marks, line: &str) -> Done {
        let text = self.marks_text().map_err(failed)? + line;
        let staged = self.replica.own_file(text.as_bytes()).map_err(failed)?;
        self.flush(&[&staged]).map_err(failed)?;
        marks.file = staged.growing().ok();
        self.publish(&path().map_err(failed)?, staged)
    }
}

impl Marks {
    fn of(text: &str, stat: Option<Stat>) -> Marks {
        let names = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| hash(name));
        Marks { names: names.collect(), lines: text.lines().count(), stat, file: None }
    }

    /// Whether the file is still as it was left, without a name more: also one that it got within a tick of the clock.
    fn stands(&self, there: Option<&Stat>) -> bool {
        match (&self.stat, there) {
            (None, None) => true,
            (Some(left), Some(there)) => left.same_content(there) && left.nlink == there.nlink,
            _ => false,
        }
    }

    fn refuse(&self, name: &str) -> Option<Outcome> {
        if self.names.contains(&hash(name)) {
            return Some(outcome::refused(format!("there is a mark '{name}' in that folder already")));
        }
        let full = self.lines >= MARKED;
        full.then(|| outcome::refused(format!("the folder has {MARKED} marks, and may have no more")))
    }

    fn add(&mut self, name: &str) {
        self.names.insert(hash(name));
        self.lines += 1;
    }
}

fn path() -> io::Result<RelPath> {
    RelPath::parse(NAME).map_err(io::Error::other)
}

fn failed(error: io::Error) -> Outcome {
    outcome::of("write the mark down", &error)
}

fn hash(name: &str) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
    half
}
