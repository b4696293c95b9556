//! Small facts and settings of this process.

use std::io;
use std::sync::LazyLock;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// As many random bytes, at most 256, for what must not meet another's or be guessed.
///
/// # Errors
/// When the kernel gives none.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let given = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
    if given == N { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Tells the time from one start of this host to the next from all others; empty where the kernel does not say.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or(String::new(), |id| id.trim().to_owned())
}

/// Keeps passwords and keys in memory from core dumps and from other processes of the same user.
pub fn hide_memory() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Bytes of freed memory that an arena of the allocator keeps.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 1024 * 1024;

/// Lets glibc's allocator keep 1 MiB of freed memory in each arena, and serve blocks of up to that size from them. Its own
/// bounds are 128 KiB (mallopt(3)), which the TLS records of one write pass: each write of a large file would end with that
/// memory given back, and the next begin with a page fault for every 4 KiB. There are two arenas for each processor and not
/// eight: in each that the threads of many sessions have used something stays; with one for each, threads wait for each other
/// (5 % of a pass that finds nothing). Called at start, before there are threads.
#[allow(unsafe_code)]
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    for (setting, value) in
        [(libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, KEPT), (libc::M_ARENA_MAX, arenas())]
    {
        // SAFETY: the settings take any number, and no other thread allocates yet.
        let _ = unsafe { libc::mallopt(setting, value) };
    }
}

/// How many arenas the allocator may have: two for each processor, and four at least.
#[cfg(target_env = "gnu")]
fn arenas() -> libc::c_int {
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    libc::c_int::try_from(processors).map_or(libc::c_int::MAX, |processors| processors.saturating_mul(2)).max(4)
}

/// Gives freed memory back to the system, also what lies between blocks in use (malloc_trim(3)). It takes about a
/// millisecond for 10 MiB, while other threads that allocate wait: for moments after which less memory is needed for long.
#[allow(unsafe_code)]
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes any number, may be called at any time by any thread, and touches no block in use.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Raises the number of files that may be open to what the system allows. Returns it; `None` is no limit.
pub fn raise_open_files() -> io::Result<Option<u64>> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum)
}

/// The number of files that may be open at most; `None` is no limit.
pub fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).maximum
}

/// Whether something failed only because too much is open or in memory now: it may work later as it is.
pub fn lacks_resources(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// The bits that a new entry does not get; `None` where the kernel does not tell. Asked once: it is not changed here.
pub(crate) fn umask() -> Option<u32> {
    static UMASK: LazyLock<Option<u32>> = LazyLock::new(|| {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
        u32::from_str_radix(line.trim(), 8).ok()
    });
    *UMASK
}

/// Whether modes do not bind us (`CAP_DAC_OVERRIDE`). Asked once; no where the kernel does not tell.
pub fn overrides_modes() -> bool {
    /// The number of the capability.
    const DAC_OVERRIDE: u32 = 1;
    static OVERRIDES: LazyLock<bool> = LazyLock::new(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let effective = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
        effective.is_some_and(|effective| effective >> DAC_OVERRIDE & 1 == 1)
    });
    *OVERRIDES
}

/// Whose rights we have.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether it is our own id, or that of root, who can do everything anyway.
pub fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == effective_uid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_are_all_there_or_none() {
        assert_ne!(random::<32>().unwrap(), random::<32>().unwrap());
        assert!(random::<32>().unwrap()[16..] != [0; 16]);
    }

    #[test]
    fn a_process_that_hides_its_memory_still_reaches_its_own_descriptors() {
        hide_memory().unwrap();
        let most = raise_open_files().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Nofile).current, most);
        let dir = tempfile::tempdir().unwrap();
        let tree = crate::Tree::open(dir.path(), crate::Mounts::Stay).unwrap();
        tree.root().unwrap().own_meta(proto::Keep::EVERYTHING).unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Core).current, Some(0));
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn freed_memory_between_blocks_in_use_is_given_back() {
        let held = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
            line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
        };
        // 64 MiB, of which a hundredth stays in use, the last block too.
        let mut blocks: Vec<Vec<u8>> = (0..16_384).map(|_| vec![1; 4096]).collect();
        let mut number = 0;
        blocks.retain(|_| {
            number += 1;
            number % 128 == 0
        });
        let before = held();
        give_back_memory();
        let after = held();
        assert!(after + 32 * 1024 < before, "{before} kB, then {after} kB");
        assert_eq!(blocks.len(), 128);
    }
}
