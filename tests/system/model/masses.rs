//! Deletions that are held in a run of the model: how it sets them up, and what must be true of them. Beside the rounds, in
//! which much goes and comes back amid all else, there are *episodes*: out of rest much goes at once, and nothing else happens.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ops::World;
use crate::rig::pair::Pair;
use crate::rig::patience;
use crate::rig::rng::Rng;
use crate::rig::{compare, fs};

/// Settings of the source that decide about deletions.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    most: &'static str,
    hold: &'static str,
}

const MOST: [&str; 6] = ["100%", "100%", "50%", "10%", "0%", "40"];
const HOLDS: [&str; 4] = ["0s", "500ms", "3s", "30s"];

/// More than this wait in no case; what is less, and the folder around it, may have gone before the rest was a mass.
const MASS: usize = 100 + 10;

/// How it stands when nothing happens any more.
enum Rest {
    InSync,
    /// A person is waited for, and so many entries would go.
    Held(u64),
}

impl Setting {
    /// Of this seed, or by the environment.
    pub fn draw(rng: &mut Rng) -> Setting {
        let named = |name: &str, among: &[&'static str], drawn: &'static str| match std::env::var(name) {
            Ok(wanted) => *among.iter().find(|it| **it == wanted).unwrap_or_else(|| panic!("{name}: one of {among:?}")),
            Err(_) => drawn,
        };
        let (most, hold) = (*rng.pick(&MOST), *rng.pick(&HOLDS));
        Setting { most: named("MODEL_MAX_DELETE", &MOST, most), hold: named("MODEL_HOLD", &HOLDS, hold) }
    }

    /// Lines of pushd.toml.
    pub fn toml(&self) -> String {
        let most = if self.most.ends_with('%') { format!("{:?}", self.most) } else { self.most.to_owned() };
        format!("max_delete = {most}\ndelete_hold = {:?}", self.hold)
    }

    /// Whether so many of so many may not go without a person's word, where no event told of them.
    fn is_passed(&self, gone: usize, of: usize) -> bool {
        match self.most.strip_suffix('%') {
            Some(share) => gone * 100 > share.parse::<usize>().unwrap() * of,
            None => gone > self.most.parse::<usize>().unwrap(),
        }
    }

    fn is_all(&self) -> bool {
        self.most == "100%"
    }

    fn waits(&self) -> bool {
        self.hold != "0s"
    }

    /// Whether it is too long to be waited for.
    fn is_long(&self) -> bool {
        self.hold == "30s"
    }
}

/// One run's view of what is held.
pub struct Masses {
    pub setting: Setting,
    rng: Rng,
    /// How often what was asked for, or seen.
    pub counts: std::collections::BTreeMap<&'static str, u64>,
}

impl Masses {
    pub fn new(setting: Setting, seed: u64) -> Masses {
        Masses { setting, rng: Rng::new(seed), counts: Default::default() }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A person lets go what is held, now and then in the midst of things.
    pub fn step(&mut self, pair: &Pair, world: &mut World) {
        if self.rng.one_in(400) {
            world.note("-- released".into());
            pair.pushd.command(&["release"]);
            self.count("released at work");
        }
    }

    /// After a round: what waits for a person is right, and when it is let go the trees are equal. `Ok(false)` when they became
    /// so only after pushd had said that they are.
    pub fn settle(&mut self, pair: &Pair, world: &mut World) -> Result<bool, String> {
        let deadline = Instant::now() + patience() * 2;
        while let Rest::Held(_) = self.rest(pair, world)? {
            self.held_is_right(pair)?;
            self.count("held for a person after a round");
            release(pair, world)?;
            if Instant::now() > deadline {
                return Err("it is held again and again".into());
            }
        }
        pair.try_settle()
    }

    /// Waits until pushd has nothing to do but what waits for a person.
    fn rest(&mut self, pair: &Pair, world: &mut World) -> Result<Rest, String> {
        let deadline = Instant::now() + patience();
        let mut hurry = self.setting.is_long() || self.rng.one_in(3);
        while Instant::now() < deadline {
            let held = pair.pushd.target("t")["held"].clone();
            if std::mem::take(&mut hurry) && !held["until"].is_null() {
                self.count("released before its time");
                release(pair, world)?;
            }
            let done = pair.pushd.command(&["wait", "--timeout", "10s"]);
            hurry |= self.setting.is_long();
            match done.code {
                0 | 1 => return Ok(Rest::InSync),
                75 => {
                    let seen = [0, 1].map(|_| waits_for_person(pair));
                    if let [Some(before), Some(now)] = seen
                        && before == now
                    {
                        if !done.text().contains("`pushctl release s`") {
                            return Err(format!("a wait does not say what to type: {}", done.text()));
                        }
                        return Ok(Rest::Held(now));
                    }
                }
                // It has only just been started.
                69 => {}
                _ => return Err(format!("wait: {}", done.text())),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("it does not come to rest: {:#}", pair.pushd.status().unwrap_or_default()))
    }

    /// While a person is waited for all is equal but for what is held, of which the number is right, and nothing of it goes.
    fn held_is_right(&self, pair: &Pair) -> Result<usize, String> {
        let deadline = Instant::now() + patience() / 3;
        let (mut wrong, mut again) = (String::new(), true);
        while Instant::now() < deadline {
            let before = waits_for_person(pair);
            let differences = compare::trees(&pair.source, &pair.backup);
            let entries = excess(pair, &differences);
            let others = differences.iter().filter(|it| !is_excess(it) && !it.is_stage()).count();
            // Of a mass as many are known as events have told of, and the last of it may have been all that there was.
            let part = self.setting.waits() && is_emptied(pair);
            let is_right = |held: u64| held == entries as u64 || (part && held > 0 && held < entries as u64);
            if others == 0 && before.is_some_and(is_right) && before == waits_for_person(pair) {
                return Ok(entries);
            }
            // What is beneath a held place may be moved away meanwhile: then it was too many, until it is compared again.
            if others == 0 && std::mem::take(&mut again) {
                pair.pushd.command(&["resync"]);
            }
            let listing = compare::listing(&differences, 40);
            wrong = format!("held: {before:?}, extra: {entries}, other differences: {others}\n{listing}");
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(wrong)
    }

    /// Out of rest much goes, and nothing else happens; at its end all is equal.
    pub fn episode(&mut self, pair: &mut Pair, world: &mut World) -> Result<(), String> {
        world.begin_episode();
        if let Err(e) = world.site() {
            world.note(format!("   site failed: {e}"));
        }
        pair.try_settle()?;
        match self.rng.below(3) {
            0 => self.while_dead(pair, world)?,
            _ => self.while_live(pair, world)?,
        }
        self.settle(pair, world).map(|_| ())
    }

    /// What goes while pushd does not run is concluded from what is not there: `max_delete` decides, to the entry.
    fn while_dead(&mut self, pair: &mut Pair, world: &mut World) -> Result<(), String> {
        self.count("episode: dead");
        world.note("-- dead".into());
        pair.pushd.daemon.kill();
        let all = names(pair);
        self.take_away(world);
        let gone = excess(pair, &compare::trees(&pair.source, &pair.backup));
        pair.pushd.daemon.start();
        let waits = !self.setting.is_all() && gone > 0 && (is_emptied(pair) || self.setting.is_passed(gone, all.len()));
        match (self.rest(pair, world)?, waits) {
            (Rest::InSync, false) => {}
            (Rest::Held(held), true) => {
                let lost: Vec<_> = all.difference(&names(pair)).take(5).map(|path| fs::show(path)).collect();
                if held != gone as u64 || !lost.is_empty() {
                    return Err(format!("{held} are held, and {gone} of {} went: {lost:?}", all.len()));
                }
                self.held_is_right(pair)?;
                self.count("held for a person");
                self.come_back(world, pair);
            }
            (Rest::Held(held), false) => return Err(format!("{held} are held though {gone} of {} may go", all.len())),
            (Rest::InSync, true) => return Err(format!("{gone} of {} went without a word", all.len())),
        }
        Ok(())
    }

    /// What goes before its eyes waits as a mass for its time.
    fn while_live(&mut self, pair: &mut Pair, world: &mut World) -> Result<(), String> {
        self.count("episode: live");
        world.note("-- live".into());
        let all = names(pair);
        self.take_away(world);
        let gone = all.iter().filter(|path| !stands(pair, path)).count();
        if self.setting.waits() && gone > MASS {
            self.stays_while_held(pair)?;
        }
        match self.rng.below(4) {
            0 => self.come_back(world, pair),
            1 => {
                world.note("-- restarted".into());
                self.count("restarted while held");
                pair.pushd.daemon.kill();
                pair.pushd.daemon.start();
                self.come_back(world, pair);
            }
            2 => {
                pair.recvd.daemon.kill();
                pair.recvd.start();
            }
            _ => {}
        }
        Ok(())
    }

    fn take_away(&mut self, world: &mut World) {
        for _ in 0..self.rng.between(1, 3) {
            let (name, done) = if self.rng.one_in(5) { ("empty", world.empty_now()) } else { ("raze", world.raze()) };
            tell(world, name, done);
        }
    }

    fn come_back(&mut self, world: &mut World, pair: &Pair) {
        for _ in 0..self.rng.below(3) {
            let done = world.rebuild();
            tell(world, "rebuild", done);
            let pause = self.rng.below(3) * 400;
            std::thread::sleep(Duration::from_millis(pause));
        }
        if self.rng.one_in(3) {
            let _ = pair.pushd.command(&["resync"]);
            self.count("resync while held");
        }
    }

    /// As long as the status says that deletions are held nothing of them goes.
    fn stays_while_held(&mut self, pair: &Pair) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            let before = (pair.pushd.target("t")["held"].clone(), names(pair));
            std::thread::sleep(Duration::from_millis(150));
            let after = (names(pair), pair.pushd.target("t")["held"].clone());
            let same = ["entries", "since", "why"].iter().all(|key| before.0[key] == after.1[key]);
            if before.0.is_null() || !same {
                continue;
            }
            self.count("looked at while held");
            let lost: Vec<_> = before.1.difference(&after.0).filter(|path| went(pair, path)).collect();
            if !lost.is_empty() {
                let some: Vec<_> = lost.iter().take(5).map(|path| fs::show(path)).collect();
                return Err(format!("{} went while {:#} was held: {some:?}", lost.len(), before.0));
            }
        }
        Ok(())
    }
}

fn tell(world: &mut World, name: &str, done: io::Result<String>) {
    world.note(match done {
        Ok(text) => format!("-- {name} {text}"),
        Err(e) => format!("   {name} failed: {e}"),
    });
}

/// All names of the backup.
fn names(pair: &Pair) -> BTreeSet<Vec<u8>> {
    compare::mirrored(&pair.backup).into_keys().collect()
}

/// Whether the backup has something there that the source has not: nothing, or something else in the place of a folder.
fn is_excess(difference: &compare::Difference) -> bool {
    match difference.what {
        "extra" => !difference.is_stage(),
        "kind" => difference.detail.ends_with("/ Directory"),
        _ => false,
    }
}

/// How many entries these are, with all that is beneath them.
fn excess(pair: &Pair, differences: &[compare::Difference]) -> usize {
    let places = differences.iter().filter(|it| is_excess(it)).map(|it| fs::at(&pair.backup, &it.path));
    places.map(|path| 1 + if fs::is_folder(&path) { fs::count(&path) } else { 0 }).sum()
}

/// Whether nothing stands there, nor has anything but a folder taken the place of a folder above.
fn went(pair: &Pair, path: &[u8]) -> bool {
    let place = fs::at(&pair.source, path);
    let above = place.ancestors().skip(1).find_map(|at| std::fs::symlink_metadata(at).ok());
    !stands(pair, path) && above.is_some_and(|meta| meta.is_dir())
}

fn stands(pair: &Pair, path: &[u8]) -> bool {
    std::fs::symlink_metadata(fs::at(&pair.source, path)).is_ok()
}

fn release(pair: &Pair, world: &mut World) -> Result<(), String> {
    world.note("-- released".into());
    let done = pair.pushd.command(&["release"]);
    if done.code == 0 { Ok(()) } else { Err(format!("release: {}", done.text())) }
}

fn is_emptied(pair: &Pair) -> bool {
    std::fs::read_dir(&pair.source).is_ok_and(|mut entries| entries.next().is_none())
}

/// Of how many deletions nothing but a person's word can tell what becomes, where nothing else is owed.
fn waits_for_person(pair: &Pair) -> Option<u64> {
    let target = pair.pushd.target("t");
    let Value::Object(held) = &target["held"] else { return None };
    let at_rest = target["state"] == "live" && target["owed"]["paths"] == 0 && held["until"].is_null();
    held["entries"].as_u64().filter(|_| at_rest)
}
