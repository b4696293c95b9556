//! How pushd satisfies itself that it talks to the right recvd: by roots, by a pinned fingerprint, or by both. There is no
//! value of [`Proof`] that proves nothing, so verification cannot be switched off.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, SignatureScheme};

use crate::fingerprint::Fingerprint;

/// What has to hold of the server's certificate.
#[derive(Debug)]
pub(crate) enum Proof {
    /// It is signed by one of these roots, is valid now, and names the server.
    Roots(Arc<WebPkiServerVerifier>),
    /// It is exactly this one; names and dates in it do not matter.
    Pin(Fingerprint),
    /// Both.
    Both(Arc<WebPkiServerVerifier>, Fingerprint),
}

/// The server has another certificate than the pinned one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the server shows {shown}, pinned is {pinned}")]
pub(crate) struct PinMismatch {
    pub(crate) pinned: Fingerprint,
    pub(crate) shown: Fingerprint,
}

/// A [`Proof`] in the place where rustls asks for it.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) proof: Proof,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (roots, pin) = match &self.proof {
            Proof::Roots(roots) => (Some(roots), None),
            Proof::Pin(pin) => (None, Some(*pin)),
            Proof::Both(roots, pin) => (Some(roots), Some(*pin)),
        };
        if let Some(pinned) = pin {
            let shown = Fingerprint::of(end_entity);
            if shown != pinned {
                let mismatch = OtherError(Arc::new(PinMismatch { pinned, shown }));
                return Err(CertificateError::Other(mismatch).into());
            }
        }
        if let Some(roots) = roots {
            roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    /// Proves that the server holds the key of the certificate; without it a pin would prove nothing.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
