//! What of the target's a pass may delete, and what it holds.

use super::*;

#[test]
fn nothing_is_deleted_before_every_folder_is_answered_and_counted() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Percent(50.0));
    assert_eq!(said(&mut pass), ["list ."]);
    list(&mut pass, "", &[("a", Kind::Dir), ("b", Kind::Dir), ("c", Kind::File)]);
    assert_eq!(said(&mut pass), ["list b a", "compare ."]);
    there(&mut pass, "", &[("a", Kind::Dir), ("b", Kind::Dir), ("c", Kind::File), ("gone", Kind::Dir)]);
    list(&mut pass, "a", &[]);
    assert_eq!(said(&mut pass), ["compare a"]);
    pass.is_alike(&path("a"));
    assert!(said(&mut pass).is_empty(), "b is not listed yet");
    pass.unlisted();
    assert_eq!(said(&mut pass).len(), 1, "the size of what is gone");
    pass.counted(&path("gone"), 3);
    assert!(matches!(pass.next(Window::Open), Some(Action::Judge)));
    assert!(pass.next(Window::Open).is_none(), "it has no leave yet");
    pass.may_delete(LEAVE);
    assert_eq!(said(&mut pass), ["delete 3 of 6, named 1", "End"]);
}

#[test]
fn what_is_too_much_is_counted_anew_then_ends_without_a_deletion_and_then_is_held() {
    for doubted in [false, true] {
        let mut pass = pass("", Reach::Subtree, MaxDelete::Percent(50.0));
        said(&mut pass);
        list(&mut pass, "", &[("a", Kind::File)]);
        said(&mut pass);
        there(&mut pass, "", &[("a", Kind::File), ("b", Kind::File), ("c", Kind::File)]);
        assert_eq!(said(&mut pass), ["Judge"]);
        pass.may_delete(Leave { doubted, ..LEAVE });
        let questions = said(&mut pass);
        assert_eq!(questions.len(), 3, "both and the whole: {questions:?}");
        for (place, entries) in [("", 4), ("c", 1), ("b", 1)] {
            pass.counted(&path(place), entries);
            pass.counted(&path(place), 1000);
        }
        assert_eq!(said(&mut pass), ["Judge"]);
        pass.may_delete(Leave { doubted, ..LEAVE });
        let said = said(&mut pass);
        match doubted {
            false => assert_eq!(said, ["look once more, as 2 of 3 would go", "End"]),
            true => assert_eq!(said, ["hold 2 of 3, named 2", "End"]),
        }
    }
}

#[test]
fn a_size_that_cannot_be_told_deletes_nothing_and_holds_nothing() {
    let mut pass = pass("d", Reach::Folder, MaxDelete::Percent(50.0));
    said(&mut pass);
    list(&mut pass, "d", &[]);
    said(&mut pass);
    there(&mut pass, "d", &[("b", Kind::Dir), ("c", Kind::Dir), ("f", Kind::File)]);
    assert_eq!(said(&mut pass).len(), 3, "two folders and the whole");
    pass.uncounted(&path("d/b"));
    pass.uncounted(&path(""));
    assert!(said(&mut pass).is_empty());
    pass.counted(&path("d/c"), 9);
    assert_eq!(said(&mut pass), ["delete 0 of 0, named 0", "End"]);
}

#[test]
fn of_what_is_too_much_to_be_held_all_is_judged_and_some_deleted_at_a_time() {
    for (at, most) in [("", 95.0), ("", 90.0), ("d", 60.0), ("d", 50.0)] {
        let mut pass = pass(at, Reach::Subtree, MaxDelete::Percent(most));
        said(&mut pass);
        list(&mut pass, at, &[("a", Kind::File)]);
        said(&mut pass);
        let names: Vec<_> = (1000..1010).map(|number| format!("f{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        part_of(1000, &mut pass, at, &[&["a"], &names[..5]].concat(), false, &[]);
        said(&mut pass);
        part_of(1000, &mut pass, at, &names[5..], true, &[]);
        assert_eq!(pass.extras(), 8);
        assert!(pass.held < 1200, "{} bytes are held", pass.held);
        let questions = said(&mut pass);
        assert_eq!(questions.len(), if at.is_empty() { 1 } else { 2 }, "{questions:?}");
        // Ten of the eleven in the folder go. Of seven in other folders it is not known that they stay.
        pass.counted(&path("d"), 12);
        pass.counted(&path(""), 19);
        assert_eq!(said(&mut pass), ["Judge"]);
        pass.may_delete(LEAVE);
        let said = said(&mut pass);
        match (at, most) {
            ("", 95.0) => assert_eq!(said, ["delete 17 of 18, named 8", "CompareAgain", "End"]),
            ("d", 60.0) => assert_eq!(said, ["delete 10 of 18, named 8", "CompareAgain", "End"]),
            _ => assert!(said[0].starts_with("look once more"), "{said:?}"),
        }
    }
}

#[test]
fn without_any_room_nothing_is_judged_and_all_is_compared_again() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Percent(5.0));
    list(&mut pass, "", &[("a", Kind::File)]);
    said(&mut pass);
    part_of(0, &mut pass, "", &["b", "c"], true, &[]);
    assert_eq!(said(&mut pass), ["look in .: a Missing", "CompareAgain", "End"]);
    assert_eq!((pass.extras(), pass.held()), (0, 0));
}

#[test]
fn of_what_is_not_deleted_only_that_is_held_which_is_in_the_way() {
    let mut pass = Pass { delete: false, ..pass("", Reach::Subtree, MaxDelete::Entries(0)) };
    said(&mut pass);
    list(&mut pass, "", &[("m", Kind::File)]);
    said(&mut pass);
    let extras: Vec<_> = (0..10_000).map(|n| format!("a{n:05}")).collect();
    let extras: Vec<_> = extras.iter().map(|name| &**name).collect();
    part(&mut pass, "", &extras, false, &[]);
    assert_eq!(pass.held(), 0, "bytes for nothing");
    there(&mut pass, "", &[("m", Kind::Dir), ("z", Kind::File)]);
    assert!(said(&mut pass).iter().any(|action| action.starts_with("SayInTheWay")));
    assert_eq!(pass.held(), 0);
}
