//! Files that load, with every default; files that do not, with every sentence.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder with a password file, so that a configuration in it can be whole.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.secret("password", "hunter2\n", 0o600);
        place
    }

    fn secret(&self, name: &str, content: &str, mode: u32) {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Loads the text as `pushd.toml` of this folder; the folder's name is cut out of the complaints.
    fn load(&self, text: &str) -> Result<Config, String> {
        let file = self.0.path().join("pushd.toml");
        let doc = Document::parse(&file, text.to_owned());
        let folder = format!("{}/", self.0.path().display());
        Config::from_document(doc).map_err(|complaints| complaints.to_string().replace(&folder, ""))
    }
}

const PIN: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn target(name: &str, more: &str) -> String {
    format!(
        "[target.{name}]\naddress = 'backup:8730'\nmodule = '{name}'\nuser = 'web'\npassword_file = 'password'\n\
         fingerprint = '{PIN}'\n{more}\n"
    )
}

fn source(name: &str, targets: &str, more: &str) -> String {
    format!("[source.{name}]\npath = '/srv/{name}'\ntargets = [{targets}]\n{more}\n")
}

#[test]
fn the_smallest_file_has_every_default() {
    let place = Place::new();
    let config = place.load(&(target("b1", "") + &source("www", "'b1'", ""))).unwrap();
    assert_eq!(config.control_socket, PathBuf::from("/run/pushd/control.sock"));
    assert!(config.warnings.is_empty() && config.unused.is_empty());
    let [www] = &config.sources[..] else { panic!("{config:?}") };
    assert_eq!((www.name.as_str(), www.path.as_path()), ("www", Path::new("/srv/www")));
    assert_eq!((www.delete, www.attributes, www.initial_sync), (Delete::Mirror, Attributes::Mirror, InitialSync::Pass));
    assert!(matches!(www.mounts, sys::Mounts::Stay));
    assert_eq!((www.settle, www.max_delete, www.workers), (Duration::ZERO, Share::Percent(50), 2));
    assert_eq!(www.delete_hold, Duration::from_secs(30));
    assert_eq!(www.busy_files, engine::sender::BusyFiles::Copy);
    let (second, ten) = (Duration::from_secs(1), Duration::from_secs(10));
    assert_eq!(www.open_files, OpenFiles { settle: second, max_delay: ten });
    let b1 = &www.targets[0];
    assert_eq!((b1.address.to_string(), b1.destination.to_string()), ("backup:8730".into(), "b1".into()));
    assert_eq!((b1.connect_timeout, b1.retry.first, b1.retry.max), (ten, second / 2, second * 60));
    assert_eq!(b1.compress, Compress::Auto);
    let dialling = b1.dialling(Purpose::Push, ([1; 16], None)).unwrap();
    assert_eq!(dialling.password.as_bytes(), b"hunter2");
}

#[test]
fn every_key_is_taken() {
    let place = Place::new();
    let text = target("b1", "connect_timeout = '3s'\ncompress = 7\nretry = { first = '1s', max = '5s' }")
        + &target("b2", "")
            .replace("module = 'b2'", "module = 'b1x/in/side/'")
            .replace("backup:8730", "[2001:db8::7]:99")
        + &source(
            "www",
            "'b1', 'b2'",
            "delete = false\none_file_system = false\nattributes = false\nsettle = '5ms'\ninitial_sync = false\n\
             open_files = { settle = '2s', max_delay = '20s' }\nmax_delete = 7\ndelete_hold = '1m'\n\
             busy_files = 'wait'\nworkers = 5",
        );
    let config = place.load(&format!("control_socket = 'c.sock'\n{text}")).unwrap();
    assert_eq!(config.control_socket, place.0.path().join("c.sock"));
    let www = &config.sources[0];
    assert_eq!((www.delete, www.attributes, www.initial_sync), (Delete::Keep, Attributes::Ignore, InitialSync::Skip));
    assert!(matches!(www.mounts, sys::Mounts::Cross));
    assert_eq!((www.max_delete, www.workers, www.open_files.max_delay.as_secs()), (Share::Count(7), 5, 20));
    assert_eq!(www.delete_hold.as_secs(), 60);
    assert_eq!(www.busy_files, engine::sender::BusyFiles::Wait);
    let b2 = &www.targets[1];
    assert_eq!((b2.address.to_string(), b2.destination.to_string()), ("[2001:db8::7]:99".into(), "b1x/in/side".into()));
    assert_eq!(config.targets().count(), 2);
}

