//! How a function of the lists is called.

use std::cell::OnceCell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Int64Builder, StringBuilder, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::bounded::{BATCH_BYTES_MAX, VALUE_BYTES_MAX, too_large};
use super::grown::bytes_of;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::snapshot::Snapshot;
use crate::query::postgres::types;
use crate::query::stop::{check_current, fold};

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text of any width.
    Text,
    /// A whole number.
    Int,
    /// A boolean.
    Bool,
    /// A floating-point number.
    Float,
    /// JSON as text of any width, with the type that it has.
    Json,
    /// Several texts: an array of them, or how it is written.
    Texts,
    /// An object: its oid, or its name as text.
    Object,
    /// Anything, as it is.
    Any,
}

/// How a result is computed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body {
    /// Text, row by row.
    Text(fn(&Call<'_>, usize) -> Result<Option<String>>),
    /// Text, row by row, written into the one that is given; null where it says that there is none.
    Write(fn(&Call<'_>, usize, &mut String) -> Result<bool>),
    /// A number, row by row.
    Int(fn(&Call<'_>, usize) -> Result<Option<i64>>),
    /// A boolean, row by row.
    Bool(fn(&Call<'_>, usize) -> Result<Option<bool>>),
    /// A whole column.
    Column(fn(&Call<'_>) -> Result<ArrayRef>),
}

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its parameters in order; the last one repeats when `variadic`.
    pub(crate) parameters: &'static [Kind],
    /// How many of them must be given.
    pub(crate) required: usize,
    /// The PostgreSQL type of its result; empty for the type of its first argument.
    pub(crate) result: &'static str,
    /// Whether a null argument makes the result null without calling the body.
    pub(crate) strict: bool,
    /// Whether the last parameter repeats.
    pub(crate) variadic: bool,
    /// Whether equal arguments give equal results within a statement.
    pub(crate) volatility: Volatility,
    /// What it computes.
    pub(crate) body: Body,
}

impl Function {
    /// A strict function whose parameters are all required.
    pub(crate) const fn new(
        name: &'static str,
        parameters: &'static [Kind],
        result: &'static str,
        body: Body,
    ) -> Function {
        let required = parameters.len();
        Function {
            name,
            parameters,
            required,
            result,
            strict: true,
            variadic: false,
            volatility: Volatility::Stable,
            body,
        }
    }

    /// The same with fewer arguments required.
    pub(crate) const fn at_least(mut self, required: usize) -> Function {
        self.required = required;
        self
    }

    /// The same, called with nulls too.
    pub(crate) const fn with_nulls(mut self) -> Function {
        self.strict = false;
        self
    }

    /// The same with a last parameter that repeats.
    pub(crate) const fn variadic(mut self) -> Function {
        self.variadic = true;
        self
    }

    /// The same with another volatility.
    pub(crate) const fn with(mut self, volatility: Volatility) -> Function {
        self.volatility = volatility;
        self
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        self.parameters
            .get(at)
            .or(if self.variadic { self.parameters.last() } else { None })
            .copied()
    }
}

/// The arguments of one call over one batch.
pub(crate) struct Call<'a> {
    /// The session.
    pub(crate) facts: &'a SessionFacts,
    /// The relations that it sees.
    pub(crate) snapshot: &'a Snapshot,
    /// The arguments as columns of equal length.
    pub(crate) arguments: &'a [ArrayRef],
    /// Their fields.
    pub(crate) fields: &'a [FieldRef],
    /// The field of the result.
    pub(crate) result: &'a Field,
    /// The length of the columns.
    pub(crate) rows: usize,
    search_path: OnceCell<Vec<String>>,
}

impl Call<'_> {
    /// Returns the schemas that names without one are looked up in, which are worked out once for all rows.
    pub(crate) fn search_path(&self) -> &[String] {
        self.search_path.get_or_init(|| self.facts.search_path())
    }

    /// Returns the text of an argument; `None` for null and for arguments not given.
    pub(crate) fn text(&self, argument: usize, row: usize) -> Option<&str> {
        let array = self.arguments.get(argument).filter(|array| array.is_valid(row))?;
        match array.data_type() {
            DataType::Utf8View => Some(array.as_string_view_opt()?.value(row)),
            DataType::LargeUtf8 => Some(array.as_string_opt::<i64>()?.value(row)),
            _ => Some(array.as_string_opt::<i32>()?.value(row)),
        }
    }

    /// Returns the number of an argument; `None` for null and for arguments not given.
    pub(crate) fn int(&self, argument: usize, row: usize) -> Option<i64> {
        let numbers = self.arguments.get(argument)?.as_primitive_opt::<Int64Type>()?;
        numbers.is_valid(row).then(|| numbers.value(row))
    }

    /// Writes a text for each row, bounded; null where `write` says that there is none.
    pub(crate) fn texts(
        &self,
        function: &str,
        mut write: impl FnMut(usize, &mut String) -> Result<bool>,
    ) -> Result<ArrayRef> {
        let mut texts = StringBuilder::new();
        let mut text = String::new();
        for row in 0..self.rows {
            check_current()?;
            text.clear();
            let given = write(row, &mut text)?;
            let total = (texts.values_slice().len() + text.len()) as u64;
            if text.len() as u64 > VALUE_BYTES_MAX || total > BATCH_BYTES_MAX {
                return Err(too_large(function));
            }
            texts.append_option(given.then_some(&text));
        }
        Ok(Arc::new(texts.finish()))
    }

    /// Returns the boolean of an argument; `None` for null and for arguments not given.
    pub(crate) fn bool(&self, argument: usize, row: usize) -> Option<bool> {
        let flags = self.arguments.get(argument)?.as_boolean_opt()?;
        flags.is_valid(row).then(|| flags.value(row))
    }
}

/// A function of the lists in one session.
#[derive(Debug)]
pub(super) struct PgFunction {
    function: &'static Function,
    signature: Signature,
    facts: Arc<SessionFacts>,
}

impl PgFunction {
    pub(super) fn udf(function: &'static Function, facts: &Arc<SessionFacts>) -> ScalarUDF {
        // DataFusion demands that functions without parameters say so.
        let signature = if function.parameters.is_empty() {
            Signature::nullary(function.volatility)
        } else if function.required == 0 {
            Signature::one_of(
                vec![
                    datafusion::logical_expr::TypeSignature::Nullary,
                    datafusion::logical_expr::TypeSignature::UserDefined,
                ],
                function.volatility,
            )
        } else {
            Signature::user_defined(function.volatility)
        };
        ScalarUDF::from(PgFunction { function, signature, facts: Arc::clone(facts) })
    }
}

impl PartialEq for PgFunction {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.function, other.function) && Arc::ptr_eq(&self.facts, &other.facts)
    }
}

impl Eq for PgFunction {}

impl Hash for PgFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for PgFunction {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args answers for {}", self.function.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let function = self.function;
        if function.result.is_empty() {
            let first = args.arg_fields.first();
            let first = first.map_or_else(
                || Field::new(function.name, DataType::Null, true),
                |f| f.as_ref().clone(),
            );
            return Ok(Arc::new(first.with_name(function.name).with_nullable(true)));
        }
        Ok(Arc::new(types::result_field(function.name, function.result)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let function = self.function;
        let most = if function.variadic { usize::MAX } else { function.parameters.len() };
        if types.len() < function.required || types.len() > most {
            return plan_err!("function {} does not take {} arguments", function.name, types.len());
        }
        let coerced = types.iter().enumerate().map(|(at, given)| {
            let null = given.is_null();
            Ok(match function.kind(at).unwrap_or(Kind::Any) {
                Kind::Text => DataType::Utf8,
                Kind::Json | Kind::Texts if null => DataType::Utf8,
                Kind::Json if given.is_string() => given.clone(),
                Kind::Texts if given.is_string() => DataType::Utf8,
                Kind::Texts if given.is_list() => DataType::new_list(DataType::Utf8, true),
                Kind::Int if null || given.is_numeric() || given.is_string() => DataType::Int64,
                Kind::Float if null || given.is_numeric() || given.is_string() => DataType::Float64,
                Kind::Bool if null || given.is_string() || matches!(given, DataType::Boolean) => {
                    DataType::Boolean
                }
                // What nothing tells the type of is a name.
                Kind::Object if null || given.is_string() => DataType::Utf8,
                Kind::Object if given.is_integer() => DataType::Int64,
                Kind::Any => given.clone(),
                _ => {
                    return plan_err!(
                        "function {} does not take {given} as argument {}",
                        function.name,
                        at + 1
                    );
                }
            })
        });
        coerced.collect()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
            && self.function.volatility != Volatility::Volatile;
        let rows = if constant { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> =
            args.args.iter().map(|arg| self.written_out(arg, rows)).collect::<Result<_>>()?;
        let snapshot = self.facts.snapshot();
        let call = Call {
            facts: &self.facts,
            snapshot: &snapshot,
            arguments: &arrays,
            fields: &args.arg_fields,
            result: &args.return_field,
            rows,
            search_path: OnceCell::new(),
        };
        let column = self.column(&call)?;
        let column = if column.data_type() == args.return_field.data_type() {
            column
        } else {
            cast(&column, args.return_field.data_type())?
        };
        if constant {
            // The general way to a scalar would lose the metadata of the elements.
            if let Some(lists) = column.as_list_opt::<i32>() {
                return Ok(ColumnarValue::Scalar(ScalarValue::List(Arc::new(lists.slice(0, 1)))));
            }
            let value = ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?);
            fold(bytes_of(&value).1)?;
            return Ok(value);
        }
        Ok(ColumnarValue::Array(column))
    }
}

impl PgFunction {
    /// An argument as a column: a constant once for each row, if that is not too much.
    fn written_out(&self, argument: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
        if let ColumnarValue::Scalar(_) = argument
            && bytes_of(argument).0.saturating_mul(rows as u64) > BATCH_BYTES_MAX
        {
            return Err(too_large(self.function.name));
        }
        argument.to_array(rows)
    }

    fn column(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let strict = self.function.strict;
        if strict
            && call
                .arguments
                .iter()
                .any(|a| a.data_type().is_null() || a.null_count() == a.len() && !a.is_empty())
        {
            return Ok(new_null_array(call.result.data_type(), call.rows));
        }
        let skip =
            |row: usize| strict && call.arguments.iter().any(|argument| argument.is_null(row));
        Ok(match self.function.body {
            Body::Column(body) => body(call)?,
            Body::Write(body) => call.texts(self.function.name, |row, text| {
                if skip(row) { Ok(false) } else { body(call, row, text) }
            })?,
            Body::Text(body) => {
                let mut texts = StringBuilder::new();
                for row in 0..call.rows {
                    check_current()?;
                    let text = if skip(row) { None } else { body(call, row)? };
                    let bytes = text.as_ref().map_or(0, String::len) as u64;
                    let total = texts.values_slice().len() as u64 + bytes;
                    if bytes > VALUE_BYTES_MAX || total > BATCH_BYTES_MAX {
                        return Err(too_large(self.function.name));
                    }
                    texts.append_option(text);
                }
                Arc::new(texts.finish())
            }
            Body::Int(body) => {
                let mut numbers = Int64Builder::with_capacity(call.rows);
                for row in 0..call.rows {
                    check_current()?;
                    numbers.append_option(if skip(row) { None } else { body(call, row)? });
                }
                Arc::new(numbers.finish())
            }
            Body::Bool(body) => {
                let mut flags = BooleanBuilder::with_capacity(call.rows);
                for row in 0..call.rows {
                    check_current()?;
                    flags.append_option(if skip(row) { None } else { body(call, row)? });
                }
                Arc::new(flags.finish())
            }
        })
    }
}
