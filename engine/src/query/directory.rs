//! Where in a sorted list a number may stand, by its size.
//!
//! To halve a list of a million twenty times is to wait for memory as often. Hashes and profile ids are spread evenly, so
//! that their size tells nearly where they are: the list is cut into stretches of equal width, of which each holds a few. Where
//! numbers are not spread evenly a stretch holds many, and who looks through it halves it.

use std::ops::Range;

/// Numbers of a stretch, if they are spread evenly; twice as many at most.
const EACH: usize = 4;

/// The directory of a sorted list of less than 2^32 numbers.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// The smallest number.
    first: u64,
    /// The power of two that is the width of a stretch.
    width_log: u32,
    /// Where each stretch begins in the list, and behind them where the last one ends.
    starts: Box<[u32]>,
}

impl Directory {
    /// Makes the directory of `count` numbers in ascending order.
    pub(super) fn of(count: u32, number_at: impl Fn(usize) -> u64) -> Self {
        let Some(last) = count.checked_sub(1) else { return Self::default() };
        let first = number_at(0);
        let span = number_at(last as usize) - first;
        let stretches_max = (count as usize / EACH).max(1) as u64;
        let mut width_log = 0;
        while width_log < u64::BITS - 1 && span >> width_log >= stretches_max {
            width_log += 1;
        }
        let mut starts = Vec::with_capacity((span >> width_log) as usize + 2);
        for at in 0..count {
            let stretch = ((number_at(at as usize) - first) >> width_log) as usize;
            while starts.len() <= stretch {
                starts.push(at);
            }
        }
        starts.push(count);
        Self { first, width_log, starts: starts.into() }
    }

    /// Returns the places of the list among which a number is, if it is there at all: all that are equal to it.
    pub(super) fn around(&self, number: u64) -> Range<usize> {
        let stretch = number.checked_sub(self.first).map(|beyond| beyond >> self.width_log);
        let stretch = stretch.and_then(|stretch| usize::try_from(stretch).ok());
        let bounds = stretch.and_then(|stretch| {
            let end = self.starts.get(stretch.checked_add(1)?)?;
            Some((*self.starts.get(stretch)?, *end))
        });
        bounds.map_or(0..0, |(start, end)| start as usize..end as usize)
    }

    /// Returns how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(numbers: &[u64]) {
        let directory = Directory::of(numbers.len() as u32, |at| numbers[at]);
        let near = |number: u64| &numbers[directory.around(number)];
        for number in numbers {
            let all = numbers.iter().filter(|other| *other == number).count();
            let found = near(*number).iter().filter(|other| *other == number).count();
            assert_eq!(found, all, "{number} of {numbers:?}");
            for absent in [number.wrapping_sub(1), number.wrapping_add(1)] {
                assert_eq!(near(absent).contains(&absent), numbers.contains(&absent));
            }
        }
        for anything in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!(near(anything).contains(&anything), numbers.contains(&anything));
        }
    }

    #[test]
    fn every_number_is_among_those_around_it() {
        check(&[]);
        check(&[7]);
        check(&[0, u64::MAX]);
        check(&[5; 40]);
        check(&[0, 0, 1, 1, 1, 2, u64::MAX - 1, u64::MAX, u64::MAX]);
        check(&(0..1_000).map(|number| number * number).collect::<Vec<_>>());
        check(&(0..500).map(|number| 1 << (number / 8)).collect::<Vec<_>>());
    }

    #[test]
    fn a_few_are_around_each_of_numbers_that_are_spread_evenly() {
        let directory = Directory::of(1 << 16, |at| at as u64 * 65_537 + 3);
        for at in 0..1_u64 << 16 {
            let around = directory.around(at * 65_537 + 3);
            assert!(around.contains(&(at as usize)) && around.len() <= 2 * EACH + 1, "{around:?}");
        }
        assert!(directory.bytes() <= (1 << 16) + 64);
    }
}
