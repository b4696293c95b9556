//! The names in the JSON are a contract; the text is for people and only looked at as a whole.

use std::time::{Duration, UNIX_EPOCH};

use kit::progress::{All, Search};
use kit::units::Moment;

use super::*;

/// An ext4 of before.
fn small_inodes() -> Disk {
    let (granularity, first, last) = (1_000_000_000, i64::MIN, i32::MAX.into());
    proto::Capabilities { granularity, first, last, acls: false, ..proto::Capabilities::full() }.into()
}

fn example() -> Status {
    let moment = Moment(UNIX_EPOCH + Duration::from_secs(1_795_399_509));
    let target = TargetStatus {
        name: "backup1".into(),
        address: "backup1:8730".into(),
        module: "www/web1".into(),
        state: TargetState::Live,
        since: moment,
        durability: Some(Durability::Batch),
        disk: None,
        owed: Owed::default(),
        held: None,
        lag_ms: 0,
        last_in_sync: Some(moment),
        sent: Sent { files: 1204, bytes: 20 << 20, wire_bytes: 21 << 20 },
        rate: 10 << 20,
        progress: None,
        problems: Vec::new(),
        problems_total: 0,
        left_out: LeftOut::default(),
        last_error: None,
    };
    let behind = TargetStatus {
        name: "b2".into(),
        state: TargetState::Offline,
        durability: Some(Durability::None),
        disk: Some(small_inodes()),
        owed: Owed { paths: 1204, bytes: 2 << 30 },
        held: None,
        lag_ms: 252_000,
        last_in_sync: None,
        rate: 0,
        progress: Some(Done {
            files: 1,
            bytes: 1 << 30,
            compared: 99,
            all: All { files: 9, bytes: 2 << 30, search: Search::Over },
        }),
        problems: vec![Problem { path: "a\\x1bb".into(), reason: "Permission denied".into(), since: moment }],
        problems_total: 3,
        left_out: LeftOut { entries: 2, paths: vec![Omission { path: "f".into(), reason: "a FIFO".into() }] },
        last_error: Some("connection refused".into()),
        ..target.clone()
    };
    Status {
        version: "0.1.0".into(),
        pid: 7,
        uptime_s: 60,
        watches: 1204,
        watch_limit: Some(192_536),
        sources: vec![SourceStatus {
            name: "www".into(),
            path: "/srv/www".into(),
            state: SourceState::Live,
            reason: None,
            watches: 1204,
            unwatched: 0,
            compared_at: None,
            overflows: 1,
            targets: vec![target, behind],
        }],
    }
}

#[test]
fn json_names() {
    let json = serde_json::to_string(&example()).unwrap();
    let want = concat!(
        r#"{"version":"0.1.0","pid":7,"uptime_s":60,"watches":1204,"watch_limit":192536,"sources":[{"name":"www","#,
        r#""path":"/srv/www","state":"live","reason":null,"watches":1204,"unwatched":0,"compared_at":null,"overflows":1,"targets":[{"name":"backup1","#,
        r#""address":"backup1:8730","module":"www/web1","state":"live","since":"2026-11-23T02:05:09.000Z","#,
        r#""durability":"batch","disk":null,"owed":{"paths":0,"bytes":0},"held":null,"lag_ms":0,"last_in_sync":"2026-11-23T02:05:09.000Z","#,
        r#""sent":{"files":1204,"bytes":20971520,"wire_bytes":22020096},"rate":10485760,"progress":null,"#,
        r#""problems":[],"problems_total":0,"left_out":{"entries":0,"paths":[]},"#,
        r#""last_error":null},{"name":"b2","address":"backup1:8730","module":"www/web1","state":"offline","#,
        r#""since":"2026-11-23T02:05:09.000Z","durability":"none","disk":{"lacks":"times on whole seconds up to 2038-01-19, no ACLs","#,
        r#""time_step_ns":1000000000,"time_first":null,"time_last":2147483647,"xattrs":true,"acls":false,"hardlinks":true,"#,
        r#""symlinks":true,"exchange":true,"holes":true,"any_bytes":true,"case":true,"name_bytes":255},"#,
        r#""owed":{"paths":1204,"bytes":2147483648},"held":null,"lag_ms":252000,"#,
        r#""last_in_sync":null,"sent":{"files":1204,"bytes":20971520,"wire_bytes":22020096},"rate":0,"#,
        r#""progress":{"files":1,"bytes":1073741824,"compared":99,"all":{"files":9,"bytes":2147483648,"search":"over"}},"#,
        r#""problems":[{"path":"a\\x1bb","reason":"Permission denied","since":"2026-11-23T02:05:09.000Z"}],"#,
        r#""problems_total":3,"left_out":{"entries":2,"paths":[{"path":"f","reason":"a FIFO"}]},"#,
        r#""last_error":"connection refused"}]}]}"#,
    );
    assert_eq!(json, want);
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), example());
}

