//! Peers with a password that want recvd to do much for few bytes: what compresses to nothing and is given up at once. What
//! they can have done is bounded by the bytes that they send.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use proto::limits::BLOBS;
use proto::login::Refusal;
use proto::{RelPath, ToReceiver, ToSender};

use crate::rig::pair::{Pair, Setup};
use crate::rig::peer::{Peer, frames, packed};

/// Bytes of a file at the backup that serves as a basis.
const BASIS: u64 = 1 << 20;

/// A recvd with such a file.
fn pair(test: &str) -> Pair {
    let mut pair = Pair::new(test, Setup::default());
    fs::create_dir_all(pair.backup.join("flood")).unwrap();
    fs::write(pair.backup.join("flood/basis"), vec![7; BASIS as usize]).unwrap();
    pair.recvd.start();
    pair
}

fn begun(id: u32, basis: &str) -> [ToReceiver; 2] {
    let path = RelPath::parse(basis.as_bytes()).unwrap();
    [ToReceiver::Blob { id, size: BASIS }, ToReceiver::Basis { id, path }]
}

/// What recvd computes until it has taken these buffers in.
fn costs(pair: &Pair, buffers: impl IntoIterator<Item = Bytes>) -> Duration {
    let mut peer = Peer::login(&pair.recvd, "flood");
    peer.send(frames(&[ToReceiver::Ping]));
    while !matches!(peer.next().expect("a session"), ToSender::Pong) {}
    let before = pair.recvd.daemon.cpu();
    for buffer in buffers {
        peer.send(buffer);
        // It takes each by itself, and what it answers is read.
        std::thread::sleep(Duration::from_millis(3));
        while peer.heard().is_some() {}
    }
    peer.send(frames(&[ToReceiver::Ping]));
    while !matches!(peer.next().expect("a session"), ToSender::Pong) {}
    pair.recvd.daemon.cpu() - before
}

#[test]
fn uploads_that_are_given_up_at_once_cost_next_to_nothing() {
    let pair = pair("given-up");
    for basis in ["basis", "none"] {
        let all: Vec<ToReceiver> = (0..20_000)
            .flat_map(|_| {
                let [blob, asked] = begun(1, basis);
                [blob, asked, ToReceiver::Drop { id: 1 }]
            })
            .collect();
        let cost = costs(&pair, [frames(&all)]);
        println!("{basis}: {cost:?}");
        assert!(cost < Duration::from_millis(400), "{basis}: {cost:?}");
    }
}

#[test]
fn none_is_given_up_in_compressed_frames() {
    let pair = pair("compressed");
    let all: Vec<ToReceiver> =
        (0..20_000).flat_map(|_| [begun(1, "none")[0].clone(), ToReceiver::Drop { id: 1 }]).collect();
    let one = packed(&frames(&all));
    assert!(one.len() < 200, "{} bytes", one.len());
    let mut peer = Peer::login(&pair.recvd, "flood");
    peer.send(one);
    let goodbye = peer.goodbye();
    assert!(matches!(&goodbye, Some(Refusal::Protocol { reason }) if reason.contains("drop")), "{goodbye:?}");
}

#[test]
fn as_many_as_may_be_open_cost_no_more_than_their_bytes() {
    let pair = pair("open");
    let ids = 0..BLOBS as u32;
    let (open, drop): (Vec<_>, Vec<_>) = ids.map(|id| (begun(id, "basis"), ToReceiver::Drop { id })).unzip();
    let buffers = [packed(&frames(open.as_flattened())), frames(&drop)];
    let rounds = 100;
    let bytes = rounds * (buffers[0].len() + buffers[1].len()) as u32;
    let cost = costs(&pair, std::iter::repeat_n(buffers, rounds as usize).flatten());
    println!("{bytes} bytes cost {cost:?}");
    // Before, 125 bytes cost a second.
    assert!(cost < bytes * Duration::from_micros(20), "{bytes} bytes cost {cost:?}");
}
