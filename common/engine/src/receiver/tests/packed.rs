//! Compressed frames: which window a peer is granted, what it may make of that, and when it is taken back.

use bytes::{Bytes, BytesMut};
use proto::{ToReceiver, ToSender, codec};

use super::rig::*;
use crate::clock::Clock;
use crate::pack::{Compress, Packer};
use crate::receiver::{EndReason, Memory};

fn packer() -> Packer {
    Packer::new(Compress::Level(1), Clock::system())
}

/// A message without a meaning, of so many bytes.
fn filler(bytes: usize) -> Bytes {
    let mut buffer = BytesMut::new();
    codec::put(&ToReceiver::Extra { kind: 128, body: vec![7; bytes].into() }, &mut buffer);
    buffer.freeze()
}

impl Rig {
    /// Sends so much in one `Packed`; the windows that it is told before the next is answered.
    fn pack(&mut self, packer: &mut Packer, bytes: usize) -> Vec<u8> {
        for part in packer.pack(filler(bytes)) {
            self.send_raw(part);
        }
        self.send(&[ToReceiver::Ping]);
        let mut windows = Vec::new();
        loop {
            match self.next() {
                ToSender::Pong | ToSender::Bye { .. } => return windows,
                ToSender::Window { log } => windows.push(log),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// More than what makes a window worth to be granted.
const MUCH: usize = 100_000;

#[test]
fn who_compresses_much_is_granted_a_large_window_until_it_is_quiet() {
    let (mut rig, mut packer) = (Rig::new(), packer());
    assert_eq!(rig.pack(&mut packer, MUCH / 20), [0; 0]);
    assert_eq!(rig.pack(&mut packer, MUCH), [23]);
    assert_eq!(rig.pack(&mut packer, MUCH), [0; 0], "it is told once");
    packer.allow(23);
    assert_eq!(rig.pack(&mut packer, MUCH), [0; 0]);
    // As after a second without anything to send.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    rig.send_raw(packer.rest().unwrap());
    assert_eq!(rig.next(), ToSender::Window { log: 20 });
    packer.allow(20);
    rig.send_raw(packer.rest().unwrap());
    assert_eq!(rig.pack(&mut packer, MUCH), [23], "and again");
    assert_eq!(rig.close().0, EndReason::Closed);
}

#[test]
fn a_large_window_takes_memory_that_must_be_there() {
    let memory = |bytes| Settings { memory: Memory::new(bytes, 1), ..Settings::default() };
    let mut rig = Rig::with(memory(8 << 20), |_| {});
    assert_eq!(rig.pack(&mut packer(), MUCH), [0; 0]);
    let mut rig = Rig::with(memory(16 << 20), |_| {});
    assert_eq!(rig.pack(&mut packer(), MUCH), [23]);
}

#[test]
fn every_breach_of_the_use_of_a_window_ends_the_session() {
    let windowed = |log| ToReceiver::Windowed { log };
    let granted = |rig: &mut Rig| {
        let mut packer = packer();
        assert_eq!(rig.pack(&mut packer, MUCH), [23]);
        packer
    };
    // One that was granted more by somebody else.
    let wide = || {
        let mut packer = packer();
        packer.allow(21);
        let mut parts = packer.pack(filler(MUCH)).remove(0);
        codec::split(&mut parts, proto::limits::FRAME).unwrap();
        parts
    };
    type Breach<'a> = (&'a str, &'a dyn Fn(&mut Rig));
    let breaches: [Breach<'_>; 5] = [
        ("unasked", &|rig| rig.send(&[windowed(20)])),
        ("cannot be read", &|rig| rig.send_raw(wide())),
        ("within compressed frames", &|rig| {
            granted(rig);
            rig.send(&[windowed(23)]);
        }),
        ("where 2^20 were granted", &|rig| {
            let mut packer = granted(rig);
            packer.allow(23);
            rig.pack(&mut packer, MUCH);
            // It has ended its frame, and goes on as before.
            packer.allow(23);
            rig.pack(&mut packer, MUCH);
        }),
        ("that are none", &|rig| rig.send(&[ToReceiver::Packed { length: 0, bytes: Bytes::from_static(b"x") }])),
    ];
    for (words, breach) in breaches {
        let mut rig = Rig::new();
        breach(&mut rig);
        let (ended, _, _scratch) = rig.ended();
        let EndReason::Violation(reason) = ended else { panic!("{words}: {ended:?}") };
        assert!(reason.contains(words), "{reason}");
    }
}
