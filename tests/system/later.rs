//! Peers of a later release: what they say besides is skipped, and what has to be understood ends it with a sentence that says
//! what to do.

use std::fs;
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use proto::codec;
use proto::extensions::Extensions;
use proto::login::{Accepted, At, Durability, Hello, Login, Open, Opened, Purpose, Refusal, Terms, Token, Welcome};
use proto::policy::Policy;
use proto::{Content, Device, Keep, Kind, Meta, RelPath, Time, ToReceiver, ToSender, Xattrs};

use crate::rig::later::{Later, optional, required};
use crate::rig::pair::{PASSWORD, Pair, Setup, USER};
use crate::rig::peer::packed;
use crate::rig::process::Done;

/// All messages that a peer need not know.
const UNKNOWN: std::ops::RangeInclusive<u8> = 128..=159;

fn login(extensions: Extensions) -> Login {
    Login { user: USER.into(), password: PASSWORD.into(), extensions }
}

fn open(purpose: Purpose, extensions: Extensions) -> Open {
    let terms = purpose.receives().then_some(Terms { keep: Keep::DEFAULT, durability: Durability::None });
    let (module, folder, sender) = ("m".into(), RelPath::root(), [9; 16]);
    Open { module, folder, purpose, sender, token: None, at: None, terms, extensions }
}

/// A client that offers versions up to the seventh, and has an answer to that.
fn greeted(pair: &Pair) -> Option<Later> {
    let mut client = Later::client(&pair.recvd)?;
    client.say(&Hello { low: 1, high: 7, software: "pushd 7".into() });
    assert_eq!(client.hear::<Welcome>().version, 1);
    Some(client)
}

/// The same, logged in, with extensions that nobody knows.
fn logged_in(pair: &Pair) -> Option<Later> {
    let mut client = greeted(pair)?;
    client.say(&login(optional()));
    client.hear::<Accepted>();
    Some(client)
}

fn put(at: &str, content: &'static str) -> ToReceiver {
    let (mode, mtime) = (0o700, Time { secs: 1_000_000_000, nanos: 0 });
    let (device, link, xattrs, size) = (Device::default(), Box::default(), Xattrs::default(), content.len() as u64);
    let meta = Meta { kind: Kind::File, size, mode, uid: 0, gid: 0, mtime, device, link, xattrs };
    let content = Content::Inline(Bytes::from_static(content.as_bytes()));
    ToReceiver::Put { path: RelPath::parse(at.as_bytes()).unwrap(), meta, content, inexact: false }
}

fn extra(kind: u8) -> ToReceiver {
    ToReceiver::Extra { kind, body: vec![kind; 300 * usize::from(kind - 128)].into() }
}

#[test]
fn a_client_that_says_more_than_is_known_is_served() {
    let mut pair = Pair::new("laterclient", Setup::default());
    pair.recvd.start();
    let Some(mut client) = logged_in(&pair) else { return };
    client.say(&open(Purpose::Push, optional()));
    client.hear::<Opened>();
    assert!(matches!(client.hear(), ToSender::Policy(_)));
    client.say(&extra(128));
    client.say(&ToReceiver::Ping);
    assert_eq!(client.hear::<ToSender>(), ToSender::Pong);
    for kind in UNKNOWN {
        client.say(&extra(kind));
        client.say(&put(&format!("plain{kind}"), "content"));
        let mut frames = BytesMut::new();
        [extra(kind), put(&format!("packed{kind}"), "other")].iter().for_each(|one| codec::put(one, &mut frames));
        let mut whole = packed(&frames);
        let frame = codec::split(&mut whole, proto::limits::FRAME).unwrap().unwrap();
        client.say(&ToReceiver::decode(frame, proto::Version::HIGHEST).unwrap());
    }
    let last = 2 * UNKNOWN.count() as u64;
    // None of them was counted as an operation: there is no receipt of more.
    while client.hear::<ToSender>() != (ToSender::Applied { upto: last }) {}
    for kind in UNKNOWN {
        assert_eq!(fs::read(pair.backup.join(format!("plain{kind}"))).unwrap(), b"content");
        assert_eq!(fs::read(pair.backup.join(format!("packed{kind}"))).unwrap(), b"other");
    }
    let log = pair.recvd.daemon.log();
    assert!(!log.contains("broke the protocol") && !log.contains("panicked"), "{log}");
}

