//! Marks: moments of the session's folder that have names. They stand in a file of recvd's own in that folder, a line each, in
//! the order in which they were made.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use proto::RelPath;
use proto::limits::{MARK, MARKED};

use super::Changes;
use crate::receiver::outcome::{self, Done};

/// The name of the file.
const NAME: &[u8] = b".recvd-marks";
/// The longest line: nanoseconds since 1970, a blank and the name.
const LINE: usize = 40 + MARK;

impl Changes {
    /// Gives this moment a name, which nothing in the folder has yet. What came before it is as durable as it will be.
    pub(in crate::receiver) fn mark(&mut self, op: u64, name: &str, now: SystemTime) -> Done {
        self.folders.begin(op);
        let failed = |error: io::Error| outcome::of("write the mark down", &error);
        let path = RelPath::parse(NAME).map_err(|error| outcome::failed(error.to_string()))?;
        let mut marks = self.marks(&path).map_err(failed)?;
        if marks.lines().any(|line| line.split_once(' ').is_some_and(|(_, other)| other == name)) {
            return Err(outcome::refused(format!("there is a mark '{name}' in that folder already")));
        }
        if marks.lines().count() >= MARKED {
            return Err(outcome::refused(format!("the folder has {MARKED} marks, and may have no more")));
        }
        // A clock before 1970 is wrong in any case.
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        marks.push_str(&format!("{} {name}\n", since.as_nanos()));
        let staged = self.replica.own_file(marks.as_bytes()).map_err(failed)?;
        self.flush(&[&staged]).map_err(failed)?;
        self.publish(&path, staged)
    }

    /// Those that there are.
    fn marks(&self, path: &RelPath) -> io::Result<String> {
        let (file, stat) = match self.replica.open(path) {
            Ok(opened) => opened,
            Err(error) if sys::is_absence(&error) => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        if stat.size > (MARKED * LINE) as u64 {
            return Err(io::Error::other("the file of marks is larger than recvd makes it"));
        }
        let mut bytes = vec![0; stat.size as usize];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        String::from_utf8(bytes).map_err(|_| io::Error::other("the file of marks is not as recvd makes it"))
    }
}
