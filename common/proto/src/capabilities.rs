//! What the file system of a receiver can hold.
//!
//! The receiver finds it out and tells it in `Policy`. The sender projects what it sees of its own tree through it, beside
//! [`Keep`], before it compares, digests or sends: what the disk there cannot hold never looks like a difference.

mod names;

use std::fmt;

use crate::keep::{Keep, Kept};
use crate::limits;
use crate::meta::Time;
pub use names::Unheld;

/// What can be kept there, in numbers and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Times are whole multiples of so many nanoseconds: [`GRANULARITY`](Capabilities::GRANULARITY).
    pub granularity: u32,
    /// The earliest second since 1970 that a time can have.
    pub first: i64,
    /// The last second since 1970, 2³¹ − 1 where it ends in 2038.
    pub last: i64,
    /// Extended attributes of the namespace `user`.
    pub xattrs: bool,
    /// POSIX access control lists.
    pub acls: bool,
    /// Several names for one file.
    pub hardlinks: bool,
    /// Symbolic links; without them [`keep`](Capabilities::keep) has none made.
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
    pub name: u16,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities::full()
    }
}

impl Capabilities {
    /// What `granularity` may be: from one nanosecond to the two seconds of FAT.
    pub const GRANULARITY: std::ops::RangeInclusive<u32> = 1..=2_000_000_000;

    /// Those of a disk that holds everything; also what is taken for true where nothing could be tried yet.
    pub const fn full() -> Capabilities {
        Capabilities {
            granularity: 1,
            first: i64::MIN,
            last: i64::MAX,
            xattrs: true,
            acls: true,
            hardlinks: true,
            symlinks: true,
            exchange: true,
            holes: true,
            any_bytes: true,
            case: true,
            name: limits::NAME as u16,
        }
    }

    /// Whether the numbers make sense: a granularity that may be, a range that is not empty, names of 1 to 255 bytes.
    pub fn is_sound(&self) -> bool {
        let names = 1..=limits::NAME as u16;
        Capabilities::GRANULARITY.contains(&self.granularity) && self.first <= self.last && names.contains(&self.name)
    }

    /// The time that the disk has after it was given this one: never a later one, but for those before its first second.
    /// The first and the last second are whole, as the kernel has them. A time that the disk holds stays as it is.
    pub fn time(&self, time: Time) -> Time {
        if time.secs <= self.first {
            return Time { secs: self.first, nanos: 0 };
        }
        if time.secs >= self.last {
            return Time { secs: self.last, nanos: 0 };
        }
        match self.granularity {
            0 | 1 => time,
            granularity if granularity <= SECOND => Time { nanos: time.nanos - time.nanos % granularity, ..time },
            granularity => {
                // Of times before 1970, too, the earlier multiple is taken.
                let (second, step) = (i128::from(SECOND), i128::from(granularity));
                let nanos = i128::from(time.secs) * second + i128::from(time.nanos);
                let floor = (nanos - nanos.rem_euclid(step)).max(i128::from(self.first) * second);
                // It lies between `first` and `time`, so its seconds are an i64 again.
                Time { secs: floor.div_euclid(second) as i64, nanos: floor.rem_euclid(second) as u32 }
            }
        }
    }

    /// What is left of `keep` on this disk.
    #[must_use]
    pub fn keep(&self, keep: Keep) -> Keep {
        let held = |kept: &Kept| match kept {
            Kept::Xattrs => self.xattrs,
            Kept::Acls => self.acls,
            Kept::Hardlinks => self.hardlinks,
            Kept::Symlinks => self.symlinks,
            Kept::Mode | Kept::Owner | Kept::Mtime | Kept::Setid | Kept::Specials => true,
        };
        keep.iter().filter(held).collect()
    }
}

