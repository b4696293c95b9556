//! Other users of the backup host, who can come to the mirror or not: what they move there is not given away, and where they
//! are shut out metadata travels by itself.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::rig::fs::{chmod, set_mtime, set_xattr};
use crate::rig::pair::{DURABILITIES, Pair, Setup};
use crate::rig::process::{recvd_program, run};
use crate::rig::rng::Rng;
use crate::rig::{compare, eventually, is_root};

/// What recvd says of a module when it matters the first time that others can come in.
const OPEN: &str = "INFO other users of this host can come to";

/// A file that only its owner may read, of the size and time of another; held open, so that it can be looked at wherever it is.
fn secret(at: &Path, like: &Path) -> fs::File {
    let like = fs::metadata(like).unwrap();
    fs::write(at, vec![b'!'; like.len() as usize]).unwrap();
    chmod(at, 0o600).unwrap();
    set_mtime(at, like.mtime(), like.mtime_nsec() as u32).unwrap();
    fs::File::open(at).unwrap()
}

#[test]
fn a_file_that_a_local_user_moves_into_the_mirror_is_not_opened() {
    if !is_root("a_file_that_a_local_user_moves_into_the_mirror_is_not_opened") {
        return;
    }
    for durability in DURABILITIES {
        let pair = Pair::live("foreign", Setup { durability: durability.into(), ..Setup::keeping_all() });
        let folder = pair.source.join("shared");
        fs::create_dir(&folder).unwrap();
        chmod(&folder, 0o777).unwrap();
        for name in ["mode", "owner", "acl", "setuid"] {
            fs::write(folder.join(name), "everybody may read this\n").unwrap();
        }
        pair.settle();
        for name in ["mode", "owner", "acl", "setuid"] {
            let outside = pair.scratch.path().join("secret");
            let held = secret(&outside, &folder.join(name));
            fs::rename(&outside, pair.backup.join("shared").join(name)).unwrap();
            change(&folder.join(name), name);
            let now = || held.metadata().unwrap();
            eventually(name, || (now().nlink(), now().mode() & 0o7777, now().uid()) != (1, 0o600, 0));
            assert_eq!((now().mode() & 0o7777, now().uid()), (0o600, 0), "{name}: it was opened");
            assert_eq!(now().nlink(), 0, "{name}: what the source has takes its place");
        }
        assert_eq!(pair.sync(&[]).code, 0);
        pair.assert_equal();
    }
}

fn change(at: &Path, what: &str) {
    match what {
        "mode" => chmod(at, 0o666).unwrap(),
        "owner" => std::os::unix::fs::chown(at, Some(4711), Some(4711)).unwrap(),
        "acl" => set_xattr(at, "system.posix_acl_access", &crate::rig::fs::acl(7)).unwrap(),
        _ => chmod(at, 0o4755).unwrap(),
    }
}

/// Somebody puts a secret under a name all the time, while the source changes modes and content there all the time.
#[test]
fn nor_is_one_that_comes_at_any_moment() {
    if !is_root("nor_is_one_that_comes_at_any_moment") {
        return;
    }
    let pair = Pair::live("swaps", Setup::default());
    let file = pair.source.join("f");
    fs::write(&file, "everybody may read this\n").unwrap();
    pair.settle();
    let (outside, there) = (pair.scratch.path().join("secret"), pair.backup.join("f"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mallory = scope.spawn(|| {
            let mut secrets = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let held = secret(&outside, &file);
                fs::rename(&outside, &there).unwrap();
                secrets.push(held);
                thread::sleep(Duration::from_micros(700));
            }
            secrets
        });
        for round in 0..1500 {
            chmod(&file, [0o644, 0o664, 0o755][round % 3]).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
        over.store(true, Ordering::Relaxed);
        let secrets = mallory.join().unwrap();
        let opened = secrets.iter().filter(|held| held.metadata().unwrap().mode() & 0o7777 != 0o600).count();
        println!("{} secrets under the name", secrets.len());
        assert_eq!(opened, 0, "of {}", secrets.len());
    });
    assert_eq!(pair.sync(&[]).code, 0);
    pair.assert_equal();
}

/// A backup that rsync has made, without owners and modes. Returns the pair, not started.
fn of_rsync(test: &str, setup: Setup) -> Option<Pair> {
    let pair = Pair::new(test, Setup { proxy: true, target: "compress = \"off\"".into(), ..setup });
    let mut rng = Rng::new(9);
    for folder in 0..4 {
        let folder = pair.source.join(folder.to_string());
        fs::create_dir(&folder).unwrap();
        for file in 0..50 {
            fs::write(folder.join(file.to_string()), rng.bytes(8 << 10)).unwrap();
        }
    }
    fs::write(pair.source.join("large"), rng.bytes(8 << 20)).unwrap();
    let source = format!("{}/", pair.source.display());
    let mut rsync = Command::new("rsync");
    rsync.args(["-rt", "--chmod=F600,D700"]).arg(source).arg(&pair.backup);
    if Command::new("rsync").arg("--version").output().is_err() {
        eprintln!("LEFT OUT: no rsync to make a backup with");
        return None;
    }
    assert_eq!(run(&mut rsync, None).code, 0);
    // Other modes than at the source everywhere, and other owners.
    crate::rig::fs::give_away(&pair.backup, 4711).unwrap();
    std::os::unix::fs::chown(&pair.backup, Some(0), Some(0)).unwrap();
    assert!(compare::trees(&pair.source, &pair.backup).len() > 200);
    Some(pair)
}

