//! Reading the `[source.NAME]` sections, and whether sources and targets fit together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::sender::BusyFiles;
use kit::config::{FromValue, Table, Value, Wrong, nearest};

use super::targets::Draft;
use super::{Attributes, Delete, InitialSync, OpenFiles, Source, Target, check_name, default};

/// The sources and the targets that none of them names. No sources where something stands in the way of one.
pub(super) fn read_sources(root: &Table, targets: &[Draft]) -> (Option<Vec<Source>>, Vec<Arc<Target>>) {
    let tables = root.tables("source");
    if tables.is_empty() {
        root.complain("source", "there is no source: write a section [source.NAME] with path and targets");
    }
    let mut owners: HashMap<&str, String> = HashMap::new();
    let mut sources = Vec::new();
    let mut roots = Vec::new();
    for (name, table) in &tables {
        check_name(name, table);
        let path = table.require::<PathBuf>("path").map(|path| sys::paths::canonical(&path).unwrap_or(path));
        if let Some(path) = &path {
            check_overlap(table, name, path, &roots);
            roots.push((name.clone(), path.clone()));
        }
        let named = own_targets(name, table, targets, &mut owners);
        sources.push(read_source(name, table, named));
    }
    check_destinations(targets, &owners);
    let mut unused = Vec::new();
    for draft in targets.iter().filter(|draft| !owners.contains_key(draft.name.as_str())) {
        draft.table.warn_here("no source names this target: nothing is sent there");
        unused.extend(draft.target.clone());
    }
    (sources.into_iter().collect(), unused)
}

fn read_source(name: &str, table: &Table, targets: Option<Vec<Arc<Target>>>) -> Option<Source> {
    let flag = |key| table.or(key, true);
    let delete = if flag("delete") { Delete::Mirror } else { Delete::Keep };
    let mounts = if flag("one_file_system") { sys::Mounts::Stay } else { sys::Mounts::Cross };
    let attributes = if flag("attributes") { Attributes::Mirror } else { Attributes::Ignore };
    let initial_sync = if flag("initial_sync") { InitialSync::Pass } else { InitialSync::Skip };
    let settle = table.or("settle", default::settle());
    let open_files = read_open_files(table);
    let max_delete = table.or("max_delete", default::max_delete());
    let delete_hold = table.or("delete_hold", default::delete_hold());
    let BusyWord(busy_files) = table.or("busy_files", BusyWord(BusyFiles::Copy));
    let workers = table.or("workers", default::workers());
    if !(1..=64).contains(&workers) {
        table.complain("workers", "must be 1 to 64");
    }
    Some(Source {
        name: name.to_owned(),
        path: table.take("path")?,
        targets: targets?,
        delete,
        mounts,
        attributes,
        settle,
        open_files,
        initial_sync,
        max_delete,
        delete_hold,
        busy_files,
        workers: usize::try_from(workers).ok()?,
    })
}

/// The word of `busy_files`.
struct BusyWord(BusyFiles);

impl FromValue for BusyWord {
    fn from_value(value: Value<'_>) -> Result<BusyWord, Wrong> {
        match value.text()? {
            "copy" => Ok(BusyWord(BusyFiles::Copy)),
            "wait" => Ok(BusyWord(BusyFiles::Wait)),
            _ => Err("must be \"copy\" or \"wait\"".into()),
        }
    }
}

fn read_open_files(table: &Table) -> OpenFiles {
    let default = default::open_files();
    let Some(inner) = table.table("open_files") else { return default };
    let settle = inner.or("settle", default.settle);
    let max_delay = inner.or("max_delay", default.max_delay.max(settle));
    if max_delay < settle {
        inner.complain("max_delay", "must not be shorter than `settle`");
    }
    OpenFiles { settle, max_delay }
}

/// The targets that a source names; each becomes its own.
fn own_targets<'a>(
    source: &str,
    table: &Table,
    targets: &'a [Draft],
    owners: &mut HashMap<&'a str, String>,
) -> Option<Vec<Arc<Target>>> {
    let names = table.require::<Vec<String>>("targets")?;
    if names.is_empty() {
        table.complain("targets", "must name at least one target");
    }
    let mut own = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let Some(draft) = targets.iter().find(|draft| draft.name == *name) else {
            let near = nearest(name, targets.iter().map(|draft| draft.name.as_str()));
            let hint =
                near.map_or("write a section [target.…] for it".to_owned(), |near| format!("did you mean `{near}`?"));
            table.complain_item("targets", index, format!("there is no target `{}`; {hint}", shown(name)));
            continue;
        };
        match owners.insert(&draft.name, source.to_owned()) {
            Some(other) if other == source => table.complain_item("targets", index, format!("`{name}` stands here twice")),
            Some(other) => table.complain_item(
                "targets",
                index,
                format!(
                    "`{name}` is already a target of the source `{other}`: two sources would delete each other's files; \
                     give each its own target with its own module or folder"
                ),
            ),
            None => own.push(draft.target.clone()),
        }
    }
    own.into_iter().collect()
}

/// Refuses a root that is another source's root or stands inside of it: changes would be sent twice, to places that may
/// not agree.
fn check_overlap(table: &Table, name: &str, path: &Path, others: &[(String, PathBuf)]) {
    for (other, theirs) in others {
        let how = if path == theirs {
            "is the same folder as"
        } else if path.starts_with(theirs) {
            "stands inside of"
        } else if theirs.starts_with(path) {
            "contains"
        } else {
            continue;
        };
        table.complain(
            "path",
            format!("`{name}` {how} the source `{other}`: name each folder once, and give one source several targets"),
        );
    }
}

/// Refuses two targets that write to the same folder or one inside of the other: each would delete the other's files.
fn check_destinations(targets: &[Draft], owners: &HashMap<&str, String>) {
    let used = |draft: &&Draft| owners.contains_key(draft.name.as_str());
    for (index, draft) in targets.iter().enumerate().filter(|(_, draft)| used(draft)) {
        let Some((address, destination)) = &draft.spot else { continue };
        for other in targets[..index].iter().filter(used) {
            let meets = other.spot.as_ref().is_some_and(|(a, p)| a == address && p.meets(destination));
            if meets {
                draft.table.complain(
                    "module",
                    format!(
                        "meets the target `{}` in `{destination}` at {address}: they would delete each other's files",
                        other.name
                    ),
                );
            }
        }
    }
}

fn shown(name: &str) -> String {
    let mut out = String::new();
    // A String never refuses to be written to.
    let _ = proto::name::escape(name.as_bytes(), &mut out);
    out
}
