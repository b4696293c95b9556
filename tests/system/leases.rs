//! Whose folder it is: over restarts of both programs, for copies of a host, and by a person's word.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::rig::eventually;
use crate::rig::pair::{DURABILITIES, Pair, Pushd, Setup};
use crate::rig::process::{Daemon, command_line, pushd_program};

/// Folders beside the root.
const FOLDERS: usize = 50;

/// Puts something into each folder of the backup that only a comparison finds.
fn spoil(pair: &Pair) {
    folders(pair).for_each(|folder| fs::write(folder.join("stranger"), b"x").unwrap());
}

/// How many folders were compared since.
fn compared(pair: &Pair) -> usize {
    folders(pair).filter(|folder| !folder.join("stranger").exists()).count()
}

fn folders(pair: &Pair) -> impl Iterator<Item = PathBuf> {
    let inner = (0..FOLDERS).map(|number| pair.backup.join(number.to_string()));
    inner.chain([pair.backup.clone()])
}

/// A change of the source that has arrived.
fn change(pair: &Pair, name: &str) {
    fs::write(pair.source.join(name), name).unwrap();
    pair.pushd.wait_in_sync(&[]).unwrap();
    assert!(pair.backup.join(name).exists());
}

/// Another host with its own files, and with all that pushd has written down on the first if it is its copy.
pub fn other(pair: &Pair, name: &str) -> Pushd {
    let source = pair.scratch.folder(&format!("{name} source"));
    fs::write(source.join("of the other"), name).unwrap();
    let target = pair.recvd.target("t", pair.recvd.port, "");
    let tables = format!("{target}\n[source.s]\npath = {:?}\ntargets = [\"t\"]\n", source.display().to_string());
    Pushd::prepare(&pair.scratch, name, &tables, &[])
}

pub fn copy(pair: &Pair, name: &str) -> Pushd {
    let copy = other(pair, name);
    let (from, to) = (pair.pushd.dir.join("state"), copy.dir.join("state"));
    fs::create_dir(to.join("leases")).unwrap();
    fs::copy(from.join("identity"), to.join("identity")).unwrap();
    for lease in fs::read_dir(from.join("leases")).unwrap().flatten() {
        fs::copy(lease.path(), to.join("leases").join(lease.file_name())).unwrap();
    }
    copy
}

#[test]
fn after_a_restart_of_recvd_nothing_is_compared_and_after_one_of_pushd_all_is() {
    for durability in DURABILITIES {
        let mut pair = Pair::live("leases", Setup { durability: durability.into(), ..Setup::default() });
        for n in 0..FOLDERS {
            fs::create_dir(pair.source.join(n.to_string())).unwrap();
        }
        change(&pair, "first");
        spoil(&pair);
        for round in 0..3 {
            if round == 1 {
                assert_eq!(pair.recvd.daemon.end(Duration::from_secs(20)), Some(0));
            }
            pair.recvd.daemon.kill();
            pair.recvd.start();
            change(&pair, &format!("round {round}"));
        }
        assert_eq!(compared(&pair), 0, "folders were compared");
        pair.pushd.daemon.kill();
        pair.pushd.daemon.start();
        eventually("all is compared", || compared(&pair) == FOLDERS + 1);
        pair.settle();
        // What is kept in the module is damaged: the log names it, and all is compared.
        spoil(&pair);
        pair.recvd.daemon.kill();
        fs::write(pair.backup.join(".recvd-leases"), b"nonsense").unwrap();
        pair.recvd.start();
        eventually("all is compared", || compared(&pair) == FOLDERS + 1);
        assert!(pair.recvd.daemon.log().contains(".recvd-leases cannot be used"));
        pair.recvd.daemon.kill();
    }
}

#[test]
fn a_copy_of_a_host_replaces_nothing_whatever_happens_to_the_links_of_the_first() {
    let seconds = std::env::var("LEASES_SECONDS").map_or(8, |text| text.parse().unwrap());
    let mut pair = Pair::live("copied", Setup { proxy: true, ..Setup::default() });
    let mut copy = copy(&pair, "copy");
    // Each session renews the token: the copy has the one before.
    pair.proxy.as_ref().unwrap().cut();
    change(&pair, "renewed");
    copy.daemon.start();
    let (began, mut round) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        round += 1;
        pair.proxy.as_ref().unwrap().cut();
        if round % 5 == 0 {
            pair.recvd.daemon.kill();
            pair.recvd.start();
        }
        change(&pair, &format!("round {round}"));
        assert!(!pair.backup.join("of the other").exists(), "the copy got in");
    }
    pair.settle();
    let told = copy.target("t")["last_error"].to_string();
    assert!(told.contains("the folder is in use") && told.contains("127.0.0.1"), "{told}");
    assert_eq!(copy.target("t")["last_in_sync"], serde_json::Value::Null);
    let log = copy.daemon.log();
    assert!(!log.contains(" connected"), "{log}");
    println!("leases: {round} rounds in {seconds} s, and the copy stayed out:\n{log}");
}

