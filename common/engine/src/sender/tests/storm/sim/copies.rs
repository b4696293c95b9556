//! What the target shows of files that are written while they are read: what is not of one moment is marked, and takes the
//! place of nothing that was.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use proto::INEXACT;

use super::super::restless::is_of_one_moment;
use super::{ROUNDS, Sim, number, run_busy_world, say};

/// How many worlds each run has, from seed 1000 on.
const WORLDS: u64 = 100;

/// What was seen of such files at the target.
#[derive(Debug, Default)]
pub struct Copies {
    /// What stood where when that was looked at last: inode, size, mtime.
    seen: HashMap<String, (u64, u64, i64, i64)>,
    /// Inexact ones in all rounds.
    pub inexact: usize,
}

pub fn is_marked(at: &Path) -> bool {
    rustix::fs::getxattr(at, INEXACT, &mut [0; 8][..]).is_ok()
}

impl Sim<'_> {
    /// What stands at the target where a file is, or was, written while it is read.
    pub(super) fn watch_copies(&mut self) -> Result<(), String> {
        for at in &self.world.agitated {
            let there = self.place.there.join(at);
            let Ok(stat) = fs::symlink_metadata(&there) else { continue };
            let shown = (stat.ino(), stat.size(), stat.mtime(), stat.mtime_nsec());
            if !stat.is_file() || self.copies.seen.insert(at.clone(), shown) == Some(shown) {
                continue;
            }
            if !is_marked(&there) {
                let content = fs::read(&there).map_err(|error| error.to_string())?;
                if !is_of_one_moment(&content) {
                    return Err(format!("what stands as {at} is not of one moment, and is not marked"));
                }
                continue;
            }
            self.copies.inexact += 1;
            // It stood there, exact, when the round began, and kept its name.
            if self.world.calm {
                return Err(format!("an inexact copy has taken the place of an exact one: {at}"));
            }
        }
        Ok(())
    }

    /// Nothing is marked at rest that stands at the source still: what has gone from there may stay as it was.
    pub(super) fn are_exact(&self) -> Result<(), String> {
        let stands = |at: &String| fs::symlink_metadata(self.place.here.join(at)).is_ok();
        let marked = |at: &String| stands(at) && is_marked(&self.place.there.join(at));
        match self.world.agitated.iter().find(|at| marked(at)) {
            Some(at) => Err(format!("{at} is an inexact copy at rest")),
            None => Ok(()),
        }
    }
}

/// `SIM_BUSY` shows one world.
#[test]
fn a_storm_over_files_that_are_written_while_they_are_read_leaves_exact_ones() {
    if let Ok(seed) = std::env::var("SIM_BUSY") {
        return assert_eq!(run_busy_world(seed.parse().unwrap(), ROUNDS, true, true).failed, None);
    }
    let seconds = number("SIM_SECONDS", 0);
    let first = if seconds > 0 { fastrand::u64(..1_000_000_000) } else { 1000 };
    let (began, mut worlds, mut inexact) = (Instant::now(), 0, 0);
    while worlds < WORLDS || began.elapsed().as_secs() < seconds {
        let outcome = run_busy_world(first + worlds, ROUNDS, false, true);
        assert!(outcome.failed.is_none(), "SIM_BUSY={}: {:?}", first + worlds, outcome.failed);
        (worlds, inexact) = (worlds + 1, inexact + outcome.inexact);
    }
    say(&format!("storm over busy files: {worlds} worlds from {first}: {inexact} inexact copies\n"));
    assert!(inexact > 0, "none was ever busy enough");
}
