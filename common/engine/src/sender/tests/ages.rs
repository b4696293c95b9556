//! What is not stored keeps its age, whatever happens to its name.

use std::time::Instant;

use fastrand::Rng;
use proto::{Content, Outcome, ToReceiver};

use super::fake::Fake;
use super::*;

/// For most operations it fails, and for the others something is missing.
fn failing(mut rng: Rng) -> Fake<impl FnMut(&ToReceiver) -> Option<Outcome> + Send + 'static> {
    Fake::new(move |message| {
        let failed = Outcome::Failed { reason: "on purpose".into() };
        match message {
            // As far as folders are concerned all is as it should be; nothing is found out by comparing.
            ToReceiver::Make { .. } | ToReceiver::Settle { .. } => None,
            ToReceiver::Offer { .. } => Some(if rng.bool() { Outcome::Want } else { failed }),
            ToReceiver::Compare { .. } | ToReceiver::Count { .. } => Some(failed),
            _ if rng.u8(..4) == 0 => Some(Outcome::Absent),
            _ => Some(failed),
        }
    })
}

/// The same where the disk is full for a while, in turn with other trouble.
fn full(mut rng: Rng) -> Fake<impl FnMut(&ToReceiver) -> Option<Outcome> + Send + 'static> {
    Fake::new(move |message| {
        let full = Outcome::Full { reason: "on purpose".into() };
        match message {
            ToReceiver::Make { .. } | ToReceiver::Settle { .. } => None,
            ToReceiver::Put { content: Content::Asked { .. }, .. } => {
                Some(if rng.bool() { Outcome::Want } else { full })
            }
            ToReceiver::Compare { .. } | ToReceiver::Count { .. } => Some(Outcome::Failed { reason: "so".into() }),
            _ if rng.u8(..4) == 0 => Some(Outcome::Absent),
            _ => Some(full),
        }
    })
}

/// What programs do with files: all but to delete them.
struct Programs<'a> {
    here: &'a Path,
    mirror: &'a Mirror,
    rng: Rng,
}

impl Programs<'_> {
    fn entry(&self, at: &str, cause: Cause) {
        self.mirror.hint([Hint::Entry { path: path(at), cause }]);
    }

    fn change(&mut self) {
        const NAMES: [&str; 4] = ["a", "b", "d/a", "d/b"];
        let (one, other) = (NAMES[self.rng.usize(..NAMES.len())], NAMES[self.rng.usize(..NAMES.len())]);
        let (from, to) = (self.here.join(one), self.here.join(other));
        match self.rng.u8(..6) {
            0 | 1 => {
                let new = !from.exists();
                let size = if self.rng.u8(..3) == 0 { 300_000 } else { self.rng.usize(..3000) };
                fs::write(&from, vec![self.rng.u8(..); size]).unwrap();
                self.entry(one, if new { Cause::CREATED | Cause::WRITTEN } else { Cause::WRITTEN });
            }
            2 if from.exists() => {
                let file = fs::File::options().append(true).open(&from).unwrap();
                file.write_at(b"more", fs::metadata(&from).unwrap().len()).unwrap();
                self.entry(one, Cause::WRITTEN);
            }
            3 if from.exists() => {
                let link = self.here.join("link");
                fs::hard_link(&from, &link).unwrap();
                self.entry("link", Cause::CREATED);
                fs::remove_file(link).unwrap();
                self.entry("link", Cause::GONE);
            }
            _ if from.exists() && one != other => {
                fs::rename(&from, &to).unwrap();
                let since = Instant::now();
                self.mirror.hint([Hint::Renamed { from: path(one), to: path(other), folder: false, since }]);
            }
            _ => {}
        }
    }

    /// Until `over`; each time the oldest is at least as old as it was.
    fn run(&mut self, over: &AtomicBool, seed: u64) {
        let first = self.mirror.pending().oldest().unwrap();
        // It is looked at before it may be taken for one that came and went.
        std::thread::sleep(Duration::from_millis(50));
        while !over.load(std::sync::atomic::Ordering::Acquire) {
            self.change();
            let oldest = self.mirror.pending().oldest();
            let younger = oldest.map(|oldest| oldest.saturating_duration_since(first));
            assert_eq!(younger, Some(Duration::ZERO), "seed {seed}, owed: {}", self.mirror.pending().owed());
            std::thread::sleep(Duration::from_millis(self.rng.u64(..4)));
        }
    }
}

#[test]
fn what_fails_is_never_owed_anew() {
    for seed in 0..8 {
        let mut rng = Rng::with_seed(seed);
        let pair = Pair::new();
        fs::create_dir(pair.here.join("d")).unwrap();
        let mut sender = pair.new_sender();
        fs::write(pair.here.join("a"), "the first change").unwrap();
        pair.entry("a", Cause::CREATED | Cause::WRITTEN);
        let over = AtomicBool::new(false);
        let mut programs = Programs { here: &pair.here, mirror: &pair.mirror, rng: rng.fork() };
        std::thread::scope(|scope| {
            let changing = scope.spawn(|| programs.run(&over, seed));
            for _ in 0..3 {
                let length = Duration::from_millis(rng.u64(100..1500));
                sender = match rng.bool() {
                    true => failing(rng.fork()).connect(&pair, sender, Until::Stopped, length).0,
                    false => full(rng.fork()).connect(&pair, sender, Until::Stopped, length).0,
                };
            }
            over.store(true, std::sync::atomic::Ordering::Release);
            changing.join().unwrap();
        });
    }
}
