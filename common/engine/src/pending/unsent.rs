//! Whether the target can have an entry that was new when it was hinted.

use proto::RelPath;

use super::hints::Hints;
use super::lately::Lately;
use super::under_way::UnderWay;
use super::waiting::Depth;
use crate::hint::Cause;

/// Whether what came to this place and went again was never sent. INVARIANT: true only when the target cannot have it: its
/// name appeared by an event, and neither a look at it nor a comparison that may have met it was on its way since. The hint may
/// have waited for long, so what counts is what was looked at since the event came, and shortly before.
pub(super) fn came_and_went(hints: &Hints, under_way: &UnderWay, lately: &Lately, path: &RelPath) -> bool {
    let Some(waiting) = hints.store().get(path) else { return false };
    let fresh = waiting.depth == Depth::Entry
        && waiting.cause.has(Cause::CREATED)
        && !waiting.cause.has(Cause::GONE | Cause::VACATED | Cause::LOST);
    fresh && !under_way.is_at(path) && !lately.may_have_met(path, waiting.since) && !under_way.is_comparing()
}
