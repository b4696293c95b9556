//! A folder of one test: removed at the end, its logs printed when the test fails.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

/// A scratch folder. `RIG_KEEP=1` leaves it standing after a failure.
pub struct Scratch {
    dir: PathBuf,
    keep: bool,
}

impl Scratch {
    /// In the folder that `RIG_DIR` names, else in the system's temporary folder.
    pub fn new(test: &str) -> Scratch {
        let base = std::env::var_os("RIG_DIR").map(PathBuf::from).unwrap_or_else(std::env::temp_dir);
        Scratch::under(&base, test)
    }

    /// In `base`.
    pub fn under(base: &Path, test: &str) -> Scratch {
        let dir = tempfile::Builder::new().prefix(&format!("pair-{test}-")).tempdir_in(base).expect("scratch folder");
        let dir = dir.keep();
        // Daemons of other users must get through.
        super::fs::chmod(&dir, 0o755).unwrap();
        Scratch { dir, keep: false }
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// A new folder in it.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Leaves the folder standing whatever happens.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    fn print_logs(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let mut logs: Vec<_> =
            entries.flatten().map(|e| e.path()).filter(|p| p.extension() == Some("log".as_ref())).collect();
        logs.sort();
        for log in logs {
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            eprintln!("---- {} ({} lines, the last of them)", log.display(), lines.len());
            for line in &lines[lines.len().saturating_sub(60)..] {
                eprintln!("{line}");
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            self.print_logs();
        }
        if self.keep || failed && std::env::var_os("RIG_KEEP").is_some() {
            eprintln!("kept: {}", self.dir.display());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A TCP port of the loopback that nobody listens on, below the range from which the kernel takes ports of clients.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 12_000 + (std::process::id() % 150) as u16 * 100;
    for _ in 0..15_000 {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % 5_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on the loopback");
}
