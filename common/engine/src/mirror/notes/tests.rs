//! Counts must be true beyond what is kept, and follow renames.

use super::*;

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

/// So many notes more than are kept, in `folder`.
const MORE: usize = 500;

fn filled(folder: &str) -> Notes {
    let mut notes = Notes::default();
    fill(&mut notes, folder, KEPT + MORE);
    notes
}

fn fill(notes: &mut Notes, folder: &str, many: usize) {
    for n in 0..many {
        notes.add(&path(&format!("{folder}/{n}")), Side::There, "no".into());
    }
}

/// How many are kept, and how many there are.
fn counts(notes: &Notes) -> (usize, u64) {
    (notes.iter().count(), notes.len())
}

#[test]
fn what_is_said_of_one_is_of_bounded_length() {
    let mut notes = Notes::default();
    notes.add(&path("f"), Side::There, "\u{fc}".repeat(100_000));
    let kept = notes.iter().next().unwrap().1.reason.clone();
    assert!(kept.len() <= REASON && kept.len() > REASON - 2 && kept.chars().all(|one| one == '\u{fc}'));
}

#[test]
fn each_path_counts_once_and_no_more_when_it_is_over() {
    let mut notes = filled("a");
    assert_eq!(counts(&notes), (KEPT, (KEPT + MORE) as u64));
    fill(&mut notes, "a", KEPT + MORE);
    assert_eq!(counts(&notes), (KEPT, (KEPT + MORE) as u64));
    for n in 0..KEPT + MORE {
        let path = path(&format!("a/{n}"));
        assert!(notes.has(&path, Side::There) && !notes.has(&path, Side::Here), "{n}");
        assert!(notes.clear(&path, Side::There) && !notes.clear(&path, Side::There), "{n}");
    }
    assert!(notes.is_empty());
    assert_eq!((notes.bytes, notes.is_any_beneath(&RelPath::root())), (0, false));
}

#[test]
fn each_side_is_over_by_itself() {
    for many in [0, KEPT] {
        let mut notes = Notes::default();
        fill(&mut notes, "others", many);
        let file = path("file");
        assert!(notes.add(&file, Side::Here, "cannot be read".into()));
        assert!(notes.add(&file, Side::There, "not stored".into()));
        assert!(!notes.add(&file, Side::There, "still not stored".into()));
        assert_eq!(notes.len(), many as u64 + 2);
        assert!(notes.clear(&file, Side::Here) && notes.has(&file, Side::There));
        assert!(notes.clear(&file, Side::There) && !notes.has(&file, Side::There));
        assert_eq!(counts(&notes), (many, many as u64));
    }
}

#[test]
fn what_was_beyond_is_kept_when_it_is_noted_again_and_there_is_room() {
    let mut notes = filled("a");
    notes.clear(&path("a/0"), Side::There);
    assert!(!notes.add(&path(&format!("a/{KEPT}")), Side::There, "no".into()));
    assert_eq!(counts(&notes), (KEPT, (KEPT + MORE - 1) as u64));
}

#[test]
fn notes_go_where_their_folder_goes_and_vanish_with_it() {
    let mut notes = filled("a/inner");
    notes.add(&path("ab"), Side::Here, "other".into());
    notes.renamed(&path("a"), &path("x/b"));
    assert_eq!(notes.len(), (KEPT + MORE + 1) as u64);
    let at = ["", "x", "x/b/inner", "x/b/inner/1", "x/c", "a"].map(|at| notes.len_at(&path(at)));
    assert_eq!(at, [notes.len(), notes.len() - 1, notes.len() - 1, 1, 0, 0]);
    for n in [0, KEPT + 1] {
        assert!(notes.has(&path(&format!("x/b/inner/{n}")), Side::There), "{n}");
        assert!(!notes.has(&path(&format!("a/inner/{n}")), Side::There), "{n}");
    }
    // One file, to another name.
    let last = format!("x/b/inner/{}", KEPT + 1);
    notes.renamed(&path(&last), &path("x/b/renamed"));
    assert!(notes.has(&path("x/b/renamed"), Side::There) && !notes.has(&path(&last), Side::There));
    // What takes the place of another takes it from what was said of that, too.
    notes.renamed(&path("ab"), &path("x/b/inner"));
    assert_eq!(notes.len(), 2);
    notes.gone(&path("x"));
    assert_eq!((notes.len(), notes.bytes), (0, 0));
}

#[test]
fn an_exchange_exchanges_what_is_said() {
    for many in [0, KEPT] {
        let mut notes = Notes::default();
        fill(&mut notes, "others", many);
        let both = |notes: &Notes| ["a/of a", "b/of b", "a/of b", "b/of a"].map(|at| notes.has(&path(at), Side::There));
        notes.add(&path("a/of a"), Side::There, "no".into());
        notes.add(&path("b/of b"), Side::There, "no".into());
        assert_eq!(both(&notes), [true, true, false, false]);
        notes.renamed(&path("a"), &path("b"));
        notes.renamed_back(&path("b"), &path("a"));
        assert_eq!(both(&notes), [false, false, true, true]);
        assert_eq!(notes.len(), many as u64 + 2);
    }
}

