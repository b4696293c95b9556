//! The tree of dependencies as `deny.toml` wants it, and the Rust that it needs as the documents say it. `cargo deny` reads
//! the same file and sees more; but it takes minutes to compile, and this is read where nothing but cargo is.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde::Deserialize;

use super::report;
use super::source::{files, relative, root};

#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

fn rules() -> Rules {
    toml::from_str(&fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// What `cargo metadata` says of a package.
#[derive(Deserialize, Clone)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None: it is one of the workspace.
    source: Option<String>,
    rust_version: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize, Clone)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
}

/// All packages that are built for one target, with every feature, for tests and builds too.
fn packages(target: &str) -> Vec<Package> {
    let metadata = cargo(&["metadata", "--format-version=1", "--filter-platform", target]);
    let mut found = serde_json::from_str::<Metadata>(&metadata).unwrap().packages;
    // That has also what a feature would turn on that nobody asks for; the tree has not. A line: NAME vVERSION …
    let tree = cargo(&["tree", "--workspace", "--prefix=none", "--format={p}", "--target", target]);
    let built: BTreeSet<Vec<&str>> = tree.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    found.retain(|package| built.contains(&vec![&*package.name, &*format!("v{}", package.version)]));
    assert!(found.len() > 50, "found only {} packages for {target}", found.len());
    found
}

/// What cargo says to a command about the tree of dependencies.
fn cargo(words: &[&str]) -> String {
    let ask = |more: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(words).args(["--locked", "--all-features"]).args(more).current_dir(root()).output().unwrap()
    };
    let mut said = ask(&["--offline"]);
    if !said.status.success() {
        // Another target may have packages that nobody has fetched yet.
        said = ask(&[]);
    }
    assert!(said.status.success(), "cargo {words:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

fn complaints(package: &Package, rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    match &package.license {
        Some(license) if permits(license, &rules.licenses.allow) => {}
        Some(license) => found.push(format!("its licence, {license}, is not allowed")),
        None => found.push("it names no licence".into()),
    }
    for banned in rules.bans.deny.iter().filter(|banned| banned.name == package.name) {
        found.push(format!("it is banned: {}", banned.reason));
    }
    match &package.source {
        Some(source) => {
            let allowed = rules.sources.allow_registry.iter().any(|from| *source == format!("registry+{from}"));
            found.extend((!allowed).then(|| format!("it comes from {source}")));
        }
        None => {
            let wild = package.dependencies.iter().filter(|d| d.req == "*" && d.path.is_none());
            found.extend(wild.map(|d| format!("it takes any version of {}", d.name)));
        }
    }
    found.into_iter().map(|what| format!("{} {}: {what}", package.name, package.version)).collect()
}

/// Whether somebody who accepts only `allowed` may take what has this licence: an SPDX expression, in which `AND` binds
/// more than `OR`. Of old, `/` means `OR`.
fn permits(license: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = license.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let permitted = any(&mut words, allowed);
    permitted && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut permitted = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        permitted |= all(words, allowed);
    }
    permitted
}

fn all(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut permitted = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        permitted &= one(words, allowed);
    }
    permitted
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let Some(name) = words.next() else { return false };
    if name == "(" {
        let permitted = any(words, allowed);
        return permitted & (words.next() == Some(")"));
    }
    match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
        Some(exception) => allowed.contains(&format!("{name} WITH {exception}")),
        None => allowed.contains(name),
    }
}

#[test]
fn dependencies_are_as_deny_toml_wants_them() {
    let rules = rules();
    let found: BTreeSet<String> = rules
        .graph
        .targets
        .iter()
        .flat_map(|target| packages(target))
        .flat_map(|package| complaints(&package, &rules))
        .collect();
    report("deny.toml: what may be in the tree of dependencies", found.into_iter().collect());
}

#[test]
fn a_dependency_that_deny_toml_refuses_is_found() {
    let rules = rules();
    let registry = format!("registry+{}", rules.sources.allow_registry[0]);
    let fine = Package {
        name: "fine".into(),
        version: "1.0.0".into(),
        license: Some("MIT".into()),
        source: Some(registry),
        rust_version: None,
        dependencies: Vec::new(),
    };
    assert_eq!(complaints(&fine, &rules), Vec::<String>::new());
    let wild = Dependency { name: "any".into(), req: "*".into(), path: None };
    let beside = Dependency { path: Some("beside".into()), ..wild.clone() };
    for (package, complaint) in [
        (Package { name: "ring".into(), ..fine.clone() }, "it is banned: one provider"),
        (Package { license: None, ..fine.clone() }, "it names no licence"),
        (Package { license: Some("GPL-3.0".into()), ..fine.clone() }, "its licence, GPL-3.0, is not"),
        (Package { source: Some("git+https://example.net/x".into()), ..fine.clone() }, "it comes from git+"),
        (Package { source: None, dependencies: vec![beside, wild], ..fine.clone() }, "it takes any version of any"),
    ] {
        let found = complaints(&package, &rules);
        assert!(found.len() == 1 && found[0].contains(complaint), "{complaint}: {found:?}");
    }
}

#[test]
fn a_licence_is_read_as_spdx_means_it() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(String::from).into();
    for (license, permitted) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND GPL-3.0 OR Apache-2.0", true),
        ("(GPL-3.0 OR MIT) AND (Apache-2.0 OR ISC)", true),
        ("MIT AND (ISC OR GPL-3.0)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH LLVM-exception", false),
        ("", false),
        ("(MIT", false),
        ("MIT) OR (MIT", false),
    ] {
        assert_eq!(permits(license, &allowed), permitted, "{license}");
    }
}

#[test]
fn a_cargo_that_is_too_old_comes_to_say_so() {
    // Up to 1.70 the levels of debug information are numbers, and any other ends in a complaint about it.
    let mut found = Vec::new();
    for manifest in files(".", &["Cargo.toml"]).into_iter().filter(|path| !relative(path).starts_with("fuzz")) {
        let text: toml::Table = toml::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
        let profiles = text.get("profile").and_then(toml::Value::as_table);
        let words = profiles.into_iter().flatten().filter(|(_, p)| p.get("debug").is_some_and(toml::Value::is_str));
        found.extend(words.map(|(name, _)| format!("{}: profile.{name}.debug", relative(&manifest))));
    }
    report("a word that an old cargo does not read stands in .cargo/config.toml", found);
}

fn number(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn the_rust_that_is_needed_is_what_the_documents_say() {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(root().join("Cargo.toml")).unwrap()).unwrap();
    let said = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    let mut found = Vec::new();
    for package in rules().graph.targets.iter().flat_map(|target| packages(target)) {
        if package.rust_version.as_deref().is_some_and(|needed| number(needed) > number(&format!("{said}.0"))) {
            found.push(format!("{} {} needs {:?}", package.name, package.version, package.rust_version));
        }
    }
    if !fs::read_to_string(root().join("README.md")).unwrap().contains(&format!("Rust {said} or newer")) {
        found.push(format!("README.md does not say \"Rust {said} or newer\""));
    }
    report("rust-version in Cargo.toml is what is needed and what README says", found);
}
