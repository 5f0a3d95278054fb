//! `LIMIT n` and `LIMIT n PER '30 days'`: how many values of a kind one profile takes.
//!
//! A value counts once, at the time at which any subject was first observed with it, whoever that was, short of records that
//! are gone. That is a function of the subjects that are there alone, so neither batches nor the order of edges move it, and
//! however often a value is used costs nothing.

use std::time::Duration;

use super::rules::invalid;
use crate::Result;
use crate::catalog::IdentifierRule;

/// The limit of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// Values at most.
    pub(super) values: usize,
    /// Within any time that is shorter than this, in microseconds; for ever if there is none.
    pub(super) per_us: Option<i64>,
}

impl Limit {
    /// Checks the limit of a rule, if it has one.
    pub(super) fn of_rule(rule: &IdentifierRule) -> Result<Option<Self>> {
        let kind = &rule.kind;
        let Some(values) = rule.limit else {
            return match rule.limit_per {
                None => Ok(None),
                Some(_) => Err(invalid(
                    format!("identifier \"{kind}\" has a time without a LIMIT"),
                    "Write LIMIT 5 PER '30 days'.",
                )),
            };
        };
        if values == 0 {
            return Err(invalid(
                format!("identifier \"{kind}\" has LIMIT 0"),
                "Use a limit of at least 1.",
            ));
        }
        let per_us = rule.limit_per.map(micros);
        if per_us == Some(0) {
            return Err(invalid(
                format!("identifier \"{kind}\" has LIMIT PER no time"),
                "Write LIMIT 5 PER '30 days'.",
            ));
        }
        Ok(Some(Self { values: values as usize, per_us }))
    }

    /// Tells whether values are too many that were first observed at these times, which ascend.
    pub(super) fn is_exceeded(&self, times: &[i64]) -> bool {
        match self.per_us {
            None => times.len() > self.values,
            Some(per) => times
                .windows(self.values.saturating_add(1))
                .any(|window| window[self.values].saturating_sub(window[0]) < per),
        }
    }

    /// Tells whether one more value, first observed at `at`, is too many beside those of `times`, which ascend.
    pub(super) fn is_full(&self, times: &[i64], at: i64) -> bool {
        let Some(per) = self.per_us else { return times.len() >= self.values };
        let place = times.partition_point(|time| *time < at);
        let (before, after) = times.split_at(place);
        let fewest_before = self.values.saturating_sub(after.len());
        (fewest_before..=self.values.min(before.len())).any(|count| {
            let first = if count == 0 { at } else { before[before.len() - count] };
            let last = if count == self.values { at } else { after[self.values - count - 1] };
            last.saturating_sub(first) < per
        })
    }
}

/// Returns a time in microseconds.
pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_values_within_the_time_of_each_other_count() {
        let limit = Limit { values: 2, per_us: Some(10) };
        assert!(!limit.is_exceeded(&[0, 9]));
        assert!(limit.is_exceeded(&[0, 5, 9]));
        assert!(!limit.is_exceeded(&[0, 5, 10]), "the end of the time is outside of it");
        assert!(!limit.is_exceeded(&[0, 1, 20, 21, 40, 41]));
        assert!(limit.is_exceeded(&[0, 20, 21, 29]));
        assert!(!Limit { values: 2, per_us: Some(10) }.is_exceeded(&[i64::MIN, 0, i64::MAX]));
        let ever = Limit { values: 2, per_us: None };
        assert!(!ever.is_exceeded(&[0, 100]) && ever.is_exceeded(&[0, 100, 200]));
    }

    proptest! {
        #[test]
        fn what_has_room_is_not_exceeded_with_one_more(
            (values, per, times) in (1_usize..5, 0_i64..12, prop::collection::vec(0_i64..40, 0..12))
        ) {
            let limit = Limit { values, per_us: (per > 0).then_some(per) };
            let mut held: Vec<i64> = Vec::new();
            for at in times {
                let mut with = held.clone();
                with.push(at);
                with.sort_unstable();
                prop_assert_eq!(limit.is_full(&held, at), limit.is_exceeded(&with));
                if !limit.is_full(&held, at) {
                    held = with;
                }
            }
        }
    }
}
