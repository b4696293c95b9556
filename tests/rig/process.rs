//! The two programs as processes: daemons with their logs in files, and commands with their output.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The sender's program.
pub fn pushd_program() -> PathBuf {
    std::env::var_os("RIG_PUSHD").map(PathBuf::from).unwrap_or_else(|| env!("CARGO_BIN_EXE_pushd").into())
}

/// The receiver's program.
pub fn recvd_program() -> PathBuf {
    std::env::var_os("RIG_RECVD").map(PathBuf::from).unwrap_or_else(|| env!("CARGO_BIN_EXE_recvd").into())
}

/// An strace that follows a daemon until this is dropped.
pub struct Tracer(Child);

impl Drop for Tracer {
    fn drop(&mut self) {
        // Killed it could not let go of what it follows in good order. But asked to end while that dies, it waits for ever for
        // the first thread of it, which waits for the others, and those for it.
        for signal in [Signal::TERM, Signal::KILL] {
            let _ = kill_process(Pid::from_child(&self.0), signal);
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline {
                if !matches!(self.0.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.0.wait();
    }
}

/// A daemon: how to start it, and the process while it runs. Killed when dropped.
pub struct Daemon {
    command: Vec<OsString>,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Not started yet. `log` gets standard output and standard error of all runs.
    pub fn new(command: Vec<OsString>, log: PathBuf) -> Daemon {
        Daemon { command, log, child: None }
    }

    /// Starts it; nothing happens when it runs.
    pub fn start(&mut self) {
        self.start_under(&[]);
    }

    /// The same, with words before the command line: of a program that becomes the daemon, as `strace -D` does.
    pub fn start_under(&mut self, words: &[&str]) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        self.start_with(words, log.into());
    }

    /// The same, with standard error somewhere else than in the log.
    pub fn start_with(&mut self, words: &[&str], stderr: Stdio) {
        if self.is_running() {
            return;
        }
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let line: Vec<OsString> = words.iter().map(Into::into).chain(self.command.iter().cloned()).collect();
        let child = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {:?}: {e}", self.command));
        self.child = Some(child);
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("runs").id()
    }

    /// What it has computed so far, in user mode and in the kernel.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        // In hundredths of a second.
        Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
    }

    /// The most memory that it has had so far, in bytes.
    pub fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// From now on that counts anew, from what it has now.
    pub fn forget_most_memory(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    /// Kill -9, and wait until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end (SIGTERM) and returns its exit code; `None` when it needed a kill -9 after `patience`.
    pub fn end(&mut self, patience: Duration) -> Option<i32> {
        self.ask_to_end();
        self.exit(patience)
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it ends by itself.
    pub fn exit(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                self.child = None;
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        None
    }

    /// SIGSTOP: it lives, and does nothing. On a busy machine a thread of it may run on until another one has taken the signal,
    /// so all of them are waited for.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        super::eventually("all threads are stopped", || self.is_stopped());
    }

    fn is_stopped(&self) -> bool {
        // One that does not run does nothing either.
        let Some(child) = &self.child else { return true };
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
        // The state follows the name, which stands in brackets.
        let states = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
        states
            .into_iter()
            .all(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 't', 'Z', 'X'])))
    }

    /// Has `strace WORDS…` follow all of its threads from now on, so that nothing counts which it has done before.
    pub fn follow(&self, words: &[&str]) -> Tracer {
        let pid = self.pid().to_string();
        let mut strace = Command::new("strace");
        let tracer =
            strace.args(words).args(["-f", "-qq", "-e", "signal=none", "-p", &pid]).stdin(Stdio::null()).spawn();
        let tracer = Tracer(tracer.unwrap());
        let is_followed = |task: &fs::DirEntry| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            !status.contains("TracerPid:\t0\n")
        };
        super::eventually("all threads are followed", || {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.into_iter().all(|task| is_followed(&task))
        });
        tracer
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            let pid = Pid::from_raw(child.id() as i32).unwrap();
            let _ = kill_process(pid, signal);
        }
    }

    /// What all its runs have logged. Lines are written by a thread of theirs, so a moment passes in which no more come.
    pub fn log(&self) -> String {
        let read = || fs::read(&self.log).unwrap_or_default();
        let mut log = read();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(20));
            let before = std::mem::replace(&mut log, read());
            if before.len() == log.len() {
                break;
            }
        }
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A finished command.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    /// Both outputs, for messages.
    pub fn text(&self) -> String {
        format!("exit {}\n{}{}", self.code, self.out, self.err)
    }

    /// The last JSON object of standard output.
    pub fn json(&self) -> serde_json::Value {
        let start = self.out.find('{').unwrap_or_else(|| panic!("no JSON in: {}", self.text()));
        serde_json::from_str(&self.out[start..]).unwrap_or_else(|e| panic!("{e} in: {}", self.text()))
    }
}

impl Done {
    /// What `pushd sync --json` says of the only target.
    pub fn report(&self) -> serde_json::Value {
        self.json()["targets"][0].clone()
    }
}

/// Runs a command to its end; a process that does not end within three times the patience is killed and fails the test.
pub fn run(command: &mut Command, stdin: Option<&str>) -> Done {
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        use std::io::Write;
        let _ = pipe.write_all(text.as_bytes());
    }
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    let (finished, watch) = std::sync::mpsc::channel::<()>();
    let limit = super::patience() * 3;
    let watchdog = std::thread::spawn(move || {
        if watch.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    drop(finished);
    let _ = watchdog.join();
    Done {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// `program args…` as a daemon's command line.
pub fn command_line(prefix: &[&str], program: &Path, args: &[&std::ffi::OsStr]) -> Vec<OsString> {
    let mut line: Vec<OsString> = prefix.iter().map(Into::into).collect();
    line.push(program.into());
    line.extend(args.iter().map(|a| a.to_os_string()));
    line
}
