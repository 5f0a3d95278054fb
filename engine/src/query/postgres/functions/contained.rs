//! `array_has`, which `x = ANY(list)` is planned as, with three answers: where a value is not found among others of which
//! some are null, nobody knows whether it is one of them. The value and the elements are brought to a common type as the sides
//! of a comparison are.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_nested::array_has::array_has_udf;
use datafusion::logical_expr::binary::comparison_coercion;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::array_casts::{array_of, leaf_of};
use super::flat::{flattened, has_dimensions};

/// Its name.
pub(in crate::query) const NAME: &str = "array_has";

/// Returns the function.
pub(in crate::query::postgres) fn contains() -> Arc<ScalarUDF> {
    static CONTAINS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(Contains { inner: array_has_udf(), signature }))
    });
    Arc::clone(&CONTAINS)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Contains {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Contains {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let field = |data_type: &DataType| Arc::new(Field::new("", data_type.clone(), true));
        let fields: Vec<FieldRef> = types.iter().map(field).collect();
        match (fields_with_udf(&fields, self.inner.as_ref()), types) {
            (Ok(fields), _) => Ok(fields.iter().map(|field| field.data_type().clone()).collect()),
            (Err(error), [DataType::List(element), item])
                if has_dimensions(&types[0]) && !item.is_nested() =>
            {
                let leaf = leaf_of(element);
                let common = common(leaf.data_type(), item).ok_or(error)?;
                let leaf = Arc::new(leaf.as_ref().clone().with_data_type(common.clone()));
                Ok(vec![array_of(&leaf, &types[0]), common])
            }
            (Err(error), [DataType::List(element), item]) => {
                let common = common(element.data_type(), item).ok_or(error)?;
                let element = Arc::new(element.as_ref().clone().with_data_type(common.clone()));
                Ok(vec![DataType::List(element), common])
            }
            (Err(error), _) => Err(error),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let [Expr::Literal(lists, _), item] = args.as_slice()
            && has_dimensions(&lists.data_type())
            && !info.get_data_type(item)?.is_nested()
            && let ColumnarValue::Scalar(flat) =
                flattened(&ColumnarValue::Scalar(lists.clone()), 1)?
        {
            args[0] = Expr::Literal(flat, None);
        }
        self.inner.simplify(args, info)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // A value is looked for among the elements of an array, in however many dimensions they are.
        if let [lists, item] = args.args.as_slice()
            && has_dimensions(&lists.data_type())
            && !item.data_type().is_nested()
        {
            args.args[0] = flattened(lists, args.number_rows)?;
        }
        let (lists, rows) = (args.args.first().cloned(), args.number_rows);
        let found = self.inner.invoke_with_args(args)?;
        match lists {
            Some(lists) => with_unknown(&lists, found, rows),
            None => Ok(found),
        }
    }
}

/// The type in which a value is held against the elements of a list. A text takes that of the elements: whether it is a
/// literal, which does, is seen where types are settled.
fn common(element: &DataType, item: &DataType) -> Option<DataType> {
    match element.is_string() == item.is_string() {
        true => comparison_coercion(element, item),
        false if item.is_string() && !element.is_nested() => Some(element.clone()),
        false => None,
    }
}

/// Whether values were found, null where they were not and a list has nulls. In an empty list nothing is found, null neither.
fn with_unknown(lists: &ColumnarValue, found: ColumnarValue, rows: usize) -> Result<ColumnarValue> {
    let has_nulls = match lists {
        ColumnarValue::Array(array) => {
            array.as_list_opt::<i32>().is_some_and(|lists| lists.values().null_count() > 0)
        }
        ColumnarValue::Scalar(ScalarValue::List(list)) => list.values().null_count() > 0,
        ColumnarValue::Scalar(_) => false,
    };
    let is_open = match &found {
        ColumnarValue::Array(array) => array.null_count() > 0,
        ColumnarValue::Scalar(value) => value.is_null(),
    };
    let may_be_empty = match lists {
        ColumnarValue::Array(_) => true,
        ColumnarValue::Scalar(ScalarValue::List(list)) => list.values().is_empty(),
        ColumnarValue::Scalar(_) => false,
    };
    if !(has_nulls || is_open && may_be_empty) {
        return Ok(found);
    }
    let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
    let is_constant = is_scalar(lists) && is_scalar(&found);
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
    let known = flags.iter().enumerate().map(|(row, flag)| match flag {
        // Nothing is one of none, whatever it may be.
        None if lists.is_valid(row) && lists.value_length(row) == 0 => Some(false),
        flag => flag.filter(|flag| *flag || !has_null(row)),
    });
    let known: BooleanArray = known.collect();
    if is_constant {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&known, 0)?));
    }
    Ok(ColumnarValue::Array(Arc::new(known)))
}
