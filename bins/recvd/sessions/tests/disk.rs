//! What outlives recvd.

use std::fs;

use super::*;

const FILE: &str = ".recvd-leases";

fn copy(from: &Path, to: &Path) {
    fs::copy(from.join(FILE), to.join(FILE)).unwrap();
}

#[tokio::test]
async fn a_session_continues_over_a_restart_wherever_recvd_was_killed() {
    let mut house = House::new();
    let mut ours = host(1);
    house.visit("a", &mut ours).await;
    house.restart();
    assert!(house.visit("a", &mut ours).await, "after an end in order");
    let lease = house.write("a", &mut ours).await.unwrap();
    settled(&house).await;
    house.restart();
    assert!(house.sessions.open(house.claim("a", &ours)).await.unwrap().continued(), "killed in a session");
    drop(lease);
    // Killed before it was told that the token is noted: both are good, and only the last one continues.
    let before = ours.clone();
    let lease = house.enter("a", &ours).await.unwrap();
    ours.token = lease.token();
    house.restart();
    assert!(house.sessions.open(house.claim("a", &ours)).await.unwrap().continued());
    assert!(!house.sessions.open(house.claim("a", &before)).await.unwrap().continued());
    assert!(house.enter("a", &before).await.is_ok());
    drop(lease);
    // Killed between the grant and the first frame: nothing has happened.
    house.restart();
    house.visit("b", &mut host(2)).await;
    let opened = house.sessions.open(house.claim("a", &ours)).await.unwrap();
    house.restart();
    assert!(house.enter("a", &host(9)).await.is_err());
    drop(opened);
}

