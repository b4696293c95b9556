//! What a [`Packer`] makes, an [`Unpacker`] gives back, and nothing else.

use super::*;

/// One frame, of so many bytes.
fn frame(length: usize, text: bool) -> Bytes {
    let mut rng = fastrand::Rng::with_seed(length as u64);
    let content = (LENGTH..length).map(|_| if text { b'a' + rng.u8(..16) } else { rng.u8(..) });
    ((length - LENGTH) as u32).to_le_bytes().into_iter().chain(content).collect()
}

/// What becomes of frames that travel as one.
fn pack(packer: &mut Packer, frames: Bytes) -> Bytes {
    let mut parts = packer.pack(frames);
    assert_eq!(parts.len(), 1);
    parts.remove(0)
}

fn unpacked(unpacker: &mut Unpacker, packed: Bytes) -> Result<Bytes, String> {
    let frame = codec::split(&mut packed.clone(), proto::limits::FRAME).unwrap().unwrap();
    let Ok(ToReceiver::Packed { length, bytes }) = ToReceiver::decode(frame, proto::Version::HIGHEST) else {
        panic!("not packed")
    };
    unpacker.unpack(length, &bytes)
}

#[test]
fn what_is_packed_comes_out_again_and_what_came_before_helps() {
    for level in [1, 9, 19] {
        let (mut packer, mut unpacker) = (Packer::new(Compress::Level(level), Clock::system()), Unpacker::default());
        let mut lengths = Vec::new();
        for length in [LEAST, 5000, 300_000, 300_000, PACKED] {
            let plain = frame(length, true);
            let packed = pack(&mut packer, plain.clone());
            lengths.push(packed.len());
            assert!(unpacked(&mut unpacker, packed) == Ok(plain));
        }
        assert!(lengths[2] < 200_000, "{lengths:?}");
        assert!(level == 1 || lengths[3] < 20_000, "the same again: {lengths:?}");
    }
}

#[test]
fn what_gets_no_smaller_or_is_small_leaves_as_it_is() {
    let mut packer = Packer::new(Compress::Level(3), Clock::system());
    for plain in [frame(300_000, false), frame(LEAST - 1, true), frame(PACKED + 1, true)] {
        assert!(packer.pack(plain.clone()) == [plain]);
    }
    // And is no part of the stream.
    let text = frame(300_000, true);
    assert!(unpacked(&mut Unpacker::default(), pack(&mut packer, text.clone())) == Ok(text));
    let mut off = Packer::new(Compress::Off, Clock::system());
    assert!(off.pack(frame(5000, true)) == [frame(5000, true)]);
}

#[test]
fn frames_that_get_smaller_are_parted_from_those_that_do_not() {
    let mut packer = Packer::new(Compress::Level(1), Clock::system());
    let [small, text, noise] = [frame(LARGE / 2, false), frame(100_000, true), frame(90_000, false)];
    let parts = packer.pack([&small[..], &text, &noise, &noise, &text].concat().into());
    let mut unpacker = Unpacker::default();
    assert_eq!(parts.len(), 3);
    assert!(unpacked(&mut unpacker, parts[0].clone()) == Ok([&small[..], &text].concat().into()));
    assert!(parts[1] == [&noise[..], &noise].concat());
    assert!(unpacked(&mut unpacker, parts[2].clone()) == Ok(text));
}

#[test]
fn what_is_never_packed_stands_between_what_is() {
    let mut packer = Packer::new(Compress::Level(1), Clock::system());
    let given = |message| {
        let mut buffer = BytesMut::new();
        codec::put(&message, &mut buffer);
        buffer.freeze()
    };
    let alone = [given(ToReceiver::Drop { id: 7 }), given(ToReceiver::Ping)].concat();
    let text = frame(5000, true);
    let parts = packer.pack([&text[..], &alone, &text].concat().into());
    let mut unpacker = Unpacker::default();
    assert_eq!(parts.len(), 3);
    assert!(parts[1] == alone);
    assert!([&parts[0], &parts[2]].into_iter().all(|part| unpacked(&mut unpacker, part.clone()) == Ok(text.clone())));
}

#[test]
fn what_has_no_pattern_is_found_again_until_nothing_gets_smaller_for_long() {
    let mut packer = Packer::new(Compress::Level(1), Clock::system());
    let noise = |more: usize| frame(300_000 + more, false);
    pack(&mut packer, frame(5000, true));
    assert!(pack(&mut packer, noise(0)).len() > 299_000);
    assert!(pack(&mut packer, noise(0)).len() < 1000, "the same again");
    let compressed = (1..100).take_while(|more| pack(&mut packer, noise(*more)) != noise(*more)).count();
    assert_eq!(compressed, BARREN.div_ceil(300_000));
    pack(&mut packer, frame(5000, true));
    assert!(pack(&mut packer, noise(0)) != noise(0));
}

