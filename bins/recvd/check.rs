//! `recvd check`: everything that `run` would read, and every complaint about it. Opens no port, and writes nothing.

use std::path::Path;

use kit::config::{Complaint, Complaints};
use kit::{Exit, out};
use serde_json::{Value, json};

use crate::cli::CheckArgs;
use crate::config::{self, Config};
use crate::openness::Openness;
use crate::state;

/// A configuration with what is odd in it.
type Loaded = (Config, Vec<Complaint>);

/// Exit 0, or 78 with every complaint: on stderr, or with `--json` on stdout.
pub fn check(args: &CheckArgs) -> Exit {
    let loaded = config::load(&args.config).and_then(|loaded| with_state(&args.config, loaded));
    let exit = if loaded.is_ok() { Exit::Ok } else { Exit::Config };
    match loaded {
        loaded if args.json => out::line(report(&args.config, &loaded)),
        Ok((_, warnings)) => {
            warnings.iter().for_each(|warning| out::complain(format_args!("{warning} (a warning)")));
            out::line(format_args!("{}: ok", args.config.display()));
        }
        Err(complaints) => out::complain(complaints),
    }
    exit
}

/// `run` serves without the folder for its state and says so, but whoever checks can mend it.
fn with_state(path: &Path, (config, warnings): Loaded) -> Result<Loaded, Complaints> {
    let Err(sentence) = state::look(&config.state_dir) else { return Ok((config, warnings)) };
    let (file, key) = (path.to_owned(), Some("state_dir".to_owned()));
    Err(Complaints(vec![Complaint { file, at: None, key, sentence }]))
}

fn report(path: &Path, loaded: &Result<Loaded, Complaints>) -> Value {
    let (warnings, complaints, modules) = match loaded {
        Ok((config, warnings)) => (&warnings[..], &[][..], modules(config)),
        Err(Complaints(complaints)) => (&[][..], &complaints[..], Vec::new()),
    };
    let told = |all: &[Complaint]| all.iter().map(one).collect::<Vec<_>>();
    json!({
        "config": path.display().to_string(),
        "ok": complaints.is_empty(),
        "complaints": told(complaints),
        "warnings": told(warnings),
        "modules": modules,
    })
}

fn one(complaint: &Complaint) -> Value {
    let Complaint { file, at, key, sentence } = complaint;
    let (line, column) = at.unzip();
    json!({"file": file.display().to_string(), "line": line, "column": column, "key": key, "sentence": sentence})
}

/// By name. `open`: other users of the host can come in, and `close` is what to type, where that is all it takes.
fn modules(config: &Config) -> Vec<Value> {
    let mut modules: Vec<_> = config.modules.iter().collect();
    modules.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let paths: Vec<&Path> = modules.iter().map(|module| module.root.path()).collect();
    let of = |module: &&std::sync::Arc<crate::modules::Module>| {
        let open = Openness::of(module.root.path(), &paths);
        let close = open.as_ref().and_then(Openness::command);
        let path = module.root.path().display().to_string();
        json!({"name": module.name, "path": path, "open": open.is_some(), "close": close})
    };
    modules.iter().map(of).collect()
}
