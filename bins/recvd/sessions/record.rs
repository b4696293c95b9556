//! What is known of who writes in one folder, and how that is written down with the module.

use std::net::IpAddr;

use kit::units::Moment;
use proto::RelPath;
use proto::login::{SenderId, Token};
use serde::{Deserialize, Serialize};
use sys::FolderId;

use super::Claim;

/// The layout of what is written down.
const LAYOUT: u32 = 1;

/// The last one that wrote in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub folder: RelPath,
    pub user: String,
    pub sender: SenderId,
    /// What it was given by its last session.
    pub current: Token,
    /// What it has for certain: the last of which it has said that it is written down, or else what it has shown itself, which
    /// may be none.
    pub noted: Option<Token>,
    pub epoch: u64,
    /// The folder that it writes to; `None` before that was made, and where it is not trusted to be as it was left.
    pub folder_id: Option<FolderId>,
    /// The start of the host in which all that was acknowledged stands; `None` where it survives the next.
    pub boot: Option<String>,
    pub from: IpAddr,
    /// When its last session began.
    pub since: Moment,
    /// When it gave its last sign of life, about.
    pub heard: Moment,
}

/// What a newcomer shows of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The token of the last session.
    Current,
    /// What that session has shown itself, and nobody has said that the one it was given is written down.
    Noted,
    /// Neither of both: it may be another host, or an older copy of this one.
    Nothing,
}

impl Record {
    pub(super) fn shown_by(&self, claim: &Claim) -> Shown {
        let is_own = self.folder == claim.folder && self.user == claim.user && self.sender == claim.sender;
        match claim.token {
            Some(token) if is_own && token == self.current => Shown::Current,
            shown if is_own && shown == self.noted => Shown::Noted,
            _ => Shown::Nothing,
        }
    }

    pub(super) fn overlaps(&self, folder: &RelPath) -> bool {
        self.folder.is_within(folder) || folder.is_within(&self.folder)
    }
}

/// All records of a module, as they are written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    layout: u32,
    epoch: u64,
    records: Vec<Line>,
}

/// A record in the words of JSON: bytes are hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    folder: String,
    user: String,
    sender: String,
    current: String,
    noted: Option<String>,
    epoch: u64,
    inode: Option<u64>,
    born: Option<(i64, u32)>,
    boot: Option<String>,
    from: IpAddr,
    since: String,
    heard: String,
}

/// As many of the records as fit, in their order.
pub(super) fn write<'a>(epoch: u64, records: impl Iterator<Item = &'a Record>) -> Vec<u8> {
    // What surrounds the records, and their commas.
    let mut left = sys::slots::LARGEST - 128;
    let fits = |line: &Line| {
        let length = serde_json::to_vec(line).map_or(usize::MAX, |line| line.len() + 1);
        left = left.saturating_sub(length);
        left > 0
    };
    let records = records.map(line).take_while(fits).collect();
    serde_json::to_vec(&File { layout: LAYOUT, epoch, records }).unwrap_or_default()
}

/// The records, and the highest epoch. The error is the end of a sentence.
pub(super) fn read(bytes: &[u8]) -> Result<(u64, Vec<Record>), String> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if file.layout != LAYOUT {
        return Err(format!("it is of layout {}, and this recvd knows {LAYOUT}", file.layout));
    }
    let records: Option<Vec<Record>> = file.records.into_iter().map(record).collect();
    Ok((file.epoch, records.ok_or("a record makes no sense")?))
}

fn line(record: &Record) -> Line {
    Line {
        folder: hex(record.folder.as_bytes()),
        user: record.user.clone(),
        sender: hex(&record.sender),
        current: hex(&record.current.0),
        noted: record.noted.map(|token| hex(&token.0)),
        epoch: record.epoch,
        inode: record.folder_id.map(|id| id.ino),
        born: record.folder_id.map(|id| id.born),
        boot: record.boot.clone(),
        from: record.from,
        since: record.since.to_string(),
        heard: record.heard.to_string(),
    }
}

fn record(line: Line) -> Option<Record> {
    let sixteen = |text: &str| <[u8; 16]>::try_from(unhex(text)?).ok();
    let noted = match &line.noted {
        Some(text) => Some(Token(sixteen(text)?)),
        None => None,
    };
    Some(Record {
        folder: RelPath::parse(&unhex(&line.folder)?).ok()?,
        sender: sixteen(&line.sender)?,
        current: Token(sixteen(&line.current)?),
        noted,
        epoch: line.epoch,
        folder_id: line.inode.zip(line.born).map(|(ino, born)| FolderId { ino, born }),
        boot: line.boot,
        from: line.from,
        since: line.since.parse().ok()?,
        heard: line.heard.parse().ok()?,
        user: line.user,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    digits.map(byte).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn record(folder: &str) -> Record {
        Record {
            folder: RelPath::parse(folder.as_bytes()).unwrap(),
            user: "web".into(),
            sender: [1; 16],
            current: Token([0xab; 16]),
            noted: None,
            epoch: 7,
            folder_id: Some(FolderId { ino: 5, born: (-1, 9) }),
            boot: Some("b".into()),
            from: IpAddr::from([192, 0, 2, 1]),
            since: "2026-11-23T02:05:09.123Z".parse().unwrap(),
            heard: "2026-11-23T02:06:09.000Z".parse().unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let other = Record { noted: Some(Token([2; 16])), folder_id: None, boot: None, ..record("a/\u{ff}\n") };
        let all = [record(""), other];
        assert_eq!(read(&write(9, all.iter())), Ok((9, all.to_vec())));
    }

    #[test]
    fn what_makes_no_sense_is_none_of_ours() {
        let good = String::from_utf8(write(9, [record("a")].iter())).unwrap();
        assert!(read(good.as_bytes()).is_ok());
        for (part, other) in [
            ("\"layout\":1", "\"layout\":2"),
            ("\"folder\":\"61\"", "\"folder\":\"2e2e\""),
            ("\"folder\":\"61\"", "\"folder\":\"6\""),
            ("\"folder\":\"61\"", "\"folder\":\"+1\""),
            ("\"sender\":\"01", "\"sender\":\""),
            ("2026", "year"),
            ("\"epoch\"", "\"other\""),
        ] {
            let bad = good.replacen(part, other, 1);
            assert!(bad != good && read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(b"").is_err());
    }

    #[test]
    fn more_than_fits_is_left_out_from_the_end() {
        let long = |name: char| record(&vec![name.to_string().repeat(200); 300].join("/"));
        let all: Vec<Record> = ('a'..='z').map(long).collect();
        let bytes = write(1, all.iter());
        let (_, kept) = read(&bytes).unwrap();
        assert!(bytes.len() <= sys::slots::LARGEST && (5..26).contains(&kept.len()));
        assert_eq!(kept, all[..kept.len()]);
    }
}
