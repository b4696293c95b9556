//! Files whose content is not of one moment.

use std::fs;

use bytes::Bytes;
use proto::digest::Transcript;
use proto::login::Durability;
use proto::{
    Content, Digest, Entry, INEXACT, Keep, Kept, Kind, Meta, Name, Outcome, ToReceiver, ToSender, Xattrs, digest,
};

use super::rig::*;

fn torn(message: ToReceiver) -> ToReceiver {
    let ToReceiver::Put { path, meta, content, .. } = message else { panic!("{message:?}") };
    ToReceiver::Put { path, meta, content, inexact: true }
}

/// The same as a blob.
fn in_pieces(at: &str, content: &str) -> [ToReceiver; 3] {
    let (size, bytes) = (content.len() as u64, Bytes::copy_from_slice(content.as_bytes()));
    let mut hash = Transcript::new();
    hash.update(0, &bytes);
    let meta = Meta { size, ..meta(Kind::File) };
    let content = Content::Blob { id: 1, hash: hash.finish() };
    let put = ToReceiver::Put { path: path(at), meta, content, inexact: true };
    [ToReceiver::Blob { id: 1, size }, ToReceiver::Data { id: 1, offset: 0, bytes }, put]
}

fn is_marked(rig: &Rig, at: &str) -> bool {
    let mut value = [0; 8];
    match rustix::fs::getxattr(rig.at(at), INEXACT, &mut value[..]) {
        Ok(length) => {
            assert_eq!(length, 0, "its name says all");
            true
        }
        Err(error) => {
            assert_eq!(error, rustix::io::Errno::NODATA);
            false
        }
    }
}

fn entry(at: &str, size: u64, inexact: bool) -> Entry {
    let meta = Meta { size, ..meta(Kind::File) };
    Entry { inexact, ..digest::entry(Name::parse(at.as_bytes()).unwrap(), &meta) }
}

fn compare(digest: Digest) -> ToReceiver {
    ToReceiver::Compare { path: path(""), digest }
}

fn equal(at: &str, content: &[u8]) -> ToReceiver {
    ToReceiver::Equal { path: path(at), size: content.len() as u64, digest: *blake3::hash(content).as_bytes() }
}

fn with(durability: Durability, keep: Keep) -> Rig {
    Rig::with(Settings { durability, keep, ..Settings::default() }, |_| {})
}

#[test]
fn it_is_stored_told_and_taken_for_equal_by_nothing_until_an_exact_one_replaces_it() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = with(durability, Keep::DEFAULT);
        rig.done(&[torn(put("f", "half")), put("g", "good")]);
        rig.done(&in_pieces("h", "piece"));
        assert_eq!(["f", "g", "h"].map(|at| is_marked(&rig, at)), [true, false, true]);
        assert_eq!(fs::read(rig.at("f")).unwrap(), b"half");
        let entries = vec![entry("f", 4, true), entry("g", 4, false), entry("h", 5, true)];
        let exact: Vec<_> = entries.iter().map(|entry| Entry { inexact: false, ..entry.clone() }).collect();
        rig.done(&[compare(digest::folder(&entries))]);
        rig.send(&[compare(digest::folder(&exact)), ToReceiver::List { path: path(""), after: None }]);
        let listing = |op| ToSender::Listing { op, entries: entries.clone(), last: true };
        assert_eq!(rig.answers(), [listing(5), listing(6)]);
        let asked = [offer("f", 4, 0o640), offer("f", 4, 0o600), equal("f", b"half"), equal("g", b"good")];
        assert_eq!(rig.run(&asked), [(0, Outcome::Want), (1, Outcome::Want), (2, Outcome::Differs)]);
        assert!(is_marked(&rig, "f"), "questions change nothing");
        rig.done(&[put("f", "half"), put("h", "piece"), compare(digest::folder(&exact)), offer("f", 4, 0o640)]);
        rig.done(&[equal("f", b"half"), offer("f", 4, 0o600)]);
        assert_eq!(["f", "g", "h"].map(|at| is_marked(&rig, at)), [false; 3]);
        assert_eq!(rig.counters.problems(), 0);
    }
}

#[test]
fn names_that_it_gets_keep_it() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = with(durability, Keep::DEFAULT);
        rig.done(&[torn(put("f", "half")), put("g", "good"), folder("d")]);
        rig.done(&[rename("f", "d/f"), link("d/f", &["a", "b"]), exchange("d/f", "g")]);
        let names = ["a", "b", "g", "d/f"];
        assert_eq!(names.map(|at| is_marked(&rig, at)), [true, true, true, false]);
        // Of names in no group each gets a copy of its own, which is no better.
        rig.send(&[compare([0; 16])]);
        assert_eq!(rig.answers().len(), 1);
        rig.done(&[settle("")]);
        assert_eq!(names.map(|at| is_marked(&rig, at)), [true, true, true, false]);
        rig.done(&[put("a", "good")]);
        assert_eq!(names.map(|at| is_marked(&rig, at)), [false, true, true, false]);
    }
}

