//! One direction of a link: buffers of frames on their way, each of which arrives at its time.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use proto::limits::FRAME;

/// Buffers on the way, at most: then the role that sends has to wait.
const MOST: usize = 4;

/// Arrival and content, in order of both.
#[derive(Default)]
pub struct Pipe(VecDeque<(Instant, Bytes)>);

impl Pipe {
    pub fn has_room(&self) -> bool {
        self.0.len() < MOST
    }

    /// Nothing overtakes what left before.
    pub fn leave(&mut self, frames: Bytes, arrives: Instant) {
        let arrives = self.0.back().map_or(arrives, |(last, _)| arrives.max(*last));
        self.0.push_back((arrives, frames));
    }

    /// When the next arrives.
    pub fn next(&self) -> Option<Instant> {
        self.0.front().map(|(arrives, _)| *arrives)
    }

    pub fn arrive(&mut self) -> Option<Bytes> {
        self.0.pop_front().map(|(_, frames)| frames)
    }

    /// What is on the way is lost, but for so many frames.
    pub fn cut(&mut self, mut frames: usize) -> Vec<Bytes> {
        let mut arrived = Vec::new();
        while frames > 0
            && let Some((_, buffer)) = self.0.pop_front()
        {
            let mut rest = buffer.clone();
            while frames > 0 && matches!(proto::codec::split(&mut rest, FRAME), Ok(Some(_))) {
                frames -= 1;
            }
            arrived.push(buffer.slice(..buffer.len() - rest.len()));
        }
        self.0.clear();
        arrived
    }
}
