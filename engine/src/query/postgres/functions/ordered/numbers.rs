//! Percentiles between numbers, of one group and of many at once.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::{NUMBERS_BYTES_MAX, too_large};
use crate::query::stop::check_current;

/// What lies at a share of the way from the first number to the last, between two of them where it meets none. It leaves the
/// numbers in another order.
pub(super) fn between(numbers: &mut [f64], share: f64, descending: bool) -> Option<f64> {
    let last = numbers.len().checked_sub(1)?;
    // The number of values is far below what a float holds exactly.
    let place = share * last as f64;
    let (first, second) = (place.floor() as usize, place.ceil() as usize);
    let compare = |one: &f64, other: &f64| match descending {
        true => other.total_cmp(one),
        false => one.total_cmp(other),
    };
    let (before, high, _) = numbers.select_nth_unstable_by(second, compare);
    let high = *high;
    if first == second {
        return Some(high);
    }
    let low = before.iter().copied().max_by(compare)?;
    Some(low + (place - first as f64) * (high - low))
}

/// The numbers of groups, each of which has a percentile.
#[derive(Debug)]
pub(super) struct Groups {
    function: String,
    /// A share that is null gives null.
    share: Option<f64>,
    descending: bool,
    held: Vec<Vec<f64>>,
    /// What the numbers take.
    bytes: usize,
}

impl Groups {
    pub(super) fn new(function: String, share: Option<f64>, descending: bool) -> Self {
        Groups { function, share, descending, held: Vec::new(), bytes: 0 }
    }

    fn hold(&mut self, group: usize, numbers: &[f64]) -> Result<()> {
        let held = &mut self.held[group];
        let before = held.capacity();
        held.extend_from_slice(numbers);
        self.bytes += (held.capacity() - before) * size_of::<f64>();
        match size_of_val(held.as_slice()) > NUMBERS_BYTES_MAX {
            true => Err(too_large(&self.function, NUMBERS_BYTES_MAX)),
            false => Ok(()),
        }
    }

    fn emitted(&mut self, emit_to: EmitTo) -> Vec<Vec<f64>> {
        let emitted = emit_to.take_needed(&mut self.held);
        let numbers: usize = emitted.iter().map(Vec::capacity).sum();
        self.bytes = self.bytes.saturating_sub(numbers * size_of::<f64>());
        emitted
    }
}

fn numbers_of(values: &[ArrayRef]) -> Result<&Float64Array> {
    match values.first().and_then(|values| values.as_primitive_opt::<Float64Type>()) {
        Some(numbers) => Ok(numbers),
        None => internal_err!("a percentile lies between numbers"),
    }
}

/// Tells whether a row counts.
fn is_taken(numbers: &Float64Array, filter: Option<&BooleanArray>, row: usize) -> bool {
    numbers.is_valid(row) && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// The numbers of groups as lists.
fn lists(numbers: Vec<f64>, offsets: OffsetBuffer<i32>) -> Result<Vec<ArrayRef>> {
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let numbers = Arc::new(Float64Array::from(numbers));
    Ok(vec![Arc::new(ListArray::try_new(item, offsets, numbers, None)?)])
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        check_current()?;
        let numbers = numbers_of(values)?;
        self.held.resize_with(count, Vec::new);
        for (row, group) in groups.iter().enumerate() {
            if is_taken(numbers, filter, row) {
                self.hold(*group, &[numbers.value(row)])?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        check_current()?;
        let (share, descending) = (self.share, self.descending);
        let mut emitted = self.emitted(emit_to);
        let found = emitted.iter_mut().map(|numbers| between(numbers, share?, descending));
        Ok(Arc::new(found.collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        check_current()?;
        let emitted = self.emitted(emit_to);
        let offsets = OffsetBuffer::from_lengths(emitted.iter().map(Vec::len));
        lists(emitted.concat(), offsets)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        check_current()?;
        let Some(lists) = states.first().and_then(|state| state.as_list_opt::<i32>()) else {
            return internal_err!("{} keeps lists", self.function);
        };
        let numbers = numbers_of(std::slice::from_ref(lists.values()))?;
        let offsets = lists.value_offsets();
        self.held.resize_with(count, Vec::new);
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| lists.is_valid(*row)) {
            let (first, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            self.hold(*group, &numbers.values()[first..end])?;
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let numbers = numbers_of(values)?;
        let rows = 0..numbers.len();
        let lengths = rows.clone().map(|row| usize::from(is_taken(numbers, filter, row)));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let taken = rows.filter(|row| is_taken(numbers, filter, *row));
        lists(taken.map(|row| numbers.value(row)).collect(), offsets)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.held.capacity() * size_of::<Vec<f64>>() + self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_two_values() {
        for (share, expected) in
            [(0.0, 5.0), (1.0, 1.0), (0.5, 2.0), (0.9, 1.299_999_999_999_999_8)]
        {
            let found = between(&mut [2.0, 1.0, 5.0, 2.0], share, true);
            assert_eq!(found, Some(expected), "{share}");
        }
        assert_eq!(between(&mut [3.0, 1.0], 0.25, false), Some(1.5));
        assert_eq!(between(&mut [], 0.5, false), None);
    }

    #[test]
    fn groups_have_percentiles_of_their_own_whichever_way_their_numbers_come() {
        let new = || Groups::new("percentile_cont".to_owned(), Some(0.5), false);
        let values =
            |values: Vec<Option<f64>>| vec![Arc::new(Float64Array::from(values)) as ArrayRef];
        let (first, second) =
            (values(vec![Some(1.0), None, Some(7.0), Some(9.0)]), values(vec![Some(4.0), None]));
        let filter = BooleanArray::from(vec![Some(true), Some(true), Some(true), None]);
        let mut direct = new();
        direct.update_batch(&first, &[0, 1, 2, 0], Some(&filter), 3).unwrap();
        direct.update_batch(&second, &[0, 3], None, 4).unwrap();
        let mut merged = new();
        let states = direct.convert_to_state(&first, Some(&filter)).unwrap();
        merged.merge_batch(&states, &[0, 1, 2, 0], 3).unwrap();
        let mut other = new();
        other.update_batch(&second, &[1, 0], None, 2).unwrap();
        let states = other.state(EmitTo::All).unwrap();
        merged.merge_batch(&states, &[3, 0], 4).unwrap();
        for mut groups in [direct, merged] {
            let first = groups.evaluate(EmitTo::First(1)).unwrap();
            let rest = groups.evaluate(EmitTo::All).unwrap();
            let shown = |array: &ArrayRef| -> Vec<Option<f64>> {
                array.as_primitive::<Float64Type>().iter().collect()
            };
            assert_eq!(shown(&first), [Some(2.5)]);
            assert_eq!(shown(&rest), [None, Some(7.0), None]);
            assert_eq!(groups.bytes, 0);
        }
    }
}
