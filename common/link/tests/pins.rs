//! A `ca_file` that holds the server's own certificate, and one that is replaced while pushd runs.
#![allow(clippy::print_stderr)]

mod desk;

use std::path::{Path, PathBuf};
use std::process::Command;

use desk::{Desk, params, refused, server, target};
use link::{DialError, Fingerprint, ServerTls, Trust, dial, server_config};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};

fn by_file(file: &Path) -> Trust {
    Trust { ca_file: Some(file.into()), fingerprint: None }
}

/// What `openssl req -x509` makes, as its manual shows it, with `words` added; `None` without openssl.
fn by_openssl(desk: &Desk, name: &str, words: &[&str]) -> Option<(PathBuf, ServerTls)> {
    let (certificate, key) = (desk.path(&format!("{name}.pem")), desk.path(&format!("{name}.key")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=backup"]);
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).args(words);
    let Ok(made) = openssl.output() else {
        eprintln!("LEFT OUT: no openssl");
        return None;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let tls = server_config(&certificate, &key).unwrap();
    Some((certificate, tls))
}

/// Dials a server with this certificate, which must be let in.
async fn trusted(tls: &ServerTls, host: &str, trust: Trust) {
    let (address, serving) = server(tls.clone()).await;
    let dialled = dial(&target(&format!("{host}:{}", address.port()), trust)).await;
    assert!(dialled.is_ok(), "{}", dialled.err().unwrap());
    assert!(serving.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_certificate_as_openssl_makes_it_is_trusted_where_it_stands_itself() {
    let desk = Desk::new();
    let Some((file, tls)) = by_openssl(&desk, "plain", &[]) else { return };
    let pin = Fingerprint::of_file(&file).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        // It bears no name that could be wrong.
        trusted(&tls, host, by_file(&file)).await;
        trusted(&tls, host, Trust { ca_file: Some(file.clone()), fingerprint: Some(pin) }).await;
    }
    let (other, _) = desk.own("other", params(&["localhost"]));
    let text = refused(&tls, "localhost", by_file(&other)).await;
    assert!(text.contains("CA:TRUE") && text.contains("other.pem"), "{text}");
    let pinned = Trust { ca_file: Some(other), fingerprint: Some(pin) };
    assert!(refused(&tls, "localhost", pinned).await.contains("CA:TRUE"));
}

#[tokio::test]
async fn a_pinned_certificate_with_names_is_held_to_them() {
    let desk = Desk::new();
    let Some((file, tls)) = by_openssl(&desk, "named", &["-addext", "subjectAltName=DNS:localhost,email:a@b.c"]) else {
        return;
    };
    trusted(&tls, "localhost", by_file(&file)).await;
    let text = refused(&tls, "127.0.0.1", by_file(&file)).await;
    assert!(text.contains("is for localhost, not for 127.0.0.1"), "{text}");
    // In one file with others it is still the certificate of its own name only.
    let (second, _) = desk.own("second", params(&["127.0.0.1"]));
    let both = [&file, &second].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let both = desk.put("both.pem", &both);
    trusted(&tls, "localhost", by_file(&both)).await;
    refused(&tls, "127.0.0.1", by_file(&both)).await;
}

#[tokio::test]
async fn what_cannot_serve_is_told_in_words() {
    let desk = Desk::new();
    let mut client = params(&["localhost", "192.0.2.7"]);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (file, tls) = desk.own("client", client);
    let text = refused(&tls, "localhost", by_file(&file)).await;
    assert!(text.contains("is for another purpose") && text.contains("serverAuth"), "{text}");
    let (file, tls) = desk.own("own", params(&["localhost", "192.0.2.7"]));
    let text = refused(&tls, "127.0.0.1", by_file(&file)).await;
    assert!(text.contains("is for localhost, 192.0.2.7, not for 127.0.0.1"), "{text}");
    // As `openssl x509 -req -signkey` signs a request: without extensions.
    let (key, request) = (desk.path("v1.key"), desk.path("v1.csr"));
    let mut req = Command::new("openssl");
    req.args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=backup", "-keyout"]).arg(&key);
    let Ok(made) = req.arg("-out").arg(&request).output() else { return };
    assert!(made.status.success());
    let first = desk.path("v1.pem");
    let mut sign = Command::new("openssl");
    sign.args(["x509", "-req", "-days", "2", "-in"]).arg(&request).arg("-signkey").arg(&key).arg("-out").arg(&first);
    assert!(sign.output().unwrap().status.success());
    match server_config(&first, &key) {
        Ok(tls) => {
            let text = refused(&tls, "localhost", by_file(&first)).await;
            assert!(text.contains("is of version 1"), "{text}");
        }
        Err(error) => assert!(error.to_string().contains("is of version 1"), "{error}"),
    }
}

#[tokio::test]
async fn dates_hold_for_a_pin_in_a_file() {
    let desk = Desk::new();
    let mut old = params(&["localhost"]);
    old.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (old.not_before, old.not_after) = (date_time_ymd(2001, 2, 3), date_time_ymd(2002, 3, 4));
    let (file, tls) = desk.own("old", old.clone());
    let text = refused(&tls, "localhost", by_file(&file)).await;
    assert!(text.contains("expired on 2002-03-04"), "{text}");
    let warning = link::tls::certificate_warning(&file).unwrap().unwrap();
    assert!(warning.contains("expired on 2002-03-04"), "{warning}");
    (old.not_before, old.not_after) = (date_time_ymd(2901, 2, 3), date_time_ymd(2902, 3, 4));
    let (file, tls) = desk.own("new", old);
    assert!(refused(&tls, "localhost", by_file(&file)).await.contains("not valid before"));
}

#[tokio::test]
async fn the_file_is_read_at_each_login() {
    let desk = Desk::new();
    let (first, tls) = desk.own("first", params(&["localhost"]));
    let (second, rotated) = desk.own("second", params(&["localhost"]));
    let file = desk.put("ca.pem", &std::fs::read_to_string(&first).unwrap());
    trusted(&tls, "localhost", by_file(&file)).await;
    refused(&rotated, "localhost", by_file(&file)).await;
    std::fs::copy(&second, &file).unwrap();
    let (address, _serving) = server(rotated.clone()).await;
    let target = target(&format!("localhost:{}", address.port()), by_file(&file));
    assert!(dial(&target).await.is_ok());
    // The same target goes on with what the file says by now.
    for broken in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, broken).unwrap();
        let (again, _serving) = server(rotated.clone()).await;
        let target = link::Target { address: format!("localhost:{}", again.port()).parse().unwrap(), ..target.clone() };
        let error = dial(&target).await.err().unwrap();
        assert!(matches!(error, DialError::Trust { .. }) && error.to_string().contains("ca.pem"), "{error}");
    }
    std::fs::copy(&second, &file).unwrap();
    trusted(&rotated, "localhost", by_file(&file)).await;
}