fn inode(pair: &Pair, at: &str) -> u64 {
    fs::metadata(pair.backup.join(at)).unwrap().ino()
}

#[test]
fn a_backup_of_rsync_is_taken_over_without_its_content_where_others_are_shut_out() {
    if !is_root("a_backup_of_rsync_is_taken_over_without_its_content_where_others_are_shut_out") {
        return;
    }
    let closed = tempfile::Builder::new().prefix("pair-closed-").tempdir().unwrap();
    chmod(closed.path(), 0o700).unwrap();
    let setup = Setup { backup_base: Some(closed.path().to_owned()), ..Setup::default() };
    let Some(mut pair) = of_rsync("adopt-closed", setup) else { return };
    let before = (inode(&pair, "0/0"), inode(&pair, "large"));
    let sent = adopt(&mut pair);
    assert!(sent < 100_000, "{sent} bytes");
    assert_eq!((inode(&pair, "0/0"), inode(&pair, "large")), before, "the files themselves stay");
    let log = pair.recvd.daemon.log();
    assert!(!log.contains(OPEN), "{log}");
}

/// Takes the backup over; bytes that were sent for it.
fn adopt(pair: &mut Pair) -> u64 {
    pair.recvd.start();
    let done = pair.sync(&["--json"]);
    assert_eq!(done.code, 0, "{}", done.text());
    pair.assert_equal();
    let (sent, _) = pair.proxy.as_ref().unwrap().moved();
    println!("{sent} bytes for 200 files of 8 KiB and one of 8 MiB");
    sent
}

#[test]
fn where_others_can_come_in_content_is_sent_and_the_log_says_why() {
    if !is_root("where_others_can_come_in_content_is_sent_and_the_log_says_why") {
        return;
    }
    let Some(mut pair) = of_rsync("adopt-open", Setup::default()) else { return };
    let before = inode(&pair, "0/0");
    let sent = adopt(&mut pair);
    // The large one is built from what is there.
    assert!((200 * 8192..3_000_000).contains(&sent), "{sent} bytes");
    assert_ne!(inode(&pair, "0/0"), before);
    let log = pair.recvd.daemon.log();
    assert_eq!(log.matches(OPEN).count(), 1, "{log}");
    // From now on it is recvd's own.
    let now = inode(&pair, "0/0");
    chmod(&pair.source.join("0/0"), 0o640).unwrap();
    assert_eq!(pair.sync(&[]).code, 0);
    pair.assert_equal();
    assert_eq!(inode(&pair, "0/0"), now);
    // But for one that is started again.
    pair.recvd.daemon.kill();
    pair.recvd.start();
    chmod(&pair.source.join("0/0"), 0o644).unwrap();
    assert_eq!(pair.sync(&[]).code, 0);
    pair.assert_equal();
    assert_ne!(inode(&pair, "0/0"), now);
}

#[test]
fn check_says_which_modules_others_can_come_to_and_what_to_type() {
    let pair = Pair::new("open", Setup::default());
    // A folder for backups alone.
    let (base, config) = (pair.scratch.path().join("backups"), &pair.recvd.config);
    fs::create_dir_all(base.join("m")).unwrap();
    let text = fs::read_to_string(config).unwrap();
    let old = format!("path = {:?}", pair.backup.display().to_string());
    assert!(text.contains(&old));
    fs::write(config, text.replace(&old, &format!("path = {:?}", base.join("m").display().to_string()))).unwrap();
    let check = |words: &[&str]| {
        let done = run(Command::new(recvd_program()).args(["check", "--config"]).arg(config).args(words), None);
        assert_eq!(done.code, 0, "{}", done.text());
        done
    };
    let command = format!("chmod 700 {}", base.display());
    let done = check(&[]);
    assert!(done.err.contains(&format!("type: {command} (a warning)")), "{}", done.text());
    let report = check(&["--json"]).json();
    let module = &report["modules"][0];
    assert_eq!((&module["name"], &module["open"]), (&"m".into(), &true.into()), "{report:#}");
    assert_eq!((&report["ok"], &report["warnings"][0]["key"]), (&true.into(), &"module.m.path".into()), "{report:#}");
    assert_eq!(run(Command::new("sh").args(["-c", module["close"].as_str().unwrap()]), None).code, 0);
    let done = check(&[]);
    assert!(!done.text().contains("warning"), "{}", done.text());
    let report = check(&["--json"]).json();
    let (module, none) = (&report["modules"][0], serde_json::json!([]));
    assert_eq!((&module["open"], &module["close"]), (&false.into(), &serde_json::Value::Null), "{report:#}");
    assert_eq!((&report["warnings"], &report["complaints"]), (&none, &none), "{report:#}");
    // What is wrong is in the object, too.
    fs::write(config, "nonsense = 1\n").unwrap();
    let done = run(Command::new(recvd_program()).args(["check", "--json", "--config"]).arg(config), None);
    assert_eq!(done.code, 78);
    let report = done.json();
    assert!(report["ok"] == false && report["complaints"].as_array().unwrap().len() > 1, "{report:#}");
}
