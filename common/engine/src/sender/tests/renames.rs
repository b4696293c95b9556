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
