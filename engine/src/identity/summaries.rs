//! Rows that stand for many refused edges.
//!
//! A value that many carry refuses more edges than anybody reads: two thousand namesakes with birthdays of their own, a hundred
//! thousand. So within what hangs together the strongest of each value are kept, and one row says how many more there are.
//!
//! A value that identifies nobody proposes no edge, so that nothing of it is refused, and nothing would tell why those who carry
//! it are apart. One row does, and says how many records carry it.
//!
//! Both are functions of what the rows are about, and of nothing that came before: of a component, and of those who carry a
//! value.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::cluster::Clusters;
use super::edges::{Refusal, Violation};
use super::graph::Graph;
use super::hash;
use super::values::ValueClass;

/// Refused edges of one value that are kept at most. It is as many as one description is compared with others: whoever reads
/// them has long seen what the value does. It bounds a table and decides nothing: with more or fewer of them, the row that counts
/// the others counts fewer or more.
pub(super) const VIOLATIONS_MAX: usize = super::classes::COMPARED_MAX;

/// Records are counted exactly below this, and by their first two digits from there on, so that one more record of a placeholder
/// of thousands changes no row. With a power of ten less there would be one digit, with one more three, and ten times as many
/// rows that change.
const EXACT_MAX: u32 = 100;

/// The rows of values that identify nobody.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    of_values: HashMap<u32, Violation>,
    /// For each subject the values whose rows are its profile's.
    of_subjects: HashMap<u32, Vec<u32>>,
}

impl Ignored {
    /// Puts the row of a value in place of the one it had. Returns the subjects whose profiles have other rows now.
    pub(super) fn replace(&mut self, value: u32, row: Option<Violation>) -> Vec<u32> {
        let before = match row {
            Some(row) => self.of_values.insert(value, row),
            None => self.of_values.remove(&value),
        };
        if before == row {
            return Vec::new();
        }
        if let Some(before) = before
            && let Some(values) = self.of_subjects.get_mut(&before.left)
        {
            values.retain(|of| *of != value);
        }
        if let Some(row) = row {
            self.of_subjects.entry(row.left).or_default().push(value);
        }
        before.into_iter().chain(row).map(|row| row.left).collect()
    }

    /// Returns the rows of a subject.
    pub(super) fn of(&self, subject: u32) -> impl Iterator<Item = Violation> {
        let values = self.of_subjects.get(&subject).into_iter().flatten();
        values.filter_map(|value| self.of_values.get(value).copied())
    }
}

impl Graph {
    /// Returns the row of a value, if it identifies nobody and several records carry it. Their newest versions count.
    pub(super) fn ignored(&self, value: u32) -> Option<Violation> {
        let rule = self.values.rule(value);
        let is_ignored = self.rules.is_kind(rule)
            && self.values.class(value) == ValueClass::Nobody
            && !self.values.is_lone(value);
        if !is_ignored {
            return None;
        }
        let is_record = |subject: &u32| !self.is_linker(*subject) && self.is_newest(*subject);
        let (mut first, mut second, mut count) = (None, None, 0_u32);
        for subject in self.users(value).filter(is_record) {
            count = count.saturating_add(1);
            let own = Some((self.content(subject), subject));
            if first.is_none() || own < first {
                (first, second) = (own, first);
            } else if second.is_none() || own < second {
                second = own;
            }
        }
        let ((_, left), (_, right)) = first.zip(second)?;
        let count = in_round_figures(count);
        let reason = if self.decided_class(value).is_some() {
            Refusal::Nobody(count)
        } else if self.values.is_blocked(value) {
            Refusal::Blocked(count)
        } else if self.is_expired(value) {
            Refusal::Expired(count)
        } else {
            Refusal::Nobody(count)
        };
        Some(Violation { left, right, against: right, rule, value, reason })
    }

    /// Returns what orders refused edges of one value, the strongest first.
    fn order_of_refused(&self, refused: &Violation) -> impl Ord + use<> {
        let Violation { left, right, against, reason, .. } = *refused;
        let people = [left, right].map(|subject| self.person(subject));
        let names = self.people.names(people[0], people[1]);
        let births = people.map(|person| self.people.get(person));
        let trust = [left, right].map(|subject| self.subjects[subject as usize].trust);
        let contents = [left, right, against].map(|subject| self.content(subject));
        (
            Reverse(names.strength() + births[0].birth_agreement(births[1]) as u8),
            Reverse(trust[0].min(trust[1])),
            hash::mix(contents[0], contents[1]),
            contents,
            reason,
        )
    }
}

impl Clusters {
    /// Keeps the strongest refused edges of each identifier and of each block of a MATCH rule, and one row for the others.
    pub(super) fn keep_strongest(&mut self, graph: &Graph) {
        let kept = graph.rules.violations_max;
        if self.violations.len() <= kept {
            return;
        }
        let is_of_value = |refused: &Violation| graph.rules.is_exact(refused.rule);
        let violations = std::mem::take(&mut self.violations);
        let (mut of_values, others): (Vec<Violation>, Vec<Violation>) =
            violations.into_iter().partition(is_of_value);
        self.violations = others;
        of_values.sort_unstable_by_key(|refused| refused.value);
        for of_value in of_values.chunk_by_mut(|one, other| one.value == other.value) {
            if of_value.len() <= kept {
                self.violations.extend_from_slice(of_value);
                continue;
            }
            of_value.sort_by_cached_key(|refused| graph.order_of_refused(refused));
            let more = Refusal::More((of_value.len() - kept) as u32);
            self.violations.extend_from_slice(&of_value[..kept]);
            self.violations.push(Violation { reason: more, ..of_value[kept] });
        }
    }
}

fn in_round_figures(count: u32) -> u32 {
    let mut unit = 1;
    while count / unit >= EXACT_MAX {
        unit *= 10;
    }
    count / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_records_are_counted_by_two_digits() {
        for (count, expected) in
            [(2, 2), (99, 99), (100, 100), (109, 100), (1_234, 1_200), (u32::MAX, 4_200_000_000)]
        {
            assert_eq!(in_round_figures(count), expected);
        }
    }

    #[test]
    fn a_row_is_moved_with_its_first_subject() {
        let row = |left: u32, count: u32| {
            let reason = Refusal::Nobody(count);
            Some(Violation { left, right: 9, against: 9, rule: 0, value: 7, reason })
        };
        let mut ignored = Ignored::default();
        let of = |ignored: &Ignored, subject: u32| ignored.of(subject).collect::<Vec<_>>();
        assert_eq!(ignored.replace(7, row(3, 2)), [3]);
        assert!(ignored.replace(7, row(3, 2)).is_empty());
        assert_eq!(ignored.replace(7, row(3, 3)), [3, 3]);
        assert_eq!(ignored.replace(7, row(1, 4)), [3, 1]);
        assert_eq!((of(&ignored, 3), of(&ignored, 1)), (vec![], row(1, 4).into_iter().collect()));
        assert_eq!(ignored.replace(7, None), [1]);
        assert_eq!((of(&ignored, 1), ignored.replace(7, None)), (vec![], vec![]));
    }
}
