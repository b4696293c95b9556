//! How much is shown of what is said of single entries: lists that share a bound fairly, so that an answer fits however many
//! targets have much to say. Counts stay whole.

use engine::mirror::{Mirror, Note, Notes};
use kit::units::Moment;
use proto::RelPath;
use serde::Serialize;

use super::{LeftOut, Omission, Problem};

/// Bytes of JSON that problems take over all targets; what rules leave out may take as many.
pub const MOST: usize = 1024 * 1024;
/// A list that did not fit is tried again so often, with what the shorter ones left over.
const ROUNDS: usize = 8;

/// The beginning of a list.
struct Beginning<T> {
    items: Vec<T>,
    bytes: usize,
    /// Whether there is more.
    cut: bool,
}

/// Of each target its problems, as the status shows them.
pub fn problems(mirrors: &[&Mirror]) -> Vec<Vec<Problem>> {
    let shown = |(path, note): (&RelPath, &Note)| Problem {
        path: path.to_string(),
        reason: note.reason.clone(),
        since: Moment(note.since),
    };
    share(mirrors, MOST, |mirror, most| beginning(mirror.entries.problems().iter().map(shown), most))
}

/// Of each target what rules leave out.
pub fn left_out(mirrors: &[&Mirror]) -> Vec<LeftOut> {
    let shown = |(path, note): (&RelPath, &Note)| Omission { path: path.to_string(), reason: note.reason.clone() };
    let lists = share(mirrors, MOST, |mirror, most| beginning(mirror.entries.left_out().iter().map(shown), most));
    let counts = mirrors.iter().map(|mirror| Notes::len(&mirror.entries.left_out()));
    lists.into_iter().zip(counts).map(|(paths, entries)| LeftOut { entries, paths }).collect()
}

/// Cuts lists that are there already so that they share the bound.
pub fn cut<T: Serialize + Clone>(lists: Vec<&mut Vec<T>>) {
    let shorter = share(&lists, MOST, |list, most| beginning(list.iter().cloned(), most));
    lists.into_iter().zip(shorter).for_each(|(list, shorter)| *list = shorter);
}

/// Nobody's list is cut below an equal share because another's is long.
fn share<L, T>(lists: &[L], most: usize, begin: impl Fn(&L, usize) -> Beginning<T>) -> Vec<Vec<T>> {
    let mut shown: Vec<Vec<T>> = lists.iter().map(|_| Vec::new()).collect();
    let (mut open, mut left) = ((0..lists.len()).collect::<Vec<usize>>(), most);
    for _ in 0..ROUNDS {
        let Some(each) = left.checked_div(open.len()) else { break };
        let before = open.len();
        open.retain(|at| {
            let begun = begin(&lists[*at], each);
            shown[*at] = begun.items;
            if !begun.cut {
                left -= begun.bytes;
            }
            begun.cut
        });
        if open.len() == before {
            break;
        }
    }
    shown
}

fn beginning<T: Serialize>(items: impl Iterator<Item = T>, most: usize) -> Beginning<T> {
    let mut begun = Beginning { items: Vec::new(), bytes: 0, cut: false };
    for item in items {
        // With the comma. What cannot be written as JSON does not exist here: all of it is text.
        let bytes = serde_json::to_vec(&item).map_or(0, |json| json.len() + 1);
        if begun.bytes + bytes > most {
            begun.cut = true;
            break;
        }
        begun.bytes += bytes;
        begun.items.push(item);
    }
    begun
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(lengths: &[usize]) -> Vec<usize> {
        let mut lists: Vec<Vec<String>> = lengths.iter().map(|length| vec!["x".repeat(97); *length]).collect();
        cut(lists.iter_mut().collect());
        let bytes = lists.iter().map(|list| serde_json::to_string(list).unwrap().len() - 2).sum::<usize>();
        assert!(bytes <= MOST, "{bytes}");
        lists.iter().map(Vec::len).collect()
    }

    #[test]
    fn what_fits_is_whole() {
        assert!(lists(&[]).is_empty());
        assert_eq!(lists(&[0, 5000, 1, 5000]), [0, 5000, 1, 5000]);
    }

    #[test]
    fn the_long_share_what_the_short_leave() {
        let all = MOST / 100;
        assert_eq!(lists(&[all + 1]), [all]);
        let shown = lists(&[10, 20_000, 4_000, 20_000]);
        assert_eq!((shown[0], shown[1]), (10, shown[3]));
        assert!(shown[2] >= all / 4 && shown.iter().sum::<usize>() > all - 10, "{shown:?}");
        let shown = lists(&[1000; 1000]);
        assert!(shown.iter().all(|length| *length == shown[0]) && shown[0] > 5, "{shown:?}");
    }
}
