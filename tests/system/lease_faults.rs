//! Leases when recvd or pushd is killed at a step of a session's begin, and when the power of the backup's disk goes then:
//! the host that has the folder is in again at once, its copy stays out, and a session continues only where all that was
//! acknowledged is there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::leases::{copy, other};
use crate::rig::fs::set_mtime;
use crate::rig::mounted::{Disk, Format, Journal};
use crate::rig::pair::{Pair, Pushd, Setup};
use crate::rig::process::{Daemon, Done, Tracer};
use crate::rig::rng::Rng;
use crate::rig::scratch::Scratch;
use crate::rig::{eventually, is_root, patience, stays};

/// In which the host that has the folder is in again: far less than the ten minutes that others wait. A recvd whose disk fails
/// asks for 30 seconds.
const AT_ONCE: &str = "90s";

/// A folder of the source in which nothing ever happens.
pub const STILL: &str = "still";

/// A copy of the host, which knows all that it knew two sessions ago.
pub struct Rival(Pushd);

impl Rival {
    pub fn of(pair: &mut Pair) -> Rival {
        let rival = Rival(copy(pair, "rival"));
        // Each session renews the token.
        pair.pushd.daemon.stop();
        pair.recvd.daemon.kill();
        pair.recvd.start_whole();
        pair.pushd.daemon.go_on();
        fs::create_dir(pair.source.join(STILL)).unwrap();
        arrives(pair, "renewed");
        rival
    }

    /// recvd is down, and comes again. The copy is there first. Whether the session of the host continues.
    pub fn comes_first(&self, pair: &mut Pair, when: &str) -> bool {
        pair.pushd.daemon.stop();
        // Only a comparison finds it.
        let still = pair.backup.join(STILL);
        let stranger = still.join("stranger");
        with_mtime_kept(&still, || fs::write(&stranger, "x").unwrap());
        pair.recvd.start_whole();
        let done = self.0.command(&["sync"]);
        assert!(done.code == 75 && done.err.contains("the folder is in use"), "{when}: {}", done.text());
        pair.pushd.daemon.start();
        pair.pushd.daemon.go_on();
        arrives(pair, when);
        assert!(!pair.backup.join("of the other").exists(), "{when}: the copy was in");
        let continued = stranger.exists();
        if continued {
            with_mtime_kept(&still, || fs::remove_file(&stranger).unwrap());
        }
        pair.settle();
        continued
    }
}

/// A change gets to the backup at once.
fn arrives(pair: &Pair, what: &str) {
    fs::write(pair.source.join("latest"), what).unwrap();
    eventually("pushd answers", || pair.pushd.status().is_some());
    let done = pair.pushd.command(&["wait", "--timeout", AT_ONCE]);
    assert_eq!(done.code, 0, "{what}: {}\n{}", done.text(), pair.recvd.daemon.log());
}

fn with_mtime_kept(folder: &Path, change: impl FnOnce()) {
    let before = fs::metadata(folder).unwrap();
    change();
    set_mtime(folder, before.mtime(), before.mtime_nsec() as u32).unwrap();
    // Another power cut is not to bring it back.
    fs::File::open(folder).unwrap().sync_all().unwrap();
}

/// Waits until the one that is followed was killed at a call, or all is well without that: then false.
fn is_killed(daemon: &mut Daemon, tracer: Tracer, is_well: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience();
    loop {
        if !daemon.is_running() {
            return true;
        }
        if is_well() {
            drop(tracer);
            return false;
        }
        assert!(Instant::now() < deadline, "neither killed nor in sync: {}", daemon.log());
    }
}

fn words<'a>(trace: &'a str, inject: &'a str) -> [&'a str; 6] {
    ["-o", "/dev/null", "-e", trace, "-e", inject]
}

/// The calls of recvd from the login to the first operation, and later ones when a token is noted.
const AT_RECVD: [&str; 6] = ["openat", "openat2", "pwrite64", "fdatasync", "write", "ftruncate"];
/// Those by which pushd writes a token down.
const AT_PUSHD: [&str; 3] = ["fchmod", "fsync", "rename"];
/// No more calls of one kind than a login has.
const MOST: u64 = 40;

/// All or fewer and fewer, as in the tests of commits.
fn counts() -> Vec<u64> {
    if std::env::var_os("COMMIT_ALL").is_some() { (1..=MOST).collect() } else { vec![1, 2, 3, 4, 6, 9, 13, 20] }
}

