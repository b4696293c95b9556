//! What there is much of, and what may not be sent.

use super::*;

#[test]
fn many_large_files_at_once_are_sent_a_few_at_a_time() {
    let mut pair = Pair::new();
    pair.pass();
    for n in 0..100 {
        fs::write(pair.here.join(format!("f{n}")), vec![n; 300_000]).unwrap();
        pair.entry(&format!("f{n}"), Cause::CREATED | Cause::WRITTEN);
    }
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn reserved_names_are_never_sent() {
    let mut pair = Pair::new();
    let stage = ".recvd-stage-0";
    fs::create_dir_all(pair.here.join("d").join(stage)).unwrap();
    fs::write(pair.here.join("d").join(stage).join("f"), "").unwrap();
    fs::write(pair.here.join("d/out"), "came out of it").unwrap();
    pair.pass();
    fs::write(pair.here.join("d/out"), "came out of it again").unwrap();
    let inside = format!("d/{stage}/f");
    for cause in [Cause::CREATED | Cause::WRITTEN, Cause::GONE] {
        pair.entry(&inside, cause);
    }
    pair.entry(&format!("d/{stage}"), Cause::GONE);
    pair.hint(Hint::Subtree { path: path(&format!("d/{stage}")) });
    pair.hint(Hint::Folder { path: path(&format!("d/{stage}")) });
    let since = std::time::Instant::now();
    pair.hint(Hint::Renamed { from: path(&inside), to: path("d/out"), folder: false, since });
    assert_eq!(pair.sync().0, Ended::InSync);
    fs::rename(pair.here.join("d/out"), pair.here.join(&inside)).unwrap();
    pair.hint(Hint::Renamed { from: path("d/out"), to: path(&inside), folder: false, since });
    assert_eq!(pair.sync().0, Ended::InSync);
    assert!(!pair.there.join("d/out").exists() && !pair.there.join("d").join(stage).exists());
}

#[test]
fn a_file_with_many_names_that_loses_one_is_looked_at_once() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("n0"), "content").unwrap();
    for n in 1..500 {
        fs::hard_link(pair.here.join("n0"), pair.here.join(format!("n{n}"))).unwrap();
    }
    pair.pass();
    fs::remove_file(pair.here.join("n7")).unwrap();
    pair.entry("n7", Cause::GONE);
    pair.entry("", Cause::ENTRIES);
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files), (Ended::InSync, 0));
    assert!(took.wire_bytes < 16 * 1024, "{} bytes for one name of 500", took.wire_bytes);
    pair.assert_equal();
}
