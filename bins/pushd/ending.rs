//! How the tasks and threads of `pushd run` are waited for when it is to stop: all together for a few seconds. What hangs in a
//! call at a file system that does not answer is named and ends with the process.

use std::thread;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::hangs;

/// How long all of it together may take.
const LAST: Duration = Duration::from_secs(3);
/// How often it is looked whether threads have ended.
const LOOK: Duration = Duration::from_millis(10);

/// Waits for all that were told to stop, as long as that may take.
pub async fn wait(tasks: Vec<JoinHandle<()>>, threads: Vec<thread::JoinHandle<()>>) {
    let until = Instant::now() + LAST;
    for task in tasks {
        // What it still owed is found by the comparison at the next start.
        if timeout_at(until, task).await.is_err() {
            tracing::warn!("a target takes too long to end (does the source's file system answer?), leaving it");
        }
    }
    while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
        sleep(LOOK).await;
    }
    hangs::say_last();
    for thread in threads {
        let name = thread.thread().name().unwrap_or_default().to_owned();
        if !thread.is_finished() {
            tracing::warn!("{name} takes too long to end (does its file system answer?), leaving it");
        } else if thread.join().is_err() {
            tracing::error!("{name} had failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_hangs_is_left_and_all_others_are_waited_for() {
        let (keep, hang) = std::sync::mpsc::channel::<()>();
        let hung = thread::spawn(move || _ = hang.recv());
        let ended = thread::spawn(|| thread::sleep(LOOK));
        let never = tokio::spawn(std::future::pending());
        tokio::time::timeout(LAST * 5, wait(vec![never], vec![hung, ended])).await.unwrap();
        drop(keep);
    }
}
