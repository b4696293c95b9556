//! What a target is owed counts files where it can, not folders of work; what it got counts when it says so.

use proto::ToSender;
use proto::codec;

use super::*;
use crate::channel::INBOX;

const FILES: u64 = 500;

/// A target that answers what it is told to.
pub(super) struct Mute {
    pub(super) pair: Pair,
    answers: mpsc::Sender<bytes::Bytes>,
    /// Read by nobody, unless by hand: a few buffers wait in it.
    pub(super) inbox: mpsc::Receiver<bytes::Bytes>,
    stop: Arc<AtomicBool>,
    sending: tokio::task::JoinHandle<Ended>,
}

impl Mute {
    pub(super) fn new(pair: Pair) -> Mute {
        let (answers, receipts) = answers(INBOX, &pair.policy);
        let (outbox, inbox) = mpsc::channel(OUTBOX);
        let (durability, compress, keep) = (Durability::Batch, pair.compress, Keep::DEFAULT);
        let connection = Connection { outbox, receipts, keep, durability, compress, version: proto::Version::HIGHEST };
        let tree = Arc::new(Tree::open(&pair.here, Mounts::Stay).unwrap());
        let mut sender = Sender::new(Root::new(tree).unwrap(), pair.options, pair.mirror.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let sending = pair.runtime.spawn_blocking(move || sender.run(connection, Until::Stopped, &stopped));
        Mute { pair, answers, inbox, stop, sending }
    }

    pub(super) fn answer(&self, message: &ToSender) {
        let mut frames = bytes::BytesMut::new();
        codec::put(message, &mut frames);
        self.answers.blocking_send(frames.freeze()).unwrap();
    }

    /// Takes so many frames out.
    fn wait_for_frames(&mut self, mut many: usize) {
        while many > 0 {
            let frames = self.pair.runtime.block_on(self.inbox.recv()).expect("the sender has ended");
            let frames = std::iter::successors(Some((frames, None)), |(rest, _)| {
                let mut rest = rest.clone();
                let frame = codec::split(&mut rest, proto::limits::FRAME).unwrap();
                frame.map(|frame| (rest, Some(frame)))
            });
            many -= frames.skip(1).count();
        }
    }

    pub(super) fn eventually(&self, what: &str, mut is: impl FnMut(&Mirror) -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while !is(&self.pair.mirror) {
            let now = (self.pair.mirror.owed(), self.pair.mirror.sent.totals());
            assert!(!self.sending.is_finished() && std::time::Instant::now() < deadline, "never {what}: {now:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the connection in the midst of what is sent.
    pub(super) fn hang_up(self) {
        let Mute { pair, answers, inbox, sending, .. } = self;
        drop((answers, inbox));
        assert_eq!(pair.runtime.block_on(sending).unwrap(), Ended::Lost);
    }

    fn end(self) {
        self.stop.store(true, std::sync::atomic::Ordering::Release);
        self.pair.mirror.wake.notify_one();
        assert_eq!(self.pair.runtime.block_on(self.sending).unwrap(), Ended::Stopped);
    }
}

#[test]
fn files_that_a_pass_has_found_are_owed_one_by_one_until_they_are_acknowledged() {
    let pair = Pair::new();
    for n in 0..FILES {
        fs::write(pair.here.join(n.to_string()), "five!").unwrap();
    }
    pair.hint(Hint::Subtree { path: RelPath::root() });
    assert_eq!(pair.mirror.owed().paths, 1);
    let mut mute = Mute::new(pair);
    // The root is made, then compared: the target has nothing.
    mute.wait_for_frames(2);
    mute.answer(&ToSender::Listing { op: 2, entries: Vec::new(), last: true });
    mute.eventually("owed", |mirror| mirror.owed().paths >= FILES && mirror.owed().bytes == FILES * 5);
    assert_eq!(mute.pair.mirror.sent.totals().files, 0, "what was only handed on is not sent");
    // The root, the comparison and a hundred files; two of these are refused, one is stored without its owner.
    let reason = || "no".to_owned();
    for (op, outcome) in
        [(3, proto::Outcome::Refused { reason: reason() }), (4, proto::Outcome::Partly { reason: reason() })]
    {
        mute.answer(&ToSender::Outcome { op, outcome });
    }
    mute.answer(&ToSender::Durable { upto: 102 });
    mute.eventually("acknowledged", |mirror| mirror.sent.totals().files == 99);
    assert_eq!(mute.pair.mirror.sent.totals().bytes, 99 * 5);
    mute.eventually("less is owed", |mirror| mirror.owed().bytes == (FILES - 100) * 5);
    assert_eq!(mute.pair.mirror.entries.problems().len(), 2);
    mute.end();
}

#[test]
fn the_content_of_large_files_that_wait_for_others_is_owed() {
    const LARGE: u64 = 1 << 20;
    let pair = Pair::new();
    for n in 0..20 {
        fs::write(pair.here.join(n.to_string()), vec![n; LARGE as usize]).unwrap();
    }
    pair.hint(Hint::Subtree { path: RelPath::root() });
    let mut mute = Mute::new(pair);
    mute.wait_for_frames(2);
    mute.answer(&ToSender::Listing { op: 2, entries: Vec::new(), last: true });
    // A few are on their way at a time, and of those a part has been handed on.
    mute.eventually("owed", |mirror| (15 * LARGE..=20 * LARGE).contains(&mirror.owed().bytes));
    let mirror = mute.pair.mirror.clone();
    mute.hang_up();
    assert_eq!(mirror.owed().bytes, 0, "of what is not under way nothing is known");
}

#[test]
fn of_a_folder_that_the_target_cannot_list_only_a_listing_says_that_it_can() {
    let pair = Pair { compress: Compress::Off, ..Pair::new() };
    fs::write(pair.here.join("file"), "x").unwrap();
    let mut mute = Mute::new(pair);
    let problems = |mute: &Mute| mute.pair.mirror.entries.problems().len();
    mute.pair.hint(Hint::Subtree { path: RelPath::root() });
    mute.wait_for_frames(2);
    mute.answer(&ToSender::Outcome { op: 2, outcome: proto::Outcome::Refused { reason: "cannot list it".into() } });
    mute.wait_for_frames(1);
    mute.answer(&ToSender::Durable { upto: 3 });
    mute.eventually("acknowledged", |mirror| mirror.owed().paths == 0);
    let reason = mute.pair.mirror.entries.problems().iter().next().map(|(_, note)| note.reason.clone());
    assert_eq!(reason.as_deref(), Some("cannot be compared with the target: cannot list it"));
    // It is made again.
    mute.pair.entry("", Cause::ENTRIES);
    mute.wait_for_frames(1);
    mute.answer(&ToSender::Durable { upto: 4 });
    mute.eventually("acknowledged", |mirror| mirror.owed().paths == 0);
    assert_eq!(problems(&mute), 1, "that it can be made says nothing");
    mute.pair.hint(Hint::Subtree { path: RelPath::root() });
    mute.wait_for_frames(2);
    mute.answer(&ToSender::Durable { upto: 6 });
    mute.eventually("over", |mirror| mirror.entries.problems().is_empty());
    mute.end();
}

#[test]
fn each_name_that_is_not_joined_with_its_file_is_named() {
    let pair = Pair { compress: Compress::Off, ..Pair::new() };
    fs::write(pair.here.join("a"), "x").unwrap();
    for name in ["b", "c"] {
        fs::hard_link(pair.here.join("a"), pair.here.join(name)).unwrap();
    }
    pair.hint(Hint::Subtree { path: RelPath::root() });
    let mut mute = Mute::new(pair);
    // The root is made and compared; one name is sent, the others are joined to it, and the pass is settled.
    mute.wait_for_frames(2);
    mute.answer(&ToSender::Listing { op: 2, entries: Vec::new(), last: true });
    mute.wait_for_frames(3);
    let refused = |op| ToSender::Outcome { op, outcome: proto::Outcome::Refused { reason: "too many".into() } };
    mute.answer(&refused(4));
    mute.answer(&ToSender::Durable { upto: 5 });
    // Nobody has said which of them it was: the first is asked about, and each is told by itself.
    mute.wait_for_frames(1);
    mute.answer(&ToSender::Durable { upto: 6 });
    mute.wait_for_frames(2);
    mute.answer(&refused(7));
    mute.answer(&refused(8));
    // They are files of their own there.
    mute.wait_for_frames(2);
    mute.answer(&ToSender::Durable { upto: 10 });
    mute.eventually("acknowledged", |mirror| mirror.owed().paths == 0);
    let named: Vec<String> = mute.pair.mirror.entries.problems().iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(named, ["b", "c"]);
    mute.end();
}
