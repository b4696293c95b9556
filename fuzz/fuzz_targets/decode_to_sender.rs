//! One frame from a hostile peer to a sender: no panic, and what is taken is encoded as it came.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use proto::ToSender;
use proto::codec;

fuzz_target!(|frame: &[u8]| {
    let Ok(message) = ToSender::decode(Bytes::copy_from_slice(frame), proto::Version::HIGHEST) else { return };
    let mut buf = BytesMut::new();
    codec::put(&message, &mut buf);
    assert_eq!(&buf[codec::LENGTH..], frame);
});
