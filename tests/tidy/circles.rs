//! No circle of imports between modules that are neighbours, at any depth: `a` imports `b` and `b` imports `a`, itself or by
//! way of others. Imports of modules further down count for the neighbours above them: `a::x` that imports `b::y` is
//! `a -> b`. A child may import what its parent has of its own, as that is how a tree of modules reads; what the parent only
//! re-exports counts as imported from where it is.
//!
//! LIMIT: only names count. A method of an `impl super::Session` in one file that another file calls is not seen, nor is a
//! name that a macro puts together.

use std::collections::{BTreeMap, VecDeque};

use super::modules::{Crate, Named, Path};
use super::report;
use super::source::{Source, product};

#[test]
fn no_import_circle_between_the_modules_of_a_crate() {
    let mut crates: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for source in product() {
        crates.entry(source.crate_name().to_string()).or_default().push(source);
    }
    let mut found = Vec::new();
    for (name, sources) in &crates {
        for circle in circles_of(&Crate::read(sources)) {
            found.push(circle.shown(&format!("{name}/{}", circle.parent.join("/"))));
        }
    }
    report("no circle of imports between the modules of a crate", found);
}

/// Who imports whom among the children of one module, with the first place that says so.
type Edges = BTreeMap<(String, String), Named>;

/// By the module whose children they are.
fn edges(of: &Crate) -> BTreeMap<Path, Edges> {
    let mut edges: BTreeMap<Path, Edges> = BTreeMap::new();
    for (from, named, to) in of.imports() {
        let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        // Nothing is left of the one that is above the other.
        let (Some(a), Some(b)) = (from.get(common), to.get(common)) else { continue };
        let among = edges.entry(from[..common].to_vec()).or_default();
        among.entry((a.clone(), b.clone())).or_insert_with(|| named.clone());
    }
    edges
}

fn circles_of(of: &Crate) -> Vec<Circle> {
    edges(of).iter().flat_map(|(parent, edges)| circles(parent, edges)).collect()
}

/// Neighbours that all come to each other by imports.
struct Circle {
    parent: Path,
    members: Vec<String>,
    /// A shortest way around.
    way: Way,
}

type Way = Vec<(String, String, Named)>;

impl Circle {
    fn shown(&self, place: &str) -> String {
        let mut text = format!("{place}: {}", self.way[0].0);
        for (_, to, _) in &self.way {
            text += &format!(" -> {to}");
        }
        if self.way.len() < self.members.len() {
            text += &format!("; all that come to each other: {}", self.members.join(", "));
        }
        for (from, to, named) in &self.way {
            text += &format!("\n      {}: {from} -> {to}, by {}", named.at, named.path.join("::"));
        }
        text
    }
}

fn circles(parent: &Path, edges: &Edges) -> Vec<Circle> {
    let mut found: Vec<Circle> = Vec::new();
    for (name, _) in edges.keys() {
        let there = ways(edges, name);
        let Some(way) = there.get(name) else { continue };
        if found.iter().any(|circle| circle.members.contains(name)) {
            continue;
        }
        let back = |other: &&String| ways(edges, other).contains_key(name);
        let members = there.keys().filter(back).cloned().collect();
        found.push(Circle { parent: parent.clone(), members, way: way.clone() });
    }
    found
}

/// A shortest way of at least one step to each that can be come to.
fn ways(edges: &Edges, start: &str) -> BTreeMap<String, Way> {
    let mut found: BTreeMap<String, Way> = BTreeMap::new();
    let mut ends = VecDeque::from([(start.to_string(), Way::new())]);
    while let Some((end, way)) = ends.pop_front() {
        for ((from, to), named) in edges.iter().filter(|((from, _), _)| *from == end) {
            if !found.contains_key(to) {
                let further: Way = way.iter().cloned().chain([(from.clone(), to.clone(), named.clone())]).collect();
                found.insert(to.clone(), further.clone());
                ends.push_back((to.clone(), further));
            }
        }
    }
    found
}

/// The circles of a crate as they are told.
fn told(files: &[(&str, &str)]) -> Vec<String> {
    circles_of(&Crate::made(files)).iter().map(|circle| circle.shown(&circle.parent.join("/"))).collect()
}

#[test]
fn a_circle_is_told_with_the_line_of_each_import() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "pub mod x;"),
        ("a/x.rs", "\nuse crate::b::{B, y::Y};"),
        ("b/mod.rs", "pub mod y;\n\nuse super::a::x;"),
        ("b/y.rs", ""),
    ];
    let a = "common/made/src/a/x.rs:2: a -> b, by crate::b::B";
    let b = "common/made/src/b/mod.rs:3: b -> a, by super::a::x";
    assert_eq!(told(&files), [format!(": a -> b -> a\n      {a}\n      {b}")]);
}

#[test]
fn circles_are_found_at_each_depth_and_each_once() {
    let files = [
        ("mod_of/mod.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("mod_of/a.rs", "use super::b;"),
        ("mod_of/b.rs", "use super::{c, d};"),
        ("mod_of/c.rs", "use crate::mod_of::a;"),
        ("mod_of/d.rs", "use super::{b, e};"),
        ("mod_of/e.rs", ""),
    ];
    let told = told(&files);
    assert!(told.len() == 1 && told[0].starts_with("mod_of: a -> b -> c -> a; all"), "{told:?}");
    assert!(told[0].contains(": a, b, c, d\n"), "{told:?}");
}

#[test]
fn a_child_may_use_its_parent_and_a_parent_its_children() {
    let files = [
        ("a/mod.rs", "mod b; mod c; use b::B; pub use c::C; pub struct Own;"),
        ("a/b.rs", "use super::{Own, C};"),
        ("a/c.rs", "use super::Own; use crate::a::c::Mine;"),
    ];
    assert_eq!(told(&files), [""; 0]);
}
