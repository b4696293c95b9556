//! The control socket: one JSON line asks, one JSON line answers, then the connection ends. Only the daemon's own user and
//! root are answered.
//!
//! It carries requests and replies of types that each program defines; it does not know what they mean.

mod defaults;

use std::future::Future;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::Stop;

pub use defaults::Defaults;

/// Longest request, in bytes: one that names thousands of targets.
const REQUEST: u64 = 4 * 1024 * 1024;
/// Longest reply that is read, in bytes: a status with many problems.
const REPLY: u64 = 64 * 1024 * 1024;
/// Conversations at the same time. More wait in the kernel's queue. A program whose answers may take long must allow
/// fewer of those, so that there is always room for the short ones.
pub const CONVERSATIONS: usize = 64;
/// Time to send the request, and to take the reply.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time that one answer may take, with what it waits for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Time between two looks whether the one who waits for an answer is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BindError {
    /// Another daemon answers there.
    #[error("another daemon answers at {path}: stop it, or set another `control_socket`", path = .path.display())]
    Live { path: PathBuf },
    /// Something stands there that is not a socket, or the folder is missing or not ours.
    #[error("cannot listen at {path}: {error}; check `control_socket`", path = .path.display())]
    Io {
        path: PathBuf,
        /// What the kernel says.
        error: io::Error,
    },
}

/// Why a daemon did not answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum AskError {
    /// Nothing listens there: no daemon runs, or it runs with another socket.
    #[error("no answer at {path}", path = .path.display())]
    Silent { path: PathBuf },
    /// Somebody listens there and we may not ask.
    #[error("may not ask at {path}: run this as root or as the user of the daemon", path = .path.display())]
    Denied { path: PathBuf },
    /// The answer did not come in time or cannot be read.
    #[error("the answer at {path} cannot be used: {reason}", path = .path.display())]
    Broken {
        path: PathBuf,
        /// As the end of the sentence.
        reason: String,
    },
    /// The daemon answered that it cannot do that: its own sentence.
    #[error("{0}")]
    Refused(String),
}

/// What stands on the reply line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply<R> {
    Ok(R),
    Error(String),
    Denied(String),
}

/// A bound control socket. Dropped: its name is removed.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Binds. A folder for it that is missing is made, for us alone. A socket that a killed daemon left behind is
    /// replaced; one that answers is an error. Call it inside of a tokio runtime.
    pub fn bind(path: &Path) -> Result<Server, BindError> {
        let failed = |error| BindError::Io { path: path.to_owned(), error };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            sys::paths::create_private_dir(folder).map_err(failed)?;
        }
        // RACE: two daemons that start at the same moment may both find a stale socket; then the later one has the name
        // and the earlier one is not answered for. What they must not share is guarded elsewhere.
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                match BlockingStream::connect(path) {
                    Ok(_) => return Err(BindError::Live { path: path.to_owned() }),
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                    Err(error) => return Err(failed(error)),
                }
                sys::paths::remove_socket(path).map_err(failed)?;
                UnixListener::bind(path).map_err(failed)?
            }
            bound => bound.map_err(failed)?,
        };
        // Until here the folder's rights and the check of each peer's user guard it; after it, its own do too.
        sys::paths::keep_private(path).map_err(failed)?;
        Ok(Server { listener, path: path.to_owned() })
    }

    /// Answers until `stop`. `answer` may wait as long as it needs to: other requests are answered meanwhile. It is
    /// dropped when the asker goes away, and not called where the asker has gone already and takes nothing to be done.
    pub async fn serve<Q, R, F, A>(self, stop: Stop, answer: F)
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        F: Fn(Q) -> A + Send + Sync + 'static,
        A: Future<Output = Result<R, String>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let slots = Arc::new(Semaphore::new(CONVERSATIONS));
        let mut talks = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => break,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            while talks.try_join_next().is_some() {}
            let Ok((stream, slot)) = accepted else {
                // Out of descriptors: others give some back in a while.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let answer = answer.clone();
            talks.spawn(async move {
                let talked = tokio::time::timeout(LONGEST, talk(stream, &*answer)).await;
                if let Ok(Err(error)) = talked {
                    tracing::debug!("control socket: {error}");
                }
                drop(slot);
            });
        }
        // Dropping the set ends what is still being said.
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = sys::paths::remove_socket(&self.path) {
            tracing::debug!("cannot remove {}: {error}", self.path.display());
        }
    }
}

