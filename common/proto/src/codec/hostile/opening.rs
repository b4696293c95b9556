//! What is said before the data phase, and the policy with which it begins: bytes that no honest peer sends.

use super::*;

#[test]
fn logins_out_of_range_are_errors() {
    assert!(decode::<Hello>(Bytes::from_static(b"\x01\0\0\x01\0\0")).is_err());
    assert!(decode::<Hello>(Bytes::from_static(b"\x01\x02\0\x01\0\0")).is_err());
    assert!(decode::<Login>(Bytes::from_static(b"\x03\0\x01\0x")).is_err());
    assert!(decode::<Login>(Bytes::from_static(b"\x03\x01u\0\0")).is_err());
    assert!(decode::<Login>([&b"\x03\x01u\x01\x04"[..], &[b'x'; 1025]].concat().into()).is_err());
    let open = |changed: &[(usize, u8)]| {
        let mut frame = unhex(golden::LoginFrames::PUSH)[LENGTH..].to_vec();
        changed.iter().for_each(|(at, byte)| frame[*at] = *byte);
        decode::<Open>(frame.into()).is_ok()
    };
    // Purpose, token, state, terms, extensions.
    assert!(open(&[]) && open(&[(7, 2)]));
    for wrong in [(7, 1), (7, 4), (24, 2), (41, 1), (41, 3), (42, 1), (42, 2), (43, 1)] {
        assert!(!open(&[wrong]), "{wrong:?}");
    }
    let opened = |frame: &[u8]| decode::<Opened>(Bytes::copy_from_slice(frame));
    let plain = [&[6, 1, 0, 0, 0, 0][..], &[0; 8], &[0, 0, 0]].concat();
    assert!(opened(&plain).is_ok());
    for (at, byte) in [(1, 2), (3, 2), (4, 2), (5, 2), (14, 2), (15, 1), (16, 1)] {
        let mut wrong = plain.clone();
        wrong[at] = byte;
        assert!(opened(&wrong).is_err(), "{at} {byte}");
    }
    assert!(opened(&[&plain[..], &[0]].concat()).is_err());
    let most = |count: u8| [&plain[..15], &[count], &vec![1; usize::from(count) * 16][..], &[0]].concat();
    assert!(opened(&most(128)).is_ok());
    assert!(opened(&most(129)).is_err());
}

#[test]
fn extensions_rise_and_none_that_is_needed_is_skipped() {
    let welcome = |extensions: &[u8]| decode::<Welcome>([&[2, 1, 0, 0][..], extensions].concat().into()).map(drop);
    assert_eq!(welcome(&[0]), Ok(()));
    assert_eq!(welcome(&[2, 1, 0, 0, 0, 3, 0, 1, 0, 7]), Ok(()));
    let order = Err(Error::Invalid { what: "extensions", why: "are not in rising order" });
    assert_eq!(welcome(&[2, 3, 0, 0, 0, 3, 0, 0, 0]), order);
    assert_eq!(welcome(&[2, 3, 0, 0, 0, 1, 0, 0, 0]), order);
    assert_eq!(welcome(&[1, 3, 128, 0, 0]), Err(Error::Unsupported { number: 3 }));
    assert_eq!(welcome(&[33]), Err(Error::TooLong { what: "extensions", len: 33, max: 32 }));
    assert!(welcome(&[1, 3, 0, 1, 0]).is_err());
}

#[test]
fn policies_out_of_range_are_errors() {
    let policy = |changed: &[(usize, u8)]| {
        let mut frame = encoded(&ToSender::Policy(Box::default())).to_vec();
        changed.iter().for_each(|(at, byte)| frame[*at] = *byte);
        decode::<ToSender>(frame.into())
    };
    assert!(policy(&[]).is_ok());
    // Patterns, owner, a flag, a bound, granularity of 0 and of more than 2 s, bits, a name of 0 and of 511 bytes.
    for wrong in [(1, 1), (5, 2), (8, 2), (9, 2), (12, 0), (15, 255), (33, 1), (34, 0), (35, 1)] {
        assert!(policy(&[wrong]).is_err(), "{wrong:?}");
    }
    assert!(policy(&[(23, 127), (31, 126)]).is_err(), "a range that ends before it begins");
    let patterns = |count: usize, bytes: usize| {
        let exclude = vec!["x".repeat(bytes); count];
        decode::<ToSender>(encoded(&ToSender::Policy(Box::new(crate::policy::Policy {
            exclude,
            ..Default::default()
        }))))
    };
    assert!(patterns(128, limits::PATTERN).is_ok() && patterns(limits::PATTERNS, 9).is_ok());
    assert!(patterns(129, limits::PATTERN).is_err() && patterns(limits::PATTERNS + 1, 9).is_err());
    assert!(patterns(1, 0).is_err());
}
