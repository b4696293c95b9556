//! What may get other metadata where it stands. Local users of the host may put something else under a name of a replica, with
//! the rights that its folders give them: a file of root's, say, of equal size and mtime. A mode or owner meant for what stood
//! there before would give that away; or would make root's program of what another has written.
//!
//! **Files.** In a closed module nobody else comes to any name, and in an open one it is done to what a receiver has written
//! itself ([`Written`]) under that name, except a new owner, setuid, setgid and capabilities: who owned it in between may have
//! written to it. All else is sent again, and what stands there is replaced.
//!
//! **Folders** cannot be sent again for a mode. What gives nobody more is always done. What does is done in a closed module, to
//! what a receiver has made itself, to the root of the module, of which is known which folder it is, and where nobody else can
//! have put it there: who may change names in the folder above is root, recvd or the owner of both (with a sticky bit: who owns
//! it), who could open it himself. Elsewhere only what takes rights away is done, and the rest is told. LIMIT: whoever could
//! write to the folder above before its mode was changed has had the time to swap two folders in it.
//!
//! **All else** is never changed: another one is made and takes the name.

use std::io;

use proto::{Kept, Kind, Meta, Xattrs};
use sys::process::is_ours;
use sys::{Birth, Enclosure, Found, Stat};

use super::Folder;
use super::replica::Replica;
use super::site::Site;
use super::written::{Slot, Written};

/// Whose rights a program has, whoever starts it.
const SETID: u32 = 0o6000;
const STICKY: u32 = 0o1000;
/// What lets others than the owner change names in a folder.
const WRITE: u32 = 0o022;

impl Replica {
    /// Whether what is written has to be known again later. Asked for each file: it costs no call of the kernel.
    pub(super) fn remembers(&self) -> bool {
        self.enclosure().is_none()
    }

    fn is_closed(&self) -> bool {
        self.enclosure().is_some_and(Enclosure::is_closed)
    }

    /// Whether this file, found where one that looked like `looked` is to get `meta`, is to get it in place.
    pub(super) fn may_alter(&self, site: Site<'_>, found: &Found, looked: &Stat, meta: &Meta) -> bool {
        let now = found.stat();
        if !now.same_inode(looked) || (now.size, now.mtime, now.nlink) != (looked.size, looked.mtime, 1) {
            return false;
        }
        if self.is_closed() {
            return true;
        }
        let owner = !self.view().keeps(Kept::Owner) || now.uid == meta.uid || is_ours(now.uid);
        let plain = (now.mode | meta.mode) & SETID == 0 && meta.xattrs.get(CAPABILITY).is_none();
        let ours = owner && plain && self.has_written(site, found.birth());
        if !ours && self.written().is_first_time() {
            tracing::info!(
                "other users of this host can come to {}: files that were not written since the start are sent again when \
                 only their mode, owner or attributes change; 'recvd check' says how to shut others out",
                self.tree().path().display()
            );
        }
        ours
    }

    /// Whether a folder that looks like this may get metadata that gives somebody more.
    pub(crate) fn may_open(&self, folder: &Folder, now: &Stat, meta: &Meta) -> io::Result<bool> {
        if self.is_closed() || (self.is_whole() && folder.path().is_root()) {
            return Ok(true);
        }
        let dir = folder.dir();
        let (above, above_birth) = dir.above()?;
        let same_owner = !self.view().keeps(Kept::Owner) || now.uid == meta.uid;
        let shut = above.mode & WRITE == 0 || (above.mode & STICKY != 0 && same_owner);
        if shut && (is_ours(above.uid) || (same_owner && above.uid == now.uid)) {
            return Ok(true);
        }
        let (Some((_, name)), Some(above), Some(birth)) = (folder.path().split(), above_birth, folder.birth()) else {
            return Ok(false);
        };
        Ok(self.written().is(self.written().slot(&above, &name), &birth))
    }

    /// What a receiver has made stands at this site now.
    pub(super) fn wrote(&self, site: Site<'_>, birth: Option<Birth>) {
        if let Some(birth) = birth
            && let Some(slot) = self.slot(site)
        {
            self.written().put(slot, &birth);
        }
    }

