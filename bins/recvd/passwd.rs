//! `recvd passwd`: the only writer of the users file. A change replaces the file in one step and leaves all other lines,
//! comments included, as they are.

use std::fmt::Write;
use std::io::BufRead;
use std::path::Path;

use kit::{Exit, out};
use sys::SecretError;
use zeroize::Zeroizing;

use crate::cli::PasswdArgs;
use crate::users::{self, Users};

/// recvd reads its users when it starts.
const RESTART: &str = "a recvd that runs knows of it when it is started again";

/// Why the file was not changed.
struct Failed(Exit, String);

/// Exit 0; 64 for a name or password that cannot be, 66 for a user or file that is not there, 73 when the file cannot be
/// written, 78 when it is no users file.
pub fn passwd(args: &PasswdArgs) -> Exit {
    let file = &args.users_file;
    let done = match (&args.user, &args.remove) {
        (Some(user), _) => set(file, user),
        (None, Some(user)) => remove(file, user),
        (None, None) => list(file),
    };
    match done {
        Ok(()) => Exit::Ok,
        Err(Failed(exit, sentence)) => {
            out::complain(sentence);
            exit
        }
    }
}

fn set(file: &Path, user: &str) -> Result<(), Failed> {
    users::check_name(user).map_err(|sentence| Failed(Exit::Usage, sentence.into()))?;
    // A file that cannot be used is told of before anything is typed.
    read(file)?;
    let password = ask(user)?;
    let hash = users::hash(&password).map_err(|error| Failed(Exit::Usage, format!("argon2 does not work: {error}")))?;
    let mut is_new = true;
    change(file, |old| {
        let old = old.unwrap_or_default();
        is_new = line_of(&old, user).is_none();
        with_user(&old, user, &hash)
    })?;
    let what = if is_new { "new user" } else { "new password for" };
    out::line(format_args!("{what} {user:?} in {}; {RESTART}", file.display()));
    Ok(())
}

fn remove(file: &Path, user: &str) -> Result<(), Failed> {
    if !sys::paths::exists(file) {
        return Err(missing(file));
    }
    change(file, |old| {
        let old = old.ok_or_else(|| missing(file))?;
        let no_user = || format!("{}: there is no user \"{}\"", file.display(), user.escape_debug());
        let at = line_of(&old, user).ok_or_else(|| Failed(Exit::Input, no_user()))?;
        Ok(replaced(&old, at, None))
    })?;
    out::line(format_args!("user {user:?} is removed from {}; {RESTART}", file.display()));
    Ok(())
}

/// Replaces the file by what `new` makes of it. Whoever else changes it waits, so that no change is lost.
fn change(file: &Path, new: impl FnOnce(Option<String>) -> Result<String, Failed>) -> Result<(), Failed> {
    let unwritten = |error: std::io::Error| Failed(Exit::Output, format!("{}: {error}", file.display()));
    let _turn = sys::paths::take_turn(file).map_err(unwritten)?;
    let text = new(read(file)?)?;
    sys::paths::replace(file, text.as_bytes(), 0o600).map_err(unwritten)
}

fn missing(file: &Path) -> Failed {
    Failed(Exit::Input, format!("{} does not exist", file.display()))
}

fn list(file: &Path) -> Result<(), Failed> {
    if !sys::paths::exists(file) {
        return Err(missing(file));
    }
    let users = Users::read(file).map_err(|wrong| Failed(Exit::Config, wrong.to_string()))?;
    users.names().for_each(out::line);
    Ok(())
}

/// The file as it is, `None` when there is none. A file that is no users file is not touched.
fn read(file: &Path) -> Result<Option<String>, Failed> {
    if !sys::paths::exists(file) {
        return Ok(None);
    }
    let unfit = |error: String| Failed(Exit::Config, error);
    let bytes = match sys::read_secret(file) {
        Err(SecretError::Empty { .. }) => return Ok(Some(String::new())),
        other => other.map_err(|error| unfit(error.to_string()))?,
    };
    Users::read(file).map_err(|wrong| unfit(wrong.to_string()))?;
    String::from_utf8(bytes).map(Some).map_err(|_| unfit(format!("{} is not UTF-8 text", file.display())))
}

/// From the terminal, twice and unseen; or, where stdin is none, its first line.
fn ask(user: &str) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let unchanged = |why: &str| Failed(Exit::Usage, format!("{why}: nothing is changed"));
    let password = if sys::terminal::stdin_is_terminal() {
        let password = typed(&format!("Password for {}: ", user.escape_debug()))?;
        if *typed("The same again: ")? != *password {
            return Err(unchanged("the two are not the same"));
        }
        password
    } else {
        first_line(std::io::stdin().lock())?
    };
    fit(&password).map_err(unchanged)?;
    Ok(password)
}

/// What is wrong with a password: pushd, which reads it from one line of a file, must be able to send it.
fn fit(password: &[u8]) -> Result<(), &'static str> {
    match std::str::from_utf8(password) {
        Ok("") => Err("a password has at least one character"),
        Ok(text) if text.len() > proto::limits::PASSWORD => Err("a password has at most 1024 bytes"),
        Ok(text) if text.contains(['\n', '\r', '\0']) => Err("a password is one line, without NUL"),
        Ok(_) => Ok(()),
        Err(_) if password.len() > proto::limits::PASSWORD => Err("a password has at most 1024 bytes"),
        Err(_) => Err("a password is UTF-8 text"),
    }
}

