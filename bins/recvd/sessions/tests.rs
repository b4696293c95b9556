use super::*;

const FOLDER: RootId = RootId { dev: 1, ino: 1 };

fn claim(folder: &str, user: &str, sender: u16) -> Claim {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&sender.to_le_bytes());
    let folder = RelPath::parse(folder.as_bytes()).unwrap();
    let (from, standing) = (IpAddr::from([192, 0, 2, 7]), Some(FOLDER));
    Claim { module: "www".into(), folder, user: user.into(), sender: id, from, most: 2, standing }
}

async fn writing(sessions: &Sessions, claim: Claim) -> Lease {
    let lease = sessions.open(claim).await.unwrap();
    lease.begin().await.unwrap();
    lease.writes_to(lease.claim.standing).unwrap();
    lease
}

/// Opens, writes and ends; whether it continued.
async fn visit(sessions: &Sessions, claim: Claim) -> bool {
    writing(sessions, claim).await.continued()
}

#[tokio::test]
async fn continued_while_nobody_else_wrote() {
    let sessions = Sessions::new(9);
    let (ours, theirs) = (|| claim("a/b", "u", 1), || claim("a", "u", 2));
    assert!(!visit(&sessions, ours()).await);
    assert!(visit(&sessions, ours()).await);
    assert!(!visit(&sessions, claim("a/c", "u", 3)).await);
    assert!(visit(&sessions, ours()).await, "another folder is none of ours");
    drop(sessions.open(theirs()).await);
    assert!(visit(&sessions, ours()).await, "who only looks writes nothing");
    assert!(!visit(&sessions, theirs()).await);
    assert!(!visit(&sessions, ours()).await, "somebody wrote above it");
    assert!(visit(&sessions, ours()).await);
    assert!(!visit(&sessions, theirs()).await, "and we wrote beneath theirs");
}

#[tokio::test]
async fn another_folder_in_its_place_is_not_continued() {
    let sessions = Sessions::new(9);
    let at = |standing| Claim { standing, ..claim("a", "u", 1) };
    let other = Some(RootId { dev: 1, ino: 2 });
    assert!(!visit(&sessions, at(None)).await, "nothing is known of a folder that is still to be made");
    assert!(!visit(&sessions, at(Some(FOLDER))).await);
    assert!(visit(&sessions, at(Some(FOLDER))).await);
    assert!(!visit(&sessions, at(other)).await);
    assert!(!visit(&sessions, at(Some(FOLDER))).await, "nor the first when it is back");
    // It was there when the lease was opened, and is another when it begins.
    let lease = sessions.open(at(Some(FOLDER))).await.unwrap();
    assert!(lease.continued());
    lease.begin().await.unwrap();
    assert!(matches!(lease.writes_to(other), Err(Refusal::Busy { .. })));
}

#[tokio::test]
async fn limits_count_and_come_back() {
    let sessions = Sessions::new(3);
    let one = sessions.open(claim("a", "u", 1)).await.unwrap();
    let two = sessions.open(claim("b", "u", 2)).await.unwrap();
    let full = sessions.open(claim("c", "u", 3)).await.unwrap_err();
    assert!(matches!(&full, Refusal::Busy { reason, .. } if reason.contains("module")), "{full:?}");
    let other = |folder| Claim { module: "other".into(), ..claim(folder, "u", 4) };
    let three = sessions.open(other("a")).await.unwrap();
    let full = sessions.open(other("b")).await.unwrap_err();
    assert!(matches!(&full, Refusal::Busy { reason, .. } if reason.contains("server")), "{full:?}");
    drop(one);
    assert!(sessions.open(claim("c", "u", 3)).await.is_ok());
    drop((two, three));
    assert_eq!(sessions.state().running, 0);
    assert!(sessions.state().modules.values().all(|module| module.running == 0));
}

#[tokio::test]
async fn a_sender_that_dials_again_ends_its_old_session_and_continues() {
    let sessions = Sessions::new(9);
    let old = writing(&sessions, claim("a", "u", 1)).await;
    let newcomer = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.open(claim("a", "u", 1)).await.map(|lease| lease.continued()) }
    });
    old.asked_to_leave().await;
    assert!(!newcomer.is_finished(), "it waits for the end");
    drop(old);
    assert_eq!(newcomer.await.unwrap(), Ok(true));
}

/// A connection that is closed, or not, and has been silent for so long.
struct Seen(bool, Duration);

