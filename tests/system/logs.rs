//! The log and who reads it: nobody, too late, or the journal.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::rig::fs::chmod;
use crate::rig::pair::{Pair, Recvd, Setup};
use crate::rig::process::{Daemon, command_line, pushd_program, recvd_program};
use crate::rig::scratch::Scratch;
use crate::rig::{eventually, patience};

/// A pipe that takes nothing more until it is read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'.'; 512]).is_ok() {}
    while writer.write(b".").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut pair = Pair::new("unread", Setup::default());
    let (_unread, full) = full_pipe();
    pair.recvd.daemon.start_with(&[], full.try_clone().unwrap().into());
    pair.pushd.daemon.start_with(&[], full.into());
    pair.settle();
    for n in 0..200 {
        fs::write(pair.source.join(format!("file {n}")), n.to_string()).unwrap();
    }
    pair.settle();
    assert_eq!(pair.pushd.command(&["check"]).code, 0, "another login");
    assert_eq!(pair.pushd.command(&["status"]).code, 0);
    // Both say that they stop, which nobody reads either.
    assert_eq!(pair.pushd.daemon.end(patience()), Some(0));
    assert_eq!(pair.recvd.daemon.end(patience()), Some(0));
}

#[test]
fn a_command_whose_complaints_nobody_reads_ends_as_it_is_documented() {
    let mut pair = Pair::new("deaf", Setup::default());
    let (_unread, full) = full_pipe();
    let ends = |program: &Path, words: &[&str], code: i32| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        let mut command = Daemon::new(command_line(&[], program, &words), pair.scratch.path().join("out"));
        command.start_with(&[], full.try_clone().unwrap().into());
        assert_eq!(command.exit(patience()), Some(code), "{words:?}");
    };
    let (pushd, recvd) = (pushd_program(), recvd_program());
    let config = pair.pushd.config.to_str().unwrap().to_owned();
    let broken = pair.scratch.path().join("broken.toml").to_str().unwrap().to_owned();
    fs::write(&broken, "nonsense = 1\n").unwrap();
    ends(&pushd, &["run", "--config", &broken], 78);
    ends(&recvd, &["run", "--config", &broken], 78);
    ends(&recvd, &["check", "--config", "not/there.toml"], 78);
    ends(&pushd, &["run", "--no-such-option"], 64);
    ends(&pushd, &["sync", "--config", &config], 69);
    pair.pushd.daemon.start();
    eventually("pushd runs", || pair.pushd.command(&["status"]).code != 69);
    // Another one has its socket.
    ends(&pushd, &["run", "--config", &config], 73);
}

#[test]
fn lines_that_found_no_room_are_counted_where_they_are_missing() {
    let mut pair = Pair::new("gap", Setup::default());
    let args = ["run", "--config", pair.pushd.config.to_str().unwrap(), "--log-level", "trace"].map(AsRef::as_ref);
    pair.pushd.daemon = Daemon::new(command_line(&[], &pushd_program(), &args), pair.scratch.path().join("trace.log"));
    let (mut late, full) = full_pipe();
    pair.recvd.start();
    pair.pushd.daemon.start_with(&[], full.into());
    pair.settle();
    // Each is several lines of a hundred bytes.
    for n in 0..10_000 {
        fs::write(pair.source.join(format!("file {n}")), b"").unwrap();
    }
    pair.settle();
    let read = Arc::new(Mutex::new(Vec::new()));
    let shared = read.clone();
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = late.read(&mut buffer) {
            shared.lock().unwrap().extend_from_slice(&buffer[..bytes]);
        }
    });
    let text = || String::from_utf8(read.lock().unwrap().clone()).unwrap();
    const GAP: &str = "lines of this log are missing here";
    eventually("the gap is told of", || text().contains(GAP));
    assert_eq!(pair.pushd.daemon.end(patience()), Some(0));
    reading.join().unwrap();
    let text = text();
    let gap = text.find(GAP).unwrap();
    let last = text.find("SIGTERM: stopping").expect("the last lines are not there");
    assert!(gap < last);
    let line = text[..gap].rsplit('\n').next().unwrap();
    assert!(line.contains("ERROR") && line.split(' ').any(|word| word.parse::<u64>().is_ok_and(|n| n > 0)), "{line}");
}

/// What recvd logs in a whole life when the service manager says that this is the stream of the journal.
fn life(stream: impl Fn(&Path) -> String, format: &str) -> String {
    let scratch = Scratch::new("journal");
    let recvd = Recvd::prepare(&scratch, "recvd", &Setup::default());
    // Of a folder to which others can come it would warn.
    chmod(&recvd.dir, 0o700).unwrap();
    let args = ["run", "--config", recvd.config.to_str().unwrap(), "--log-format", format].map(AsRef::as_ref);
    let log = scratch.path().join("log");
    File::create(&log).unwrap();
    let said = format!("JOURNAL_STREAM={}", stream(&log));
    let line = command_line(&["env", &said], &recvd_program(), &args);
    let mut daemon = Daemon::new(line, log);
    daemon.start();
    eventually("it listens", || daemon.log().contains("listening"));
    assert_eq!(daemon.end(patience()), Some(0));
    daemon.log()
}

#[test]
fn the_journal_gets_priorities_and_nobody_else() {
    let own = |log: &Path| {
        let meta = fs::metadata(log).unwrap();
        format!("{}:{}", meta.st_dev(), meta.st_ino())
    };
    for format in ["text", "json"] {
        let text = life(own, format);
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.starts_with("<6>")), "{text}");
        // It has been led elsewhere since: then it has the time too.
        let text = life(|_| "1:2".into(), format);
        assert!(!text.contains("<6>") && text.lines().all(|line| line.contains("20")), "{text}");
    }
}

#[test]
fn complaints_at_the_start_are_errors_in_the_journal() {
    let scratch = Scratch::new("complaint");
    let log = scratch.path().join("log");
    let meta = File::create(&log).unwrap().metadata().unwrap();
    let said = format!("JOURNAL_STREAM={}:{}", meta.st_dev(), meta.st_ino());
    let config = scratch.path().join("pushd.toml");
    fs::write(&config, "lisen = []\n").unwrap();
    let args = ["run", "--config", config.to_str().unwrap()].map(AsRef::as_ref);
    let mut daemon = Daemon::new(command_line(&["env", &said], &pushd_program(), &args), log);
    daemon.start();
    assert_eq!(daemon.exit(patience()), Some(78));
    let text = daemon.log();
    assert!(!text.is_empty() && text.lines().all(|line| line.starts_with("<3>")), "{text}");
}
