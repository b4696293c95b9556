//! Thousands of operations over all threads against a plain model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proto::report::Report;
use proto::{Outcome, ToReceiver};

use super::rig::*;

/// What stands where: the content of a file, `None` for a folder. And the marks that are set.
#[derive(Default)]
struct Model(BTreeMap<String, Option<String>>, BTreeSet<String>);

/// What is to become of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    Absent,
    Differs,
    Refused,
}

impl Model {
    fn is_folder(&self, at: &str) -> bool {
        at.is_empty() || self.0.get(at).is_some_and(Option::is_none)
    }

    fn parent(at: &str) -> &str {
        at.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    fn drop_tree(&mut self, at: &str) {
        let beneath = format!("{at}/");
        self.0.retain(|path, _| path != at && !path.starts_with(&beneath));
    }

    fn put(&mut self, at: &str, content: &str) -> bool {
        let possible = self.is_folder(Model::parent(at));
        if possible {
            self.drop_tree(at);
            self.0.insert(at.to_owned(), Some(content.to_owned()));
        }
        possible
    }

    fn make(&mut self, at: &str) -> bool {
        let possible = self.is_folder(Model::parent(at));
        if possible {
            self.0.insert(at.to_owned(), None);
        }
        possible
    }

    fn rename(&mut self, from: &str, to: &str) -> bool {
        if !self.0.contains_key(from) || !self.is_folder(Model::parent(from)) || !self.is_folder(Model::parent(to)) {
            return false;
        }
        let beneath = format!("{from}/");
        let moving: Vec<String> =
            self.0.keys().filter(|path| *path == from || path.starts_with(&beneath)).cloned().collect();
        let moving: Vec<_> = moving.into_iter().map(|path| (path.clone(), self.0.remove(&path).unwrap())).collect();
        self.drop_tree(to);
        for (path, node) in moving {
            self.0.insert(format!("{to}{}", &path[from.len()..]), node);
        }
        true
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound
    }

    fn path(&mut self) -> String {
        let depth = 1 + self.below(3);
        let names: Vec<&str> = (0..depth).map(|_| ["a", "b", "c", "d"][self.below(4)]).collect();
        names.join("/")
    }
}

fn step(model: &mut Model, dice: &mut Dice, n: usize) -> (ToReceiver, Verdict) {
    let (one, two) = (dice.path(), dice.path());
    let done_if = |possible| if possible { Verdict::Done } else { Verdict::Absent };
    match dice.below(12) {
        0..=4 => {
            let content = format!("{n}").repeat(1 + dice.below(400));
            let possible = model.put(&one, &content);
            (put(&one, &content), done_if(possible))
        }
        5..=6 => {
            let possible = model.make(&one);
            (folder(&one), done_if(possible))
        }
        7 => {
            model.drop_tree(&one);
            (remove(&one), Verdict::Done)
        }
        8 => {
            let stands = model.0.get(&one).cloned().flatten();
            // Some have the size of what stands there.
            let asked = match (&stands, dice.below(4)) {
                (Some(stands), 0) => stands.replace(|_| true, "x"),
                (Some(stands), _) => stands.clone(),
                (None, _) => String::new(),
            };
            let same = stands.is_some_and(|stands| stands == asked);
            let (size, digest) = (asked.len() as u64, *blake3::hash(asked.as_bytes()).as_bytes());
            let verdict = if same { Verdict::Done } else { Verdict::Differs };
            (ToReceiver::Equal { path: path(&one), size, digest }, verdict)
        }
        9 => {
            let name = format!("mark {}", dice.below(200));
            let verdict = if model.1.insert(name.clone()) { Verdict::Done } else { Verdict::Refused };
            (ToReceiver::Mark { name }, verdict)
        }
        _ if path(&one).is_within(&path(&two)) || path(&two).is_within(&path(&one)) => {
            model.drop_tree(&one);
            (remove(&one), Verdict::Done)
        }
        _ => {
            let possible = model.rename(&one, &two);
            (rename(&one, &two), done_if(possible))
        }
    }
}

/// What has no number, and changes nothing.
fn aside(dice: &mut Dice) -> Option<ToReceiver> {
    Some(match dice.below(20) {
        0 => ToReceiver::Pong,
        1 if dice.below(32) == 0 => {
            ToReceiver::Report(Report { owed_paths: dice.below(9) as u64, ..Report::default() })
        }
        2 => ToReceiver::Problem { path: path(&dice.path()), reason: "cannot be read".into() },
        3 => ToReceiver::Extra { kind: 128 + dice.below(32) as u8, body: vec![7; dice.below(9000)].into() },
        _ => return None,
    })
}

fn compare(at: &Path, prefix: &str, seen: &mut BTreeMap<String, Option<String>>) {
    for entry in fs::read_dir(at).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if prefix.is_empty() && name.starts_with(".recvd-") {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            compare(&entry.path(), &path, seen);
            assert_eq!(mtime(&entry.path()), THEN, "{path}");
            seen.insert(path, None);
        } else {
            assert_eq!(mtime(&entry.path()), THEN, "{path}");
            seen.insert(path, Some(fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

fn told(answer: proto::ToSender) -> (u64, Verdict) {
    match answer {
        proto::ToSender::Outcome { op, outcome: Outcome::Absent } => (op, Verdict::Absent),
        proto::ToSender::Outcome { op, outcome: Outcome::Differs } => (op, Verdict::Differs),
        proto::ToSender::Outcome { op, outcome: Outcome::Refused { .. } } => (op, Verdict::Refused),
        other => panic!("{other:?}"),
    }
}

#[test]
fn operations_take_effect_in_the_order_sent() {
    for (seed, mut rig) in [(1, Rig::new()), (2, Rig::durable()), (3, Rig::new()), (4, Rig::durable())] {
        let (mut model, mut dice) = (Model::default(), Dice(0x9E37_79B9_7F4A_7C15 ^ seed));
        let mut expected = Vec::new();
        let mut sent = 0;
        while sent < 2000 {
            let count = 1 + dice.below(300);
            let mut messages = Vec::new();
            for n in sent..sent + count {
                messages.extend(aside(&mut dice));
                let (message, verdict) = step(&mut model, &mut dice, n);
                if verdict != Verdict::Done {
                    expected.push((n as u64 + 1, verdict));
                }
                messages.push(message);
            }
            rig.send(&messages);
            sent += count;
        }
        let mut told: Vec<_> = rig.answers().into_iter().map(told).collect();
        // An `Equal` is answered when the file is read, beside what comes after it.
        told.sort_by_key(|(op, _)| *op);
        assert_eq!(told, expected, "seed {seed}");
        let verdicts = [Verdict::Absent, Verdict::Differs, Verdict::Refused];
        assert!(verdicts.iter().all(|one| told.iter().any(|(_, verdict)| verdict == one)), "seed {seed}");
        let marks = fs::read_to_string(rig.at(".recvd-marks")).unwrap();
        let marks: BTreeSet<_> = marks.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
        assert_eq!(marks, model.1, "seed {seed}");
        let mut seen = BTreeMap::new();
        compare(&rig.at(""), "", &mut seen);
        assert_eq!(seen, model.0, "seed {seed}");
    }
}
