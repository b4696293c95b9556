//! Telling the service manager how the service does (the sd_notify protocol of systemd, `Type=notify`). Without
//! `NOTIFY_SOCKET` nothing happens, and a message that does not arrive is never an error of ours.
//!
//! By hand, as the crate sd-notify neither knows sockets with abstract names nor can be kept from waiting for a manager that
//! does not read.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::sync::Notify;

/// Time between two changes of the status: what happens meanwhile is told together.
const PAUSE: Duration = Duration::from_secs(3);

static CHANGED: Notify = Notify::const_new();

/// The service is up: watches stand, or the listener is bound.
pub fn ready(status: &str) {
    send(&format!("READY=1\nSTATUS={}", one_line(status)));
}

/// The service has begun to stop.
pub fn stopping() {
    send("STOPPING=1\nSTATUS=stopping");
}

/// Says that the status which [`keep_status`] shows may have changed. Cheap; anybody may say so at any time.
pub fn changed() {
    CHANGED.notify_one();
}

/// When the status is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// When somebody says that it has [`changed`].
    OnChange,
    /// By itself: it counts something that is under way.
    Soon,
}

/// Keeps the status true that the service manager shows, from now on: `look` says what it is. A daemon at rest is not woken
/// for it, nor one without a service manager.
pub async fn keep_status(mut look: impl FnMut() -> (String, Again)) -> Infallible {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return std::future::pending().await;
    }
    let mut shown = String::new();
    loop {
        let (text, again) = look();
        if text != shown {
            send(&format!("STATUS={}", one_line(&text)));
            shown = text;
        }
        if again == Again::OnChange {
            CHANGED.notified().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn send(message: &str) {
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET") {
        let sent = send_to(&path, message);
        if let Err(error) = sent {
            tracing::debug!("cannot notify the service manager: {error}");
        }
    }
}

fn send_to(path: &OsStr, message: &str) -> std::io::Result<()> {
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold the service up.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &address).map(|_| ())
}

/// Each line of the message is an assignment of its own, so a status must not hold a line end.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn by_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send_to(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(received(&socket), "READY=1");
    }

    #[test]
    fn by_abstract_name() {
        let name = format!("kit-notify-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send_to(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();
        assert_eq!(received(&socket), "STOPPING=1");
    }

    #[test]
    fn a_status_cannot_forge_a_second_assignment() {
        assert_eq!(one_line("in sync\nREADY=1"), "in sync READY=1");
    }
}
