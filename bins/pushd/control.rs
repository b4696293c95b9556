//! Asking a running pushd, and answering as one: `status`, `release`, `resync`, `wait`.
//!
//! The daemon's side is [`serve`] over a [`Control`], which `run` implements; the client's side is one function for each
//! command. It carries words; what they do is the daemon's business.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::control::{CONVERSATIONS, Server, ask};
use kit::progress::Done;
use kit::{Exit, Stop, out};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::cli::{SourceArgs, StatusArgs, WaitArgs};
use crate::config::DEFAULTS;
use crate::report::{Brake, Far, Outcome, Pair};
use crate::status::{Status, render};

/// How long a daemon may take for what needs no waiting.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a barrier is looked at, once it has stood for a while.
const LOOK: Duration = Duration::from_millis(20);
/// Looks at a barrier take no more than one part in so many of the time.
const SHARE: u32 = 20;
/// Waits at the same time: they last, and must leave room for `status` and `release`.
const WAITS: usize = CONVERSATIONS / 2;

/// What a running daemon lets itself be asked. No call may block for long: they come from tasks.
pub trait Control: Send + Sync + 'static {
    /// What `status` shows, with counters of this moment.
    fn status(&self) -> Status;
    /// Lets one source or all of them go on after a halt. The reply, or the error, is a sentence.
    fn release(&self, source: Option<&str>) -> Result<String, String>;
    /// Begins a full pass of one source or of all. The reply, or the error, is a sentence.
    fn resync(&self, source: Option<&str>) -> Result<String, String>;
    /// Begins full passes of those pairs that are served; says which these are, and under which number to ask for them. `None`
    /// when there are too many already.
    fn sync(&self, pairs: &[Pair], brake: Brake) -> Option<(u64, Vec<bool>)>;
    /// How far such passes are; `None` when there are none of this number.
    fn syncing(&self, number: u64) -> Option<Far>;
    /// Begins to wait for all that changed before this call, at and beneath the first of these places that is in a source;
    /// everywhere when none is given. The error is a sentence.
    fn barrier(&self, places: &[PathBuf]) -> Result<Box<dyn Barrier>, String>;
}

/// One wait for what changed before it began.
pub trait Barrier: Send {
    /// How it ended; `None` while something of that is not acknowledged. Asked again and again until then.
    fn look(&mut self) -> Option<Waited>;
    /// What it still waits for: a sentence for each target that is behind, or for a source that is. Bounded.
    fn behind(&self) -> Vec<String>;
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waited {
    /// All is acknowledged as durable at every target, but for these.
    Arrived(Unmirrored),
    /// It comes to nothing before a person has done something: what, in a sentence.
    Held(String),
    /// The time was over: what is behind, in sentences.
    Late(Vec<String>),
}

/// Entries that were waited for and could not be mirrored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmirrored {
    /// How much it is.
    pub total: u64,
    /// The first of it: where, and why.
    pub named: Vec<String>,
}

/// What a client asks, as JSON. Both sides are of one version, as a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// What `pushd status` asks, once or each second.
    Status,
    /// What `pushd release` asks.
    Release {
        /// All when left out.
        source: Option<String>,
    },
    /// What `pushd resync` asks.
    Resync {
        /// All when left out.
        source: Option<String>,
    },
    /// What `pushd sync` asks first.
    Sync {
        /// One for each source and target that were chosen.
        pairs: Vec<Pair>,
        /// What they may delete.
        brake: Brake,
    },
    /// `pushd sync` asks how far it is.
    Syncing {
        /// The one that [`Reply::Begun`] told.
        number: u64,
    },
    /// What `pushd wait` asks.
    Wait {
        /// Most milliseconds to wait.
        timeout_ms: u64,
        /// Absolute paths, any of which may be meant; all of every source when there are none. As bytes: they need not be
        /// text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        places: Vec<Vec<u8>>,
    },
}

/// What is answered, as JSON, where it is not refused with a sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To `Status`: all sources.
    Status(Box<Status>),
    /// To `Release` and `Resync`: what was done, as a sentence.
    Done(String),
    /// To `Wait`: how it ended.
    Waited(Waited),
    /// To `Sync`: what is served has begun.
    Begun {
        /// What to ask for.
        number: u64,
        /// Of each pair whether it is served.
        served: Vec<bool>,
    },
    /// To `Syncing`: so much is done.
    Syncing(Done),
    /// To `Syncing`: all of it is over, in the order of the pairs served.
    Synced(Vec<Outcome>),
    /// To `Wait` and `Sync`: so many wait already that this one cannot.
    Full,
}

/// Answers until `stop`, at most [`CONVERSATIONS`] clients at a time.
pub async fn serve(server: Server, stop: Stop, control: Arc<dyn Control>) {
    let waits = Arc::new(Semaphore::new(WAITS));
    let answer = move |request| answer(control.clone(), waits.clone(), request);
    server.serve(stop, answer).await;
}

async fn answer(control: Arc<dyn Control>, waits: Arc<Semaphore>, request: Request) -> Result<Reply, String> {
    match request {
        Request::Status => Ok(Reply::Status(Box::new(control.status()))),
        Request::Release { source } => control.release(source.as_deref()).map(Reply::Done),
        Request::Resync { source } => control.resync(source.as_deref()).map(Reply::Done),
        Request::Sync { pairs, brake } => Ok(match control.sync(&pairs, brake) {
            Some((number, served)) => Reply::Begun { number, served },
            None => Reply::Full,
        }),
        Request::Syncing { number } => match control.syncing(number) {
            Some(Far::Under(done)) => Ok(Reply::Syncing(done)),
            Some(Far::Over(outcomes)) => Ok(Reply::Synced(outcomes)),
            None => Err("this pass is not known: pushd was started anew, or not asked for a minute".to_owned()),
        },
        Request::Wait { timeout_ms, places } => {
            let Ok(_place) = waits.try_acquire() else { return Ok(Reply::Full) };
            let places: Vec<PathBuf> = places.into_iter().map(|bytes| OsString::from_vec(bytes).into()).collect();
            let waited = wait(control.barrier(&places)?, Duration::from_millis(timeout_ms)).await;
            Ok(Reply::Waited(waited))
        }
    }
}

