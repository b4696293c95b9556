//! The modules of a crate, by their files and by `mod name { … }`, and where the paths lead to that are written in them:
//! from `crate`, `self`, `super`, a child or an import, through re-exports, to the module that has the item.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// The names from the top of a crate to a module.
pub type Path = Vec<String>;

/// What one module has and names.
#[derive(Default)]
struct Module {
    items: BTreeSet<String>,
    /// What `use` binds here, and the path as it is written there.
    imports: BTreeMap<String, Path>,
    globs: Vec<Path>,
    named: Vec<Named>,
}

/// A path as it is written.
#[derive(Clone, Debug)]
pub struct Named {
    /// `file:line`.
    pub at: String,
    pub path: Path,
}

pub struct Crate {
    modules: BTreeMap<Path, Module>,
}

impl Crate {
    pub fn read(sources: &[Source]) -> Self {
        let mut modules = BTreeMap::new();
        for source in sources {
            let path = source.module().into_iter().map(String::from).collect();
            Reader { tokens: tokens(&source.code), next: 0, file: &source.path, modules: &mut modules }.module(path);
        }
        Self { modules }
    }

    /// The module that has what `path` leads to when it is written in `from`; none where that is in another crate.
    fn owner(&self, from: &[String], path: &[String]) -> Option<Path> {
        // More than any chain of re-exports is long; an import that names itself comes to an end.
        self.resolve(from, path, 20)
    }

    fn resolve(&self, from: &[String], path: &[String], fuel: u32) -> Option<Path> {
        let fuel = fuel.checked_sub(1)?;
        match path.first()?.as_str() {
            "crate" => self.walk(&[], &path[1..], fuel),
            "self" => self.resolve_in(from, &path[1..], fuel),
            "super" => self.resolve_in(&from[..from.len().checked_sub(1)?], &path[1..], fuel),
            name if self.has(from, name) => self.walk(from, path, fuel),
            _ => None,
        }
    }

    /// After `self` and `super`, which another `super` may follow.
    fn resolve_in(&self, at: &[String], rest: &[String], fuel: u32) -> Option<Path> {
        match rest.first().is_some_and(|part| part == "super") {
            true => self.resolve(at, rest, fuel),
            false => self.walk(at, rest, fuel),
        }
    }

    fn walk(&self, at: &[String], path: &[String], fuel: u32) -> Option<Path> {
        let Some((part, rest)) = path.split_first() else { return Some(at.to_vec()) };
        let child = below(at, part);
        if self.modules.contains_key(&child) {
            return self.walk(&child, rest, fuel);
        }
        let module = self.modules.get(at)?;
        if let Some(import) = module.imports.get(part) {
            return self.resolve(at, &[import, rest].concat(), fuel);
        }
        if !module.items.contains(part) {
            let there = module.globs.iter().filter_map(|glob| self.resolve(at, glob, fuel));
            if let Some(there) = there.into_iter().find(|there| self.has(there, part)) {
                return self.walk(&there, path, fuel.checked_sub(1)?);
            }
        }
        // An item of the module, or what an item of it has, such as a variant.
        Some(at.to_vec())
    }

    fn has(&self, module: &[String], name: &str) -> bool {
        let bound = |m: &Module| m.items.contains(name) || m.imports.contains_key(name);
        self.modules.contains_key(&below(module, name)) || self.modules.get(module).is_some_and(bound)
    }

    /// What leads from one module to another: from where, what is written there, and to where.
    pub fn imports(&self) -> Vec<(&Path, &Named, Path)> {
        let mut imports = Vec::new();
        for (from, module) in &self.modules {
            for named in &module.named {
                imports.extend(self.owner(from, &named.path).map(|to| (from, named, to)));
            }
        }
        imports
    }

    /// One of these files, by path and code, to test with.
    pub fn made(files: &[(&str, &str)]) -> Self {
        let source = |(path, code): &(&str, &str)| {
            let path = format!("common/made/src/{path}");
            Source { path, text: String::new(), code: (*code).to_string() }
        };
        Crate::read(&files.iter().map(source).collect::<Vec<_>>())
    }
}

fn below(module: &[String], name: &str) -> Path {
    module.iter().cloned().chain([name.to_string()]).collect()
}

/// Words, `::`, and all other characters by themselves, with their lines.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    for (n, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                _ => word,
            };
            out.push((n + 1, rest[..length].to_string()));
            rest = rest[length..].trim_start();
        }
    }
    out
}

/// Reads the code of a file into its module, and into those that stand in braces within it.
struct Reader<'a> {
    tokens: Vec<(usize, String)>,
    next: usize,
    file: &'a str,
    modules: &'a mut BTreeMap<Path, Module>,
}

