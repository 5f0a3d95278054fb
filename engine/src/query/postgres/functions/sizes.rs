//! How large the result of a function is, told from its arguments before it is made.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, OffsetSizeTrait, StringViewArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use regex::Regex;

use super::bounded::{BATCH_BYTES_MAX, VALUE_BYTES_MAX};

/// What an element of an array takes beside its content.
const ELEMENT_BYTES: u64 = 8;

/// Bytes and elements of the result for each row.
pub(super) type Sizes = Vec<(u64, u64)>;

/// The arguments of a call, as they are measured: a constant has one row, which stands for all, since many of them
/// would be too large already.
pub(super) struct Arguments {
    arrays: Vec<ArrayRef>,
    rows: usize,
}

impl Arguments {
    /// Takes the arguments of a call over so many rows.
    pub(super) fn of(arguments: &[ColumnarValue], rows: usize) -> Result<Self> {
        let one = |argument: &ColumnarValue| match argument {
            ColumnarValue::Array(array) => Ok(ArrayRef::clone(array)),
            ColumnarValue::Scalar(value) => value.to_array(),
        };
        Ok(Self { arrays: arguments.iter().map(one).collect::<Result<_>>()?, rows })
    }

    /// Takes constants.
    pub(super) fn constants(values: &[&ScalarValue]) -> Result<Self> {
        let arrays = values.iter().map(|value| value.to_array()).collect::<Result<_>>()?;
        Ok(Self { arrays, rows: 1 })
    }

    fn get(&self, at: usize) -> Option<&ArrayRef> {
        self.arrays.get(at)
    }

    /// The bytes of an argument for each row; none where it is not given.
    fn bytes(&self, at: usize) -> Each {
        Each(self.get(at).map_or_else(|| vec![0], weights))
    }

    /// The values in all arrays of an argument for each row.
    fn leaves(&self, at: usize) -> Each {
        Each(self.get(at).map_or_else(|| vec![0], leaves))
    }

    fn number(&self, at: usize) -> Result<Each> {
        let Some(array) = self.get(at) else { return Ok(Each(vec![0])) };
        let numbers = numbers(array)?;
        let number = |row| if numbers.is_valid(row) { numbers.value(row) } else { 0 };
        Ok(Each((0..numbers.len()).map(|row| u64::try_from(number(row)).unwrap_or(0)).collect()))
    }

    fn texts(&self, at: usize) -> Result<Option<StringViewArray>> {
        let Some(array) = self.get(at) else { return Ok(None) };
        Ok(Some(cast(array, &DataType::Utf8View)?.as_string_view().clone()))
    }

    fn each_row(&self, size: impl FnMut(usize) -> (u64, u64)) -> Sizes {
        (0..self.rows).map(size).collect()
    }
}

/// A number for each row, or one for all.
struct Each(Vec<u64>);

impl Each {
    fn of(&self, row: usize) -> u64 {
        let at = if self.0.len() == 1 { 0 } else { row };
        self.0.get(at).copied().unwrap_or(0)
    }
}

/// The row of a column, or that of a constant.
fn text_at(texts: &StringViewArray, row: usize) -> Option<&str> {
    let at = if texts.len() == 1 { 0 } else { row };
    texts.is_valid(at).then(|| texts.value(at))
}

fn numbers(array: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// The bytes of each value.
pub(super) fn weights(array: &ArrayRef) -> Vec<u64> {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().lengths().map(u64::from).collect(),
        DataType::BinaryView => array.as_binary_view().lengths().map(u64::from).collect(),
        DataType::Utf8 => spans(array.as_string::<i32>().offsets()),
        DataType::LargeUtf8 => spans(array.as_string::<i64>().offsets()),
        DataType::Binary => spans(array.as_binary::<i32>().offsets()),
        DataType::LargeBinary => spans(array.as_binary::<i64>().offsets()),
        DataType::Struct(_) => {
            let mut total = vec![0; array.len()];
            for column in array.as_struct().columns() {
                total.iter_mut().zip(weights(column)).for_each(|(sum, bytes)| *sum += bytes);
            }
            total
        }
        data_type => in_lists(array, weights).unwrap_or_else(|| {
            vec![
                data_type.primitive_width().map_or(ELEMENT_BYTES, |width| width as u64);
                array.len()
            ]
        }),
    }
}

/// The values in each value: those of its elements if it is an array, and otherwise one.
fn leaves(array: &ArrayRef) -> Vec<u64> {
    in_lists(array, leaves).unwrap_or_else(|| vec![1; array.len()])
}

/// Sums what `of` gives for the elements of each array; `None` if these are no arrays.
fn in_lists(array: &ArrayRef, of: fn(&ArrayRef) -> Vec<u64>) -> Option<Vec<u64>> {
    Some(match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            sums(lists.values(), lists.offsets(), of)
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            sums(lists.values(), lists.offsets(), of)
        }
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            let values = of(array.as_fixed_size_list().values());
            match length {
                0 => vec![0; array.len()],
                _ => values.chunks(length).map(|values| values.iter().sum()).collect(),
            }
        }
        _ => return None,
    })
}