/// Looks often at first: most barriers fall within a few milliseconds. Looks that take long are few.
async fn wait(mut barrier: Box<dyn Barrier>, most: Duration) -> Waited {
    let start = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let began = Instant::now();
        if let Some(waited) = barrier.look() {
            return waited;
        }
        let Some(left) = most.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
            return Waited::Late(barrier.behind());
        };
        tokio::time::sleep(pause.max(began.elapsed() * SHARE).min(left)).await;
        pause = (pause * 2).min(LOOK);
    }
}

/// `pushd status`. With `--watch` until the process is interrupted, or the daemon ends. The exit says how it goes, if it
/// may.
pub fn status(config: &Path, args: &StatusArgs) -> Exit {
    let socket = match socket(config) {
        Ok(socket) => socket,
        Err(exit) => return exit,
    };
    loop {
        let now = Instant::now();
        let status = match ask_status(&socket) {
            Ok(status) => status,
            Err(exit) => return exit,
        };
        match (args.json, args.watch) {
            (true, _) => match serde_json::to_string(&status) {
                Ok(json) => out::line(json),
                Err(error) => {
                    out::complain(format_args!("pushd: the status cannot be written: {error}"));
                    return Exit::Output;
                }
            },
            (false, false) => out::text(render(&status, args.detail())),
            // Home, clear: the terminal shows the new state in the old one's place.
            (false, true) => out::text(format_args!("\x1b[H\x1b[2J{}", render(&status, args.detail()))),
        }
        if !args.watch || out::is_closed() {
            return if args.exit_zero { Exit::Ok } else { status.exit() };
        }
        std::thread::sleep(Duration::from_secs(1).saturating_sub(now.elapsed()));
    }
}

/// The command `pushd release`: asks the running daemon and prints what that says.
pub fn release(config: &Path, args: SourceArgs) -> Exit {
    order(config, &Request::Release { source: args.source })
}

/// The command `pushd resync`: asks the running daemon and prints what that says.
pub fn resync(config: &Path, args: SourceArgs) -> Exit {
    order(config, &Request::Resync { source: args.source })
}

/// The command `pushd wait`: returns when all arrived, or with what is behind when the time is over.
pub fn wait_for_all(config: &Path, args: &WaitArgs) -> Exit {
    let timeout_ms = u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX);
    let socket = match socket(config) {
        Ok(socket) => socket,
        Err(exit) => return exit,
    };
    let places = match args.path.as_deref().map(sys::paths::spellings).transpose() {
        Ok(places) => places.unwrap_or_default(),
        Err(error) => {
            out::complain(format_args!("pushd: the path cannot be made whole: {error}"));
            return Exit::Input;
        }
    };
    let places = places.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect();
    match ask(&socket, &Request::Wait { timeout_ms, places }, args.timeout.saturating_add(PATIENCE)) {
        Ok(Reply::Waited(waited)) => tell_waited(waited, args.timeout),
        Ok(Reply::Full) => {
            out::complain(format_args!("pushd: {WAITS} others wait already: try again later"));
            Exit::Busy
        }
        Ok(_) => unexpected(&socket),
        Err(error) => DEFAULTS.unanswered(&error),
    }
}

fn tell_waited(waited: Waited, timeout: Duration) -> Exit {
    match waited {
        Waited::Arrived(Unmirrored { total: 0, .. }) => Exit::Ok,
        Waited::Arrived(Unmirrored { total, named }) => {
            named.iter().for_each(|line| out::complain(format_args!("pushd: {line}")));
            let beyond = total.saturating_sub(named.len() as u64);
            if beyond > 0 {
                out::complain(format_args!("pushd: and {beyond} more: see `pushctl status`"));
            }
            Exit::Differences
        }
        Waited::Held(sentence) => {
            out::complain(format_args!("pushd: {sentence}"));
            Exit::Busy
        }
        Waited::Late(behind) => {
            behind.iter().for_each(|line| out::complain(format_args!("pushd: {line}")));
            let after = kit::units::duration(timeout);
            out::complain(format_args!("pushd: not all of it is safe after {after}: see `pushctl status`"));
            Exit::Busy
        }
    }
}

fn order(config: &Path, request: &Request) -> Exit {
    let socket = match socket(config) {
        Ok(socket) => socket,
        Err(exit) => return exit,
    };
    match ask(&socket, request, PATIENCE) {
        Ok(Reply::Done(sentence)) => {
            out::line(sentence);
            Exit::Ok
        }
        Ok(_) => unexpected(&socket),
        Err(error) => DEFAULTS.unanswered(&error),
    }
}

fn ask_status(socket: &Path) -> Result<Status, Exit> {
    match ask(socket, &Request::Status, PATIENCE) {
        Ok(Reply::Status(status)) => Ok(*status),
        Ok(_) => Err(unexpected(socket)),
        Err(error) => Err(DEFAULTS.unanswered(&error)),
    }
}

fn socket(config: &Path) -> Result<std::path::PathBuf, Exit> {
    DEFAULTS.socket(config).map_err(|complaints| {
        out::complain(complaints);
        Exit::Config
    })
}

fn unexpected(socket: &Path) -> Exit {
    let path = socket.display();
    out::complain(format_args!("pushd: the daemon at {path} answers something else: is it of another version?"));
    Exit::Protocol
}
