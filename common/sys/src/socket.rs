//! What tokio does not tell of a socket. Used by `link`, and by the control socket in `kit`.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether the other end is closed whole, or broken: nobody is there to read. One that has only finished its own half,
/// as `nc -N` does, is still there. Does not block.
pub fn peer_left(socket: impl AsFd) -> bool {
    is(socket, PollFlags::empty())
}

/// Whether the other end will send nothing more: it has finished its half, or the connection is closed or broken. What it
/// sent before that may still be unread. Does not block.
pub fn peer_finished(socket: impl AsFd) -> bool {
    is(socket, PollFlags::RDHUP)
}

/// How long a byte and its answer take on a TCP connection, as the kernel has measured it; nothing where it does not say.
#[allow(unsafe_code)]
pub fn round_trip(socket: impl AsFd) -> Duration {
    // SAFETY: all of it is numbers, for which zeros are fine.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    let at = std::ptr::from_mut(&mut info).cast();
    // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes at `at`, which are ours.
    let got =
        unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, at, &raw mut length) };
    if got == 0 { Duration::from_micros(info.tcpi_rtt.into()) } else { Duration::ZERO }
}

/// Whether it is in one of these states, or closed or broken.
fn is(socket: impl AsFd, states: PollFlags) -> bool {
    let mut asked = [PollFd::new(&socket, states)];
    let wanted = states | PollFlags::HUP | PollFlags::ERR;
    matches!(poll(&mut asked, Some(&Timespec::default())), Ok(1..)) && asked[0].revents().intersects(wanted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn only_who_has_closed_is_gone() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"unread\n").unwrap();
        assert!(!peer_left(&ours) && !peer_finished(&ours));
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(!peer_left(&ours) && peer_finished(&ours));
        drop(theirs);
        assert!(peer_left(&ours) && peer_finished(&ours));
    }

    #[test]
    fn a_round_trip_is_measured_where_there_is_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // Seconds on a busy machine, and no hours by a mistaken unit.
        assert!((Duration::from_nanos(1)..Duration::from_secs(60)).contains(&round_trip(&ours)));
        assert_eq!(round_trip(&UnixStream::pair().unwrap().0), Duration::ZERO);
    }
}
