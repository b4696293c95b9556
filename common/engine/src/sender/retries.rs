//! What failed at the target or would not hold still, how often, and when it is tried again. Time comes in as an argument.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::few::Few;

/// How often a run that is to end tries what fails each time: about 15 seconds.
const PATIENCE: u32 = 5;
/// First and longest time before something that failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How often what the target is missing is sent again before the pauses grow.
const TRIES: u32 = 4;
/// Longest pause before it is.
const ABSENT: Duration = Duration::from_secs(60);
/// What was not missing for so long is sent as if it never was.
const QUIET: Duration = Duration::from_secs(120);

/// Longest pause before a folder is listed again from which something was missing.
const LISTED: Duration = Duration::from_secs(4);
/// What a comparison has said in the log is not said again for so long.
const SAID: Duration = Duration::from_secs(60);

/// Counts of a session.
pub(super) struct Retries {
    pause: Duration,
    /// Operations that failed since one did not.
    failures: u32,
    /// How often what was missing, a folder or an entry of the root, or has failed was sent again, and when last.
    resent: Few<(u32, Instant)>,
    /// The same of folders that were listed again, as something in them was not where it should have been.
    listed: Few<(u32, Instant)>,
    /// What a comparison of which folder has said last: that it deletes so many entries, and one of them.
    said: Option<(RelPath, u64, RelPath, Instant)>,
    /// Folders that the target has refused since the last full pass began: what is beneath them cannot be stored.
    refused: Few<()>,
    /// Names of files with several that it has refused since then.
    refused_names: Few<()>,
    /// Folders that it could not list when it was asked last.
    unlisted: Few<()>,
    /// There were more, so that it may be any folder: nothing is said to be whole then, before a pass has met it.
    more_unlisted: bool,
    /// How often files changed while they were read.
    changed: Few<u32>,
}

impl Retries {
    pub fn new() -> Retries {
        let (resent, listed, refused, refused_names, unlisted, changed) = Default::default();
        let (pause, failures, said, more_unlisted) = (RETRY.0, 0, None, false);
        Retries { pause, failures, resent, listed, said, refused, refused_names, unlisted, more_unlisted, changed }
    }

    /// How long what failed waits before it is tried again.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// The same of what failed at this place now: after some tries it is longer, also where other work succeeds between each
    /// two of them.
    pub fn pause_of(&mut self, place: &RelPath, now: Instant) -> Duration {
        let again = self.resend(place, now).unwrap_or_default();
        self.pause.max(again.min(RETRY.1))
    }

    /// The target could not carry out an operation now.
    pub fn failed(&mut self) {
        self.failures += 1;
    }

    /// Work has ended with something that failed: the next pause is longer.
    pub fn back_off(&mut self) {
        self.pause = (self.pause * 2).min(RETRY.1);
    }

    /// Work has ended, and all of it was carried out.
    pub fn succeeded(&mut self) {
        (self.pause, self.failures) = (RETRY.0, 0);
    }

    /// Whether it has failed again and again, for about 15 seconds.
    pub fn is_stuck(&self) -> bool {
        self.failures > PATIENCE && self.pause >= RETRY.0 * 16
    }

    /// A full pass begins: what stood in the way may be gone. What was missing may be what it is made for, again and again.
    pub fn begin_pass(&mut self) {
        self.refused.clear();
        self.refused_names.clear();
    }

    /// The target takes no such folder. One too many is sent again with the next thing beneath it.
    pub fn refuse(&mut self, folder: RelPath) {
        self.refused.insert(folder, ());
    }

    /// The target does not take a file with several names under this one. Whether that is remembered, and was not known.
    pub fn refuse_name(&mut self, name: RelPath) -> bool {
        self.refused_names.insert(name, ())
    }

    /// Whether the target does not take a file with several names under this one.
    pub fn is_refused_name(&self, name: &RelPath) -> bool {
        self.refused_names.contains(name)
    }

    /// The folder, this one or one above it, that the target takes no more.
    pub fn refused(&self, folder: &RelPath) -> Option<RelPath> {
        let mut upwards = std::iter::successors(Some(folder.clone()), RelPath::parent);
        upwards.find(|folder| self.refused.contains(folder))
    }

