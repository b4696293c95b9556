//! What the disk of a target can hold, as the status has it.

use proto::Capabilities;
use serde::{Deserialize, Serialize};

/// See [`Capabilities`], of which it has every number and word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// In words, what it does not hold and others do; empty where that is nothing.
    pub lacks: String,
    /// Times are multiples of so many nanoseconds.
    pub time_step_ns: u32,
    /// The first second since 1970 that a time can have; `null` where there is no first.
    pub time_first: Option<i64>,
    /// The last second since 1970, likewise.
    pub time_last: Option<i64>,
    /// Extended attributes of the namespace `user`.
    pub xattrs: bool,
    /// POSIX access control lists.
    pub acls: bool,
    /// Several names for one file.
    pub hardlinks: bool,
    /// Symbolic links; where it has none they are left out.
    pub symlinks: bool,
    /// Two names that change places in one step.
    pub exchange: bool,
    /// Files of which a part takes no room.
    pub holes: bool,
    /// Names of any bytes but `/` and NUL.
    pub any_bytes: bool,
    /// Names that differ only in case are two.
    pub case: bool,
    /// Bytes of the longest name.
    pub name_bytes: u16,
}

impl From<Capabilities> for Disk {
    fn from(disk: Capabilities) -> Disk {
        let Capabilities { granularity, first, last, xattrs, acls, hardlinks, symlinks, .. } = disk;
        let Capabilities { exchange, holes, any_bytes, case, name, .. } = disk;
        Disk {
            lacks: disk.to_string(),
            time_step_ns: granularity,
            time_first: (first != i64::MIN).then_some(first),
            time_last: (last != i64::MAX).then_some(last),
            xattrs,
            acls,
            hardlinks,
            symlinks,
            exchange,
            holes,
            any_bytes,
            case,
            name_bytes: name,
        }
    }
}
