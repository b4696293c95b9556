//! Random changes of a disk in memory, with a kernel that tells of watched folders as inotify does. It is read late, and
//! the disk changes in the middle of walks. At rest the picture is the disk, and so is the record of one who has looked
//! only where he was told to.

mod disk;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use disk::{Corner, Disk, Node, OUTSIDE, TOP};

/// xorshift: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn spot(&mut self, disk: &Disk) -> Corner {
        let name = |dice: &mut Dice| Name::parse(format!("n{}", dice.roll(4)).as_bytes()).unwrap();
        let mut spot = (if self.roll(12) == 0 { OUTSIDE } else { TOP }, name(self));
        while self.roll(5) > 1
            && let Some(node) = disk.at(&spot).filter(|node| disk.is_folder(*node))
        {
            spot = (node, name(self));
        }
        spot
    }
}

struct World {
    disk: Disk,
    picture: Picture,
    dice: Dice,
    now: Instant,
    record: BTreeMap<RelPath, Node>,
    renewals: usize,
    /// Whether the disk changes in the middle of walks.
    busy: bool,
}

impl World {
    fn new(seed: u64, limit: usize) -> World {
        let now = Instant::now();
        let (disk, dice) = (Disk::new(limit), Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        let mut world = World {
            disk,
            picture: Picture::new(engine::view::Selection::default(), now),
            dice,
            now,
            record: BTreeMap::new(),
            renewals: 0,
            busy: false,
        };
        world.renew();
        world
    }

    fn change(&mut self) {
        let (a, b) = (self.dice.spot(&self.disk), self.dice.spot(&self.disk));
        match self.dice.roll(12) {
            0..=3 => self.disk.make(&a, Object::Folder),
            4 => self.disk.make(&a, Object::Other),
            5..=8 => self.disk.rename(&a, &b),
            9 => self.disk.exchange(&a, &b),
            _ => self.disk.remove(&a),
        }
    }

    fn renew(&mut self) {
        self.renewals += 1;
        self.disk.events.clear();
        let Met::Folder(root) = self.disk.watch(TOP) else { panic!("no watch for the root") };
        let before = self.picture.restart(root, self.now, self.now);
        self.walk(root, TOP);
        self.picture.placed(before);
        self.work();
        self.record = self.disk.beneath(&RelPath::root());
    }

    fn open(&mut self, watch: Watch) -> Option<Node> {
        let path = self.picture.path(watch)?;
        let node = self.disk.find(&path).filter(|node| self.disk.is_folder(*node))?;
        match self.disk.watch(node) {
            Met::Folder(found) if found == watch => Some(node),
            Met::Folder(found) => {
                if !self.picture.knows(found) {
                    self.disk.give_back(found);
                }
                None
            }
            _ => None,
        }
    }

    fn meet(&mut self, place: &Spot, folder: Node, tries: u8) -> (Seen, Option<(Watch, Node)>) {
        if self.busy && self.dice.roll(8) == 0 {
            self.change();
        }
        let spot = (folder, place.name.clone());
        let there = self.disk.folders.contains_key(&folder).then(|| self.disk.at(&spot)).flatten();
        let Some(node) = there.filter(|node| self.disk.is_folder(*node)) else {
            return (self.picture.met(place, Met::Nothing, tries, self.now), None);
        };
        let met = self.disk.watch(node);
        let found = if let Met::Folder(watch) = met { Some((watch, node)) } else { None };
        (self.picture.met(place, met, tries, self.now), found)
    }

    fn walk(&mut self, watch: Watch, folder: Node) {
        let names: Vec<Name> = self.disk.folders.get(&folder).into_iter().flat_map(|f| f.keys().cloned()).collect();
        for name in names {
            if let (Seen::New, Some((watch, node))) = self.meet(&Spot { parent: watch, name }, folder, 0) {
                self.walk(watch, node);
            }
        }
    }

    fn work(&mut self) {
        while let Some(task) = self.picture.task(self.now) {
            match task {
                Task::GiveBack(watches) => watches.into_iter().for_each(|watch| self.disk.give_back(watch)),
                Task::Look(look) => {
                    let seen = match self.open(look.place.parent) {
                        None => Seen::Astray,
                        Some(parent) => {
                            let (seen, found) = self.meet(&look.place, parent, look.tries);
                            if let (Seen::New, Some((watch, node))) = (seen, found) {
                                self.walk(watch, node);
                            }
                            seen
                        }
                    };
                    self.picture.looked(look, seen, self.now);
                }
                Task::List(listing) => {
                    let node = self.open(listing.watch);
                    if let Some(node) = node {
                        self.walk(listing.watch, node);
                    }
                    self.picture.listed(listing, node.is_some(), self.now);
                }
            }
        }
    }

    /// Carries out so many events, and hands on what there is to tell.
    fn turn(&mut self, events: usize) {
        for _ in 0..events {
            let Some(step) = self.disk.events.pop_front() else { break };
            self.picture.happened(step, self.now, self.now);
            self.work();
        }
        if self.disk.events.is_empty() {
            self.picture.review(self.now, self.now);
            self.work();
        }
        if self.picture.is_stale() {
            self.renew();
        }
        self.picture.tell_unwatched(|| None);
        let mut notices = Vec::new();
        self.picture.tell(&mut notices);
        notices.into_iter().for_each(|notice| self.take(notice));
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Hint(Hint::Entry { path, .. }) => {
                let node = self.disk.find(&path);
                if node.is_none_or(|node| !self.disk.is_folder(node)) {
                    self.record.retain(|known, _| !known.is_within(&path));
                }
                self.record.extend(node.map(|node| (path, node)));
            }
            Notice::Hint(Hint::Subtree { path }) => self.look_beneath(&path),
            Notice::Hint(Hint::Renamed { from, to, .. }) => [from, to].iter().for_each(|path| self.look_beneath(path)),
            Notice::Unwatched { folders, .. } => folders.iter().for_each(|path| self.look_beneath(path)),
            other => panic!("{other:?}"),
        }
    }

