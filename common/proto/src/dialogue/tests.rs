use bytes::{Bytes, BytesMut};

use super::*;
use crate::codec::{self, Wire};
use crate::extensions::{Extension, Extensions};
use crate::limits;
use crate::login::{At, Durability, Hello, Login, Open, Opened, Password, Purpose, Refusal, Terms, Token, Welcome};
use crate::version::Version;
use crate::{Keep, RelPath};

/// What the peer gets: one frame, taken off the wire.
fn sent<M: Wire>(message: &M) -> Bytes {
    let mut buf = BytesMut::new();
    codec::put(message, &mut buf);
    let frame = codec::split(&mut buf, limits::LOGIN_FRAME).unwrap().unwrap();
    assert!(buf.is_empty());
    frame
}

fn open() -> Open {
    Open {
        module: "www".into(),
        folder: RelPath::parse(b"web1").unwrap(),
        purpose: Purpose::Push,
        sender: [7; 16],
        token: Some(Token([8; 16])),
        at: None,
        terms: None,
        extensions: Extensions::default(),
    }
}

const TERMS: Terms = Terms { keep: Keep::DEFAULT, durability: Durability::Batch };

fn opened() -> Opened {
    Opened {
        terms: Some(TERMS),
        continued: false,
        epoch: 3,
        token: Some(Token([9; 16])),
        place: vec![[7; 16]; 128],
        extensions: Extensions::default(),
    }
}

fn welcome(version: u16) -> Bytes {
    sent(&Welcome { version, software: "recvd".into(), extensions: Extensions::default() })
}

/// A field that no peer knows.
fn unknown(required: bool) -> Extensions {
    Extensions::new(vec![Extension { number: 77, required, value: Bytes::from_static(b"new") }]).unwrap()
}

#[test]
fn a_login_goes_through() {
    let (hello, client) = ClientHello::start("pushd 0.1.0");
    let (seen, welcome, server) = AwaitHello::new("recvd 0.1.0").hello(sent(&hello)).unwrap();
    assert_eq!(seen, hello);
    let (welcome, client) = client.welcome(sent(&welcome)).unwrap();
    assert_eq!((welcome.version, &welcome.software[..]), (limits::VERSIONS.1, "recvd 0.1.0"));
    let (login, client) = client.login("web", Password::from("secret")).unwrap();
    let (login, server) = server.login(sent(&login)).unwrap();
    assert_eq!((&login.user[..], login.password.as_bytes()), ("web", &b"secret"[..]));
    let (accepted, server) = server.accept();
    let (asked, client) = client.accepted(sent(&accepted)).unwrap().open(open()).unwrap();
    assert_eq!(server.open(sent(&asked)).unwrap(), (open(), Version::HIGHEST));
    let agreed = Agreed { version: Version::HIGHEST, terms: TERMS, opened: opened() };
    assert_eq!(client.opened(sent(&opened())).unwrap(), agreed);
}

#[test]
fn who_receives_says_what_is_kept_and_nobody_else() {
    let at = Some(At::Mark { name: "release 7".into() });
    let pull = Open { purpose: Purpose::Pull, token: None, at, terms: Some(TERMS), ..open() };
    let verify = Open { purpose: Purpose::Verify, ..open() };
    let list = Open { purpose: Purpose::List, at: Some(At::Time { secs: -1 }), ..pull.clone() };
    for good in [&open(), &pull, &verify, &list] {
        assert_eq!(serving().open(sent(good)).unwrap().0, *good);
    }
    let bad = [
        Open { terms: None, ..pull.clone() },
        Open { terms: Some(TERMS), ..open() },
        Open { at: Some(At::Time { secs: 1 }), ..open() },
    ];
    for bad in bad {
        assert!(matches!(serving().open(sent(&bad)), Err(Refusal::Protocol { .. })), "{bad:?}");
    }
    let answered = |open: Open, opened: Opened| asking().open(open).unwrap().1.opened(sent(&opened));
    let nothing = Opened { terms: None, token: None, ..opened() };
    assert!(answered(pull.clone(), nothing.clone()).is_ok());
    assert!(answered(verify, Opened { token: None, ..opened() }).is_ok());
    assert!(answered(open(), nothing).is_err());
    assert!(answered(pull, opened()).is_err());
}

#[test]
fn what_a_later_version_adds_is_skipped_unless_it_must_be_known() {
    let optional = Open { extensions: unknown(false), ..open() };
    assert_eq!(serving().open(sent(&optional)).unwrap().0, optional);
    let required = Open { extensions: unknown(true), ..open() };
    let refusal = serving().open(sent(&required)).unwrap_err();
    assert!(matches!(&refusal, Refusal::Unsupported { what } if what.contains("77")), "{refusal:?}");

    let answered = |opened: Opened| asking().open(open()).unwrap().1.opened(sent(&opened));
    assert!(answered(Opened { extensions: unknown(false), ..opened() }).is_ok());
    let ended = answered(Opened { extensions: unknown(true), ..opened() }).unwrap_err();
    assert!(ended.to_string().contains("extension 77"), "{ended}");

    let login = |extensions| Login { user: "web".into(), password: "x".into(), extensions };
    let (_, _, server) = AwaitHello::new("recvd").hello(sent(&ClientHello::start("p").0)).unwrap();
    assert!(server.login(sent(&login(unknown(false)))).is_ok());
    let (_, _, server) = AwaitHello::new("recvd").hello(sent(&ClientHello::start("p").0)).unwrap();
    assert!(matches!(server.login(sent(&login(unknown(true)))), Err(Refusal::Unsupported { .. })));
    let newer = |extensions| sent(&Welcome { version: 1, software: "recvd".into(), extensions });
    assert!(ClientHello::start("p").1.welcome(newer(unknown(false))).is_ok());
    assert!(ClientHello::start("p").1.welcome(newer(unknown(true))).is_err());
}

