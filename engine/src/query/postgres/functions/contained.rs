//! `array_has`, which `x = ANY(list)` is planned as, with three answers: where a value is not found among others of which
//! some are null, nobody knows whether it is one of them.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_nested::array_has::array_has_udf;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Returns the function.
pub(in crate::query::postgres) fn contains() -> Arc<ScalarUDF> {
    static CONTAINS: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::from(Contains { inner: array_has_udf() })));
    Arc::clone(&CONTAINS)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Contains {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Contains {
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
        let field = self.inner.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (lists, rows) = (args.args.first().cloned(), args.number_rows);
        let found = self.inner.invoke_with_args(args)?;
        match lists {
            Some(lists) => with_unknown(&lists, found, rows),
            None => Ok(found),
        }
    }
}

/// Whether values were found, null where they were not and a list has nulls.
fn with_unknown(lists: &ColumnarValue, found: ColumnarValue, rows: usize) -> Result<ColumnarValue> {
    let has_nulls = match lists {
        ColumnarValue::Array(array) => {
            array.as_list_opt::<i32>().is_some_and(|lists| lists.values().null_count() > 0)
        }
        ColumnarValue::Scalar(ScalarValue::List(list)) => list.values().null_count() > 0,
        ColumnarValue::Scalar(_) => false,
    };
    if !has_nulls {
        return Ok(found);
    }
    let is_constant = matches!(found, ColumnarValue::Scalar(_));
    let rows = if is_constant { 1 } else { rows };
    let (lists, flags) = (lists.to_array(rows)?, found.to_array(rows)?);
    let (Some(lists), Some(flags)) = (lists.as_list_opt::<i32>(), flags.as_boolean_opt()) else {
        return Ok(found);
    };
    let values = lists.values();
    let has_null = |row: usize| {
        let offsets = lists.value_offsets();
        (offsets[row] as usize..offsets[row + 1] as usize).any(|at| values.is_null(at))
    };
    let known = flags.iter().enumerate();
    let known = known.map(|(row, flag)| flag.filter(|flag| *flag || !has_null(row)));
    let known: BooleanArray = known.collect();
    if is_constant {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&known, 0)?));
    }
    Ok(ColumnarValue::Array(Arc::new(known)))
}
