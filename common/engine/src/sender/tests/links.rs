//! Files with several names.

use super::*;

#[test]
fn a_new_name_of_a_file_is_found_to_be_one() {
    let mut pair = Pair::new();
    fs::create_dir_all(pair.here.join("deep/down")).unwrap();
    fs::write(pair.here.join("deep/down/first"), "one file").unwrap();
    pair.pass();
    fs::hard_link(pair.here.join("deep/down/first"), pair.here.join("second")).unwrap();
    pair.entry("second", Cause::CREATED);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
    fs::write(pair.here.join("second"), "written by one name").unwrap();
    pair.entry("second", Cause::WRITTEN);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn a_new_name_is_found_though_an_earlier_search_found_no_other() {
    let mut pair = Pair::new();
    let outside = pair.here.with_extension("outside");
    fs::write(pair.here.join("one"), "x").unwrap();
    fs::hard_link(pair.here.join("one"), &outside).unwrap();
    pair.pass();
    fs::write(pair.here.join("one"), "its other name is outside").unwrap();
    pair.entry("one", Cause::WRITTEN);
    assert_eq!(pair.sync().0, Ended::InSync);
    fs::remove_file(&outside).unwrap();
    // Out and in again: nothing is known of the name that it has now.
    fs::rename(pair.here.join("one"), pair.here.join("uno")).unwrap();
    pair.entry("one", Cause::GONE);
    pair.entry("uno", Cause::WRITTEN);
    assert_eq!(pair.sync().0, Ended::InSync);
    fs::hard_link(pair.here.join("uno"), pair.here.join("two")).unwrap();
    pair.entry("two", Cause::CREATED);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn a_file_written_under_a_name_that_it_lost_is_sent_under_its_others() {
    let mut pair = Pair::new();
    fs::create_dir(pair.here.join("d")).unwrap();
    fs::write(pair.here.join("d/one"), "before").unwrap();
    fs::hard_link(pair.here.join("d/one"), pair.here.join("other")).unwrap();
    pair.pass();
    fs::write(pair.here.join("d/one"), "after").unwrap();
    pair.entry("d/one", Cause::WRITTEN);
    fs::remove_dir_all(pair.here.join("d")).unwrap();
    pair.entry("d", Cause::GONE);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn links_that_were_parted_here_are_parted_there() {
    let mut pair = Pair::new();
    fill(&pair.here);
    pair.pass();
    // The same content, size and time in a file of its own: no comparison of entries can tell.
    let (linked, copy) = (pair.here.join("z/same"), pair.here.join("z/copy"));
    let folder = fs::metadata(pair.here.join("z")).unwrap().modified().unwrap();
    let time = fs::metadata(&linked).unwrap().modified().unwrap();
    fs::copy(&linked, &copy).unwrap();
    fs::File::options().write(true).open(&copy).unwrap().set_modified(time).unwrap();
    fs::rename(&copy, &linked).unwrap();
    fs::File::open(pair.here.join("z")).unwrap().set_modified(folder).unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn of_two_names_acknowledged_at_once_both_are_known() {
    let mut pair = Pair::new();
    let outside = pair.here.with_extension("outside");
    fs::write(pair.here.join("known"), "x").unwrap();
    fs::hard_link(pair.here.join("known"), &outside).unwrap();
    pair.pass();
    fs::write(pair.here.join("known"), "a search finds no other name").unwrap();
    pair.entry("known", Cause::WRITTEN);
    assert_eq!(pair.sync().0, Ended::InSync);
    // The target has a file of its own under the name that comes in.
    fs::copy(pair.here.join("known"), pair.there.join("in")).unwrap();
    let time = fs::metadata(&outside).unwrap().modified().unwrap();
    fs::File::options().write(true).open(pair.there.join("in")).unwrap().set_modified(time).unwrap();
    fs::rename(&outside, pair.here.join("in")).unwrap();
    for name in ["in", "known", ""] {
        pair.entry(name, Cause::ATTRIBUTES);
    }
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

/// To a module that keeps no hard links.
fn separate() -> Pair {
    let keep = Keep::DEFAULT.iter().filter(|kept| *kept != proto::Kept::Hardlinks).collect();
    Pair { keep, ..Pair::new() }
}

/// Waits for what is owed, and compares all but which names share a file.
fn settles(pair: &mut Pair) -> Totals {
    let (ended, took) = pair.sync();
    assert_eq!(ended, Ended::InSync);
    let separate = |root: &Path| -> BTreeMap<_, _> {
        tree(root)
            .into_iter()
            .map(|(path, (mode, s, ns, uid, _, content))| (path, (mode, s, ns, uid, content)))
            .collect()
    };
    let (here, there) = (separate(&pair.here), separate(&pair.there));
    assert_eq!(here, there);
    took
}

#[test]
fn names_that_are_files_of_their_own_there_get_what_is_written_through_one() {
    for size in [10, 400_000] {
        let mut pair = separate();
        fs::create_dir(pair.here.join("d")).unwrap();
        fs::write(pair.here.join("d/one"), vec![b'1'; size]).unwrap();
        for name in ["two", "d/three"] {
            fs::hard_link(pair.here.join("d/one"), pair.here.join(name)).unwrap();
        }
        pair.hint(Hint::Subtree { path: RelPath::root() });
        settles(&mut pair);
        for name in ["two", "d/one", "d/three"] {
            fs::write(pair.here.join(name), format!("{name}{}", "x".repeat(size))).unwrap();
            pair.entry(name, Cause::WRITTEN);
            assert_eq!(settles(&mut pair).files, 3, "each once");
        }
        fs::set_permissions(pair.here.join("two"), fs::Permissions::from_mode(0o600)).unwrap();
        pair.entry("two", Cause::ATTRIBUTES);
        assert_eq!(settles(&mut pair).files, 0, "a mode is no content");
    }
}

#[test]
fn a_name_that_nobody_knows_of_gets_what_is_written_through_another() {
    let mut pair = separate();
    fs::create_dir_all(pair.here.join("deep/down")).unwrap();
    fs::write(pair.here.join("deep/down/one"), "x").unwrap();
    fs::hard_link(pair.here.join("deep/down/one"), pair.here.join("two")).unwrap();
    fs::create_dir(pair.there.join("deep")).unwrap();
    for (name, cause) in [("deep/down", Cause::CREATED), ("two", Cause::CREATED)] {
        pair.entry(name, cause);
    }
    pair.entry("", Cause::ENTRIES);
    pair.entry("deep", Cause::ENTRIES);
    settles(&mut pair);
    // Nothing is remembered.
    pair.sender = None;
    fs::write(pair.here.join("two"), "another").unwrap();
    pair.entry("two", Cause::WRITTEN);
    settles(&mut pair);
}

#[test]
fn a_file_written_under_a_name_that_it_lost_is_sent_under_all_its_others() {
    let mut pair = separate();
    fs::create_dir(pair.here.join("d")).unwrap();
    fs::write(pair.here.join("d/one"), "before").unwrap();
    for name in ["two", "three"] {
        fs::hard_link(pair.here.join("d/one"), pair.here.join(name)).unwrap();
    }
    pair.hint(Hint::Subtree { path: RelPath::root() });
    settles(&mut pair);
    fs::write(pair.here.join("d/one"), "and after").unwrap();
    pair.entry("d/one", Cause::WRITTEN);
    fs::remove_dir_all(pair.here.join("d")).unwrap();
    pair.entry("d", Cause::GONE);
    pair.entry("", Cause::ENTRIES);
    settles(&mut pair);
}

#[test]
fn a_new_name_has_no_other_sent_again() {
    let mut pair = separate();
    for n in 0..20 {
        fs::write(pair.here.join(format!("{n}")), "x").unwrap();
    }
    pair.hint(Hint::Subtree { path: RelPath::root() });
    settles(&mut pair);
    for n in 0..20 {
        fs::hard_link(pair.here.join(format!("{n}")), pair.here.join(format!("new {n}"))).unwrap();
        pair.entry(&format!("new {n}"), Cause::CREATED);
    }
    pair.entry("", Cause::ENTRIES);
    assert_eq!(settles(&mut pair).files, 20);
}

#[test]
fn a_file_written_under_the_name_that_it_had_first_and_lost_is_sent_under_the_new_one() {
    let mut pair = separate();
    fs::write(pair.here.join("b"), "before").unwrap();
    pair.hint(Hint::Subtree { path: RelPath::root() });
    settles(&mut pair);
    fs::hard_link(pair.here.join("b"), pair.here.join("f")).unwrap();
    pair.entry("f", Cause::CREATED);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(settles(&mut pair).files, 1, "the old name is looked for, not sent");
    fs::write(pair.here.join("b"), "and after").unwrap();
    fs::remove_file(pair.here.join("b")).unwrap();
    pair.entry("b", Cause::WRITTEN | Cause::GONE);
    pair.entry("", Cause::ENTRIES);
    settles(&mut pair);
}
