//! What runs the work beside a role's own: listing folders, searching for hard links, the receiver's pool and publisher. In
//! earnest threads; in a test nobody but the role itself, between its own steps, so that one thread runs all of a pair.

use std::io;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};
use std::time::Instant;

/// Whoever makes a role says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// So many threads, at least one. Who has too much to do waits for them.
    Threads(usize),
    /// The caller's thread. Nobody waits: what another thread would make room for is done on the spot, and what a full
    /// channel does not take is kept until it does.
    Inline,
}

/// What came of one step of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<E> {
    /// It did something; there may be more to do.
    Worked,
    /// There is nothing to do before something comes in or the peer takes what waits for it, or before that moment.
    Idle(Option<Instant>),
    /// The role is over.
    Ended(E),
}

impl Workers {
    /// Threads that may be at one thing at the same time, the caller's among them.
    pub(crate) fn at_once(self) -> usize {
        match self {
            Workers::Threads(threads) => threads.max(1),
            Workers::Inline => 1,
        }
    }

    /// Has this done on a thread that nobody waits for, or now.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn run(self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        match self {
            Workers::Threads(_) => start(name, work).map(drop),
            Workers::Inline => {
                work();
                Ok(())
            }
        }
    }
}

/// Starts a thread.
///
/// # Errors
/// When the system has none.
pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(work)
}

/// The same with one that ends with its scope.
///
/// # Errors
/// When the system has none.
pub(crate) fn start_within<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, work)
}

/// Ready at the moment until which a role is [`Idle`](Step::Idle); without one never.
pub(crate) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn work_is_done_by_a_thread_of_that_name_or_by_the_caller() {
        let here = thread::current().id();
        let seen = |workers: Workers| {
            let (send, receive) = mpsc::channel();
            workers
                .run("helper", move || {
                    let thread = thread::current();
                    send.send((thread.id() == here, thread.name().map(str::to_owned))).unwrap();
                })
                .unwrap();
            receive.recv().unwrap()
        };
        assert_eq!(seen(Workers::Threads(2)), (false, Some("helper".to_owned())));
        assert!(seen(Workers::Inline).0);
        assert_eq!([Workers::Threads(0), Workers::Threads(3), Workers::Inline].map(Workers::at_once), [1, 3, 1]);
    }
}
