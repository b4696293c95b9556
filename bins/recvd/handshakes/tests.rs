use super::*;
use std::net::{IpAddr, Ipv4Addr};

const FILES: u64 = 65_536;

fn from(n: usize) -> Network {
    let [.., a, b] = n.to_be_bytes();
    Network::from(IpAddr::V4(Ipv4Addr::new(127, 0, a, b)))
}

/// A newcomer that has said something.
fn talker(handshakes: &Handshakes, network: Network, now: Instant) -> Option<Caller> {
    let caller = handshakes.arrive(network, now)?;
    caller.reached(Phase::Waiting);
    handshakes.table().age(handshakes.most, now);
    Some(caller)
}

fn has_place(caller: &Caller) -> bool {
    caller.handshakes.table().callers.get(&caller.number).is_some_and(|known| known.phase.has_place())
}

fn places<'a>(callers: impl IntoIterator<Item = &'a Caller>) -> usize {
    callers.into_iter().filter(|caller| has_place(caller)).count()
}

fn is_known(caller: &Caller) -> bool {
    caller.handshakes.table().callers.contains_key(&caller.number)
}

#[test]
fn who_says_nothing_takes_no_place() {
    let handshakes = Handshakes::new(2, FILES);
    let now = Instant::now();
    let silent: Vec<Caller> = (0..500).filter_map(|n| handshakes.arrive(from(n), now)).collect();
    let talks = talker(&handshakes, from(600), now).unwrap();
    assert!(has_place(&talks) && places(&silent) == 0 && silent.len() == 500);
}

#[test]
fn those_of_one_address_have_their_turn_in_order() {
    let handshakes = Handshakes::new(64, FILES);
    let now = Instant::now();
    let mut callers: Vec<Caller> = (0..72).map(|_| talker(&handshakes, from(1), now).unwrap()).collect();
    assert!(talker(&handshakes, from(1), now).is_none(), "64 wait");
    assert!(talker(&handshakes, from(2), now).is_some_and(|other| has_place(&other)));
    while !callers.is_empty() {
        let most = callers.len().min(PER_NETWORK);
        assert_eq!(places(&callers), most);
        assert_eq!(places(&callers[..most]), most, "the first ones");
        callers.remove(most - 1);
    }
    assert!(handshakes.table().callers.is_empty());
}

#[test]
fn places_go_round_over_addresses() {
    let handshakes = Handshakes::new(4, FILES);
    let now = Instant::now();
    let mut crowd: Vec<Caller> = (0..50).map(|_| talker(&handshakes, from(1), now).unwrap()).collect();
    assert_eq!(places(&crowd), 4);
    let others: Vec<Caller> = (2..5).map(|n| talker(&handshakes, from(n), now).unwrap()).collect();
    for count in 1..=3 {
        crowd.remove(0);
        assert_eq!((places(&crowd), places(&others)), (4 - count, count), "others come first");
    }
    crowd.remove(0);
    assert_eq!((places(&crowd), places(&others)), (1, 3), "nobody else waits");
}

#[tokio::test]
async fn who_has_come_least_far_makes_room_when_its_grace_is_over() {
    let handshakes = Handshakes::new(3, FILES);
    let start = Instant::now();
    let callers: Vec<Caller> = (1..4).map(|n| talker(&handshakes, from(n), start).unwrap()).collect();
    callers[0].reached(Phase::Named);
    callers[1].reached(Phase::Greeted);
    let newcomer = talker(&handshakes, from(9), start + Duration::from_millis(240)).unwrap();
    assert!(!has_place(&newcomer));
    let age = |after: u64| handshakes.table().age(3, start + Duration::from_millis(after));
    age(250);
    assert!(has_place(&newcomer) && !is_known(&callers[2]));
    callers[2].sent_away().await;
    newcomer.reached(Phase::Secure);
    let next = talker(&handshakes, from(10), start).unwrap();
    age(60_000);
    assert!(has_place(&next) && !is_known(&callers[1]), "and the greeted one");
    let after = talker(&handshakes, from(11), start).unwrap();
    next.reached(Phase::Named);
    age(120_000);
    assert!(has_place(&after) && !is_known(&newcomer), "and the secure one");
    after.reached(Phase::Named);
    let last = talker(&handshakes, from(12), start).unwrap();
    age(600_000);
    assert!(!has_place(&last) && is_known(&callers[0]), "who is being checked is left in peace");
}

#[test]
fn for_its_own_network_a_slow_peer_has_longer() {
    let handshakes = Handshakes::new(64, FILES);
    let start = Instant::now();
    let slow: Vec<Caller> = (0..8).map(|_| talker(&handshakes, from(1), start).unwrap()).collect();
    slow.iter().for_each(|caller| caller.reached(Phase::Greeted));
    let next = talker(&handshakes, from(1), start).unwrap();
    handshakes.table().age(64, start + Duration::from_secs(4));
    assert!(!has_place(&next));
    handshakes.table().age(64, start + Duration::from_secs(6));
    assert!(has_place(&next) && places(&slow) == 7);
}

#[tokio::test]
async fn turns_come_by_themselves() {
    let handshakes = Handshakes::new(1, FILES);
    let first = handshakes.arrive(from(1), Instant::now()).unwrap();
    first.turn().await;
    first.reached(Phase::Named);
    let second = handshakes.arrive(from(1), Instant::now()).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), second.turn()).await.is_err());
    drop(first);
    second.turn().await;
    // One that stands still makes room in time, without anybody else's doing.
    let third = handshakes.arrive(from(2), Instant::now()).unwrap();
    third.turn().await;
    second.sent_away().await;
}

#[test]
fn a_flood_of_one_address_is_bounded_and_makes_room_for_itself() {
    let handshakes = Handshakes::new(64, FILES);
    let start = Instant::now();
    let silent: Vec<Caller> = (0..1000).filter_map(|_| handshakes.arrive(from(1), start)).collect();
    assert_eq!(silent.len(), WAITING_OF_NETWORK);
    let later = start + SILENCE;
    let talks = talker(&handshakes, from(1), later).unwrap();
    assert!(has_place(&talks) && !is_known(&silent[0]) && is_known(&silent[1]));
}

#[test]
fn a_flood_of_many_addresses_is_bounded_and_the_crowd_makes_room() {
    let handshakes = Handshakes::new(1, FILES);
    let now = Instant::now();
    let inside = talker(&handshakes, from(0), now).unwrap();
    let crowd: Vec<Caller> =
        (0..2000).filter_map(|n| talker(&handshakes, from(1 + n % 20), now)).filter(is_known).collect();
    assert_eq!(handshakes.table().callers.len(), WAITING + 1);
    // Whoever comes from elsewhere waits instead of one of them, and is the next.
    let other = talker(&handshakes, from(99), now).unwrap();
    assert_eq!(handshakes.table().callers.len(), WAITING + 1);
    drop(inside);
    assert!(places(&crowd) == 1 && !has_place(&other), "the first one had waited longer");
    drop(crowd);
    assert!(has_place(&other));
}

#[test]
fn where_few_files_may_be_open_fewer_wait() {
    let handshakes = Handshakes::new(64, 256);
    let now = Instant::now();
    let strangers: Vec<Caller> = (0..1000).filter_map(|n| handshakes.arrive(from(n), now)).collect();
    assert_eq!(strangers.len(), 64);
}