/// Each line: a change to a good file, and what is said about it after the position.
#[test]
fn bad_values() {
    let place = Place::new();
    place.secret("open", "hunter2\n", 0o644);
    place.secret("two_lines", "hunter2\nhunter3\n", 0o600);
    place.secret("blank", "\n", 0o600);
    let good = target("b1", "") + &source("www", "'b1'", "");
    for (from, to, want) in [
        ("backup:8730", "backup:0", "key `target.b1.address`: \"0\" is not a port: use a number from 1 to 65535"),
        ("module = 'b1'", "module = '/b1'", "key `target.b1.module`: must begin with the name of a module"),
        (
            "module = 'b1'",
            "module = 'b1/../x'",
            "key `target.b1.module`: the folder inside of the module has a component '.'",
        ),
        (
            "module = 'b1'",
            "module = 'b1/a/.recvd-x'",
            "key `target.b1.module`: the folder inside of the module has a name that begins with `.recvd-`",
        ),
        ("user = 'web'", "user = ''", "key `target.b1.user`: must have 1 to 255 bytes"),
        ("user = 'web'", "", "key `target.b1.user`: is missing, and has no default"),
        (
            "'password'",
            "'open'",
            "key `target.b1.password_file`: open has mode 0644: others can read or change it; run 'chmod 600",
        ),
        ("'password'", "'none'", "key `target.b1.password_file`: cannot read none: No such file"),
        ("'password'", "'two_lines'", "key `target.b1.password_file`: two_lines must hold one line, the password"),
        ("'password'", "'blank'", "key `target.b1.password_file`: blank is empty"),
        ("sha256:ba", "sha256:", "key `target.b1.fingerprint`: a fingerprint is \"sha256:\" and 64 hexadecimal digits"),
        ("user = 'web'", "user = 'web'\nca_file = 'none.pem'", "key `target.b1.ca_file`: none.pem: "),
        (
            "user = 'web'",
            "user = 'web'\npassword = 'hunter2'",
            "key `target.b1.password`: is unknown; did you mean `password_file`?",
        ),
        (
            "user = 'web'",
            "user = 'web'\nbandwidth = '1MiB/s'",
            "key `target.b1.bandwidth`: is unknown; known here are `address`",
        ),
        (
            "user = 'web'",
            "user = 'web'\nretry = { first = '2m', max = '1m' }",
            "key `target.b1.retry.max`: must not be shorter",
        ),
        (
            "user = 'web'",
            "user = 'web'\nretry = { first = '0s' }",
            "key `target.b1.retry.first`: must be at least 10ms",
        ),
        (
            "user = 'web'",
            "user = 'web'\nconnect_timeout = '0s'",
            "key `target.b1.connect_timeout`: must be longer than nothing",
        ),
        (
            "user = 'web'",
            "user = 'web'\ncompress = 20",
            "key `target.b1.compress`: must be \"auto\", \"off\" or a level",
        ),
        (
            "user = 'web'",
            "user = 'web'\ncompress = 'zstd'",
            "key `target.b1.compress`: must be \"auto\", \"off\" or a level",
        ),
        ("['b1']", "[]", "key `source.www.targets`: must name at least one target"),
        ("['b1']", "'b1'", "key `source.www.targets`: must be a list in brackets, but is text"),
        ("['b1']", "['b2']", "key `source.www.targets`: there is no target `b2`; did you mean `b1`?"),
        ("['b1']", "['b1', 'b1']", "key `source.www.targets`: `b1` stands here twice"),
        ("path = '/srv/www'", "path = '/srv/www'\nworkers = 0", "key `source.www.workers`: must be 1 to 64"),
        (
            "path = '/srv/www'",
            "path = '/srv/www'\nmax_delete = '150%'",
            "key `source.www.max_delete`: `150%` is neither",
        ),
        (
            "path = '/srv/www'",
            "path = '/srv/www'\nexclude = ['*.swp']",
            "key `source.www.exclude`: is unknown; known here are",
        ),
        (
            "path = '/srv/www'",
            "path = '/srv/www'\nopen_files = { settle = '2s', max_delay = '1s' }",
            "key `source.www.open_files.max_delay`: must not be shorter than `settle`",
        ),
        ("[source.www]", "[source.'a b']", "key `source.a b`: a name has 1 to 64 letters, digits"),
    ] {
        assert!(good.contains(from), "{from}");
        let got = place.load(&good.replacen(from, to, 1)).expect_err(to);
        assert!(got.lines().any(|line| line.contains(want)), "{to}\n got {got}\nwant {want}");
        assert!(!got.contains("hunter2"), "{got}");
    }
}