/// Why the client hears a no, after which the connection is closed.
fn refused(mut client: Later) -> Refusal {
    let refusal = client.hear();
    assert_eq!(client.frame(), None);
    refusal
}

fn unsupported(client: Later, word: &str) {
    let refusal = refused(client);
    assert!(matches!(&refusal, Refusal::Unsupported { what } if what.contains(word)), "{refusal:?}");
}

#[test]
fn a_client_that_needs_what_is_not_known_is_told_so() {
    let mut pair = Pair::new("needs", Setup::default());
    pair.recvd.start();
    let Some(mut client) = greeted(&pair) else { return };
    client.say(&login(required()));
    unsupported(client, "extension 77");
    let mut client = logged_in(&pair).unwrap();
    client.say(&open(Purpose::Push, required()));
    unsupported(client, "extension 77");
    let mut client = Later::client(&pair.recvd).unwrap();
    client.say(&Hello { low: 2, high: 7, software: "pushd 7".into() });
    assert_eq!(refused(client), Refusal::Version { low: 1, high: 1 });
    // Nobody else is any the worse for it.
    assert_eq!(pair.sync(&[]).code, 0);
    pair.assert_equal();
}

#[test]
fn whoever_wants_to_read_is_told_that_this_recvd_only_receives() {
    let mut pair = Pair::new("reads", Setup::default());
    let (path, config) = (pair.recvd.config.clone(), fs::read_to_string(&pair.recvd.config).unwrap());
    let rights = |right: &str| fs::write(&path, config.replace("\"push\"", &format!("\"{right}\""))).unwrap();
    let ats = [None, Some(At::Time { secs: 1_700_000_000 }), Some(At::Mark { name: "monday".into() })];
    let purposes = [Purpose::Pull, Purpose::Verify, Purpose::List];
    rights("both");
    pair.recvd.start();
    for (purpose, at) in purposes.iter().flat_map(|purpose| ats.iter().map(move |at| (*purpose, at.clone()))) {
        if at.is_some() && purpose == Purpose::Verify {
            continue;
        }
        let Some(mut client) = logged_in(&pair) else { return };
        client.say(&Open { at, ..open(purpose, optional()) });
        unsupported(client, "only receives");
    }
    // Who may not read does not hear even that.
    rights("push");
    pair.recvd.daemon.kill();
    pair.recvd.start();
    let mut client = logged_in(&pair).unwrap();
    client.say(&open(Purpose::Pull, optional()));
    assert_eq!(refused(client), Refusal::Denied);
}

/// Where a server says something that has to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    Nowhere,
    Welcome,
    Opened,
    Policy,
    /// Of what the client says first.
    Ping,
    /// Of the first operation.
    Operation,
}

