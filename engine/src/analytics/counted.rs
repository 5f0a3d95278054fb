//! A sequence as a statement sees it, and places in the order of its numbers.

use serde::{Deserialize, Serialize};

use crate::catalog::{AnalyticsSequence, SequenceRange, placed};
use crate::error::{Error, Result};

/// A sequence as a statement sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Which sequence it is, whatever its name.
    pub number: u64,
    /// What its last number is kept under.
    pub key: String,
    /// Its name, for messages.
    pub name: String,
    /// The number that it begins with.
    pub first: i64,
    /// The numbers that it gives.
    pub range: SequenceRange,
    /// Whether it was made to begin anew.
    pub restarted: bool,
}

impl Counted {
    /// Returns the sequence that is kept under `name`.
    pub(crate) fn of(name: &str, sequence: &AnalyticsSequence) -> Self {
        Self {
            number: sequence.number,
            key: sequence.key(),
            name: placed(name).1.to_owned(),
            first: sequence.first,
            range: sequence.range.clone(),
            restarted: sequence.restarts > 0,
        }
    }

    /// The answer to who asks for a number behind the last one.
    pub(super) fn exhausted(&self) -> Error {
        let SequenceRange { increment, minimum, maximum, .. } = self.range;
        let (which, last) = if increment > 0 { ("maximum", maximum) } else { ("minimum", minimum) };
        Error::Standard {
            sqlstate: "2200H",
            message: format!(
                "nextval: reached {which} value of sequence \"{}\" ({last})",
                self.name
            ),
            hint: "ALTER SEQUENCE name RESTART makes it begin anew, CYCLE whenever it ends.".into(),
        }
    }

    /// Fails unless a number is one that `setval` may set.
    pub(super) fn check(&self, number: i64) -> Result<()> {
        let SequenceRange { minimum, maximum, .. } = self.range;
        if (minimum..=maximum).contains(&number) {
            return Ok(());
        }
        let name = &self.name;
        Err(Error::Standard {
            sqlstate: "22003",
            message: format!(
                "setval: value {number} is out of bounds for sequence \"{name}\" ({minimum}..{maximum})"
            ),
            hint: "ALTER SEQUENCE name MINVALUE n MAXVALUE n gives it other bounds.".into(),
        })
    }
}

/// A place in the order of a sequence's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// A number.
    pub(crate) last: i64,
    /// Whether it was given: otherwise it is the next one.
    pub(crate) called: bool,
}

impl Place {
    /// Returns the place with the next number; `None` behind the last one.
    pub(super) fn next(self, range: &SequenceRange) -> Option<Self> {
        let last = if self.called { range.next(self.last)? } else { self.last };
        Some(Self { last, called: true })
    }

    /// Returns the place so many numbers on, or the last one there is, and how many numbers lie up to there.
    pub(super) fn ahead(self, range: &SequenceRange, count: usize) -> (Self, usize) {
        let mut place = self;
        for steps in 0..count {
            match place.next(range) {
                Some(next) => place = next,
                None => return (place, steps),
            }
        }
        (place, count)
    }

    /// Tells whether this place comes behind another one.
    pub(super) fn is_behind(self, other: Self, range: &SequenceRange) -> bool {
        // In half steps: a number that is still to be given lies before itself.
        let along = |place: Self| {
            let last = i128::from(place.last) * 2;
            let last = if range.increment > 0 { last } else { -last };
            last - i128::from(!place.called)
        };
        along(self) > along(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::WholeNumber;

    fn at(last: i64, called: bool) -> Place {
        Place { last, called }
    }

    #[test]
    fn places_lie_in_the_order_of_numbers() {
        let up = SequenceRange { maximum: 10, ..SequenceRange::ascending(WholeNumber::Integer) };
        let down = SequenceRange { increment: -1, ..up.clone() };
        for (one, other, behind_up, behind_down) in [
            (at(5, true), at(4, true), true, false),
            (at(5, true), at(5, false), true, true),
            (at(5, false), at(5, true), false, false),
            (at(4, true), at(5, false), false, true),
        ] {
            assert_eq!(one.is_behind(other, &up), behind_up, "{one:?} {other:?}");
            assert_eq!(one.is_behind(other, &down), behind_down, "{one:?} {other:?}");
        }
        assert_eq!(at(1, false).ahead(&up, 3), (at(3, true), 3));
        assert_eq!(at(8, true).ahead(&up, 5), (at(10, true), 2));
        assert_eq!(at(1, true).ahead(&down, 5), (at(1, true), 0));
    }
}
