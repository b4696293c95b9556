//! A peer that logs in as a pushd does and then says what it likes, bytes that are no frames included. It uses the crates of
//! the programs, where the rest of the rig knows only commands, files and exit codes.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use link::{Address, Deliver, Disconnect, Drive, Target, Trust, Turns};
use proto::login::{Purpose, Refusal};
use proto::{RelPath, ToReceiver, ToSender, Version, codec};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::pair::{PASSWORD, Recvd, USER};
use super::patience;

pub struct Peer {
    runtime: Runtime,
    outbox: mpsc::Sender<Bytes>,
    inbox: mpsc::Receiver<Bytes>,
    read: Bytes,
    driving: JoinHandle<Disconnect>,
}

impl Peer {
    /// Logs in and opens that folder of the module, to push.
    pub fn login(recvd: &Recvd, folder: &str) -> Peer {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address: Address = format!("127.0.0.1:{}", recvd.port).parse().unwrap();
        let mut sender = [7; 16];
        sender[..folder.len()].copy_from_slice(folder.as_bytes());
        let target = Target {
            address,
            turns: Turns::new(),
            connect_timeout: patience(),
            trust: Trust { ca_file: Some(recvd.dir.join("cert.pem")), fingerprint: None },
            user: USER.into(),
            password: PASSWORD.as_bytes().into(),
            module: "m".into(),
            folder: RelPath::parse(folder.as_bytes()).unwrap(),
            purpose: Purpose::Push,
            sender,
            token: None,
            at: None,
            terms: None,
            software: "peer".into(),
        };
        let (_, connection) = runtime.block_on(link::dial(&target)).unwrap();
        let (outbox, outgoing) = mpsc::channel(1);
        // One buffer: who does not ask for what comes does not read it.
        let (incoming, inbox) = mpsc::channel(1);
        let clocks = Drive { idle: Duration::from_secs(3600), keepalive: None };
        let driving = runtime.spawn(link::drive(connection, outgoing, Deliver::Sender(incoming), clocks));
        Peer { runtime, outbox, inbox, read: Bytes::new(), driving }
    }

    /// Sends these bytes, whatever they are.
    pub fn send(&self, bytes: Bytes) {
        // Where the other end has closed, the test sees that in what it hears.
        let _ = self.outbox.blocking_send(bytes);
    }

    /// The same until the other end has taken nothing for so long; how many of them it took.
    pub fn send_while_taken(&self, buffers: impl Iterator<Item = Bytes>, patience: Duration) -> usize {
        let mut sent = 0;
        for bytes in buffers {
            let since = Instant::now();
            let mut waits = bytes;
            while let Err(mpsc::error::TrySendError::Full(back)) = self.outbox.try_send(waits) {
                if since.elapsed() >= patience {
                    return sent;
                }
                waits = back;
                std::thread::sleep(Duration::from_millis(1));
            }
            sent += 1;
        }
        sent
    }

    /// The next message; `None` when the connection is closed.
    pub fn next(&mut self) -> Option<ToSender> {
        loop {
            if let Some(frame) = codec::split(&mut self.read, proto::limits::FRAME).unwrap() {
                return Some(ToSender::decode(frame, Version::HIGHEST).unwrap());
            }
            let next = async { tokio::time::timeout(patience(), self.inbox.recv()).await };
            self.read = self.runtime.block_on(next).expect("a message in time")?;
        }
    }

    /// What has come, as it came, if anything has.
    pub fn heard(&mut self) -> Option<Bytes> {
        self.inbox.try_recv().ok()
    }

    /// Waits until this operation is applied.
    pub fn applied(&mut self, op: u64) {
        loop {
            match self.next().expect("no end of the session") {
                ToSender::Applied { upto } if upto >= op => return,
                ToSender::Bye { refusal } => panic!("{refusal}"),
                _ => {}
            }
        }
    }

    /// Waits for the end: what was said last, if it was a goodbye.
    pub fn goodbye(&mut self) -> Option<Refusal> {
        let mut goodbye = None;
        while let Some(message) = self.next() {
            goodbye = match message {
                ToSender::Bye { refusal } => Some(refusal),
                _ => None,
            };
        }
        goodbye
    }

    /// Whether the session goes on.
    pub fn is_served(&self) -> bool {
        !self.driving.is_finished()
    }
}

/// Messages in one buffer.
pub fn frames<'a>(messages: impl IntoIterator<Item = &'a ToReceiver>) -> Bytes {
    let mut bytes = BytesMut::new();
    messages.into_iter().for_each(|message| codec::put(message, &mut bytes));
    bytes.freeze()
}

/// Frames as one message, compressed.
pub fn packed(frames: &[u8]) -> Bytes {
    let bytes = zstd::bulk::compress(frames, 1).unwrap().into();
    self::frames([&ToReceiver::Packed { length: frames.len() as u32, bytes }])
}
