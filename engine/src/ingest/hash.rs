//! Hashes of rows, made a column at a time, by which ingest recognises what it has seen.
//!
//! They live in memory only, under a seed drawn when the process starts, so that nobody can send rows that collide.

use arrow::array::{Array, ArrayRef};
use datafusion::common::hash_utils::{RandomState, create_hashes};

use crate::error::Result;

/// The seeds of one process.
#[derive(Debug, Clone, Copy)]
pub struct RowHasher {
    low: u64,
    high: u64,
}

impl RowHasher {
    /// Draws the seeds.
    pub fn new() -> Self {
        Self { low: rand::random(), high: rand::random() }
    }

    /// Hashes each row's values of `columns`, which are given with their names: the order of columns does not matter, and a
    /// column that is null counts as absent.
    pub fn hash(&self, columns: &[(&str, &ArrayRef)], rows: usize) -> Result<Vec<u128>> {
        let low = self.half(self.low, columns, rows)?;
        let high = self.half(self.high, columns, rows)?;
        Ok(low
            .into_iter()
            .zip(high)
            .map(|(low, high)| u128::from(high) << 64 | u128::from(low))
            .collect())
    }

    /// Hashes one text.
    pub fn text(&self, text: &str) -> u128 {
        use std::hash::BuildHasher;
        let half = |seed| RandomState::with_seed(seed).hash_one(text);
        u128::from(half(self.high)) << 64 | u128::from(half(self.low))
    }

    fn half(&self, seed: u64, columns: &[(&str, &ArrayRef)], rows: usize) -> Result<Vec<u64>> {
        use std::hash::BuildHasher;
        let state = RandomState::with_seed(seed);
        let mut sums = vec![0u64; rows];
        let mut hashes = vec![0u64; rows];
        for (name, column) in columns {
            let salt = state.hash_one(name) | 1;
            hashes.fill(0);
            create_hashes([*column], &state, &mut hashes)?;
            for (row, hash) in hashes.iter().enumerate() {
                if column.is_valid(row) {
                    sums[row] = sums[row].wrapping_add(mix(hash ^ salt));
                }
            }
        }
        Ok(sums)
    }
}

impl Default for RowHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Spreads the bits of `x` (the finaliser of MurmurHash3).
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn the_order_of_columns_and_absent_columns_do_not_matter() {
        let hasher = RowHasher::new();
        let a: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
        let b: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let nothing: ArrayRef = Arc::new(Int64Array::from(vec![None, None]));
        let one = hasher.hash(&[("a", &a), ("b", &b)], 2).unwrap();
        assert_eq!(one, hasher.hash(&[("b", &b), ("new", &nothing), ("a", &a)], 2).unwrap());
        assert_ne!(one, hasher.hash(&[("b", &a), ("a", &b)], 2).unwrap());
        assert_eq!(one[1], hasher.hash(&[("b", &b)], 2).unwrap()[1]);
    }
}
