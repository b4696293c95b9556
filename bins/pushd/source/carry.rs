//! Carries what a watcher notices to what each target is owed, from when the watches are placed until the root is lost.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use engine::hint::Hint;
use engine::sender::Root;
use kit::Stop;
use proto::RelPath;

use super::barriers::{Awaited, LOOK};
use super::{Live, Over};
use crate::status::SourceState;
use crate::unwatched::Unwatched;
use crate::watch::Notice;
use crate::watching::Watching;

pub struct Carrier<'a> {
    live: &'a Live,
    watching: Watching,
    awaited: Awaited,
    unwatched: Unwatched,
}

impl Carrier<'_> {
    pub fn new(live: &Live, watching: Watching) -> Carrier<'_> {
        Carrier { live, watching, awaited: Awaited::default(), unwatched: Unwatched::default() }
    }

    /// `notices`: what placing the watches brought up.
    pub fn carry(mut self, mut notices: Vec<Notice>, root: &Root, stop: &Stop) -> Over {
        loop {
            if let Some(reason) = self.tell(&mut notices) {
                return Over::Lost(reason);
            }
            self.look_for_barrier();
            self.say_unwatched();
            self.live.count(&*self.watching.watcher);
            if stop.is_requested() {
                return Over::Stopped;
            }
            if self.live.accept.swap(false, Ordering::AcqRel) && root.check().is_err() {
                self.live.accept.store(true, Ordering::Release);
                return Over::Lost("another folder was accepted in its place".into());
            }
            if self.watching.is_to_compare() {
                self.compare_unwatched();
            }
            if self.watching.try_again(&mut notices) {
                self.is_watched_now();
                continue;
            }
            let pause = if self.awaited.is_any() { LOOK } else { self.watching.pause() };
            if let Err(error) = self.watching.watcher.next(Some(pause), &mut notices) {
                self.live.cannot_watch(&error, stop);
                return if stop.is_requested() { Over::Stopped } else { Over::Unwatched };
            }
        }
    }

    /// Carries notices to the lanes; the reason when the root is lost.
    fn tell(&mut self, notices: &mut Vec<Notice>) -> Option<String> {
        let mut hints = Vec::with_capacity(notices.len());
        let (mut lost, mut renames) = (None, Vec::new());
        for notice in notices.drain(..) {
            match notice {
                Notice::Hint(hint) => {
                    if let Hint::Renamed { from, to, folder: true, .. } = &hint
                        && self.live.mounts.knows_any()
                    {
                        renames.push((from.clone(), to.clone()));
                    }
                    hints.push(hint);
                }
                // Hints of the same time are told after this.
                Notice::Remounted => self.live.look_at_mounts(),
                Notice::Overflow => {
                    self.live.lock_board().overflows += 1;
                    self.say_overflow();
                    hints.push(Hint::Subtree { path: RelPath::root() });
                }
                Notice::Unwatched { folders, limit } => {
                    self.unwatched.note(&folders, limit);
                    // What happened in them since they appeared was not seen.
                    hints.extend(folders.into_iter().map(|path| Hint::Subtree { path }));
                }
                Notice::RootLost { reason } => lost = Some(reason),
            }
        }
        self.live.hint_renames(hints, &renames);
        lost
    }

    /// To be called when all notices have been told.
    fn look_for_barrier(&mut self) {
        if self.awaited.is_over(|| self.watching.watcher.caught_up()) {
            // What happened where nothing is watched belongs to it too.
            self.compare_unwatched();
            self.live.barriers.reach(&mut self.awaited);
        }
        self.live.barriers.await_next(&mut self.awaited, Instant::now());
    }

    /// What happens where nothing is watched is found by looking.
    fn compare_unwatched(&self) {
        let folders = self.watching.watcher.unwatched();
        if folders.is_empty() {
            return;
        }
        let began = SystemTime::now();
        let lanes = self.live.lanes.iter();
        let in_sync: Vec<_> = lanes.map(|lane| lane.mirror.pending().in_sync_at(Instant::now())).collect();
        self.live.hint_all(folders.into_iter().map(|path| Hint::Subtree { path }).collect());
        // Not before they are owed: who reads it and then finds nothing owed knows that they are acknowledged.
        self.live.lock_board().compared(began, &in_sync);
    }

    /// Nothing was watched until now, so nothing told of what happened before.
    fn is_watched_now(&self) {
        let source = &self.live.source;
        self.live.count(&*self.watching.watcher);
        tracing::info!(source_name = %source.name, "{} is watched now", source.path.display());
        self.live.show(SourceState::Live, None);
        self.live.resync();
    }

    /// Where nothing at all is watched, that was said with its reason.
    fn say_unwatched(&mut self) {
        if self.watching.reason.is_some() {
            return;
        }
        if let Some(line) = self.unwatched.line(self.watching.watcher.unwatched_count(), Instant::now()) {
            tracing::error!(source_name = %self.live.source.name, "{line}");
        }
    }

    fn say_overflow(&self) {
        let limit = sys::inotify::queue_limit().unwrap_or(16_384);
        tracing::warn!(
            source_name = %self.live.source.name,
            "the kernel's queue of {limit} events overflowed: comparing the whole source, nothing is missed; to give bursts \
             more room: sysctl -w fs.inotify.max_queued_events={}",
            limit.saturating_mul(4)
        );
    }
}
