//! Sites that are taken out and put in place anew, in the ways in which that is done: what was there before never goes at the
//! backup, is not sent again, and nothing else waits for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::rig::compare::mirrored;
use crate::rig::pair::{Pair, Setup};
use crate::rig::{eventually, stays};

const FILES: usize = 3000;
/// How long masses of deletions wait.
const HOLD: &str = "delete_hold = \"20s\"";

/// A release of a site: of the files every hundredth is another in each.
fn release(root: &Path, number: usize) {
    for n in 0..FILES {
        let folder = root.join(format!("{}", n / 100));
        fs::create_dir_all(&folder).unwrap();
        let text = if n % 100 == 0 { format!("{n} in {number}") } else { format!("{n} in all") };
        fs::write(folder.join(format!("{n}.html")), text.repeat(20)).unwrap();
    }
}

/// A live pair whose source is little but `site`, and two releases beside it.
fn live(test: &str) -> (Pair, PathBuf, [PathBuf; 2]) {
    let mut pair = Pair::new(test, Setup { source: HOLD.into(), ..Setup::default() });
    let releases = [0, 1].map(|number| {
        let root = pair.scratch.folder(&format!("release{number}"));
        release(&root, number);
        root
    });
    let site = pair.source.join("site");
    copy(&["-a"], &releases[0], &site);
    pair.start();
    pair.settle();
    (pair, site, releases)
}

fn copy(words: &[&str], from: &Path, to: &Path) {
    assert!(Command::new("cp").args(words).arg(from).arg(to).status().unwrap().success());
}

/// Files that were sent since, and bytes of frames.
fn sent(pair: &Pair) -> [u64; 2] {
    let sent = pair.pushd.target("t")["sent"].clone();
    ["files", "wire_bytes"].map(|key| sent[key].as_u64().unwrap())
}

/// What a deploy sends, in files and bytes; when it is in sync all is equal.
fn deployed(pair: &Pair, deploy: impl FnOnce()) -> [u64; 2] {
    let before = sent(pair);
    let began = std::time::Instant::now();
    deploy();
    pair.settle();
    let now = sent(pair);
    let sent = [now[0] - before[0], now[1] - before[1]];
    println!("{} files, {} bytes on the wire, in sync after {:?}", sent[0], sent[1], began.elapsed());
    sent
}

#[test]
fn a_site_that_is_removed_and_copied_anew_never_goes_and_nothing_else_waits_for_it() {
    let (pair, site, [release, _]) = live("removed");
    let names = || mirrored(&pair.backup.join("site")).len();
    let before = names();
    let [files, _] = deployed(&pair, || {
        fs::remove_dir_all(&site).unwrap();
        fs::write(pair.source.join("unrelated"), "flows").unwrap();
        eventually("an edit of something else is there", || pair.backup.join("unrelated").exists());
        let held = pair.pushd.target("t")["held"].clone();
        assert!(held["entries"].as_u64() > Some(2000) && !held["until"].is_null(), "{held:#}");
        let waits = pair.pushd.command(&["wait", "--timeout", "100ms"]);
        assert_eq!(waits.code, 75, "{}", waits.text());
        // Some up to the bound of a mass may have gone before.
        assert!(stays(Duration::from_secs(1), || names() + 110 > before), "{} of {before} are left", names());
        copy(&["-a"], &release, &site);
    });
    assert!(files < 200, "{files} files were sent again");
}

#[test]
fn a_site_that_is_copied_anew_with_other_times_is_not_sent_again_where_it_is_the_same() {
    let (pair, site, [_, release]) = live("times");
    let [files, bytes] = deployed(&pair, || {
        fs::remove_dir_all(&site).unwrap();
        copy(&["-r"], &release, &site);
    });
    // Those that are others, and what had gone before it was a mass.
    assert!((30..250).contains(&files), "{files} files were sent");
    assert!(bytes < 700_000, "{bytes} bytes on the wire");
}

fn rsync(words: &[&str], from: &Path, to: &Path) {
    assert!(Command::new("rsync").args(words).arg(from.join(".")).arg(to).status().unwrap().success());
}

/// Some up to the bound of a mass may have gone before it was one, and folders and a few files are looked at as they come.
const FEW: u64 = 250;

#[test]
fn a_site_that_rsync_makes_anew_is_not_sent_again_where_it_is_the_same() {
    let (pair, site, [first, second]) = live("rsynced");
    for (words, release, most) in [("-a", &first, FEW), ("-r", &second, FEW + 30), ("-a", &first, FEW + 30)] {
        let [files, _] = deployed(&pair, || {
            fs::remove_dir_all(&site).unwrap();
            rsync(&[words], release, &site);
        });
        assert!(files < most, "{files} files were sent again by {words}");
    }
}

/// Moves all that stands in one folder to another.
fn move_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        fs::rename(from.join(&name), to.join(&name)).unwrap();
    }
}

