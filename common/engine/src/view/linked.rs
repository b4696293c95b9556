//! The names of files with several names that a look at a folder has seen.

use proto::Name;

use super::Node;

/// Names, each with the file that it is one of. Where they take more memory than they may, none of them is kept.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    names: Vec<(Name, Node)>,
    bytes: usize,
    given_up: bool,
}

impl Linked {
    /// One more, if all take no more than `bound`.
    pub fn push(&mut self, name: &Name, node: Node, bound: usize) {
        if self.given_up || self.weight() + size_of::<(Name, Node)>() + name.as_bytes().len() > bound {
            return self.give_up();
        }
        self.bytes += name.as_bytes().len();
        self.names.push((name.clone(), node));
    }

    /// Those of another part of the folder, by the same rule.
    pub fn append(&mut self, mut other: Linked, bound: usize) {
        self.bytes += other.bytes;
        self.names.append(&mut other.names);
        if other.given_up || self.weight() > bound {
            self.give_up();
        }
    }

    /// Keeps none, now and later.
    pub fn give_up(&mut self) {
        *self = Linked { given_up: true, ..Linked::default() };
    }

    /// Bytes that they take in memory.
    pub fn weight(&self) -> usize {
        self.names.len() * size_of::<(Name, Node)>() + self.bytes
    }

    /// All of them; `None` where there were too many.
    pub fn all(&self) -> Option<&[(Name, Node)]> {
        (!self.given_up).then_some(&self.names)
    }
}