/// Serves one client as a receiver with an empty folder, and says much besides. What it has got.
fn serve(mut server: Later, needed: Needed) -> Vec<ToReceiver> {
    let say = |here| if needed == here { required() } else { optional() };
    let hello: Hello = server.hear();
    assert_eq!((hello.low, hello.high), (1, 1));
    server.say(&Welcome { version: 1, software: "recvd 7".into(), extensions: say(Needed::Welcome) });
    let Some(login) = server.next::<Login>() else { return Vec::new() };
    assert_eq!(login.user, USER);
    server.say(&Accepted);
    let open: Open = server.hear();
    assert_eq!(open.purpose, Purpose::Push);
    let terms = Some(Terms { keep: Keep::DEFAULT, durability: Durability::None });
    let (token, extensions) = (Some(Token([3; 16])), say(Needed::Opened));
    server.say(&Opened { terms, continued: false, epoch: 1, token, place: Vec::new(), extensions });
    server.say(&ToSender::Policy(Box::new(Policy { extensions: say(Needed::Policy), ..Policy::default() })));
    let (mut got, mut operations) = (Vec::new(), 0);
    while let Some(message) = server.next::<ToReceiver>() {
        for kind in UNKNOWN {
            server.say(&ToSender::Extra { kind, body: vec![kind; 100 * got.len()].into() });
        }
        let is_ping = message == ToReceiver::Ping;
        if (is_ping && needed == Needed::Ping) || (message.is_operation() && needed == Needed::Operation) {
            server.say(&ToSender::Bye { refusal: Refusal::Unsupported { what: "streams".into() } });
            // The client closes, or has.
            while server.frame().is_some() {}
            return got;
        }
        if is_ping {
            server.say(&ToSender::Pong);
        }
        if message.is_operation() {
            operations += 1;
            if let ToReceiver::Compare { .. } = message {
                server.say(&ToSender::Listing { op: operations, entries: Vec::new(), last: true });
            }
            server.say(&ToSender::Applied { upto: operations });
        }
        got.push(message);
    }
    got
}

/// Runs a command of pushd against such a server; what that has got.
fn against(pair: &Pair, needed: Needed, command: &str) -> Option<(Done, Vec<ToReceiver>)> {
    let server = Later::server(&pair.recvd)?;
    let serving: JoinHandle<_> = std::thread::spawn(move || serve(server, needed));
    // It may not listen yet.
    let mut done = pair.pushd.command(&[command]);
    for _ in 0..100 {
        if done.code != 69 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        done = pair.pushd.command(&[command]);
    }
    Some((done, serving.join().unwrap()))
}

#[test]
fn a_server_that_says_more_than_is_known_is_sent_all() {
    let pair = Pair::new("laterserver", Setup { target: "compress = \"off\"".into(), ..Setup::default() });
    for n in 0..20 {
        fs::write(pair.source.join(format!("f{n}")), "content").unwrap();
    }
    let Some((done, got)) = against(&pair, Needed::Nowhere, "sync") else { return };
    assert_eq!(done.code, 0, "{}", done.text());
    let files = got.iter().filter(|message| matches!(message, ToReceiver::Put { .. })).count();
    assert_eq!(files, 21, "{got:?}");
    assert!(got.contains(&ToReceiver::Noted) && matches!(got.last(), Some(ToReceiver::Done(_) | ToReceiver::Return)));
    let (done, _) = against(&pair, Needed::Nowhere, "check").unwrap();
    assert_eq!(done.code, 0, "{}", done.text());
}

#[test]
fn a_server_that_needs_what_is_not_known_is_left_with_a_sentence_that_says_what_to_do() {
    let pair = Pair::new("needed", Setup { target: "compress = \"off\"".into(), ..Setup::default() });
    for needed in [Needed::Welcome, Needed::Opened, Needed::Policy] {
        for command in ["sync", "check"] {
            let Some((done, got)) = against(&pair, needed, command) else { return };
            assert_eq!(done.code, 76, "{needed:?}, {command}: {}", done.text());
            let text = done.text();
            assert!(text.contains("needs extension 77") && text.contains("bring both to the same release"), "{text}");
            assert!(!text.contains("broke"), "{text}");
            assert!(!got.iter().any(ToReceiver::is_operation), "{needed:?}, {command}: {got:?}");
        }
    }
}

#[test]
fn a_server_that_lacks_something_in_the_midst_of_it_is_not_tried_again_by_a_sync() {
    let pair = Pair::new("lacks", Setup { target: "compress = \"off\"".into(), ..Setup::default() });
    for needed in [Needed::Ping, Needed::Operation] {
        let Some((done, _)) = against(&pair, needed, "sync") else { return };
        assert_eq!(done.code, 76, "{needed:?}: {}", done.text());
        assert!(done.text().contains("streams") && done.text().contains("release"), "{}", done.text());
    }
}
