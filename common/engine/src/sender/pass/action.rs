//! What a pass says is to be done.

use proto::{Digest, Name, RelPath};

use super::Differing;
use crate::pending::{Found, Why};
use crate::sender::brake::Weight;
use crate::sender::walk::Children;
use crate::view::{Inode, Node};

/// Whether operations may be sent, as far as a pass has to heed that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sender) enum Window {
    Open,
    /// As many are in flight as may be.
    Full,
}

/// What is to be done for a pass.
#[derive(Debug)]
pub(in crate::sender) enum Action {
    /// List this folder, which is told of by [`listed`](super::Pass::listed) or [`unlisted`](super::Pass::unlisted).
    List(RelPath),
    /// The same of each of these in a folder, the last of them first.
    ListWithin(RelPath, Vec<Name>),
    /// Ask whether the target's folder has this digest.
    Compare(RelPath, Digest),
    /// Ask what the target has in a folder behind this name.
    AskOn(RelPath, Name),
    /// Look at these entries of a folder.
    Look(RelPath, Vec<Differing>),
    /// Look at all of a folder: the target has nothing of it.
    LookAtAll(RelPath, Children),
    /// Send these files of a folder: a comparison does not tell them from what the target has.
    Send(RelPath, Vec<Name>),
    /// Send these files of a folder, each as one of its own though it is one of others.
    SendApart(RelPath, Vec<Name>),
    /// Look at these entries of a folder: they have come since it was listed, and the target has them, or others of the name.
    LookAtNew(RelPath, Vec<Name>),
    /// Send this folder, which the target does not have, and in which there is nothing.
    Make(RelPath),
    /// Have this folder compared with all that is in it, as work of its own.
    CompareLater(RelPath),
    /// Say that a folder at the target stands in the way of what is here, and may not be deleted.
    SayInTheWay(RelPath),
    /// Tell by [`sift`](super::Pass::sift) what of all that is only at the target waits.
    Sift,
    /// Ask the target how many entries stand at and beneath this place; the answer is told by
    /// [`counted`](super::Pass::counted) or [`uncounted`](super::Pass::uncounted).
    Count(RelPath),
    /// See whether the root is the folder that it was, and tell [`may_delete`](super::Pass::may_delete).
    Judge,
    /// End without a deletion, and compare again in a while: so many would be held then, for this reason.
    LookOnceMore(Weight, Why),
    /// Delete nothing of this before a person has looked.
    Hold(Found, Weight, Why),
    /// Nothing that was held before is any more, as far as the pass reaches.
    HoldNothing,
    /// Look at these places, and delete at the target what is still not here.
    Delete(Vec<RelPath>, Weight),
    /// Compare again when this is through: there is more to be deleted than was held.
    CompareAgain,
    /// Send this file, which the target has under none of its names, under one of them: [`links`](super::Pass::links) has them.
    Choose(Node),
    /// Note that these are the names of one file, and tell the target where it keeps that. It has the file under the last of
    /// these, if under any.
    Name(Inode, Vec<RelPath>, Option<RelPath>),
    /// All is listed once more, for files with several names that there was no room for.
    BeginAgain,
    /// Let go of the pass: there is nothing more to do.
    End,
}