#[test]
fn a_comparison_forgets_what_it_has_not_met() {
    let mut notes = filled("a");
    notes.add(&path("b"), Side::Here, "elsewhere".into());
    let round = notes.begin_round();
    for n in [3, KEPT + 3] {
        notes.add(&path(&format!("a/{n}")), Side::There, "no".into());
    }
    notes.forget_before(&path("a"), round);
    assert_eq!(notes.len(), 3);
    let round = notes.begin_round();
    notes.renamed(&path("a"), &path("c"));
    notes.forget_before(&RelPath::root(), round);
    // What came by a rename meanwhile may not have been met.
    assert_eq!(notes.len(), 2);
    let round = notes.begin_round();
    notes.forget_before(&RelPath::root(), round);
    assert_eq!(counts(&notes), (0, 0));
}

#[test]
fn a_listing_ends_what_is_said_of_names_that_are_not_in_it() {
    let mut notes = filled("a");
    fill(&mut notes, "a/inner", 3);
    notes.add(&path("b"), Side::There, "no".into());
    let round = notes.begin_round();
    notes.add(&path("a/new"), Side::There, "made since".into());
    let names = ["1", "1001", "inner"].map(name);
    notes.listed(&path("a"), &names.each_ref(), round);
    assert_eq!(notes.len(), 2 + 3 + 1 + 1);
    notes.listed(&path("a"), &[&name("1")], round);
    assert_eq!(notes.len(), 1 + 1 + 1);
    notes.listed(&RelPath::root(), &[], notes.round);
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn memory_is_bounded_however_long_the_paths() {
    let mut notes = Notes::default();
    let deep = format!("{}/", "d".repeat(255)).repeat(255);
    fill(&mut notes, deep.trim_end_matches('/'), KEPT);
    assert_eq!(notes.len(), KEPT as u64);
    assert!(notes.bytes <= BYTES && notes.iter().count() > 10);
}

/// What [`Notes`] must agree with, by path: the round in which each side spoke last.
type Model = BTreeMap<RelPath, [Option<u32>; SIDES]>;

fn take(model: &mut Model, top: &RelPath) -> Model {
    let (within, others) = std::mem::take(model).into_iter().partition(|(path, _)| path.is_within(top));
    *model = others;
    within
}

fn put(model: &mut Model, branch: Model, (from, to): (&RelPath, &RelPath), round: u32) {
    for (path, said) in branch {
        model.insert(path.rebase(from, to).unwrap(), said.map(|said| said.map(|_| round)));
    }
}

fn outdated(said: &mut [Option<u32>; SIDES], round: u32) {
    said.iter_mut().for_each(|said| *said = said.filter(|said| *said >= round));
}

/// A path of up to three of three names.
fn any_path(random: &mut fastrand::Rng) -> RelPath {
    let names: Vec<&str> = (0..random.usize(1..4)).map(|_| ["a", "b", "c"][random.usize(..3)]).collect();
    path(&names.join("/"))
}

#[test]
fn random_work_leaves_what_a_plain_list_would_hold() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut notes, mut model, mut round, mut displaced) = (Notes::default(), Model::new(), 1, None);
        // In every second run there is room for a few only: the others are beyond.
        let filler = if seed % 2 == 0 { 0 } else { KEPT - 5 };
        fill(&mut notes, "filler", filler);
        for _ in 0..2000 {
            let (at, other, side) =
                (any_path(&mut random), any_path(&mut random), [Side::Here, Side::There][random.usize(..2)]);
            match random.u8(..12) {
                0..6 => {
                    notes.add(&at, side, "so".into());
                    model.entry(at).or_default()[side as usize] = Some(round);
                }
                6 => {
                    notes.clear(&at, side);
                    model.entry(at).or_default()[side as usize] = None;
                }
                7 => {
                    notes.gone(&at);
                    take(&mut model, &at);
                }
                8 => {
                    notes.renamed(&at, &other);
                    displaced = None;
                    if !at.is_within(&other) && !other.is_within(&at) {
                        let before = take(&mut model, &other);
                        let moved = take(&mut model, &at);
                        put(&mut model, moved, (&at, &other), round);
                        displaced = Some((before, at, other));
                    }
                }
                9 => {
                    if let Some((before, a, b)) = displaced.take() {
                        notes.renamed_back(&b, &a);
                        take(&mut model, &a);
                        put(&mut model, before, (&b, &a), round);
                    }
                }
                10 => {
                    notes.begin_round();
                    round += 1;
                    notes.listed(&at, &[&name("a")], Round(NonZeroU32::new(round).unwrap()));
                    let gone = |path: &RelPath| child(&at, path).is_some_and(|child| child != name("a"));
                    model.iter_mut().filter(|(path, _)| gone(path)).for_each(|(_, said)| outdated(said, round));
                }
                _ => {
                    let since = random.u32(1..=round);
                    notes.forget_before(&at, Round(NonZeroU32::new(since).unwrap()));
                    model
                        .iter_mut()
                        .filter(|(path, _)| path.is_within(&at))
                        .for_each(|(_, said)| outdated(said, since));
                }
            }
            let count = |model: &Model| model.values().flatten().flatten().count() as u64;
            assert_eq!(notes.len(), count(&model) + filler as u64, "seed {seed}");
        }
        for (path, said) in &model {
            let has = [Side::Here, Side::There].map(|side| notes.has(path, side));
            assert_eq!(has, said.map(|said| said.is_some()), "{path}, seed {seed}");
        }
        notes.gone(&RelPath::root());
        assert_eq!((notes.len(), notes.bytes, notes.is_any_beneath(&RelPath::root())), (0, 0, false), "seed {seed}");
    }
}