    fn look_beneath(&mut self, path: &RelPath) {
        self.record.retain(|known, _| !known.is_within(path));
        self.record.extend(self.disk.beneath(path));
    }

    /// Lets the time pass until nothing is left to be done.
    fn rest(&mut self) {
        self.busy = false;
        for _ in 0..2000 {
            self.turn(usize::MAX);
            if self.disk.events.is_empty() && self.picture.doubtful_since().is_none() {
                return;
            }
            self.now = self.picture.due(self.now).map_or(self.now, |due| due.max(self.now));
        }
        panic!("it does not come to rest: {:?}", self.picture);
    }

    fn assert_true(&self, what: &str) {
        let unwatched: BTreeSet<RelPath> = self.picture.unwatched().into_iter().collect();
        let is_watched = |path: &RelPath| !unwatched.iter().any(|folder| path.is_within(folder));
        let disk = self.disk.beneath(&RelPath::root());
        let mut watched = 0;
        for (path, node) in disk.iter().filter(|(path, node)| self.disk.is_folder(**node) && is_watched(path)) {
            let watch = self.disk.watches.get(node);
            assert!(watch.is_some_and(|watch| self.picture.path(*watch).as_ref() == Some(path)), "{what}: {path}");
            watched += 1;
        }
        assert_eq!((self.picture.watches(), self.disk.watches.len()), (watched, watched), "{what}");
        for path in disk.keys().chain(self.record.keys()).filter(|path| is_watched(path)) {
            assert_eq!(self.record.get(path), disk.get(path), "{what}: {path} was not hinted");
        }
    }
}

fn after_many_changes(limit: usize) {
    for seed in 1..=100 {
        let mut world = World::new(seed, limit);
        for round in 1..=8 {
            for _ in 0..40 {
                world.busy = true;
                for _ in 0..world.dice.roll(6) {
                    world.change();
                }
                // Some time passes, and some of what there is is read.
                world.now += Duration::from_millis(world.dice.roll(15));
                let events = world.dice.roll(8) as usize;
                world.turn(events);
            }
            world.rest();
            // What is not watched is tried once more.
            world.now += Duration::from_secs(60);
            world.rest();
            world.assert_true(&format!("seed {seed}, round {round}, {} renewals", world.renewals));
        }
    }
}

#[test]
fn at_rest_the_picture_is_the_disk_after_many_changes() {
    after_many_changes(usize::MAX);
}

#[test]
fn at_rest_what_has_no_watch_is_known_after_many_changes_at_the_limit() {
    after_many_changes(9);
}
