//! A TCP proxy between the two programs that breaks what a network breaks: it cuts after a chosen byte, stops moving
//! anything, delays, or hands bytes on one by one.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The proxy; the threads end when it is dropped.
pub struct Proxy {
    port: u16,
    faults: Arc<Faults>,
}

struct Faults {
    upstream: SocketAddr,
    /// Bytes until the link is cut; `i64::MAX` for never.
    budget: AtomicI64,
    black_hole: AtomicBool,
    /// Connections up to this number are dead, and nobody is told.
    stranded: AtomicU64,
    refuse: AtomicBool,
    one_by_one: AtomicBool,
    delay_ms: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    cuts: AtomicU64,
    ended: AtomicBool,
    live: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free port of the loopback and dials `upstream` for each connection.
    pub fn to(upstream: SocketAddr) -> Proxy {
        let port = super::scratch::free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let faults = Arc::new(Faults {
            upstream,
            budget: AtomicI64::new(i64::MAX),
            black_hole: AtomicBool::new(false),
            stranded: AtomicU64::new(0),
            refuse: AtomicBool::new(false),
            one_by_one: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            live: Mutex::new(Vec::new()),
        });
        let shared = faults.clone();
        thread::spawn(move || shared.accept(listener));
        Proxy { port, faults }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every connection after `bytes` more bytes, of both ways together; once.
    pub fn cut_after(&self, bytes: u64) {
        self.faults.budget.store(bytes as i64, SeqCst);
    }

    /// Cuts every connection at once.
    pub fn cut(&self) {
        self.faults.cut();
    }

    /// While set, nothing moves and new connections hang.
    pub fn black_hole(&self, on: Switch) {
        self.faults.black_hole.store(on == Switch::On, SeqCst);
    }

    /// All connections of now are dead for good, as after a power cut of one side: the other is not told. New ones work.
    pub fn strand(&self) {
        self.faults.stranded.store(self.connections(), SeqCst);
        self.black_hole(Switch::Off);
    }

    /// While set, new connections are closed at once.
    pub fn refuse(&self, on: Switch) {
        self.faults.refuse.store(on == Switch::On, SeqCst);
    }

    /// While set, bytes leave one by one.
    pub fn one_by_one(&self, on: Switch) {
        self.faults.one_by_one.store(on == Switch::On, SeqCst);
    }

    /// Time that every piece waits before it leaves.
    pub fn delay(&self, delay: Duration) {
        self.faults.delay_ms.store(delay.as_millis() as u64, SeqCst);
    }

    /// Ends all faults; connections that live go on.
    pub fn heal(&self) {
        self.faults.budget.store(i64::MAX, SeqCst);
        self.black_hole(Switch::Off);
        self.refuse(Switch::Off);
        self.one_by_one(Switch::Off);
        self.delay(Duration::ZERO);
    }

    /// Bytes moved so far: to recvd and from it.
    pub fn moved(&self) -> (u64, u64) {
        (self.faults.up.load(SeqCst), self.faults.down.load(SeqCst))
    }

    /// Links cut so far.
    pub fn cuts(&self) -> u64 {
        self.faults.cuts.load(SeqCst)
    }

    /// Connections taken so far.
    pub fn connections(&self) -> u64 {
        self.faults.connections.load(SeqCst)
    }
}

/// Whether a fault is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Switch {
    On,
    Off,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.faults.ended.store(true, SeqCst);
        self.faults.cut();
    }
}

impl Faults {
    fn accept(self: Arc<Self>, listener: TcpListener) {
        while !self.ended.load(SeqCst) {
            match listener.accept() {
                Ok((client, _)) if !self.refuse.load(SeqCst) => {
                    let number = self.connections.fetch_add(1, SeqCst) + 1;
                    self.clone().join(client, number);
                }
                Ok(_) => {}
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn join(self: Arc<Self>, client: TcpStream, number: u64) {
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        for stream in [&client, &server] {
            let _ = stream.set_nonblocking(false);
            let _ = stream.set_nodelay(true);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
            let _ = stream.set_write_timeout(Some(Duration::from_millis(500)));
        }
        let mut live = self.live.lock().unwrap();
        live.retain(|stream| stream.peer_addr().is_ok());
        live.extend(client.try_clone());
        live.extend(server.try_clone());
        drop(live);
        if let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) {
            let up = self.clone();
            thread::spawn(move || up.pump(client, server, number, &up.up));
            let down = self.clone();
            thread::spawn(move || down.pump(server_too, client_too, number, &down.down));
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, number: u64, moved: &AtomicU64) {
        let mut buffer = vec![0u8; 64 * 1024];
        while !self.ended.load(SeqCst) {
            if self.holds(number) {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            let most = if self.one_by_one.load(SeqCst) { 256 } else { buffer.len() };
            let len = match from.read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(len) => len,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                    continue;
                }
                Err(_) => break,
            };
            // It was waiting for these when the hole opened: not even they may pass.
            while self.holds(number) && !self.ended.load(SeqCst) {
                thread::sleep(Duration::from_millis(10));
            }
            let delay = self.delay_ms.load(SeqCst);
            if delay > 0 {
                thread::sleep(Duration::from_millis(delay));
            }
            let allowed = self.allowed(len);
            moved.fetch_add(allowed as u64, SeqCst);
            if self.hand_on(&mut to, &buffer[..allowed]).is_err() {
                break;
            }
            if allowed < len {
                self.cuts.fetch_add(1, SeqCst);
                self.cut();
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Whether nothing of this connection moves.
    fn holds(&self, number: u64) -> bool {
        self.black_hole.load(SeqCst) || number <= self.stranded.load(SeqCst)
    }

    /// How many of `len` bytes may still pass before the cut; ends the fault when it strikes.
    fn allowed(&self, len: usize) -> usize {
        let before = self.budget.load(SeqCst);
        if before == i64::MAX {
            return len;
        }
        let before = self.budget.fetch_sub(len as i64, SeqCst);
        if before >= len as i64 {
            return len;
        }
        self.budget.store(i64::MAX, SeqCst);
        before.max(0) as usize
    }

    /// A full peer is waited for, as long as the proxy lives.
    fn hand_on(&self, to: &mut TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
        let step = if self.one_by_one.load(SeqCst) { 1 } else { bytes.len() };
        while !bytes.is_empty() {
            match to.write(&bytes[..step.min(bytes.len())]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => bytes = &bytes[len..],
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                    if self.ended.load(SeqCst) {
                        return Err(e);
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn cut(&self) {
        for stream in self.live.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
