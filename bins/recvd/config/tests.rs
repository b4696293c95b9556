use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder with everything that a good configuration needs.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        std::fs::set_permissions(desk.0.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        desk.put("cert.pem", &key.cert.pem(), 0o644);
        desk.put("key.pem", &key.signing_key.serialize_pem(), 0o600);
        let hash = crate::users::hash(b"secret").unwrap();
        desk.put("users.toml", &format!("web = \"{hash}\"\nops = \"{hash}\"\n"), 0o600);
        std::fs::create_dir(desk.path("backup")).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str, mode: u32) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(mode)).unwrap();
    }

    fn load(&self, text: &str) -> Result<(Config, Vec<Complaint>), Complaints> {
        self.put("recvd.toml", text, 0o644);
        load(&self.path("recvd.toml"))
    }

    fn complaints(&self, text: &str) -> Vec<String> {
        let wrong = self.load(text).expect_err("must be refused");
        wrong.0.iter().map(|one| one.to_string().replace(&format!("{}/", self.0.path().display()), "")).collect()
    }
}

const SMALLEST: &str = r#"listen = ["0.0.0.0:8730"]
users_file = "users.toml"
[tls]
certificate = "cert.pem"
private_key = "key.pem"
[module.backup]
path = "backup"
users = { web = "push" }
"#;

fn with(old: &str, new: &str) -> String {
    assert!(SMALLEST.contains(old));
    SMALLEST.replace(old, new)
}

#[test]
fn the_smallest_file_has_all_defaults() {
    let (config, warnings) = Desk::new().load(SMALLEST).unwrap();
    assert_eq!(config.listen, ["0.0.0.0:8730".parse().unwrap()]);
    assert_eq!((config.max_connections, config.max_handshakes), (256, 64));
    assert_eq!((config.handshake_timeout, config.idle_timeout), (HANDSHAKE, IDLE));
    assert_eq!(config.durability, Durability::Batch);
    assert!(warnings.is_empty(), "{warnings:?}");
    let modules: Vec<&Module> = config.modules.iter().map(AsRef::as_ref).collect();
    assert_eq!((modules.len(), modules[0].name.as_str(), modules[0].keep), (1, "backup", Keep::DEFAULT));
    assert_eq!(modules[0].users.get("web"), Some(&Right::Push));
}

