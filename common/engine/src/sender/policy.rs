//! What the target has said of itself. It is heard before anything is sent: what of the source can be stored there at all, and
//! with which times, decides what is compared.

use std::sync::Arc;

use proto::policy::Policy;
use proto::{RelPath, ToReceiver};

use super::{Ended, Session};
use crate::view::View;

impl Session<'_> {
    /// Whether the target has said what it takes.
    pub(super) fn knows_target(&self) -> bool {
        self.policy.is_some()
    }

    /// It says so: from here on the source is seen as its disk holds it.
    pub(super) fn policy(&mut self, policy: Policy) -> Result<(), Ended> {
        if self.knows_target() {
            return Err(Ended::Violation("it has told its rules twice".into()));
        }
        self.mirror.target.set_disk(policy.capabilities);
        self.view = Arc::new(View::clone(&self.view).for_disk(policy.capabilities));
        self.policy = Some(policy);
        if !self.options.delete {
            // What takes a name is no deletion here, and may be one there: only there is known what stands in its way.
            self.wire.put(&ToReceiver::Spare, self.mirror)?;
        }
        Ok(())
    }

    /// Notes a file that is larger than what the target takes. Whether it is.
    pub(super) fn is_too_large(&self, path: &RelPath, size: u64) -> bool {
        let most = self.policy.as_ref().and_then(|policy| policy.limits.file_size);
        let Some(most) = most.filter(|most| size > *most) else { return false };
        let reason = format!("not stored: {size} bytes are more than the module's max_file_size of {most} bytes");
        self.mirror.entries.problem_there(path, reason);
        true
    }
}