fn typed(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failed> {
    sys::terminal::read_password(prompt).map(Zeroizing::new).map_err(unreadable)
}

/// One line, without its end. Of a line that is too long no more is read than shows that it is.
fn first_line(from: impl BufRead) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let most = proto::limits::PASSWORD + 3;
    let mut line = Zeroizing::new(Vec::with_capacity(most));
    from.take(most as u64).read_until(b'\n', &mut line).map_err(unreadable)?;
    for end in [b'\n', b'\r'] {
        if line.last() == Some(&end) {
            line.pop();
        }
    }
    Ok(line)
}

fn unreadable(error: std::io::Error) -> Failed {
    Failed(Exit::Input, format!("the password cannot be read: {error}"))
}

/// The file with this user's line new, or added at the end.
fn with_user(old: &str, user: &str, hash: &str) -> Result<String, Failed> {
    let line = format!("{} = \"{hash}\"", key(user));
    let new = match line_of(old, user) {
        Some(at) => replaced(old, at, Some(&line)),
        None if old.is_empty() || old.ends_with('\n') => format!("{old}{line}\n"),
        None => format!("{old}\n{line}\n"),
    };
    // A user whose entry is spread over lines, or a table at the end: then a person must do it.
    match toml::from_str::<toml::Table>(&new) {
        Ok(table) if table.get(user).and_then(toml::Value::as_str) == Some(hash) => Ok(new),
        _ => Err(Failed(Exit::Config, "the users file is not one line for each user: change it by hand".into())),
    }
}

/// The number of the line that sets this user's hash.
fn line_of(text: &str, user: &str) -> Option<usize> {
    text.lines().position(|line| toml::from_str::<toml::Table>(line).is_ok_and(|table| table.contains_key(user)))
}

fn replaced(text: &str, at: usize, line: Option<&str>) -> String {
    let mut new = String::with_capacity(text.len() + 128);
    for (number, old) in text.lines().enumerate() {
        let keep = if number == at { line } else { Some(old) };
        if let Some(keep) = keep {
            new.push_str(keep);
            new.push('\n');
        }
    }
    new
}

/// A user's name as a TOML key.
fn key(user: &str) -> String {
    if !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return user.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in user.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_in(old: &str, user: &str, hash: &str) -> String {
        with_user(old, user, hash).map_err(|Failed(_, sentence)| sentence).unwrap()
    }

    #[test]
    fn all_other_lines_stay() {
        let old = "# ours\nweb = \"one\"   # the web host\n\"a.b\" = 'two'\n";
        assert_eq!(set_in(old, "web", "new"), "# ours\nweb = \"new\"\n\"a.b\" = 'two'\n");
        assert_eq!(set_in(old, "a.b", "new"), "# ours\nweb = \"one\"   # the web host\n\"a.b\" = \"new\"\n");
        assert_eq!(set_in("web = \"x\"", "ops", "y"), "web = \"x\"\nops = \"y\"\n");
        assert_eq!(set_in("", "ops", "y"), "ops = \"y\"\n");
        assert_eq!(replaced(old, 1, None), "# ours\n\"a.b\" = 'two'\n");
    }

    #[test]
    fn odd_names_come_back_as_they_are() {
        for user in ["web", "a b", "a.b", "ключ", "q\"uote\\", "#", "=", "1", "-"] {
            let text = set_in("# nothing\n", user, "hash");
            assert!(line_of(&text, user).is_some(), "{text}");
            assert_eq!(set_in(&text, user, "other").lines().count(), 2, "{text}");
        }
    }

    #[test]
    fn one_line_without_its_end() {
        let line = |text: &[u8]| first_line(text).map(|line| line.to_vec()).map_err(|Failed(_, why)| why).unwrap();
        assert_eq!(line(b"secret\nmore\n"), b"secret");
        assert_eq!(line(b"secret\r\n"), b"secret");
        assert_eq!(line(b" a b "), b" a b ");
        assert_eq!(line(b""), b"");
        assert!(line(&[b'x'; 5000]).len() > proto::limits::PASSWORD);
    }

    #[test]
    fn only_what_pushd_can_send_is_a_password() {
        assert_eq!(fit("pässword \u{1}".as_bytes()), Ok(()));
        assert_eq!(fit(&[b'x'; proto::limits::PASSWORD]), Ok(()));
        for wrong in [&b""[..], b"a\0b", b"a\rb", b"a\nb", b"\xff", &[b'x'; proto::limits::PASSWORD + 1]] {
            assert!(fit(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn of_changes_at_the_same_time_none_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("users.toml");
        let hash = users::hash(b"x").unwrap();
        std::thread::scope(|scope| {
            for user in 0..8 {
                let (file, hash) = (&file, &hash);
                scope.spawn(move || {
                    let changed = change(file, |old| with_user(&old.unwrap_or_default(), &user.to_string(), hash));
                    assert!(changed.is_ok());
                });
            }
        });
        assert_eq!(Users::read(&file).unwrap().names().count(), 8);
        assert!(remove(&file, "3").is_ok());
        assert!(matches!(remove(&file, "3"), Err(Failed(Exit::Input, _))));
    }

    #[test]
    fn a_file_that_is_not_one_line_a_user_is_left_alone() {
        for old in ["web = \"\"\"\nlong\"\"\"\n", "[table]\n"] {
            assert!(with_user(old, "web", "new").is_err(), "{old}");
        }
    }
}
