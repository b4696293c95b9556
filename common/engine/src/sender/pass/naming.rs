//! What a pass hears of files with several names, and how it goes on to them.

use proto::RelPath;

use super::links::{Links, Mates};
use super::phase::Phase;
use super::{Action, Pass};
use crate::view::{Inode, Node};

impl Pass {
    /// A file that has more names than one was sent under this one. Whether it is named by this pass.
    pub fn meet(&mut self, inode: Inode, path: &RelPath) -> bool {
        self.is_before_naming() && self.links.sent(inode, path)
    }

    pub(super) fn is_before_naming(&self) -> bool {
        !matches!(self.phase, Phase::Naming | Phase::Over)
    }

    /// Whether the content that a look has found under this name of several waits: it is sent under another, or when it is
    /// known under which names the target has it.
    pub fn defers(&mut self, inode: Inode, path: &RelPath) -> bool {
        let before = !matches!(self.phase, Phase::Choosing | Phase::Naming | Phase::Over);
        let at_once = self.is_full() && self.blank.contains(&RelPath::root());
        if self.names == Mates::Separate || !before {
            return false;
        }
        let defers = self.links.defers(inode, path, at_once);
        if !defers
            && self.links.is_apart(inode.node(), path)
            && let Some((folder, name)) = path.split()
        {
            self.todo.push_back(Action::SendApart(folder, vec![name]));
            return true;
        }
        defers
    }

    /// The target has refused a file under this name of several. Whether the pass finds another for it.
    pub fn refused(&mut self, node: Node, path: &RelPath) -> bool {
        self.is_before_naming() && self.links.refused(node, path)
    }

    /// The files with several names that it has met.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The same, to be told of them.
    pub fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }

    pub(super) fn begin_choosing(&mut self) {
        self.phase = Phase::Choosing;
        if self.names == Mates::Joined {
            self.to_choose = self.links.lacking();
        }
        if self.to_choose.is_empty() {
            self.phase = Phase::Naming;
            self.to_name = self.links.all();
        }
    }

    /// Files with several names were left for later: all is listed and compared again, for them.
    pub(super) fn begin_again(&mut self) {
        if !self.links.go_on() {
            // Other passes have taken all the room.
            self.phase = Phase::Over;
            self.todo.extend([Action::CompareAgain, Action::End]);
            return;
        }
        (self.phase, self.again, self.listing) = (Phase::Comparing, true, 1);
        // What was missing at the target is there by now.
        (self.blank, self.missing, self.to_ask) = Default::default();
        self.todo.extend([Action::BeginAgain, Action::List(self.root.clone())]);
    }
}
