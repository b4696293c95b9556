//! Which mount points a source has had, where what is mounted below it is a part of it. They are remembered in `state_dir` by
//! their paths: one that vanishes, while pushd runs or while it does not, is absence, and never a deletion.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::mirror::Mirror;
use kit::{hex, unhex};
use proto::RelPath;
use sys::{Changes, Mounts};

use crate::config::Source;
use crate::identity::Identity;

/// The folder of the lists in `state_dir`.
const MOUNTS: &str = "mounts";

/// Of one source. What its mounts are is asked of the kernel's table, never of them.
#[derive(Debug)]
pub struct KnownMounts {
    root: PathBuf,
    entered: bool,
    /// `None` where nothing is kept.
    file: Option<PathBuf>,
    known: Mutex<BTreeSet<RelPath>>,
    /// Who is told of what is absent hears of it in order.
    telling: Mutex<()>,
}

impl KnownMounts {
    /// Those that were written down.
    pub fn of(source: &Source, identity: &Identity) -> KnownMounts {
        let name = hex(&proto::digest::of(&[], source.name.as_bytes(), source.path.as_os_str().as_encoded_bytes()));
        let entered = source.mounts == Mounts::Cross;
        let file = identity.state_dir().map(|dir| dir.join(MOUNTS).join(name)).filter(|_| entered);
        let known = file.as_deref().filter(|file| sys::exists(file)).map(read).unwrap_or_default();
        KnownMounts { root: source.path.clone(), entered, file, known: Mutex::new(known), telling: Mutex::new(()) }
    }

    /// Those on which nothing is mounted now; where the kernel does not tell, all. What is new is written down first.
    fn absent(&self) -> Vec<RelPath> {
        if !self.entered {
            return Vec::new();
        }
        let mut known = self.lock();
        let Ok(there) = sys::mounts_beneath(&self.root) else { return known.iter().cloned().collect() };
        let there: BTreeSet<RelPath> = there.into_keys().collect();
        if !there.is_subset(&known) {
            known.extend(there.iter().cloned());
            self.write(&known);
        }
        known.difference(&there).cloned().collect()
    }

    /// Tells which are absent, after whatever was told before.
    pub fn tell(&self, mut hear: impl FnMut(Vec<RelPath>)) {
        let _turn = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        hear(self.absent());
    }

    /// Has a target ask by itself before it concludes anything: what tells of a mount that went may be late.
    pub fn be_asked_by(self: &Arc<Self>, mirror: &Mirror) {
        // Each hears once of a change. Where the kernel does not tell, all that was known is absent anyhow.
        if let Some(changes) = Changes::open().ok().filter(|_| self.entered) {
            let mounts = self.clone();
            mirror.ask_for_mounts(move |place, hear| {
                // Where nothing was mounted, nothing was unmounted: that costs no system call for each file.
                if mounts.concerns(place) && changes.have_come() {
                    mounts.tell(hear);
                }
            });
        }
    }

    /// A person says that what is absent is gone for good: tells what that is, where there is such, and what is absent then.
    /// Returns whether there was.
    pub fn forget_absent(&self, mut hear: impl FnMut(&[RelPath], Vec<RelPath>)) -> bool {
        let _turn = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.absent();
        if gone.is_empty() {
            return false;
        }
        let mut known = self.lock();
        gone.iter().for_each(|path| _ = known.remove(path));
        self.write(&known);
        drop(known);
        hear(&gone, self.absent());
        true
    }

    /// These folders were renamed, some perhaps exchanged. What is mounted beneath them is where the kernel says by now; `tell`
    /// has all targets hear of it, and returns where that stands by then which is absent. Nobody is told in between which are
    /// absent: by their names of before, what a target has of them would be held elsewhere, and deleted where it is.
    pub fn renamed(
        &self,
        renames: &[(RelPath, RelPath)],
        tell: impl FnOnce() -> Vec<RelPath>,
        mut hear: impl FnMut(Vec<RelPath>),
    ) {
        let _turn = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        self.follow(renames, tell());
        hear(self.absent());
    }

    fn follow(&self, renames: &[(RelPath, RelPath)], absent: Vec<RelPath>) {
        let mut known = self.lock();
        let concerned = |path: &RelPath| renames.iter().any(|(from, to)| path.is_within(from) || path.is_within(to));
        let Ok(there) = sys::mounts_beneath(&self.root) else { return };
        let before = known.clone();
        known.retain(|path| !concerned(path));
        known.extend(there.into_keys().chain(absent));
        if *known != before {
            self.write(&known);
        }
    }

    /// Whether a mount point is at or above this place, or beneath it.
    fn concerns(&self, place: &RelPath) -> bool {
        self.lock().iter().any(|mount| place.is_within(mount) || mount.is_within(place))
    }

    /// Whether there is anything that a rename may concern.
    pub fn knows_any(&self) -> bool {
        self.entered && !self.lock().is_empty()
    }

    fn write(&self, known: &BTreeSet<RelPath>) {
        let Some(file) = &self.file else { return };
        let text: String = known.iter().map(|path| format!("{} {path}\n", hex(path.as_bytes()))).collect();
        let folder = file.parent().map_or(Ok(()), sys::create_private_dir);
        if let Err(error) = folder.and_then(|()| sys::replace(file, text.as_bytes(), 0o600)) {
            tracing::warn!("mount points cannot be remembered over a restart: {}: {error}", file.display());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<RelPath>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line for each: its path as hexadecimal digits, and once more for people.
fn read(file: &Path) -> BTreeSet<RelPath> {
    let text = sys::read_config(file).unwrap_or_else(|error| {
        tracing::warn!("mount points that were remembered are lost: {}: {error}", file.display());
        String::new()
    });
    let path = |line: &str| RelPath::parse(&unhex(line.split(' ').next()?.as_bytes())?).ok();
    text.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn who_is_told_what_is_absent_while_folders_are_renamed_hears_the_names_after_that() {
        let place = tempfile::tempdir().unwrap();
        let known = Mutex::new(BTreeSet::from([path("c/away")]));
        let mounts =
            KnownMounts { root: place.path().to_owned(), entered: true, file: None, known, telling: Mutex::default() };
        let told = Mutex::new(Vec::new());
        let hear = |absent| told.lock().unwrap().push(absent);
        std::thread::scope(|scope| {
            let tell = || {
                let asks = scope.spawn(|| mounts.tell(hear));
                // Time enough for one who does not wait.
                std::thread::sleep(Duration::from_millis(50));
                assert!(!asks.is_finished());
                vec![path("b/away")]
            };
            mounts.renamed(&[(path("c"), path("b")), (path("b"), path("c"))], tell, hear);
        });
        assert_eq!(told.into_inner().unwrap(), [vec![path("b/away")], vec![path("b/away")]]);
    }
}