#[test]
fn a_module_that_others_can_come_to_is_a_warning_with_what_to_type() {
    let desk = Desk::new();
    std::fs::set_permissions(desk.0.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (_, warnings) = desk.load(SMALLEST).unwrap();
    let texts: Vec<String> = warnings.iter().map(Complaint::to_string).collect();
    let command = format!("chmod 700 {}", std::fs::canonicalize(desk.path("backup")).unwrap().display());
    assert!(matches!(&texts[..], [one] if one.contains("module.backup.path") && one.contains(&command)), "{texts:?}");
}

#[test]
fn every_key_is_taken() {
    let text = r#"
        listen = ["127.0.0.1:8730", "[::1]:8730"]
        max_connections = 3
        max_handshakes = 4
        users_file = "users.toml"
        durability = "none"
        handshake_timeout = "5s"
        idle_timeout = "30s"
        tls = { certificate = "cert.pem", private_key = "key.pem" }
        [module.backup]
        path = "backup"
        comment = "web roots"
        users = { web = "push", ops = "both" }
        max_connections = 2
        keep = ["mode", "mtime", "setid", "specials"]
        max_file_size = "1TiB"
    "#;
    let (config, _) = Desk::new().load(text).unwrap();
    assert_eq!((config.max_connections, config.max_handshakes, config.durability), (3, 4, Durability::None));
    let module = config.modules.iter().next().unwrap();
    assert_eq!((module.max_connections, module.max_file_size), (2, Some(1 << 40)));
    assert!(module.keep.has(Kept::Setid) && !module.keep.has(Kept::Owner));
}

#[test]
fn every_complaint_comes_at_once() {
    let text = r#"
listn = ["0.0.0.0:8730"]
max_handshakes = 0
durability = "always"
users_file = "users.toml"
[tls]
certificate = "key.pem"
private_key = "key.pem"
[module.backup]
path = "nowhere"
users = { wbe = "push", ops = "write" }
keep = ["mode", "dates"]
"#;
    let complaints = Desk::new().complaints(text);
    let has = |part: &str| complaints.iter().any(|one| one.contains(part));
    for part in [
        "recvd.toml:2:1: key `listn`: is unknown; did you mean `listen`?",
        "recvd.toml:3:18: key `max_handshakes`: must be at least 1",
        "key `durability`: must be \"batch\" or \"none\"",
        "key `tls.certificate`",
        "key `module.backup.path`: nowhere does not exist",
        "key `module.backup.users.wbe`: there is no such user in users_file; did you mean `web`?",
        "key `module.backup.users.ops`: must be \"push\", \"pull\" or \"both\"",
        "key `module.backup.keep`",
    ] {
        assert!(has(part), "{part}\nis not in\n{}", complaints.join("\n"));
    }
}

#[test]
fn keys_that_are_not_built_yet_are_unknown() {
    let desk = Desk::new();
    for key in ["metrics = \"127.0.0.1:1\"", "max_connections_per_address = 9"] {
        assert!(desk.complaints(&format!("{key}\n{SMALLEST}"))[0].contains("is unknown"), "{key}");
    }
    for key in ["history = { keep = \"30d\" }", "hosts_allow = []", "exclude = []"] {
        assert!(desk.complaints(&format!("{SMALLEST}{key}\n"))[0].contains("is unknown"), "{key}");
    }
}

#[test]
fn roots_stand_apart_and_are_folders() {
    let desk = Desk::new();
    desk.put("file", "", 0o644);
    std::fs::create_dir(desk.path("backup/within")).unwrap();
    std::os::unix::fs::symlink("backup", desk.path("link")).unwrap();
    let only = |path: &str| desk.complaints(&with("path = \"backup\"", &format!("path = \"{path}\""))).join("\n");
    assert!(only("/").contains("must not be /"));
    assert!(only("/../.").contains("must not be /"));
    assert!(only("file").contains("is not a folder"));
    assert!(only("gone").contains("does not exist"));
    let both = |path: &str| {
        let second = format!("{SMALLEST}[module.second]\npath = \"{path}\"\nusers = {{ web = \"push\" }}\n");
        desk.complaints(&second).join("\n")
    };
    assert!(both("backup").contains("is the folder of module backup, too"));
    assert!(both("link").contains("is the folder of module backup, too"), "by another name");
    assert!(both("backup/within").contains("is within"));
    assert!(both(".").contains("holds"));
}

#[test]
fn keys_and_users_must_be_private() {
    let desk = Desk::new();
    desk.put("key.pem", &std::fs::read_to_string(desk.path("key.pem")).unwrap(), 0o644);
    desk.put("users.toml", &std::fs::read_to_string(desk.path("users.toml")).unwrap(), 0o640);
    let complaints = desk.complaints(SMALLEST);
    assert_eq!(complaints.iter().filter(|one| one.contains("chmod 600")).count(), 2, "{complaints:?}");
    assert_eq!(complaints.len(), 2, "{complaints:?}");
}

#[test]
fn a_key_of_another_certificate_is_named() {
    let desk = Desk::new();
    let other = rcgen::KeyPair::generate().unwrap();
    desk.put("key.pem", &other.serialize_pem(), 0o600);
    let complaints = desk.complaints(SMALLEST);
    assert!(complaints[0].contains("does not belong to the certificate"), "{complaints:?}");
}

#[test]
fn mtime_must_be_kept() {
    let desk = Desk::new();
    let complaints = desk.complaints(&format!("{SMALLEST}keep = [\"mode\"]\n"));
    assert!(complaints[0].contains("must hold \"mtime\""), "{complaints:?}");
}

#[test]
fn missing_parts_are_named() {
    let complaints = Desk::new().complaints("listen = []\n").join("\n");
    for part in ["users_file", "tls", "module", "at least one address"] {
        assert!(complaints.contains(part), "{part}: {complaints}");
    }
}

#[test]
fn memory_is_enough_for_all_sessions() {
    let desk = Desk::new();
    let wrong = desk.complaints(&format!("max_connections = 10\nmemory = \"19MiB\"\n{SMALLEST}"));
    assert_eq!(wrong, ["recvd.toml:2:10: key `memory`: must be at least \"20MiB\": 2 MiB for each of max_connections"]);
    for good in ["max_connections = 10\nmemory = \"20MiB\"", "max_connections = 100000"] {
        assert!(desk.load(&format!("{good}\n{SMALLEST}")).is_ok(), "{good}");
    }
}
