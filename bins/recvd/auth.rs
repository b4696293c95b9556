//! Who a peer is. The only maker of an [`Identity`]. Hashing is bounded: two logins at a time are checked, some wait, and
//! all others are told that recvd is busy. A check keeps its turn until it is done, also when its peer has left meanwhile.

use std::sync::Arc;
use std::time::Duration;

use proto::limits::PASSWORD;
use proto::login::{Login, Refusal};
use tokio::sync::Semaphore;

use crate::users::Users;

/// Hashes computed at the same time.
const AT_ONCE: usize = 2;
/// Logins that wait for that: more than have a place by default, so that of many who come at once none is turned away
/// half-way. At 50 ms each the last one waits for three seconds, a tenth of what pushd waits for the end of its login.
const WAITING: usize = 126;

/// A user whose password was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(String);

impl Identity {
    /// As it stands in the users file.
    pub fn name(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
impl Identity {
    pub fn in_test(name: &str) -> Identity {
        Identity(name.into())
    }
}

/// Where logins are decided. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Auth {
    users: Arc<Users>,
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Auth {
    /// Decides by these users for as long as it lives.
    pub fn new(users: Users) -> Auth {
        Auth {
            users: Arc::new(users),
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Checks a login. `Denied` does not say whether the user exists.
    pub async fn identify(&self, login: Login) -> Result<Identity, Refusal> {
        if login.password.as_bytes().len() > PASSWORD {
            return Err(Refusal::Denied);
        }
        let place = self.places.clone().try_acquire_owned().map_err(|_| busy())?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| busy())?;
        let users = self.users.clone();
        let hashing = tokio::task::spawn_blocking(move || {
            let fits = users.fits(&login.user, login.password.as_bytes());
            drop((turn, place));
            fits.then_some(Identity(login.user))
        });
        match hashing.await {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => Err(Refusal::Denied),
            Err(_) => Err(busy()),
        }
    }
}

fn busy() -> Refusal {
    Refusal::Busy { reason: "too many logins at once".into(), retry: Duration::from_secs(2) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
    use std::os::unix::fs::PermissionsExt;

    fn auth() -> Auth {
        over(&crate::users::hash(b"right").unwrap())
    }

    fn over(hash: &str) -> Auth {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        std::fs::write(&path, format!("web = \"{hash}\"\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        Auth::new(Users::read(&path).unwrap())
    }

    fn login(user: &str, password: &str) -> Login {
        Login { user: user.into(), password: password.into(), extensions: Default::default() }
    }

    #[tokio::test]
    async fn right_and_wrong() {
        let auth = auth();
        assert_eq!(auth.identify(login("web", "right")).await.map(|who| who.name().to_owned()), Ok("web".into()));
        assert_eq!(auth.identify(login("web", "wrong")).await, Err(Refusal::Denied));
        assert_eq!(auth.identify(login("nobody", "right")).await, Err(Refusal::Denied));
        assert_eq!(auth.identify(login("web", &"x".repeat(PASSWORD + 1))).await, Err(Refusal::Denied));
    }

    #[tokio::test]
    async fn a_crowd_is_bounded_and_permits_come_back() {
        let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(1024, 1, 1, None).unwrap());
        let auth = over(&cheap.hash_password(b"right").unwrap().to_string());
        let crowd: Vec<_> = (0..200)
            .map(|_| {
                let auth = auth.clone();
                tokio::spawn(async move { auth.identify(login("web", "wrong")).await })
            })
            .collect();
        let mut denied = 0;
        for one in crowd {
            denied += usize::from(one.await.unwrap() == Err(Refusal::Denied));
        }
        assert!((1..=AT_ONCE + WAITING).contains(&denied), "{denied}");
        assert_eq!(auth.places.available_permits(), AT_ONCE + WAITING);
        assert_eq!(auth.turns.available_permits(), AT_ONCE);
    }

    #[tokio::test]
    async fn who_leaves_frees_nothing_before_the_work_is_done() {
        let auth = auth();
        let asked = auth.identify(login("web", "right"));
        assert!(tokio::time::timeout(Duration::ZERO, asked).await.is_err());
        // The permits are out until the blocking job ends, though nobody waits for it any more.
        assert!(auth.turns.available_permits() < AT_ONCE);
        let all = tokio::time::timeout(Duration::from_secs(30), auth.turns.acquire_many(AT_ONCE as u32)).await;
        drop(all.unwrap().unwrap());
    }
}
