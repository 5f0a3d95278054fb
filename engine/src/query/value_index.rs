//! In which rows of a file a value may stand, of columns that statements look for single values in.
//!
//! An index is made of a column of a file when a statement that is run again asks for one value of it, as by an e-mail
//! address, and is kept for as long as there is room: a few bytes a row, no value among them. Files are immutable, so it
//! never goes stale. It tells of the rows of everybody, like the file; which of them exist is asked afterwards.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{HashMap, ScalarValue};
use parking_lot::Mutex;

use super::directory::Directory;

/// Bytes of indexes that are kept at most; all are dropped beyond that.
const BYTES_MAX: usize = 64 << 20;

/// The rows of one column by the hashes of their values. Rows without a value are in none.
#[derive(Debug)]
pub(super) struct ValueIndex {
    entries: Box<[(u32, u32)]>,
    directory: Directory,
}

/// What a value is looked for by, which is the same in every index.
#[derive(Debug, Clone, Copy)]
pub(super) struct ValueHash(u32);

impl ValueHash {
    /// Returns that of `value`; `None` if nothing is known of values of its type.
    pub(super) fn of(value: &ScalarValue) -> Option<Self> {
        match value {
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)) => Some(Self(hash(text.as_str()))),
            ScalarValue::Int64(Some(number)) => Some(Self(hash(number))),
            _ => None,
        }
    }
}

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
        let count = u32::try_from(entries.len()).ok()?;
        let directory = Directory::of(count, |at| u64::from(entries[at].0));
        Some(Self { entries: entries.into(), directory })
    }

    /// Returns the rows that may hold the value of this hash, in order.
    pub(super) fn rows(&self, value: ValueHash) -> impl Iterator<Item = u32> {
        let near = &self.entries[self.directory.around(u64::from(value.0))];
        let from = near.partition_point(|(hash, _)| *hash < value.0);
        let found = near[from..].iter().take_while(move |(hash, _)| *hash == value.0);
        found.map(|(_, row)| *row)
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.entries) + self.directory.bytes()
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
    /// Returns the index of a column of each of some files, if there is one.
    pub(super) fn of_files<'a>(
        &self,
        paths: impl Iterator<Item = &'a str>,
        column: usize,
    ) -> Vec<Option<Arc<ValueIndex>>> {
        let kept = self.0.lock();
        paths.map(|path| kept.files.get(path)?.get(&column).cloned()).collect()
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
        let hash_of = |value: ScalarValue| ValueHash::of(&value).unwrap();
        let rows = |value: ScalarValue| index.rows(hash_of(value)).collect::<Vec<_>>();
        assert_eq!(rows(ScalarValue::Utf8(Some("ada".into()))), [0, 3]);
        assert_eq!(rows(ScalarValue::Utf8View(Some(String::new()))), [4]);
        assert_eq!(rows(ScalarValue::Utf8(Some("eve".into()))), [0_u32; 0]);
        assert!(ValueHash::of(&ScalarValue::Utf8(None)).is_none());

        let numbers =
            ValueIndex::of(&Int64Array::from_iter_values((0..1_000).map(|n| n % 10))).unwrap();
        let sevens: Vec<u32> = numbers.rows(hash_of(ScalarValue::Int64(Some(7)))).collect();
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
            let path = format!("file {file}");
            assert!(cache.of_files([path.as_str()].into_iter(), 3)[0].is_some());
            assert!(cache.0.lock().bytes <= BYTES_MAX);
        }
        assert!(cache.of_files(["file 0"].into_iter(), 3)[0].is_none());
    }
}
