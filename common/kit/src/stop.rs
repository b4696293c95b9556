//! The wish to stop: one flag that every task and thread of a program looks at. SIGTERM and SIGINT set it, and a second one
//! insists, for a command that would have a last word.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Cheap to clone; all clones are one flag, and it is never taken back.
#[derive(Debug, Clone)]
pub struct Stop(Arc<Shared>);

/// Signals that come so soon after the first are that one: `timeout` sends it to the process, and to the group of that.
const ONE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    None,
    Stop,
    AtOnce,
}

#[derive(Debug)]
struct Shared {
    tasks: watch::Sender<Wish>,
    threads: (Mutex<bool>, Condvar),
}

impl Stop {
    /// A flag that nothing sets but [`request`](Stop::request).
    #[allow(clippy::new_without_default)]
    pub fn new() -> Stop {
        Stop(Arc::new(Shared { tasks: watch::Sender::new(Wish::None), threads: (Mutex::new(false), Condvar::new()) }))
    }

    /// A flag that SIGTERM and SIGINT set. Call it inside of a tokio runtime; the task that listens lives as long as that.
    pub fn on_signals() -> io::Result<Stop> {
        let stop = Stop::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let wish = stop.clone();
        let mut next = async move || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        tokio::spawn(async move {
            let name = next().await;
            tracing::info!("{name}: stopping");
            wish.request();
            let first = tokio::time::sleep(ONE);
            tokio::pin!(first);
            while tokio::select! { biased; _ = next() => true, () = &mut first => false } {}
            next().await;
            wish.insist();
        });
        Ok(stop)
    }

    /// Sets the flag, and wakes all tasks and threads that wait for it.
    pub fn request(&self) {
        // The flag of tasks comes first, as `is_requested` reads it: a thread that is woken must find it set.
        self.want(Wish::Stop);
        *self.0.threads.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.threads.1.notify_all();
    }

    fn insist(&self) {
        self.want(Wish::AtOnce);
    }

    fn want(&self, wish: Wish) {
        self.0.tasks.send_modify(|before| *before = wish.max(*before));
    }

    /// Whether it is set.
    pub fn is_requested(&self) -> bool {
        *self.0.tasks.borrow() >= Wish::Stop
    }

    /// Returns once it is set, for tasks. Safe to drop and to call again.
    pub async fn requested(&self) {
        self.wanted(Wish::Stop).await;
    }

    /// Returns once somebody has said it twice. Safe to drop and to call again.
    pub async fn insisted(&self) {
        self.wanted(Wish::AtOnce).await;
    }

    async fn wanted(&self, wish: Wish) {
        let mut receiver = self.0.tasks.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = receiver.wait_for(|now| *now >= wish).await;
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
        assert!(tokio::time::timeout(Duration::from_millis(1), stop.insisted()).await.is_err());
        stop.insist();
        stop.insisted().await;
        stop.request();
        stop.insisted().await;
    }
}
