//! Sizes, rates and lengths of time as a person reads them. The exact numbers are in every `--json`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    // A float that is too large becomes the largest number, which is right here.
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
    /// This moment.
    pub fn now() -> Moment {
        Moment(SystemTime::now())
    }

    /// How long ago it was; nothing when it is yet to come.
    pub fn age(self) -> Duration {
        SystemTime::now().duration_since(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        // Days to a civil date, in eras of 400 years that begin on the first of March.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second, milli) = (rest / 3600, rest / 60 % 60, rest % 60, since.subsec_millis());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl FromStr for Moment {
    type Err = NotAMoment;

    /// Reads what [`Display`](fmt::Display) writes, for the years 1970 to 9999.
    fn from_str(text: &str) -> Result<Moment, NotAMoment> {
        let shape = text.len() == 24
            && text.bytes().zip(*b"dddd-dd-ddTdd:dd:dd.dddZ").all(|(byte, shape)| match shape {
                b'd' => byte.is_ascii_digit(),
                _ => byte == shape,
            });
        if !shape {
            return Err(NotAMoment);
        }
        let part = |range: std::ops::Range<usize>| text[range].parse::<u64>().map_err(|_| NotAMoment);
        let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
        let (hour, minute, second, milli) = (part(11..13)?, part(14..16)?, part(17..19)?, part(20..23)?);
        let fits = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
        if !fits || hour > 23 || minute > 59 || second > 60 {
            return Err(NotAMoment);
        }
        let year = year - u64::from(month <= 2);
        let (era, year_of_era) = (year / 400, year % 400);
        let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
        let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468;
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        Ok(Moment(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + milli)))
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
        for text in
            ["", "2026-11-23", "2026-13-23T02:05:09.123Z", "1969-11-23T02:05:09.123Z", "2026-11-23T02:05:09,123Z"]
        {
            assert_eq!(text.parse::<Moment>(), Err(NotAMoment), "{text}");
        }
    }
}
