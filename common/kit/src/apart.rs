//! Work that blocks for long, on a thread of its own. The threads of tokio's `spawn_blocking` are 512, and the runtime needs
//! them for itself, to look up names: what lasts must not take them.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The system has no thread for it.
    #[error("cannot start a thread: {0} (is the number of threads bounded, by TasksMax= or ulimit -u?)")]
    NotStarted(#[from] std::io::Error),
    /// It panicked; what it said then is in the log.
    #[error("its thread has panicked: {0}")]
    Panicked(String),
}

/// Does `work` on a new thread of this name (of which the kernel shows 15 bytes), in the context of the runtime that this is
/// called in. When this is dropped before the work is done, the thread goes on, and nobody waits for it.
///
/// A thread takes the memory that it touches, some 30 KiB: thousands are no trouble.
pub async fn apart<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    let (tell, told) = oneshot::channel();
    let runtime = Handle::current();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _context = runtime.enter();
        // Who asked may have gone.
        let _ = tell.send(work());
    })?;
    match told.await {
        Ok(answer) => Ok(answer),
        Err(_) => Err(Failed::Panicked(thread.join().err().map_or_else(String::new, words))),
    }
}

fn words(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "without a word".into(), |words| (*words).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[tokio::test]
    async fn more_can_block_than_the_runtime_has_threads_for_it() {
        const MANY: usize = 600;
        let all = Arc::new(Barrier::new(MANY + 1));
        let tasks: Vec<_> = (0..MANY)
            .map(|number| {
                let all = all.clone();
                tokio::spawn(async move {
                    apart("blocks", move || {
                        all.wait();
                        Handle::current();
                        number
                    })
                    .await
                })
            })
            .collect();
        // Names are looked up while all of them block.
        assert!(tokio::net::lookup_host("localhost:1").await.unwrap().next().is_some());
        apart("last", move || all.wait()).await.unwrap();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap().unwrap(), number);
        }
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let failed = apart("fails", || panic!("on purpose {}", 7)).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(failed.to_string(), "its thread has panicked: on purpose 7");
    }
}
