//! A real pair in a scratch folder: certificates, users, both configs, both daemons, and a way to wait until they say
//! that nothing is owed and the trees are equal.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Daemon, Done, command_line, pushd_program, recvd_program, run};
use super::proxy::Proxy;
use super::scratch::{Scratch, free_port};
use super::{compare, patience};

/// The user of every test and the password.
pub const USER: &str = "web";
pub const PASSWORD: &str = "correct horse battery staple";

/// What a pair is like where it is not as usual. Strings are lines of TOML.
#[derive(Clone)]
pub struct Setup {
    /// Of recvd, before the first table.
    pub server: String,
    /// Of its module.
    pub module: String,
    /// Of pushd's target.
    pub target: String,
    /// Of pushd's source.
    pub source: String,
    /// `batch` or `none`; where a test does not say, `RIG_DURABILITY` does, or it is `none`.
    pub durability: String,
    /// The link goes through a proxy.
    pub proxy: bool,
    /// Words before pushd's command line, as `setpriv …`.
    pub pushd_prefix: Vec<&'static str>,
    /// The same before recvd's.
    pub recvd_prefix: Vec<&'static str>,
    /// Where the source's root stands instead of the scratch folder.
    pub source_base: Option<PathBuf>,
    /// Where the backup stands instead of the scratch folder.
    pub backup_base: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            server: String::new(),
            module: String::new(),
            target: String::new(),
            source: String::new(),
            durability: std::env::var("RIG_DURABILITY").unwrap_or_else(|_| "none".into()),
            proxy: false,
            pushd_prefix: Vec::new(),
            recvd_prefix: Vec::new(),
            source_base: None,
            backup_base: None,
        }
    }
}

/// What a receipt can mean.
pub const DURABILITIES: [&str; 2] = ["none", "batch"];

impl Setup {
    /// A module that keeps everything.
    pub fn keeping_all() -> Setup {
        const ALL: &str =
            r#"keep = ["mode", "owner", "mtime", "symlinks", "hardlinks", "xattrs", "acls", "setid", "specials"]"#;
        Setup { module: ALL.into(), ..Setup::default() }
    }
}

/// recvd with one module, `m`.
pub struct Recvd {
    pub daemon: Daemon,
    pub port: u16,
    pub backup: PathBuf,
    pub config: PathBuf,
    pub dir: PathBuf,
}

impl Recvd {
    /// Writes everything that it needs into `scratch/name`; does not start it.
    pub fn prepare(scratch: &Scratch, name: &str, setup: &Setup) -> Recvd {
        let dir = scratch.folder(name);
        let backup = match &setup.backup_base {
            Some(base) => base.join(format!("{name}-backup")),
            None => dir.join("backup"),
        };
        fs::create_dir_all(&backup).unwrap();
        state_folder(&dir);
        let made = run(
            Command::new(recvd_program())
                .args(["cert", "--name", "127.0.0.1", "--name", "localhost", "--dir"])
                .arg(&dir),
            None,
        );
        assert_eq!(made.code, 0, "recvd cert: {}", made.text());
        let mut passwd = Command::new(recvd_program());
        passwd.args(["passwd", "--users-file"]).arg(dir.join("users.toml")).arg(USER);
        let made = run(&mut passwd, Some(&format!("{PASSWORD}\n")));
        assert_eq!(made.code, 0, "recvd passwd: {}", made.text());
        let port = free_port();
        let config = dir.join("recvd.toml");
        let text = format!(
            "listen = [\"127.0.0.1:{port}\"]\nusers_file = \"users.toml\"\ndurability = \"{}\"\n\
             control_socket = \"state/control.sock\"\nstate_dir = \"state\"\n{}\n\
             [tls]\ncertificate = \"cert.pem\"\nprivate_key = \"key.pem\"\n\
             [module.m]\npath = {:?}\nusers = {{ {USER} = \"push\" }}\n{}\n",
            setup.durability,
            setup.server,
            backup.display().to_string(),
            setup.module,
        );
        fs::write(&config, text).unwrap();
        let log = scratch.path().join(format!("{name}.log"));
        let args = ["run".as_ref(), "--config".as_ref(), config.as_os_str()];
        let mut line = command_line(&setup.recvd_prefix, &recvd_program(), &args);
        line.extend(log_level());
        Recvd { daemon: Daemon::new(line, log), port, backup, config, dir }
    }

    /// Starts it and waits until it listens.
    pub fn start(&mut self) {
        self.start_under(&[]);
    }