#[test]
fn every_target_state_of_the_contract() {
    use TargetState::*;
    let words =
        [Connecting, Scanning, Live, Blocked, Offline, Halted].map(|state| serde_json::to_string(&state).unwrap());
    assert_eq!(words, ["\"connecting\"", "\"scanning\"", "\"live\"", "\"blocked\"", "\"offline\"", "\"halted\""]);
}

#[test]
fn text() {
    let status = example();
    let text = render(&status, Detail::Usual);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "pushd 0.1.0, process 7, up 1m00s, watching 1 204 folders of at most 192 536");
    assert_eq!(lines[2], "● www  degraded");
    assert_eq!(lines[3], "  /srv/www  1 204 folders watched, 1 overflow of the kernel's queue (repaired)");
    assert_eq!(lines[4], "  TARGET   STATE    OWED           LAG    IN SYNC  SENT                 RATE");
    assert_eq!(lines[5], "  backup1  in sync  0              0s     now      1 204 files, 20 MiB  10 MiB/s");
    assert_eq!(lines[6], "  b2       offline  1 204 / 2 GiB  4m12s  never    1 204 files, 20 MiB  -");
    assert_eq!(lines[7], "  b2 (backup1:8730): connection refused");
    assert_eq!(lines[8], "  b2: 1 of 9 files  1 GiB of 2 GiB (50%)");
    assert_eq!(lines[9], "  b2: acknowledges what is in its memory, not on its disk (durability none)");
    assert_eq!(lines[10], "  b2: its disk holds less than others: times on whole seconds up to 2038-01-19, no ACLs");
    assert_eq!(lines[11], "  b2: 3 not mirrored");
    assert!(lines[12].starts_with("    a\\x1bb: Permission denied ("), "{text}");
    assert_eq!(lines[13], "    and 2 more: see --json");
}

#[test]
fn what_is_not_mirrored_goes_with_being_in_sync_and_what_is_left_out_is_asked_for() {
    let mut status = example();
    status.sources[0].targets.remove(0);
    let target = &mut status.sources[0].targets[0];
    (target.state, target.owed, target.lag_ms) = (TargetState::Live, Owed::default(), 0);
    let usual = render(&status, Detail::Usual);
    assert!(usual.contains("● www  in sync but for 3\n") && !usual.contains("FIFO"), "{usual}");
    assert_eq!(usual.matches("in sync but for 3").count(), 2, "{usual}");
    let whole = render(&status, Detail::Whole);
    assert!(whole.ends_with("  b2: 2 left out by rule\n    f: a FIFO\n    and 1 more\n"), "{whole}");
}

#[test]
fn in_sync_is_not_said_of_what_is_not_watched() {
    let mut status = example();
    let source = &mut status.sources[0];
    source.targets.truncate(1);
    (source.unwatched, source.compared_at) = (153, Some(Moment::now()));
    source.targets[0].last_in_sync = source.compared_at;
    let text = render(&status, Detail::Usual);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[2], "● www  watching in part");
    let said =
        "  /srv/www  1 204 folders watched, watching in part: 153 more and all beneath are compared every 30 s instead";
    assert!(lines[3].starts_with(said), "{text}");
    assert!(lines[5].contains("in sync 0s ago") && !lines[5].contains("now"), "{text}");
    assert_eq!(status.exit(), Exit::Differences);
    (status.sources[0].watches, status.sources[0].unwatched) = (0, 1);
    let text = render(&status, Detail::Usual);
    assert!(
        text.contains("● www  not watched") && text.contains("0 folders watched: compared in full every 30 s"),
        "{text}"
    );
}

#[test]
fn the_exit_says_how_it_goes_and_behind_goes_before_not_mirrored() {
    let of = |change: fn(&mut SourceStatus)| {
        let mut status = example();
        // The second is offline.
        status.sources[0].targets.truncate(1);
        change(&mut status.sources[0]);
        status.exit()
    };
    assert_eq!(of(|_| {}), Exit::Ok);
    assert_eq!(of(|source| source.targets[0].problems_total = 1), Exit::Differences);
    assert_eq!(of(|source| (source.targets[0].problems_total, source.targets[0].owed.paths) = (1, 1)), Exit::Busy);
    assert_eq!(of(|source| source.targets[0].state = TargetState::Halted), Exit::Busy);
    assert_eq!(of(|source| source.state = SourceState::Absent), Exit::Busy);
    assert_eq!(example().exit(), Exit::Busy);
}
