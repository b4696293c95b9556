//! Every way a file can be wrong, with the sentence that it gets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

/// A small program's view of its file, with one key of every type.
fn read(text: &str) -> Result<Vec<Complaint>, String> {
    let doc = Document::parse(Path::new("dir/x.toml"), text.to_owned());
    let root = doc.root();
    root.or::<SocketAddr>("listen", "[::]:8730".parse().unwrap());
    root.take::<Duration>("idle");
    root.take::<ByteSize>("size");
    root.take::<Share>("max_delete");
    root.take::<u64>("pin");
    if let Some(tls) = root.table("tls") {
        tls.require::<PathBuf>("certificate");
    }
    for (_, module) in root.tables("module") {
        module.require::<PathBuf>("path");
        module.take::<Vec<u64>>("ports");
        module.or("delete", true);
        module.take::<Vec<String>>("hosts");
        if let Some(users) = module.table("users") {
            users.entries::<String>();
        }
    }
    doc.finish().map_err(|complaints| complaints.to_string())
}

fn typed<T: FromValue>(value: &str) -> Result<T, String> {
    let doc = Document::parse(Path::new("/etc/x/x.toml"), format!("key = {value}\n"));
    let taken = doc.root().take("key");
    doc.finish_with(taken).map(|(value, _)| value).map_err(|complaints| {
        let complaint = &complaints.0[0];
        assert_eq!(complaint.key.as_deref(), Some("key"), "{complaint}");
        complaint.sentence.clone()
    })
}

#[test]
fn good_files() {
    for text in [
        "listen = '[::]:1'\n",
        "# only a comment\n",
        "\r\nidle = \"10s\"\r\n[tls]\r\ncertificate = \"c\"\r\n",
        "\t[module.a]\n\tpath = '/a'\n\tusers = { web = 'push', \"odd name\" = 'both' }\n",
        "module.a.path = 'x'\nmodule.a.hosts = ['one']\n",
        "[module.a]\npath = 'x'\nhosts = ['one', 'two']\nports = [1, 2]\ndelete = false\n",
    ] {
        assert_eq!(read(text), Ok(vec![]), "{text}");
    }
}

#[test]
fn bad_files() {
    for (text, want) in [
        ("", "dir/x.toml:1:1: the file is empty"),
        (" \n\t\n", "dir/x.toml:1:1: the file is empty"),
        ("\u{feff}idle = '1s'\n", "dir/x.toml:1:1: begins with a byte order mark: save the file as UTF-8 without BOM"),
        ("idle = '1s'\n\0\n", "dir/x.toml:2:1: holds a NUL character: this is not a text file"),
        ("ilde = '1s'\n", "dir/x.toml:1:1: key `ilde`: is unknown; did you mean `idle`?"),
        ("[modul.a]\npath = 'x'\n", "dir/x.toml:1:2: key `modul`: is unknown; did you mean `module`?"),
        (
            "[module.a]\npath = 'x'\ncompression = 1\n",
            "dir/x.toml:3:1: key `module.a.compression`: is unknown; known here are `path`, `ports`, `delete`, `hosts`, \
             `users`",
        ),
        ("[tls]\n", "dir/x.toml:1:1: key `tls.certificate`: is missing, and has no default"),
        ("\n[module.a]\n", "dir/x.toml:2:1: key `module.a.path`: is missing, and has no default"),
        (
            "idle = 10\n",
            "dir/x.toml:1:8: key `idle`: needs a unit, in quotes: \"250ms\", \"10s\", \"5m\", \"10h\" or \"30d\"",
        ),
        ("tls = 'x'\n", "dir/x.toml:1:7: key `tls`: must be a table, but is text"),
        ("module = 1\n", "dir/x.toml:1:10: key `module`: must be a table, but is a number"),
        ("[module]\na = 1\n", "dir/x.toml:2:5: key `module.a`: must be a table, but is a number"),
        ("[module.a]\npath = 1\n", "dir/x.toml:2:8: key `module.a.path`: must be text in quotes, but is a number"),
        ("[module.a]\npath = ''\n", "dir/x.toml:2:8: key `module.a.path`: must not be empty: name a path"),
        (
            "[module.a]\npath = 'x'\nusers = { web = true }\n",
            "dir/x.toml:3:17: key `module.a.users.web`: must be text in quotes, but is true or false",
        ),
        (
            "[module.a]\npath = 'x'\nports = [1, -7, 'x']\n",
            "dir/x.toml:3:13: key `module.a.ports`: must be a whole number, 0 or more\n\
             dir/x.toml:3:17: key `module.a.ports`: must be a whole number, but is text",
        ),
        ("idle = '1s'\nidle = '2s'\n", "dir/x.toml:2:1: this key or table stands here a second time: keep one"),
        (
            "[module.a]\npath = 'x'\n[module.a]\npath = 'y'\n",
            "dir/x.toml:3:9: this key or table stands here a second time: keep one\n\
             dir/x.toml:4:1: this key or table stands here a second time: keep one",
        ),
        // A key in a foreign script and one that would forge a line.
        ("ключ = 1 \nидле = 2\n", "dir/x.toml:1:1: "),
        ("\"a\\nb\" = 1\n", "dir/x.toml:1:1: key `a\\u{a}b`: is unknown; known here are `listen`, "),
    ] {
        let got = read(text).expect_err(text);
        assert!(got == want || (want.ends_with(' ') && got.starts_with(want)), "{text:?}\n got {got}\nwant {want}");
    }
}