#[test]
fn a_stream_goes_on_through_changes_of_level() {
    let mut packer = Packer::new(Compress::Auto, Clock::system());
    let mut unpacker = Unpacker::default();
    for level in [1, 3, 3, 9, 1] {
        packer.compress = Compress::Level(level);
        let text = frame(20_000, true);
        assert!(unpacked(&mut unpacker, pack(&mut packer, text.clone())) == Ok(text), "{level}");
    }
}

#[test]
fn no_stream_gives_more_or_less_than_it_says() {
    let text = frame(100_000, true);
    let packed = pack(&mut Packer::new(Compress::Level(1), Clock::system()), text);
    let frame = codec::split(&mut packed.clone(), proto::limits::FRAME).unwrap().unwrap();
    let Ok(ToReceiver::Packed { length, bytes }) = ToReceiver::decode(frame, proto::Version::HIGHEST) else {
        panic!("not packed")
    };
    for wrong in [1, length - 1, length + 1, PACKED as u32] {
        assert!(Unpacker::default().unpack(wrong, &bytes).is_err(), "{wrong}");
    }
    assert!(Unpacker::default().unpack(length, &bytes[..bytes.len() - 1]).is_err());
    assert!(Unpacker::default().unpack(length, b"no zstd at all").is_err());
    // A bomb: much more than it says, and a window that nobody has asked for.
    let bomb = zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap();
    assert!(Unpacker::default().unpack(900_000, &bomb).is_err());
    let mut wide = Encoder::new(1).unwrap();
    wide.set_parameter(CParameter::WindowLog(u32::from(PACKED_WINDOW) + 1)).unwrap();
    let (mut out, plain) = (vec![0; 1 << 20], vec![0; 1000]);
    let mut written = OutBuffer::around(&mut out[..]);
    wide.run(&mut InBuffer::around(&plain), &mut written).unwrap();
    wide.flush(&mut written).unwrap();
    let length = written.pos();
    assert!(Unpacker::default().unpack(1000, &out[..length]).is_err());
}

/// All that a packer has said at a time, as the receiver takes it in: what is unpacked, and the windows it hears of.
fn taken(unpacker: &mut Unpacker, mut frames: Bytes) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (mut plain, mut windows) = (Vec::new(), Vec::new());
    while let Some(frame) = codec::split(&mut frames, FRAME).unwrap() {
        match ToReceiver::decode(frame, proto::Version::HIGHEST).unwrap() {
            ToReceiver::Packed { length, bytes } => plain.extend_from_slice(&unpacker.unpack(length, &bytes)?),
            ToReceiver::Windowed { log } => {
                unpacker.windowed(log)?;
                windows.push(log);
            }
            other => panic!("{other:?}"),
        }
    }
    Ok((plain, windows))
}

/// So many bytes without a pattern, in frames that are packed as one.
fn noise(seed: u64) -> Bytes {
    let mut rng = fastrand::Rng::with_seed(seed);
    let content = (0..500_000).map(|_| rng.u8(..));
    500_000_u32.to_le_bytes().into_iter().chain(content).collect()
}

#[test]
fn a_quiet_sender_ends_its_frame_and_nobody_holds_anything() {
    let clock = Clock::manual();
    let (mut packer, mut unpacker) = (Packer::new(Compress::Level(3), clock.clone()), Unpacker::default());
    assert!(packer.due().is_none() && packer.rest().is_none());
    for _ in 0..3 {
        let text = frame(20_000, true);
        let packed = pack(&mut packer, text.clone());
        assert!(packed.len() > 8000, "nothing of what came before is known");
        assert!(unpacked(&mut unpacker, packed) == Ok(text.clone()));
        clock.advance(QUIET - Duration::from_millis(1));
        assert!(packer.rest().is_none() && unpacker.is_open());
        assert!(unpacked(&mut unpacker, pack(&mut packer, text.clone())) == Ok(text));
        clock.advance(QUIET - Duration::from_millis(1));
        assert_eq!((packer.due(), packer.rest()), (Some(clock.now() + Duration::from_millis(1)), None));
        clock.advance(Duration::from_millis(1));
        let end = packer.rest().unwrap();
        assert!(end.len() < 20, "{} bytes", end.len());
        assert_eq!(taken(&mut unpacker, end), Ok((Vec::new(), Vec::new())));
        assert!(!unpacker.is_open() && packer.open.is_none() && packer.due().is_none());
    }
}

