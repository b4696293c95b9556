//! What is to be said on a connection besides what its role says: a question to the peer, or the answer to one. It goes
//! between the frames of the role, however busy that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// One word that is to be said, or none: asked for twice before it is said, it is said once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prompt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    wanted: AtomicBool,
    raised: Notify,
}

impl Prompt {
    /// It is to be said.
    pub(crate) fn raise(&self) {
        self.0.wanted.store(true, Ordering::Release);
        self.0.raised.notify_one();
    }

    /// Whether it is to be said now; then it will have been.
    pub(crate) fn take(&self) -> bool {
        self.0.wanted.swap(false, Ordering::AcqRel)
    }

    /// Returns once it was raised since it returned last.
    pub(crate) async fn raised(&self) {
        self.0.raised.notified().await;
    }
}
