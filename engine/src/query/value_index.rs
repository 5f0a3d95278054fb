//! In which rows of a file a value may stand, of columns that statements look for single values in.
//!
//! An index is made of a column of a file when a statement that is run again asks for one value of it, as by an e-mail
//! address, and is kept for as long as there is room: a few bytes a row, no value among them. Files are immutable, so it
//! never goes stale. It tells of the rows of everybody, like the file; which of them exist is asked afterwards.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use parking_lot::Mutex;

/// Bytes of indexes that are kept at most; all are dropped beyond that.
const BYTES_MAX: usize = 64 << 20;

/// The rows of one column by the hashes of their values. Rows without a value are in none.
#[derive(Debug)]
pub(super) struct ValueIndex(Box<[(u32, u32)]>);

impl ValueIndex {
    /// Tells whether columns of this type have one.
    pub(super) fn is_for(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Utf8View | DataType::Int64)
    }

    /// Makes the index of a column; `None` if it is of another type, or too long.
    pub(super) fn of(column: &dyn Array) -> Option<Self> {
        let rows = 0..u32::try_from(column.len()).ok()?;
        let mut entries: Vec<(u32, u32)> = match column.data_type() {
            DataType::Utf8View => {
                let texts = column.as_string_view().iter().zip(rows);
                texts.filter_map(|(text, row)| Some((hash(text?), row))).collect()
            }
            DataType::Int64 => {
                let numbers = column.as_primitive::<Int64Type>().iter().zip(rows);
                numbers.filter_map(|(number, row)| Some((hash(&number?), row))).collect()
            }
            _ => return None,
        };
        entries.sort_unstable();
        Some(Self(entries.into()))
    }

    /// Returns the rows that may hold `value`, in order; `None` if nothing is known of values of its type.
    pub(super) fn rows(&self, value: &ScalarValue) -> Option<impl Iterator<Item = u32>> {
        let wanted = match value {
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)) => hash(text.as_str()),
            ScalarValue::Int64(Some(number)) => hash(number),
            _ => return None,
        };
        let from = self.0.partition_point(|(hash, _)| *hash < wanted);
        let found = self.0[from..].iter().take_while(move |(hash, _)| *hash == wanted);
        Some(found.map(|(_, row)| *row))
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

fn hash<T: Hash + ?Sized>(value: &T) -> u32 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish() as u32
}

/// The indexes that were made.
#[derive(Debug, Default)]
pub(super) struct IndexCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By the path of the file, and by the column.
    files: HashMap<String, HashMap<usize, Arc<ValueIndex>>>,
    bytes: usize,
}

impl IndexCache {
    /// Returns the index of a column of a file, if there is one.
    pub(super) fn get(&self, path: &str, column: usize) -> Option<Arc<ValueIndex>> {
        self.0.lock().files.get(path)?.get(&column).cloned()
    }

    /// Keeps an index.
    pub(super) fn insert(&self, path: &str, column: usize, index: ValueIndex) {
        let mut kept = self.0.lock();
        if kept.bytes + index.bytes() > BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += index.bytes();
        let before = kept.files.entry(path.to_owned()).or_default().insert(column, Arc::new(index));
        kept.bytes -= before.map_or(0, |before| before.bytes());
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Int64Array, StringViewArray};

    use super::*;

    #[test]
    fn a_value_is_found_in_every_row_that_holds_it() {
        let texts =
            StringViewArray::from(vec![Some("ada"), None, Some("bob"), Some("ada"), Some("")]);
        let index = ValueIndex::of(&texts).unwrap();
        let rows = |value: ScalarValue| index.rows(&value).unwrap().collect::<Vec<_>>();
        assert_eq!(rows(ScalarValue::Utf8(Some("ada".into()))), [0, 3]);
        assert_eq!(rows(ScalarValue::Utf8View(Some(String::new()))), [4]);
        assert_eq!(rows(ScalarValue::Utf8(Some("eve".into()))), [0_u32; 0]);
        assert!(index.rows(&ScalarValue::Utf8(None)).is_none());

        let numbers =
            ValueIndex::of(&Int64Array::from_iter_values((0..1_000).map(|n| n % 10))).unwrap();
        let sevens: Vec<u32> = numbers.rows(&ScalarValue::Int64(Some(7))).unwrap().collect();
        assert_eq!(sevens.len(), 100);
        assert!(sevens.iter().all(|row| row % 10 == 7) && sevens.is_sorted());
        assert!(ValueIndex::of(&BooleanArray::from(vec![true])).is_none());
    }

    #[test]
    fn the_indexes_that_are_kept_fit_their_bound() {
        let cache = IndexCache::default();
        let numbers = Int64Array::from_iter_values(0..100_000);
        for file in 0..(2 * BYTES_MAX / (8 * 100_000)) {
            cache.insert(&format!("file {file}"), 3, ValueIndex::of(&numbers).unwrap());
            assert!(cache.get(&format!("file {file}"), 3).is_some());
            assert!(cache.0.lock().bytes <= BYTES_MAX);
        }
        assert!(cache.get("file 0", 3).is_none());
    }
}