#[test]
fn a_larger_window_is_used_once_it_is_granted_and_until_it_is_taken_back() {
    let clock = Clock::manual();
    let (mut packer, mut unpacker) = (Packer::new(Compress::Level(1), clock.clone()), Unpacker::default());
    // The same again after 2 MB.
    let again = |packer: &mut Packer, unpacker: &mut Unpacker| {
        let mut last = (0, Vec::new());
        for seed in [1, 2, 3, 4, 1] {
            packer.barren = 0;
            let packed = pack(packer, noise(seed));
            let length = packed.len();
            let (plain, windows) = taken(unpacker, packed).unwrap();
            assert!(plain == noise(seed));
            last = (length, [last.1, windows].concat());
        }
        last
    };
    assert!(matches!(again(&mut packer, &mut unpacker), (490_000.., windows) if windows.is_empty()));
    packer.allow(23);
    assert!(packer.rest().is_none(), "the answer comes with what is packed next");
    assert!(matches!(again(&mut packer, &mut unpacker), (..1000, windows) if windows == [23]));
    packer.allow(20);
    assert_eq!(packer.due(), Some(clock.now()));
    let end = packer.rest().unwrap();
    assert_eq!(taken(&mut unpacker, end), Ok((Vec::new(), vec![20])));
    assert!(matches!(again(&mut packer, &mut unpacker), (490_000.., windows) if windows.is_empty()));
}

#[test]
fn what_is_granted_to_one_who_has_nothing_to_pack_is_given_back() {
    let clock = Clock::manual();
    let (mut packer, mut unpacker) = (Packer::new(Compress::Level(1), clock.clone()), Unpacker::default());
    taken(&mut unpacker, pack(&mut packer, frame(20_000, true))).unwrap();
    packer.allow(23);
    clock.advance(QUIET);
    assert_eq!(taken(&mut unpacker, packer.rest().unwrap()), Ok((Vec::new(), vec![20])));
    packer.allow(22);
    taken(&mut unpacker, pack(&mut packer, frame(20_000, true))).unwrap();
    assert_eq!(unpacker.window(), 22);
    packer.allow(20);
    assert_eq!(taken(&mut unpacker, packer.rest().unwrap()), Ok((Vec::new(), vec![20])));
    assert!(packer.due().is_none());
    // One who never packs answers, too.
    let mut off = Packer::new(Compress::Off, clock.clone());
    off.allow(23);
    clock.advance(QUIET);
    assert_eq!(taken(&mut unpacker, off.rest().unwrap()), Ok((Vec::new(), vec![20])));
}

/// The start of a zstd frame with this window, which gives 1,000 bytes.
fn begun(window: u8) -> Vec<u8> {
    let mut encoder = Encoder::new(1).unwrap();
    encoder.set_parameter(CParameter::WindowLog(window.into())).unwrap();
    let (mut out, plain) = (vec![0; 10_000], vec![0; 1000]);
    let mut written = OutBuffer::around(&mut out[..]);
    encoder.run(&mut InBuffer::around(&plain), &mut written).unwrap();
    encoder.flush(&mut written).unwrap();
    let length = written.pos();
    out.truncate(length);
    out
}

#[test]
fn no_window_is_larger_than_was_agreed_and_none_changes_within_a_frame() {
    for agreed in PACKED_WINDOW..=23 {
        for used in PACKED_WINDOW..=24 {
            let mut unpacker = Unpacker::default();
            unpacker.windowed(agreed).unwrap();
            assert_eq!(unpacker.unpack(1000, &begun(used)).is_ok(), used <= agreed, "{used} of {agreed}");
        }
    }
    let mut unpacker = Unpacker::default();
    unpacker.unpack(1000, &begun(20)).unwrap();
    assert!(unpacker.windowed(20).is_err());
}

#[test]
fn only_the_end_of_a_frame_gives_nothing() {
    let whole = zstd::bulk::compress(&[], 1).unwrap();
    assert!(Unpacker::default().unpack(0, &whole).is_err(), "a frame of nothing");
    let mut unpacker = Unpacker::default();
    unpacker.unpack(1000, &begun(20)).unwrap();
    assert!(unpacker.unpack(0, b"\0\0\0").is_err(), "an empty block that is not the last");
    let mut unpacker = Unpacker::default();
    unpacker.unpack(1000, &begun(20)).unwrap();
    assert_eq!((unpacker.unpack(0, b"\x01\0\0"), unpacker.is_open()), (Ok(Bytes::new()), false));
}
