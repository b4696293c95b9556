//! Files that were taken out and put in place anew while the target did not hear of it: it is asked whether it has their
//! content still, so that a deploy of what there was sends little.

use proto::{Kept, ToReceiver};
use sys::{File, Stat};

use super::flight::Sent;
use super::looks::{Asks, Look, Why};
use super::pass::Difference;
use super::upload::is_blob;
use super::{Ended, Session, read};
use crate::hint::Cause;
use crate::view::Inode;

impl Session<'_> {
    /// Asks about the content of this file, where it is worth that. A large one is built from what the target has anyhow.
    pub(super) fn asks_first(&mut self, look: &Look, file: &File, stat: &Stat) -> Result<bool, Ended> {
        let joined = stat.nlink > 1 && self.view.keeps(Kept::Hardlinks);
        if joined || is_blob(stat) || stat.size == 0 || !self.is_rebuilt(look) {
            return Ok(false);
        }
        let (Some(digest), Ok(meta)) = (read::digest(file, stat), self.view.meta_of(file, stat)) else {
            return Ok(false);
        };
        let path = look.path.clone();
        let message = ToReceiver::Offer { path: path.clone(), meta, digest: Some(digest) };
        self.send(look.ticket, &message, Sent::Rebuilt(path, Inode::of(stat).node(), stat.mtime))?;
        Ok(true)
    }

    fn is_rebuilt(&self, look: &Look) -> bool {
        match look.why {
            _ if look.asks != Asks::Perhaps => look.asks == Asks::First,
            Why::Event(cause) => cause.has(Cause::REBUILT),
            Why::Differs(Difference::Content) => {
                look.path.parent().is_some_and(|folder| self.mirror.pending().is_rebuilt(&folder))
            }
            Why::Differs(_) | Why::Extra => false,
        }
    }

    /// Of all that was asked about up to this operation, and not answered, the target has the content: it is as if it was sent.
    pub(super) fn are_equal(&mut self, upto: u64) {
        for (op, path, node, mtime) in self.flight.rebuilt(upto) {
            let path = self.flight.forwarded(op, &path);
            self.origins.sent(&path, node, mtime, self.mirror.now());
            self.is_settled(&path);
        }
    }
}