    /// The target cannot list this folder.
    pub fn is_unlisted(&mut self, folder: RelPath) {
        self.more_unlisted |= !self.unlisted.has_room(&folder);
        self.unlisted.insert(folder, ());
    }

    /// Leaves of these places, which were stored, those that may be said to be whole: of a folder that could not be listed
    /// only a listing says so. `listed` are folders that have been, asked for where any could not.
    pub fn whole(&mut self, mut stored: Vec<RelPath>, listed: impl FnOnce() -> Vec<RelPath>) -> Vec<RelPath> {
        if !self.unlisted.is_empty() {
            stored.retain(|place| !self.more_unlisted && !self.unlisted.contains(place));
            stored.extend(listed().into_iter().filter(|place| self.unlisted.remove(place)));
        }
        stored
    }

    /// This place, which is missing at the target or has failed there, is sent again: after this pause, if that was so for some
    /// times, or just now.
    pub fn resend(&mut self, place: &RelPath, now: Instant) -> Option<Duration> {
        tries(&mut self.resent, place, now)
    }

    /// This folder is listed again, as something in it is not where it should be: after this pause, if that was so just now, or
    /// for some times. Each of many that are missing says so, and one listing is for all.
    pub fn list_again(&mut self, folder: &RelPath, now: Instant) -> Option<Duration> {
        tries(&mut self.listed, folder, now).map(|pause| pause.min(LISTED))
    }

    /// Whether it is news that a comparison of this folder deletes so many entries, of which this is one: what cannot go, as
    /// the target has no room for what takes its place, is found by each comparison.
    pub fn is_news(&mut self, folder: &RelPath, deletes: u64, one: &RelPath, now: Instant) -> bool {
        let known = self.said.as_ref().is_some_and(|(at, entries, place, said)| {
            (at, *entries, place) == (folder, deletes, one) && now.saturating_duration_since(*said) < SAID
        });
        if !known {
            self.said = Some((folder.clone(), deletes, one.clone(), now));
        }
        !known
    }

    /// Whether this was sent again so often that it is sent ever later.
    pub fn is_resent_often(&self, place: &RelPath) -> bool {
        self.resent.get(place).is_some_and(|(times, _)| *times > TRIES)
    }

    /// A file changed each time it was read, in a run that is to end. Whether it is to be left at that.
    pub fn gives_up_on(&mut self, path: &RelPath) -> bool {
        if !self.changed.contains(path) {
            self.changed.insert(path.clone(), 0);
        }
        // Of more than can be counted none is waited for.
        let Some(times) = self.changed.get_mut(path) else { return true };
        *times += 1;
        *times >= PATIENCE
    }
}