impl Watched for Seen {
    fn is_closed(&self) -> bool {
        self.0
    }

    fn silence(&self) -> Duration {
        self.1
    }
}

async fn is_asked_to_leave(lease: &Lease) -> bool {
    timeout(Duration::from_millis(1), lease.asked_to_leave()).await.is_ok()
}

#[tokio::test]
async fn another_sender_of_the_user_takes_over_from_one_that_is_gone_when_it_writes() {
    for seen in [Seen(true, Duration::ZERO), Seen(false, Duration::from_secs(20))] {
        let sessions = Sessions::new(9);
        let old = writing(&sessions, claim("a", "u", 1)).await;
        old.watched(seen);
        let newcomer = sessions.open(claim("a", "u", 2)).await.unwrap();
        assert!(!is_asked_to_leave(&old).await && !newcomer.continued(), "who only looks disturbs nobody");
        let begun = tokio::spawn(async move { newcomer.begin().await });
        old.asked_to_leave().await;
        drop(old);
        assert_eq!(begun.await.unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn who_lives_keeps_its_folder_and_is_named() {
    let sessions = Sessions { news: Duration::from_millis(50), ..Sessions::new(9) };
    let old = writing(&sessions, claim("a", "u", 1)).await;
    old.watched(Seen(false, Duration::from_secs(9)));
    let newcomer = sessions.open(claim("", "u", 2)).await.unwrap();
    let refused = newcomer.begin().await.unwrap_err();
    assert!(matches!(&refused, Refusal::Busy { reason, .. } if reason.contains("at 192.0.2.7")), "{refused:?}");
    assert!(!is_asked_to_leave(&old).await);
    assert!(timeout(Duration::from_millis(1), old.greeted()).await.is_ok(), "its peer gets a sign of life");
    // That sign finds nobody: the connection breaks, and the lease ends.
    let begun = tokio::spawn(async move { newcomer.begin().await });
    old.greeted().await;
    drop(old);
    assert_eq!(begun.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn who_has_closed_and_has_work_in_hand_is_waited_for() {
    let sessions = Sessions::new(9);
    let old = writing(&sessions, claim("a", "u", 1)).await;
    old.watched(Seen(false, Duration::ZERO));
    old.unwatched();
    let newcomer = sessions.open(claim("a", "u", 2)).await.unwrap();
    let begun = tokio::spawn(async move { newcomer.begin().await });
    tokio::time::sleep(3 * LOOK).await;
    assert!(!begun.is_finished());
    drop(old);
    assert_eq!(begun.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn who_continues_but_waits_too_long_is_sent_back() {
    let sessions = Sessions::new(9);
    assert!(!visit(&sessions, claim("a", "u", 1)).await);
    let slow = sessions.open(claim("a", "u", 1)).await.unwrap();
    assert!(slow.continued());
    visit(&sessions, claim("a", "u", 2)).await;
    assert!(matches!(slow.begin().await, Err(Refusal::Busy { .. })));
}

#[tokio::test]
async fn a_session_that_does_not_end_keeps_the_newcomer_out() {
    let sessions = Sessions { handover: Duration::from_millis(50), ..Sessions::new(9) };
    let old = writing(&sessions, claim("a", "u", 1)).await;
    old.unwatched();
    let newcomer = sessions.open(claim("a/b", "u", 2)).await.unwrap();
    assert!(matches!(newcomer.begin().await, Err(Refusal::Busy { .. })));
}

#[tokio::test]
async fn other_users_do_not_push_each_other_out() {
    let sessions = Sessions::new(9);
    let first = writing(&sessions, claim("a", "u", 1)).await;
    let other = sessions.open(claim("", "v", 2)).await.unwrap();
    assert!(matches!(other.begin().await, Err(Refusal::Busy { .. })));
    assert!(!is_asked_to_leave(&first).await);
}

#[tokio::test]
async fn memory_is_bounded_and_what_is_forgotten_is_not_continued() {
    let sessions = Sessions::new(9);
    assert!(!visit(&sessions, claim("a", "u", 1)).await);
    for sender in 2..2000 {
        visit(&sessions, claim("b", "u", sender)).await;
    }
    assert!(sessions.state().modules["www"].traces.len() <= TRACES);
    assert!(!visit(&sessions, claim("a", "u", 1)).await);
    assert!(visit(&sessions, claim("a", "u", 1)).await);
}