impl Reader<'_> {
    /// Up to the brace that ends the module, or to the end of the file.
    fn module(&mut self, path: Path) {
        let mut module = Module::default();
        let mut depth = 0;
        while let Some(token) = self.take() {
            match token.as_str() {
                "{" => depth += 1,
                "}" if depth == 0 => break,
                "}" => depth -= 1,
                "use" => self.import(Path::new(), &mut module),
                "mod" if self.peek(1) == "{" => {
                    let name = self.take().unwrap_or_default();
                    self.take();
                    self.module(below(&path, &name));
                }
                "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static" | "macro_rules" => {
                    let bang = usize::from(self.peek(0) == "!");
                    module.items.insert(self.peek(bang).to_string());
                }
                "crate" | "self" | "super" if self.peek(0) == "::" => self.named(token, &mut module),
                _ => {}
            }
        }
        self.modules.insert(path, module);
    }

    /// A path in the midst of code.
    fn named(&mut self, first: String, module: &mut Module) {
        let at = self.at();
        let mut path = vec![first];
        while self.peek(0) == "::" && is_word(self.peek(1)) {
            self.take();
            path.extend(self.take());
        }
        module.named.push(Named { at, path });
    }

    /// After `use`, or at one branch of its tree.
    fn import(&mut self, mut path: Path, module: &mut Module) {
        while let Some(token) = self.take() {
            match token.as_str() {
                "::" => continue,
                "{" => {
                    while !matches!(self.peek(0), "}" | "") {
                        self.import(path.clone(), module);
                        if self.peek(0) == "," {
                            self.take();
                        }
                    }
                    self.take();
                    return;
                }
                "*" => {
                    module.named.push(Named { at: self.at(), path: path.clone() });
                    module.globs.push(path);
                    return;
                }
                // `a::{self}` is `a`.
                "self" if !path.is_empty() => {}
                word => path.push(word.to_string()),
            }
            if !matches!(self.peek(0), "::" | "{") {
                break;
            }
        }
        let mut name = path.last().cloned().unwrap_or_default();
        let at = self.at();
        if self.peek(0) == "as" {
            self.take();
            name = self.take().unwrap_or_default();
        }
        module.named.push(Named { at, path: path.clone() });
        module.imports.insert(name, path);
    }

    fn take(&mut self) -> Option<String> {
        self.next += 1;
        self.tokens.get(self.next - 1).map(|(_, token)| token.clone())
    }

    /// The token that comes after `skip` others; empty at the end.
    fn peek(&self, skip: usize) -> &str {
        self.tokens.get(self.next + skip).map_or("", |(_, token)| token)
    }

    /// Where the token stands that was taken last.
    fn at(&self) -> String {
        let line = self.tokens.get(self.next.saturating_sub(1)).map_or(0, |(line, _)| *line);
        format!("{}:{line}", self.file)
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Where the paths lead to that `code` names in the module `a::b` and in those in it: empty for the top, a dash for
/// another crate.
fn owners(code: &str) -> String {
    let made = Crate::made(&[
        ("lib.rs", "pub mod a; pub mod c; pub use c::{Deep as Shown, d::*}; pub struct Top;"),
        (
            "a/mod.rs",
            "mod b; mod e; pub use self::e::Egg; use proto::Frame; pub struct Own; use crate::c; mod inner { pub fn f() {} }",
        ),
        ("a/b.rs", code),
        ("a/e.rs", "pub struct Egg; pub enum Kind { One } pub use super::super::c::d as dd;"),
        ("c/mod.rs", "pub mod d; pub struct Deep;"),
        ("c/d.rs", "pub fn dig() {}"),
    ]);
    let from = ["a".to_string(), "b".to_string()];
    let owner = |path: &Path, named: &Named| made.owner(path, &named.path).map_or("-".into(), |path| path.join("::"));
    let within = made.modules.iter().filter(|(path, _)| path.starts_with(&from));
    within.flat_map(|(path, module)| module.named.iter().map(|named| owner(path, named))).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_path_leads_to_the_module_that_has_its_end() {
    for (code, leads_to) in [
        ("use crate::c::d::dig;", "c::d"),
        ("use crate::{a::e::{self, Kind::{One, Two}}, c::d};", "a::e a::e a::e c::d"),
        ("use super::{e::Egg, Own};", "a::e a"),
        ("use super::super::{c, Top};", "c "),
        ("use super::super::super::c;", "-"),
        ("use {super::e, std::io::{self, Read as _}};", "a::e - -"),
        ("use super::*;", "a"),
        ("use self::own::x; mod own { use super::super::e; }", "a::b::own a::e"),
        ("fn f() { super::e::Egg::<u8>::new(crate::c::Deep) }", "a::e c"),
        ("impl T { fn f(self) -> super::super::a::e::Kind { self.x } }", "a::e"),
        ("pub(in crate::a) fn f() {} pub(super) fn g() {}", "a"),
        ("use ::proto::Frame as Text; use Text as Other;", "- -"),
        ("use own as own; use super::e as egg; use egg::Kind;", "- a::e a::e"),
    ] {
        assert_eq!(owners(code), leads_to, "{code}");
    }
}

#[test]
fn what_is_reexported_counts_as_from_where_it_is() {
    for (code, leads_to) in [
        ("use super::Egg;", "a::e"),
        ("use crate::Shown;", "c"),
        ("use crate::a::Egg as Other;", "a::e"),
        ("use super::e::dd::dig;", "c::d"),
        ("use crate::dig;", "c::d"),
        ("use super::Frame;", "-"),
        ("use super::c::Deep;", "c"),
        ("use super::inner::f;", "a::inner"),
    ] {
        assert_eq!(owners(code), leads_to, "{code}");
    }
}
