//! What is to be written next: the buffers of a role, gathered for as few writes as possible.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Buffers in one vectored write.
const SLICES: usize = 64;

/// Buffers that wait to be written, as one.
pub(super) struct Waiting {
    /// Bytes that are gathered for one write, while more is waiting.
    write: usize,
    buffers: VecDeque<Bytes>,
    bytes: usize,
}

impl Waiting {
    /// That gathers so many bytes for one write.
    pub(super) fn of(write: usize) -> Waiting {
        Waiting { write, buffers: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, frames: Bytes) {
        if !frames.is_empty() {
            self.bytes += frames.len();
            self.buffers.push_back(frames);
        }
    }

    /// Whether another buffer would still go with the next write.
    pub(super) fn has_room(&self) -> bool {
        self.buffers.len() < SLICES && self.bytes < self.write
    }
}

impl Buf for Waiting {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.buffers.front().map_or(&[], |buffer| buffer)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let used = slices.len().min(self.buffers.len());
        for (slice, buffer) in slices.iter_mut().zip(&self.buffers) {
            *slice = IoSlice::new(buffer);
        }
        used
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(front) = self.buffers.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.buffers.pop_front();
        }
    }
}
