//! What pushd trusts, as its configuration says it. [`tls`](crate::tls) makes a verifier of it; sentences about failures
//! name it.

use std::path::PathBuf;

use crate::fingerprint::Fingerprint;

/// By what pushd knows its recvd. With neither, the roots of the system decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM file of the certificates that may sign; a self-signed certificate of recvd itself is fine.
    pub ca_file: Option<PathBuf>,
    /// The one certificate that is accepted, in addition to `ca_file` where that is given.
    pub fingerprint: Option<Fingerprint>,
}
