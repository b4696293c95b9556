//! What a target may answer around a rename.

use proto::{Outcome, ToReceiver, ToSender};

use super::scripted::Scripted;
use super::*;

#[test]
fn a_file_whose_metadata_is_not_set_before_its_rename_is_sent_with_its_content_under_the_new_name() {
    let (pair, clock) = Pair::stepped();
    fs::write(pair.here.join("f"), "content").unwrap();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    fs::rename(pair.here.join("f"), pair.here.join("g")).unwrap();
    pair.hint(Hint::Renamed { from: path("f"), to: path("g"), folder: false, since: clock.now() });
    let mut heard = target.hears().unwrap();
    let op_of = |heard: &[(u64, ToReceiver)], what: fn(&ToReceiver) -> bool| {
        heard.iter().find(|(_, message)| what(message)).map(|(op, _)| *op)
    };
    let before = op_of(&heard, |message| matches!(message, ToReceiver::Offer { path, .. } if path.as_bytes() == b"f"));
    let renamed = op_of(&heard, |message| matches!(message, ToReceiver::Rename { to, .. } if to.as_bytes() == b"g"));
    let (before, renamed) = (before.expect("its metadata goes ahead"), renamed.expect("it is renamed there"));
    assert!(before < renamed);
    // As a module answers to which other users of its host can come, of a file that it has not written since its start.
    heard.extend(target.says(&ToSender::Outcome { op: before, outcome: Outcome::Want }).unwrap());
    let last = heard.last().unwrap().0;
    heard.extend(target.says(&ToSender::Applied { upto: last }).unwrap());
    let put = |message: &ToReceiver| matches!(message, ToReceiver::Put { path, .. } if path.as_bytes() == b"g");
    assert!(op_of(&heard, put).is_some_and(|op| op > renamed), "{heard:?}");
}

/// Two renames that were told apart may have left there what is alike in size and time. Mostly they have not.
#[test]
fn a_file_that_is_in_doubt_is_asked_about_before_it_is_sent() {
    for equal in [true, false] {
        let (pair, clock) = Pair::stepped();
        fs::write(pair.here.join("f"), "content").unwrap();
        let mut sender = pair.new_sender();
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        let since = pair.mirror.pending().since(0, clock.now());
        pair.mirror.pending().doubt(path("f"), since, clock.now());
        let heard = target.hears().unwrap();
        let [(op, ToReceiver::Offer { digest, .. })] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(*digest, Some(*blake3::hash(b"content").as_bytes()));
        if !equal {
            let heard = target.says(&ToSender::Outcome { op: *op, outcome: Outcome::Want }).unwrap();
            assert!(matches!(&heard[..], [(_, ToReceiver::Put { .. })]), "{heard:?}");
        }
        let heard = target.says(&ToSender::Applied { upto: target.operations }).unwrap();
        assert!(heard.is_empty() && pair.mirror.pending().is_empty(), "{heard:?}");
    }
}

/// Its events come later than a comparison that has met it, or it was only opened to be written.
#[test]
fn a_file_that_is_as_it_was_sent_is_asked_about_when_it_is_closed_once_more() {
    let (pair, _) = Pair::stepped();
    fs::write(pair.here.join("f"), "content").unwrap();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    pair.entry("f", Cause::CREATED | Cause::WRITTEN);
    let put = |heard: &[(u64, ToReceiver)]| matches!(heard, [(_, ToReceiver::Put { .. })]);
    assert!(put(&target.hears().unwrap()));
    for newer in [false, true] {
        target.says(&ToSender::Applied { upto: target.operations }).unwrap();
        if newer {
            let file = fs::File::options().write(true).open(pair.here.join("f")).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
        pair.entry("f", Cause::WRITTEN);
        let heard = target.hears().unwrap();
        let asked = matches!(&heard[..], [(_, ToReceiver::Offer { digest: Some(_), .. })]);
        assert_eq!((asked, put(&heard)), (!newer, newer), "{heard:?}");
    }
}
