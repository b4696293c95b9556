//! Strangers: silent peers, garbage, wrong protocols. They hold no slot, crash nothing and delay nobody.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::rig::eventually;
use crate::rig::pair::{Pair, Setup};
use crate::rig::rng::Rng;

/// What a login may take longer because of strangers: 2 s are allowed, 1 s is for this machine.
const DELAY: Duration = Duration::from_secs(3);

pub fn connect_from(host: u8, to: SocketAddr) -> OwnedFd {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&fd, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), 0)).unwrap();
    connect(&fd, &to).unwrap();
    fd
}

fn timed_sync(pair: &Pair) -> Duration {
    let start = Instant::now();
    let done = pair.sync(&[]);
    assert_eq!(done.code, 0, "{}", done.text());
    start.elapsed()
}

#[test]
fn two_hundred_silent_peers_do_not_delay_a_login() {
    let mut pair = Pair::new("silent", Setup::default());
    pair.recvd.start();
    timed_sync(&pair);
    let alone = timed_sync(&pair);
    let peers: Vec<_> = (2..=201).map(|host| connect_from(host, pair.recvd.address())).collect();
    let crowded = timed_sync(&pair);
    println!("a pass alone {alone:?}, among {} silent peers {crowded:?}", peers.len());
    assert!(crowded < alone + DELAY, "alone {alone:?}, among silent peers {crowded:?}");
    // And again when they have been there for a while.
    std::thread::sleep(Duration::from_secs(1));
    let again = timed_sync(&pair);
    assert!(again < alone + DELAY, "alone {alone:?}, later among silent peers {again:?}");
}

#[test]
fn silent_peers_are_shown_out() {
    let mut pair = Pair::new("deadline", Setup { server: "handshake_timeout = \"2s\"".into(), ..Setup::default() });
    pair.recvd.start();
    let mut stream = TcpStream::connect(pair.recvd.address()).unwrap();
    stream.set_read_timeout(Some(crate::rig::patience())).unwrap();
    let mut buffer = [0; 64];
    let end = stream.read(&mut buffer);
    let ended = matches!(&end, Ok(0)) || end.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset);
    assert!(ended, "still open: {end:?}");
    // One byte now and then does not hold it open either.
    let mut stream = TcpStream::connect(pair.recvd.address()).unwrap();
    eventually("a trickle is cut off", || {
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(b"\x16").is_err()
    });
    timed_sync(&pair);
}

#[test]
fn garbage_gets_no_answer_and_harms_nobody() {
    let mut pair = Pair::live("garbage", Setup::default());
    let mut rng = Rng::new(9);
    let mut garbage: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        b"\0".to_vec(),
        vec![0xff; 70_000],
        b"\x16\x03\x01\xff\xff\x01\xff\xff\xff".to_vec(),
    ];
    for _ in 0..20 {
        let len = rng.between(1, 65_536) as usize;
        garbage.push(rng.bytes(len));
    }
    for bytes in &garbage {
        let mut stream = TcpStream::connect(pair.recvd.address()).unwrap();
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 64, "{} bytes of answer to garbage", answer.len());
    }
    fs::write(pair.source.join("after"), b"after the garbage").unwrap();
    pair.settle();
    assert!(pair.recvd.daemon.is_running());
    assert!(!pair.recvd.daemon.log().contains("panicked"), "{}", pair.recvd.daemon.log());
}

/// `openssl s_client WORDS…` against the server; its output. Whatever it sends is nonsense.
fn openssl(pair: &Pair, words: &[&str]) -> Option<String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &pair.recvd.address().to_string()]).args(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(b"HELO nonsense\n");
    }
    let output = child.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn other_versions_of_tls_and_other_protocols_are_refused() {
    let mut pair = Pair::live("tls", Setup::default());
    if openssl(&pair, &["-brief"]).is_none() {
        eprintln!("LEFT OUT: no openssl");
        return;
    }
    let old = openssl(&pair, &["-tls1_2", "-alpn", "pushd/1"]).unwrap();
    assert!(old.contains("Cipher is (NONE)"), "TLS 1.2 was accepted:\n{old}");
    let wrong = openssl(&pair, &["-tls1_3", "-alpn", "h2"]).unwrap();
    assert!(wrong.contains("alert") || wrong.contains("error"), "another ALPN was accepted:\n{wrong}");
    let none = openssl(&pair, &["-tls1_3"]).unwrap();
    assert!(!none.contains("Post-Handshake New Session Ticket"), "tickets are sent:\n{none}");
    // The right ALPN and then nonsense instead of frames.
    let nonsense = openssl(&pair, &["-tls1_3", "-alpn", "pushd/1", "-ign_eof"]).unwrap();
    assert!(!nonsense.contains("New Session Ticket"), "tickets are sent:\n{nonsense}");
    fs::write(pair.source.join("after"), b"after").unwrap();
    pair.settle();
    assert!(pair.recvd.daemon.is_running());
    assert!(!pair.recvd.daemon.log().contains("panicked"));
}

#[test]
fn wrong_passwords_in_a_crowd_do_not_keep_others_out() {
    let mut pair = Pair::new("crowd", Setup::default());
    pair.recvd.start();
    timed_sync(&pair);
    let bad = crate::rig::pair::Pushd::prepare(
        &pair.scratch,
        "bad",
        &fs::read_to_string(&pair.pushd.config).unwrap().replacen(crate::rig::pair::HEAD, "", 1),
        &[],
    );
    crate::rig::pair::write_password(&bad.dir.join("password"), "guess");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let code = bad.command(&["sync"]).code;
                    assert!(matches!(code, 75 | 77 | 69), "exit {code}");
                }
            });
        }
        std::thread::sleep(Duration::from_millis(200));
        let good = pair.sync(&[]);
        assert!(matches!(good.code, 0 | 75), "{}", good.text());
    });
    eventually("the right password gets in", || pair.sync(&[]).code == 0);
}
