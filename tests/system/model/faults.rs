//! The faults of the model: each begins before one operation of a round and ends some operations later.

use std::collections::BTreeMap;

use super::Twins;
use super::ops::World;
use crate::rig::mounted::Disk;
use crate::rig::pair::Pair;
use crate::rig::proxy::Switch;
use crate::rig::rng::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    KillPushd,
    KillRecvd,
    StopPushd,
    StopRecvd,
    Cut,
    CutLater,
    BlackHole,
    Refuse,
    Overflow,
    Full,
    ReadOnly,
}

const NAMES: [(&str, Fault, u64); 11] = [
    ("kill-pushd", Fault::KillPushd, 6),
    ("kill-recvd", Fault::KillRecvd, 6),
    ("stop-pushd", Fault::StopPushd, 3),
    ("stop-recvd", Fault::StopRecvd, 3),
    ("cut", Fault::Cut, 4),
    ("cut-later", Fault::CutLater, 6),
    ("black-hole", Fault::BlackHole, 2),
    ("refuse", Fault::Refuse, 1),
    ("overflow", Fault::Overflow, 1),
    ("full", Fault::Full, 4),
    ("read-only", Fault::ReadOnly, 2),
];

/// The plan of a round, and what is broken now.
pub struct Faults {
    rng: Rng,
    /// Operation at which it begins, operation at which it ends.
    plan: Vec<(u64, u64, Fault)>,
    allowed: Vec<(&'static str, Fault, u64)>,
    counts: BTreeMap<&'static str, u64>,
    /// Of the backup, if it has one of its own.
    disk: Option<Disk>,
}

impl Faults {
    pub fn new(twins: Twins, disk: Option<Disk>, seed: u64) -> Faults {
        let only = std::env::var("MODEL_FAULTS").ok();
        let allowed = NAMES
            .into_iter()
            .filter(|(_, fault, _)| twins == Twins::None || *fault != Fault::KillPushd)
            .filter(|(_, fault, _)| disk.is_some() || !matches!(fault, Fault::Full | Fault::ReadOnly))
            .filter(|(name, ..)| only.as_ref().is_none_or(|only| only.split(',').any(|word| word == *name)))
            .collect();
        Faults { rng: Rng::new(seed), plan: Vec::new(), allowed, counts: BTreeMap::new(), disk }
    }

    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// Draws one to three faults for a round of `ops` operations; now and then none, for the ordinary day.
    pub fn plan(&mut self, ops: u64) {
        let how_many = if self.allowed.is_empty() || self.rng.one_in(8) { 0 } else { self.rng.between(1, 3) };
        let total: u64 = self.allowed.iter().map(|(.., weight)| weight).sum();
        self.plan = (0..how_many)
            .map(|_| {
                let mut roll = self.rng.below(total);
                let (name, fault, _) = *self
                    .allowed
                    .iter()
                    .find(|(.., weight)| {
                        let hit = roll < *weight;
                        roll = roll.saturating_sub(*weight);
                        hit
                    })
                    .unwrap();
                *self.counts.entry(name).or_default() += 1;
                let begin = self.rng.below(ops);
                (begin, begin + 1 + self.rng.below(ops / 3), fault)
            })
            .collect();
    }

    /// The faults of the round, for people.
    pub fn planned(&self) -> String {
        self.plan.iter().map(|(begin, end, fault)| format!("{fault:?} {begin}..{end}")).collect::<Vec<_>>().join(", ")
    }

    /// Whether pushd answers at operation `at` of the round.
    pub fn pushd_answers(&self, at: u64) -> bool {
        let deaf = |fault| matches!(fault, Fault::KillPushd | Fault::StopPushd | Fault::Overflow);
        !self.plan.iter().any(|(begin, end, fault)| deaf(*fault) && (*begin..=*end).contains(&at))
    }

    /// Before operation `at` of the round.
    pub fn step(&mut self, at: u64, pair: &mut Pair, world: &mut World) {
        for n in 0..self.plan.len() {
            let (begin, end, fault) = self.plan[n];
            if begin == at {
                world.note(format!("-- {fault:?}, until operation {end} of the round"));
                self.begin(fault, pair, world);
            }
            if end == at {
                world.note(format!("-- end of {fault:?}"));
                lift(fault, pair, self.disk.as_ref());
            }
        }
    }

    fn begin(&mut self, fault: Fault, pair: &mut Pair, world: &mut World) {
        let proxy = pair.proxy.as_ref().expect("the model has a proxy");
        match fault {
            Fault::KillPushd => pair.pushd.daemon.kill(),
            Fault::KillRecvd => pair.recvd.daemon.kill(),
            Fault::StopPushd => pair.pushd.daemon.stop(),
            Fault::StopRecvd => pair.recvd.daemon.stop(),
            Fault::Cut => proxy.cut(),
            Fault::CutLater => {
                let most = *self.rng.pick(&[500, 5_000, 50_000, 500_000]);
                proxy.cut_after(self.rng.below(most));
            }
            Fault::BlackHole => proxy.black_hole(Switch::On),
            Fault::Refuse => {
                proxy.refuse(Switch::On);
                proxy.cut();
            }
            Fault::Overflow => {
                pair.pushd.daemon.stop();
                world.flood();
            }
            Fault::Full => {
                let left = *self.rng.pick(&[0, 0, 100_000, 2_000_000]);
                self.disk.iter().for_each(|disk| disk.fill(left));
            }
            // Not while something is being written: then this time it is none.
            Fault::ReadOnly => self.disk.iter().for_each(|disk| disk.try_remount("ro")),
        }
    }

    /// Ends everything that is broken: both programs run, and the link is whole.
    pub fn end(&mut self, pair: &mut Pair) {
        if let Some(proxy) = &pair.proxy {
            // What sits in the hole is lost: that link is dead.
            proxy.cut();
            proxy.heal();
        }
        for (_, fault, _) in NAMES {
            if fault != Fault::BlackHole {
                lift(fault, pair, self.disk.as_ref());
            }
        }
    }
}

fn lift(fault: Fault, pair: &mut Pair, disk: Option<&Disk>) {
    let proxy = pair.proxy.as_ref().expect("the model has a proxy");
    match fault {
        Fault::KillPushd => pair.pushd.daemon.start(),
        Fault::KillRecvd => {
            pair.recvd.daemon.go_on();
            pair.recvd.start();
        }
        Fault::StopPushd | Fault::Overflow => pair.pushd.daemon.go_on(),
        Fault::StopRecvd => pair.recvd.daemon.go_on(),
        Fault::Cut | Fault::CutLater => {}
        Fault::BlackHole => {
            proxy.cut();
            proxy.black_hole(Switch::Off);
        }
        Fault::Refuse => proxy.refuse(Switch::Off),
        Fault::Full => disk.into_iter().for_each(Disk::empty),
        Fault::ReadOnly => disk.into_iter().for_each(|disk| disk.try_remount("rw")),
    }
}
