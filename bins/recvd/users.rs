//! The users file: names and argon2id hashes. Read at start and by `check`; [`passwd`](crate::passwd) writes it. Says
//! whether a password fits, at the same cost for names that it does not know.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use kit::config::{Complaint, Complaints, Document, FromValue, Value, Wrong};

/// Costs that a stored hash may ask for; one with more would make each login an attack on this host.
const MOST_MEMORY: u32 = 128 * 1024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 4;

/// What the users file holds, checked as a whole.
#[derive(Debug)]
pub struct Users {
    hashes: BTreeMap<String, Stored>,
    /// Checked in place of a user that is not there.
    decoy: Stored,
    proven: Proven,
}

/// What has fitted, so that a host that comes back, as all do after a break, need not wait for argon2 again: a hash of
/// each user's last right password under a key that only this process has ever had. A wrong password takes its time.
struct Proven {
    key: Option<[u8; 32]>,
    hashes: Mutex<BTreeMap<String, blake3::Hash>>,
}

impl Proven {
    fn new() -> Proven {
        // Without randomness no key, and nothing is remembered.
        Proven { key: sys::process::random().ok(), hashes: Mutex::default() }
    }

    fn hash(&self, password: &[u8]) -> Option<blake3::Hash> {
        self.key.as_ref().map(|key| blake3::keyed_hash(key, password))
    }

    fn hashes(&self) -> MutexGuard<'_, BTreeMap<String, blake3::Hash>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compared in constant time, by the type of the hash.
    fn has(&self, name: &str, password: &[u8]) -> bool {
        self.hash(password).is_some_and(|hash| self.hashes().get(name).is_some_and(|proven| *proven == hash))
    }

    fn add(&self, name: &str, password: &[u8]) {
        if let Some(hash) = self.hash(password) {
            self.hashes().insert(name.to_owned(), hash);
        }
    }
}

/// It is a secret.
impl std::fmt::Debug for Proven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("proven")
    }
}

/// A hash whose costs are bounded. No `Display`: it is a secret.
#[derive(Clone)]
struct Stored(PasswordHash);

impl Users {
    /// Reads the file, which must be private (mode 0600).
    pub fn read(path: &Path) -> Result<Users, Complaints> {
        let whole = |sentence: String| Complaints(vec![Complaint { file: path.into(), at: None, key: None, sentence }]);
        let bytes = sys::read_secret(path).map_err(|error| whole(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| whole("is not UTF-8 text".into()))?;
        Users::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> Result<Users, Complaints> {
        let document = Document::parse(path, text);
        let root = document.root();
        let hashes: BTreeMap<String, Stored> = root.entries().into_iter().collect();
        for name in hashes.keys() {
            if let Err(sentence) = check_name(name) {
                root.complain(name, sentence);
            }
        }
        document.finish()?;
        let decoy = Users::decoy(&hashes).map_err(|error| {
            let sentence = format!("argon2 does not work here: {error}");
            Complaints(vec![Complaint { file: path.into(), at: None, key: None, sentence }])
        })?;
        Ok(Users { hashes, decoy, proven: Proven::new() })
    }

    /// A hash of the costs that most users have. LIMIT: where users have different costs, time tells unknown names
    /// from those with the rarer costs.
    fn decoy(hashes: &BTreeMap<String, Stored>) -> Result<Stored, Error> {
        let usual =
            hashes.values().max_by_key(|one| hashes.values().filter(|other| other.costs() == one.costs()).count());
        match usual {
            Some(stored) => Ok(stored.clone()),
            None => Argon2::default().hash_password(b"nobody").map(Stored),
        }
    }

    /// Whether there is such a user.
    pub fn knows(&self, name: &str) -> bool {
        self.hashes.contains_key(name)
    }

    /// The names, in order of their bytes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hashes.keys().map(String::as_str)
    }

    /// Whether this is the user's password. Takes tens of milliseconds and megabytes, for unknown names too, but not for
    /// the password that has fitted last.
    pub fn fits(&self, name: &str, password: &[u8]) -> bool {
        if self.proven.has(name, password) {
            return true;
        }
        let stored = self.hashes.get(name);
        let fits = Argon2::default().verify_password(password, &stored.unwrap_or(&self.decoy).0).is_ok();
        let fits = fits && stored.is_some();
        if fits {
            self.proven.add(name, password);
        }
        fits
    }
}

/// What is wrong with a user's name.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("a user needs a name"),
        _ if name.len() > proto::limits::USER => Err("a user's name has at most 255 bytes"),
        _ if name.chars().any(char::is_control) => Err("a user's name has no control characters"),
        _ => Ok(()),
    }
}

