//! What a peer may say besides, at any moment: it is no operation and answers nothing, and whoever hears it goes on as before.

use bytes::Bytes;
use fastrand::Rng;
use proto::report::{Done, Report};
use proto::{RelPath, ToReceiver, ToSender};

use crate::channel::frame;

/// How many buffers go by for each aside, about.
const SELDOM: u8 = 4;

/// Something that a receiver hears.
pub fn to_receiver(rng: &mut Rng) -> Option<Bytes> {
    (rng.u8(..SELDOM) == 0).then(|| {
        frame(&match rng.u8(..6) {
            0 => ToReceiver::Pong,
            // Of these not as many as one likes.
            1 if rng.u8(..32) == 0 => {
                ToReceiver::Report(Report { owed_paths: rng.u64(..), in_sync: rng.bool(), ..Report::default() })
            }
            2 => ToReceiver::Problem { path: RelPath::parse(b"anchor").unwrap(), reason: "cannot be read".into() },
            3 => ToReceiver::Done(Done { entries: rng.u64(..), ..Done::default() }),
            _ => ToReceiver::Extra { kind: rng.u8(128..160), body: unknown(rng) },
        })
    })
}

/// Something that a sender hears.
pub fn to_sender(rng: &mut Rng) -> Option<Bytes> {
    (rng.u8(..SELDOM) == 0).then(|| {
        frame(&match rng.u8(..4) {
            0 => ToSender::Pong,
            1 => ToSender::Ping,
            _ => ToSender::Extra { kind: rng.u8(128..160), body: unknown(rng) },
        })
    })
}

fn unknown(rng: &mut Rng) -> Bytes {
    let length = *rng.choice(&[0, 1, 100, 20_000]).unwrap();
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}
