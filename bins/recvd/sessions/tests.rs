mod disk;
mod newcomers;

use std::path::Path;

use proto::login::SenderId;
use tokio::time::Instant;

use super::*;

const FOLDER: FolderId = FolderId { ino: 1, born: (2, 3) };

/// One module on a disk of its own, and a recvd that may be started anew.
struct House {
    module: tempfile::TempDir,
    state: tempfile::TempDir,
    root: Arc<Root>,
    sessions: Sessions,
    boot: &'static str,
    is_fleeting: bool,
}

impl House {
    fn new() -> House {
        let (module, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = Arc::new(Root::at("www", module.path().into()).unwrap());
        let sessions = Sessions::new(9, SILENCE, state.path().into());
        House { module, state, root, sessions, boot: "this", is_fleeting: false }
    }

    /// Kill -9, and a new one.
    fn restart(&mut self) {
        self.root = Arc::new(Root::at("www", self.module.path().into()).unwrap());
        self.sessions = Sessions::new(9, SILENCE, self.state.path().into());
    }

    fn claim(&self, folder: &str, host: &Host) -> Claim {
        Claim {
            module: "www".into(),
            root: self.root.clone(),
            folder: path(folder),
            user: host.user.into(),
            sender: host.id,
            token: host.token,
            from: IpAddr::from([192, 0, 2, 7]),
            most: 9,
            standing: Some(FOLDER),
            boot: self.boot.into(),
            disk: self.root.disk(),
            is_fleeting: self.is_fleeting,
        }
    }

    /// A session that writes, and its host has noted what it was given.
    async fn write(&self, folder: &str, host: &mut Host) -> Result<Lease, Refusal> {
        let lease = self.enter(folder, host).await?;
        lease.noted();
        host.token = lease.token().or(host.token);
        Ok(lease)
    }

    /// A session that writes, and nothing was noted.
    async fn enter(&self, folder: &str, host: &Host) -> Result<Lease, Refusal> {
        self.enter_as(self.claim(folder, host)).await
    }

    async fn enter_as(&self, claim: Claim) -> Result<Lease, Refusal> {
        let (sessions, standing) = (self.sessions.clone(), claim.standing);
        let lease = sessions.open(claim).await?;
        lease.begin().await?;
        lease.writes_to(standing)?;
        Ok(lease)
    }

    /// Writes and ends; whether it continued.
    async fn visit(&self, folder: &str, host: &mut Host) -> bool {
        let lease = self.write(folder, host).await.unwrap();
        let continued = lease.continued();
        lease.end().await;
        continued
    }

    async fn release(&self, folder: &str) -> Vec<String> {
        let freed = self.sessions.release("www", &self.root, &path(folder)).await.unwrap();
        freed.into_iter().map(|freed| freed.place).collect()
    }
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

/// A host with its pushd. A clone has the same.
#[derive(Clone)]
struct Host {
    user: &'static str,
    id: SenderId,
    token: Option<Token>,
}

fn host(number: u8) -> Host {
    Host { user: "u", id: [number; 16], token: None }
}

/// A connection, as somebody holds it in hand.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    is_closed: bool,
    is_held_back: bool,
    /// Answers when asked.
    answers: bool,
    asked: u64,
    heard: u64,
    quiet_since: Option<Instant>,
}

impl Wire {
    fn with(change: impl FnOnce(&mut Seen)) -> Wire {
        let wire = Wire::default();
        change(&mut wire.0.lock().unwrap());
        wire
    }

    fn answering() -> Wire {
        Wire::with(|seen| seen.answers = true)
    }

    fn asked(&self) -> u64 {
        self.0.lock().unwrap().asked
    }
}

impl Watched for Wire {
    fn is_closed(&self) -> bool {
        self.0.lock().unwrap().is_closed
    }