#[test]
fn recvd_killed_at_any_call_of_a_begin_has_the_holder_in_at_once_and_its_copy_not() {
    let mut pair = Pair::live("lease-recvd", Setup { durability: "batch".into(), ..Setup::default() });
    let rival = Rival::of(&mut pair);
    let (mut kills, mut continued) = (0, 0);
    for call in AT_RECVD {
        for count in counts() {
            let when = format!("recvd killed at {call} {count}");
            pair.pushd.daemon.stop();
            pair.recvd.daemon.kill();
            pair.recvd.start_whole();
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={count}"));
            let tracer = pair.recvd.daemon.follow(&words(&trace, &inject));
            fs::write(pair.source.join("latest"), &when).unwrap();
            pair.pushd.daemon.go_on();
            let pushd = &pair.pushd;
            let in_sync = || pushd.command(&["wait", "--timeout", "50ms"]).code == 0;
            let killed = is_killed(&mut pair.recvd.daemon, tracer, in_sync);
            pair.recvd.daemon.kill();
            let goes_on = rival.comes_first(&mut pair, &when);
            assert!(killed || goes_on, "{when}: nothing was broken, and all was compared");
            if !killed {
                break;
            }
            kills += 1;
            continued += usize::from(goes_on);
        }
    }
    println!("leases: {kills} kills of recvd, {continued} sessions continued after them");
    assert!(kills > 15 && continued > 0, "{kills} kills, {continued} continued: the calls are others by now");
}

#[test]
fn pushd_killed_while_it_notes_a_token_is_in_at_once_and_its_copy_not() {
    let mut pair = Pair::live("lease-pushd", Setup { durability: "batch".into(), ..Setup::default() });
    let rival = Rival::of(&mut pair);
    let mut kills = 0;
    for call in AT_PUSHD {
        for count in counts() {
            let when = format!("pushd killed at {call} {count}");
            pair.recvd.daemon.kill();
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={count}"));
            let tracer = pair.pushd.daemon.follow(&words(&trace, &inject));
            fs::write(pair.source.join("latest"), &when).unwrap();
            pair.recvd.start_whole();
            let backup = pair.backup.join("latest");
            let arrived = || fs::read_to_string(&backup).is_ok_and(|text| text == when);
            let killed = is_killed(&mut pair.pushd.daemon, tracer, arrived);
            pair.recvd.daemon.kill();
            pair.pushd.daemon.start();
            let continued = rival.comes_first(&mut pair, &when);
            assert!(!(killed && continued), "{when}: it compares after its own start");
            if !killed {
                break;
            }
            kills += 1;
        }
    }
    println!("leases: {kills} kills of pushd");
    assert!(kills > 3, "only {kills} kills: the calls are others by now");
}

/// recvd, of which one call of each thread is killed while this happens. Whether one was.
fn killed_amid(pair: &mut Pair, call: &str, count: u64, what: impl FnOnce(&Pair)) -> bool {
    pair.recvd.daemon.kill();
    pair.recvd.start_whole();
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={count}"));
    let tracer = pair.recvd.daemon.follow(&words(&trace, &inject));
    what(pair);
    // Its connections are closed before it is gone.
    let killed = !stays(Duration::from_millis(500), || pair.recvd.daemon.is_running());
    drop(tracer);
    pair.recvd.daemon.kill();
    pair.recvd.start_whole();
    killed
}

/// A single pass of a host, until recvd has written down that it gives the folder back: that is after its end.
fn visit(pair: &Pair, host: &Pushd) -> Done {
    let ended = || pair.recvd.daemon.log().matches("ended after").count();
    let before = ended();
    let done = host.command(&["sync", "--release"]);
    if done.code == 0 {
        eventually("its session has ended", || ended() > before);
    }
    done
}

#[test]
fn recvd_killed_while_a_folder_is_given_back_or_released_keeps_its_word() {
    let source = "max_delete = \"100%\"".into();
    let mut pair = Pair::new("lease-return", Setup { durability: "batch".into(), source, ..Setup::default() });
    pair.recvd.start();
    let other = other(&pair, "other");
    let (mut returns, mut releases) = (0, 0);
    for call in ["pwrite64", "fdatasync", "ftruncate"] {
        for count in 1..10 {
            fs::write(pair.source.join("latest"), format!("{call} {count}")).unwrap();
            let killed = killed_amid(&mut pair, call, count, |pair| drop(pair.pushd.command(&["sync"])));
            // Whatever of it is on the disk, the host itself is in at once.
            let done = visit(&pair, &pair.pushd);
            assert_eq!(done.code, 0, "killed at {call} {count}: {}", done.text());
            pair.assert_equal();
            // It has given the folder back since.
            let done = visit(&pair, &other);
            assert_eq!(done.code, 0, "killed at {call} {count}: {}", done.text());
            if !killed {
                break;
            }
            returns += 1;
        }
        for count in 1..10 {
            pair.pushd.daemon.start();
            pair.settle();
            pair.pushd.daemon.kill();
            let mut released = false;
            let killed = killed_amid(&mut pair, call, count, |pair| {
                released = pair.recvd.command(&["release", "m"]).code == 0;
            });
            let done = visit(&pair, &other);
            assert!(done.code == 0 || !released, "released, then killed at {call} {count}: {}", done.text());
            assert!(released != killed, "{call} {count}");
            if !killed {
                break;
            }
            releases += 1;
        }
    }
    println!("leases: {returns} kills while one was given back, {releases} while one was released");
    assert!(returns > 3 && releases > 1, "{returns} and {releases} kills: the calls are others by now");
}

