//! Both sides of the login over loopback: who is let in, and in what words the others are told.

mod desk;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use desk::{Desk, SOON, opened, params, policy, refused, server, target};
use link::accept::{Failed, client_hello};
use link::{DialError, Fingerprint, Trust, client_config, dial, server_config};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

#[tokio::test]
async fn a_login_goes_through_by_ca_file_by_pin_and_by_both() {
    let desk = Desk::new();
    let (file, tls) = desk.own("own", params(&["localhost", "127.0.0.1"]));
    let pin = Fingerprint::of_file(&file).unwrap();
    for trust in [
        Trust { ca_file: Some(file.clone()), fingerprint: None },
        Trust { ca_file: None, fingerprint: Some(pin) },
        Trust { ca_file: Some(file.clone()), fingerprint: Some(pin) },
    ] {
        for host in ["localhost", "127.0.0.1"] {
            let (address, serving) = server(tls.clone()).await;
            let dialled = target(&format!("{host}:{}", address.port()), trust.clone());
            let (answer, mut connection) = dial(&dialled).await.unwrap();
            assert_eq!(answer.opened, opened());
            assert_eq!(link::policy(&dialled, &mut connection).await.unwrap(), policy());
            let (login, open, _) = serving.await.unwrap().unwrap();
            assert_eq!((login.user.as_str(), open.module.as_str(), open.sender), ("web", "www", [7; 16]));
        }
    }
}

#[tokio::test]
async fn a_certificate_signed_by_an_authority_is_trusted_by_its_file() {
    let desk = Desk::new();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let root = desk.put("ca.pem", &authority.self_signed(&authority_key).unwrap().pem());
    let key = KeyPair::generate().unwrap();
    let leaf = params(&["localhost"]).signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    let leaf = desk.put("leaf.pem", &leaf.pem());
    let tls = server_config(&leaf, &desk.put("leaf.key", &key.serialize_pem())).unwrap();
    let (address, _serving) = server(tls.clone()).await;
    let by_root = Trust { ca_file: Some(root), fingerprint: None };
    assert!(dial(&target(&format!("localhost:{}", address.port()), by_root)).await.is_ok());
}

#[tokio::test]
async fn strangers_are_named_for_what_they_are() {
    let desk = Desk::new();
    let (file, tls) = desk.own("own", params(&["localhost"]));
    let (other, _) = desk.own("other", params(&["localhost"]));
    let by_file = |file: &PathBuf| Trust { ca_file: Some(file.clone()), fingerprint: None };

    let text = refused(&tls, "localhost", by_file(&other)).await;
    assert!(text.contains("is not signed by") && text.contains("other.pem"), "{text}");

    let text = refused(&tls, "127.0.0.1", by_file(&file)).await;
    assert!(text.contains("is for localhost, not for 127.0.0.1"), "{text}");

    let (pin, shown) = (Fingerprint::of_file(&other).unwrap(), Fingerprint::of_file(&file).unwrap());
    let pinned = Trust { ca_file: None, fingerprint: Some(pin) };
    let text = refused(&tls, "localhost", pinned).await;
    assert!(text.contains(&pin.to_string()) && text.contains(&shown.to_string()), "{text}");

    let right_ca_wrong_pin = Trust { ca_file: Some(file.clone()), fingerprint: Some(pin) };
    let text = refused(&tls, "localhost", right_ca_wrong_pin).await;
    assert!(text.contains("another certificate than the pinned one"), "{text}");

    let right_pin_wrong_ca = Trust { ca_file: Some(other), fingerprint: Some(shown) };
    let text = refused(&tls, "localhost", right_pin_wrong_ca).await;
    assert!(text.contains("is not signed by"), "{text}");

    let right_pin_wrong_name = Trust { ca_file: Some(file), fingerprint: Some(shown) };
    let text = refused(&tls, "127.0.0.1", right_pin_wrong_name).await;
    assert!(text.contains("not for 127.0.0.1"), "{text}");
}

#[tokio::test]
async fn dates_are_told_with_the_clock() {
    let desk = Desk::new();
    let mut old = params(&["localhost"]);
    (old.not_before, old.not_after) = (date_time_ymd(2001, 2, 3), date_time_ymd(2002, 3, 4));
    let (file, tls) = desk.own("old", old);
    let warning = link::tls::certificate_warning(&file).unwrap().unwrap();
    assert!(warning.contains("expired on 2002-03-04"), "{warning}");
    let text = refused(&tls, "localhost", Trust { ca_file: Some(file), fingerprint: None }).await;
    assert!(text.contains("expired on 2002-03-04 00:00 UTC") && text.contains("clock"), "{text}");

    let mut new = params(&["localhost"]);
    (new.not_before, new.not_after) = (date_time_ymd(2901, 2, 3), date_time_ymd(2902, 3, 4));
    let (file, tls) = desk.own("new", new);
    let text = refused(&tls, "localhost", Trust { ca_file: Some(file), fingerprint: None }).await;
    assert!(text.contains("is not valid before 2901-02-03"), "{text}");
}

