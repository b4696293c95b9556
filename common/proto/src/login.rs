//! The messages before the data phase. The two machines that exchange them are in [`dialogue`](crate::dialogue), their
//! bytes in [`codec`](crate::codec).

use std::fmt;
use std::time::Duration;

use crate::digest::Digest;
use crate::extensions::Extensions;
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
    /// What was asked for is not known here, or not done here; in words.
    Unsupported { what: String },
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
            Refusal::Unsupported { what } => {
                write!(f, "the other side does not have what was asked for: {what}; is it of an older release?")
            }
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
    pub extensions: Extensions,
}

/// client → server, after `Welcome`. No `Debug`: it holds the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// 1..=255 bytes without control characters.
    pub user: String,
    /// 1..=1024 bytes.
    pub password: Password,
    /// What a later version may say besides.
    pub extensions: Extensions,
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

/// What the client wants to do. The roles follow from it: with `Push` the client is the sender, else the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// To make the folder what the client's is. For it alone the folder is leased to write.
    Push = 0,
    /// To be sent the folder.
    Pull = 1,
    /// To find out where the folder differs from the client's.
    Verify = 2,
    /// To be told what stands in the folder.
    List = 3,
}

impl Purpose {
    /// Whether the client takes over what the server sends, and so says what is [kept](Terms) of it.
    pub fn receives(self) -> bool {
        match self {
            Purpose::Push | Purpose::Verify => false,
            Purpose::Pull | Purpose::List => true,
        }
    }
}

/// What whoever receives makes of what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What is kept of an entry.
    pub keep: Keep,
    /// What an acknowledgement means.
    pub durability: Durability,
}

/// A random number by which recvd knows the host of a pushd again. Not a secret: the host's copy has it, too.
pub type SenderId = [u8; 16];

/// A secret that recvd gives with each session that may write, for the next to show: two hosts with the same [`SenderId`] are
/// told apart by it. It cannot be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token(pub [u8; 16]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Which state of a folder is meant, where a history is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum At {
    /// As it was so many seconds after 1970 began.
    Time { secs: i64 },
    /// As it was when this mark was set: 1 to [`MARK`](crate::limits::MARK) bytes of plain text.
    Mark { name: String },
}

/// client → server, after the login was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Name of the module, 1..=255 bytes.
    pub module: String,
    /// Folder inside the module; the root for the module itself.
    pub folder: RelPath,
    /// What is to be done there.
    pub purpose: Purpose,
    /// Which host it is.
    pub sender: SenderId,
    /// What the last session in that folder was given, if it is known.
    pub token: Option<Token>,
    /// Which state is wanted, `None` for what stands there now. Only to pull and to list.
    pub at: Option<At>,
    /// Of a client that [receives](Purpose::receives), and of no other.
    pub terms: Option<Terms>,
    /// What a later version may say besides.
    pub extensions: Extensions,
}

/// server → client, after `Open`: the data phase begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Of a server that receives, which it does where the client [does not](Purpose::receives), and of no other.
    pub terms: Option<Terms>,
    /// Whether nobody else has written here since this sender's last session: what was acknowledged then still stands.
    pub continued: bool,
    /// How often the folder has changed hands, as far as the server knows: the higher, the later.
    pub epoch: u64,
    /// What the next session is to show. It is the new one once the client has said that it is [written
    /// down](crate::ToReceiver::Noted); until then the one before is as good. Only to push.
    pub token: Option<Token>,
    /// The [digests](crate::digest::of) of where the folder and those above it stand, at most
    /// [`PLACES`](crate::limits::PLACES): a sender on the same host sees by them that its source is within the folder, or the
    /// folder within its source. Empty where the receiver cannot tell.
    pub place: Vec<Digest>,
    /// What a later version may say besides.
    pub extensions: Extensions,
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