    /// What stood at the first site stands at the other.
    pub(super) fn has_moved(&self, from: Site<'_>, to: Site<'_>) {
        self.follow(from, to, Written::moved);
    }

    /// The two have swapped.
    pub(super) fn has_exchanged(&self, one: Site<'_>, other: Site<'_>) {
        self.follow(one, other, Written::exchanged);
    }

    fn follow(&self, one: Site<'_>, other: Site<'_>, how: fn(&Written, Slot, Slot)) {
        if !self.written().is_empty()
            && let (Some(one), Some(other)) = (self.slot(one), self.slot(other))
        {
            how(self.written(), one, other);
        }
    }

    fn has_written(&self, site: Site<'_>, found: Option<&Birth>) -> bool {
        let Some(found) = found.filter(|_| !self.written().is_empty()) else { return false };
        self.slot(site).is_some_and(|slot| self.written().is(slot, found))
    }

    fn slot(&self, site: Site<'_>) -> Option<Slot> {
        let (name, folder) = (site.name?, site.folder.birth()?);
        Some(self.written().slot(&folder, name))
    }
}

/// What makes a program root's in part.
const CAPABILITY: &[u8] = b"security.capability";

/// Whether a folder with the one metadata lets anybody do more than it does with the other.
pub(crate) fn gives_more(old: &Meta, new: &Meta) -> bool {
    (old.uid, old.gid) != (new.uid, new.gid)
        || narrowed(old, new) != new.mode
        || rights(&old.xattrs).ne(rights(&new.xattrs))
}

/// The new mode without what the old one does not give.
pub(crate) fn narrowed(old: &Meta, new: &Meta) -> u32 {
    debug_assert!(old.kind == Kind::Dir && new.kind == Kind::Dir, "of other kinds it means something else");
    (old.mode & new.mode & !STICKY) | ((old.mode | new.mode) & STICKY)
}

/// All attributes but those that users give: ACLs and the like.
fn rights(xattrs: &Xattrs) -> impl Iterator<Item = (&[u8], &[u8])> {
    xattrs.iter().filter(|(name, _)| !name.starts_with(b"user."))
}

#[cfg(test)]
mod tests {
    use proto::{Device, Time};

    use super::*;

    fn folder(mode: u32, uid: u32, xattrs: &[(&str, &str)]) -> Meta {
        let xattrs = xattrs.iter().map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into())).collect();
        let (mtime, device) = (Time::default(), Device::default());
        let xattrs = Xattrs::new(xattrs).unwrap();
        Meta { kind: Kind::Dir, size: 0, mode, uid, gid: 0, mtime, device, link: Box::default(), xattrs }
    }

    #[test]
    fn more_is_given_by_bits_that_come_a_sticky_bit_that_goes_another_owner_and_another_acl() {
        let (acl, user) = ([("system.posix_acl_access", "x")], [("user.note", "x")]);
        for (old, new, more, mode) in [
            (folder(0o755, 0, &[]), folder(0o755, 0, &[]), false, 0o755),
            (folder(0o755, 0, &[]), folder(0o700, 0, &user), false, 0o700),
            (folder(0o777, 0, &[]), folder(0o1777, 0, &[]), false, 0o1777),
            (folder(0o1777, 0, &[]), folder(0o777, 0, &[]), true, 0o1777),
            (folder(0o700, 0, &[]), folder(0o701, 0, &[]), true, 0o700),
            (folder(0o750, 0, &[]), folder(0o705, 0, &[]), true, 0o700),
            (folder(0o750, 0, &[]), folder(0o2750, 0, &[]), true, 0o750),
            (folder(0o755, 0, &[]), folder(0o700, 1, &[]), true, 0o700),
            (folder(0o750, 0, &[]), folder(0o750, 0, &acl), true, 0o750),
            (folder(0o750, 0, &acl), folder(0o750, 0, &[]), true, 0o750),
        ] {
            assert_eq!((gives_more(&old, &new), narrowed(&old, &new)), (more, mode), "{old:?} {new:?}");
        }
    }
}
