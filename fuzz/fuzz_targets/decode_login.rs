//! One frame of the login from a hostile peer, to the decoders and to both machines: no panic, and what is taken is
//! encoded as it came.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use proto::codec::{self, Wire};
use proto::dialogue::{AwaitHello, ClientHello};
use proto::login::{Accepted, Hello, Login, Open, Opened, Refusal, Welcome};

fn take<M: Wire>(frame: &Bytes) -> Option<M> {
    let message = M::decode(frame.clone(), proto::Version::HIGHEST).ok()?;
    let mut buf = BytesMut::new();
    codec::put(&message, &mut buf);
    assert_eq!(buf[codec::LENGTH..], frame[..]);
    Some(message)
}

fuzz_target!(|frame: &[u8]| {
    let frame = Bytes::copy_from_slice(frame);
    take::<Hello>(&frame);
    take::<Welcome>(&frame);
    take::<Login>(&frame);
    take::<Accepted>(&frame);
    take::<Open>(&frame);
    take::<Opened>(&frame);
    if let Some(refusal) = take::<Refusal>(&frame) {
        assert!(!refusal.to_string().chars().any(char::is_control));
    }
    // Each step consumes its state, so one frame tells all about it: right or wrong, the state is gone.
    match AwaitHello::new("recvd").hello(frame.clone()) {
        Ok((_, _, state)) => drop(state.login(frame.clone())),
        Err(refusal) => drop(refusal.to_string()),
    }
    let (_, state) = ClientHello::start("pushd");
    if let Err(ended) = state.welcome(frame) {
        drop(ended.to_string());
    }
});
