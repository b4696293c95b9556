//! What a sender tells of itself: seldom, when it is news, and at the end of a single pass.

use proto::ToReceiver;
use proto::report::{Done, Report};

use super::scripted::Scripted;
use super::*;

/// Reports that came since the last call.
fn reports(target: &mut Scripted<'_>) -> Vec<Report> {
    let told = std::mem::take(&mut target.told).into_iter();
    told.map(|message| match message {
        ToReceiver::Report(report) => report,
        other => panic!("{other:?}"),
    })
    .collect()
}

#[test]
fn a_report_comes_when_something_has_changed_for_a_second_and_a_quiet_session_says_nothing() {
    let (pair, clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    target.hears().unwrap();
    assert_eq!(reports(&mut target), []);
    assert_eq!(target.due, Some(clock.now() + Duration::from_secs(1)), "the first one");
    clock.advance(Duration::from_secs(1));
    target.hears().unwrap();
    let told = reports(&mut target);
    assert!(matches!(&told[..], [Report { owed_paths: 0, in_sync: true, problems: 0, .. }]), "{told:?}");
    assert_eq!((told[0].software.as_str(), target.due), ("test", None), "and then there is nothing to wake up for");
    // What is stored within a second is no news.
    fs::write(pair.here.join("f"), "content").unwrap();
    pair.entry("f", Cause::CREATED | Cause::WRITTEN);
    assert_eq!(target.hears().unwrap().len(), 1);
    assert!(target.due.is_some());
    clock.advance(Duration::from_millis(300));
    target.says(&ToSender::Applied { upto: 1 }).unwrap();
    assert_eq!((reports(&mut target), target.due), (vec![], None));
    // What is not is told, once, with its age; and that it is over.
    fs::write(pair.here.join("f"), "other").unwrap();
    pair.entry("f", Cause::WRITTEN);
    target.hears().unwrap();
    let mut told = Vec::new();
    for _ in 0..100 {
        clock.advance(Duration::from_millis(100));
        target.hears().unwrap();
        told.append(&mut reports(&mut target));
    }
    assert!(matches!(&told[..], [Report { owed_paths: 1, in_sync: false, oldest: 1000.., .. }]), "{told:?}");
    target.says(&ToSender::Applied { upto: 2 }).unwrap();
    clock.advance(Duration::from_secs(1));
    target.hears().unwrap();
    let told = reports(&mut target);
    assert!(matches!(&told[..], [Report { owed_paths: 0, in_sync: true, .. }]), "{told:?}");
    // Not all is watched.
    pair.mirror.target.set_watched(false);
    target.hears().unwrap();
    clock.advance(Duration::from_secs(1));
    target.hears().unwrap();
    assert!(matches!(&reports(&mut target)[..], [Report { owed_paths: 0, in_sync: false, .. }]));
}

#[test]
fn amid_work_there_is_one_report_a_second() {
    let (pair, clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    for n in 0..100 {
        fs::write(pair.here.join(format!("f{n}")), "content").unwrap();
        pair.entry(&format!("f{n}"), Cause::CREATED | Cause::WRITTEN);
        target.hears().unwrap();
        clock.advance(Duration::from_millis(100));
    }
    assert!((8..=10).contains(&reports(&mut target).len()));
}

#[test]
fn a_single_pass_ends_with_what_it_was_and_names_what_could_not_be_sent() {
    let (pair, _) = Pair::stepped();
    pair.mirror.entries.problem(&path("locked"), "cannot be read".into());
    pair.mirror.entries.problem_there(&path("refused"), "the target knows".into());
    fs::write(pair.here.join("f"), "content").unwrap();
    pair.entry("f", Cause::CREATED | Cause::WRITTEN);
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::InSync);
    assert_eq!(target.hears().unwrap().len(), 1);
    assert_eq!(target.told, []);
    assert_eq!(target.says(&ToSender::Applied { upto: 1 }), Err(Ended::InSync));
    let [
        ToReceiver::Problem { path: named, reason },
        ToReceiver::Problem { path: refused, reason: why },
        ToReceiver::Report(report),
        ToReceiver::Done(done),
    ] = &target.told[..]
    else {
        panic!("{:?}", target.told)
    };
    assert_eq!((named, reason.as_str()), (&path("locked"), "cannot be read"));
    assert_eq!((refused, why.as_str()), (&path("refused"), "the target knows"));
    assert!(report.in_sync && report.problems == 2, "{report:?}");
    assert_eq!(*done, Done { entries: 1, bytes: 7, problems: 2 });
}

#[test]
fn what_the_rules_or_the_disk_of_the_target_keep_from_being_sent_is_told_by_name() {
    let (mut pair, _) = Pair::stepped();
    pair.policy.limits.file_size = Some(1024);
    pair.policy.capabilities.name = 5;
    for (name, size) in [("large", 5000), ("a long name", 1), ("f", 1)] {
        fs::write(pair.here.join(name), vec![1; size]).unwrap();
        pair.entry(name, Cause::CREATED | Cause::WRITTEN);
    }
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::InSync);
    assert_eq!(target.hears().unwrap().len(), 1);
    assert_eq!(target.says(&ToSender::Applied { upto: 1 }), Err(Ended::InSync));
    let named = target.told.iter().filter_map(|message| match message {
        ToReceiver::Problem { path, .. } => Some(path.to_string()),
        _ => None,
    });
    assert_eq!(named.collect::<Vec<_>>(), ["a long name", "large"]);
    assert_eq!(target.told.last(), Some(&ToReceiver::Done(Done { entries: 1, bytes: 1, problems: 2 })));
}

#[test]
fn of_many_problems_some_are_named_and_all_are_counted() {
    let (pair, _) = Pair::stepped();
    for n in 0..3000 {
        pair.mirror.entries.problem(&path(&format!("f{n}")), "cannot be read".into());
    }
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::InSync);
    assert_eq!(target.hears(), Err(Ended::InSync));
    let named = target.told.iter().filter(|message| matches!(message, ToReceiver::Problem { .. })).count();
    assert!((900..=1000).contains(&named), "{named}");
    assert_eq!(target.told.last(), Some(&ToReceiver::Done(Done { entries: 0, bytes: 0, problems: 3000 })));
}
