//! What is asked at quiet moments, which no sender asks of its own accord yet: a mark, and whether a content is the same. What
//! must come is known then.

use proto::{RelPath, ToReceiver};

use super::pair::Pair;
use super::{Sim, Troubled};
use crate::sender::flight::Sent;

/// The content of the file that nobody touches.
const ANCHOR: &[u8] = b"keeps the root from being empty";

/// A question that is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// That this moment gets a name.
    Mark(String),
    /// Whether the anchor has its content.
    Same,
    /// Whether it has another one.
    Other,
}

/// What was asked of the target of a world.
#[derive(Debug, Default)]
pub struct Asked {
    pub open: Option<Question>,
    /// One is enough for a round.
    pub done: bool,
    /// Marks that were asked for, and those of them that the target has by its receipts.
    marks: Vec<String>,
    kept: Vec<String>,
}

impl Sim<'_> {
    /// Asks something at a quiet moment, or hears that it is answered. Whether there is something to wait for.
    pub(super) fn asks(&mut self, pair: &mut Pair<'_, '_>) -> Result<bool, String> {
        match self.asked.open.take() {
            Some(Question::Other) => return Err("another content is said to be the same".to_owned()),
            Some(Question::Mark(name)) => {
                self.asked.kept.push(name);
                self.look_at_marks()?;
            }
            Some(Question::Same) | None => {}
        }
        if self.asked.done || self.troubled != Troubled::No || self.rng.u8(..4) > 0 {
            return Ok(false);
        }
        let name = format!("mark {}", self.asked.marks.len());
        let question = [Question::Mark(name), Question::Same, Question::Other][self.rng.usize(..3)].clone();
        let (path, size) = (RelPath::parse(b"anchor").unwrap(), ANCHOR.len() as u64);
        let message = match &question {
            Question::Mark(name) => {
                self.asked.marks.push(name.clone());
                ToReceiver::Mark { name: name.clone() }
            }
            Question::Same => ToReceiver::Equal { path, size, digest: *blake3::hash(ANCHOR).as_bytes() },
            Question::Other => ToReceiver::Equal { path, size, digest: [7; 32] },
        };
        self.place.trace.say(|| format!("ASKS {question:?}"));
        // It belongs to no work, so an outcome of it breaks the protocol.
        let sent = pair.sending.send(0, &message, Sent::Settle(RelPath::root()));
        sent.map_err(|ended| format!("{ended:?}"))?;
        (self.asked.open, self.asked.done) = (Some(question), true);
        Ok(true)
    }

    /// The marks that the target has are those that it was asked for, in their order, without any of which it said so missing.
    fn look_at_marks(&self) -> Result<(), String> {
        let text = std::fs::read_to_string(self.place.there.join(".recvd-marks")).map_err(|error| error.to_string())?;
        let there: Vec<_> = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name).collect();
        let mut asked = self.asked.marks.iter();
        let known = there.iter().all(|name| asked.any(|asked| asked == name));
        let whole = self.asked.kept.iter().all(|name| there.contains(&name.as_str()));
        if known && whole { Ok(()) } else { Err(format!("marks {there:?}, of which {:?} are kept", self.asked)) }
    }
}
