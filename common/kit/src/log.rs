//! Log lines on stderr, where systemd or a container collects them, and the bound on lines that a peer can cause.
//!
//! What is logged goes through `tracing`; this says only how it looks, how much of it there may be, and that nobody who
//! logs waits for whoever reads.

mod journal;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::Metadata;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use queue::Queue;

/// How long the end of the process, or of a thread that panics, waits for the reader of the last lines.
const LAST: Duration = Duration::from_secs(1);

static QUEUE: Queue = Queue::new(sys::stderr::write_all);

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// What needs a person.
    Error,
    /// And what may need one soon.
    Warn,
    /// And one line for each connection, each stop, each change of state.
    #[default]
    Info,
    /// And what was decided, and why.
    Debug,
    /// And each file and folder that is looked at, and what libraries say.
    Trace,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Lines that people read, as a terminal or the journal shows them.
    #[default]
    Text,
    /// One JSON object to a line.
    Json,
}

/// A word that is none of those that are known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is none of {known}")]
pub struct UnknownWord {
    word: String,
    known: &'static str,
}

impl FromStr for Level {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Level, UnknownWord> {
        match word {
            "error" => Ok(Level::Error),
            "warn" => Ok(Level::Warn),
            "info" => Ok(Level::Info),
            "debug" => Ok(Level::Debug),
            "trace" => Ok(Level::Trace),
            _ => Err(UnknownWord { word: word.to_owned(), known: "error, warn, info, debug, trace" }),
        }
    }
}

impl FromStr for Format {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Format, UnknownWord> {
        match word {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err(UnknownWord { word: word.to_owned(), known: "text, json" }),
        }
    }
}

/// Begins logging to stderr, once for the life of the process; a second call changes nothing. Where that is the journal of
/// systemd, lines carry their priority and no time of their own. Colours only on a terminal, and not with `NO_COLOR`.
pub fn init(level: Level, format: Format) {
    let filter = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(Lines).with_ansi(is_coloured());
    // A library's own words (rustls at debug) help only where everything is asked for.
    let targets = move |meta: &Metadata<'_>| {
        let most = if level == Level::Trace || ours(meta.target()) { filter } else { filter.min(LevelFilter::WARN) };
        *meta.level() <= most
    };
    let only = tracing_subscriber::filter::filter_fn(targets).with_max_level_hint(filter);
    let lines = match (format, journal::is_stderr()) {
        (Format::Json, _) => lines.json().flatten_event(true).boxed(),
        (Format::Text, true) => lines.with_target(false).without_time().boxed(),
        (Format::Text, false) => lines.with_target(false).with_timer(Clock).boxed(),
    };
    if tracing_subscriber::registry().with(lines.with_filter(only)).try_init().is_ok() {
        QUEUE.tell_gaps_by(match format {
            Format::Json => json_gap,
            Format::Text => text_gap,
        });
        std::panic::set_hook(Box::new(panicked));
    }
}

/// Whether what stands on stderr may have colours.
pub(crate) fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Waits until what was logged is written, for a second at most, and no second time for a reader that takes nothing. Called
/// before a process ends.
pub fn flush() {
    QUEUE.flush(LAST);
}

/// Writes a message to stderr that is no line of the log: after the lines that were logged before it, and with a priority
/// where the journal reads. Needs no [`init`]. It is written before this returns, unless the reader does not read.
pub(crate) fn say(text: String) {
    QUEUE.push(&fit(tracing::Level::ERROR, text.into_bytes()));
    flush();
}

fn fit(level: tracing::Level, lines: Vec<u8>) -> Vec<u8> {
    if journal::is_stderr() { journal::with_priority(level, &lines) } else { lines }
}

fn gap(lines: u64) -> String {
    let lines = crate::units::counted(lines, "line of this log is", "lines of this log are");
    format!("{lines} missing here: nobody read it in time, or it could not be written")
}

fn text_gap(lines: u64) -> Vec<u8> {
    let time = if journal::is_stderr() { String::new() } else { format!("{} ", crate::units::Moment::now()) };
    fit(tracing::Level::ERROR, format!("{time}ERROR {}\n", gap(lines)).into_bytes())
}

fn json_gap(lines: u64) -> Vec<u8> {
    let time = crate::units::Moment::now().to_string();
    let line = serde_json::json!({"timestamp": time, "level": "ERROR", "message": gap(lines), "target": "kit::log"});
    fit(tracing::Level::ERROR, format!("{line}\n").into_bytes())
}

/// A panic is a line of the log like others: written in order, and a reader that does not read is not waited for.
fn panicked(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let known =
        payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let what = known.unwrap_or("for a reason that is no text");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    // With RUST_BACKTRACE=1.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!("thread {name} panicked{place}: {what}\n{backtrace}");
    } else {
        tracing::error!("thread {name} panicked{place}: {what}");
    }
    flush();
}

struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(tracing::Level::INFO)
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        Line(*meta.level())
    }
}

/// One event, which comes in one piece.
struct Line(tracing::Level);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if journal::is_stderr() {
            QUEUE.push(&journal::with_priority(self.0, line));
        } else {
            QUEUE.push(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ours(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or_default();
    matches!(name, "pushd" | "recvd" | "kit" | "link" | "engine" | "sys" | "proto")
}

struct Clock;

impl tracing_subscriber::fmt::time::FormatTime for Clock {
    fn format_time(&self, line: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(line, "{}", crate::units::Moment::now())
    }
}

/// Bounds lines that a peer can cause: `burst` at once, then one every `pause`. What was held back is counted and told with
/// the next line.
#[derive(Debug)]
pub struct Limiter {
    burst: u32,
    pause: Duration,
    state: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    left: u32,
    filled: Instant,
    held_back: u64,
}

impl Limiter {
    /// One that has let nothing through yet: the whole `burst` is to be had.
    pub fn new(burst: u32, pause: Duration) -> Limiter {
        Limiter { burst, pause, state: Mutex::new(Bucket { left: burst, filled: Instant::now(), held_back: 0 }) }
    }

    /// Whether a line may be written now: `Some` with the number of lines that were held back since the last one.
    pub fn permit(&self) -> Option<u64> {
        self.permit_at(Instant::now())
    }

    fn permit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.filled);
        let earned = passed.as_nanos() / self.pause.as_nanos().max(1);
        if earned > 0 {
            state.left = u32::try_from(earned).unwrap_or(u32::MAX).saturating_add(state.left).min(self.burst);
            state.filled = now;
        }
        if state.left == 0 {
            state.held_back += 1;
            return None;
        }
        state.left -= 1;
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_trickle() {
        let limiter = Limiter::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let after = |seconds| limiter.permit_at(start + Duration::from_secs(seconds));
        assert_eq!((after(0), after(0), after(1), after(2)), (Some(0), Some(0), None, None));
        assert_eq!((after(12), after(13)), (Some(2), None));
        assert_eq!((after(1000), after(1000), after(1000)), (Some(1), Some(0), None));
    }

    #[test]
    fn unknown_words_name_the_known() {
        assert_eq!(
            "loud".parse::<Level>().unwrap_err().to_string(),
            "`loud` is none of error, warn, info, debug, trace"
        );
        assert_eq!("json".parse(), Ok(Format::Json));
    }
}
