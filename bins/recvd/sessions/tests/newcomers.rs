//! Who gets in where another one is or was.

use super::*;

#[tokio::test(start_paused = true)]
async fn who_answers_keeps_its_folder_and_is_named_to_the_same_user() {
    let house = House::new();
    let (mut ours, wire) = (host(1), Wire::answering());
    let old = house.write("a", &mut ours).await.unwrap();
    old.watched(wire.clone());
    // A copy of the host with what it had noted before, and one with all that it has.
    for clone in [host(1), ours.clone(), host(2)] {
        for folder in ["a", "", "a/b"] {
            let told = reason(house.enter(folder, &clone).await);
            assert!(told.contains("at 192.0.2.7, writes to it, since 2"), "{told}");
        }
    }
    let stranger = Host { user: "v", ..host(3) };
    let told = reason(house.enter("a", &stranger).await);
    assert_eq!(told, "another user's session writes to that folder");
    assert!(!is_asked_to_leave(&old).await);
    assert_eq!(wire.asked(), 9, "who lives is asked by each of its user");
    assert!(house.enter("b", &host(2)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_last_token_gets_in_where_nobody_answers() {
    for wire in [Wire::with(|seen| seen.is_closed = true), Wire::default()] {
        let house = House::new();
        let mut ours = host(1);
        let old = house.write("a", &mut ours).await.unwrap();
        old.watched(wire.clone());
        let newcomer = house.sessions.open(house.claim("a", &ours)).await.unwrap();
        assert!(newcomer.continued() && !is_asked_to_leave(&old).await, "who only looks disturbs nobody");
        let asked = Instant::now();
        let begun = tokio::spawn(async move { newcomer.begin().await });
        old.asked_to_leave().await;
        let patience = if wire.is_closed() { 0..1000 } else { 2300..3300 };
        assert!(patience.contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());
        old.unwatched();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!begun.is_finished(), "it has work in hand and is waited for");
        old.end().await;
        assert_eq!(begun.await.unwrap(), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_its_disk_counts_as_alive() {
    let house = House::new();
    let mut ours = host(1);
    let old = house.write("a", &mut ours).await.unwrap();
    old.watched(Wire::with(|seen| seen.is_held_back = true));
    assert!(reason(house.enter("a", &ours).await).contains("is in use"));
    assert!(!is_asked_to_leave(&old).await);
}

#[tokio::test(start_paused = true)]
async fn an_old_token_or_none_waits_for_ten_minutes_of_silence() {
    let house = House::new();
    let mut ours = host(1);
    house.visit("a", &mut ours).await;
    let before = ours.clone();
    house.visit("a", &mut ours).await;
    for other in [host(2), host(1), before] {
        for folder in ["a", "", "a/b"] {
            let told = reason(house.enter(folder, &other).await);
            assert!(told.contains("`recvctl release www:a`") && told.contains("at 192.0.2.7"), "{told}");
        }
    }
    let stranger = Host { user: "v", ..host(3) };
    let told = reason(house.enter("a", &stranger).await);
    assert!(!told.contains("192.0.2.7") && told.contains("another user's pushd"), "{told}");
    tokio::time::sleep(SILENCE - Duration::from_secs(5)).await;
    assert!(house.enter("a", &host(2)).await.is_err());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let theirs = house.enter("a", &host(2)).await.unwrap();
    assert!(!theirs.continued());
    // Whose place was taken is one like any other.
    assert!(house.enter("a", &ours).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn silence_counts_from_the_last_byte_also_of_one_that_is_connected() {
    let house = House::new();
    let mut ours = host(1);
    let old = house.write("a", &mut ours).await.unwrap();
    old.watched(Wire::with(|seen| seen.quiet_since = Some(Instant::now())));
    assert!(reason(house.enter("a", &host(2)).await).contains("wrote to it last"));
    assert!(!is_asked_to_leave(&old).await);
    tokio::time::sleep(SILENCE / 2).await;
    old.unwatched();
    old.end().await;
    tokio::time::sleep(SILENCE / 2 - Duration::from_secs(10)).await;
    assert!(house.enter("a", &host(2)).await.is_err());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(house.enter("a", &host(2)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_recvd_begins_the_silence_anew() {
    let mut house = House::new();
    let mut ours = host(1);
    house.visit("a", &mut ours).await;
    tokio::time::sleep(SILENCE - Duration::from_secs(5)).await;
    house.restart();
    assert!(house.enter("a", &host(2)).await.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(house.enter("a", &host(2)).await.is_err(), "nobody was listened to while recvd was away");
    assert!(house.visit("a", &mut ours).await, "and the right one gets in at once");
}

#[tokio::test(start_paused = true)]
async fn the_token_before_counts_until_the_new_one_is_noted() {
    let house = House::new();
    let mut ours = host(1);
    house.visit("a", &mut ours).await;
    // Twice it was given one, and died before it had written that down.
    for _ in 0..2 {
        house.enter("a", &ours).await.unwrap().end().await;
        assert!(!house.sessions.open(house.claim("a", &ours)).await.unwrap().continued(), "somebody had the last one");
    }
    let before = ours.clone();
    house.visit("a", &mut ours).await;
    assert!(house.enter("a", &before).await.is_err());
    assert!(house.visit("a", &mut ours).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_is_anybodys() {
    let house = House::new();
    let mut ours = host(1);
    let old = house.write("a", &mut ours).await.unwrap();
    old.watched(Wire::answering());
    old.returned();
    assert!(house.enter("a", &host(2)).await.is_err(), "not before its session has ended");
    let stranger = Host { user: "v", ..host(3) };
    assert_eq!(reason(house.enter("a", &stranger).await), "another user's session writes to that folder");
    old.end().await;
    assert!(house.enter("a", &ours).await.is_ok(), "whatever it shows");
    house.release("a").await;
    // Also by one that comes before all that was said is read.
    let old = house.write("a", &mut host(3)).await.unwrap();
    old.watched(Wire::with(|seen| seen.is_closed = true));
    let newcomer = house.sessions.open(house.claim("a", &host(2))).await.unwrap();
    let begun = tokio::spawn(async move { newcomer.begin().await.map(|()| newcomer) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    old.returned();
    old.end().await;
    begun.await.unwrap().unwrap().end().await;
    let mut ours = house.claim("a", &host(2));
    ours.token = None;
    let stranger = Claim { sender: [9; 16], ..ours.clone() };
    assert!(house.enter_as(stranger).await.is_err(), "that one was not given back");
    assert!(house.enter_as(ours).await.is_ok(), "it has noted nothing yet");
}

#[tokio::test(start_paused = true)]
async fn who_was_killed_before_it_could_note_anything_gets_in_at_once() {
    let house = House::new();
    let ours = host(1);
    // It comes for the first time, and again as it was, however often.
    for _ in 0..3 {
        house.enter("a", &ours).await.unwrap().end().await;
    }
    let mut ours = ours;
    house.visit("a", &mut ours).await;
    // recvd knows nothing of it any more, as when the folder was made anew, and one of both is killed again.
    house.release("a").await;
    tokio::time::sleep(super::super::leases::AWAY).await;
    for _ in 0..3 {
        house.enter("a", &ours).await.unwrap().end().await;
    }
    assert!(house.enter("a", &host(2)).await.is_err(), "another one knows nothing of all that");
}

#[tokio::test(start_paused = true)]
async fn who_was_released_stays_away_for_two_minutes() {
    let house = House::new();
    let (mut ours, theirs) = (host(1), host(2));
    house.visit("a", &mut ours).await;
    house.visit("b", &mut host(3)).await;
    assert_eq!(house.release("").await, ["www:a", "www:b"]);
    assert!(house.release("").await.is_empty());
    assert!(reason(house.enter("a", &ours).await).contains("a person has released"));
    assert!(house.enter("a", &theirs).await.is_ok());
    // And where nobody came for two minutes it may come again, as one that knows nothing.
    house.release("a").await;
    tokio::time::sleep(super::super::leases::AWAY).await;
    assert!(!house.visit("a", &mut ours).await);
    // One that writes is ended, whether it answers or not.
    let old = house.write("a", &mut ours).await.unwrap();
    old.watched(Wire::answering());
    for typo in ["a/b/c", "a/.recvd-x"] {
        let kept = house.sessions.release("www", &house.root, &path(typo)).await;
        assert_eq!(kept, Err(Kept::Beneath("www:a".into())));
    }
    assert!(!is_asked_to_leave(&old).await);
    assert_eq!(house.release("a").await, ["www:a"]);
    let Refusal::Busy { reason, retry } = old.asked_to_leave().await else { panic!("it is to hear why") };
    assert!(reason.contains("a person has released") && retry == super::super::leases::AWAY);
    let newcomer = house.sessions.open(house.claim("a", &theirs)).await.unwrap();
    let begun = tokio::spawn(async move { newcomer.begin().await.map(|()| newcomer) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!begun.is_finished());
    old.end().await;
    let begun = begun.await.unwrap().unwrap();
    assert!(house.enter("a", &ours).await.is_err());
    begun.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_end_keeps_the_newcomer_out() {
    let house = House::new();
    let mut ours = host(1);
    let old = house.write("a", &mut ours).await.unwrap();
    old.unwatched();
    assert!(reason(house.enter("a", &ours).await).contains("has not ended yet"));
}

#[tokio::test]
async fn who_waits_too_long_before_it_begins_is_sent_back() {
    let house = House::new();
    let mut ours = host(1);
    house.visit("a", &mut ours).await;
    let slow = house.sessions.open(house.claim("a", &ours)).await.unwrap();
    let blank = house.sessions.open(house.claim("a", &host(3))).await.unwrap();
    assert!(slow.continued());
    house.release("a").await;
    house.write("a", &mut host(2)).await.unwrap().returned();
    assert!(matches!(slow.begin().await, Err(Refusal::Busy { .. })));
    assert_eq!(blank.begin().await, Ok(()));
    assert!(house.enter("b", &host(4)).await.is_ok());
}

/// Two hosts with all the same, for a minute: one mirrors, the other hears why not, whatever both do.
#[tokio::test(start_paused = true)]
async fn a_copy_of_a_host_does_not_get_in_between_two_sessions_of_the_first() {
    let house = House::new();
    let mut ours = host(1);
    house.visit("a", &mut ours).await;
    let copy = ours.clone();
    house.visit("a", &mut ours).await;
    for _ in 0..30 {
        let lease = house.write("a", &mut ours).await.unwrap();
        assert!(lease.continued());
        lease.watched(Wire::answering());
        assert!(reason(house.enter("a", &copy).await).contains("writes to it"));
        lease.end().await;
        assert!(reason(house.enter("a", &copy).await).contains("wrote to it last"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