/// What such a disk does not hold, in words: "times on whole seconds up to 2038-01-19, no ACLs". Nothing where it holds all
/// that people use: that ext4 ends in 2446 is not told.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lacks = Vec::new();
        let steps = match self.granularity {
            0 | 1 => None,
            SECOND => Some("times on whole seconds".to_owned()),
            nanos if nanos % SECOND == 0 => Some(format!("times in steps of {} s", nanos / SECOND)),
            nanos if nanos % 1_000_000 == 0 => Some(format!("times in steps of {} ms", nanos / 1_000_000)),
            nanos if nanos % 1_000 == 0 => Some(format!("times in steps of {} µs", nanos / 1_000)),
            nanos => Some(format!("times in steps of {nanos} ns")),
        };
        let from = (self.first >= 0).then(|| format!(" from {}", Day(self.first)));
        let to = (self.last < FAR).then(|| format!(" up to {}", Day(self.last)));
        if steps.is_some() || from.is_some() || to.is_some() {
            let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
            lacks.push(format!("{}{from}{to}", steps.as_deref().unwrap_or("times")));
        }
        let words = [
            (self.xattrs, "no extended attributes"),
            (self.acls, "no ACLs"),
            (self.hardlinks, "no hard links"),
            (self.symlinks, "no symbolic links"),
            (self.exchange, "names do not change places in one step"),
            (self.holes, "no holes in files"),
            (self.any_bytes, "not every name"),
            (self.case, "names that differ only in case are one"),
        ];
        lacks.extend(words.into_iter().filter(|(held, _)| !held).map(|(_, lack)| lack.to_owned()));
        if usize::from(self.name) < limits::NAME {
            lacks.push(format!("names of at most {} bytes", self.name));
        }
        f.write_str(&lacks.join(", "))
    }
}

