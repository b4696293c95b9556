//! `recvd cert`: a self-signed certificate that pushd can be given as `ca_file` or by its fingerprint. It is no authority:
//! with it nobody can sign another.

use std::path::Path;
use std::time::{Duration, SystemTime};

use kit::{Exit, out};
use link::Fingerprint;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use zeroize::Zeroizing;

use crate::cli::CertArgs;

/// How long a certificate is good: a pair of hosts is set up once.
const LIFE: Duration = Duration::from_secs(3653 * 86_400);
/// It is good from a day ago, for peers whose clock is behind.
const LEEWAY: Duration = Duration::from_secs(86_400);

/// Exit 0, 64 for a name that is none, 73 when a file is there already or cannot be written.
pub fn cert(args: &CertArgs) -> Exit {
    let (certificate, key) = (args.dir.join("cert.pem"), args.dir.join("key.pem"));
    for path in [&certificate, &key] {
        if sys::paths::exists(path) {
            out::complain(format_args!(
                "{} is there already: remove it first, or choose another --dir",
                path.display()
            ));
            return Exit::Output;
        }
    }
    let (pem, key_pem) = match make(&args.names) {
        Ok(made) => made,
        Err(sentence) => {
            out::complain(sentence);
            return Exit::Usage;
        }
    };
    if !sys::paths::is_dir(&args.dir)
        && let Err(error) = sys::paths::create_private_dir(&args.dir)
    {
        out::complain(format_args!("{}: {error}", args.dir.display()));
        return Exit::Output;
    }
    // The key first: a certificate without its key would look whole.
    for (path, bytes, mode) in [(&key, key_pem.as_bytes(), 0o600), (&certificate, pem.as_bytes(), 0o644)] {
        if let Err(error) = sys::paths::write_new(path, bytes, mode) {
            out::complain(format_args!("{}: {error}", path.display()));
            return Exit::Output;
        }
    }
    tell(&certificate, &key)
}

fn tell(certificate: &Path, key: &Path) -> Exit {
    let fingerprint = match Fingerprint::of_file(certificate) {
        Ok(fingerprint) => fingerprint,
        Err(error) => {
            out::complain(error);
            return Exit::Output;
        }
    };
    out::line(format_args!("certificate  {}", certificate.display()));
    out::line(format_args!("private key  {}", key.display()));
    out::line(format_args!("fingerprint  {fingerprint}"));
    out::line("In pushd.toml, either copy the certificate there and name it as ca_file, or write:");
    out::line(format_args!("fingerprint = \"{fingerprint}\""));
    Exit::Ok
}

/// Certificate and key as PEM.
fn make(names: &[String]) -> Result<(String, Zeroizing<String>), String> {
    for name in names {
        name.parse::<link::Address>().map_err(|error| error.to_string())?;
        if name.contains([':', '[']) && name.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("--name {name}: name the host without a port"));
        }
    }
    let failed = |error: rcgen::Error| format!("cannot make a certificate: {error}");
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, format!("recvd on {}", names.first().map_or("this host", String::as_str)));
    params.distinguished_name = subject;
    // Not an authority, so that it may stand at both ends of its own chain: verifiers refuse an authority as a server.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(LEEWAY);
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970.saturating_sub(LEEWAY);
    params.not_after = date_time_ymd(1970, 1, 1) + (since_1970 + LIFE);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use link::Trust;

    fn args(dir: &Path) -> CertArgs {
        CertArgs { dir: dir.into(), names: vec!["backup.example.net".into(), "127.0.0.1".into(), "::1".into()] }
    }

    #[test]
    fn both_ends_take_it_and_it_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("tls");
        assert_eq!(cert(&args(&dir)), Exit::Ok);
        let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        assert!(link::server_config(&certificate, &key).is_ok());
        assert_eq!(link::tls::certificate_warning(&certificate).unwrap(), None);
        assert!(link::client_config(&Trust { ca_file: Some(certificate.clone()), fingerprint: None }).is_ok());
        let before = std::fs::read(&key).unwrap();
        assert_eq!(cert(&args(&dir)), Exit::Output);
        std::fs::remove_file(&certificate).unwrap();
        assert_eq!(cert(&args(&dir)), Exit::Output);
        assert_eq!(std::fs::read(&key).unwrap(), before);
        assert!(!certificate.exists());
    }

    #[test]
    fn names_that_are_none() {
        for name in ["", "a b", "host:8730", "[::1]", "ho\nst"] {
            assert!(make(&[name.to_owned()]).is_err(), "{name:?}");
        }
    }
}