#[test]
fn all_at_once_in_the_order_of_the_file() {
    let text = "lisen = 'x'\nidle = 'soon'\n[module.b]\npth = 'x'\n[module.a]\npath = 'x'\ndelete = 'yes'\n";
    assert_eq!(
        read(text).unwrap_err(),
        "dir/x.toml:1:1: key `lisen`: is unknown; did you mean `listen`?\n\
         dir/x.toml:2:8: key `idle`: `soon` is not a duration: write \"250ms\", \"10s\", \"5m\", \"10h\" or \"30d\"\n\
         dir/x.toml:3:1: key `module.b.path`: is missing, and has no default\n\
         dir/x.toml:4:1: key `module.b.pth`: is unknown; did you mean `path`?\n\
         dir/x.toml:7:10: key `module.a.delete`: must be true or false, without quotes, but is text"
    );
}

#[test]
fn a_broken_line_does_not_hide_the_others_nor_cause_false_ones() {
    let got = read("idle = \n[module.a]\npath = /srv/x\n[tls\ndelte = 1\n").unwrap_err();
    let lines: Vec<&str> = got.lines().collect();
    assert!(lines[0].starts_with("dir/x.toml:1:"), "{got}");
    assert!(lines.iter().any(|line| line.starts_with("dir/x.toml:3:")), "{got}");
    assert!(!got.contains("is missing"), "{got}");
}

#[test]
fn secrets_are_never_shown() {
    for text in
        ["pin = 'hunter2'\n", "password = 'hunter2'\n", "password = 'hunter2\n", "password = hunter2\n", "hunter2\n"]
    {
        let got = read(text).unwrap_err();
        // What stands where a key should be is shown as a key; nothing to the right of an equals sign ever is.
        assert!(!got.contains("hunter2") || text == "hunter2\n", "{got}");
    }
}

