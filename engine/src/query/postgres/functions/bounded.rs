//! DataFusion's functions whose result can be far larger than their arguments, with bounds.
//!
//! The memory pool does not see what a function allocates, and constants are folded while a statement is planned: without
//! these bounds `repeat('x', 1000000000)` takes the memory of the process.

use std::sync::LazyLock;

use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF};

use super::arrays::check_even;
use super::checked::{Check, checked};
use super::failure;
use super::integer_series;
use super::sizes::{
    Arguments, Sizes, array_repeated, array_replaced, array_resized, gathered, joined, padded,
    repeated, replaced, separated, series, split, substituted,
};
use crate::Error;
use crate::query::stop::fold;

/// One value takes at most this many bytes.
pub(super) const VALUE_BYTES_MAX: u64 = 16 << 20;
/// The values that one call makes for one batch take at most this many bytes together.
pub(super) const BATCH_BYTES_MAX: u64 = 256 << 20;
/// One array has at most this many elements.
const ELEMENTS_MAX: u64 = 1_000_000;

/// Computes the sizes of the results from the arguments.
type Measure = fn(&Arguments) -> Result<Sizes>;

const BOUNDED: [(&str, Measure); 22] = [
    ("concat", joined),
    ("concat_ws", separated),
    ("overlay", joined),
    ("repeat", repeated),
    ("lpad", padded),
    ("rpad", padded),
    ("replace", replaced),
    ("regexp_replace", substituted),
    ("make_array", gathered),
    ("array_append", gathered),
    ("array_prepend", gathered),
    ("array_concat", gathered),
    ("array_union", gathered),
    ("flatten", gathered),
    ("array_repeat", array_repeated),
    ("array_resize", array_resized),
    ("array_replace", array_replaced),
    ("array_replace_n", array_replaced),
    ("array_replace_all", array_replaced),
    ("string_to_array", split),
    ("range", series),
    ("generate_series", series),
];

static FUNCTIONS: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let functions = checked(BOUNDED.map(|(name, sizes)| (name, Bound(sizes))));
    let typed = |function: ScalarUDF| match function.name() {
        "generate_series" => integer_series::of(function),
        _ => function,
    };
    functions.into_iter().map(typed).collect()
});

/// Returns the bounded functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS.clone()
}

/// Says that a function would make too much.
pub(super) fn too_large(function: &str) -> DataFusionError {
    failure(Error::Limit {
        sqlstate: "54000",
        message: format!(
            "{function}() would make more than {VALUE_BYTES_MAX} bytes or {ELEMENTS_MAX} elements"
        ),
        hint: "Make smaller values.".to_string(),
    })
}

/// Calls a bounded function by its name; `None` if there is none.
pub(in crate::query::postgres) fn call(name: &str, arguments: Vec<Expr>) -> Option<Expr> {
    let function = FUNCTIONS.iter().find(|function| function.name() == name)?;
    Some(function.call(arguments))
}

#[derive(Debug)]
struct Bound(Measure);

impl Check for Bound {
    /// DataFusion's would count with a length below zero where what a text is filled with is null.
    fn is_null(&self, function: &str, args: &ScalarFunctionArgs) -> bool {
        let is_null =
            |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(value) if value.is_null());
        matches!(function, "lpad" | "rpad") && args.args.iter().any(is_null)
    }

    fn check(&self, function: &str, args: &ScalarFunctionArgs) -> Result<()> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        if function == "make_array" {
            check_even(&args.args, rows)?;
        }
        let mut total: u64 = 0;
        for (bytes, elements) in (self.0)(&Arguments::of(&args.args, rows)?)? {
            total = total.saturating_add(bytes);
            if bytes > VALUE_BYTES_MAX || elements > ELEMENTS_MAX || total > BATCH_BYTES_MAX {
                return Err(too_large(function));
            }
        }
        fold(total)
    }
}