#[tokio::test]
async fn a_wrong_password_is_denied() {
    let desk = Desk::new();
    let (file, tls) = desk.own("own", params(&["localhost"]));
    let (address, serving) = server(tls).await;
    let trust = Trust { ca_file: Some(file), fingerprint: None };
    let mut target = target(&format!("localhost:{}", address.port()), trust);
    target.password = "wrong".into();
    assert!(matches!(dial(&target).await, Err(DialError::Denied { .. })));
    assert!(serving.await.unwrap().is_err());
}

#[tokio::test]
async fn nobody_there_and_nobody_answering() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    let pin = "sha256:0000000000000000000000000000000000000000000000000000000000000000".parse().unwrap();
    let trust = Trust { ca_file: None, fingerprint: Some(pin) };
    let mut target = target(&address.to_string(), trust);
    target.connect_timeout = Duration::from_millis(300);
    let began = std::time::Instant::now();
    assert!(matches!(dial(&target).await, Err(DialError::Timeout { .. })), "it listens, but never answers");
    assert!(began.elapsed() < SOON);
    drop(free);
    assert!(matches!(dial(&target).await, Err(DialError::Unreachable { .. })));
    target.address = "no-such-host.invalid:1".parse().unwrap();
    target.connect_timeout = SOON;
    assert!(matches!(dial(&target).await, Err(DialError::Unreachable { .. } | DialError::Timeout { .. })));
}

#[tokio::test]
async fn a_server_that_closes_or_speaks_something_else() {
    let pin = "sha256:0000000000000000000000000000000000000000000000000000000000000000".parse().unwrap();
    for (words, expected) in
        [(&b""[..], "closed the connection"), (&b"SSH-2.0-OpenSSH_9.9\r\n"[..], "does not speak TLS")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.write_all(words).await.unwrap();
            if !words.is_empty() {
                let _ = tcp.read_to_end(&mut Vec::new()).await;
            }
        });
        let trust = Trust { ca_file: None, fingerprint: Some(pin) };
        let error = dial(&target(&address.to_string(), trust)).await.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// What the server says of a peer that sends these bytes and no more.
async fn served(bytes: &[u8]) -> Failed {
    let desk = Desk::new();
    let (_, tls) = desk.own("own", params(&["localhost"]));
    let (address, serving) = server(tls).await;
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    tcp.shutdown().await.unwrap();
    let served = tokio::time::timeout(SOON, serving).await.expect("must end early").unwrap();
    served.err().expect("must be refused")
}