/// Waits until nothing is being written.
async fn settled(house: &House) {
    for _ in 0..500 {
        let wanted = house.sessions.state().modules["www"].changes;
        if house.sessions.book("www").lock().await.saved >= wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("it is not written");
}

#[tokio::test]
async fn one_that_took_the_folder_is_found_after_a_restart_before_it_has_written_anything() {
    let mut house = House::new();
    let (mut ours, theirs) = (host(1), host(2));
    house.visit("a", &mut ours).await;
    house.release("a").await;
    let lease = house.enter("", &theirs).await.unwrap();
    house.restart();
    assert!(!house.sessions.open(house.claim("a", &ours)).await.unwrap().continued());
    assert!(house.enter("a", &ours).await.is_err());
    drop(lease);
}

#[tokio::test]
async fn without_durability_nothing_continues_over_a_start_of_the_host() {
    let mut house = House::new();
    let mut ours = host(1);
    house.is_fleeting = true;
    house.visit("a", &mut ours).await;
    house.restart();
    assert!(house.visit("a", &mut ours).await, "of recvd alone");
    house.restart();
    house.boot = "the next";
    assert!(!house.visit("a", &mut ours).await);
    house.is_fleeting = false;
    house.visit("a", &mut ours).await;
    house.restart();
    house.boot = "one more";
    assert!(house.visit("a", &mut ours).await, "what survives a power cut does");
}

#[tokio::test]
async fn a_module_that_was_brought_back_is_not_continued() {
    let mut house = House::new();
    let (mut ours, other) = (host(1), tempfile::tempdir().unwrap());
    house.visit("a", &mut ours).await;
    let lease = house.write("a", &mut ours).await.unwrap();
    settled(&house).await;
    // A snapshot in the middle of a session: its token is the last one.
    copy(house.module.path(), other.path());
    lease.end().await;
    house.restart();
    copy(other.path(), house.module.path());
    assert!(!house.visit("a", &mut ours).await);
    house.restart();
    assert!(house.visit("a", &mut ours).await, "from here on it is a module like any other");
    // Without what is remembered of it nobody can tell.
    house.restart();
    fs::remove_dir_all(house.state.path()).unwrap();
    fs::create_dir(house.state.path()).unwrap();
    assert!(house.enter("a", &host(2)).await.is_err(), "whose it is is known all the same");
    assert!(!house.visit("a", &mut ours).await);
}

#[tokio::test]
async fn what_cannot_be_read_is_as_if_nothing_were_known() {
    let mut house = House::new();
    let mut ours = host(1);
    house.visit("a", &mut ours).await;
    for bad in [&b"somebody's own"[..], b"", &[0xff; 5000]] {
        house.restart();
        fs::write(house.module.path().join(FILE), bad).unwrap();
        assert!(!house.visit("a", &mut ours).await);
        assert!(house.visit("a", &mut ours).await);
        house.restart();
        assert!(house.visit("a", &mut ours).await, "and it is written anew");
    }
    // Something that cannot be replaced: backups go on.
    house.restart();
    fs::remove_file(house.module.path().join(FILE)).unwrap();
    fs::create_dir(house.module.path().join(FILE)).unwrap();
    assert!(!house.visit("a", &mut ours).await);
    assert!(house.visit("a", &mut ours).await);
    house.restart();
    assert!(!house.visit("a", &mut ours).await);
}

/// As on a disk that is read-only for a while, or fails.
#[tokio::test]
async fn a_token_that_would_not_be_remembered_is_not_given() {
    let mut house = House::new();
    let mut ours = host(1);
    house.visit("a", &mut ours).await;
    let (file, aside) = (house.module.path().join(FILE), house.state.path().join("aside"));
    for _ in 0..3 {
        house.restart();
        assert!(house.sessions.open(house.claim("a", &ours)).await.unwrap().continued());
        fs::rename(&file, &aside).unwrap();
        fs::create_dir(&file).unwrap();
        // It is told one before that is known.
        assert!(reason(house.enter("a", &ours).await).contains("cannot write down whose folder it is"));
        for continued in [true, false] {
            let lease = house.write("a", &mut ours).await.unwrap();
            assert_eq!((lease.token(), lease.continued()), (None, continued));
            lease.end().await;
        }
        assert!(house.enter("a", &host(2)).await.is_err());
        fs::remove_dir(&file).unwrap();
        fs::rename(&aside, &file).unwrap();
    }
    // It can be written again, which the next session finds out.
    assert!(!house.visit("a", &mut ours).await);
    let before = ours.token;
    assert!(!house.visit("a", &mut ours).await);
    assert_ne!(ours.token, before);
    assert!(house.visit("a", &mut ours).await);
    house.restart();
    assert!(house.visit("a", &mut ours).await);
}

/// What was given back is gone from memory, and stands on the disk.
#[tokio::test]
async fn who_begins_where_a_lease_stands_that_could_not_be_taken_away_is_not_forgotten() {
    let mut house = House::new();
    let (mut ours, mut theirs) = (host(1), host(2));
    let lease = house.write("a", &mut ours).await.unwrap();
    settled(&house).await;
    let (file, aside) = (house.module.path().join(FILE), house.state.path().join("aside"));
    // Nothing can be written, nor taken away.
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    lease.returned();
    lease.end().await;
    assert!(reason(house.enter("a", &theirs).await).contains("cannot write down whose folder it is"));
    let freed = house.sessions.release("www", &house.root, &path("")).await;
    assert!(freed.is_err(), "what is released would be found again: {freed:?}");
    fs::remove_dir(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    assert!(!house.visit("a", &mut theirs).await);
    house.restart();
    assert!(!house.sessions.open(house.claim("a", &ours)).await.unwrap().continued(), "another one has written there");
}

#[tokio::test]
async fn when_one_was_heard_last_is_told_also_after_a_restart() {
    let mut house = House::new();
    house.visit("a", &mut host(1)).await;
    let heard = house.sessions.state().modules["www"].leases.held[0].record.heard;
    house.restart();
    let told = reason(house.enter("a", &host(2)).await);
    assert!(told.contains(&format!(" to {heard}, and may come back")), "{told}");
    let freed = house.sessions.release("www", &house.root, &path("a")).await.unwrap();
    assert_eq!(freed[0].heard.to_string(), heard.to_string());
}

#[tokio::test]
async fn the_root_of_the_module_keeps_its_mtime_and_nobody_else_reads_the_file() {
    use std::os::unix::fs::MetadataExt;
    let house = House::new();
    let modified = || fs::metadata(house.module.path()).unwrap().modified().unwrap();
    let before = modified();
    house.visit("", &mut host(1)).await;
    assert_eq!(modified(), before);
    assert_eq!(fs::metadata(house.module.path().join(FILE)).unwrap().mode() & 0o7777, 0o600);
}
