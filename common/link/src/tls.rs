//! The two TLS configurations: recvd's from its certificate and key, made once at start and used by
//! [`accept`](crate::accept); pushd's from what it trusts, made anew by each [`dial`](mod@crate::dial), so that a file that
//! was replaced counts. TLS 1.3 only, ALPN `pushd/1`, no tickets, no resumption, no early data. Reads from no socket.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use proto::limits::ALPN;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, Error, InconsistentKeys, RootCertStore, ServerConfig};

pub use crate::pem::TlsError;
use crate::pem::{certificates, private_key};
pub use crate::trust::Trust;
use crate::verify::{Proof, Roots, Verifier};

/// Bytes that TLS may hold encrypted and not yet taken by the socket.
pub(crate) const TLS_BUFFER: usize = 256 * 1024;

/// recvd's side of TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls(pub(crate) Arc<ServerConfig>);

/// pushd's side of TLS.
#[derive(Debug)]
pub struct ClientTls(pub(crate) Arc<ClientConfig>);

/// recvd's configuration. The key file has the mode 0600 (or 0400) and belongs to root or to whom recvd runs as.
pub fn server_config(cert_pem: &Path, key_pem: &Path) -> Result<ServerTls, TlsError> {
    let chain = certificates(cert_pem)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: cert_pem.into() });
    }
    let key = private_key(key_pem)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { certificate: cert_pem.into(), key: key_pem.into() }
            }
            error => TlsError::Certificate { path: cert_pem.into(), error },
        })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(ServerTls(Arc::new(config)))
}

/// pushd's configuration, from files as they are now.
pub fn client_config(trust: &Trust) -> Result<ClientTls, TlsError> {
    let proof = match (&trust.ca_file, trust.fingerprint) {
        (None, None) => Proof::Roots(system_roots()?),
        (None, Some(pin)) => Proof::Pin(pin),
        (Some(file), None) => Proof::Roots(roots_of(file)?),
        (Some(file), Some(pin)) => Proof::Both(roots_of(file)?, pin),
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { proof, provider: provider() }))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(ClientTls(Arc::new(config)))
}

/// What an operator should know of recvd's own certificate: that its time is over, or has not begun. `None` when it is
/// good today. Such a certificate still serves those who pin it, so this is a warning.
pub fn certificate_warning(cert_pem: &Path) -> Result<Option<String>, TlsError> {
    let chain = certificates(cert_pem)?;
    let (Some(leaf), Some(top)) = (chain.first(), chain.last()) else {
        return Err(TlsError::NoCertificate { path: cert_pem.into() });
    };
    let mut roots = RootCertStore::empty();
    roots.add(top.clone()).map_err(|error| TlsError::Certificate { path: cert_pem.into(), error })?;
    // Any name will do: the dates are looked at before the names.
    let Ok(name) = ServerName::try_from("localhost") else { return Ok(None) };
    let verdict = verifier(roots, cert_pem)?.verify_server_cert(leaf, &chain[1..], &name, &[], UnixTime::now());
    Ok(match verdict {
        Err(Error::InvalidCertificate(error)) => match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                Some(format!("the certificate {} {}", cert_pem.display(), crate::sentence::dates(&error)))
            }
            _ => None,
        },
        _ => None,
    })
}

fn roots_of(path: &Path) -> Result<Roots, TlsError> {
    let pinned = certificates(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in &pinned {
        roots.add(certificate.clone()).map_err(|error| TlsError::Certificate { path: path.into(), error })?;
    }
    Ok(Roots { signing: verifier(roots, path)?, pinned })
}

/// None of them is a pin: nobody has chosen one for this server.
fn system_roots() -> Result<Roots, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let detail = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(TlsError::NoSystemRoots { detail });
    }
    Ok(Roots { signing: verifier(roots, Path::new("the system's roots"))?, pinned: Vec::new() })
}

fn verifier(roots: RootCertStore, path: &Path) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().map_err(|error| match error {
        VerifierBuilderError::NoRootAnchors => TlsError::NoCertificate { path: path.into() },
        error => TlsError::Library(Error::General(error.to_string())),
    })
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(default_provider())).clone()
}
