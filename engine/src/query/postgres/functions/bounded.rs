//! DataFusion's functions whose result can be far larger than their arguments, with bounds.
//!
//! The memory pool does not see what a function allocates, and constants are folded while a statement is planned: without
//! these bounds `repeat('x', 1000000000)` takes the memory of the process.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::failure;
use crate::Error;

/// One value takes at most this many bytes.
pub(super) const VALUE_BYTES_MAX: u64 = 16 << 20;
/// The values that one call makes for one batch take at most this many bytes together.
pub(super) const BATCH_BYTES_MAX: u64 = 256 << 20;
/// One array has at most this many elements.
const ELEMENTS_MAX: u64 = 1_000_000;

/// Bytes and elements of the result for each row.
type Sizes = Vec<(u64, u64)>;

/// Computes the sizes from the arguments of so many rows.
type Measure = fn(&[ArrayRef], usize) -> Result<Sizes>;

const BOUNDED: [(&str, Measure); 10] = [
    ("concat", joined),
    ("concat_ws", separated),
    ("repeat", repeated),
    ("lpad", padded),
    ("rpad", padded),
    ("replace", replaced),
    ("array_repeat", array_repeated),
    ("array_resize", array_repeated),
    ("range", series),
    ("generate_series", series),
];

static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let all = SessionStateDefaults::default_scalar_functions();
    let wrap = |(name, sizes): &(&'static str, Measure)| {
        let inner = all.iter().find(|function| function.name() == *name)?;
        Some(ScalarUDF::from(Bounded { inner: Arc::clone(inner), sizes: *sizes }))
    };
    BOUNDED.iter().filter_map(wrap).collect()
});

/// Returns the bounded functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.clone()
}

#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    sizes: Measure,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let mut total: u64 = 0;
        for (bytes, elements) in (self.sizes)(&arrays, rows)? {
            total = total.saturating_add(bytes);
            if bytes > VALUE_BYTES_MAX || elements > ELEMENTS_MAX || total > BATCH_BYTES_MAX {
                return Err(failure(Error::Limit {
                    sqlstate: "54000",
                    message: format!(
                        "{}() would make more than {VALUE_BYTES_MAX} bytes or {ELEMENTS_MAX} elements",
                        self.inner.name()
                    ),
                    hint: "Make smaller values.".to_string(),
                }));
            }
        }
        self.inner.invoke_with_args(args)
    }
}

fn numbers(array: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn number(array: &Int64Array, row: usize) -> u64 {
    if array.is_valid(row) { u64::try_from(array.value(row)).unwrap_or(0) } else { 0 }
}

/// The bytes of each text.
fn lengths(array: &ArrayRef) -> Result<Vec<u64>> {
    let texts = cast(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    Ok((0..texts.len())
        .map(|row| if texts.is_valid(row) { texts.value_length(row) as u64 } else { 0 })
        .collect())
}

/// Texts one after the other.
fn joined(args: &[ArrayRef], rows: usize) -> Result<Sizes> {
    let mut sizes = vec![(0_u64, 0); rows];
    for argument in args.iter().filter(|argument| argument.data_type().is_string()) {
        for (size, length) in sizes.iter_mut().zip(lengths(argument)?) {
            size.0 = size.0.saturating_add(length);
        }
    }
    Ok(sizes)
}

/// Texts one after the other, with the first one between them.
fn separated(args: &[ArrayRef], rows: usize) -> Result<Sizes> {
    let mut sizes = joined(args, rows)?;
    if let Some(between) = args.first().filter(|between| between.data_type().is_string()) {
        for (size, length) in sizes.iter_mut().zip(lengths(between)?) {
            size.0 = size.0.saturating_add(length.saturating_mul(args.len() as u64));
        }
    }
    Ok(sizes)
}

fn repeated(args: &[ArrayRef], rows: usize) -> Result<Sizes> {
    let (lengths, counts) = (lengths(&args[0])?, numbers(&args[1])?);
    Ok((0..rows).map(|row| (lengths[row].saturating_mul(number(&counts, row)), 0)).collect())
}

fn padded(args: &[ArrayRef], rows: usize) -> Result<Sizes> {
    /// A letter takes at most four bytes.
    const LETTER: u64 = 4;
    let widths = numbers(&args[1])?;
    Ok((0..rows).map(|row| (number(&widths, row).saturating_mul(LETTER), 0)).collect())
}

fn replaced(args: &[ArrayRef], rows: usize) -> Result<Sizes> {
    let (text, from, to) = (lengths(&args[0])?, lengths(&args[1])?, lengths(&args[2])?);
    let size = |row: usize| match from[row] {
        0 => text[row],
        from => text[row].saturating_add((text[row] / from).saturating_mul(to[row])),
    };
    Ok((0..rows).map(|row| (size(row), 0)).collect())
}

fn array_repeated(args: &[ArrayRef], rows: usize) -> Result<Sizes> {
    let counts = numbers(&args[1])?;
    let width = (args[0].get_array_memory_size() / args[0].len().max(1)) as u64;
    Ok((0..rows)
        .map(|row| (number(&counts, row).saturating_mul(width), number(&counts, row)))
        .collect())
}

/// Series of numbers, dates and times, each in the unit that it is stored in.
pub(super) fn series(args: &[ArrayRef], rows: usize) -> Result<Sizes> {
    const NANOS_A_DAY: i128 = 86_400_000_000_000;
    const DAYS_A_MONTH: i128 = 28;
    let unit: i128 = match args[0].data_type() {
        DataType::Date32 => NANOS_A_DAY,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    };
    // One argument is the end of a series from 0.
    let zero = || ScalarValue::Int64(Some(0)).to_array_of_size(rows);
    let (start, stop) = if args.len() > 1 {
        (numbers(&args[0])?, numbers(&args[1])?)
    } else {
        (numbers(&zero()?)?, numbers(&args[0])?)
    };
    let step = |row: usize| -> Result<i128> {
        let Some(step) = args.get(2) else { return Ok(1) };
        if let Some(steps) = step.as_primitive_opt::<IntervalMonthDayNanoType>() {
            let value = steps.value(row);
            let days = i128::from(value.months) * DAYS_A_MONTH + i128::from(value.days);
            return Ok(days * NANOS_A_DAY + i128::from(value.nanoseconds));
        }
        Ok(i128::from(numbers(step)?.value(row)))
    };
    let mut sizes = Vec::with_capacity(rows);
    for row in 0..rows {
        if start.is_null(row) || stop.is_null(row) {
            sizes.push((0, 0));
            continue;
        }
        let span = (i128::from(stop.value(row)) - i128::from(start.value(row))).abs() * unit;
        let step = if args.get(2).is_some_and(|step| step.is_null(row)) {
            1
        } else {
            step(row)?.abs().max(1)
        };
        let elements = u64::try_from(span / step).unwrap_or(u64::MAX).saturating_add(1);
        sizes.push((elements.saturating_mul(8), elements));
    }
    Ok(sizes)
}