async fn accept(
    listener: &UnixListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

async fn talk<Q, R, F, A>(mut stream: UnixStream, answer: &F) -> io::Result<()>
where
    Q: DeserializeOwned,
    R: Serialize,
    F: Fn(Q) -> A,
    A: Future<Output = Result<R, String>>,
{
    let peer = stream.peer_cred()?.uid();
    let reply: Reply<R> = if peer != 0 && peer != sys::process::effective_uid() {
        Reply::Denied("only root and the user of the daemon may ask".to_owned())
    } else {
        let mut line = String::new();
        let mut reader = tokio::io::BufReader::new((&mut stream).take(REQUEST));
        tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
        match serde_json::from_str(&line) {
            Ok(_) if sys::socket::peer_left(&stream) => return Ok(()),
            Ok(request) => tokio::select! {
                answered = answer(request) => answered.map_or_else(Reply::Error, Reply::Ok),
                () = left(&stream) => return Ok(()),
            },
            Err(error) => {
                Reply::Error(format!("this daemon does not know the request ({error}): is it of another version?"))
            }
        }
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    tokio::time::timeout(PATIENCE, stream.write_all(&line)).await??;
    stream.shutdown().await
}

/// Returns when the other end has gone.
async fn left(stream: &UnixStream) {
    while !sys::socket::peer_left(stream) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Asks the daemon at `path` and waits at most `most` for its answer.
pub fn ask<Q: Serialize, R: DeserializeOwned>(path: &Path, request: &Q, most: Duration) -> Result<R, AskError> {
    let broken = |reason: String| AskError::Broken { path: path.to_owned(), reason };
    let mut stream = BlockingStream::connect(path).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => AskError::Denied { path: path.to_owned() },
        _ => AskError::Silent { path: path.to_owned() },
    })?;
    let mut line = serde_json::to_vec(request).map_err(|error| broken(error.to_string()))?;
    line.push(b'\n');
    stream.set_write_timeout(Some(PATIENCE)).map_err(|error| broken(error.to_string()))?;
    stream.set_read_timeout(Some(most.max(Duration::from_millis(1)))).map_err(|error| broken(error.to_string()))?;
    // A daemon that denies us may close before it has read the request; its reply can be read all the same.
    let sent = stream.write_all(&line);
    let mut reply = String::new();
    let read = BufReader::new(stream.take(REPLY)).read_line(&mut reply);
    match (sent, read) {
        (_, Ok(1..)) => {}
        (_, Err(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            return Err(broken("it did not come in time".to_owned()));
        }
        (Err(error), _) | (_, Err(error)) => return Err(broken(error.to_string())),
        (Ok(()), Ok(0)) => return Err(broken("the daemon stopped".to_owned())),
    }
    match serde_json::from_str(&reply) {
        Ok(Reply::Ok(reply)) => Ok(reply),
        Ok(Reply::Error(sentence)) => Err(AskError::Refused(sentence)),
        Ok(Reply::Denied(_)) => Err(AskError::Denied { path: path.to_owned() }),
        Err(error) => Err(broken(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = Result<String, AskError>;

    fn serve(path: &Path, stop: &Stop) -> tokio::task::JoinHandle<()> {
        let server = Server::bind(path).unwrap();
        tokio::spawn(server.serve(stop.clone(), |request: String| async move {
            match request.as_str() {
                "slow" => tokio::time::sleep(Duration::from_secs(3600)).await,
                "no" => return Err("not today".to_owned()),
                _ => {}
            }
            Ok(format!("{request}!"))
        }))
    }

    async fn ask_there(path: &Path, request: &'static str) -> Answer {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || ask(&path, &request, Duration::from_millis(500))).await.unwrap()
    }

    #[tokio::test]
    async fn one_line_asks_one_line_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/control.sock");
        assert!(matches!(ask_there(&path, "a").await, Err(AskError::Silent { .. })));
        let stop = Stop::new();
        let serving = serve(&path, &stop);
        assert_eq!(ask_there(&path, "a").await.unwrap(), "a!");
        assert!(matches!(ask_there(&path, "no").await, Err(AskError::Refused(why)) if why == "not today"));
        assert!(matches!(ask_there(&path, "slow").await, Err(AskError::Broken { .. })));
        assert_eq!(ask_there(&path, "b").await.unwrap(), "b!");
        stop.request();
        serving.await.unwrap();
        assert!(!path.exists());
    }

    /// Sends a request and does not wait for its answer.
    async fn begin_to_ask(path: &Path, request: &str) -> UnixStream {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(format!("\"{request}\"\n").as_bytes()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn who_leaves_frees_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let stop = Stop::new();
        let _serving = serve(&path, &stop);
        let mut waiting = Vec::new();
        for _ in 0..CONVERSATIONS {
            waiting.push(begin_to_ask(&path, "slow").await);
        }
        assert!(matches!(ask_there(&path, "a").await, Err(AskError::Broken { .. })));
        drop(waiting);
        assert_eq!(ask_there(&path, "b").await.unwrap(), "b!");
    }

    #[tokio::test]
    async fn nothing_is_done_for_who_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let server = Server::bind(&path).unwrap();
        // The daemon is too busy to take them in; one gives up, one has only said all that it has to say.
        drop(begin_to_ask(&path, "gone").await);
        let mut patient = begin_to_ask(&path, "patient").await;
        patient.shutdown().await.unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(server.serve(Stop::new(), move |request: String| {
            tell.send(request).unwrap();
            async { Ok("done".to_owned()) }
        }));
        let mut reply = String::new();
        patient.read_to_string(&mut reply).await.unwrap();
        assert!(reply.contains("done"), "{reply}");
        assert_eq!(ask_there(&path, "last").await.unwrap(), "done");
        assert_eq!(told.recv().await.unwrap(), "patient");
        assert_eq!(told.recv().await.unwrap(), "last");
    }

    #[tokio::test]
    async fn nonsense_gets_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let stop = Stop::new();
        let _serving = serve(&path, &stop);
        for request in ["{}\n", "\n", "\u{0}\u{1}\n", "[[[["] {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.unwrap();
            assert!(reply.contains("does not know the request"), "{reply}");
        }
        // Too long: cut off, with a reply or without.
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let _ = stream.write_all(&vec![b'x'; 5_000_000]).await;
        assert_eq!(ask_there(&path, "still there").await.unwrap(), "still there!");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let stop = Stop::new();
        let _serving = serve(&path, &stop);
        assert!(matches!(Server::bind(&path), Err(BindError::Live { .. })));
        assert_eq!(ask_there(&path, "a").await.unwrap(), "a!");
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(Server::bind(&path), Err(BindError::Live { .. } | BindError::Io { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