    /// The same, with words before its command line, see [`Daemon::start_under`].
    pub fn start_under(&mut self, words: &[&str]) {
        self.daemon.start_under(words);
        let deadline = Instant::now() + patience();
        while TcpStream::connect(self.address()).is_err() {
            assert!(self.daemon.is_running(), "recvd ended: {}", self.daemon.log());
            assert!(Instant::now() < deadline, "recvd does not listen: {}", self.daemon.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it and waits until it takes sessions: until then it clears away and tries out what the disk can hold.
    pub fn start_whole(&mut self) {
        let lines = |recvd: &Recvd| recvd.daemon.log().matches("listening on").count();
        let before = lines(self);
        self.start();
        super::eventually("recvd takes sessions", || lines(self) > before);
    }

    /// `recvctl WORDS… --config …`, to its end.
    pub fn command(&self, words: &[&str]) -> Done {
        run(Command::new(recvd_program()).args(words).arg("--config").arg(&self.config), None)
    }

    /// Gives the folder of the module to another pushd.
    pub fn release(&self) {
        let done = self.command(&["release", "m"]);
        assert_eq!(done.code, 0, "{}", done.text());
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A target's table in pushd.toml, dialling `port`.
    pub fn target(&self, name: &str, port: u16, extra: &str) -> String {
        format!(
            "[target.{name}]\naddress = \"127.0.0.1:{port}\"\nmodule = \"m\"\nuser = \"{USER}\"\n\
             password_file = \"password\"\nca_file = {:?}\nretry = {{ first = \"100ms\", max = \"1s\" }}\n{extra}\n",
            self.dir.join("cert.pem").display().to_string(),
        )
    }
}

/// What each `pushd.toml` begins with.
pub const HEAD: &str = "control_socket = \"control.sock\"\nstate_dir = \"state\"\n";

/// Where a daemon keeps its state over its restarts, whoever it runs as.
fn state_folder(dir: &Path) {
    let state = dir.join("state");
    fs::create_dir_all(&state).unwrap();
    super::fs::chmod(&state, 0o777).unwrap();
}

/// pushd.
pub struct Pushd {
    pub daemon: Daemon,
    pub config: PathBuf,
    pub dir: PathBuf,
}

impl Pushd {
    /// Writes config and password into `scratch/name`; does not start it. `tables` are targets and sources.
    pub fn prepare(scratch: &Scratch, name: &str, tables: &str, prefix: &[&str]) -> Pushd {
        let dir = scratch.folder(name);
        let config = dir.join("pushd.toml");
        state_folder(&dir);
        fs::write(&config, format!("{HEAD}{tables}")).unwrap();
        write_password(&dir.join("password"), PASSWORD);
        let log = scratch.path().join(format!("{name}.log"));
        let args = ["run".as_ref(), "--config".as_ref(), config.as_os_str()];
        let mut line = command_line(prefix, &pushd_program(), &args);
        line.extend(log_level());
        Pushd { daemon: Daemon::new(line, log), config, dir }
    }

    /// `pushd WORDS… --config …`, to its end.
    pub fn command(&self, words: &[&str]) -> Done {
        run(Command::new(pushd_program()).args(words).arg("--config").arg(&self.config), None)
    }

    /// `pushd status --json`; `None` while it does not answer.
    pub fn status(&self) -> Option<Value> {
        let done = self.command(&["status", "--json", "--exit-zero"]);
        (done.code == 0).then(|| done.json())
    }

    /// The targets of all sources, as the status has them.
    pub fn targets(&self) -> Vec<Value> {
        let status = self.status().unwrap_or_default();
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        sources.iter().flat_map(|s| s["targets"].as_array().cloned().unwrap_or_default()).collect()
    }

    /// The target of this name; null when there is none or no answer.
    pub fn target(&self, name: &str) -> Value {
        self.targets().into_iter().find(|t| t["name"] == name).unwrap_or_default()
    }

    /// Bytes of content that it has sent to `target` since it started.
    pub fn sent_bytes(&self, target: &str) -> u64 {
        self.target(target)["sent"]["bytes"].as_u64().unwrap_or_else(|| panic!("no sent.bytes: {:?}", self.status()))
    }

    /// Waits until every target named (all, when none is) is live and is owed nothing, by `pushd wait` where it waits
    /// for all; then until the same holds twice in a row.
    pub fn wait_in_sync(&self, names: &[&str]) -> Result<(), String> {
        let deadline = Instant::now() + patience();
        let mut last = String::new();
        while Instant::now() < deadline {
            if names.is_empty() {
                let done = self.command(&["wait", "--timeout", "20s"]);
                // 1: it waited, and something is not mirrored.
                if !matches!(done.code, 0 | 1) {
                    last = done.text();
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
            }
            if self.looks_in_sync(names) && self.looks_in_sync(names) {
                return Ok(());
            }
            last = format!("{:#}", self.status().unwrap_or_default());
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("pushd does not come into sync: {last}"))
    }

    fn looks_in_sync(&self, names: &[&str]) -> bool {
        let targets: Vec<_> =
            self.targets().into_iter().filter(|t| names.is_empty() || names.iter().any(|n| t["name"] == *n)).collect();
        !targets.is_empty()
            && targets.iter().all(|t| t["state"] == "live" && t["owed"]["paths"] == 0 && t["lag_ms"] == 0)
    }
}

/// A password file as the programs want it.
pub fn write_password(path: &Path, password: &str) {
    fs::write(path, format!("{password}\n")).unwrap();
    super::fs::chmod(path, 0o600).unwrap();
}

fn log_level() -> Vec<std::ffi::OsString> {
    let level = std::env::var("RIG_LOG").unwrap_or_else(|_| "info".into());
    vec!["--log-level".into(), level.into()]
}

/// One source, one target, one backup. Fields drop in order: processes before their folder.
pub struct Pair {
    pub pushd: Pushd,
    pub recvd: Recvd,
    pub proxy: Option<Proxy>,
    pub source: PathBuf,
    pub backup: PathBuf,
    pub scratch: Scratch,
}

impl Pair {
    /// Prepared, nothing started. The source has one file, `anchor`, so that it is never empty by accident.
    pub fn new(test: &str, setup: Setup) -> Pair {
        let scratch = Scratch::new(test);
        let source = match &setup.source_base {
            Some(base) => base.join("source"),
            None => scratch.path().join("source"),
        };
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("anchor"), b"always here\n").unwrap();
        let recvd = Recvd::prepare(&scratch, "recvd", &setup);
        let proxy = setup.proxy.then(|| Proxy::to(recvd.address()));
        let port = proxy.as_ref().map_or(recvd.port, Proxy::port);
        // Shorter than in earnest.
        let hold = if setup.source.contains("delete_hold") { "" } else { "delete_hold = \"1s\"\n" };
        let tables = format!(
            "{}\n[source.s]\npath = {:?}\ntargets = [\"t\"]\n{hold}{}\n",
            recvd.target("t", port, &setup.target),
            source.display().to_string(),
            setup.source
        );
        let pushd = Pushd::prepare(&scratch, "pushd", &tables, &setup.pushd_prefix);
        let backup = recvd.backup.clone();
        Pair { pushd, recvd, proxy, source, backup, scratch }
    }

    /// Starts both.
    pub fn start(&mut self) {
        self.recvd.start();
        self.pushd.daemon.start();
    }

    /// A pair that runs and is in sync.
    pub fn live(test: &str, setup: Setup) -> Pair {
        let mut pair = Pair::new(test, setup);
        pair.start();
        pair.settle();
        pair
    }

    /// `pushd sync WORDS…`; then waits for the receiver to clear its stage away.
    pub fn sync(&self, words: &[&str]) -> Done {
        let done = self.pushd.command(&[&["sync"], words].concat());
        wait_without_stage(&self.backup);
        done
    }

    /// Waits until pushd says that nothing is owed and the trees are equal whole; panics when that does not happen.
    pub fn settle(&self) {
        if let Err(report) = self.try_settle() {
            panic!("{report}");
        }
    }

    /// The same. `Ok(false)` when the trees became equal only after pushd had said that they are.
    pub fn try_settle(&self) -> Result<bool, String> {
        self.pushd.wait_in_sync(&[])?;
        let deadline = Instant::now() + patience() / 3;
        let mut on_time = true;
        loop {
            let differences = compare::trees(&self.source, &self.backup);
            if differences.is_empty() {
                return Ok(on_time);
            }
            if Instant::now() > deadline {
                let listing = compare::listing(&differences, 40);
                return Err(format!("{} differences, source / backup:\n{listing}", differences.len()));
            }
            on_time &= differences.iter().all(compare::Difference::is_stage);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Panics when the trees are not equal now.
    pub fn assert_equal(&self) {
        assert_equal(&self.source, &self.backup);
    }
}

/// Waits while the receiver's stage stands in the root of `backup`: at most as long as patience goes.
pub fn wait_without_stage(backup: &Path) {
    let deadline = Instant::now() + patience() / 3;
    let has_stage = || {
        let entries = fs::read_dir(backup).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b".recvd-stage-"))
    };
    while has_stage() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Panics when the trees are not equal once the stage is gone.
pub fn assert_equal(source: &Path, copy: &Path) {
    wait_without_stage(copy);
    let differences = compare::trees(source, copy);
    let listing = compare::listing(&differences, 40);
    assert!(differences.is_empty(), "{} differences, source / copy:\n{listing}", differences.len());
}
