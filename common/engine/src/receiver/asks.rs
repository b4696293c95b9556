//! A run of questions about folders: answered by pool threads, several at a time, their answers in order. Only as many are on
//! the way as there is memory for, but for the first in order: nothing waits for memory here.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::vec;

use proto::limits::LISTING;

use super::answer::{Answer, Ask};
use super::memory::Retained;
use super::over::Over;
use super::pool::{Charged, Pool};

/// Questions that a pool thread takes at a time.
const ASKS: usize = 8;
/// What an answer is charged before it is known.
const ANSWER: usize = LISTING;

pub(super) struct Asks {
    /// Not handed to the pool yet.
    waiting: vec::IntoIter<Ask>,
    /// Handed to the pool, in order.
    handed_out: VecDeque<mpsc::Receiver<Vec<Charged<Answer>>>>,
    /// Answers that are there, before all of those.
    answers: vec::IntoIter<Charged<Answer>>,
}

impl Asks {
    pub(super) fn new(asks: Vec<Ask>) -> Asks {
        Asks { waiting: asks.into_iter(), handed_out: VecDeque::new(), answers: Vec::new().into_iter() }
    }

    /// The next answer in order, for which it waits; `None` after the last.
    pub(super) fn next(&mut self, pool: &Pool, retained: &Retained) -> Result<Option<Charged<Answer>>, Over> {
        if let Some(answer) = self.answers.next() {
            return Ok(Some(answer));
        }
        self.hand_out(pool, retained);
        let Some(first) = self.handed_out.pop_front() else { return Ok(None) };
        // An error says that the pool is closed: the session is over.
        self.answers = first.recv().map_err(|_| Over)?.into_iter();
        Ok(self.answers.next())
    }

    fn hand_out(&mut self, pool: &Pool, retained: &Retained) {
        loop {
            let mut asks = Vec::with_capacity(ASKS);
            while asks.len() < ASKS && self.waiting.len() > 0 {
                let is_next = self.handed_out.is_empty() && asks.is_empty();
                let anyway = is_next.then(|| retained.extra_anyway(ANSWER));
                let Some(charge) = anyway.or_else(|| retained.try_extra(ANSWER)) else { break };
                asks.extend(self.waiting.next().map(|ask| (ask, charge)));
            }
            if asks.is_empty() {
                return;
            }
            let (sender, answers) = mpsc::channel();
            self.handed_out.push_back(answers);
            pool.compare(asks, sender);
        }
    }
}
