//! What a service manager is told, and what `recvd passwd` says of a service that runs.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::pair::{PASSWORD, Pair, Setup};
use crate::rig::patience;
use crate::rig::process::{Daemon, Done, recvd_program, run};

/// The service manager's end: what one daemon has told.
struct Manager(UnixDatagram);

impl Manager {
    /// Starts the daemon under it.
    fn start(daemon: &mut Daemon, socket: &Path) -> Manager {
        let manager = Manager(UnixDatagram::bind(socket).unwrap());
        daemon.start_under(&["env", &format!("NOTIFY_SOCKET={}", socket.display())]);
        manager
    }

    /// Reads on until it is told this.
    fn hears(&self, words: &str) {
        let (deadline, mut all) = (Instant::now() + patience(), String::new());
        let mut buffer = [0; 4096];
        while Instant::now() < deadline {
            self.0.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            let Ok(length) = self.0.recv(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(words) {
                return;
            }
            all.push_str(&(text + "\n"));
        }
        panic!("never told {words:?}, but:\n{all}");
    }
}

#[test]
fn the_status_of_the_service_follows_what_happens() {
    let mut pair = Pair::new("manager", Setup::default());
    let receiver = Manager::start(&mut pair.recvd.daemon, &pair.scratch.path().join("recvd.notify"));
    receiver.hears("READY=1");
    receiver.hears("STATUS=no session, 1 module");
    let sender = Manager::start(&mut pair.pushd.daemon, &pair.scratch.path().join("pushd.notify"));
    sender.hears("READY=1");
    sender.hears("STATUS=1 target in sync");
    receiver.hears("STATUS=1 session in 1 of 1 module");
    pair.recvd.daemon.kill();
    sender.hears("1 offline");
    fs::write(pair.source.join("later"), b"later").unwrap();
    sender.hears(" owed");
    fs::rename(&pair.source, pair.scratch.path().join("aside")).unwrap();
    sender.hears("source s absent");
    fs::rename(pair.scratch.path().join("aside"), &pair.source).unwrap();
    pair.recvd.start();
    sender.hears("STATUS=1 target in sync");
    assert_eq!(pair.pushd.daemon.end(patience()), Some(0));
    sender.hears("STOPPING=1");
}

fn passwd(pair: &Pair, words: &[&str]) -> Done {
    let mut command = Command::new(recvd_program());
    command.arg("passwd").args(words).arg("--users-file").arg(pair.recvd.dir.join("users.toml"));
    run(&mut command, Some(&format!("{PASSWORD}\n")))
}

#[test]
fn passwd_says_what_it_did_and_when_it_counts() {
    let mut pair = Pair::new("users", Setup::default());
    let text = fs::read_to_string(&pair.recvd.config).unwrap();
    fs::write(&pair.recvd.config, text.replace("{ web = \"push\" }", "{ web = \"push\", other = \"push\" }")).unwrap();
    passwd(&pair, &["other"]);
    pair.recvd.start();
    let said = |words: &[&str], first: &str| {
        let done = passwd(&pair, words);
        assert_eq!(done.code, 0, "{}", done.text());
        assert!(done.out.starts_with(first) && done.out.lines().count() == 1, "{}", done.text());
        assert!(
            done.out.contains("users.toml; a recvd that runs knows of it when it is started again"),
            "{}",
            done.out
        );
    };
    said(&["third"], "new user \"third\" in ");
    said(&["third"], "new password for \"third\" in ");
    said(&["--remove", "other"], "user \"other\" is removed from ");
    // And so it is.
    let config = fs::read_to_string(&pair.pushd.config).unwrap();
    fs::write(&pair.pushd.config, config.replace("user = \"web\"", "user = \"other\"")).unwrap();
    assert_eq!(pair.sync(&[]).code, 0);
    pair.recvd.daemon.kill();
    // A user in a module who is not in the file keeps recvd from starting.
    fs::write(&pair.recvd.config, text).unwrap();
    pair.recvd.start();
    assert_eq!(pair.sync(&[]).code, 77);
}
