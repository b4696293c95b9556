//! In which order looks are taken.

use super::*;

fn look(text: &str, size: Option<u64>) -> Look {
    let path = RelPath::parse(text.as_bytes()).unwrap();
    Look { kind: Some(Kind::File), size, ..Look::new(1, path, Why::Differs(Difference::Missing)) }
}

#[test]
fn what_is_set_aside_is_not_taken_before_a_slot_is_free() {
    let mut looks = Looks::default();
    ["large", "small", "larger", "last"].into_iter().for_each(|name| looks.add(look(name, None)));
    let mut touched = Vec::new();
    // Turn after turn with no slot: each is looked at once.
    for _ in 0..10 {
        while let Some(look) = looks.take(Slot::Taken) {
            touched.push(look.path.to_string());
            if look.path.to_string().starts_with("large") {
                looks.set_aside(Look { size: Some(1 << 20), ..look });
            }
        }
    }
    assert_eq!(touched, ["large", "small", "larger", "last"]);
    assert_eq!((looks.len(), looks.bytes(), looks.are_sized()), (2, 2 << 20, true));
    looks.add(look("new", Some(1)));
    let order: Vec<_> = std::iter::from_fn(|| looks.take(Slot::Free)).map(|look| look.path.to_string()).collect();
    assert_eq!(order, ["large", "larger", "new"]);
    assert_eq!((looks.len(), looks.bytes()), (0, 0));
}

#[test]
fn looks_in_a_folder_come_in_order_and_have_no_path_before() {
    let mut looks = Looks::default();
    let name = |text: &str| Name::parse(text.as_bytes()).unwrap();
    let why = Why::Differs(Difference::Missing);
    let coming = |text, size| Coming { kind: Some(Kind::File), size, ..Coming::new(name(text), why) };
    looks.add(look("first", Some(1)));
    let coming = vec![coming("a", Some(2)), coming("b", None)].into_iter();
    looks.add_folder(Folder { ticket: 1, folder: RelPath::parse(b"in").unwrap(), coming });
    looks.add(look("last", Some(4)));
    assert_eq!((looks.len(), looks.bytes(), looks.are_sized(), looks.path_bytes()), (4, 7, false, 9));
    let order: Vec<_> = std::iter::from_fn(|| looks.take(Slot::Free)).map(|look| look.path.to_string()).collect();
    assert_eq!(order, ["first", "in/a", "in/b", "last"]);
    assert_eq!((looks.len(), looks.bytes(), looks.are_sized(), looks.path_bytes()), (0, 0, true, 0));
}

#[test]
fn only_what_sends_content_counts() {
    let mut looks = Looks::default();
    looks.add(Look { kind: None, ..look("event", Some(5)) });
    looks.add(look("sized", Some(7)));
    assert_eq!((looks.len(), looks.bytes(), looks.are_sized()), (2, 7, true));
    looks.add(look("named", None));
    assert!(!looks.are_sized());
    while looks.take(Slot::Taken).is_some() {}
    assert_eq!((looks.bytes(), looks.are_sized()), (0, true));
}
