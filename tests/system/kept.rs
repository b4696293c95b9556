//! Deletions that are not mirrored: no folder of the backup is lost, whatever takes its name at the source. And folders that
//! somebody takes out of the backup: they are owed whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::rig::eventually;
use crate::rig::pair::{DURABILITIES, Pair, Setup};

const REASON: &str = "a folder stands there at the target, and delete is off";

/// A live pair with folders, files and an empty folder, all of it in the backup, which keeps what is deleted.
fn keeping(test: &str, durability: &str) -> Pair {
    let source = "delete = false".to_owned();
    let mut pair = Pair::new(test, Setup { source, durability: durability.into(), ..Setup::default() });
    fill(&pair.source);
    pair.start();
    pair.settle();
    pair
}

fn fill(root: &Path) {
    for folder in ["linked", "filed", "renamed over", "moved", "joined"] {
        fs::create_dir_all(root.join(folder).join("sub")).unwrap();
        for file in ["kept", "sub/kept"] {
            fs::write(root.join(folder).join(file), format!("{file} in {folder}")).unwrap();
        }
    }
    for file in ["one", "two", "three"] {
        fs::write(root.join(file), file).unwrap();
    }
    fs::create_dir(root.join("empty")).unwrap();
}

/// Everything stands in the backup that a pair has at its begin, and has its content.
fn assert_kept(pair: &Pair, folder: &str) {
    for file in ["kept", "sub/kept"] {
        let at = pair.backup.join(folder).join(file);
        let content = fs::read_to_string(&at).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
        assert!(content.starts_with(file), "{content}");
    }
}

/// What pushd says it could not mirror, all of it for one reason.
fn named(pair: &Pair) -> BTreeSet<String> {
    let problems = pair.pushd.target("t")["problems"].as_array().cloned().unwrap_or_default();
    let of = |problem: &serde_json::Value| {
        let reason = problem["reason"].as_str().unwrap();
        assert!(reason.ends_with(REASON), "{reason}");
        problem["path"].as_str().unwrap().to_owned()
    };
    problems.iter().map(of).collect()
}

fn shell(pair: &Pair, line: &str) {
    assert!(Command::new("sh").args(["-ec", line]).current_dir(&pair.source).status().unwrap().success(), "{line}");
}

#[test]
fn no_folder_of_the_backup_is_lost_to_what_takes_its_name() {
    for durability in DURABILITIES {
        let pair = keeping("kept", durability);
        shell(&pair, "rm -r linked && ln -s elsewhere linked");
        shell(&pair, "rm -r filed && echo file > filed");
        shell(&pair, "rm -r 'renamed over' && mv one 'renamed over'");
        shell(&pair, "rm -r joined && ln two joined");
        shell(&pair, "rmdir empty && mv three empty");
        let expected: BTreeSet<_> = ["linked", "filed", "renamed over", "joined", "empty"].map(str::to_owned).into();
        pair.pushd.wait_in_sync(&[]).unwrap();
        eventually("all are named", || named(&pair) == expected);
        let done = pair.pushd.command(&["wait"]);
        assert_eq!(done.code, 1, "something is not mirrored: {}", done.text());
        for folder in ["linked", "filed", "renamed over", "joined", "moved"] {
            assert_kept(&pair, folder);
        }
        assert!(pair.backup.join("empty").is_dir());
        // A full pass finds it so, and leaves it so.
        assert_eq!(pair.pushd.command(&["resync"]).code, 0);
        pair.pushd.wait_in_sync(&[]).unwrap();
        assert_eq!(named(&pair), expected);
        ["linked", "filed", "renamed over", "joined"].iter().for_each(|folder| assert_kept(&pair, folder));
        // The source has folders there again.
        shell(&pair, "rm linked filed 'renamed over' joined empty && mkdir linked filed 'renamed over' joined empty");
        shell(&pair, "echo new > linked/new");
        pair.pushd.wait_in_sync(&[]).unwrap();
        eventually("none is named any more", || named(&pair).is_empty());
        assert_eq!(fs::read(pair.backup.join("linked/new")).unwrap(), b"new\n");
        assert_kept(&pair, "linked");
    }
}