#[test]
fn one_file_many_complaints() {
    let place = Place::new();
    let got = place.load("[traget.b1]\nuser = 'x'\n[source.www]\npth = 'x'\ntargets = ['b1']\n").unwrap_err();
    let want = "pushd.toml:1:1: key `target`: there is no target: write a section [target.NAME] with address, module, user \
                and password_file\n\
                pushd.toml:1:2: key `traget`: is unknown; did you mean `target`?\n\
                pushd.toml:3:1: key `source.www.path`: is missing, and has no default\n\
                pushd.toml:4:1: key `source.www.pth`: is unknown; did you mean `path`?\n\
                pushd.toml:5:12: key `source.www.targets`: there is no target `b1`; write a section [target.…] for it";
    assert_eq!(got, want);
}

#[test]
fn two_sources_never_share_a_target_nor_a_root() {
    let place = Place::new();
    let shared = place.load(&(target("b1", "") + &source("a", "'b1'", "") + &source("b", "'b1'", ""))).unwrap_err();
    assert!(shared.contains("`b1` is already a target of the source `a`: two sources would delete each other's files"));

    let targets = target("b1", "") + &target("b2", "");
    for (second, how) in [("/srv/a", "is the same folder as"), ("/srv/a/in", "stands inside of"), ("/srv", "contains")]
    {
        let sources = source("a", "'b1'", "") + &source("b", "'b2'", "").replace("/srv/b", second);
        let got = place.load(&(targets.clone() + &sources)).unwrap_err();
        assert!(got.contains(&format!("key `source.b.path`: `b` {how} the source `a`")), "{got}");
    }
    // A name that only begins alike is another folder.
    let sources = source("a", "'b1'", "") + &source("ab", "'b2'", "");
    assert!(place.load(&(targets + &sources)).is_ok());
}

#[test]
fn roots_that_meet_behind_a_link_are_found() {
    let place = Place::new();
    let real = place.0.path().join("real/in");
    std::fs::create_dir_all(&real).unwrap();
    std::os::unix::fs::symlink(&real, place.0.path().join("link")).unwrap();
    let sources =
        source("a", "'b1'", "").replace("/srv/a", "real") + &source("b", "'b2'", "").replace("/srv/b", "link");
    let got = place.load(&(target("b1", "") + &target("b2", "") + &sources)).unwrap_err();
    assert!(got.contains("`b` stands inside of the source `a`"), "{got}");
}

#[test]
fn two_targets_never_meet() {
    let place = Place::new();
    let second = |module: &str| target("b2", "").replace("module = 'b2'", &format!("module = '{module}'"));
    let sources = source("a", "'b1'", "") + &source("b", "'b2'", "");
    for (module, fits) in [("b1", false), ("b1/in", false), ("b1x", true)] {
        let loaded = place.load(&(target("b1", "") + &second(module) + &sources));
        assert_eq!(loaded.is_ok(), fits, "{module}");
        assert!(fits || loaded.unwrap_err().contains("key `target.b2.module`: meets the target `b1`"));
    }
    let elsewhere = second("b1").replace("backup:", "backup2:");
    assert!(place.load(&(target("b1", "") + &elsewhere + &sources)).is_ok());
}

#[test]
fn a_target_without_a_source_is_a_warning() {
    let place = Place::new();
    let config = place.load(&(target("b1", "") + &target("b1x", "") + &source("www", "'b1'", ""))).unwrap();
    assert_eq!(config.unused.len(), 1);
    assert_eq!(config.warnings.len(), 1);
    assert!(
        config.warnings[0]
            .to_string()
            .ends_with("key `target.b1x`: no source names this target: nothing is sent there")
    );
}

#[test]
fn the_socket_is_found_in_a_file_with_mistakes() {
    let place = Place::new();
    let file = place.0.path().join("pushd.toml");
    std::fs::write(&file, "control_socket = 'c.sock'\nmistake = [1\n").unwrap();
    assert_eq!(DEFAULTS.socket(&file), Ok(place.0.path().join("c.sock")));
    std::fs::write(&file, "control_socket = 5\n").unwrap();
    assert!(DEFAULTS.socket(&file).is_err());
    assert!(DEFAULTS.socket(&place.0.path().join("none.toml")).is_err());
}
