//! Large files of which the target has an older version: only what is new travels, and what comes of it is the same.

use fastrand::Rng;

use super::*;

/// Bytes without a pattern.
fn noise(rng: &mut Rng, length: usize) -> Vec<u8> {
    (0..length).map(|_| rng.u8(..)).collect()
}

/// A pair that has a file `f` with this content on both sides.
fn pair_with(content: &[u8], durability: Durability) -> Pair {
    let mut pair = Pair::new();
    pair.durability = durability;
    fs::write(pair.here.join("f"), content).unwrap();
    pair.pass();
    pair.assert_equal();
    pair
}

impl Pair {
    /// Writes a new version of `f` and sends it; returns the bytes on the wire.
    fn change(&mut self, content: &[u8]) -> u64 {
        fs::write(self.here.join("f"), content).unwrap();
        self.entry("f", Cause::WRITTEN);
        let (ended, took) = self.sync();
        assert_eq!((ended, took.files), (Ended::InSync, 1));
        assert!(fs::read(self.there.join("f")).unwrap() == content, "another content");
        took.wire_bytes
    }
}

#[test]
fn only_what_is_new_travels() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rng = Rng::with_seed(1);
        let old = noise(&mut rng, 8 << 20);
        let mut pair = pair_with(&old, durability);
        let new = noise(&mut rng, 10_000);
        let appended = [&old[..], &new].concat();
        let wire = pair.change(&appended);
        assert!((10_000..11_000).contains(&wire), "{wire} bytes for 10000 that were appended");
        let inserted = [&old[..77], b"x", &old[77..]].concat();
        let wire = pair.change(&inserted);
        assert!(wire < 80_000, "{wire} bytes for one that was inserted");
        let wire = pair.change(&old);
        assert!(wire < 80_000, "{wire} bytes for one that was taken out");
        let mut overwritten = old.clone();
        overwritten[5_000_000..5_000_100].fill(0);
        let wire = pair.change(&overwritten);
        assert!(wire < 80_000, "{wire} bytes for 100 that were overwritten");
        let turned = [&old[4 << 20..], &old[..4 << 20]].concat();
        let wire = pair.change(&turned);
        assert!(wire < 200_000, "{wire} bytes for halves that changed places");
        let wire = pair.change(&old[..3 << 20]);
        assert!(wire < 80_000, "{wire} bytes for a beginning");
        // Metadata alone sends no content, and a new file has no basis.
        fs::set_permissions(pair.here.join("f"), fs::Permissions::from_mode(0o600)).unwrap();
        pair.entry("f", Cause::ATTRIBUTES);
        assert_eq!(pair.sync().1.files, 0);
        pair.assert_equal();
    }
}

#[test]
fn a_pass_sends_what_is_new_of_a_file_that_differs() {
    let mut rng = Rng::with_seed(2);
    let old = noise(&mut rng, 4 << 20);
    let mut pair = pair_with(&old, Durability::None);
    fs::write(pair.here.join("f"), [&old[..], b"more"].concat()).unwrap();
    let (ended, took) = pair.pass();
    assert_eq!((ended, took.files), (Ended::InSync, 1));
    assert!(took.wire_bytes < 10_000, "{} bytes for four", took.wire_bytes);
    pair.assert_equal();
}

#[test]
fn equal_bytes_over_and_over_take_no_longer_and_come_out_right() {
    let mut pair = pair_with(&vec![0; 6 << 20], Durability::None);
    let wire = pair.change(&vec![0; 9 << 20]);
    assert!(wire < (3 << 20) + 1000, "{wire} bytes for 3 MiB of zeros behind 6");
    pair.change(&[vec![0; 1_000_001], vec![1; 1], vec![0; 5 << 20]].concat());
    pair.change(&vec![1; 6 << 20]);
    pair.change(&b"abcdefg".repeat(1 << 20));
    pair.change(&b"bcdefga".repeat(1 << 20));
}