/// A server that waits for `Open`.
fn serving() -> AwaitOpen {
    let (_, _, server) = AwaitHello::new("recvd").hello(sent(&ClientHello::start("p").0)).unwrap();
    let login = Login { user: "web".into(), password: "x".into(), extensions: Extensions::default() };
    server.login(sent(&login)).unwrap().1.accept().1
}

/// A client that may send `Open`.
fn asking() -> ReadyToOpen {
    let ready = ClientHello::start("p").1.welcome(welcome(1)).unwrap().1;
    let login = ready.login("web", Password::from("x")).unwrap().1;
    login.accepted(sent(&crate::login::Accepted)).unwrap()
}

#[test]
fn versions_meet_at_the_highest_of_both() {
    assert_eq!(meet((1, 3), (2, 9)), Some(3));
    assert_eq!(meet((2, 9), (1, 3)), Some(3));
    assert_eq!(meet((1, 1), (1, 1)), Some(1));
    assert_eq!(meet((2, 3), (4, 5)), None);
    assert_eq!(meet((4, 5), (2, 3)), None);
}

#[test]
fn a_peer_of_other_versions_is_told_which_it_needs() {
    let (low, high) = limits::VERSIONS;
    let newer = Hello { low: high + 1, high: high + 2, software: "pushd 9".into() };
    let refusal = AwaitHello::new("recvd").hello(sent(&newer)).unwrap_err();
    assert_eq!(refusal, Refusal::Version { low, high });

    let (_, client) = ClientHello::start("pushd");
    let ended = client.welcome(sent(&Refusal::Version { low: 8, high: 9 })).unwrap_err();
    assert_eq!(
        ended.to_string(),
        format!("need protocol 8..9, this program speaks {low}..{high}; bring both hosts to the same release")
    );
    let (_, client) = ClientHello::start("pushd");
    assert_eq!(client.welcome(welcome(high + 1)).unwrap_err(), LoginError::NotOffered(high + 1));
}

#[test]
fn a_refusal_may_come_in_place_of_any_answer() {
    let ready = || ClientHello::start("pushd").1.welcome(welcome(1));
    let login = || ready().unwrap().1.login("web", Password::from("x")).unwrap().1;
    let no = sent(&Refusal::Denied);
    assert_eq!(ClientHello::start("pushd").1.welcome(no.clone()).unwrap_err(), LoginError::Refused(Refusal::Denied));
    assert_eq!(login().accepted(no.clone()).unwrap_err(), LoginError::Refused(Refusal::Denied));
    let client = login().accepted(sent(&crate::login::Accepted)).unwrap().open(open()).unwrap().1;
    assert_eq!(client.opened(no).unwrap_err(), LoginError::Refused(Refusal::Denied));
}

#[test]
fn a_message_out_of_turn_breaks_the_protocol() {
    let out_of_turn = sent(&open());
    let refused = AwaitHello::new("recvd").hello(out_of_turn.clone()).unwrap_err();
    assert!(matches!(refused, Refusal::Protocol { .. }), "{refused}");
    let ended = ClientHello::start("pushd").1.welcome(out_of_turn).unwrap_err();
    assert!(matches!(ended, LoginError::Broken(_)), "{ended}");
    assert!(matches!(AwaitHello::new("recvd").hello(Bytes::new()), Err(Refusal::Protocol { .. })));
}

#[test]
fn what_cannot_travel_is_told_before_it_is_sent() {
    let ready = || ClientHello::start("p").1.welcome(welcome(1)).unwrap().1;
    for user in ["", "a\nb", &"u".repeat(256)] {
        assert_eq!(ready().login(user, Password::from("x")).err(), Some(Unfit::User));
    }
    for password in [vec![], vec![b'x'; 1025]] {
        assert_eq!(ready().login("web", Password::from(password)).err(), Some(Unfit::Password));
    }
    assert!(ready().login("web", Password::from(vec![0xff; 1024])).is_ok());
    let accepted = || ready().login("web", Password::from("x")).unwrap().1.accepted(sent(&crate::login::Accepted));
    let why = |open| accepted().unwrap().open(open).err();
    assert_eq!(why(Open { module: String::new(), ..open() }), Some(Unfit::Module));
    let name = crate::Name::parse(&[b'n'; 200]).unwrap();
    let deep = (0..18).try_fold(RelPath::root(), |path, _| path.join(&name)).unwrap();
    assert_eq!(why(Open { folder: deep, ..open() }), Some(Unfit::Folder));
}
