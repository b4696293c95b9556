//! Certificates and keys out of PEM files, and what can be wrong with them. Used by [`tls`](crate::tls) and the
//! [`fingerprint`](crate::fingerprint); trusts nothing and checks no dates.

use std::io;
use std::path::{Path, PathBuf};

use rustls::Error;
use rustls::pki_types::pem::{Error as Pem, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::certificate::unusable;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TlsError {
    #[error("{path}: {error}", path = path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Key(#[from] sys::SecretError),
    #[error("{path} is not valid PEM: {reason}", path = path.display())]
    Pem { path: PathBuf, reason: String },
    #[error("{path} holds no certificate (a line '-----BEGIN CERTIFICATE-----')", path = path.display())]
    NoCertificate { path: PathBuf },
    #[error("{path} holds no private key (a line '-----BEGIN PRIVATE KEY-----')", path = path.display())]
    NoKey { path: PathBuf },
    #[error("the private key {key} does not belong to the certificate {certificate}",
        key = key.display(), certificate = certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("the certificate {path} {fault}", path = path.display(), fault = unusable(error))]
    Certificate { path: PathBuf, error: Error },
    #[error("this system has no root certificates{detail}: install ca-certificates, or set ca_file or fingerprint")]
    NoSystemRoots { detail: String },
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] Error),
}

/// All certificates of a PEM file, in its order.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = sys::paths::read_config(path).map_err(|error| TlsError::Read { path: path.into(), error })?;
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Pem { path: path.into(), reason: fault(&error) })
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = Zeroizing::new(sys::read_secret(path)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        Pem::NoItemsFound => TlsError::NoKey { path: path.into() },
        error => TlsError::Pem { path: path.into(), reason: fault(&error) },
    })
}

/// What is wrong, in words. Of what the file holds nothing is shown but its lines of dashes: it may be a key.
fn fault(error: &Pem) -> String {
    match error {
        Pem::MissingSectionEnd { end_marker } => {
            let label = proto::shown::Shown(end_marker);
            format!("the line '-----END {label}-----' is missing: was the file cut short?")
        }
        Pem::IllegalSectionStart { .. } => "a line that begins with '-----BEGIN ' does not end with '-----'".into(),
        Pem::Base64Decode(_) => "what stands between its BEGIN and END is not base64".into(),
        Pem::SectionTooLarge => "what stands between its BEGIN and END is too large".into(),
        Pem::NoItemsFound => "it holds nothing of what is looked for".into(),
        other => other.to_string(),
    }
}