#[test]
fn it_displaces_nothing_but_its_like() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = with(durability, Keep::DEFAULT);
        rig.done(&[put("f", "good"), folder("d"), put("d/f", "deep")]);
        let [open, data, blob] = in_pieces("f", "piece");
        let outcomes = rig.run(&[torn(put("f", "half")), torn(put("d", "half")), open, data, blob]);
        assert_eq!(outcomes, [0, 1, 2].map(|at| (at, Outcome::Differs)));
        assert_eq!(["f", "d/f"].map(|at| fs::read(rig.at(at)).unwrap()), [b"good", b"deep"]);
        assert!(!is_marked(&rig, "f"));
        // Of what has no data there is nothing yet.
        rig.done(&[put("empty", ""), torn(put("empty", "half"))]);
        fs::File::create(rig.at("hollow")).unwrap().set_len(1 << 20).unwrap();
        rig.done(&[torn(put("hollow", "half"))]);
        assert_eq!(["empty", "hollow"].map(|at| is_marked(&rig, at)), [true; 2]);
        rig.done(&[torn(put("g", "half")), torn(put("g", "more"))]);
        assert_eq!((fs::read(rig.at("g")).unwrap(), is_marked(&rig, "g")), (b"more".to_vec(), true));
        assert_eq!(rig.counters.problems(), 0);
    }
}

#[test]
fn where_no_listing_would_show_it_it_is_refused() {
    let without = |keep: &[Kept]| Keep::EVERYTHING.iter().filter(|kept| !keep.contains(kept)).collect::<Keep>();
    let none = without(&[Kept::Xattrs, Kept::Acls, Kept::Setid]);
    let ask = |inexact| {
        let meta = Meta { size: 4, ..meta(Kind::File) };
        ToReceiver::Put { path: path("f"), meta, content: Content::Asked { room: 4 }, inexact }
    };
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = with(durability, none);
        let [open, data, blob] = in_pieces("h", "piece");
        rig.done(&[put("g", "good")]);
        let outcomes = rig.run(&[torn(put("g", "half")), open, data, blob, ask(true)]);
        assert_eq!(outcomes.len(), 3, "{outcomes:?}");
        for (_, outcome) in outcomes {
            let Outcome::Refused { reason } = outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("only where the module keeps xattrs or acls"), "{reason}");
        }
        assert_eq!(rig.outcome(ask(false)), Outcome::Want);
        rig.done(&[equal("g", b"good")]);
        let (_, scratch) = rig.close();
        assert_eq!(all_names(&scratch.path().join("module")), ["g"]);
        assert_eq!(fs::read(scratch.path().join("module/g")).unwrap(), b"good");
    }
    // Each of these has listings look at attributes.
    for [one, other] in [[Kept::Xattrs, Kept::Acls], [Kept::Xattrs, Kept::Setid], [Kept::Acls, Kept::Setid]] {
        let mut rig = with(Durability::None, without(&[one, other]));
        assert_eq!(rig.outcome(ask(true)), Outcome::Want);
        rig.done(&[torn(put("f", "half")), compare(digest::folder(&[entry("f", 4, true)]))]);
        assert!(is_marked(&rig, "f"));
    }
}

#[test]
fn a_module_that_keeps_no_attributes_any_more_sees_the_mark_only_where_contents_are_compared() {
    let keep = Keep::EVERYTHING.iter().filter(|kept| ![Kept::Xattrs, Kept::Acls, Kept::Setid].contains(kept)).collect();
    let mut rig = Rig::with(Settings { keep, ..Settings::default() }, |root| {
        fs::write(root.join("f"), "half").unwrap();
        rustix::fs::setxattr(root.join("f"), INEXACT, b"", rustix::fs::XattrFlags::empty()).unwrap();
    });
    assert_eq!(rig.outcome(equal("f", b"half")), Outcome::Differs);
    rig.done(&[put("f", "half"), equal("f", b"half")]);
}

#[test]
fn an_attribute_of_the_sender_does_not_mark_a_file() {
    let mut rig = Rig::new();
    let xattrs =
        Xattrs::new(vec![(INEXACT.into(), Box::default()), (b"user.note"[..].into(), b"x"[..].into())]).unwrap();
    let given = Meta { size: 4, xattrs, ..meta(Kind::File) };
    let content = Content::Inline(Bytes::from_static(b"good"));
    rig.done(&[
        ToReceiver::Put { path: path("f"), meta: given.clone(), content, inexact: false },
        put("g", "good"),
        ToReceiver::Offer { path: path("g"), meta: given.clone(), digest: None },
        ToReceiver::Make { path: path("d"), meta: Meta { size: 0, mode: 0o755, kind: Kind::Dir, ..given } },
    ]);
    assert_eq!(["f", "g", "d"].map(|at| is_marked(&rig, at)), [false; 3]);
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(rig.at("g"), "user.note", &mut value[..]), Ok(1));
    // Nor does one that somebody has given to a folder.
    rustix::fs::setxattr(rig.at("d"), INEXACT, b"1", rustix::fs::XattrFlags::empty()).unwrap();
    rig.send(&[compare([0; 16])]);
    let [ToSender::Listing { entries, .. }] = &rig.answers()[..] else { panic!("no listing") };
    assert!(entries.len() == 3 && entries.iter().all(|entry| !entry.inexact), "{entries:?}");
}
