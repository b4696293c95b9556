//! From a value in the file to a typed value, with a sentence where it does not fit.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tree::{Data, Node};

/// One value of the file, as a [`FromValue`] sees it.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    pub(super) node: &'a Node,
    pub(super) folder: &'a Path,
}

/// Why a value does not fit: a sentence for each place. Made from a `String` or `&str` it means the whole value.
#[derive(Debug)]
pub struct Wrong(pub(super) Vec<(Option<usize>, String)>);

/// A type that a key can have. Implement it for a program's own words:
/// `match value.text()? { "push" => Ok(Right::Push), other => Err(format!(…).into()) }`.
pub trait FromValue: Sized {
    /// The typed value, or the sentence that says what is wrong with it and what would fit.
    fn from_value(value: Value<'_>) -> Result<Self, Wrong>;
}

impl From<String> for Wrong {
    fn from(sentence: String) -> Wrong {
        Wrong(vec![(None, sentence)])
    }
}

impl From<&str> for Wrong {
    fn from(sentence: &str) -> Wrong {
        Wrong::from(sentence.to_owned())
    }
}

impl<'a> Value<'a> {
    /// The value as text.
    pub fn text(self) -> Result<&'a str, Wrong> {
        match &self.node.data {
            Data::Text(text) => Ok(text),
            _ => Err(self.must_be("text in quotes")),
        }
    }

    /// The value as a whole number, 0 or more.
    pub fn whole(self) -> Result<u64, Wrong> {
        match &self.node.data {
            Data::Whole(number) => {
                number.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| "must be a whole number, 0 or more".into())
            }
            _ => Err(self.must_be("a whole number")),
        }
    }

    /// The value as `true` or `false`.
    pub fn flag(self) -> Result<bool, Wrong> {
        match &self.node.data {
            Data::Flag(flag) => Ok(*flag),
            _ => Err(self.must_be("true or false, without quotes")),
        }
    }

    /// The value as a list.
    pub fn list(self) -> Result<impl Iterator<Item = Value<'a>>, Wrong> {
        match &self.node.data {
            Data::List(list) => Ok(list.iter().map(move |node| Value { node, folder: self.folder })),
            _ => Err(self.must_be("a list in brackets")),
        }
    }

    /// Whether it is a number.
    pub fn is_number(self) -> bool {
        matches!(self.node.data, Data::Whole(_))
    }

    /// The sentence for a value of the wrong type: `must be …, but is …`.
    pub fn must_be(self, wanted: &str) -> Wrong {
        format!("must be {wanted}, but is {}", self.node.kind()).into()
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Result<String, Wrong> {
        value.text().map(str::to_owned)
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Result<bool, Wrong> {
        value.flag()
    }
}

impl FromValue for u64 {
    fn from_value(value: Value<'_>) -> Result<u64, Wrong> {
        value.whole()
    }
}

/// A relative path is relative to the folder of the configuration file; `.` and a trailing slash are dropped.
impl FromValue for PathBuf {
    fn from_value(value: Value<'_>) -> Result<PathBuf, Wrong> {
        let text = value.text()?;
        if text.is_empty() {
            return Err("must not be empty: name a path".into());
        }
        if text.contains('\0') {
            return Err("must not hold a NUL character".into());
        }
        Ok(value.folder.join(text).components().collect())
    }
}

/// `0.0.0.0:8730`, `[::]:8730`, or an address alone with the default port.
impl FromValue for SocketAddr {
    fn from_value(value: Value<'_>) -> Result<SocketAddr, Wrong> {
        let text = value.text()?;
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(ip) => Ok(SocketAddr::new(ip, proto::limits::PORT)),
            Err(_) => {
                Err(format!("`{}` is not an address: write \"0.0.0.0:8730\" or \"[::]:8730\"", shown(text)).into())
            }
        }
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value<'_>) -> Result<Vec<T>, Wrong> {
        let mut all = Vec::new();
        let mut wrong = Vec::new();
        for item in value.list()? {
            match T::from_value(item) {
                Ok(typed) => all.push(typed),
                Err(Wrong(found)) => {
                    wrong.extend(found.into_iter().map(|(at, sentence)| (at.or(Some(item.node.start)), sentence)));
                }
            }
        }
        if wrong.is_empty() { Ok(all) } else { Err(Wrong(wrong)) }
    }
}

/// A number of bytes: `"64KiB"`, `"20MiB"`, `"1TiB"`, `"512B"` or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZES: [(&str, u64); 6] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("PiB", 1 << 50), ("B", 1)];

impl FromValue for ByteSize {
    fn from_value(value: Value<'_>) -> Result<ByteSize, Wrong> {
        if value.is_number() {
            return value.whole().map(ByteSize);
        }
        let text = value.text()?;
        measure(text, &SIZES).map(ByteSize).ok_or_else(|| {
            format!("`{}` is not a size: write \"64KiB\", \"20MiB\", \"1TiB\" or a number of bytes", shown(text)).into()
        })
    }
}

const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// `"250ms"`, `"10s"`, `"5m"`, `"10h"`, `"30d"`; at most 100 years.
impl FromValue for Duration {
    fn from_value(value: Value<'_>) -> Result<Duration, Wrong> {
        if value.is_number() {
            return Err("needs a unit, in quotes: \"250ms\", \"10s\", \"5m\", \"10h\" or \"30d\"".into());
        }
        parse_duration(value.text()?).map_err(Wrong::from)
    }
}

/// A duration as it stands in a file or on a command line; the error is a sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let most = 36_525 * 86_400_000;
    match measure(text, &TIMES) {
        Some(length) if length <= most => Ok(Duration::from_millis(length)),
        Some(_) => Err("must not be longer than 100 years".to_owned()),
        None => {
            Err(format!("`{}` is not a duration: write \"250ms\", \"10s\", \"5m\", \"10h\" or \"30d\"", shown(text)))
        }
    }
}

/// A part of a whole or a count: `"50%"` or `500`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// 0 to 100 of a hundred.
    Percent(u8),
    /// A whole number, of whatever the key counts.
    Count(u64),
}

impl FromValue for Share {
    fn from_value(value: Value<'_>) -> Result<Share, Wrong> {
        if value.is_number() {
            return value.whole().map(Share::Count);
        }
        let text = value.text()?;
        let percent = text.strip_suffix('%').and_then(digits).filter(|percent| *percent <= 100);
        match percent.and_then(|percent| u8::try_from(percent).ok()) {
            Some(percent) => Ok(Share::Percent(percent)),
            None => Err(format!("`{}` is neither \"0%\" to \"100%\" nor a count", shown(text)).into()),
        }
    }
}

/// `64KiB` by a table of units; `None` for anything else or more than 64 bits.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let cut = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(cut);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    digits(number)?.checked_mul(*factor)
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A value in a sentence: escaped, and cut where it is long.
fn shown(text: &str) -> String {
    let mut out = String::new();
    let cut: String = text.chars().take(40).collect();
    // A String never refuses to be written to.
    let _ = proto::name::escape(cut.as_bytes(), &mut out);
    if cut.len() < text.len() {
        out.push('…');
    }
    out
}
