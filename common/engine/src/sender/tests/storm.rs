//! A storm: random operations on few names while hints come late, the wire is slow and links break; at rest the trees
//! must be equal, hard links included. What the kernel and the watcher would say is said by the test itself, in true
//! order, so a round takes milliseconds and its trace, printed on failure, fits a screen or two.
//!
//! Runs for `STORM_SECONDS` (5) with `STORM_SEED` (the clock) in `STORM_WORLDS` (6) worlds side by side. The schedule is
//! the machine's: a seed repeats the operations, not their timing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use fastrand::Rng;
use proto::login::Durability;
use proto::{Keep, RelPath, ToReceiver, ToSender};
use rustix::fs::{CWD, RenameFlags};
use sys::{Mounts, Stage, Tree};
use tokio::sync::{mpsc, watch};

use super::{Shown, path, tree};
use crate::hint::{Cause, Hint};
use crate::lane::OUTBOX;
use crate::mirror::Mirror;
use crate::pending::Rules;
use crate::receiver::{Grant, Limits, Receiver};
use crate::sender::{Connection, MaxDelete, Options, Root, Sender, Until};

/// Names are few, so that they meet.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Entries above which a folder is removed.
const MOST: usize = 40;
/// A round that is not at rest after this time never will be.
const REST: Duration = Duration::from_secs(20);

/// What happened, in order, in this round.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<(Instant, String)>>>);

impl Trace {
    fn say(&self, what: impl FnOnce() -> String) {
        self.0.lock().unwrap().push((Instant::now(), what()));
    }

    fn print(&self, began: Instant) {
        let mut lines = self.0.lock().unwrap().clone();
        lines.sort_by_key(|(at, _)| *at);
        for (at, line) in lines {
            println!("{:>9.3} {line}", at.saturating_duration_since(began).as_secs_f64() * 1000.0);
        }
    }
}

