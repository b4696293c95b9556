//! How pushd satisfies itself that it talks to the right recvd: by roots, by a pinned fingerprint, or by both. There is no
//! value of [`Proof`] that proves nothing, so verification cannot be switched off.
//!
//! A file of roots may hold the server's own certificate. Then it is a pin: what makes others trust a certificate, that
//! it is no authority's and that it bears a name, is not asked of one that the operator has put there byte for byte. Its
//! dates hold all the same, and so do its names where it has any, for the file may hold several servers' certificates.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, SignatureScheme};

use crate::certificate::{hosts, is_authority};
use crate::fingerprint::Fingerprint;

/// What has to hold of the server's certificate.
#[derive(Debug)]
pub(crate) enum Proof {
    /// It is signed by one of these roots, is valid now, and names the server.
    Roots(Roots),
    /// It is exactly this one; names and dates in it do not matter.
    Pin(Fingerprint),
    /// It has to be signed as above, and no other certificate than this one will do.
    Both(Roots, Fingerprint),
}

/// Certificates that may sign, and those among them that may be shown themselves.
#[derive(Debug)]
pub(crate) struct Roots {
    pub(crate) signing: Arc<WebPkiServerVerifier>,
    pub(crate) pinned: Vec<CertificateDer<'static>>,
}

impl Roots {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        let verdict = self.signing.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        let Err(error) = verdict else { return Ok(()) };
        if !self.pinned.iter().any(|pinned| pinned == end_entity) {
            return Err(error);
        }
        let error = match error {
            // The dates were looked at before.
            error if is_authority(&error) => {
                match verify_server_name(&ParsedCertificate::try_from(end_entity)?, name) {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            error => error,
        };
        match error {
            Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })
                if hosts(&presented).next().is_none() =>
            {
                Ok(())
            }
            error => Err(error),
        }
    }
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
            roots.verify(end_entity, intermediates, server_name, ocsp_response, now)?;
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
