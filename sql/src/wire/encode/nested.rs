//! Arrays of several dimensions: `{{1,2},{3,4}}`, or the length of each dimension and all elements in order.
//!
//! Lists within lists need not be as long as each other, as the parts of an array are. Those that are not are written as
//! they are in text, and in binary as one dimension of all their elements.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use bytes::BufMut;

use super::list::{Ranges, parts, put_element};
use super::{Column, Format, Zone, cell, child};
use crate::wire::types::{LOGICAL_TYPE_KEY, PgType, element_of};

/// The lists of one dimension: where the parts of each stand, and which are null.
struct Level<'a> {
    ranges: Ranges<'a>,
    nulls: Option<NullBuffer>,
}

struct Nested<'a> {
    /// From the outermost dimension to the innermost.
    levels: Vec<Level<'a>>,
    leaves: Box<dyn Column + 'a>,
    /// The type of the leaves.
    element: u32,
}

/// Returns the elements of a list of lists.
pub(super) fn item(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item)
        }
        _ => None,
    }
}

/// Writes a list whose elements are lists as an array; `None` for other lists.
pub(super) fn nested<'a>(
    array: &'a dyn Array,
    element: &Field,
    format: Format,
    zone: &Zone,
) -> Option<Box<dyn Column + 'a>> {
    item(element.data_type())?;
    let (mut values, ranges): (&'a ArrayRef, Ranges<'a>) = parts(array)?;
    let mut levels = vec![Level { ranges, nulls: None }];
    let mut leaf = Arc::new(element.clone());
    while let (Some(inner), Some((below, ranges))) =
        (item(leaf.data_type()), parts(values.as_ref()))
    {
        levels.push(Level { ranges, nulls: values.logical_nulls() });
        let mut inner = Arc::clone(inner);
        // What the type of the whole says of its elements is true of these.
        if let Some(word) = leaf.metadata().get(LOGICAL_TYPE_KEY)
            && !inner.metadata().contains_key(LOGICAL_TYPE_KEY)
            && element_of(PgType::of(&leaf).oid).is_none()
        {
            let metadata = [(LOGICAL_TYPE_KEY.to_owned(), word.clone())];
            inner = Arc::new(inner.as_ref().clone().with_metadata(metadata.into()));
        }
        (leaf, values) = (inner, below);
    }
    let leaves = child(values, &leaf, format, zone);
    let nested = Nested { levels, leaves, element: PgType::of(&leaf).oid };
    Some(match format {
        Format::Text => cell(array, move |row, out: &mut Vec<u8>| match nested.is_empty(0, row) {
            true => out.put_slice(b"{}"),
            false => nested.put_text(0, row, out),
        }),
        Format::Binary => cell(array, move |row, out| nested.put_binary(row, out)),
    })
}

impl Nested<'_> {
    fn is_null(&self, depth: usize, at: usize) -> bool {
        match self.levels.get(depth) {
            Some(level) => level.nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)),
            None => self.leaves.is_null(at),
        }
    }

    fn put_text(&self, depth: usize, at: usize, out: &mut Vec<u8>) {
        let Some(level) = self.levels.get(depth) else {
            return put_element(self.leaves.as_ref(), at, out);
        };
        out.put_u8(b'{');
        for (index, part) in (level.ranges)(at).enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            match self.is_null(depth + 1, part) {
                true => out.put_slice(b"NULL"),
                false => self.put_text(depth + 1, part, out),
            }
        }
        out.put_u8(b'}');
    }

    /// Whether a list has no leaf.
    fn is_empty(&self, depth: usize, at: usize) -> bool {
        let Some(level) = self.levels.get(depth) else { return false };
        let depth = depth + 1;
        (level.ranges)(at).all(|part| self.passed(depth, part) || self.is_empty(depth, part))
    }

    fn gather(&self, depth: usize, at: usize, leaves: &mut Vec<usize>) {
        let Some(level) = self.levels.get(depth) else { return leaves.push(at) };
        for part in (level.ranges)(at) {
            if !self.passed(depth + 1, part) {
                self.gather(depth + 1, part, leaves);
            }
        }
    }

    /// Whether a part is a list that is null, which has no leaves.
    fn passed(&self, depth: usize, at: usize) -> bool {
        depth < self.levels.len() && self.is_null(depth, at)
    }

    fn put_binary(&self, row: usize, out: &mut Vec<u8>) {
        let mut leaves = Vec::new();
        self.gather(0, row, &mut leaves);
        let mut lengths = Vec::new();
        let mut at = row;
        for level in &self.levels {
            let range = (level.ranges)(at);
            lengths.push(range.len());
            if range.is_empty() {
                break;
            }
            at = range.start;
        }
        if lengths.iter().product::<usize>() != leaves.len() {
            lengths = vec![leaves.len()];
        }
        if leaves.is_empty() {
            lengths.clear();
        }
        let has_null = leaves.iter().any(|leaf| self.leaves.is_null(*leaf));
        let number = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
        out.put_i32(number(lengths.len()));
        out.put_i32(i32::from(has_null));
        out.put_u32(self.element);
        for length in lengths {
            out.put_i32(number(length));
            out.put_i32(1);
        }
        for leaf in leaves {
            self.leaves.write_sized(leaf, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::ListArray;
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Int32Type;

    use super::*;

    fn check(lists: [Vec<Option<i32>>; 2], text: &str, binary: &str) {
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(lists.map(Some));
        let item = Arc::new(Field::new("item", inner.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([2]);
        let array = ListArray::new(Arc::clone(&item), offsets, Arc::new(inner), None);
        let written = |format| {
            let mut out = Vec::new();
            nested(&array, &item, format, &Zone::utc()).unwrap().write(0, &mut out);
            out
        };
        assert_eq!(String::from_utf8(written(Format::Text)).unwrap(), text);
        assert_eq!(hex::encode(written(Format::Binary)), binary, "{text}");
    }

    #[test]
    fn lists_of_lists_are_arrays_of_two_dimensions() {
        check(
            [vec![Some(1), Some(2)], vec![None, Some(4)]],
            "{{1,2},{NULL,4}}",
            "0000000200000001000000170000000200000001000000020000000100000004000000010000000400000002ffffffff0000000400000004",
        );
        check(
            [vec![Some(1), None], vec![]],
            "{{1,NULL},{}}",
            "00000001000000010000001700000002000000010000000400000001ffffffff",
        );
        check([vec![], vec![]], "{}", "000000000000000000000017");
    }
}
