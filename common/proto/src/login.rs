//! The messages before the data phase. The two machines that exchange them are in [`dialogue`](crate::dialogue), their
//! bytes in [`codec`](crate::codec).

use std::fmt;
use std::time::Duration;

use crate::digest::Digest;
use crate::{Keep, RelPath};

/// A typed no. It shows as the sentence that the operator of the refused side reads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Refusal {
    /// Limits are reached, or the module cannot work now; worth another try after this time (the peer bounds it).
    Busy { reason: String, retry: Duration },
    /// User, password, module or right do not fit; which of them is not said.
    Denied,
    /// The peer speaks none of our versions: ours are `low..=high`.
    Version { low: u16, high: u16 },
    /// The peer broke the protocol.
    Protocol { reason: String },
    /// The service stops, and may be back at once.
    Stopping,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Busy { reason, retry } => write!(f, "busy for now: {reason}; another try is welcome in {retry:?}"),
            Refusal::Denied => f.write_str(
                "denied: user, password, module or the right to use it do not fit; compare them with users_file and \
                 the module's users on the backup host",
            ),
            Refusal::Version { low, high } => {
                let (our_low, our_high) = crate::limits::VERSIONS;
                write!(
                    f,
                    "need protocol {low}..{high}, this program speaks {our_low}..{our_high}; bring both hosts to the \
                     same release"
                )
            }
            Refusal::Protocol { reason } => write!(f, "the protocol was broken: {reason}"),
            Refusal::Stopping => f.write_str("the service stops"),
        }
    }
}

/// client → server, first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Hello {
    pub low: u16,
    pub high: u16,
    pub software: String,
}

/// server → client, after `Hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Welcome {
    pub version: u16,
    pub software: String,
}

/// client → server, after `Welcome`. No `Debug`: it holds the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// 1..=255 bytes without control characters.
    pub user: String,
    /// 1..=1024 bytes.
    pub password: Password,
}

/// A password. It cannot be shown, and its bytes are overwritten when it is dropped.
///
/// LIMIT: the overwriting is as good as safe code can make it; the frame in which it travelled is not reached by it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    /// The bytes, as typed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Password {
    fn from(bytes: &[u8]) -> Password {
        Password(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Password {
    fn from(bytes: Vec<u8>) -> Password {
        Password(bytes)
    }
}

impl From<String> for Password {
    fn from(text: String) -> Password {
        Password(text.into_bytes())
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Password {
        Password(text.as_bytes().to_vec())
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without a reader of the zeros the compiler may leave them out.
        std::hint::black_box(&self.0);
    }
}

/// server → client, after a good `Login`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted;

/// What the client wants to do. The roles follow from it: with `Push` the client is the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Direction {
    Push = 0,
    Pull = 1,
}

/// client → server, after the login was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Name of the module, 1..=255 bytes.
    pub module: String,
    /// Folder inside the module; the root for the module itself.
    pub folder: RelPath,
    /// `Push` where the client sends files, `Pull` where the server does.
    pub direction: Direction,
    /// A random number that a sender draws once a run for each target, so that the receiver can tell it from others.
    pub sender: u64,
}

/// server → client, after `Open`: the data phase begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What the module keeps.
    pub keep: Keep,
    /// What an acknowledgement means here.
    pub durability: Durability,
    /// Whether nobody else has written here since this sender's last session, in the life of this receiver: what was
    /// acknowledged then still stands.
    pub continued: bool,
    /// The [marks](crate::digest::mark) of the folder and of those above it, at most [`MARKS`](crate::limits::MARKS): a sender
    /// on the same host sees by them that its source is within the folder, or the folder within its source. Empty where the
    /// receiver cannot tell.
    pub place: Vec<Digest>,
}

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Durability {
    /// It is in the receiver's page cache: `Applied` is the last receipt.
    None = 0,
    /// It survives a power cut: `Durable` follows `Applied`.
    Batch = 1,
}
