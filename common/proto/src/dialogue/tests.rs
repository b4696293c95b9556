use bytes::{Bytes, BytesMut};

use super::*;
use crate::codec::{self, Wire};
use crate::limits;
use crate::login::{Direction, Durability, Hello, Open, Opened, Password, Refusal, Welcome};
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
    Open { module: "www".into(), folder: RelPath::parse(b"web1").unwrap(), direction: Direction::Push, sender: 7 }
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
    assert_eq!(server.open(sent(&asked)).unwrap(), open());
    let opened =
        Opened { keep: Keep::DEFAULT, durability: Durability::Batch, continued: false, place: vec![[7; 16]; 128] };
    assert_eq!(client.opened(sent(&opened)).unwrap(), opened);
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
    let chosen = Welcome { version: high + 1, software: "recvd".into() };
    assert_eq!(client.welcome(sent(&chosen)).unwrap_err(), LoginError::NotOffered(high + 1));
}

#[test]
fn a_refusal_may_come_in_place_of_any_answer() {
    let ready = || ClientHello::start("pushd").1.welcome(sent(&Welcome { version: 1, software: "recvd".into() }));
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
    let ready = || ClientHello::start("p").1.welcome(sent(&Welcome { version: 1, software: "r".into() })).unwrap().1;
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
