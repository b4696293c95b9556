//! What tokio does not tell of a socket. Used by the control socket in `kit`.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether the other end is closed whole, or broken: nobody is there to read. One that has only finished its own half,
/// as `nc -N` does, is still there. Does not block.
pub fn peer_left(socket: impl AsFd) -> bool {
    let mut asked = [PollFd::new(&socket, PollFlags::empty())];
    let gone = PollFlags::HUP | PollFlags::ERR;
    matches!(poll(&mut asked, Some(&Timespec::default())), Ok(1..)) && asked[0].revents().intersects(gone)
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
        assert!(!peer_left(&ours));
        theirs.write_all(b"unread\n").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(!peer_left(&ours));
        drop(theirs);
        assert!(peer_left(&ours));
    }
}
