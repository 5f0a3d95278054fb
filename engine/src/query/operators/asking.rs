//! Long work in short pieces: between two of them it is asked whether the statement is to stop.

use std::cmp::Ordering;

use datafusion::error::Result;

use crate::query::stop::check_current;

/// Items that are looked at between two questions. Where each is a miss of the cache, or a few of them, that takes some
/// milliseconds.
const PIECE: usize = 1 << 14;

/// Counts what is done between two questions.
#[derive(Debug, Default)]
pub(super) struct Asking {
    done: usize,
}

impl Asking {
    /// Notes that so many items more were looked at. Fails once the statement is to stop.
    pub(super) fn did(&mut self, items: usize) -> Result<()> {
        self.done += items;
        if self.done < PIECE {
            return Ok(());
        }
        self.done = 0;
        check_current()
    }
}

/// Does the same work for each item.
pub(super) fn each<I: IntoIterator>(items: I, mut work: impl FnMut(I::Item)) -> Result<()> {
    let mut asking = Asking::default();
    for item in items {
        work(item);
        asking.did(1)?;
    }
    Ok(())
}

/// Sorts items as a list is sorted, but piece by piece, then what two of them make together, and so on: in between it can be
/// ended. Equal items keep their order. As many items more than there are take memory meanwhile.
pub(super) fn sort<T: Copy>(
    items: &mut Vec<T>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Result<()> {
    for piece in items.chunks_mut(PIECE) {
        check_current()?;
        piece.sort_by(&compare);
    }
    let mut sorted = PIECE;
    if sorted >= items.len() {
        return Ok(());
    }
    let mut merged = Vec::with_capacity(items.len());
    while sorted < items.len() {
        for two in items.chunks(sorted.saturating_mul(2)) {
            let (left, right) = two.split_at(sorted.min(two.len()));
            merge(left, right, &compare, &mut merged)?;
        }
        std::mem::swap(items, &mut merged);
        merged.clear();
        sorted = sorted.saturating_mul(2);
    }
    Ok(())
}

/// Adds to `merged` what two sorted lists have.
fn merge<T: Copy>(
    mut left: &[T],
    mut right: &[T],
    compare: &impl Fn(&T, &T) -> Ordering,
    merged: &mut Vec<T>,
) -> Result<()> {
    let follows =
        left.last().zip(right.first()).is_none_or(|(last, next)| compare(last, next).is_le());
    let mut asking = Asking::default();
    while let ([one, of_left @ ..], [other, of_right @ ..]) = (left, right)
        && !follows
    {
        if compare(other, one).is_lt() {
            merged.push(*other);
            right = of_right;
        } else {
            merged.push(*one);
            left = of_left;
        }
        asking.did(1)?;
    }
    for rest in [left, right] {
        for piece in rest.chunks(PIECE) {
            merged.extend_from_slice(piece);
            check_current()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::query::stop::{Stop, during};

    /// Numbers in no order, some of them the same, each with its place.
    fn numbers(count: usize) -> Vec<(u32, usize)> {
        let mut number = 1_u32;
        let mut next = || {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number >> 18
        };
        (0..count).map(|place| (next(), place)).collect()
    }

    #[test]
    fn pieces_are_sorted_as_a_whole_is() {
        for count in [0, 1, 2, PIECE, PIECE + 1, 2 * PIECE + 1, 7 * PIECE - 3] {
            let mut items = numbers(count);
            let mut whole = items.clone();
            whole.sort_by_key(|(number, _)| *number);
            sort(&mut items, |one, other| one.0.cmp(&other.0)).unwrap();
            assert_eq!(items, whole, "{count}");
            // What is in order already, and what is turned round.
            sort(&mut items, Ord::cmp).unwrap();
            assert_eq!(items, whole, "{count}");
            sort(&mut items, |one, other| other.cmp(one)).unwrap();
            whole.reverse();
            assert_eq!(items, whole, "{count}");
        }
    }

    #[tokio::test]
    async fn who_is_to_stop_sorts_no_more() {
        let stop = Arc::new(Stop::default());
        stop.stop();
        let stopped = during(stop, async {
            let mut looked_at = 0;
            let each = each(0..10 * PIECE, |_| looked_at += 1);
            let sorted = sort(&mut numbers(3), Ord::cmp);
            let (left, right) = (vec![7; PIECE], vec![3; PIECE]);
            let merged = merge(&left, &right, &Ord::cmp, &mut Vec::new());
            assert_eq!(looked_at, PIECE);
            [each.is_err(), sorted.is_err(), merged.is_err()]
        });
        assert_eq!(stopped.await, [true; 3]);
    }
}
