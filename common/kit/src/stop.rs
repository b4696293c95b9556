//! The wish to stop: one flag that every task and thread of a daemon looks at. SIGTERM and SIGINT set it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Cheap to clone; all clones are one flag, and it is never taken back.
#[derive(Debug, Clone)]
pub struct Stop(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tasks: watch::Sender<bool>,
    threads: (Mutex<bool>, Condvar),
}

impl Stop {
    /// A flag that nothing sets but [`request`](Stop::request).
    #[allow(clippy::new_without_default)]
    pub fn new() -> Stop {
        Stop(Arc::new(Shared { tasks: watch::Sender::new(false), threads: (Mutex::new(false), Condvar::new()) }))
    }

    /// A flag that SIGTERM and SIGINT set. Call it inside of a tokio runtime; the task that listens lives as long as that.
    pub fn on_signals() -> io::Result<Stop> {
        let stop = Stop::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let wish = stop.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!("{name}: stopping");
            wish.request();
        });
        Ok(stop)
    }

    /// Sets the flag, and wakes all tasks and threads that wait for it.
    pub fn request(&self) {
        // The flag of tasks comes first, as `is_requested` reads it: a thread that is woken must find it set.
        self.0.tasks.send_replace(true);
        *self.0.threads.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.threads.1.notify_all();
    }

    /// Whether it is set.
    pub fn is_requested(&self) -> bool {
        *self.0.tasks.borrow()
    }

    /// Returns once it is set, for tasks. Safe to drop and to call again.
    pub async fn requested(&self) {
        let mut receiver = self.0.tasks.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = receiver.wait_for(|requested| *requested).await;
    }

    /// Waits on this thread until it is set or the time is over; returns whether it is set. A pause between tries of a
    /// thread is this, so that it ends at once.
    pub fn wait(&self, most: Duration) -> bool {
        let (flag, changed) = &self.0.threads;
        let flag = flag.lock().unwrap_or_else(PoisonError::into_inner);
        let (flag, _) =
            changed.wait_timeout_while(flag, most, |requested| !*requested).unwrap_or_else(PoisonError::into_inner);
        *flag
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn threads_wake_at_once() {
        let stop = Stop::new();
        assert!(!stop.wait(Duration::from_millis(1)));
        let other = stop.clone();
        let start = Instant::now();
        let thread = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        stop.request();
        assert!(thread.join().unwrap());
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(stop.is_requested() && stop.wait(Duration::ZERO));
    }

    #[tokio::test]
    async fn tasks_wake_whenever_they_ask() {
        let stop = Stop::new();
        let other = stop.clone();
        let task = tokio::spawn(async move { other.requested().await });
        stop.request();
        task.await.unwrap();
        stop.requested().await;
    }
}
