//! The log of a process of its own: its last lines, its panics, and a reader that never reads.

use std::io::{PipeWriter, Read, Write, pipe};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kit::log::{Format, Level};
use kit::{Exit, out};

/// Names the life that [`child`] leads; without it, it is a test that does nothing.
const LIFE: &str = "KIT_TEST_LIFE";
const LINES: usize = 5000;

/// What the processes of these tests do.
#[test]
fn child() {
    let Ok(life) = std::env::var(LIFE) else { return };
    if life != "complain" {
        kit::log::init(Level::Info, Format::Text);
    }
    match life.as_str() {
        "burst" => (0..LINES).for_each(|n| tracing::info!(target: "kit", "line {n} of a burst")),
        "panic" => {
            tracing::info!(target: "kit", "before");
            let worker =
                std::thread::Builder::new().name("worker".into()).spawn(|| panic!("on {}", "purpose")).unwrap();
            assert!(worker.join().is_err());
            tracing::info!(target: "kit", "after");
            out::complain("the end");
        }
        "complain" => (0..LINES).for_each(|n| out::complain(format_args!("complaint {n}"))),
        "both" => (0..LINES).for_each(|n| match n % 2 {
            0 => tracing::info!(target: "kit", "item {n}"),
            _ => out::complain(format_args!("item {n}")),
        }),
        _ => (0..100_000).for_each(|n| tracing::info!(target: "kit", "line {n} that nobody reads")),
    }
    assert_eq!(out::finish(Exit::Ok), Exit::Ok);
    // Nothing that is written from here on is waited for.
}

fn live(life: &str, stderr: PipeWriter) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env(LIFE, life).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

/// All that it writes in its life.
fn read(life: &str) -> Vec<String> {
    let (mut reader, writer) = pipe().unwrap();
    let mut child = live(life, writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_burst_before_the_end_is_there_whole() {
    let lines = read("burst");
    assert_eq!(lines.len(), LINES);
    assert!(lines.iter().enumerate().all(|(n, line)| line.ends_with(&format!(" INFO line {n} of a burst"))));
}

#[test]
fn a_panic_is_a_line_in_its_place() {
    let lines = read("panic");
    let words = ["INFO before", "ERROR thread worker panicked at ", "INFO after", "the end"];
    assert_eq!(lines.len(), words.len(), "{lines:#?}");
    assert!(lines.iter().zip(words).all(|(line, words)| line.contains(words)), "{lines:#?}");
    assert!(lines[1].ends_with(": on purpose"), "{}", lines[1]);
}

#[test]
fn complaints_and_lines_of_the_log_are_there_in_their_order() {
    let lines = read("both");
    assert_eq!(lines.len(), LINES);
    assert!(lines.iter().enumerate().all(|(n, line)| line.ends_with(&format!("item {n}"))));
    assert_eq!(read("complain").len(), LINES, "nobody began logging");
}

/// Into a pipe that is full, and that nobody reads.
fn ends_unread(life: &str) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&[b'.'; 65536]).unwrap();
    let mut child = live(life, writer);
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{life} waits for its reader");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(reader);
}

#[test]
fn a_process_whose_log_nobody_reads_ends_all_the_same() {
    ends_unread("unread");
}

#[test]
fn a_process_whose_complaints_nobody_reads_ends_all_the_same() {
    ends_unread("complain");
}