#[test]
fn unreadable_files() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let got = Document::read(&missing).unwrap_err().to_string();
    assert!(got.starts_with(&format!("{}: cannot be read: ", missing.display())), "{got}");
    assert!(Document::read(folder.path()).is_err());
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, b"a = '\xff\xfe'\n").unwrap();
    assert!(Document::read(&binary).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn sizes() {
    for (value, want) in [
        ("1024", 1024),
        ("'64KiB'", 65_536),
        ("'20MiB'", 20 << 20),
        ("'1TiB'", 1 << 40),
        ("'5 GiB'", 5 << 30),
        ("'0B'", 0),
    ] {
        assert_eq!(typed::<ByteSize>(value), Ok(ByteSize(want)), "{value}");
    }
    for value in ["'64KB'", "'64k'", "'KiB'", "''", "'-1KiB'", "'1.5MiB'", "'99999999999PiB'", "'１KiB'", "true", "-1"]
    {
        assert!(typed::<ByteSize>(value).is_err(), "{value}");
    }
}

#[test]
fn durations() {
    for (value, want) in [
        ("'0ms'", 0),
        ("'250ms'", 250),
        ("'10s'", 10_000),
        ("'5m'", 300_000),
        ("'10h'", 36_000_000),
        ("'30d'", 2_592_000_000),
    ] {
        assert_eq!(typed(value), Ok(Duration::from_millis(want)), "{value}");
    }
    for value in ["10", "'10'", "'s'", "'5 parsecs'", "'-1s'", "'1.5s'", "'99999999999999999999d'", "'36526d'", "''"] {
        assert!(typed::<Duration>(value).is_err(), "{value}");
    }
}

#[test]
fn shares() {
    assert_eq!(typed("'50%'"), Ok(Share::Percent(50)));
    assert_eq!(typed("'100%'"), Ok(Share::Percent(100)));
    assert_eq!(typed("500"), Ok(Share::Count(500)));
    for value in ["'101%'", "'%'", "'50'", "-5", "'5.5%'", "0.5"] {
        assert!(typed::<Share>(value).is_err(), "{value}");
    }
}

#[test]
fn paths_begin_at_the_file() {
    for (value, want) in
        [("'a/b'", "/etc/x/a/b"), ("'/srv/www/'", "/srv/www"), ("'./a'", "/etc/x/a"), ("'../a'", "/etc/x/../a")]
    {
        assert_eq!(typed(value), Ok(PathBuf::from(want)), "{value}");
    }
    assert!(typed::<PathBuf>("\"a\\u0000b\"").is_err());
}

#[test]
fn addresses() {
    for (value, want) in [
        ("'[::]:8730'", "[::]:8730"),
        ("'127.0.0.1:1'", "127.0.0.1:1"),
        ("'0.0.0.0'", "0.0.0.0:8730"),
        ("'::1'", "[::1]:8730"),
        ("'[::1]'", "[::1]:8730"),
    ] {
        assert_eq!(typed::<SocketAddr>(value), Ok(want.parse().unwrap()), "{value}");
    }
    for value in ["'localhost:1'", "'1.2.3.4:99999'", "'[::1'", "''", "8730"] {
        assert!(typed::<SocketAddr>(value).is_err(), "{value}");
    }
}

#[test]
fn numbers_out_of_range() {
    for value in
        ["-1", "18446744073709551616", "0x1_0000_0000_0000_0000", "1.0", "inf", "1979-05-27", "[1]", "{ a = 1 }"]
    {
        assert!(typed::<u64>(value).is_err(), "{value}");
    }
    assert_eq!(typed("50_000_000"), Ok(50_000_000_u64));
    assert_eq!(typed("0xff"), Ok(255_u64));
}

#[test]
fn warnings_do_not_refuse() {
    let doc = Document::parse(Path::new("x.toml"), "a = 1\n".to_owned());
    let root = doc.root();
    root.take::<u64>("a");
    root.warn("a", "is odd");
    let warnings = doc.finish().unwrap();
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), ["x.toml:1:5: key `a`: is odd"]);
}

#[test]
fn deep_nesting_is_refused_not_fatal() {
    let deep = format!("a = {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&deep).is_err());
    let dotted = format!("{}b = 1\n", "a.".repeat(100_000));
    let _ = read(&dotted);
}
