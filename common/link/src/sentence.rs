//! TLS failures as sentences for the operator: what is wrong with which certificate, and what to do. Called by
//! [`dial`](mod@crate::dial) and [`accept`](crate::accept); decides nothing.

use std::fmt::Write;
use std::io;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error};

use crate::certificate::{fault, hosts, is_authority};
use crate::trust::Trust;
use crate::verify::PinMismatch;

/// The TLS error inside an I/O error, if it is one.
pub(crate) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Why a connection broke, in words. For the most frequent reason rustls only names a page of its manual.
pub(crate) fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the peer went away without a goodbye".into(),
        _ => error.to_string(),
    }
}

/// Text that is not ours, fit for a log line.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = proto::name::escape(text.as_bytes(), &mut out);
    out
}

/// Why the handshake with `who` failed, as pushd sees it.
pub(crate) fn explain(error: &Error, who: &str, trust: &Trust) -> String {
    match error {
        error if is_authority(error) => {
            let file = trust.ca_file.as_ref().map_or("a ca_file".into(), |file| file.display().to_string());
            format!(
                "the certificate of {who} is an authority's (CA:TRUE), which is trusted only where it stands itself: put it \
                 into {file}, or set fingerprint"
            )
        }
        Error::InvalidCertificate(error) => explain_certificate(error, who, trust),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            format!("{who} speaks TLS, but is not a recvd that speaks pushd/1")
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            format!("{who} does not offer TLS 1.3 as recvd does ({error}): is it a recvd?")
        }
        Error::InvalidMessage(_) => format!("{who} does not speak TLS: is it a recvd, and is the port right?"),
        error => format!("TLS with {who} failed: {error}"),
    }
}

fn explain_certificate(error: &CertificateError, who: &str, trust: &Trust) -> String {
    match error {
        // A bad signature: the file holds another certificate of the same name, as after `recvd cert` was run anew.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => match &trust.ca_file {
            Some(file) => format!("the certificate of {who} is not signed by {}", file.display()),
            None => format!(
                "the certificate of {who} is not signed by a root that this system trusts: set ca_file or fingerprint"
            ),
        },
        CertificateError::NotValidForName => format!("the certificate of {who} is for another name than its address"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = name(expected);
            let presented = names(presented).unwrap_or("no name at all".into());
            format!(
                "the certificate of {who} is for {presented}, not for {expected}: use such a name in address, or make a \
                 certificate with --name {expected}"
            )
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {who} {}", dates(error))
        }
        CertificateError::Other(other) => match other.0.downcast_ref::<PinMismatch>() {
            Some(PinMismatch { pinned, shown }) => format!(
                "{who} has another certificate than the pinned one: it shows {shown}, pinned is {pinned}; if recvd has a \
                 new certificate, set fingerprint anew, else somebody is in between"
            ),
            None => format!("the certificate of {who} {}", fault(error)),
        },
        error => format!("the certificate of {who} {}", fault(error)),
    }
}

/// What is wrong with a certificate's dates, as the rest of a sentence about it.
pub(crate) fn dates(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "expired on {}: make a new one, or set the clock right (here it is {})",
            date(*not_after),
            date(*time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("is not valid before {}: is the clock right? (here it is {})", date(*not_before), date(*time))
        }
        CertificateError::Expired => "has expired: make a new one, or set the clock right".into(),
        _ => "is not valid yet: is the clock right?".into(),
    }
}

fn name(name: &ServerName<'_>) -> String {
    match name {
        ServerName::IpAddress(ip) => std::net::IpAddr::from(*ip).to_string(),
        name => name.to_str().into_owned(),
    }
}

/// At most four names of hosts, each escaped: they come from the peer. `None` when there is none.
fn names(presented: &[String]) -> Option<String> {
    let mut hosts = hosts(presented);
    let short = |name: &str| escaped(&name.chars().take(255).collect::<String>());
    let shown: Vec<String> = hosts.by_ref().take(4).map(short).collect();
    let mut out = shown.join(", ");
    let more = hosts.count();
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = write!(out, " and {more} more");
    }
    (!shown.is_empty()).then_some(out)
}

/// `2026-11-23 01:37 UTC`; the certificate may name any second, and one after the year 9999 is shown as the last of it.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_civil() {
        let at = |secs| date(UnixTime::since_unix_epoch(Duration::from_secs(secs)));
        assert_eq!(at(0), "1970-01-01 00:00 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(at(1_763_861_820), "2025-11-23 01:37 UTC");
        assert_eq!(at(4_102_444_799), "2099-12-31 23:59 UTC");
        assert!(at(u64::MAX).starts_with("9999-12-3"), "{}", at(u64::MAX));
    }

    #[test]
    fn names_from_the_peer_are_escaped_and_bounded() {
        let presented: Vec<String> = (0..6).map(|i| format!("DnsName(\"a\u{1b}[2J{i}\")")).collect();
        let text = names(&presented).unwrap();
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.ends_with("and 2 more"), "{text}");
    }
}