fn spans<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> Vec<u64> {
    offsets.windows(2).map(|span| (span[1].as_usize() - span[0].as_usize()) as u64).collect()
}

fn sums<O: OffsetSizeTrait>(
    elements: &ArrayRef,
    offsets: &OffsetBuffer<O>,
    of: fn(&ArrayRef) -> Vec<u64>,
) -> Vec<u64> {
    // Lists that were cut out of others have the elements of all of them.
    let (first, end) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
    let values = of(&elements.slice(first, end - first));
    let sum =
        |span: &[O]| values[span[0].as_usize() - first..span[1].as_usize() - first].iter().sum();
    offsets.windows(2).map(sum).collect()
}

/// Texts one after the other.
pub(super) fn joined(args: &Arguments) -> Result<Sizes> {
    let texts = args.arrays.iter().enumerate().filter(|(_, array)| array.data_type().is_string());
    let texts: Vec<Each> = texts.map(|(at, _)| args.bytes(at)).collect();
    Ok(args.each_row(|row| (total(texts.iter().map(|text| text.of(row))), 0)))
}

/// Texts one after the other, with the first one between them.
pub(super) fn separated(args: &Arguments) -> Result<Sizes> {
    let between = args.bytes(0);
    let count = args.arrays.len() as u64;
    let mut sizes = joined(args)?;
    for (row, size) in sizes.iter_mut().enumerate() {
        size.0 = size.0.saturating_add(between.of(row).saturating_mul(count));
    }
    Ok(sizes)
}

pub(super) fn repeated(args: &Arguments) -> Result<Sizes> {
    let (texts, counts) = (args.bytes(0), args.number(1)?);
    Ok(args.each_row(|row| (texts.of(row).saturating_mul(counts.of(row)), 0)))
}

pub(super) fn padded(args: &Arguments) -> Result<Sizes> {
    /// A letter takes at most four bytes.
    const LETTER: u64 = 4;
    let widths = args.number(1)?;
    Ok(args.each_row(|row| (widths.of(row).saturating_mul(LETTER), 0)))
}

pub(super) fn replaced(args: &Arguments) -> Result<Sizes> {
    let (texts, from, to) = (args.bytes(0), args.bytes(1), args.bytes(2));
    let size = |row: usize| match from.of(row) {
        0 => texts.of(row),
        from => texts.of(row).saturating_add((texts.of(row) / from).saturating_mul(to.of(row))),
    };
    Ok(args.each_row(|row| (size(row), 0)))
}

/// Texts with their matches replaced. Matches are counted only where one at each letter would be too much.
pub(super) fn substituted(args: &Arguments) -> Result<Sizes> {
    let (Some(texts), Some(patterns), Some(replacements)) =
        (args.texts(0)?, args.texts(1)?, args.texts(2)?)
    else {
        return Ok(args.each_row(|_| (0, 0)));
    };
    let flags = args.texts(3)?;
    let flags_at = |row| flags.as_ref().and_then(|flags| text_at(flags, row)).unwrap_or("");
    let size = |row: usize, matches: Option<u64>| {
        let (Some(text), Some(replacement)) = (text_at(&texts, row), text_at(&replacements, row))
        else {
            return 0;
        };
        let length = text.len() as u64;
        // All matches together are no longer than the text, and so is what a reference to a group of theirs gives.
        let references = replacement.bytes().filter(|byte| matches!(byte, b'\\' | b'$')).count();
        let matches = matches.unwrap_or(if flags_at(row).contains('g') { length + 1 } else { 1 });
        let kept = length.saturating_mul(1 + references as u64);
        kept.saturating_add(matches.saturating_mul(replacement.len() as u64))
    };
    let at_most = args.each_row(|row| (size(row, None), 0));
    let longest = at_most.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0);
    if longest <= VALUE_BYTES_MAX
        && total(at_most.iter().map(|(bytes, _)| *bytes)) <= BATCH_BYTES_MAX
    {
        return Ok(at_most);
    }
    let mut known: Option<(String, Option<Regex>)> = None;
    Ok(args.each_row(|row| {
        let (Some(text), Some(pattern)) = (text_at(&texts, row), text_at(&patterns, row)) else {
            return (0, 0);
        };
        let options = flags_at(row).replace('g', "");
        let pattern = match options.as_str() {
            "" => pattern.to_owned(),
            options => format!("(?{options}){pattern}"),
        };
        if known.as_ref().is_none_or(|(before, _)| *before != pattern) {
            let regex = Regex::new(&pattern).ok();
            known = Some((pattern, regex));
        }
        // A pattern that is none is refused by the function.
        let matches = known.as_ref().and_then(|(_, regex)| regex.as_ref()).map_or(0, |regex| {
            regex
                .find_iter(text)
                .take(if flags_at(row).contains('g') { usize::MAX } else { 1 })
                .count()
        });
        (size(row, Some(matches as u64)), 0)
    }))
}

