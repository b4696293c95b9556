//! Which mounts stand on which others. Used by recvd, which may start before its disk is mounted.

use std::io;

/// A mount, by the kernel's number: given again after it was unmounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountId(pub(crate) u64);

impl MountId {
    /// Whether it was mounted on something in `below`, or on what was.
    ///
    /// # Errors
    /// Of the operating system, where `/proc` does not tell.
    pub fn is_above(self, below: MountId) -> io::Result<bool> {
        Ok(stands_on(&std::fs::read_to_string("/proc/self/mountinfo")?, self.0, below.0))
    }
}

/// `table` is as in proc_pid_mountinfo(5): each line begins with the number of a mount and that of the one it stands on.
fn stands_on(table: &str, mount: u64, below: u64) -> bool {
    let parents: std::collections::HashMap<u64, u64> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        })
        .collect();
    // The uppermost stands on itself, or on one that we do not see.
    let down = |mount: &u64| parents.get(mount).copied().filter(|parent| parent != mount);
    std::iter::successors(down(&mount), down).take(parents.len()).any(|mount| mount == below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_stands_on_all_that_is_beneath_it() {
        let table = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 20 8:2 / /srv rw - xfs /dev/sdb rw\n\
                     40 30 0:50 / /srv/x rw - tmpfs x rw\n41 20 0:51 / /run rw - tmpfs y rw\n50 50 0:2 / / rw - rootfs r rw\n";
        for (mount, below, stands) in [
            (40, 30, true),
            (40, 20, true),
            (30, 20, true),
            (30, 40, false),
            (41, 30, false),
            (30, 30, false),
            (50, 20, false),
        ] {
            assert_eq!(stands_on(table, mount, below), stands, "{mount} on {below}");
        }
    }
}
