//! Either end of a session of a later release: it greets and answers as nobody here does yet, message by message. The TLS is
//! openssl's.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;

use bytes::{Bytes, BytesMut};
use proto::codec::{self, Wire};
use proto::extensions::{Extension, Extensions};
use proto::{Version, limits};

use super::pair::Recvd;
use super::patience;

/// One connection, and the process that has the other end of it. Killed when dropped.
pub struct Later {
    openssl: Child,
    says: ChildStdin,
    hears: mpsc::Receiver<Bytes>,
    heard: BytesMut,
}

impl Later {
    /// A client; `None` without openssl.
    pub fn client(recvd: &Recvd) -> Option<Later> {
        let address = recvd.address().to_string();
        Later::openssl(Command::new("openssl").args(["s_client", "-quiet", "-alpn", "pushd/1", "-connect", &address]))
    }

    /// A server for one client, in the place of this one, which does not run.
    pub fn server(recvd: &Recvd) -> Option<Later> {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-alpn", "pushd/1", "-num_tickets", "0", "-naccept", "1"]);
        command.args(["-accept", &recvd.address().to_string(), "-cert"]).arg(recvd.dir.join("cert.pem"));
        Later::openssl(command.arg("-key").arg(recvd.dir.join("key.pem")))
    }

    fn openssl(command: &mut Command) -> Option<Later> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut openssl) = spawned else {
            eprintln!("LEFT OUT: no openssl");
            return None;
        };
        let (says, mut stdout) = (openssl.stdin.take().unwrap(), openssl.stdout.take().unwrap());
        let (heard, hears) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = stdout.read(&mut buffer)
                && heard.send(Bytes::copy_from_slice(&buffer[..read])).is_ok()
            {}
        });
        Some(Later { openssl, says, hears, heard: BytesMut::new() })
    }

    /// Says this. Where the other end is gone, the next that should be heard tells.
    pub fn say(&mut self, message: &impl Wire) {
        let mut frame = BytesMut::new();
        codec::put(message, &mut frame);
        let _ = self.says.write_all(&frame).and_then(|()| self.says.flush());
    }

    /// The next message, without its length; `None` when the connection is closed.
    pub fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = codec::split(&mut self.heard, limits::FRAME).unwrap() {
                return Some(frame);
            }
            match self.hears.recv_timeout(patience()) {
                Ok(bytes) => self.heard.extend_from_slice(&bytes),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing is said"),
            }
        }
    }

    /// The next message, which is of this kind.
    pub fn hear<M: Wire>(&mut self) -> M {
        self.next().expect("an answer")
    }

    /// The same; `None` when the connection is closed.
    pub fn next<M: Wire>(&mut self) -> Option<M> {
        let frame = self.frame()?;
        Some(M::decode(frame.clone(), Version::HIGHEST).unwrap_or_else(|error| panic!("{error}: {frame:?}")))
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        let _ = self.openssl.kill();
        let _ = self.openssl.wait();
    }
}

/// Extensions that nobody knows yet: with nothing in it, with a little, with much.
pub fn optional() -> Extensions {
    let of = |number, length| Extension { number, required: false, value: vec![0xa5; length].into() };
    Extensions::new(vec![of(1, 0), of(77, 3), of(0x7fff, 2000)]).unwrap()
}

/// The same and one that must be known.
pub fn required() -> Extensions {
    let of = |number, required| Extension { number, required, value: Bytes::from_static(b"new") };
    Extensions::new(vec![of(1, false), of(77, true)]).unwrap()
}