    fn silence(&self) -> Duration {
        self.0.lock().unwrap().quiet_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn heard(&self) -> u64 {
        self.0.lock().unwrap().heard
    }

    fn is_held_back(&self) -> bool {
        self.0.lock().unwrap().is_held_back
    }

    fn ask(&self) {
        let mut seen = self.0.lock().unwrap();
        seen.asked += 1;
        seen.heard += u64::from(seen.answers);
    }

    fn round_trip(&self) -> Duration {
        Duration::from_millis(300)
    }
}

fn reason(refusal: Result<Lease, Refusal>) -> String {
    match refusal.unwrap_err() {
        Refusal::Busy { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

async fn is_asked_to_leave(lease: &Lease) -> bool {
    timeout(Duration::from_millis(1), lease.asked_to_leave()).await.is_ok()
}

#[tokio::test]
async fn continued_while_nobody_else_wrote() {
    let house = House::new();
    let (mut ours, mut theirs) = (host(1), host(2));
    assert!(!house.visit("a/b", &mut ours).await);
    assert!(house.visit("a/b", &mut ours).await);
    assert!(!house.visit("a/c", &mut host(3)).await);
    assert!(house.visit("a/b", &mut ours).await, "another folder is none of ours");
    drop(house.sessions.open(house.claim("a", &theirs)).await);
    assert!(house.visit("a/b", &mut ours).await, "who only looks writes nothing");
    house.release("a").await;
    assert!(!house.visit("a", &mut theirs).await);
    house.release("a").await;
    ours.token = None;
    assert!(!house.visit("a/b", &mut ours).await, "somebody wrote above it");
    assert!(house.visit("a/b", &mut ours).await);
    house.release("").await;
    theirs.token = None;
    assert!(!house.visit("a", &mut theirs).await, "and we wrote beneath theirs");
}

#[tokio::test]
async fn another_folder_in_its_place_is_not_continued() {
    let house = House::new();
    let mut ours = host(1);
    let other = FolderId { ino: 1, born: (2, 4) };
    let visit = async |ours: &mut Host, standing| {
        let claim = Claim { standing, ..house.claim("a", ours) };
        let lease = house.enter_as(claim).await.unwrap();
        lease.noted();
        ours.token = lease.token();
        lease.continued()
    };
    assert!(!visit(&mut ours, None).await);
    assert!(!visit(&mut ours, Some(FOLDER)).await, "nothing is known of a folder that was still to be made");
    assert!(visit(&mut ours, Some(FOLDER)).await);
    assert!(!visit(&mut ours, Some(other)).await);
    assert!(!visit(&mut ours, Some(FOLDER)).await, "nor the first when it is back");
    // It was there when the lease was opened, and is another when it begins.
    let lease = house.sessions.open(house.claim("a", &ours)).await.unwrap();
    assert!(lease.continued());
    lease.begin().await.unwrap();
    assert!(matches!(lease.writes_to(Some(other)), Err(Refusal::Busy { .. })));
}

#[tokio::test]
async fn a_folder_that_was_made_for_a_session_is_known_to_the_next() {
    let house = House::new();
    let mut ours = host(1);
    let claim = Claim { standing: None, ..house.claim("a", &ours) };
    let lease = house.sessions.open(claim).await.unwrap();
    lease.begin().await.unwrap();
    lease.writes_to(Some(FOLDER)).unwrap();
    ours.token = lease.token();
    lease.end().await;
    assert!(house.visit("a", &mut ours).await);
}

#[tokio::test]
async fn limits_count_and_come_back() {
    let house = House::new();
    let sessions = Sessions::new(3, SILENCE, house.state.path().into());
    let open = async |module: &str, folder| {
        let claim = Claim { module: module.into(), most: 2, ..house.claim(folder, &host(1)) };
        sessions.open(claim).await
    };
    let one = open("www", "a").await.unwrap();
    let two = open("www", "b").await.unwrap();
    assert!(reason(open("www", "c").await).contains("module"));
    let three = open("other", "a").await.unwrap();
    assert!(reason(open("other", "b").await).contains("server"));
    drop(one);
    assert!(open("www", "c").await.is_ok());
    drop((two, three));
    assert_eq!(sessions.state().running, 0);
    assert!(sessions.state().modules.values().all(|module| module.running == 0));
}

#[tokio::test]
async fn memory_is_bounded_and_what_is_forgotten_is_not_continued() {
    let house = House::new();
    let mut ours = host(1);
    assert!(!house.visit("a", &mut ours).await);
    let other = Host { user: "v", ..host(2) };
    let claim = |number: usize| house.claim(&format!("b/{number}"), &other);
    {
        let mut state = house.sessions.state();
        let leases = &mut state.modules.get_mut("www").unwrap().leases;
        for number in 0..2000 {
            let holder = Arc::new(Holder::new(other_address()));
            leases.take(&claim(number), (Token([number as u8; 16]), 1), holder.clone());
            leases.ended(&holder);
        }
        assert_eq!(leases.held.len(), leases::MOST);
    }
    assert!(house.visit("a", &mut ours).await, "who has most loses his own");
}

fn other_address() -> IpAddr {
    IpAddr::from([192, 0, 2, 9])
}
