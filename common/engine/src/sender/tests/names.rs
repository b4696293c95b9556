//! Targets whose disks do not hold every name, or take some for one another: what has no place there is named, and not sent
//! again and again.

use proto::Capabilities;

use super::*;

/// Such a target, for a source with these files, of which each has its name for content.
fn pair(disk: Capabilities, files: &[&str]) -> Pair {
    let mut pair = Pair::new();
    pair.policy.capabilities = disk;
    for file in files {
        write(&pair, file);
    }
    pair
}

fn write(pair: &Pair, file: &str) {
    let at = pair.here.join(file);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, file).unwrap();
}

/// The paths that are named as not stored, in order.
fn unstored(pair: &Pair) -> Vec<String> {
    let problems = pair.mirror.entries.problems();
    let not_stored = problems.iter().filter(|(_, note)| note.reason.starts_with("not stored: "));
    let mut unstored: Vec<_> = not_stored.map(|(path, _)| path.to_string()).collect();
    assert_eq!(unstored.len() as u64, problems.len(), "{:?}", *problems);
    unstored.sort();
    unstored
}

/// All files that the target has.
fn stored(pair: &Pair) -> Vec<String> {
    let found = tree(&pair.there).into_keys().filter(|at| pair.there.join(at).is_file());
    found.map(|at| at.to_str().unwrap().to_owned()).collect()
}

fn assert_rests(pair: &mut Pair) {
    let before = unstored(pair);
    for _ in 0..2 {
        let (ended, took) = pair.pass();
        assert_eq!((ended, took.files, took.removed), (Ended::InSync, 0, 0));
        assert!(took.wire_bytes < 2048, "{} bytes of a tree that is alike", took.wire_bytes);
    }
    assert_eq!(unstored(pair), before);
}

fn folding() -> Capabilities {
    Capabilities { case: false, any_bytes: false, ..Capabilities::full() }
}

#[test]
fn what_is_called_too_long_or_as_the_disk_does_not_allow_is_named_and_the_rest_is_mirrored() {
    let long = "n".repeat(30);
    let fat = Capabilities { case: false, any_bytes: false, hardlinks: false, symlinks: false, ..Capabilities::full() };
    let disks = [(Capabilities { name: 20, ..Capabilities::full() }, long.as_str()), (fat, "what: this?")];
    for (disk, bad) in disks {
        let beneath = format!("{bad} folder/file");
        let mut pair = pair(disk, &["fine", "d/fine", bad, &beneath]);
        let in_folder = format!("d/{bad}");
        write(&pair, &in_folder);
        assert_eq!(pair.pass().0, Ended::InSync);
        assert_eq!(stored(&pair), ["d/fine", "fine"]);
        let mut named = vec![bad.to_owned(), format!("{bad} folder"), in_folder.clone()];
        named.sort();
        assert_eq!(unstored(&pair), named);
        assert_rests(&mut pair);
        // Events lead to nothing else.
        write(&pair, &beneath);
        pair.entry(&beneath, Cause::WRITTEN);
        write(&pair, &in_folder);
        pair.entry(&in_folder, Cause::CREATED | Cause::WRITTEN);
        pair.hint(Hint::Subtree { path: path(&format!("{bad} folder")) });
        let (ended, took) = pair.sync();
        assert_eq!((ended, took.files), (Ended::InSync, 0));
        // Away from it, towards it, and gone.
        pair.renamed(&in_folder, "d/short");
        pair.renamed("fine", &format!("d/{bad}2"));
        fs::remove_file(pair.here.join(bad)).unwrap();
        pair.entry(bad, Cause::GONE);
        assert_eq!(pair.sync().0, Ended::InSync);
        assert_eq!(stored(&pair), ["d/fine", "d/short"]);
        let mut named = vec![format!("{bad} folder"), format!("{bad} folder/file"), format!("d/{bad}2")];
        named.sort();
        assert_eq!(unstored(&pair), named);
        pair.pass();
        assert_rests(&mut pair);
    }
}

#[test]
fn of_names_that_are_one_there_the_first_has_the_place_and_the_others_are_named() {
    let mut pair = pair(folding(), &["README", "readme", "d/A", "d/b", "D/c"]);
    assert_eq!(pair.pass().0, Ended::InSync);
    assert_eq!(
        (stored(&pair), unstored(&pair)),
        (vec!["D/c".into(), "README".into()], vec!["d".into(), "readme".into()])
    );
    assert_rests(&mut pair);
    // One that comes is named at once; one that has no place any more makes way.
    write(&pair, "D/C");
    pair.entry("D/C", Cause::CREATED | Cause::WRITTEN);
    fs::remove_file(pair.here.join("README")).unwrap();
    pair.entry("README", Cause::GONE);
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(fs::read_to_string(pair.there.join("readme")).unwrap(), "readme");
    assert!(!pair.there.join("README").exists());
    pair.pass();
    assert_eq!((stored(&pair), unstored(&pair)), (vec!["D/C".into(), "readme".into()], vec!["D/c".into(), "d".into()]));
    assert_rests(&mut pair);
    // The folder that was in the way moves away.
    pair.renamed("D", "e");
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(stored(&pair), ["d/A", "d/b", "e/C", "readme"]);
    assert_eq!(unstored(&pair), ["e/c"]);
    assert_rests(&mut pair);
}

#[test]
fn another_spelling_of_a_name_is_no_move_there() {
    let mut pair = pair(folding(), &["a", "D/x"]);
    pair.pass();
    pair.renamed("a", "A");
    pair.renamed("D", "d");
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(stored(&pair), ["A", "d/x"]);
    assert_rests(&mut pair);
    pair.assert_equal();
    // As such a disk leaves it that keeps the name which it had: it is made anew under the other one.
    fs::rename(pair.there.join("A"), pair.there.join("a")).unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
}
