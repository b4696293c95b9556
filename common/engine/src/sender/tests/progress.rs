//! How far the sending is moves with the bytes of a large file, and what there is to do is known as soon as it was seen.

use proto::ToSender;

use super::owed::Mute;
use super::*;
use crate::mirror::Far;

const MIB: u64 = 1 << 20;

/// Content that does not get smaller.
fn noise(bytes: u64) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn it_moves_during_one_large_file() {
    let pair = Pair::new();
    let size = 16 * MIB;
    fs::write(pair.here.join("large"), noise(size)).unwrap();
    pair.entry("large", Cause::CREATED | Cause::WRITTEN);
    let mut mute = Mute::new(pair);
    let mut before = 0;
    for _ in 0..3 {
        mute.eventually("further", |mirror| mirror.progress.far().bytes > before);
        let far = mute.pair.mirror.progress.far();
        before = far.bytes;
        assert!(far.bytes < size, "{far:?}");
        assert_eq!(far, Far { files: 0, found_files: 1, found_bytes: size, bytes: before, ..far });
        // The rest waits for the target to take something.
        for _ in 0..3 {
            mute.inbox.blocking_recv().unwrap();
        }
    }
    let mirror = mute.pair.mirror.clone();
    mute.hang_up();
    assert_eq!(mirror.progress.far(), Far::default(), "what was under way is to be sent again");
}

#[test]
fn all_that_there_is_to_do_is_known_before_it_is_done() {
    let pair = Pair::new();
    fs::create_dir(pair.here.join("folder")).unwrap();
    for n in 0..10 {
        fs::write(pair.here.join(format!("folder/{n}")), noise(MIB)).unwrap();
    }
    fs::write(pair.here.join("small"), "five!").unwrap();
    pair.hint(Hint::Subtree { path: RelPath::root() });
    let mut mute = Mute::new(pair);
    mute.eventually("compared", |mirror| mirror.sent.totals().compared >= 2);
    // The target has nothing: of the files in the folder only the names are listed.
    mute.answer(&ToSender::Listing { op: 2, entries: Vec::new(), last: true });
    mute.eventually("begun", |mirror| mirror.progress.far().bytes > 0);
    let all = 10 * MIB + 5;
    while !mute.pair.mirror.progress.far().whole {
        mute.inbox.blocking_recv().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    let far = mute.pair.mirror.progress.far();
    assert_eq!((far.found_files, far.found_bytes, far.compared), (11, all, 12), "{far:?}");
    assert!(far.bytes < all && far.files < 11, "{far:?}");
    mute.hang_up();
}