#[test]
fn a_renamed_folder_stays_under_its_old_name_and_comes_under_the_new() {
    let pair = keeping("keptmoved", "none");
    shell(&pair, "mv moved elsewhere && echo new > elsewhere/new");
    pair.pushd.wait_in_sync(&[]).unwrap();
    for folder in ["moved", "elsewhere"] {
        assert_kept(&pair, folder);
    }
    assert_eq!(fs::read(pair.backup.join("elsewhere/new")).unwrap(), b"new\n");
    // Onto one that was deleted, of which the backup has all.
    shell(&pair, "rm -r filed && mv elsewhere filed");
    pair.pushd.wait_in_sync(&[]).unwrap();
    assert_kept(&pair, "filed");
    assert_eq!(fs::read(pair.backup.join("filed/new")).unwrap(), b"new\n");
    assert_kept(&pair, "elsewhere");
    // A file that is renamed is, also over another one, and a folder takes the name of a file.
    shell(&pair, "mv one two && rm three && mkdir three && echo x > three/x");
    pair.pushd.wait_in_sync(&[]).unwrap();
    assert_eq!((fs::read(pair.backup.join("two")).unwrap(), named(&pair)), (b"one".to_vec(), BTreeSet::new()));
    assert_eq!(fs::read(pair.backup.join("three/x")).unwrap(), b"x\n");
}

#[test]
fn a_site_that_is_switched_to_and_fro_is_lost_nowhere() {
    let pair = keeping("keptsite", "none");
    shell(&pair, "mkdir www www.new && echo old > www/index && echo new > www.new/index && echo only > www/only");
    pair.pushd.wait_in_sync(&[]).unwrap();
    for _ in 0..2 {
        shell(&pair, "mv www www.old && mv www.new www");
        pair.pushd.wait_in_sync(&[]).unwrap();
        shell(&pair, "mv www www.new && mv www.old www");
        pair.pushd.wait_in_sync(&[]).unwrap();
    }
    let read = |at: &str| fs::read_to_string(pair.backup.join(at)).unwrap();
    eventually("it is as the source has it", || {
        (read("www/index"), read("www.new/index")) == ("old\n".into(), "new\n".into())
    });
    assert_eq!((read("www/only"), read("www.old/only")), ("only\n".into(), "only\n".into()));
    // And as a link, which is what takes a name over at once.
    shell(&pair, "mkdir releases && mv www releases/1 && ln -s releases/1 www");
    pair.pushd.wait_in_sync(&[]).unwrap();
    eventually("the link is named", || named(&pair) == ["www".to_owned()].into());
    assert_eq!((read("www/only"), read("releases/1/only")), ("only\n".into(), "only\n".into()));
}

#[test]
fn a_folder_that_was_taken_out_of_the_backup_comes_back_whole_with_the_next_file_in_it() {
    for source in ["", "delete = false"] {
        for durability in DURABILITIES {
            let setup = Setup { source: source.into(), durability: durability.into(), ..Setup::default() };
            let mut pair = Pair::new("takenout", setup);
            fill(&pair.source);
            pair.start();
            pair.settle();
            for (folder, change) in [
                ("moved", "echo new > moved/new"),
                ("filed", "echo new > filed/sub/new"),
                ("joined", "chmod 750 joined"),
                ("linked", "touch linked/kept"),
            ] {
                fs::remove_dir_all(pair.backup.join(folder)).unwrap();
                // Its own mtime is another since.
                shell(&pair, &format!("{change} && touch ."));
                pair.settle();
            }
            assert_eq!(named(&pair), BTreeSet::new());
        }
    }
}