/// One more try at a place. The pause before it, which grows after some tries.
fn tries(known: &mut Few<(u32, Instant)>, place: &RelPath, now: Instant) -> Option<Duration> {
    if !known.has_room(place) {
        known.clear();
    }
    if !known.contains(place) {
        known.insert(place.clone(), (0, now - RETRY.0));
    }
    let (times, last) = known.get_mut(place)?;
    // Once for each try: everything in a folder that is missing says so. What says so after that was tried is the next
    // try, which is not made at once: answers may come as fast as what they are to.
    let since = now.saturating_duration_since(*last);
    let least = RETRY.0.checked_sub(since).filter(|left| !left.is_zero());
    if least.is_none() {
        (*times, *last) = (if since < QUIET { *times + 1 } else { 1 }, now);
    }
    let doublings = times.checked_sub(TRIES).map(|times| times.min(16));
    let pause = doublings.map(|doublings| ABSENT.min(RETRY.0 * (1 << doublings)));
    pause.max(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::few::PLACES;

    #[test]
    fn pauses_grow_until_something_succeeds() {
        let mut retries = Retries::new();
        for _ in 0..PATIENCE {
            assert!(!retries.is_stuck());
            retries.failed();
            retries.back_off();
        }
        retries.failed();
        assert!(retries.is_stuck());
        (0..20).for_each(|_| retries.back_off());
        assert_eq!(retries.pause(), RETRY.1);
        retries.succeeded();
        assert!(!retries.is_stuck() && retries.pause() == RETRY.0);
    }

    #[test]
    fn a_folder_that_is_missing_again_and_again_is_sent_ever_later() {
        let (mut retries, folder) = (Retries::new(), RelPath::parse(b"d").unwrap());
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let pause = retries.resend(&folder, now);
            let more = retries.resend(&folder, now);
            assert_eq!(more, pause.max(Some(RETRY.0)), "one try, however much is in it, and the next is not at once");
            pauses.push(pause.map(|pause| pause.as_millis()));
            now += RETRY.0;
        }
        assert_eq!(pauses[..6], [None, None, None, Some(500), Some(1000), Some(2000)]);
        assert_eq!(pauses[11], Some(ABSENT.as_millis()));
        retries.begin_pass();
        assert_eq!(retries.resend(&folder, now), Some(ABSENT));
        assert_eq!(retries.resend(&folder, now + QUIET), None);
    }

    #[test]
    fn a_folder_is_listed_again_now_and_then_and_what_is_found_again_is_said_once() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let (mut retries, now, second) = (Retries::new(), Instant::now(), Duration::from_secs(1));
        let pauses: Vec<_> = (0..20).map(|n| retries.list_again(&path("a"), now + second * n)).collect();
        assert_eq!((pauses[0], pauses[19]), (None, Some(LISTED)));
        assert_eq!(retries.list_again(&path("b"), now), None);
        assert_eq!(
            retries.list_again(&path("b"), now),
            Some(RETRY.0),
            "another time, with all that says so until then"
        );
        let says =
            [("a", 463, "x", 0), ("a", 463, "x", 3), ("a", 464, "x", 4), ("b", 464, "x", 4), ("b", 464, "x", 64)];
        let news = says.map(|(folder, n, one, at)| retries.is_news(&path(folder), n, &path(one), now + second * at));
        assert_eq!(news, [true, false, true, true, true]);
    }

    #[test]
    fn what_is_beneath_a_refused_folder_is_refused_until_a_full_pass_begins() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let mut retries = Retries::new();
        retries.refuse(path("a/b"));
        assert_eq!([retries.refused(&path("a/b/c/d")), retries.refused(&path("a"))], [Some(path("a/b")), None]);
        retries.begin_pass();
        assert_eq!(retries.refused(&path("a/b")), None);
    }

    #[test]
    fn a_folder_that_could_not_be_listed_is_whole_when_it_was() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let mut retries = Retries::new();
        assert_eq!(retries.whole(vec![path("a")], || panic!("nobody asks")), [path("a")]);
        retries.is_unlisted(path("a"));
        assert_eq!(retries.whole(vec![path("a"), path("b")], Vec::new), [path("b")]);
        assert_eq!(retries.whole(vec![], || vec![path("a"), path("c")]), [path("a")]);
        assert_eq!(retries.whole(vec![path("a")], || panic!("nobody asks")), [path("a")]);
    }

    #[test]
    fn where_too_many_folders_could_not_be_listed_none_is_said_to_be_whole() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let mut retries = Retries::new();
        (0..=PLACES).for_each(|n| retries.is_unlisted(path(&format!("{n}"))));
        (0..=PLACES).for_each(|n| retries.refuse(path(&format!("{n}"))));
        assert_eq!((retries.unlisted.len(), retries.refused.len()), (PLACES, PLACES));
        assert_eq!(retries.whole(vec![path(&format!("{PLACES}"))], Vec::new), []);
        assert_eq!(retries.whole(vec![], || vec![path("7")]), [path("7")]);
    }

    #[test]
    fn a_file_that_never_holds_still_is_left_at_that() {
        let (mut retries, path) = (Retries::new(), RelPath::parse(b"f").unwrap());
        let given_up: Vec<_> = (0..PATIENCE).map(|_| retries.gives_up_on(&path)).collect();
        assert_eq!(given_up, [false, false, false, false, true]);
    }
}
