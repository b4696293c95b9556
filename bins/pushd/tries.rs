//! What the log says of the tries at one target: a reason for which session after session ends as soon as it is there is
//! said once, and what is wrong with it is over when one lasts.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A session that has lasted so long is one: the receiver says within this time why it has none for us.
const LASTS: Duration = Duration::from_secs(10);

/// One for each target, for as long as the program runs.
#[derive(Debug, Default)]
pub struct Tries {
    /// Why the last session ended at once, which was said.
    told: Mutex<Option<String>>,
}

impl Tries {
    /// There is a connection to `name` at `address`. Says so now, or when it has lasted where the last ones did not; never
    /// ends, so that it can stand beside what does.
    pub async fn connected(&self, name: &str, address: &link::Address) -> Infallible {
        if self.told().is_some() {
            tokio::time::sleep(LASTS).await;
        }
        tracing::info!(target_name = %name, address = %address, "connected");
        *self.told() = None;
        std::future::pending().await
    }

    /// A session with `name` ended for this reason.
    pub fn ended(&self, name: &str, lasted: Duration, reason: &str) {
        let told = &mut *self.told();
        let sentence = format!("disconnected after {:.1} s: {reason}", lasted.as_secs_f32());
        if told.as_deref() == Some(reason) {
            tracing::debug!(target_name = %name, "{sentence}");
        } else {
            tracing::warn!(target_name = %name, "{sentence}");
        }
        *told = (lasted < LASTS).then(|| reason.to_owned());
    }

    fn told(&self) -> MutexGuard<'_, Option<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
