//! What a rule leaves out is as it should be: counted and listed, and neither a problem nor an exit of 1.

use std::fs;
use std::path::Path;

use rustix::fs::FileType;

use crate::rig::eventually;
use crate::rig::fs::mknod;
use crate::rig::pair::{Pair, Setup};

fn fifo(path: &Path) {
    mknod(path, FileType::Fifo, 0o600, 0, 0).unwrap();
}

/// The paths that the status lists as left out, after checking that all are counted.
fn left_out(pair: &Pair) -> Vec<String> {
    let left_out = pair.pushd.target("t")["left_out"].clone();
    let paths = left_out["paths"].as_array().cloned().unwrap_or_default();
    assert_eq!(left_out["entries"].as_u64(), Some(paths.len() as u64), "{left_out:#}");
    paths.iter().filter_map(|one| one["path"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_fifo_that_a_module_does_not_keep_is_left_out_and_all_is_well() {
    let mut pair = Pair::new("leftout", Setup::default());
    fs::create_dir(pair.source.join("folder")).unwrap();
    fifo(&pair.source.join("folder/early"));
    pair.recvd.start();
    let done = pair.sync(&["--stats"]);
    assert_eq!(done.code, 0, "{}", done.text());
    assert!(done.out.contains(" 1 left out,"), "{}", done.text());
    let report = pair.sync(&["--json"]).report();
    assert_eq!((&report["in_sync"], &report["problems_total"]), (&true.into(), &0.into()), "{report:#}");
    assert_eq!(report["left_out"]["paths"][0]["path"], "folder/early", "{report:#}");
    pair.pushd.daemon.start();
    pair.pushd.wait_in_sync(&[]).unwrap();
    fifo(&pair.source.join("late"));
    eventually("both are listed", || left_out(&pair) == ["folder/early", "late"]);
    assert_eq!(pair.pushd.command(&["wait"]).code, 0);
    let usual = pair.pushd.command(&["status"]);
    assert_eq!((usual.code, usual.out.contains("FIFO")), (0, false), "{}", usual.text());
    let whole = pair.pushd.command(&["status", "-v"]);
    assert!(whole.out.contains("late: a FIFO, and the module does not keep \"specials\""), "{}", whole.text());
    // They go where they go, and are over when they are.
    fs::rename(pair.source.join("folder"), pair.source.join("moved")).unwrap();
    eventually("it has moved along", || left_out(&pair) == ["late", "moved/early"]);
    fs::remove_dir_all(pair.source.join("moved")).unwrap();
    fs::remove_file(pair.source.join("late")).unwrap();
    fs::write(pair.source.join("late"), b"a file now").unwrap();
    eventually("none is left", || left_out(&pair).is_empty());
    pair.settle();
    pair.assert_equal();
}
