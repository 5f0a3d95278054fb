//! Ids of rows, numbered in order of first appearance: bigints and texts.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;

use super::asking::{each, sort};
use crate::identity::Interner;
use crate::identity::interner::{KeyTable, NONE};

/// The most ids that can be numbered.
pub(super) const IDS_MAX: usize = NONE as usize;

/// Ids while they come.
pub(super) enum Ids {
    Numbers(KeyTable),
    Texts(Interner),
}

/// Ids by their numbers.
pub(super) enum Names {
    Numbers(Vec<u64>),
    Texts(Interner),
}

/// Names in their own order, which arrival has no part in.
pub(super) struct Ranked {
    names: Names,
    /// By rank the number.
    order: Vec<u32>,
    /// By number the rank.
    ranks: Vec<u32>,
}

impl Ids {
    /// Makes ready for ids of a type: bigints, or texts.
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 => Ids::Numbers(KeyTable::new()),
            _ => Ids::Texts(Interner::new()),
        }
    }

    /// Returns the numbers of a column's ids, none of which is null.
    pub(super) fn number(&mut self, column: &ArrayRef) -> Vec<u32> {
        match self {
            Ids::Numbers(table) => {
                let ids = column.as_primitive::<Int64Type>().values();
                ids.iter().map(|id| table.insert(id.cast_unsigned())).collect()
            }
            Ids::Texts(interner) => {
                let ids = column.as_string::<i32>();
                (0..ids.len()).map(|row| interner.intern(ids.value(row))).collect()
            }
        }
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Ids::Numbers(table) => table.len(),
            Ids::Texts(interner) => interner.len(),
        }
    }

    /// Returns how many bytes they take at most while the ids of these columns come to them.
    pub(super) fn memory_with(&self, columns: &[&ArrayRef]) -> usize {
        let rows: usize = columns.iter().map(|column| column.len()).sum();
        match self {
            Ids::Numbers(table) => table.memory_with(rows),
            Ids::Texts(interner) => {
                interner.memory_with(rows, columns.iter().map(|column| text_bytes(column)).sum())
            }
        }
    }

    /// Sorts them.
    pub(super) fn ranked(self) -> Result<Ranked> {
        Ranked::of(match self {
            Ids::Numbers(table) => Names::Numbers(table.into_keys()),
            Ids::Texts(interner) => Names::Texts(interner),
        })
    }
}

/// Returns how many bytes the texts of a column have.
pub(super) fn text_bytes(column: &ArrayRef) -> usize {
    column.as_string_opt::<i32>().map_or(0, |texts| {
        let offsets = texts.value_offsets();
        let ends = offsets.first().zip(offsets.last());
        ends.map_or(0, |(first, last)| usize::try_from(last - first).unwrap_or(0))
    })
}

impl Names {
    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Names::Numbers(keys) => keys.len(),
            Names::Texts(interner) => interner.len(),
        }
    }

    /// Compares two ids: by value, or byte by byte.
    pub(super) fn compare(&self, left: u32, right: u32) -> Ordering {
        match self {
            Names::Numbers(keys) => {
                let id = |number: u32| keys[number as usize].cast_signed();
                id(left).cmp(&id(right))
            }
            Names::Texts(interner) => interner.text(left).cmp(interner.text(right)),
        }
    }

    /// Returns a column of the ids with these numbers.
    pub(super) fn column(&self, numbers: impl Iterator<Item = u32>) -> ArrayRef {
        match self {
            Names::Numbers(keys) => Arc::new(Int64Array::from_iter_values(
                numbers.map(|number| keys[number as usize].cast_signed()),
            )),
            Names::Texts(interner) => {
                Arc::new(StringArray::from_iter_values(numbers.map(|number| interner.text(number))))
            }
        }
    }
}

impl Ranked {
    /// Bytes that the ranks of an id take, while it is sorted, too.
    pub(super) const BYTES: usize = 3 * size_of::<u32>();

    fn of(names: Names) -> Result<Self> {
        let mut order: Vec<u32> = (0..names.count() as u32).collect();
        sort(&mut order, |left, right| names.compare(*left, *right))?;
        let mut ranks = vec![0; order.len()];
        each((0..).zip(&order), |(rank, number)| ranks[*number as usize] = rank)?;
        Ok(Self { names, order, ranks })
    }

    /// Returns how many ids there are.
    pub(super) fn count(&self) -> usize {
        self.order.len()
    }

    /// Returns the rank of the id with a number.
    pub(super) fn rank(&self, number: u32) -> u32 {
        self.ranks[number as usize]
    }

    /// Returns the text with a rank; empty for numbers.
    pub(super) fn text(&self, rank: u32) -> &str {
        match &self.names {
            Names::Numbers(_) => "",
            Names::Texts(interner) => interner.text(self.order[rank as usize]),
        }
    }

    /// Returns a column of the ids with these ranks.
    pub(super) fn column(&self, ranks: impl Iterator<Item = u32>) -> ArrayRef {
        self.names.column(ranks.map(|rank| self.order[rank as usize]))
    }
}
