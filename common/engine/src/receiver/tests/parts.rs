//! A folder that is told in parts, one for each question, by looks at windows of its names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proto::{Digest, Entry, Keep, Name, ToReceiver, ToSender, digest, limits};

use super::rig::*;
use crate::view::Bounds;

const OTHER: Digest = [7; 16];

fn compare(at: &str, digest: Digest) -> ToReceiver {
    ToReceiver::Compare { path: path(at), digest }
}

fn behind(at: &str, after: Option<&Name>) -> ToReceiver {
    ToReceiver::List { path: path(at), after: after.cloned() }
}

/// Long names, so that a few thousand fill several parts; in an order that is not that of numbers.
fn long_name(number: usize) -> String {
    format!("{:<200}", number * 7919 % 10_007).replace(' ', "_")
}

fn fill(module: &Path, count: usize) {
    (0..count).for_each(|number| fs::write(module.join(long_name(number)), "").unwrap());
}

fn rig(bounds: Bounds, count: usize) -> Rig {
    Rig::with(Settings { bounds, ..Settings::default() }, |module| fill(module, count))
}

/// The one part that answers a question.
fn part(rig: &mut Rig, question: ToReceiver) -> (Vec<Entry>, bool) {
    rig.send(&[question]);
    match &mut rig.answers()[..] {
        [ToSender::Listing { entries, last, .. }] => (std::mem::take(entries), *last),
        answers => panic!("{answers:?}"),
    }
}

/// All parts from the first on, which answers `question`; something is done before each of the others.
fn parts(rig: &mut Rig, question: ToReceiver, mut before: impl FnMut(&mut Rig, &Name)) -> Vec<Vec<Entry>> {
    let (mut parts, mut question) = (Vec::new(), question);
    loop {
        let (entries, last) = part(rig, question);
        let after = entries.last().map(|entry| entry.name.clone());
        parts.push(entries);
        let Some(after) = after.filter(|_| !last) else { return parts };
        before(rig, &after);
        question = behind("", Some(&after));
    }
}

fn told(parts: &[Vec<Entry>]) -> Vec<String> {
    parts.iter().flatten().map(|entry| entry.name.to_string()).collect()
}

fn sorted(names: impl Iterator<Item = usize>) -> Vec<String> {
    names.map(long_name).collect::<BTreeSet<_>>().into_iter().collect()
}

/// As in use, and so small that each of them is met.
fn all_bounds() -> [Bounds; 5] {
    let usual = Bounds::default();
    let tiny = Bounds { whole: 0, names: 1, rest: 0, linked: 0 };
    let small = Bounds { whole: 100, names: 40_000, rest: 100_000, ..usual };
    [usual, small, tiny, Bounds { rest: 0, ..usual }, Bounds { whole: 0, ..usual }]
}

#[test]
fn a_large_folder_is_told_part_by_part_whatever_is_held_of_it() {
    for (at, bounds) in all_bounds().into_iter().enumerate() {
        // One name in a window takes a listing for each.
        let count = if bounds.names == 1 { 200 } else { 3000 };
        let mut rig = rig(bounds, count);
        let all = parts(&mut rig, compare("", OTHER), |_, _| {});
        assert_eq!(told(&all), sorted(0..count), "bounds {at}");
        assert!(all.len() == 1 || all.len() == count.div_ceil(limits::LISTING / 260), "{} parts", all.len());
        // The digest is that of the whole, and no answer but the receipt.
        let digest = digest::folder(&all.concat());
        rig.done(&[compare("", digest)]);
        // From its beginning, without a comparison, and from anywhere.
        assert_eq!(parts(&mut rig, behind("", None), |_, _| {}), all, "bounds {at}");
        let names = sorted(0..count);
        let after = Name::parse(names[count / 2].as_bytes()).unwrap();
        assert_eq!(told(&parts(&mut rig, behind("", Some(&after)), |_, _| {})), names[count / 2 + 1..]);
        let last = Name::parse(b"~").unwrap();
        assert_eq!(part(&mut rig, behind("", Some(&last))), (Vec::new(), true));
    }
}

#[test]
fn sizes_around_the_bounds_make_no_difference() {
    for count in [0, 1, 2, 3, 99, 100, 101, 102] {
        let bounds = Bounds { whole: 100, names: 208 * 100, rest: 1 << 20, ..Bounds::default() };
        let mut rig = rig(bounds, count);
        let all = parts(&mut rig, compare("", OTHER), |_, _| {});
        assert_eq!(told(&all), sorted(0..count));
        rig.done(&[compare("", digest::folder(&all.concat()))]);
    }
}

#[test]
fn what_comes_and_goes_between_parts_is_told_or_not_and_all_else_is() {
    for (at, bounds) in all_bounds().into_iter().filter(|bounds| bounds.names > 1).enumerate() {
        let mut rig = rig(bounds, 3000);
        let mut gone = BTreeSet::new();
        let all = parts(&mut rig, compare("", OTHER), |rig, after| {
            // Those just behind, which are looked at already or are not.
            let names = sorted(0..3000);
            let next = names.iter().filter(|name| name.as_bytes() > after.as_bytes()).take(3);
            for name in next {
                fs::remove_file(rig.at(name)).unwrap();
                gone.insert(name.clone());
            }
            fs::write(rig.at(&format!("{after}_new")), "").unwrap();
            fs::write(rig.at("!before all"), "").unwrap();
        });
        let told = told(&all);
        assert!(told.is_sorted_by(|a, b| a < b), "bounds {at}");
        let old: Vec<_> = sorted(0..3000).into_iter().filter(|name| !gone.contains(name)).collect();
        let of_old: Vec<_> = told.iter().filter(|name| old.contains(name)).cloned().collect();
        assert_eq!(of_old, old, "bounds {at}");
        assert!(told.iter().all(|name| old.contains(name) || gone.contains(name) || name.ends_with("_new")));
    }
}

#[test]
fn a_folder_that_moved_away_is_not_told_from_memory() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("d")]);
        fill(&rig.at("d"), 3000);
        let (first, last) = part(&mut rig, compare("d", OTHER));
        assert!(!last);
        let after = first.last().unwrap().name.clone();
        rig.send(&[rename("d", "e"), behind("d", Some(&after)), folder("d"), behind("d", Some(&after))]);
        let answers = rig.answers();
        let [ToSender::NoFolder { .. }, ToSender::Listing { entries, last: true, .. }] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!(entries.len(), 0);
        let (rest, _) = part(&mut rig, behind("e", Some(&after)));
        assert_eq!(rest.len(), first.len());
    }
}

#[test]
fn a_part_is_asked_for_by_names_that_stand_for_nothing() {
    let mut rig = Rig::with(Settings { keep: Keep::DEFAULT, ..Settings::default() }, |module| {
        fs::write(module.join("b"), "").unwrap();
        fs::create_dir(module.join(".recvd-stage-0123456789abcdef")).unwrap();
    });
    let name = |bytes: &[u8]| Name::parse(bytes).unwrap();
    let names = |(entries, last): (Vec<Entry>, bool)| (told(&[entries]), last);
    for (after, there) in
        [(&b"a"[..], &["b"][..]), (b"\x01", &["b"]), (b".recvd-", &["b"]), (b"b", &[]), (b"\xff", &[])]
    {
        let there = there.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(part(&mut rig, behind("", Some(&name(after))))), (there, true), "{after:?}");
    }
    rig.send(&[behind("none", None), behind("b", Some(&name(b"a")))]);
    let answers = rig.answers();
    assert!(answers.iter().all(|answer| matches!(answer, ToSender::NoFolder { .. })), "{answers:?}");
}
