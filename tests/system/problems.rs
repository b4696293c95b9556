//! What could not be mirrored: it is counted whole and shown within bounds, whatever its names, and it is over when it is.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;

use rustix::fs::FileType;

use crate::rig::fs::mknod;
use crate::rig::pair::{Pair, Setup};
use crate::rig::rng::Rng;
use crate::rig::{eventually, is_root};

const MANY: u64 = 1200;
const MIB: usize = 1024 * 1024;

fn problems(pair: &Pair) -> Vec<serde_json::Value> {
    pair.pushd.target("t")["problems"].as_array().cloned().unwrap_or_default()
}

/// Problems, and entries that are left out.
fn counts(pair: &Pair) -> (u64, u64) {
    let target = pair.pushd.target("t");
    let count = |value: &serde_json::Value| value.as_u64().unwrap_or(u64::MAX);
    (count(&target["problems_total"]), count(&target["left_out"]["entries"]))
}

/// A folder whose path has about three thousand bytes, all of which are shown as six.
fn deep(root: &Path) -> PathBuf {
    (0..15).fold(root.to_owned(), |folder, _| folder.join("\x01".repeat(200)))
}

#[test]
fn many_names_that_are_long_when_shown_are_counted_and_fit_everywhere() {
    let pair = Pair::live("deepnames", Setup { module: "max_file_size = \"1KiB\"".into(), ..Setup::default() });
    let folder = deep(&pair.source.join("top"));
    fs::create_dir_all(&folder).unwrap();
    for n in 0..MANY {
        fs::write(folder.join(format!("{n}\x1b")), [7; 1025]).unwrap();
        mknod(&folder.join(format!("fifo {n}\x1b")), FileType::Fifo, 0o600, 0, 0).unwrap();
    }
    let waited = pair.pushd.command(&["wait"]);
    assert_eq!((waited.code, waited.err.len() < MIB), (1, true), "{} bytes", waited.err.len());
    assert_eq!(counts(&pair), (MANY, MANY));
    for words in [&["status", "--json"][..], &["status", "-v"]] {
        let shown = pair.pushd.command(words);
        assert_eq!((shown.code, shown.out.len() < 3 * MIB), (1, true), "{words:?}: {} bytes", shown.out.len());
    }
    let listed = problems(&pair);
    assert!(listed.len() > 100, "{} of {MANY} are listed", listed.len());
    for path in listed.iter().filter_map(|problem| problem["path"].as_str()) {
        assert!(path.len() <= 512 && path.starts_with("top/") && path.ends_with("\\u{1b}"), "{path}");
    }
    let logged = pair.pushd.daemon.log().len();
    assert!(logged < MIB, "{logged} bytes in the log");
    // A full pass meets the same again, a rename takes all along, and with the folder all is over.
    assert_eq!(pair.pushd.command(&["resync"]).code, 0);
    assert_eq!(pair.pushd.command(&["wait"]).code, 1);
    assert_eq!(counts(&pair), (MANY, MANY));
    fs::rename(pair.source.join("top"), pair.source.join("moved")).unwrap();
    assert_eq!(pair.pushd.command(&["wait"]).code, 1);
    assert_eq!(counts(&pair), (MANY, MANY));
    assert!(problems(&pair).iter().all(|problem| problem["path"].as_str().unwrap().starts_with("moved/")));
    fs::remove_dir_all(pair.source.join("moved")).unwrap();
    assert_eq!(pair.pushd.command(&["wait"]).code, 0);
    assert_eq!(counts(&pair), (0, 0));
}

#[test]
fn every_refused_file_counts_and_none_is_sent() {
    // More than are on their way at a time, and than are kept with their paths.
    const FILES: u64 = 12_000;
    let mut pair = Pair::new("refusedfiles", Setup { module: "max_file_size = \"1B\"".into(), ..Setup::default() });
    let anchors = fs::read_dir(&pair.source).unwrap().count() as u64;
    for n in 0..FILES {
        let folder = pair.source.join(format!("folder {}", n % 7));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(n.to_string()), "22").unwrap();
    }
    pair.recvd.start();
    let report = pair.sync(&["--json"]).report();
    let total = report["problems_total"].as_u64().unwrap();
    assert!((FILES..=FILES + anchors).contains(&total), "{total} of {FILES}");
    assert_eq!((&report["files"], &report["bytes"]), (&0.into(), &0.into()), "{report:#}");
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(1000));
    // recvd hears of them as well.
    let but_for = ["; complete but for 12", " entries in trouble"];
    eventually("recvd says so", || but_for.iter().all(|words| pair.recvd.daemon.log().contains(words)));
}

