//! How many of this process dial one server at the same time. All of its targets share the [`Turns`] of their server, so
//! that a hundred modules on one host are not a hundred logins at once, of which the host would take some and close others.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Dials of one server under way at the same time.
const AT_ONCE: usize = 4;

/// The turns at one server; clones are the same turns. They come in the order in which they are asked for.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    /// Those of a server that nobody dials yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Turns {
        Turns(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Waits for one; it ends when it is dropped. `None` never comes, as nobody closes the semaphore.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}
