//! How much values are, and how they are held without what lies around them.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericByteViewArray, ListArray, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{ByteViewType, DataType};

/// Bytes of a view.
const VIEW_BYTES: usize = 16;
/// Bytes of buffers that are never worth a copy of what is used of them.
const UNUSED_BYTES_MAX: usize = 64 << 10;

/// The bytes of the values of an array, wherever they lie.
pub(crate) fn bytes(array: &dyn Array) -> usize {
    let rows = array.len();
    let text_bytes = |lengths: &mut dyn Iterator<Item = u32>| {
        rows * VIEW_BYTES + lengths.map(|length| length as usize).sum::<usize>()
    };
    match array.data_type() {
        DataType::Utf8View => text_bytes(&mut array.as_string_view().lengths()),
        DataType::BinaryView => text_bytes(&mut array.as_binary_view().lengths()),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            size_of_val(lists.value_offsets()) + bytes(within(lists).as_ref())
        }
        _ => array.to_data().get_slice_memory_size().unwrap_or_default(),
    }
}

/// What each value of a type takes beside its content.
pub(super) fn overhead(data_type: &DataType) -> usize {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => VIEW_BYTES,
        DataType::Utf8 | DataType::Binary | DataType::List(_) => size_of::<i32>(),
        DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) => size_of::<i64>(),
        _ => 0,
    }
}

/// How many values there are in the arrays of an array; as many as it has if it has none.
pub(super) fn elements(array: &ArrayRef) -> usize {
    match array.as_list_opt::<i32>() {
        Some(lists) => within(lists).len(),
        None => array.len(),
    }
}

/// The elements of lists, and none of those that lie around them.
fn within(lists: &ListArray) -> ArrayRef {
    let offsets = lists.value_offsets();
    let (first, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
    lists.values().slice(first, end - first)
}

/// The same values. A view keeps all of the buffer that its text lies in, as the beginning of a long text keeps the text:
/// where much of the buffers is of no use, what is used of them is copied.
pub(in super::super) fn compacted(array: &ArrayRef) -> ArrayRef {
    let compact: Option<ArrayRef> = match array.data_type() {
        DataType::Utf8View => used(array.as_string_view()),
        DataType::BinaryView => used(array.as_binary_view()),
        DataType::List(item) if has_views(item.data_type()) => {
            let lists = array.as_list::<i32>();
            let (values, nulls) = (compacted(&within(lists)), lists.nulls().cloned());
            let offsets = OffsetBuffer::from_lengths(lists.offsets().lengths());
            let lists = ListArray::try_new(Arc::clone(item), offsets, values, nulls);
            lists.ok().map(|lists| Arc::new(lists) as ArrayRef)
        }
        DataType::Struct(fields) if has_views(array.data_type()) => {
            let records = array.as_struct();
            let columns = records.columns().iter().map(compacted).collect();
            let records = StructArray::try_new(fields.clone(), columns, records.nulls().cloned());
            records.ok().map(|records| Arc::new(records) as ArrayRef)
        }
        _ => None,
    };
    compact.unwrap_or_else(|| Arc::clone(array))
}

/// A copy of texts, if much of their buffers is of no use.
fn used<T: ByteViewType>(texts: &GenericByteViewArray<T>) -> Option<ArrayRef> {
    let kept: usize = texts.data_buffers().iter().map(|buffer| buffer.len()).sum();
    let most = texts.total_buffer_bytes_used().saturating_mul(2).saturating_add(UNUSED_BYTES_MAX);
    (kept > most).then(|| Arc::new(texts.gc()) as ArrayRef)
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::List(item) => has_views(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field.data_type())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{RecordBatch, StringViewArray};
    use datafusion::arrow::datatypes::{Field, Fields};

    use super::*;

    /// The bytes of all buffers that an array keeps.
    fn kept(array: &ArrayRef) -> usize {
        let batch = RecordBatch::try_from_iter([("a", Arc::clone(array))]).unwrap();
        batch.get_array_memory_size()
    }

    #[test]
    fn what_is_held_keeps_nothing_else() {
        let long = (0..1_000).map(|row| format!("{row:01000}"));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(long));
        let few = texts.slice(500, 10);
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let offsets = OffsetBuffer::from_lengths([4, 0, 6]);
        let lists: ArrayRef =
            Arc::new(ListArray::new(item, offsets, Arc::clone(&few), None).slice(1, 2));
        let fields = Fields::from(vec![Field::new("t", DataType::Utf8View, true)]);
        let records: ArrayRef = Arc::new(StructArray::new(fields, vec![Arc::clone(&few)], None));
        for held in [few, lists, records] {
            let compact = compacted(&held);
            assert_eq!(&compact, &held);
            assert!(kept(&held) > 1_000_000, "{} bytes", kept(&held));
            assert!(kept(&compact) < 30_000, "{} bytes", kept(&compact));
        }
        assert!(Arc::ptr_eq(&compacted(&texts), &texts), "all of it is used");
    }

    #[test]
    fn bytes_are_those_of_the_values() {
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(["a", "bc", "def"]));
        assert_eq!(bytes(&texts.slice(1, 2)), 2 * VIEW_BYTES + 5);
        assert_eq!((elements(&texts), overhead(texts.data_type())), (3, VIEW_BYTES));
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let offsets = OffsetBuffer::from_lengths([1, 2]);
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, texts, None));
        assert_eq!((elements(&lists), elements(&lists.slice(1, 1))), (3, 2));
    }
}