#[test]
fn a_folder_goes_to_another_host_by_a_persons_word() {
    let mut pair = Pair::live("released", Setup::default());
    let mut other = other(&pair, "other");
    let told = |words: &[&str], code| {
        let done = pair.recvd.command(&[&["release"], words].concat());
        assert_eq!(done.code, code, "{}", done.text());
        done.text()
    };
    assert!(told(&["mm"], 64).contains("did you mean `m`?"));
    for (place, meant) in
        [("m/some/folder", "m:some/folder"), ("m/some/", "m:some"), ("mm/some:folder", "m:some/folder")]
    {
        assert!(told(&[place], 64).contains(&format!("did you mean `{meant}`?")), "{place}");
    }
    assert!(told(&["m:../x"], 64).contains("folder"));
    for typo in ["m:some/folder", "m:.recvd-x"] {
        assert!(told(&[typo], 64).contains("type `recvctl release m`"), "{typo}");
    }
    assert!(pair.recvd.daemon.log().matches("ended after").count() == 0, "a slip of the hand has ended the session");
    let done = told(&["m"], 0);
    assert!(done.contains("m: released; it was of user web at 127.0.0.1 since"), "{done}");
    eventually("the first is told", || {
        pair.pushd.target("t")["last_error"].as_str().is_some_and(|error| error.contains("a person has released"))
    });
    let owed = pair.pushd.target("t")["owed"]["paths"].as_u64();
    assert!(owed.is_some_and(|paths| paths > 0), "nothing is known of a folder that is given away: {owed:?}");
    let (here, there) = (pair.pushd.daemon.log(), pair.recvd.daemon.log());
    assert!(!here.contains("the service stops"), "{here}");
    assert!(there.contains("ended from here: a person has released the folder"), "{there}");
    other.daemon.start();
    other.wait_in_sync(&[]).unwrap();
    assert!(pair.backup.join("of the other").exists() && !pair.backup.join("anchor").exists());
    other.daemon.kill();
    assert!(told(&["m"], 0).contains("released") && told(&["m"], 0).contains("nobody has it"));
    pair.recvd.daemon.kill();
    let done = pair.recvd.command(&["release", "m"]);
    assert_eq!(done.code, 69, "{}", done.text());
    assert!(done.err.contains("recvd is not running"), "{}", done.text());
}

#[test]
fn a_sync_gives_the_folder_back_and_the_daemon_of_its_host_has_it_at_once() {
    let mut pair = Pair::new("returned", Setup::default());
    pair.recvd.start();
    let other = other(&pair, "other");
    for _ in 0..2 {
        assert_eq!(pair.sync(&[]).code, 0);
        let done = other.command(&["sync"]);
        assert_eq!(done.code, 0, "{}", done.text());
    }
    pair.pushd.daemon.start();
    pair.settle();
    pair.pushd.daemon.kill();
    // In the place of the daemon, with its token.
    assert_eq!(pair.sync(&[]).code, 0);
    pair.pushd.daemon.start();
    pair.settle();
    // It was let in at its first try.
    let log = pair.pushd.daemon.log();
    assert!(!log.contains("the folder is in use"), "{log}");
}

/// A `pushctl sync` that is amid its pass: it needs more answers, and they are slow.
fn begun(test: &str) -> (Pair, Daemon) {
    let mut pair = Pair::new(test, Setup { proxy: true, ..Setup::default() });
    pair.recvd.start();
    pair.proxy.as_ref().unwrap().delay(Duration::from_millis(250));
    let words = ["sync".as_ref(), "--config".as_ref(), pair.pushd.config.as_os_str()];
    let mut sync = Daemon::new(command_line(&[], &pushd_program(), &words), pair.scratch.path().join("sync.log"));
    sync.start();
    eventually("the session begins", || pair.recvd.daemon.log().contains("session of web in m begins"));
    (pair, sync)
}

#[test]
fn an_interrupted_sync_gives_the_folder_back() {
    let (pair, mut sync) = begun("interrupted");
    assert_eq!(sync.end(Duration::from_secs(60)), Some(75));
    let said = sync.log();
    assert!(said.contains("pushd: s to t: interrupted: what was sent stays"), "{said}");
    let done = other(&pair, "other").command(&["sync"]);
    assert_eq!(done.code, 0, "{}", done.text());
}

#[test]
fn a_sync_that_is_told_twice_to_end_waits_for_nothing() {
    let (mut pair, mut sync) = begun("insisted");
    // Its last word is not heard.
    pair.recvd.daemon.stop();
    for _ in 0..20 {
        sync.ask_to_end();
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(sync.exit(Duration::from_secs(60)), Some(75));
    assert!(sync.log().contains("pushd: ended at once"), "{}", sync.log());
    pair.recvd.daemon.kill();
}

#[test]
fn without_a_folder_for_its_state_a_daemon_does_not_run_and_a_sync_does() {
    let mut pair = Pair::new("stateless", Setup::default());
    pair.recvd.start();
    let text = fs::read_to_string(&pair.pushd.config).unwrap();
    fs::write(&pair.pushd.config, text.replace("state_dir = \"state\"", "state_dir = \"password/state\"")).unwrap();
    let done = pair.pushd.command(&["run"]);
    assert_eq!(done.code, 73, "{}", done.text());
    assert!(done.err.contains("cannot use `state_dir`: "), "{}", done.text());
    for _ in 0..2 {
        let done = pair.sync(&[]);
        assert_eq!(done.code, 0, "{}", done.text());
        assert!(done.err.contains("a host that recvd does not know"), "{}", done.text());
    }
    pair.assert_equal();
    // And a number that is none is named, by `check` too.
    fs::write(&pair.pushd.config, &text).unwrap();
    crate::rig::pair::write_password(&pair.pushd.dir.join("state/identity"), "somebody");
    for (words, code) in [(&["run"][..], 73), (&["check", "--offline"], 78)] {
        let done = pair.pushd.command(words);
        assert_eq!(done.code, code, "{}", done.text());
        assert!(done.text().contains("32 hexadecimal digits"), "{}", done.text());
    }
}