#[tokio::test]
async fn what_is_no_tls_is_closed_at_once() {
    assert!(matches!(served(b"").await, Failed::Gone { .. }));
    assert!(matches!(served(b"GET / HTTP/1.1\r\nHost: backup\r\n\r\n").await, Failed::Tls(_)));
    assert!(matches!(served(b"SSH-2.0-OpenSSH_9.9\r\n").await, Failed::Tls(_)));
    // A handshake message that announces 16 MiB.
    assert!(matches!(served(&[22, 3, 1, 0, 4, 1, 255, 255, 255]).await, Failed::Tls(_) | Failed::Gone { .. }));
    // The greeting of a TLS record, one byte a record.
    let crumbs: Vec<u8> = [1u8, 0, 0, 40, 3].iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    assert!(matches!(served(&crumbs).await, Failed::Tls(_) | Failed::Gone { .. }));
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let desk = Desk::new();
    let (_, tls) = desk.own("own", params(&["localhost"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    let began = Instant::now();
    let drip = tokio::spawn(async move {
        while peer.write_all(&[22]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    let deadline = began + Duration::from_millis(300);
    assert!(client_hello(tcp, deadline).await.is_err());
    assert!(began.elapsed() < SOON);
    drip.abort();
    drop(tls);
}

/// Runs `openssl s_client` against a server, with these arguments.
async fn openssl(arguments: &[&str]) -> Option<Failed> {
    let desk = Desk::new();
    let (_, tls) = desk.own("own", params(&["localhost"]));
    let (address, serving) = server(tls).await;
    let (connect, arguments) =
        (address.to_string(), arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let client = tokio::task::spawn_blocking(move || {
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["s_client", "-connect", &connect]).args(arguments);
        openssl.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        openssl.stderr(std::process::Stdio::null()).status()
    });
    if client.await.unwrap().is_err() {
        // Without openssl on this machine there is nothing to try.
        return None;
    }
    let served = tokio::time::timeout(SOON * 2, serving).await.expect("must end").unwrap();
    Some(served.err().expect("must be refused"))
}

#[tokio::test]
async fn older_tls_and_other_protocols_are_refused() {
    for arguments in [&["-tls1_2", "-alpn", "pushd/1"][..], &["-tls1_3"][..], &["-tls1_3", "-alpn", "h2,http/1.1"][..]]
    {
        if let Some(failed) = openssl(arguments).await {
            assert!(matches!(failed, Failed::Tls(_)), "{arguments:?}: {failed}");
        }
    }
    // TLS is fine; what follows is not.
    if let Some(failed) = openssl(&["-tls1_3", "-alpn", "pushd/1"]).await {
        assert!(matches!(failed, Failed::Gone { .. }), "{failed}");
    }
}

#[tokio::test]
async fn configurations_that_cannot_be() {
    let desk = Desk::new();
    let (file, _) = desk.own("own", params(&["localhost"]));
    let empty = desk.put("empty.pem", "nothing\n");
    let key = desk.path("own.key");
    let why = |certificate: &PathBuf, key: &PathBuf| server_config(certificate, key).err().unwrap().to_string();
    assert!(why(&empty, &key).contains("holds no certificate"));
    assert!(why(&file, &empty).contains("holds no private key"));
    let other = desk.put("other.key", &KeyPair::generate().unwrap().serialize_pem());
    assert!(why(&file, &other).contains("does not belong to"));
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(why(&file, &key).contains("chmod 600"));
    let trust = Trust { ca_file: Some(empty), fingerprint: None };
    assert!(client_config(&trust).err().unwrap().to_string().contains("holds no certificate"));
}

#[test]
fn what_is_wrong_with_a_pem_file_is_said_in_words() {
    let desk = Desk::new();
    let (file, _) = desk.own("own", params(&["localhost"]));
    let text = std::fs::read_to_string(&file).unwrap();
    let end = "-----END CERTIFICATE-----";
    for (name, text, words) in [
        (
            "short.pem",
            text[..text.len() / 2].to_owned(),
            format!("the line '{end}' is missing: was the file cut short?"),
        ),
        ("start.pem", text.replacen("CERTIFICATE-----", "CERTIFICATE", 1), "does not end with '-----'".into()),
        ("middle.pem", text.replace(end, &format!("?!\n{end}")), "is not base64".into()),
    ] {
        let trust = Trust { ca_file: Some(desk.put(name, &text)), fingerprint: None };
        let said = client_config(&trust).err().unwrap().to_string();
        assert!(said.contains(&format!("{name} is not valid PEM: ")) && said.ends_with(&words), "{said}");
    }
    let key = std::fs::read_to_string(desk.path("own.key")).unwrap();
    let short = desk.put("short.key", &key[..key.len() / 2]);
    std::fs::set_permissions(&short, PermissionsExt::from_mode(0o600)).unwrap();
    let said = server_config(&file, &short).err().unwrap().to_string();
    assert!(said.ends_with("the line '-----END PRIVATE KEY-----' is missing: was the file cut short?"), "{said}");
}

#[tokio::test]
async fn four_at_a_time_dial_one_server() {
    let desk = Desk::new();
    let (file, tls) = desk.own("own", params(&["localhost"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut first = target(
        &format!("localhost:{}", listener.local_addr().unwrap().port()),
        Trust { ca_file: Some(file), fingerprint: None },
    );
    first.connect_timeout = SOON * 6;
    let dials: Vec<_> = (0..12)
        .map(|_| {
            let target = first.clone();
            tokio::spawn(async move { dial(&target).await.map(drop) })
        })
        .collect();
    let mut inside = Vec::new();
    for n in 0..12 {
        if inside.len() == 4 {
            // All others are still waiting: a fifth would be here by now.
            let fifth = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
            assert!(fifth.is_err(), "after {n}");
            let served = desk::serve(inside.remove(0), &tls).await;
            assert!(served.is_ok());
        }
        inside.push(listener.accept().await.unwrap().0);
    }
    for tcp in inside {
        assert!(desk::serve(tcp, &tls).await.is_ok());
    }
    for dialled in dials {
        assert!(dialled.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_server_that_makes_one_wait_for_ones_turn_is_waited_for() {
    let desk = Desk::new();
    let (file, tls) = desk.own("own", params(&["localhost"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let mut target = target(&address, Trust { ca_file: Some(file), fingerprint: None });
    target.connect_timeout = Duration::from_secs(2);
    let dialling = tokio::spawn(async move { dial(&target).await.map(drop) });
    let (tcp, _) = listener.accept().await.unwrap();
    // Its greeting lies here for longer than name and TCP may take.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(desk::serve(tcp, &tls).await.is_ok());
    assert!(dialling.await.unwrap().is_ok());
}
