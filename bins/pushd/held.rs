//! Deletions that wait, in words.

use engine::mirror::{Held, Why};
use kit::units::{self, Moment};
use serde::{Deserialize, Serialize};

/// Deletions that wait, as the status shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletions {
    /// Entries of the backup that would go.
    pub entries: u64,
    /// When the first of them was noticed.
    pub since: Moment,
    /// When they go by themselves; `null` where `pushd release` has to let them.
    pub until: Option<Moment>,
    /// Why they wait, and what to type.
    pub why: String,
}

impl Deletions {
    /// Those of this source, seen now.
    pub fn of(held: &Held, source: &str) -> Deletions {
        let word = if held.left.is_some() { "to have them go at once" } else { "look, and if it is right" };
        let why = format!("{}; {word}, run `pushctl release {source}`", reason(held));
        Deletions { entries: held.entries, since: Moment::ago(held.age), until: held.left.map(Moment::ahead), why }
    }

    /// All of it, for a person.
    pub fn sentence(&self) -> String {
        let since = units::duration(self.since.age());
        let left = self.until.map_or(String::new(), |until| format!(", for {} more", units::duration(until.left())));
        let entries = units::counted(self.entries, "deletion is", "deletions are");
        format!("{entries} held since {since} ago{left}: {}", self.why)
    }
}

/// How many wait, and why.
pub fn reason(held: &Held) -> String {
    let away = &held.away;
    let entries = held.entries - away.entries;
    // What events have told of may be younger than the comparison that counted the backup.
    let (inferred, total) = (units::count(entries - held.seen), units::count(held.total));
    let beside = match held.seen {
        0 => String::new(),
        seen => format!("; {} more went at once", units::count(seen)),
    };
    let entries = units::count(entries);
    let mut beneath = units::counted(away.entries, "entry", "entries");
    if away.uncounted > 0 {
        beneath
            .push_str(&format!(", and how many beneath {} of these places is not known", units::count(away.uncounted)));
    }
    let unmounted = format!(
        "nothing is mounted now where something was ({}): what the backup has there ({beneath}) is held until it is back",
        away.places()
    );
    let largest = match &held.largest {
        None => String::new(),
        Some((path, 1)) => format!(" ({path} is one)"),
        Some((path, with)) => format!(" ({path} with {} of them)", units::count(*with)),
    };
    let reason = match held.why {
        Why::Many => {
            format!(
                "{inferred} of {total} entries of the backup would be deleted, more than max_delete allows{largest}{beside}"
            )
        }
        Why::Mass => format!("{entries} went at once{largest}: what is there again when their time has come stays"),
        Why::Unmounted => return unmounted,
        Why::Emptied => {
            format!("the source is empty, and the backup is not (entries that would be deleted: {entries})")
        }
    };
    if away.mounts > 0 { format!("{reason}; {unmounted}") } else { reason }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::mirror::Away;

    use super::*;

    #[test]
    fn of_a_backup_no_more_is_said_to_go_than_it_had_when_it_was_counted() {
        let largest = Some((proto::RelPath::parse(b"site").unwrap(), 800));
        let disk = proto::RelPath::parse(b"disk").unwrap();
        let away = Away { mounts: 2, first: Some(Box::new(disk)), uncounted: 0, entries: 30 };
        let (age, left, why) = (Duration::from_secs(1), None, Why::Many);
        let held = Held { entries: 1_702, age, left, why, seen: 672, total: 1_427, largest, away };
        let reason = reason(&held);
        let many = [1_000, 1_427].map(units::count).join(" of ");
        let many = format!("{many} entries of the backup would be deleted, more than max_delete allows");
        let rest = "nothing is mounted now where something was (disk and 1 more): ";
        let begins = format!("{many} (site with 800 of them); 672 more went at once; {rest}");
        assert!(reason.starts_with(&begins), "{reason}");
    }
}