/// Writes to a file without end.
struct Writer(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Writer {
    fn start(path: &Path) -> Writer {
        let (file, end) = (File::options().write(true).open(path).unwrap(), Arc::new(AtomicBool::new(false)));
        let ended = end.clone();
        let byte = AtomicU8::new(0);
        let write = move || {
            while !ended.load(Ordering::Relaxed) {
                file.write_all_at(&[byte.fetch_add(1, Ordering::Relaxed)], 0).unwrap();
            }
        };
        Writer(end, Some(std::thread::spawn(write)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn what_changed_while_it_was_read_is_no_problem_when_it_has_settled() {
    let source = "open_files = { settle = \"50ms\", max_delay = \"100ms\" }";
    let pair = Pair::live("settled", Setup { source: source.into(), ..Setup::default() });
    // On a machine with one processor the two would hardly meet: each read lasts for a while.
    let names = ["small", "large", "new~"].map(|name| pair.source.join(name).display().to_string());
    let paths = names.iter().flat_map(|path| ["-P", path]);
    let slow = ["-o", "/dev/null", "-e", "trace=pread64,read", "-e", "inject=pread64,read:delay_exit=20000"];
    let words: Vec<&str> = slow.into_iter().chain(paths).collect();
    let _slow = is_root("slow reads").then(|| pair.pushd.daemon.follow(&words));
    // In one piece, in several, and one that gets another name at its end, as what is written to a temporary does.
    for (size, name, last) in [(200_000, "small", "small"), (9_000_000, "large", "large"), (9_000_000, "new~", "new")] {
        let path = pair.source.join(name);
        fs::write(&path, vec![1; size]).unwrap();
        let writer = Writer::start(&path);
        let named = || problems(&pair).iter().any(|problem| problem["path"] == name);
        eventually("it is named", named);
        drop(writer);
        fs::rename(&path, pair.source.join(last)).unwrap();
        eventually("no problem is left", || problems(&pair).is_empty());
        pair.settle();
        assert_eq!(counts(&pair), (0, 0));
    }
}

/// One thing that happens to a file that somebody writes to, or to a folder of such.
fn stir(source: &Path, rng: &mut Rng) {
    let mut any = || source.join(format!("d{}/f{}", rng.below(3), rng.below(4)));
    let (from, to) = (any(), any());
    // Much of it cannot be, as names are taken or gone.
    let _ = match rng.below(7) {
        0 => fs::rename(&from, &to),
        1 => fs::remove_file(&from),
        2 => fs::hard_link(&from, &to),
        3 => fs::write(&to, vec![3; 1_000_000]).and_then(|()| fs::rename(&to, &from)),
        4 => fs::rename(from.parent().unwrap(), source.join("d9")),
        5 => fs::rename(source.join("d9"), to.parent().unwrap()),
        _ => fs::create_dir(from.parent().unwrap()),
    };
}

#[test]
fn whatever_happens_to_files_that_change_nothing_is_said_of_them_once_they_hold_still() {
    let source = "open_files = { settle = \"50ms\", max_delay = \"100ms\" }\nmax_delete = \"100%\"";
    let pair = Pair::live("restless", Setup { source: source.into(), ..Setup::default() });
    let mut rng = Rng::new(12);
    for round in 0..4 {
        let mut writers = Vec::new();
        for n in 0..12 {
            let path = pair.source.join(format!("d{}/f{}", n % 3, n / 3));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if fs::write(&path, vec![n; if n % 2 == 0 { 150_000 } else { 3_000_000 }]).is_ok() {
                writers.push(Writer::start(&path));
            }
        }
        eventually("some are named", || !problems(&pair).is_empty());
        for _ in 0..60 {
            stir(&pair.source, &mut rng);
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        if round % 2 == 1 {
            assert_eq!(pair.pushd.command(&["resync"]).code, 0);
        }
        drop(writers);
        eventually("nothing is said of them", || problems(&pair).is_empty());
        pair.settle();
        assert_eq!(counts(&pair), (0, 0), "round {round}");
    }
}
