//! Sizes, rates and lengths of time as a person reads them. The exact numbers are in every `--json`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `0 B`, `980 B`, `1.5 KiB`, `20 MiB`: three digits at most, binary units.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = match size {
        _ if size < 9.995 => 2,
        _ if size < 99.95 => 1,
        _ => 0,
    };
    let number = format!("{size:.digits$}");
    let number = if digits > 0 { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number} {}", UNITS[unit])
}

/// [`bytes`] in each second.
pub fn rate(sent: u64, during: Duration) -> String {
    let seconds = during.as_secs_f64();
    if seconds <= 0.0 {
        return "0 B/s".to_owned();
    }
    // A number that is too large for 64 bits becomes the largest of them, which is right here.
    format!("{}/s", bytes((sent as f64 / seconds) as u64))
}

/// A count with its thousands apart: `124 512`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A count of something, in the singular where it is one: `1 folder`, `1 200 folders`.
pub fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

/// `0s`, `250ms`, `4.2s`, `4m12s`, `3h05m`, `12d04h`.
pub fn duration(length: Duration) -> String {
    let millis = length.as_millis();
    let seconds = length.as_secs();
    match seconds {
        _ if millis == 0 => "0s".to_owned(),
        0 => format!("{millis}ms"),
        1..=9 => format!("{}.{}s", seconds, millis / 100 % 10),
        10..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A moment, to the millisecond. Shows as RFC 3339 in UTC, `2026-11-23T02:05:09.123Z`, in JSON too; before 1970 is 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub SystemTime);

/// A text that is not a moment as [`Moment`] shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a moment looks like 2026-11-23T02:05:09.123Z")]
pub struct NotAMoment;

impl Moment {
    /// What the clock of this host shows, which may be set back at any time.
    pub fn now() -> Moment {
        Moment(SystemTime::now())
    }

    /// As long before now, as the clock shows it.
    pub fn ago(age: Duration) -> Moment {
        Moment(SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// As long after now.
    pub fn ahead(by: Duration) -> Moment {
        let now = SystemTime::now();
        Moment(now.checked_add(by).unwrap_or(now))
    }

    /// How long it is until then; nothing when it is past.
    pub fn left(self) -> Duration {
        self.0.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// How long ago it was; nothing when it is yet to come.
    pub fn age(self) -> Duration {
        SystemTime::now().duration_since(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a timestamp cannot hold, as it is after the year 9999, is 1970 as well.
        let shown = Timestamp::try_from(self.0).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
        write!(f, "{shown:.3}")
    }
}

impl FromStr for Moment {
    type Err = NotAMoment;

    /// Reads what [`Display`](fmt::Display) writes and nothing else, for the years 1970 to 9999.
    fn from_str(text: &str) -> Result<Moment, NotAMoment> {
        // Much more is a timestamp to jiff: other time zones, fewer digits, a space for the `T`.
        let read = text.parse::<Timestamp>().ok().and_then(|time| SystemTime::try_from(time).ok()).map(Moment);
        read.filter(|moment| moment.to_string() == text).ok_or(NotAMoment)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn sizes() {
        for (size, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.98 KiB"),
            (1536, "1.5 KiB"),
            (20 << 20, "20 MiB"),
            (1_048_575, "1 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(size), want, "{size}");
        }
        assert_eq!(rate(2 << 20, Duration::from_millis(500)), "4 MiB/s");
        assert_eq!(rate(1, Duration::ZERO), "0 B/s");
        assert_eq!((count(0), count(999), count(1000), count(1_048_576)), {
            ("0".into(), "999".into(), "1 000".into(), "1 048 576".into())
        });
        let folders = [0, 1, 1200].map(|number| counted(number, "folder", "folders"));
        assert_eq!(folders, ["0 folders", "1 folder", "1 200 folders"]);
    }

    #[test]
    fn times() {
        for (millis, want) in [
            (0, "0s"),
            (250, "250ms"),
            (4260, "4.2s"),
            (12_999, "12s"),
            (252_000, "4m12s"),
            (11_100_000, "3h05m"),
            (1_051_200_000, "12d04h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), want);
        }
        for (millis, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_795_399_509_123, "2026-11-23T02:05:09.123Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            let moment = Moment(UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!((moment.to_string().as_str(), want.parse()), (want, Ok(moment)));
        }
        let (early, exact) = (UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_nanos(7_999_999));
        let shown = [early, exact].map(|time| Moment(time).to_string());
        assert_eq!(shown, ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.007Z"]);
        for text in [
            "",
            "2026-11-23",
            "2026-13-23T02:05:09.123Z",
            "2026-02-29T02:05:09.123Z",
            "1969-11-23T02:05:09.123Z",
            "2026-11-23T02:05:09,123Z",
            "2026-11-23T02:05:09Z",
            "2026-11-23T02:05:60.123Z",
            "2026-11-23T02:05:09.1234Z",
            "2026-11-23T02:05:09.123+00:00",
            "2026-11-23 02:05:09.123Z",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(NotAMoment), "{text}");
        }
    }
}
