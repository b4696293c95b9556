//! What rustls says of certificates, which is the debug text of its types, as words and names. Judges nothing.

use rustls::{CertificateError, Error};

/// Whether a certificate was refused because it is an authority's (CA:TRUE), as `openssl req -x509` makes it.
pub(crate) fn is_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(error) if unnamed(error) == Some(&webpki::Error::CaUsedAsEndEntity))
}

/// The error that rustls has no name for.
fn unnamed(error: &CertificateError) -> Option<&webpki::Error> {
    match error {
        CertificateError::Other(other) => other.0.downcast_ref(),
        _ => None,
    }
}

/// Why a certificate cannot be used, as the rest of a sentence about it.
pub(crate) fn unusable(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => fault(error),
        error => format!("cannot be used: {error}"),
    }
}

/// What is wrong with a certificate in itself, likewise.
pub(crate) fn fault(error: &CertificateError) -> String {
    match error {
        CertificateError::BadEncoding => "is damaged".into(),
        CertificateError::Revoked => "is revoked".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is for another purpose: of extended key usages it needs serverAuth, or to have none".into()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed in a way that is not taken here: sign it with SHA-256 or better".into()
        }
        error if unnamed(error) == Some(&webpki::Error::UnsupportedCertVersion) => {
            "is of version 1, as `openssl x509 -req` makes it: make one with `recvd cert` or `openssl req -x509`".into()
        }
        error => format!("is refused: {error}"),
    }
}

/// The names of a certificate by which a server can be dialled, bare. They are presented as `DnsName("a")` and
/// `IpAddress(192.0.2.1)`, beside kinds that no server is dialled by.
pub(crate) fn hosts(presented: &[String]) -> impl Iterator<Item = &str> {
    presented.iter().filter_map(|name| {
        let (kind, rest) = name.split_once('(')?;
        let bare = rest.strip_suffix(')')?;
        match kind {
            "DnsName" => bare.strip_prefix('"')?.strip_suffix('"'),
            "IpAddress" => Some(bare),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_and_only_hosts() {
        let presented = [
            "DnsName(\"a.example\")",
            "IpAddress(192.0.2.1)",
            "DirectoryName",
            "UniformResourceIdentifier(\"http://a\")",
            "Unsupported(0x01)",
            "DnsName(\"a\")b\")",
        ];
        let presented = presented.map(String::from);
        assert_eq!(hosts(&presented).collect::<Vec<_>>(), ["a.example", "192.0.2.1", "a\")b"]);
    }
}
