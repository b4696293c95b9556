//! Memory for frames, used over again: fresh memory costs a page fault for every 4 KiB of it.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Buffers that were handed on as frames, and come back when nobody holds those any more.
#[derive(Debug)]
pub struct Buffers {
    room: usize,
    most: usize,
    /// What was left of them, the one handed on longest ago first.
    lent: VecDeque<BytesMut>,
}

impl Buffers {
    /// Of so many bytes each, and at most so many of them, which are kept as long as this.
    pub fn new(room: usize, most: usize) -> Buffers {
        Buffers { room, most, lent: VecDeque::new() }
    }

    /// A buffer that begins with `rest`, which is what is left when frames were taken off the one before, and has room for
    /// at least `more` bytes behind it.
    pub fn next(&mut self, mut rest: BytesMut, more: usize) -> BytesMut {
        let wanted = self.room.max(rest.len() + more);
        let free = self.lent.iter_mut().position(|lent| lent.try_reclaim(wanted));
        let mut buffer = free.and_then(|at| self.lent.remove(at)).unwrap_or_else(|| BytesMut::with_capacity(wanted));
        buffer.extend_from_slice(&rest);
        rest.clear();
        self.lent.push_back(rest);
        if self.lent.len() > self.most {
            self.lent.pop_front();
        }
        buffer
    }

    /// Keeps none of them: where memory is short, fresh memory is the price.
    pub fn let_go(&mut self) {
        self.lent.clear();
    }

    /// Little is going on: one is let go.
    pub fn quiet(&mut self) {
        self.lent.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_when_its_frames_are_dropped() {
        let mut buffers = Buffers::new(1000, 4);
        let mut buffer = buffers.next(BytesMut::new(), 0);
        let mut places = Vec::new();
        for round in 0..10u8 {
            assert!(buffer.capacity() >= 1000);
            places.push(buffer.as_ptr());
            buffer.extend_from_slice(&[round; 900]);
            let frames = buffer.split_to(800).freeze();
            buffer = buffers.next(buffer, 0);
            assert_eq!((&frames[..], &buffer[..]), (&[round; 800][..], &[round; 100][..]));
            buffer.clear();
        }
        places.sort_unstable();
        places.dedup();
        assert!(places.len() <= 3, "{} pieces of memory", places.len());
    }

    #[test]
    fn what_is_held_is_not_written_to_and_no_more_than_so_many_are_kept() {
        let mut buffers = Buffers::new(100, 4);
        let mut buffer = buffers.next(BytesMut::new(), 0);
        let held: Vec<_> = (0..20u8)
            .map(|round| {
                buffer.extend_from_slice(&[round; 90]);
                let frames = buffer.split().freeze();
                buffer = buffers.next(std::mem::take(&mut buffer), 0);
                frames
            })
            .collect();
        assert!(held.iter().enumerate().all(|(round, frames)| frames[..] == [round as u8; 90]));
        assert_eq!(buffers.lent.len(), 4);
        assert!(buffers.next(BytesMut::new(), 5000).capacity() >= 5000);
        (0..4).for_each(|_| buffers.quiet());
        assert_eq!(buffers.lent.len(), 0);
    }
}
