//! Asking a running recvd, and answering as one: `release`.
//!
//! The daemon's side is [`serve`], the client's side one function for each command.

use std::sync::Arc;
use std::time::Duration;

use kit::config::nearest;
use kit::control::{Server, ask};
use kit::{Exit, Stop, out};
use proto::RelPath;
use proto::shown::Shown;
use serde::{Deserialize, Serialize};

use crate::cli::{ReleaseArgs, away};
use crate::config::DEFAULTS;
use crate::modules::Modules;
use crate::serve::Service;
use crate::sessions::{Kept, spelled};

/// How long a daemon may take: it may have to ask a disk, and write.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client asks, as JSON. Both sides are of one version, as a rule.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// What `recvctl release` asks.
    Release {
        /// As the configuration names it.
        module: String,
        /// The folder in it, nothing for all of it. As bytes: it need not be text.
        folder: Vec<u8>,
    },
}

/// What the daemon answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// It is done: in sentences.
    Done(Vec<String>),
    /// It cannot be done now: why, in a sentence.
    Later(String),
}

/// Answers root and the daemon's own user, until `stop`.
pub async fn serve(server: Server, stop: Stop, service: Arc<Service>) {
    server.serve(stop, move |request| answer(service.clone(), request)).await;
}

async fn answer(service: Arc<Service>, request: Request) -> Result<Reply, String> {
    let Request::Release { module, folder } = request;
    let folder = RelPath::parse(&folder).map_err(|error| format!("the folder {error}"))?;
    let known = service.modules.named(&module).ok_or_else(|| no_module(&service.modules, &module, &folder))?;
    let freed = match service.sessions.release(&known.name, &known.root, &folder).await {
        Ok(freed) => freed,
        Err(Kept::Later(sentence)) => return Ok(Reply::Later(sentence)),
        Err(Kept::Beneath(above)) => return Err(beneath(&spelled(&known.name, &folder), &above)),
    };
    if freed.is_empty() {
        return Ok(Reply::Done(vec!["nobody has it: the next host that comes gets it".to_owned()]));
    }
    let told = freed.iter().map(|freed| {
        let (place, user, from) = (&freed.place, Shown(freed.user.as_bytes()), freed.from);
        tracing::info!("{place}: released by a person; it was of user {user} at {from}");
        format!(
            "{place}: released; it was of user {user} at {from} since {}, heard last {}; that host stays away for {}: another \
             host gets it if it comes before",
            freed.since,
            freed.heard,
            away()
        )
    });
    Ok(Reply::Done(told.collect()))
}

/// Nobody has just this folder.
fn beneath(place: &str, above: &str) -> String {
    format!(
        "`{place}` is a part of `{above}`, which one host has as a whole: to release that, type `recvctl release {above}`"
    )
}

fn no_module(modules: &Modules, name: &str, folder: &RelPath) -> String {
    let near = meant(modules, name, folder).map(|near| format!("; did you mean `{near}`?"));
    format!("there is no module `{}`{}", Shown(name.as_bytes()), near.unwrap_or_default())
}

/// What a person may have meant by a module that there is not. A target of `pushd.toml`, and the log, have a folder behind a
/// slash.
fn meant(modules: &Modules, name: &str, folder: &RelPath) -> Option<String> {
    let (module, above) = name.split_once('/').unwrap_or((name, ""));
    let near = modules.named(module).map(|known| &*known.name).or_else(|| nearest(module, modules.names()))?;
    let above = RelPath::parse(above.trim_end_matches('/').as_bytes()).ok()?;
    let folder = folder.names().try_fold(above, |path, name| path.join(&name)).ok()?;
    Some(spelled(near, &folder))
}

/// `recvctl release`: asks the running daemon and prints what that says.
pub fn release(args: &ReleaseArgs) -> Exit {
    let (module, folder) = args.place.split_once(':').unwrap_or((&args.place, ""));
    let folder = folder.trim_end_matches('/').as_bytes().to_vec();
    let request = Request::Release { module: module.to_owned(), folder };
    let socket = match DEFAULTS.socket(&args.config) {
        Ok(socket) => socket,
        Err(complaints) => {
            out::complain(complaints);
            return Exit::Config;
        }
    };
    match ask(&socket, &request, PATIENCE) {
        Ok(Reply::Done(sentences)) => {
            sentences.iter().for_each(out::line);
            Exit::Ok
        }
        Ok(Reply::Later(sentence)) => {
            out::complain(format_args!("recvd: {sentence}"));
            Exit::Busy
        }
        Err(error) => DEFAULTS.unanswered(&error),
    }
}
