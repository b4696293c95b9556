//! What tests of the login stand on: certificates in a scratch folder, a server that serves one peer, a target.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use link::accept::{Failed, client_hello};
use link::{Connection, DialError, ServerTls, Target, Trust, Turns, dial, server_config};
use proto::extensions::Extensions;
use proto::login::{Durability, Login, Open, Opened, Purpose, Refusal, Terms, Token};
use proto::policy::{Bounds, Policy};
use proto::{Keep, RelPath};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long one step may take.
pub const SOON: Duration = Duration::from_secs(5);

/// Keys and certificates in a scratch folder.
pub struct Desk(tempfile::TempDir);

impl Desk {
    pub fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A private file.
    pub fn put(&self, name: &str, pem: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, pem).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// As `recvd cert` makes it. Returns the certificate's file and the server's configuration.
    pub fn own(&self, name: &str, params: CertificateParams) -> (PathBuf, ServerTls) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let path = self.put(&format!("{name}.pem"), &certificate.pem());
        let key = self.put(&format!("{name}.key"), &key.serialize_pem());
        (path.clone(), server_config(&path, &key).unwrap())
    }
}

pub fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub fn opened() -> Opened {
    Opened {
        terms: Some(Terms { keep: Keep::DEFAULT, durability: Durability::Batch }),
        continued: true,
        epoch: 1,
        token: Some(Token([3; 16])),
        place: vec![[7; 16]; 128],
        extensions: Extensions::default(),
    }
}

pub fn policy() -> Policy {
    let limits = Bounds { file_size: Some(7), ..Bounds::default() };
    // More than fits into a frame of the login.
    Policy { exclude: vec!["*.tmp".repeat(800); 3], limits, ..Policy::default() }
}

pub type Served = Result<(Login, Open, Connection), Failed>;

/// Serves one peer, as recvd would: every password but "right" is denied.
pub async fn server(tls: ServerTls) -> (SocketAddr, JoinHandle<Served>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async move {
        let (tcp, _) = listener.accept().await.unwrap();
        serve(tcp, &tls).await
    };
    (address, tokio::spawn(serving))
}

/// The same, of a peer that is connected.
pub async fn serve(tcp: TcpStream, tls: &ServerTls) -> Served {
    let deadline = Instant::now() + SOON;
    let secured = client_hello(tcp, deadline).await?.secure(tls, deadline).await?;
    let (_, login, candidate) = secured.login("recvd test", deadline).await?;
    if login.password.as_bytes() != b"right" {
        candidate.refuse(Refusal::Denied).await;
        return Err(Failed::Refused(Refusal::Denied));
    }
    let (open, requester) = candidate.accept(deadline).await?;
    let connection = requester.grant(&opened(), policy(), deadline).await?;
    Ok((login, open, connection))
}

pub fn target(address: &str, trust: Trust) -> Target {
    Target {
        address: address.parse().unwrap(),
        turns: Turns::new(),
        connect_timeout: SOON,
        trust,
        user: "web".into(),
        password: "right".into(),
        module: "www".into(),
        folder: RelPath::parse(b"web1").unwrap(),
        purpose: Purpose::Push,
        sender: [7; 16],
        token: None,
        at: None,
        terms: None,
        software: "pushd test".into(),
    }
}

/// Dials a server with this certificate and returns its words when it is not trusted.
pub async fn refused(tls: &ServerTls, host: &str, trust: Trust) -> String {
    let (address, serving) = server(tls.clone()).await;
    let error = dial(&target(&format!("{host}:{}", address.port()), trust)).await.err().expect("must be refused");
    assert!(matches!(error, DialError::Tls(_)), "{error}");
    let served = serving.await.unwrap();
    assert!(served.is_err(), "nothing may come after a certificate that is not trusted");
    error.to_string()
}