/// What recvd gives the host cannot be written down, and recvd does not live to try it again.
#[test]
fn recvd_whose_disk_fails_at_a_begin_knows_the_holder_after_a_restart() {
    let mut pair = Pair::live("lease-failed", Setup { durability: "batch".into(), ..Setup::default() });
    let rival = Rival::of(&mut pair);
    let begun = |pair: &Pair| pair.recvd.daemon.log().matches("session of web in m begins").count();
    for (call, error) in [("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("fdatasync", "EIO")] {
        pair.pushd.daemon.stop();
        pair.recvd.daemon.kill();
        pair.recvd.start_whole();
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}"));
        let tracer = pair.recvd.daemon.follow(&words(&trace, &inject));
        let before = begun(&pair);
        pair.pushd.daemon.go_on();
        eventually("a session begins", || begun(&pair) > before);
        // The host writes down what it is given, if it is given anything.
        std::thread::sleep(Duration::from_secs(1));
        pair.recvd.daemon.kill();
        drop(tracer);
        rival.comes_first(&mut pair, &format!("{call} failed with {error}"));
    }
}

/// Nothing can be written down, so the host goes on with the token that it has.
#[test]
fn a_disk_that_becomes_read_only_keeps_no_host_out_of_its_own_folder() {
    if !is_root("a disk that becomes read-only") {
        return;
    }
    let room = Scratch::new("lease-readonly");
    let disk = Disk::make(room.path(), Format::Ext4);
    let backup_base = Some(disk.path().to_path_buf());
    let mut pair = Pair::live("lease-disk", Setup { backup_base, ..Setup::default() });
    pair.settle();
    let begun = |pair: &Pair| pair.recvd.daemon.log().matches("session of web in m begins").count();
    disk.remount("ro");
    for _ in 0..3 {
        let before = begun(&pair);
        pair.recvd.daemon.kill();
        pair.recvd.start_whole();
        eventually("the host is in", || begun(&pair) > before);
    }
    disk.remount("rw");
    arrives(&pair, "writable");
    pair.recvd.daemon.kill();
    pair.recvd.start_whole();
    arrives(&pair, "remembered");
    let log = pair.pushd.daemon.log();
    assert!(!log.contains("the folder is in use"), "{log}");
    let log = pair.recvd.daemon.log();
    assert!(!log.contains("cannot remove"), "nothing could be made there: {log}");
    pair.pushd.daemon.kill();
    pair.recvd.daemon.kill();
}

/// The power goes while a session begins, or a little later.
fn cuts_amid_a_begin(format: Format) {
    if !super::power::can_cut() {
        return;
    }
    let (cuts, seed) =
        (super::power::number("POWER_CUTS", 8), super::power::number("POWER_SEED", Rng::seed_from_clock()));
    println!("leases: {format:?}, POWER_SEED={seed}, {cuts} cuts");
    let (room, mut rng) = (Scratch::new("lease-power"), Rng::new(seed));
    let disk = Disk::make(room.path(), format);
    let backup_base = Some(disk.path().to_path_buf());
    let mut pair = Pair::live("lease-pair", Setup { durability: "batch".into(), backup_base, ..Setup::default() });
    let rival = Rival::of(&mut pair);
    let mut continued = 0;
    for cut in 0..cuts {
        let when = format!("POWER_SEED={seed}, cut {cut} on {format:?}");
        let acknowledged = fs::read_to_string(pair.source.join("latest")).unwrap();
        pair.pushd.daemon.stop();
        pair.recvd.daemon.kill();
        pair.recvd.start_whole();
        let restarts = rng.one_in(3);
        if restarts {
            pair.pushd.daemon.kill();
            pair.pushd.daemon.start();
        }
        pair.pushd.daemon.go_on();
        std::thread::sleep(Duration::from_micros(rng.below(500_000)));
        disk.cut(*rng.pick(&[Journal::Flushed, Journal::Lost]));
        pair.recvd.daemon.kill();
        disk.unmount();
        disk.mount();
        assert_eq!(fs::read_to_string(pair.backup.join("latest")).unwrap(), acknowledged, "{when}");
        continued += u64::from(rival.comes_first(&mut pair, &when));
    }
    println!("leases: {format:?}: {cuts} cuts, {continued} sessions continued after them");
    pair.recvd.daemon.kill();
}

#[test]
fn the_power_goes_amid_a_begin_on_ext4() {
    cuts_amid_a_begin(Format::Ext4);
}

#[test]
fn the_power_goes_amid_a_begin_on_xfs() {
    cuts_amid_a_begin(Format::Xfs);
}