/// A new hash, as it stands in the file.
pub fn hash(password: &[u8]) -> Result<String, Error> {
    Argon2::default().hash_password(password).map(|hash| hash.to_string())
}

impl Stored {
    fn costs(&self) -> String {
        self.0.params.to_string()
    }

    fn parse(text: &str) -> Result<Stored, String> {
        let hash = PasswordHash::new(text).map_err(|_| "is not an argon2id hash: make one with 'recvd passwd'")?;
        if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
            return Err("is not a whole argon2id hash: make one with 'recvd passwd'".into());
        }
        let params = Params::try_from(&hash).map_err(|_| "has costs that argon2 does not allow")?;
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        if memory > MOST_MEMORY || passes > MOST_PASSES || lanes > MOST_LANES {
            return Err(format!(
                "costs too much (m={memory}, t={passes}, p={lanes}; at most m={MOST_MEMORY}, t={MOST_PASSES}, \
                 p={MOST_LANES}): make one with 'recvd passwd'"
            ));
        }
        Ok(Stored(hash))
    }
}

impl FromValue for Stored {
    fn from_value(value: Value<'_>) -> Result<Stored, Wrong> {
        Stored::parse(value.text()?).map_err(Wrong::from)
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("argon2id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: String) -> Result<Users, Complaints> {
        Users::parse(Path::new("users.toml"), text)
    }

    #[test]
    fn passwords_fit_their_users_only() {
        let users = parse(format!("web = \"{}\"\nops = \"{}\"\n", hash(b"a").unwrap(), hash(b"b").unwrap())).unwrap();
        assert!(users.fits("web", b"a") && users.fits("ops", b"b"));
        assert!(!users.fits("web", b"b") && !users.fits("ops", b"a") && !users.fits("nobody", b"a"));
        assert_eq!(users.names().collect::<Vec<_>>(), ["ops", "web"]);
    }

    #[test]
    fn what_has_fitted_fits_again_and_nothing_else_does() {
        let users = parse(format!("web = \"{}\"\nops = \"{}\"\n", hash(b"a").unwrap(), hash(b"b").unwrap())).unwrap();
        assert!(!users.proven.has("web", b"a"));
        assert!(!users.fits("web", b"b") && !users.proven.has("web", b"b"));
        for _ in 0..2 {
            assert!(users.fits("web", b"a") && users.proven.has("web", b"a"));
            assert!(!users.fits("ops", b"a") && !users.fits("web", b"") && !users.fits("", b"a"));
        }
        assert!(!format!("{users:?}").contains("Hash("));
    }

    #[test]
    fn an_unknown_user_costs_the_same_and_never_fits() {
        let users = parse("# nobody yet\n".into()).unwrap();
        assert!(!users.fits("web", b"nobody"));
    }

    #[test]
    fn every_bad_line_is_named_and_no_hash_is_shown() {
        let salt = "$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let lines = [
            "plain = \"secret\"".to_owned(),
            format!("d = \"$argon2d$v=19$m=19456,t=2,p=1{salt}\""),
            format!("memory = \"$argon2id$v=19$m=262144,t=2,p=1{salt}\""),
            format!("passes = \"$argon2id$v=19$m=19456,t=11,p=1{salt}\""),
            format!("lanes = \"$argon2id$v=19$m=19456,t=2,p=5{salt}\""),
            "number = 7".to_owned(),
            format!("\"a\\nb\" = \"$argon2id$v=19$m=19456,t=2,p=1{salt}\""),
            format!("good = \"$argon2id$v=19$m=19456,t=2,p=1{salt}\""),
        ];
        let complaints = parse(lines.join("\n")).unwrap_err();
        let text = complaints.to_string();
        assert_eq!(complaints.0.len(), 7, "{text}");
        assert!(!text.contains("secret") && !text.contains("c2FsdHNhbHQ"), "{text}");
    }
}