/// The parts of a text. A text of letters has at most as many as letters.
pub(super) fn split(args: &Arguments) -> Result<Sizes> {
    let (Some(texts), Some(between)) = (args.texts(0)?, args.texts(1)?) else {
        return Ok(args.each_row(|_| (0, 0)));
    };
    Ok(args.each_row(|row| {
        let Some(text) = text_at(&texts, row) else { return (0, 0) };
        let parts = match text_at(&between, row) {
            Some("") => 1,
            Some(between) => text.matches(between).count() as u64 + 1,
            None => text.len() as u64,
        };
        ((text.len() as u64).saturating_add(parts.saturating_mul(2 * ELEMENT_BYTES)), parts)
    }))
}

/// An array with all elements of the arguments.
pub(super) fn gathered(args: &Arguments) -> Result<Sizes> {
    let each: Vec<(Each, Each)> =
        (0..args.arrays.len()).map(|at| (args.bytes(at), args.leaves(at))).collect();
    Ok(args.each_row(|row| {
        let elements = total(each.iter().map(|(_, leaves)| leaves.of(row)));
        let bytes = total(each.iter().map(|(bytes, _)| bytes.of(row)));
        (bytes.saturating_add(elements.saturating_mul(ELEMENT_BYTES)), elements)
    }))
}

/// One value so many times.
pub(super) fn array_repeated(args: &Arguments) -> Result<Sizes> {
    let (bytes, leaves, counts) = (args.bytes(0), args.leaves(0), args.number(1)?);
    Ok(args.each_row(|row| {
        let each = bytes.of(row).saturating_add(ELEMENT_BYTES);
        (counts.of(row).saturating_mul(each), counts.of(row).saturating_mul(leaves.of(row).max(1)))
    }))
}

/// An array of another length, filled with a value.
pub(super) fn array_resized(args: &Arguments) -> Result<Sizes> {
    let (bytes, counts, value) = (args.bytes(0), args.number(1)?, args.bytes(2));
    Ok(args.each_row(|row| {
        let filled = counts.of(row).saturating_mul(value.of(row).saturating_add(ELEMENT_BYTES));
        (bytes.of(row).saturating_add(filled), counts.of(row))
    }))
}

/// An array with a value in place of some of its elements.
pub(super) fn array_replaced(args: &Arguments) -> Result<Sizes> {
    let (bytes, leaves, value) = (args.bytes(0), args.leaves(0), args.bytes(2));
    Ok(args.each_row(|row| {
        let replaced = leaves.of(row).saturating_mul(value.of(row).saturating_add(ELEMENT_BYTES));
        (bytes.of(row).saturating_add(replaced), leaves.of(row))
    }))
}

/// Series of numbers, dates and times, each in the unit that it is stored in.
pub(super) fn series(args: &Arguments) -> Result<Sizes> {
    const NANOS_A_DAY: i128 = 86_400_000_000_000;
    const DAYS_A_MONTH: i128 = 28;
    let unit: i128 = match args.arrays[0].data_type() {
        DataType::Date32 => NANOS_A_DAY,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    };
    let at = |array: &dyn Array, row: usize| if array.len() == 1 { 0 } else { row };
    // One argument is the end of a series from 0.
    let zero = Int64Array::from(vec![0]);
    let (start, stop) = match args.arrays.as_slice() {
        [stop] => (zero, numbers(stop)?),
        [start, stop, ..] => (numbers(start)?, numbers(stop)?),
        [] => return Ok(args.each_row(|_| (0, 0))),
    };
    let step = |row: usize| -> Result<i128> {
        let Some(step) = args.get(2).filter(|step| step.is_valid(at(step, row))) else {
            return Ok(1);
        };
        if let Some(steps) = step.as_primitive_opt::<IntervalMonthDayNanoType>() {
            let value = steps.value(at(step, row));
            let days = i128::from(value.months) * DAYS_A_MONTH + i128::from(value.days);
            return Ok(days * NANOS_A_DAY + i128::from(value.nanoseconds));
        }
        Ok(i128::from(numbers(step)?.value(at(step, row))))
    };
    let mut sizes = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        let (from, to) = (at(&start, row), at(&stop, row));
        if start.is_null(from) || stop.is_null(to) {
            sizes.push((0, 0));
            continue;
        }
        let span = (i128::from(stop.value(to)) - i128::from(start.value(from))).abs() * unit;
        let elements = u64::try_from(span / step(row)?.abs().max(1)).unwrap_or(u64::MAX);
        let elements = elements.saturating_add(1);
        sizes.push((elements.saturating_mul(8), elements));
    }
    Ok(sizes)
}

fn total(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}
