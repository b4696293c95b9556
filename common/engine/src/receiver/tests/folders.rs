//! Comparing folders.

use std::fs;

use proto::{Digest, Entry, Keep, Kind, Meta, Name, ToReceiver, ToSender, digest};

use super::rig::*;

const OTHER: Digest = [7; 16];

fn compare(at: &str, digest: Digest) -> ToReceiver {
    ToReceiver::Compare { path: path(at), digest }
}

fn entry(name: &str, meta: &Meta) -> Entry {
    digest::entry(Name::parse(name.as_bytes()).unwrap(), meta)
}

#[test]
fn equal_folders_are_answered_by_the_receipt_alone() {
    for mut rig in [Rig::new(), Rig::durable()] {
        let file = Meta { size: 2, ..meta(Kind::File) };
        let link = Meta { link: b"to"[..].into(), ..meta(Kind::Symlink) };
        let here = digest::folder(&[entry("d", &meta(Kind::Dir)), entry("f", &file), entry("l", &link)]);
        let messages =
            [folder("d"), put("f", "xy"), symlink("l", "to"), compare("", here), compare("d", digest::folder(&[]))];
        rig.done(&messages);
        rig.done(&[put("d/g", ""), compare("", here), compare("d", digest::folder(&[entry("g", &meta(Kind::File))]))]);
    }
}

#[test]
fn differing_folders_are_listed_in_order_of_names() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.send(&[put("b", "12"), folder("a"), compare("", OTHER), compare("none", OTHER), compare("b", OTHER)]);
        let there = vec![entry("a", &meta(Kind::Dir)), entry("b", &Meta { size: 2, ..meta(Kind::File) })];
        assert_eq!(
            rig.answers(),
            [
                ToSender::Listing { op: 3, entries: there, last: true },
                ToSender::NoFolder { op: 4 },
                ToSender::NoFolder { op: 5 },
            ]
        );
        rig.send(&[compare("a", OTHER)]);
        assert_eq!(rig.answers(), [ToSender::Listing { op: 6, entries: vec![], last: true }]);
    }
}

#[test]
fn temporaries_are_not_listed_and_foreign_kinds_are() {
    let prepare = |module: &std::path::Path| {
        fs::create_dir(module.join(".recvd-stage-0123456789abcdef")).unwrap();
        std::os::unix::net::UnixListener::bind(module.join("socket")).unwrap();
    };
    let mut rig = Rig::with(Settings { keep: Keep::DEFAULT, ..Settings::default() }, prepare);
    rig.send(&[compare("", OTHER)]);
    let answers = rig.answers();
    let [ToSender::Listing { entries, .. }] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(
        entries.iter().map(|e| (e.name.to_string(), e.kind)).collect::<Vec<_>>(),
        [("socket".into(), Kind::Socket)]
    );
    rig.done(&[remove("socket")]);
}

#[test]
fn many_compares_are_answered_in_order() {
    for mut rig in [Rig::new(), Rig::durable()] {
        let dirs: Vec<String> = (0..300).map(|n| format!("d{n}")).collect();
        rig.done(&dirs.iter().map(|dir| folder(dir)).collect::<Vec<_>>());
        let asks = |dirs: &[String]| -> Vec<ToReceiver> {
            dirs.iter()
                .flat_map(|dir| [compare(dir, OTHER), put(&format!("{dir}/f"), ""), compare(dir, OTHER)])
                .collect()
        };
        rig.send(&asks(&dirs));
        let listed: Vec<(u64, usize)> = rig
            .answers()
            .into_iter()
            .map(|answer| match answer {
                ToSender::Listing { op, entries, last: true } => (op - 301, entries.len()),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected: Vec<(u64, usize)> = (0..300).flat_map(|n| [(3 * n, 0), (3 * n + 2, 1)]).collect();
        assert_eq!(listed, expected);
    }
}