impl std::io::Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.say(|| format!("SELF {}", String::from_utf8_lossy(bytes).trim_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Hints on their way from the kernel: given to the mirror in order, a little later. The `since` of a rename is filled
/// in when it is read, as the watcher does.
struct Queue {
    waiting: Mutex<Vec<Hint>>,
    over: AtomicBool,
}

struct World {
    here: PathBuf,
    there: PathBuf,
    queue: Arc<Queue>,
    mirror: Arc<Mirror>,
    trace: Trace,
    cut: watch::Sender<u64>,
    rng: Rng,
    content: u32,
    /// Inodes that got one more name in this round. They are not changed until all is at rest: what is done through a
    /// name that is made and removed before anyone looked, the kernel tells of under that name only.
    linked: HashSet<u64>,
}

impl World {
    fn new(scratch: &Path, seed: u64) -> World {
        let (here, there) = (scratch.join("here"), scratch.join("there"));
        fs::create_dir(&here).unwrap();
        fs::create_dir(&there).unwrap();
        fs::write(here.join("anchor"), "keeps the root from being empty").unwrap();
        let rules = Rules {
            settle: Duration::ZERO,
            open_settle: Duration::from_millis(5),
            open_max_delay: Duration::from_millis(20),
        };
        let queue = Arc::new(Queue { waiting: Mutex::default(), over: AtomicBool::new(false) });
        let mirror = Arc::new(Mirror::new(rules));
        mirror.hint([Hint::Subtree { path: RelPath::root() }]);
        let (cut, rng) = (watch::channel(0).0, Rng::with_seed(seed));
        World { here, there, queue, mirror, trace: Trace::default(), cut, rng, content: 0, linked: HashSet::new() }
    }

    fn tell(&self, hints: Vec<Hint>) {
        self.queue.waiting.lock().unwrap().extend(hints);
    }

    fn entry(at: &str, cause: Cause) -> Vec<Hint> {
        vec![Hint::Entry { path: path(at), cause }]
    }

    fn entry_and_folder(at: &str, cause: Cause) -> Vec<Hint> {
        let folder = path(at).parent().unwrap();
        vec![Hint::Entry { path: path(at), cause }, Hint::Entry { path: folder, cause: Cause::ENTRIES }]
    }

    fn renamed(from: &str, to: &str) -> Vec<Hint> {
        let mut hints = vec![Hint::Renamed { from: path(from), to: path(to), since: Instant::now() }];
        for place in [from, to] {
            hints.push(Hint::Entry { path: path(place).parent().unwrap(), cause: Cause::ENTRIES });
        }
        hints
    }

    fn entries(&self) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(self.here.join(&folder)).unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                let at = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let is_folder = entry.file_type().unwrap().is_dir();
                if is_folder {
                    folders.push(at.clone());
                }
                if at != "anchor" {
                    found.push((at, is_folder));
                }
            }
        }
        found.sort();
        found
    }

    fn pick(&mut self, folder: Option<bool>) -> Option<String> {
        let entries: Vec<_> =
            self.entries().into_iter().filter(|(_, is)| folder.is_none_or(|wanted| wanted == *is)).collect();
        self.rng.choice(&entries).map(|(at, _)| at.clone())
    }

    fn place(&mut self) -> String {
        let name = *self.rng.choice(&NAMES).unwrap();
        match if self.rng.u8(..3) == 0 { None } else { self.pick(Some(true)) } {
            Some(folder) if folder.split('/').count() < 4 => format!("{folder}/{name}"),
            _ => name.to_owned(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.content += 1;
        let width = if self.rng.u8(..20) == 0 { 300_000 } else { 8 + self.rng.usize(..300) };
        let mut bytes = format!("{}.", self.content).into_bytes();
        bytes.resize(width, b'.');
        bytes
    }

    fn step(&mut self) {
        let at = Instant::now();
        let said = match self.rng.u8(..35) {
            0..=4 => self.write(),
            5..=6 => self.mkdir(),
            7..=10 => self.link(),
            11..=19 => self.rename(),
            20..=23 => self.exchange(),
            24..=26 => self.delete(),
            27..=28 => self.chmod(),
            29..=30 => self.flip(),
            31 => self.move_in(),
            32 => self.twins(),
            _ => self.overwrite(),
        };
        if let Some(said) = said {
            self.trace.0.lock().unwrap().push((at, format!("DO   {said}")));
        }
    }

    fn write(&mut self) -> Option<String> {
        let (at, bytes) = (self.place(), self.bytes());
        let full = self.here.join(&at);
        let new = !full.exists();
        self.may_change(&at)?;
        fs::write(&full, &bytes).ok()?;
        if new {
            self.tell(Self::entry_and_folder(&at, Cause::CREATED));
        }
        self.tell(Self::entry(&at, Cause::WRITTEN));
        Some(format!("write {at} ({} bytes, inode {})", bytes.len(), self.inode(&at)))
    }

    /// Two new files of one size and one time, as a fast program makes them between two ticks of the kernel's clock.
    fn twins(&mut self) -> Option<String> {
        let (a, b) = (self.place(), self.place());
        let time = SystemTime::now();
        for at in [&a, &b] {
            self.content += 1;
            let bytes = format!("{:08}", self.content);
            let mut file = fs::File::create_new(self.here.join(at)).ok()?;
            file.write_all(bytes.as_bytes()).and_then(|()| file.set_modified(time)).ok()?;
            self.tell(Self::entry_and_folder(at, Cause::CREATED));
            self.tell(Self::entry(at, Cause::WRITTEN));
        }
        Some(format!("twins {a} {b} (inodes {}, {})", self.inode(&a), self.inode(&b)))
    }

    fn overwrite(&mut self) -> Option<String> {
        let (at, bytes) = (self.pick(Some(false))?, self.bytes());
        self.may_change(&at)?;
        fs::write(self.here.join(&at), &bytes).ok()?;
        self.tell(Self::entry(&at, Cause::WRITTEN));
        Some(format!("overwrite {at} ({} bytes, inode {})", bytes.len(), self.inode(&at)))
    }

    fn mkdir(&mut self) -> Option<String> {
        let at = self.place();
        fs::create_dir(self.here.join(&at)).ok()?;
        self.tell(vec![Hint::Subtree { path: path(&at) }]);
        self.tell(Self::entry(&at, Cause::ENTRIES));
        self.tell(vec![Hint::Entry { path: path(&at).parent()?, cause: Cause::ENTRIES }]);
        Some(format!("mkdir {at}"))
    }

    fn link(&mut self) -> Option<String> {
        let (old, new) = (self.pick(Some(false))?, self.place());
        fs::hard_link(self.here.join(&old), self.here.join(&new)).ok()?;
        self.linked.insert(self.inode(&old));
        self.tell(Self::entry_and_folder(&new, Cause::CREATED));
        Some(format!("link {old} = {new} (inode {})", self.inode(&old)))
    }

    fn rename(&mut self) -> Option<String> {
        let (from, to) = (self.pick(None)?, self.place());
        if from == to {
            return None;
        }
        let same = self.inode(&from) == self.inode(&to);
        fs::rename(self.here.join(&from), self.here.join(&to)).ok()?;
        if !same {
            self.tell(Self::renamed(&from, &to));
        }
        Some(format!("rename {from} -> {to} (inode {})", self.inode(&to)))
    }

    fn exchange(&mut self) -> Option<String> {
        let (a, b) = (self.pick(None)?, self.pick(None)?);
        if path(&a).is_within(&path(&b)) || path(&b).is_within(&path(&a)) {
            return None;
        }
        rustix::fs::renameat_with(CWD, self.here.join(&a), CWD, self.here.join(&b), RenameFlags::EXCHANGE).ok()?;
        self.tell(Self::renamed(&a, &b));
        self.tell(Self::renamed(&b, &a));
        Some(format!("exchange {a} <-> {b} (inodes {}, {})", self.inode(&a), self.inode(&b)))
    }

    fn delete(&mut self) -> Option<String> {
        let at = self.pick(None)?;
        self.remove(&at)?;
        Some(format!("delete {at}"))
    }

    fn remove(&mut self, at: &str) -> Option<()> {
        let full = self.here.join(at);
        if !full.is_dir() {
            fs::remove_file(&full).ok()?;
        } else {
            for entry in fs::read_dir(&full).ok()?.flatten() {
                self.remove(&format!("{at}/{}", entry.file_name().into_string().ok()?))?;
            }
            fs::remove_dir(&full).ok()?;
        }
        self.tell(Self::entry_and_folder(at, Cause::GONE));
        Some(())
    }

    fn chmod(&mut self) -> Option<String> {
        let (at, mode) = (self.pick(None)?, 0o700 | self.rng.u32(..0o100));
        self.may_change(&at)?;
        fs::set_permissions(self.here.join(&at), fs::Permissions::from_mode(mode)).ok()?;
        self.tell(Self::entry(&at, Cause::ATTRIBUTES));
        Some(format!("chmod {at} {mode:o}"))
    }

    /// A file becomes a folder, or the other way.
    fn flip(&mut self) -> Option<String> {
        let at = self.pick(None)?;
        let was_folder = self.here.join(&at).is_dir();
        self.remove(&at)?;
        let full = self.here.join(&at);
        if was_folder {
            let bytes = self.bytes();
            fs::write(&full, bytes).ok()?;
            self.tell(Self::entry_and_folder(&at, Cause::CREATED));
            self.tell(Self::entry(&at, Cause::WRITTEN));
        } else {
            fs::create_dir(&full).ok()?;
            self.tell(vec![Hint::Subtree { path: path(&at) }]);
            self.tell(vec![Hint::Entry { path: path(&at).parent()?, cause: Cause::ENTRIES }]);
        }
        Some(format!("flip {at}"))
    }

    /// A folder with a file comes from outside.
    fn move_in(&mut self) -> Option<String> {
        let (at, bytes) = (self.place(), self.bytes());
        let outside = self.here.with_file_name("outside");
        fs::create_dir(&outside).ok()?;
        fs::write(outside.join("a"), bytes).ok()?;
        let done = !self.here.join(&at).exists() && fs::rename(&outside, self.here.join(&at)).is_ok();
        if !done {
            fs::remove_dir_all(&outside).ok()?;
            return None;
        }
        self.tell(vec![Hint::Subtree { path: path(&at) }]);
        self.tell(vec![Hint::Entry { path: path(&at).parent()?, cause: Cause::ENTRIES }]);
        Some(format!("move in {at}"))
    }

    fn may_change(&self, at: &str) -> Option<()> {
        (!self.linked.contains(&self.inode(at))).then_some(())
    }

    fn inode(&self, at: &str) -> u64 {
        fs::symlink_metadata(self.here.join(at)).map_or(0, |meta| meta.ino())
    }

    fn thin_out(&mut self) {
        while self.entries().len() > MOST {
            let at = self.pick(Some(true)).or_else(|| self.pick(None)).unwrap();
            self.remove(&at);
        }
    }

    /// One round: operations and cut links, then rest.
    fn round(&mut self, cuts: bool) -> Result<usize, String> {
        self.trace.0.lock().unwrap().clear();
        self.linked.clear();
        let steps = self.rng.usize(2..30);
        let pause = *self.rng.choice(&[0, 50, 500, 3_000]).unwrap();
        for _ in 0..steps {
            self.step();
            if cuts && self.rng.u8(..60) == 0 {
                self.trace.say(|| "CUT".into());
                self.cut.send_modify(|cuts| *cuts += 1);
            }
            if pause > 0 && self.rng.bool() {
                std::thread::sleep(Duration::from_micros(self.rng.u64(..pause)));
            }
        }
        self.thin_out();
        let began = Instant::now();
        loop {
            if self.queue.waiting.lock().unwrap().is_empty() && self.mirror.pending().is_empty() {
                let differences = self.differences();
                if differences.is_empty() {
                    if std::env::var_os("STORM_SLOW").is_some() && began.elapsed() > Duration::from_millis(900) {
                        return Err("slow".into());
                    }
                    return Ok(steps);
                }
                std::thread::sleep(Duration::from_millis(300));
                let owed = self.mirror.pending().owed();
                return Err(format!("{}\n(still owed then: {owed})", differences.join("\n")));
            }
            if began.elapsed() > REST {
                return Err(format!("not at rest, owed: {}", self.mirror.pending().owed()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn differences(&self) -> Vec<String> {
        let (here, there) = (tree(&self.here), tree(&self.there));
        let mut found = Vec::new();
        for at in here.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
            if here.get(at) != there.get(at) {
                found.push(format!("{at:?}: {} / {}", show(here.get(at)), show(there.get(at))));
            }
        }
        let (here, there) = (groups(&self.here, &here), groups(&self.there, &there));
        found.extend(here.difference(&there).map(|group| format!("names of one file, parted there: {group:?}")));
        found.extend(there.difference(&here).map(|group| format!("names of one file only there: {group:?}")));
        found
    }
}

fn show(entry: Option<&Shown>) -> String {
    entry.map_or("nothing".into(), |(mode, s, ns, _, nlink, content)| {
        let begins = String::from_utf8_lossy(&content[..content.len().min(8)]).into_owned();
        format!("mode {mode:o} mtime {s}.{ns:09} {nlink} names {} bytes {begins}", content.len())
    })
}

fn groups(root: &Path, tree: &BTreeMap<PathBuf, Shown>) -> BTreeSet<Vec<PathBuf>> {
    let mut found: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for (at, shown) in tree {
        if shown.4 > 1
            && let Ok(meta) = fs::symlink_metadata(root.join(at))
        {
            found.entry(meta.ino()).or_default().push(at.clone());
        }
    }
    found.into_values().collect()
}

/// Gives hints to the mirror, late and in order.
fn deliver(queue: &Queue, mirror: &Mirror, trace: &Trace, mut rng: Rng) {
    let mut drained = Instant::now();
    while !queue.over.load(Ordering::Acquire) {
        let now = Instant::now();
        // Locked until they are given, so that an empty queue means that all have arrived.
        let mut waiting = queue.waiting.lock().unwrap();
        let mut hints = std::mem::take(&mut *waiting);
        for hint in &mut hints {
            if let Hint::Renamed { since, .. } = hint {
                *since = drained;
            }
            trace.say(|| format!("HINT {}", shown_hint(hint)));
        }
        if !hints.is_empty() {
            mirror.hint(hints);
        }
        drop(waiting);
        drained = now;
        let pause = *rng.choice(&[0, 100, 1_000, 5_000]).unwrap();
        std::thread::sleep(Duration::from_micros(20 + rng.u64(..=pause)));
    }
}

fn shown_hint(hint: &Hint) -> String {
    match hint {
        Hint::Entry { path, cause } => format!("entry {path} {cause:?}"),
        Hint::Folder { path } => format!("folder {path}"),
        Hint::Subtree { path } => format!("subtree {path}"),
        Hint::Renamed { from, to, .. } => format!("renamed {from} -> {to}"),
    }
}

fn shown_frames(frames: &Bytes, ops: &mut u64, trace: &Trace) {
    let mut frames = frames.clone();
    while let Ok(Some(frame)) = proto::codec::split(&mut frames, proto::limits::FRAME) {
        let Ok(message) = ToReceiver::decode(frame) else { continue };
        let is_operation =
            !matches!(message, ToReceiver::Blob { .. } | ToReceiver::Data { .. } | ToReceiver::Drop { .. });
        *ops += u64::from(is_operation);
        let text = match &message {
            ToReceiver::Put { path, .. } => format!("put {path}"),
            ToReceiver::Make { path, .. } => format!("make {path}"),
            ToReceiver::Offer { path, .. } => format!("offer {path}"),
            ToReceiver::Compare { path, .. } => format!("compare {path}"),
            ToReceiver::Data { id, offset, bytes } => format!("data {id} {} bytes at {offset}", bytes.len()),
            other => format!("{other:?}"),
        };
        trace.say(|| format!("SEND {ops} {text}"));
    }
}

fn shown_answers(frames: &Bytes, trace: &Trace) {
    let mut frames = frames.clone();
    while let Ok(Some(frame)) = proto::codec::split(&mut frames, proto::limits::FRAME) {
        match ToSender::decode(frame) {
            Ok(ToSender::Listing { op, entries, .. }) => {
                let names: Vec<_> = entries.iter().map(|entry| entry.name.to_string()).collect();
                trace.say(|| format!("HEAR listing {op} {names:?}"));
            }
            Ok(other) => trace.say(|| format!("HEAR {other:?}")),
            Err(_) => {}
        }
    }
}

/// One connection after another, until the world ends.
fn connect(world: &World, runtime: &tokio::runtime::Runtime, stop: &Arc<AtomicBool>, mut rng: Rng) {
    let options = Options { delete: true, attributes: true, max_delete: MaxDelete::Percent(100.0), workers: 2 };
    let root = Root::new(Arc::new(Tree::open(&world.here, Mounts::Stay).unwrap())).unwrap();
    let mut sender = Sender::new(root, options, world.mirror.clone());
    let durability = if rng.bool() { Durability::Batch } else { Durability::None };
    while !stop.load(Ordering::Acquire) {
        let tree = Arc::new(Tree::open(&world.there, Mounts::Stay).unwrap());
        let stage = Arc::new(Stage::new(tree.clone()).unwrap());
        let limits = Limits { max_file_size: None };
        let receiver = Receiver::new(Grant { stage, tree, keep: Keep::DEFAULT, durability, limits });
        let (outbox, mut from_sender) = mpsc::channel::<Bytes>(OUTBOX);
        let (to_receiver, inbox) = mpsc::channel::<Bytes>(OUTBOX);
        let (answers, mut answered) = mpsc::channel::<Bytes>(OUTBOX);
        let (pass_on, receipts) = mpsc::unbounded_channel();
        let (_stop, stop_receiver) = watch::channel(false);
        let receiving = std::thread::spawn(move || receiver.run(inbox, answers, stop_receiver));
        let slow = *rng.choice(&[0, 0, 300, 3_000]).unwrap();
        let (mut cut, trace, mut delays) = (world.cut.subscribe(), world.trace.clone(), rng.fork());
        runtime.spawn(async move {
            let mut ops = 0;
            let forward = async {
                while let Some(frames) = from_sender.recv().await {
                    shown_frames(&frames, &mut ops, &trace);
                    if slow > 0 {
                        tokio::time::sleep(Duration::from_micros(delays.u64(..slow))).await;
                    }
                    if to_receiver.send(frames).await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! { () = forward => {}, _ = cut.changed() => {} }
        });
        let (mut cut, trace, mut delays) = (world.cut.subscribe(), world.trace.clone(), rng.fork());
        runtime.spawn(async move {
            let back = async {
                while let Some(frames) = answered.recv().await {
                    if slow > 0 {
                        tokio::time::sleep(Duration::from_micros(delays.u64(..slow))).await;
                    }
                    shown_answers(&frames, &trace);
                    if pass_on.send(frames).is_err() {
                        break;
                    }
                }
            };
            tokio::select! { () = back => {}, _ = cut.changed() => {} }
        });
        let connection = Connection { outbox, receipts, keep: Keep::DEFAULT, durability };
        let ended = std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                let _runtime = runtime.enter();
                let trace = world.trace.clone();
                let subscriber = tracing_subscriber::fmt()
                    .with_max_level(tracing::Level::TRACE)
                    .with_writer(move || trace.clone())
                    .with_ansi(false)
                    .without_time()
                    .with_level(false)
                    .with_target(false);
                tracing::subscriber::with_default(subscriber.finish(), || sender.run(connection, Until::Stopped, stop))
            });
            running.join().unwrap()
        });
        receiving.join().unwrap();
        world.trace.say(|| format!("ENDED {ended:?}"));
    }
}

fn run_world(seed: u64, until: Instant) -> (usize, Option<String>) {
    let scratch = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut world = World::new(scratch.path(), seed);
    let mut rng = Rng::with_seed(seed ^ 0x5eed);
    let stop = Arc::new(AtomicBool::new(false));
    let mut done = (0, None);
    let (queue, mirror, trace) = (world.queue.clone(), world.mirror.clone(), world.trace.clone());
    let late = rng.fork();
    let wire = rng.fork();
    let view = World {
        rng: Rng::new(),
        cut: world.cut.clone(),
        here: world.here.clone(),
        there: world.there.clone(),
        queue: queue.clone(),
        mirror: mirror.clone(),
        trace: trace.clone(),
        content: 0,
        linked: HashSet::new(),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| deliver(&queue, &mirror, &trace, late));
        scope.spawn(|| connect(&view, &runtime, &stop, wire));
        while Instant::now() < until {
            let began = Instant::now();
            let cuts = rng.bool();
            match world.round(cuts) {
                Ok(steps) => done.0 += steps,
                Err(report) => {
                    static PRINTING: Mutex<()> = Mutex::new(());
                    let _one = PRINTING.lock();
                    println!("==== STORM_SEED {seed}");
                    world.trace.print(began);
                    println!("{report}");
                    done.1 = Some(report);
                    break;
                }
            }
        }
        queue.over.store(true, Ordering::Release);
        stop.store(true, Ordering::Release);
        mirror.wake.notify_one();
    });
    done
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

#[test]
fn a_storm_leaves_equal_trees() {
    let seed = number("STORM_SEED", fastrand::u64(..1_000_000));
    let until = Instant::now() + Duration::from_secs(number("STORM_SECONDS", 5));
    let worlds: Vec<_> =
        (0..number("STORM_WORLDS", 6)).map(|n| std::thread::spawn(move || run_world(seed + n, until))).collect();
    let ends: Vec<_> = worlds.into_iter().map(|world| world.join().unwrap()).collect();
    let operations: usize = ends.iter().map(|(operations, _)| operations).sum();
    println!("storm: seeds from {seed}: {operations} operations");
    let failed: Vec<_> = ends.iter().filter_map(|(_, failed)| failed.as_ref()).collect();
    assert!(failed.is_empty(), "{} worlds ended unequal", failed.len());
}
