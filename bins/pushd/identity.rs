//! Who this host is to a recvd: a number that tells it from all others, and for each target the token of its last session.
//! Both are kept in `state_dir`.
//!
//! The token is written down before recvd hears of that, so at any moment the file has one that recvd takes. A copy of the
//! host has the same number and, at first, the same token; once one of the two has had a session, only that one has the last.
//!
//! LIMIT: until then recvd cannot tell a copy from the host, and lets in which of them comes first while none is connected.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kit::{hex, unhex};
use proto::login::{SenderId, Token};

use crate::config::Target;

/// Its name in the folder.
const IDENTITY: &str = "identity";
/// The folder of the tokens in it.
const LEASES: &str = "leases";

/// The number of this host, and where its tokens are kept.
#[derive(Debug)]
pub struct Identity {
    id: SenderId,
    /// `None`: of the moment, and nothing is kept.
    state_dir: Option<PathBuf>,
}

impl Identity {
    /// The one that is kept in this folder, which is made with it where it is missing. The error is a sentence that names
    /// `state_dir`.
    pub fn kept(state_dir: &Path) -> Result<Identity, String> {
        Identity::look(state_dir)?;
        let path = state_dir.join(IDENTITY);
        let failed = |path: &Path, error: io::Error| unusable(&format!("{}: {error}", path.display()));
        sys::create_private_dir(&state_dir.join(LEASES)).map_err(|error| failed(state_dir, error))?;
        // A daemon and a `sync` may come at the same time.
        let _turn = sys::paths::take_turn(&path).map_err(|error| failed(state_dir, error))?;
        if !sys::exists(&path) {
            let none = |_| "cannot fill `state_dir`: the kernel gives no random numbers".to_owned();
            let id: SenderId = sys::process::random().map_err(none)?;
            let text = format!("{}\n", hex(&id));
            sys::replace(&path, text.as_bytes(), 0o600).map_err(|error| failed(&path, error))?;
        }
        let id = read(&path).map_err(|sentence| unusable(&sentence))?;
        Ok(Identity { id, state_dir: Some(state_dir.to_owned()) })
    }

    /// One of the moment, for a pass of its own.
    pub fn of_the_moment() -> Identity {
        let other = |_| {
            // No secret; it only has to be another one than everybody else's.
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let (boot, process) = (sys::process::boot_id(), std::process::id());
            proto::digest::of(boot.as_bytes(), &process.to_le_bytes(), &now.to_le_bytes())
        };
        Identity { id: sys::process::random().unwrap_or_else(other), state_dir: None }
    }

    /// Whether [`kept`](Identity::kept) can work in this folder, as far as that can be seen without changing anything. The
    /// error is the same sentence.
    pub fn look(state_dir: &Path) -> Result<(), String> {
        let (path, leases) = (state_dir.join(IDENTITY), state_dir.join(LEASES));
        let there = if sys::exists(&path) { read(&path).map(drop) } else { sys::could_make(&path) };
        // Tokens that cannot be written are no reason not to begin.
        let room = || if sys::is_dir(&leases) { Ok(()) } else { sys::could_make(&leases.join("token")) };
        there.and_then(|()| room()).map_err(|sentence| unusable(&sentence))
    }

    /// Tells this host from all others, but from its copies.
    pub fn id(&self) -> SenderId {
        self.id
    }

    /// Where it is kept; `None` for one of the moment.
    pub fn state_dir(&self) -> Option<&Path> {
        self.state_dir.as_deref()
    }

    /// What the last session with this target was given, if it is known.
    pub fn token(&self, target: &Target) -> Option<Token> {
        let path = self.path(target)?;
        if !sys::exists(&path) {
            return None;
        }
        match read(&path) {
            Ok(token) => Some(Token(token)),
            Err(sentence) => {
                tracing::warn!(target_name = %target.name, "the token of the last session is lost: {sentence}");
                None
            }
        }
    }

    /// Writes down what this session was given; on return it survives a power cut.
    ///
    /// # Errors
    /// Of the operating system; `Unsupported` where nothing is kept.
    pub fn note(&self, target: &Target, token: Token) -> io::Result<()> {
        let path = self.path(target).ok_or(io::ErrorKind::Unsupported)?;
        let text = format!("{}\n{} {}\n", hex(&token.0), target.name, target.destination);
        sys::replace(&path, text.as_bytes(), 0o600)
    }

    fn path(&self, target: &Target) -> Option<PathBuf> {
        let destination = target.destination.to_string();
        let name = proto::digest::of(&[], target.name.as_bytes(), destination.as_bytes());
        Some(self.state_dir.as_ref()?.join(LEASES).join(hex(&name)))
    }
}

fn unusable(why: &str) -> String {
    format!("cannot use `state_dir`: {why}")
}

/// Sixteen bytes, as hexadecimal digits on the first line.
fn read(path: &Path) -> Result<[u8; 16], String> {
    let bytes = sys::read_secret(path).map_err(|error| error.to_string())?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let sixteen = unhex(line).and_then(|bytes| bytes.try_into().ok());
    let wrong =
        || format!("{} does not begin with 32 hexadecimal digits: was it written by pushd? Remove it", path.display());
    sixteen.ok_or_else(wrong)
}
