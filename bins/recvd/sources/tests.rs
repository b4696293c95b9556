use std::time::UNIX_EPOCH;

use proto::report::Done;

use super::*;

fn key(user: &str, host: u8) -> Key {
    Key { user: user.into(), module: "www".into(), folder: RelPath::parse(b"a/\xff").unwrap(), sender: [host; 16] }
}

fn from(host: u8) -> IpAddr {
    [127, 0, 0, host].into()
}

fn report(owed: u64) -> Report {
    let software = "pushd 0.1.0".into();
    Report { software, owed_paths: owed, owed_bytes: 7, oldest: 9, problems: 1, in_sync: owed == 0 }
}

/// One session, in which this is told.
fn session(sources: &Arc<Sources>, key: Key, told: Option<Tale>) {
    let live = Arc::new(Counters::default());
    let heard = sources.begins(key, from(1), Arc::clone(&live));
    if let Some(told) = told {
        live.told.is(told);
    }
    drop(heard);
}

#[test]
fn what_was_told_last_is_known_when_the_source_is_gone_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let sources = Arc::new(Sources::load(Some(dir.path())));
    let at = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
    let done = Some(Done { entries: 3, bytes: 4, problems: 1 });
    session(&sources, key("web", 1), Some(Tale { report: Some((report(5), at)), done, problems: 1 }));
    session(&sources, key("db", 2), None);
    sources.keep();
    let again = Arc::new(Sources::load(Some(dir.path())));
    assert_eq!(again.all(), sources.all());
    let all = again.all();
    assert_eq!(all[0].0, key("db", 2));
    assert_eq!(all[0].1.tale, Tale::default());
    assert_eq!((&all[1].0, all[1].1.connected), (&key("web", 1), false));
    assert_eq!(all[1].1.tale, Tale { report: Some((report(5), at)), done, problems: 1 });
    // A session that is cut off leaves its report, and is not whole.
    session(&again, key("web", 1), None);
    assert_eq!(again.all()[1].1.tale, Tale { report: Some((report(5), at)), done: None, problems: 0 });
}

#[test]
fn of_a_source_that_is_connected_it_is_known_at_once_and_by_its_newest_session() {
    let sources = Arc::new(Sources::load(None));
    let (old, new) = (Arc::new(Counters::default()), Arc::new(Counters::default()));
    let first = sources.begins(key("web", 1), from(1), Arc::clone(&old));
    let second = sources.begins(key("web", 1), from(2), Arc::clone(&new));
    new.told.is(Tale { report: Some((report(2), SystemTime::now())), ..Tale::default() });
    old.told.is(Tale { report: Some((report(1), SystemTime::now())), ..Tale::default() });
    drop(first);
    let known = &sources.all()[0].1;
    assert!(known.connected && known.from == from(2), "{known:?}");
    assert_eq!(known.tale.report.as_ref().unwrap().0, report(2));
    drop(second);
    assert!(!sources.all()[0].1.connected);
}

#[test]
fn the_one_that_was_heard_longest_ago_is_forgotten() {
    let sources = Arc::new(Sources::load(None));
    let user = |n: usize| format!("u{n:05}");
    let stays = sources.begins(key(&user(0), 1), from(1), Arc::default());
    for n in 1..=MOST {
        session(&sources, key(&user(n), 1), None);
    }
    let all = sources.all();
    assert_eq!(all.len(), MOST);
    assert!(all[0].1.connected && all[1].0.user == user(2), "{:?}", all[1].0);
    drop(stays);
}

#[test]
fn who_names_more_than_are_known_loses_his_own() {
    let dir = tempfile::tempdir().unwrap();
    let sources = Arc::new(Sources::load(Some(dir.path())));
    session(&sources, key("web", 1), None);
    session(&sources, key("db", 2), None);
    let folder = |n: usize| Key { folder: RelPath::parse(n.to_string().as_bytes()).unwrap(), ..key("many", 3) };
    for n in 0..MOST + 10 {
        session(&sources, folder(n), None);
    }
    // Also one that comes when there are so many, and by what is known after a restart.
    session(&sources, key("new", 4), None);
    sources.keep();
    for sources in [Arc::clone(&sources), Arc::new(Sources::load(Some(dir.path())))] {
        session(&sources, key("newer", 5), None);
        let all = sources.all();
        assert_eq!(all.len(), MOST);
        let knows = |key: &Key| all.iter().any(|(known, _)| known == key);
        assert!([key("web", 1), key("db", 2), key("new", 4), key("newer", 5)].iter().all(knows));
        assert!(knows(&folder(MOST + 9)) && !knows(&folder(13)), "not the ones heard longest ago");
    }
}

#[test]
fn the_file_is_written_only_when_something_has_changed_and_may_be_broken() {
    let dir = tempfile::tempdir().unwrap();
    let sources = Arc::new(Sources::load(Some(dir.path())));
    session(&sources, key("web", 1), None);
    sources.keep();
    let file = dir.path().join(FILE);
    std::fs::remove_file(&file).unwrap();
    sources.keep();
    assert!(!file.exists(), "nothing has changed");
    for broken in ["", "[{}]", "{\"folder\": \"0\"}", "[{\"user\": 1}]", "\u{0}"] {
        std::fs::write(&file, broken).unwrap();
        assert!(Sources::load(Some(dir.path())).all().is_empty(), "{broken:?}");
    }
}
