//! What tokio does not tell of a socket. Used by `link`, and by the control socket in `kit`.

use std::os::fd::AsFd;

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
}
