//! The SHA-256 of a certificate, as it stands in `fingerprint = "sha256:…"` and as `recvd cert` prints it. Knows
//! certificates as bytes only; what it proves is decided in `verify`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;

use crate::pem::{TlsError, certificates};

/// SHA-256 of the DER form of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// Why a text is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAFingerprint {
    /// It does not begin with `sha256:`.
    #[error("a fingerprint is \"sha256:\" and 64 hexadecimal digits; this one does not begin with \"sha256:\"")]
    Kind,
    /// There are not 64 digits after it.
    #[error("a fingerprint is \"sha256:\" and 64 hexadecimal digits; this one has {0} digits")]
    Length(usize),
    /// There is something that is neither a digit nor a colon.
    #[error("a fingerprint is \"sha256:\" and 64 hexadecimal digits; this one holds {0:?}")]
    Digit(char),
}

impl Fingerprint {
    /// Of the certificate with these DER bytes.
    pub fn of_der(der: &[u8]) -> Fingerprint {
        let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256;
        let hash = suite.common.hash_provider.hash(der);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        Fingerprint(bytes)
    }

    /// Of the first certificate in this PEM file: the one that a server with that file shows.
    pub fn of_file(pem: &Path) -> Result<Fingerprint, TlsError> {
        let chain = certificates(pem)?;
        let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate { path: pem.into() })?;
        Ok(Fingerprint::of(leaf))
    }

    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Fingerprint {
        Fingerprint::of_der(certificate.as_ref())
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Digits in either case; colons between them are ignored, as in what openssl prints.
    fn from_str(text: &str) -> Result<Fingerprint, NotAFingerprint> {
        let text = text.trim();
        let digits = match text.split_at_checked(7) {
            Some((kind, rest)) if kind.eq_ignore_ascii_case("sha256:") => rest,
            _ => return Err(NotAFingerprint::Kind),
        };
        let mut nibbles = Vec::with_capacity(64);
        for c in digits.chars().filter(|c| *c != ':') {
            nibbles.push(c.to_digit(16).ok_or(NotAFingerprint::Digit(c))? as u8);
        }
        if nibbles.len() != 64 {
            return Err(NotAFingerprint::Length(nibbles.len()));
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(nibbles.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hash_and_both_spellings() {
        let of_abc = Fingerprint::of_der(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_abc.to_string(), text);
        let colons: Vec<String> = of_abc.0.iter().map(|b| format!("{b:02X}")).collect();
        assert_eq!(format!("SHA256:{}", colons.join(":")).parse(), Ok(of_abc));
        assert_eq!(text.parse(), Ok(of_abc));
    }

    #[test]
    fn bad_spellings_are_named() {
        assert_eq!("ba78".parse::<Fingerprint>(), Err(NotAFingerprint::Kind));
        assert_eq!("sha256:ba78".parse::<Fingerprint>(), Err(NotAFingerprint::Length(4)));
        assert_eq!("sha256:zz".parse::<Fingerprint>(), Err(NotAFingerprint::Digit('z')));
        assert_eq!("ключключ".parse::<Fingerprint>(), Err(NotAFingerprint::Kind));
    }
}