#[test]
fn a_ready_site_that_is_moved_to_where_one_was_removed_is_not_sent_again_where_it_is_the_same() {
    let (pair, site, [release, _]) = live("ready");
    for words in ["-a", "-r"] {
        let ready = pair.scratch.path().join("ready");
        copy(&[words], &release, &ready);
        let [files, _] = deployed(&pair, || {
            fs::remove_dir_all(&site).unwrap();
            fs::rename(&ready, &site).unwrap();
        });
        assert!(files < FEW, "{files} files were sent again of one made by cp {words}");
        copy(&[words], &release, &ready);
        let [files, _] = deployed(&pair, || {
            for entry in fs::read_dir(&site).unwrap() {
                fs::remove_dir_all(entry.unwrap().path()).unwrap();
            }
            move_all(&ready, &site);
        });
        assert!(files < FEW, "{files} files were sent again, moved one by one, of one made by cp {words}");
        fs::remove_dir(&ready).unwrap();
        // From within the source.
        let ready = pair.source.join("ready");
        copy(&[words], &release, &ready);
        pair.settle();
        let [files, _] = deployed(&pair, || {
            fs::remove_dir_all(&site).unwrap();
            fs::rename(&ready, &site).unwrap();
        });
        assert!(files < 10, "{files} files were sent again of what the backup had under another name");
    }
}

#[test]
fn what_does_not_come_back_goes_when_its_time_has_come() {
    let (pair, site, _) = live("gone");
    let [files, _] = deployed(&pair, || fs::remove_dir_all(&site).unwrap());
    assert_eq!(files, 0);
    assert!(!pair.backup.join("site").exists());
}

#[test]
fn a_site_that_another_is_moved_into_the_place_of_sends_the_other_alone() {
    let (pair, site, [_, release]) = live("moved");
    let (new, old) = (pair.source.join("site.new"), pair.source.join("site.old"));
    let [files, _] = deployed(&pair, || {
        copy(&["-a"], &release, &new);
        fs::rename(&site, &old).unwrap();
        fs::rename(&new, &site).unwrap();
    });
    // Some are under way when the names change, and not there yet under the new one.
    assert!(files <= FILES as u64 * 6 / 5, "{files} files were sent");
    let [files, _] = deployed(&pair, || fs::remove_dir_all(&old).unwrap());
    assert_eq!(files, 0);
}

#[test]
fn two_releases_that_are_checked_out_in_turn_send_what_differs() {
    let (pair, site, releases) = live("turns");
    for turn in [1, 0, 1] {
        let [files, _] = deployed(&pair, || {
            let mut rsync = Command::new("rsync");
            rsync.args(["-rlp", "--delete", "--checksum"]).arg(releases[turn].join(".")).arg(&site);
            assert!(rsync.status().unwrap().success());
        });
        assert!(files <= 60, "{files} files were sent");
    }
}

fn git(repository: &Path, words: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=x", "-c", "user.email=x@example.net", "-C"]).arg(repository).args(words);
    assert!(git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap().status.success(), "git {words:?}");
}

#[test]
fn two_releases_that_git_checks_out_to_and_fro_send_what_differs() {
    let mut pair = Pair::new("git", Setup { source: HOLD.into(), ..Setup::default() });
    let site = pair.source.join("site");
    fs::create_dir(&site).unwrap();
    git(&site, &["init", "-q", "-b", "main"]);
    for number in [0, 1] {
        release(&site, number);
        // A folder that the other release does not have.
        let own = site.join(format!("only in {number}"));
        fs::create_dir(&own).unwrap();
        (0..200).for_each(|n| fs::write(own.join(n.to_string()), format!("{n} of {number}")).unwrap());
        if number == 1 {
            fs::remove_dir_all(site.join("only in 0")).unwrap();
        }
        git(&site, &["add", "-A"]);
        git(&site, &["commit", "-q", "-m", "release"]);
        git(&site, &["tag", &format!("v{number}")]);
    }
    pair.start();
    pair.settle();
    for tag in ["v0", "v1", "v0"] {
        let [files, _] = deployed(&pair, || git(&site, &["checkout", "-q", tag]));
        // Of each release thirty pages and its folder, and what git writes for itself; a few twice, while they were written.
        assert!((230..500).contains(&files), "{files} files were sent");
    }
}

#[test]
fn a_link_from_one_release_to_another_is_one_change() {
    let (pair, site, [_, other]) = live("link");
    copy(&["-a"], &other, &pair.source.join("green"));
    let link = pair.source.join("current");
    std::os::unix::fs::symlink("site", &link).unwrap();
    pair.settle();
    let [files, bytes] = deployed(&pair, || {
        std::os::unix::fs::symlink("green", pair.source.join("next")).unwrap();
        fs::rename(pair.source.join("next"), &link).unwrap();
    });
    assert!(files == 0 && bytes < 5000, "{files} files, {bytes} bytes");
    // A link in place of the whole site is evidence: it goes at once.
    let [files, _] = deployed(&pair, || {
        fs::remove_dir_all(&site).unwrap();
        std::os::unix::fs::symlink("green", &site).unwrap();
        eventually("the link is there", || pair.backup.join("site").is_symlink());
    });
    assert_eq!(files, 0);
}