#[test]
fn random_edits_come_out_right() {
    for durability in [Durability::None, Durability::Batch] {
        let seed = fastrand::u64(..1 << 40);
        let mut rng = Rng::with_seed(seed);
        let length = rng.usize(300_000..3_000_000);
        let mut content = noise(&mut rng, length);
        let mut pair = pair_with(&content, durability);
        for _ in 0..12 {
            for _ in 0..rng.usize(1..6) {
                let (at, length) = (rng.usize(..content.len()), rng.usize(1..200_000));
                let end = content.len().min(at + length);
                match rng.u8(..5) {
                    0 => content[at..end].fill(rng.u8(..2)),
                    1 => drop(content.drain(at..end)),
                    2 => drop(content.splice(at..at, noise(&mut rng, length))),
                    3 => content.extend(noise(&mut rng, length)),
                    _ => {
                        let moved: Vec<u8> = content.drain(at..end).collect();
                        let to = rng.usize(..=content.len());
                        content.splice(to..to, moved);
                    }
                }
                // Below that it travels in one piece.
                if content.len() < 300_000 {
                    content.extend(noise(&mut rng, 300_000));
                }
            }
            fs::write(pair.here.join("f"), &content).unwrap();
            pair.entry("f", Cause::WRITTEN);
            assert_eq!(pair.sync().0, Ended::InSync, "seed {seed}");
            assert!(fs::read(pair.there.join("f")).unwrap() == content, "seed {seed}: another content");
            pair.assert_equal();
        }
    }
}

#[test]
fn a_file_with_holes_keeps_them() {
    let mut rng = Rng::with_seed(3);
    let mut pair = pair_with(&noise(&mut rng, 4 << 20), Durability::None);
    let file = fs::File::options().write(true).open(pair.here.join("f")).unwrap();
    file.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"behind a hole", 5 << 20).unwrap();
    pair.entry("f", Cause::WRITTEN);
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files), (Ended::InSync, 1));
    assert!(took.wire_bytes < 10_000, "{} bytes", took.wire_bytes);
    pair.assert_equal();
    assert!(fs::metadata(pair.there.join("f")).unwrap().blocks() * 512 < 4_500_000);
}

#[test]
fn another_file_at_the_target_is_no_trouble() {
    let mut rng = Rng::with_seed(4);
    let old = noise(&mut rng, 1 << 20);
    for other in ["nothing", "a folder", "a link", "garbage", "a name of another"] {
        let mut pair = pair_with(&old, Durability::None);
        let at = pair.there.join("f");
        if other != "a name of another" {
            fs::remove_file(&at).unwrap();
        }
        match other {
            "nothing" => {}
            "a folder" => fs::create_dir(&at).unwrap(),
            "a link" => symlink("/etc/passwd", &at).unwrap(),
            "garbage" => fs::write(&at, noise(&mut rng, 700_000)).unwrap(),
            _ => fs::hard_link(&at, pair.there.join("../elsewhere")).unwrap(),
        }
        let wire = pair.change(&[&old[..], b"more"].concat());
        assert!(wire > 1 << 20, "{other}: {wire} bytes");
    }
}

#[test]
fn what_is_appended_time_and_again_travels_alone() {
    let mut rng = Rng::with_seed(9);
    let mut content = noise(&mut rng, 64 << 20);
    let mut pair = pair_with(&content, Durability::None);
    for _ in 0..6 {
        content.extend(noise(&mut rng, 100_000));
        let wire = pair.change(&content);
        assert!((100_000..102_000).contains(&wire), "{wire} bytes for 100000 that were appended");
    }
    content.insert(1000, 1);
    let wire = pair.change(&content);
    // What was appended was cut at the ends of those pieces, too.
    assert!(wire < 700_000, "{wire} bytes for one that was inserted");
}

#[test]
fn what_changes_at_the_target_behind_its_back_is_sent_again() {
    let mut rng = Rng::with_seed(10);
    let mut content = noise(&mut rng, 4 << 20);
    let mut pair = pair_with(&content, Durability::None);
    for round in 0..3u8 {
        content.push(round);
        pair.change(&content);
        // Of the same size and time: only the kernel's own clock tells.
        let file = fs::File::options().write(true).open(pair.there.join("f")).unwrap();
        let mtime = file.metadata().unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        file.write_all_at(b"damaged", 1_000_000).unwrap();
        file.set_modified(mtime).unwrap();
    }
    content.push(b'.');
    pair.change(&content);
}

#[test]
fn holes_stay_holes() {
    let mut pair = Pair::new();
    let file = fs::File::create(pair.here.join("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"in the middle", 32 << 20).unwrap();
    drop(file);
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
    let (here, there) =
        (fs::metadata(pair.here.join("sparse")).unwrap(), fs::metadata(pair.there.join("sparse")).unwrap());
    assert!(there.blocks() <= here.blocks() + 16, "{} blocks became {}", here.blocks(), there.blocks());
}
