//! Old versions leave their names in one place: `engine::view::displace`, which asks what is protected and decides what becomes
//! of them. What could change a name elsewhere is not called there, or cannot be had.

use super::report;
use super::source::{Source, blank, product};

const PLACE: &str = "common/engine/src/view/displace.rs";
/// What replaces, removes, moves or changes an entry, of `sys::{Dir, Stage, Staged}`.
const CALLS: [&str; 7] =
    [".publish(", ".take_out(", ".replace(", ".rename(", ".exchange(", ".set_meta(", ".set_file_meta("];
/// All of them need an open folder or a stage, which only a view has.
const HANDS: [&str; 2] = ["Dir", "Stage"];
/// How a `sys::Tree` opens one.
const OPENED: [&str; 2] = [".dir(", "tree.root()"];
/// Looks whether the root of a source is empty, and has nothing else to do with it.
const BRAKE: &str = "common/engine/src/sender/brake.rs";

#[test]
fn old_versions_leave_their_names_in_one_place() {
    report("names are changed by engine::view::displace alone", complaints(&product()));
}

fn complaints(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| s.path.starts_with("common/engine/") && s.path != PLACE && s.path != BRAKE)
    {
        let words: &[&str] = if source.path.starts_with("common/engine/src/view/") { &CALLS } else { &OPENED };
        for (n, line) in source.code.lines().enumerate() {
            let named = words.iter().filter(|word| line.contains(**word));
            found.extend(named.map(|word| format!("{}:{}: {word}", source.path, n + 1)));
        }
        if !source.path.starts_with("common/engine/src/view/") {
            let hands = HANDS.iter().filter(|name| is_of_sys(&source.code, name));
            found.extend(hands.map(|name| format!("{}: sys::{name}", source.path)));
        }
    }
    found
}

/// Whether the code says `sys::name`, or has it in a group of what it uses.
fn is_of_sys(code: &str, name: &str) -> bool {
    let is_name = |text: &str| {
        text.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    code.split("sys::").skip(1).any(|after| match after.strip_prefix('{') {
        Some(group) => group.split('}').next().unwrap_or_default().split(',').any(|item| is_name(item.trim())),
        None => is_name(after),
    })
}

#[test]
fn a_second_place_is_found() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into(), code: blank(text) };
    for (path, text, found) in [
        ("common/engine/src/view/replica.rs", "self.stage.take_out(dir, name)", true),
        ("common/engine/src/view/folder.rs", "dir.rename(name, to, to_name) // as ever", true),
        ("common/engine/src/receiver/change/moves.rs", "use sys::{Dir, Stat};", true),
        ("common/engine/src/receiver/pool.rs", "stage: Arc<sys::Stage>", true),
        ("common/engine/src/sender/look.rs", "self.tree.dir(path)?.exchange(a, b)", true),
        ("common/engine/src/receiver/pool.rs", "use sys::{Staged, StagedFile};", false),
        ("common/engine/src/view/folder.rs", "// dir.rename(name, to, to_name)", false),
        (PLACE, "dir.rename(name, to, to_name)", false),
    ] {
        assert_eq!(!complaints(&[source(path, text)]).is_empty(), found, "{path}: {text}");
    }
}