/// The day of a second since 1970, as 2038-01-19.
struct Day(i64);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days since March 1st of a year 0, in eras of 400 years, whose days and leap years are alike.
        let days = self.0.div_euclid(86_400) + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = if month < 10 { (era * 400 + year, month + 3) } else { (era * 400 + year + 1, month - 9) };
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// In nanoseconds.
const SECOND: u32 = 1_000_000_000;
/// 2200-01-01: where times end after that nobody needs to know.
const FAR: i64 = 7_258_118_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64, nanos: u32) -> Time {
        Time { secs, nanos }
    }

    #[test]
    fn a_full_disk_holds_every_time() {
        let full = Capabilities::full();
        assert!(full.is_sound());
        for time in [at(0, 0), at(-1, 999_999_999), at(i64::MIN + 1, 5), at(i64::MAX - 1, 999_999_999)] {
            assert_eq!(full.time(time), time);
        }
        assert_eq!(full.keep(Keep::EVERYTHING), Keep::EVERYTHING);
    }

    #[test]
    fn times_are_floored_also_before_1970() {
        let of = |granularity| Capabilities { granularity, ..Capabilities::full() };
        assert_eq!(of(100).time(at(7, 123_456_789)), at(7, 123_456_700));
        assert_eq!(of(SECOND).time(at(7, 999_999_999)), at(7, 0));
        assert_eq!(of(SECOND).time(at(-1, 1)), at(-1, 0));
        assert_eq!(of(2 * SECOND).time(at(7, 5)), at(6, 0));
        assert_eq!(of(2 * SECOND).time(at(-1, 999_999_999)), at(-2, 0));
        assert_eq!(of(2 * SECOND).time(at(-2, 0)), at(-2, 0));
        assert_eq!(of(2 * SECOND).time(at(i64::MIN + 1, 1)), at(i64::MIN, 0));
        assert_eq!(of(1_500_000_000).time(at(4, 700_000_000)), at(4, 500_000_000));
    }

    #[test]
    fn times_outside_of_the_range_become_its_ends() {
        let (first, last) = (-(1 << 31), (1 << 31) - 1);
        let disk = Capabilities { first, last, ..Capabilities::full() };
        assert_eq!(disk.time(at(first - 1, 3)), at(first, 0));
        assert_eq!(disk.time(at(last + 1, 3)), at(last, 0));
        // The kernel takes the nanoseconds from the seconds at both ends.
        assert_eq!((disk.time(at(first, 3)), disk.time(at(last, 3))), (at(first, 0), at(last, 0)));
        assert_eq!(disk.time(at(last - 1, 3)), at(last - 1, 3));
    }

    #[test]
    fn what_the_disk_holds_stays_as_it_is() {
        let times = [-5_000_000_001, -2_000_000_000, -1, 0, 1, 999_999_999, 4_102_444_801_234_567_891_i128];
        for granularity in [0, 1, 2, 3, 100, 1000, 10_000_000, SECOND, 1_999_999_999, 2 * SECOND] {
            for (first, last) in [(i64::MIN, i64::MAX), (-3, 3), (1, 1), (0, i64::MAX)] {
                let disk = Capabilities { granularity, first, last, ..Capabilities::full() };
                for nanos in times {
                    let second = i128::from(SECOND);
                    let held = disk.time(at(nanos.div_euclid(second) as i64, nanos.rem_euclid(second) as u32));
                    assert_eq!(disk.time(held), held, "{granularity} {first}..={last} {nanos}");
                    assert!((first..=last).contains(&held.secs) && held.nanos < SECOND);
                }
            }
        }
    }

    #[test]
    fn what_the_disk_does_not_hold_is_not_kept() {
        let disk = Capabilities { acls: false, hardlinks: false, ..Capabilities::full() };
        let kept = disk.keep(Keep::EVERYTHING);
        assert!(!kept.has(Kept::Acls) && !kept.has(Kept::Hardlinks) && kept.has(Kept::Xattrs) && kept.has(Kept::Setid));
        let bare = Capabilities { xattrs: false, symlinks: false, ..disk };
        assert_eq!(bare.keep(Keep::DEFAULT).iter().map(Kept::name).collect::<Vec<_>>(), ["mode", "owner", "mtime"]);
    }

    #[test]
    fn numbers_that_make_no_sense_are_told() {
        let full = Capabilities::full();
        assert!(Capabilities { granularity: 2 * SECOND, first: 5, last: 5, name: 1, ..full }.is_sound());
        for bad in [
            Capabilities { granularity: 0, ..full },
            Capabilities { granularity: 2 * SECOND + 1, ..full },
            Capabilities { first: 6, last: 5, ..full },
            Capabilities { name: 0, ..full },
            Capabilities { name: 256, ..full },
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_held_is_said_in_words() {
        let full = Capabilities::full();
        assert_eq!(full.to_string(), "");
        // ext4, with large inodes and with small ones.
        let ext4 = Capabilities { first: i32::MIN.into(), last: 15_032_385_535, ..full };
        assert_eq!(ext4.to_string(), "");
        let small = Capabilities { granularity: SECOND, last: i32::MAX.into(), ..ext4 };
        assert_eq!(small.to_string(), "times on whole seconds up to 2038-01-19");
        let old = Capabilities { last: i32::MAX.into(), acls: false, ..full };
        assert_eq!(old.to_string(), "times up to 2038-01-19, no ACLs");
        let (first, last) = (315_532_800, 4_354_819_198);
        let fat = Capabilities { granularity: 2 * SECOND, first, last, case: false, name: 143, ..full };
        let said = "times in steps of 2 s from 1980-01-01 up to 2107-12-31, names that differ only in case are one, \
                    names of at most 143 bytes";
        assert_eq!(fat.to_string(), said);
        for (granularity, said) in [(100, "100 ns"), (1_000, "1 µs"), (10_000_000, "10 ms"), (1_500, "1500 ns")] {
            let said = format!("times in steps of {said}");
            assert_eq!(Capabilities { granularity, ..full }.to_string(), said);
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (second, day) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (4_107_542_400, "2100-03-01"),
            (i32::MIN.into(), "1901-12-13"),
            (FAR, "2200-01-01"),
        ] {
            assert_eq!(Day(second).to_string(), day);
        }
        // As a peer may send them.
        assert!(Day(i64::MAX).to_string().ends_with("-04") && Day(i64::MIN).to_string().ends_with("-27"));
    }
}
