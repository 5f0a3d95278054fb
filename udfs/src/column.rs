//! From a plain function on values to a function on columns.
//!
//! A [`Specification`] says everything about one function: its name, its documentation, an example that a test runs,
//! and how a batch is evaluated. [`function`] makes a [`ScalarUDF`] of it. Constant arguments stay constants all the
//! way, so that nothing is expanded to a column; constants alone give a constant.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array,
    LargeStringArray, StringArray, StringViewArray, StringViewBuilder, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion_common::{Result, ScalarValue, internal_err, plan_err};
use datafusion_expr::{
    ColumnarValue, DocSection, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use crate::distinct;

/// The key of a field's metadata under which its logical type stands.
const LOGICAL_TYPE: &str = "onefold.type";

/// Everything about one function.
pub(crate) struct Specification {
    /// The name in SQL.
    pub(crate) name: &'static str,
    /// The group in the documentation.
    pub(crate) section: &'static str,
    /// What it does, in full sentences.
    pub(crate) description: &'static str,
    /// The parameters, in order.
    pub(crate) parameters: &'static [Parameter],
    /// How many of the parameters have to be given. Where all have to, a null argument makes a null.
    pub(crate) required: usize,
    /// Arguments, and what comes out.
    pub(crate) example: (&'static [&'static str], &'static str),
    /// The type of the result.
    pub(crate) returns: DataType,
    /// The logical type of the result where the physical one does not say it all.
    pub(crate) logical_type: Option<&'static str>,
    /// Evaluates a batch.
    pub(crate) evaluate: fn(&Arguments) -> Result<ArrayRef>,
}

/// One parameter of a function.
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) description: &'static str,
    /// What may be given.
    pub(crate) accepts: Accepts,
}

/// What may be given for a parameter.
#[derive(Clone, Copy)]
pub(crate) enum Accepts {
    /// Text; whole numbers, decimals, dates and timestamps are taken as they are written.
    Text,
    /// The same, of texts that are long and that seldom repeat.
    Document,
    /// Text or a whole number, which mean different things.
    TextOrInteger,
    /// A number of any type, or one that is written as text.
    Number,
}

/// Returns the parameter of text called `name`.
pub(crate) const fn text(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, accepts: Accepts::Text }
}

/// What long work asks in between: it gives an error when the work is to end.
pub(crate) type Interrupt = fn() -> Result<()>;

/// Makes the function of `specification`.
pub(crate) fn function(specification: Specification, interrupt: Interrupt) -> ScalarUDF {
    ScalarUDF::from(ColumnFunction::new(specification, interrupt))
}

/// The arguments of one batch.
pub(crate) struct Arguments {
    values: Vec<ColumnarValue>,
    rows: usize,
    interrupt: Interrupt,
    jsonb: bool,
}

/// Bytes that are worked through from one question to the next.
const PACE_BYTES: usize = 1 << 20;

/// Asks now and then whether work is to end: how often goes by what is worked through, not by rows.
pub(crate) struct Pace {
    bytes: usize,
    interrupt: Interrupt,
}

impl Pace {
    /// Notes that so many bytes come next.
    pub(crate) fn pass(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes < PACE_BYTES {
            return Ok(());
        }
        self.bytes = 0;
        (self.interrupt)()
    }
}

impl Arguments {
    /// Takes the arguments of a batch of `rows` rows.
    pub(crate) fn new(values: Vec<ColumnarValue>, rows: usize, interrupt: Interrupt) -> Self {
        Self { values, rows, interrupt, jsonb: false }
    }

    /// The same, of which the first is `jsonb`, or is not.
    fn of_jsonb(mut self, jsonb: bool) -> Self {
        self.jsonb = jsonb;
        self
    }

    /// Tells whether the first one is `jsonb`: what `json` and texts hold is no part of itself.
    pub(crate) fn are_jsonb(&self) -> bool {
        self.jsonb
    }

    /// Returns what asks whether the work on them is to end.
    pub(crate) fn pace(&self) -> Pace {
        Pace { bytes: 0, interrupt: self.interrupt }
    }

    /// Returns how many arguments were given.
    pub(crate) fn count(&self) -> usize {
        self.values.len()
    }

    /// Returns the arguments of some of the rows.
    pub(crate) fn rows_at(&self, rows: &UInt32Array) -> Result<Self> {
        let values = self.values.iter().map(|value| match value {
            ColumnarValue::Scalar(_) => Ok(value.clone()),
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(take(array, rows, None)?)),
        });
        let values = values.collect::<Result<_>>()?;
        Ok(Self::new(values, rows.len(), self.interrupt).of_jsonb(self.jsonb))
    }

    /// Returns how many rows to produce.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Returns argument `index` as text; a missing one is null in every row.
    pub(crate) fn text(&self, index: usize) -> Result<Text<'_>> {
        match self.values.get(index) {
            None => Ok(Text::Constant(None)),
            Some(ColumnarValue::Scalar(ScalarValue::Null)) => Ok(Text::Constant(None)),
            Some(ColumnarValue::Scalar(scalar)) => match scalar.try_as_str() {
                Some(value) => Ok(Text::Constant(value)),
                None => internal_err!("expected text, found {}", scalar.data_type()),
            },
            Some(ColumnarValue::Array(array)) => match array.data_type() {
                DataType::Utf8 => Ok(Text::Utf8(array.as_string::<i32>())),
                DataType::LargeUtf8 => Ok(Text::LargeUtf8(array.as_string::<i64>())),
                DataType::Utf8View => Ok(Text::Utf8View(array.as_string_view())),
                DataType::Null => Ok(Text::Constant(None)),
                other => internal_err!("expected text, found {other}"),
            },
        }
    }

    /// Returns argument `index` as whole numbers, or `None` if it is not of that type.
    pub(crate) fn integers(&self, index: usize) -> Option<Integers<'_>> {
        match self.values.get(index)? {
            ColumnarValue::Scalar(ScalarValue::Int64(value)) => Some(Integers::Constant(*value)),
            ColumnarValue::Scalar(_) => None,
            ColumnarValue::Array(array) => {
                array.as_primitive_opt::<Int64Type>().map(Integers::Int64)
            }
        }
    }

    /// Returns argument `index` as it came.
    pub(crate) fn value(&self, index: usize) -> Option<&ColumnarValue> {
        self.values.get(index)
    }

    /// Applies `map` to each value of the first argument; null stays null.
    pub(crate) fn map_text<'a, S: AsRef<str>>(
        &'a self,
        map: impl Fn(&'a str) -> Option<S>,
    ) -> Result<ArrayRef> {
        let values = self.text(0)?;
        Ok(texts((0..self.rows).map(|row| values.get(row).and_then(&map))))
    }
}

/// A column of whole numbers.
pub(crate) enum Integers<'a> {
    /// The same in every row.
    Constant(Option<i64>),
    /// A column.
    Int64(&'a Int64Array),
}

impl Integers<'_> {
    /// Returns the value of `row`.
    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        match self {
            Integers::Constant(value) => *value,
            Integers::Int64(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// A column of text in any layout.
pub(crate) enum Text<'a> {
    /// The same in every row.
    Constant(Option<&'a str>),
    /// 32 bit offsets.
    Utf8(&'a StringArray),
    /// 64 bit offsets.
    LargeUtf8(&'a LargeStringArray),
    /// Views.
    Utf8View(&'a StringViewArray),
}

impl<'a> Text<'a> {
    /// Returns the value of `row`.
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Text::Constant(value) => *value,
            Text::Utf8(array) => array.is_valid(row).then(|| array.value(row)),
            Text::LargeUtf8(array) => array.is_valid(row).then(|| array.value(row)),
            Text::Utf8View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// Collects text into a column.
pub(crate) fn texts<S: AsRef<str>>(values: impl Iterator<Item = Option<S>>) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(values.size_hint().0);
    for value in values {
        builder.append_option(value);
    }
    Arc::new(builder.finish())
}

/// Collects dates, in days since 1970-01-01, into a column.
pub(crate) fn dates(values: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.collect::<Date32Array>())
}

/// Collects answers into a column.
pub(crate) fn booleans(values: impl Iterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(values.collect::<BooleanArray>())
}

/// Collects whole numbers into a column.
pub(crate) fn integers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

/// Collects numbers into a column.
pub(crate) fn floats(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

/// A [`Specification`] as the query engine wants it.
struct ColumnFunction {
    specification: Specification,
    signature: Signature,
    documentation: Documentation,
    interrupt: Interrupt,
}

impl ColumnFunction {
    fn new(specification: Specification, interrupt: Interrupt) -> Self {
        let documentation = document(&specification);
        let names =
            specification.parameters.iter().map(|parameter| parameter.name.to_owned()).collect();
        let signature = Signature::user_defined(Volatility::Immutable);
        // Names are refused only where they repeat, which the test of all functions would show.
        let signature = signature.clone().with_parameter_names(names).unwrap_or(signature);
        Self { specification, signature, documentation, interrupt }
    }

    /// Whether to look for rows whose arguments are equal: of documents that costs as much as to work on them.
    fn may_repeat(&self) -> bool {
        let mut parameters = self.specification.parameters.iter();
        !parameters.any(|parameter| matches!(parameter.accepts, Accepts::Document))
    }
}

fn document(specification: &Specification) -> Documentation {
    let Specification { name, section, description, parameters, required, example, .. } =
        specification;
    let names: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
    let (given, optional) = names.split_at(*required);
    let optional: String = optional.iter().map(|name| format!(" [, {name}]")).collect();
    let arguments: Vec<_> =
        example.0.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
    let section = DocSection { include: true, label: section, description: None };
    let mut builder = Documentation::builder(
        section,
        *description,
        format!("{name}({}{optional})", given.join(", ")),
    )
    .with_sql_example(format!("SELECT {name}({}); -- {}", arguments.join(", "), example.1));
    for parameter in *parameters {
        builder = builder.with_argument(parameter.name, parameter.description);
    }
    builder.build()
}

impl std::fmt::Debug for ColumnFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ColumnFunction({})", self.specification.name)
    }
}

// The name says which function it is: names are unique, as the test of all functions holds.
impl PartialEq for ColumnFunction {
    fn eq(&self, other: &Self) -> bool {
        self.specification.name == other.specification.name
    }
}

impl Eq for ColumnFunction {}

impl Hash for ColumnFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.specification.name.hash(state);
    }
}

impl ScalarUDFImpl for ColumnFunction {
    fn name(&self) -> &str {
        self.specification.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.specification.returns.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), self.specification.returns.clone(), true);
        let given = args.arg_fields.first().and_then(|field| field.metadata().get(LOGICAL_TYPE));
        // A part of `jsonb` is `jsonb`.
        let logical = self.specification.logical_type.map(|logical| match given {
            Some(given) if logical == "json" && given == "jsonb" => "jsonb",
            _ => logical,
        });
        Ok(Arc::new(match logical {
            Some(logical) => {
                field.with_metadata([(LOGICAL_TYPE.to_owned(), logical.to_owned())].into())
            }
            None => field,
        }))
    }

    fn is_strict(&self) -> bool {
        self.specification.required == self.specification.parameters.len()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Specification { name, parameters, required, .. } = &self.specification;
        if types.len() < *required || types.len() > parameters.len() {
            return plan_err!("function \"{name}\" does not take {} arguments", types.len());
        }
        parameters
            .iter()
            .zip(types)
            .map(|(parameter, given)| coerce(name, parameter, given))
            .collect()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let given =
            arguments.arg_fields.first().and_then(|field| field.metadata().get(LOGICAL_TYPE));
        let jsonb = given.is_some_and(|logical| logical == "jsonb");
        let arguments = Arguments::new(arguments.args, rows, self.interrupt).of_jsonb(jsonb);
        let result = match self.may_repeat() {
            true => distinct::evaluate(&arguments, self.specification.evaluate)?,
            false => (self.specification.evaluate)(&arguments)?,
        };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

fn coerce(function: &str, parameter: &Parameter, given: &DataType) -> Result<DataType> {
    use DataType::*;
    match (parameter.accepts, given) {
        (_, Utf8 | LargeUtf8 | Utf8View) => Ok(given.clone()),
        (_, Null) => Ok(Utf8View),
        (_, Dictionary(_, values)) if matches!(values.as_ref(), Utf8 | LargeUtf8 | Utf8View) => {
            Ok(Utf8View)
        }
        (Accepts::TextOrInteger, other) if other.is_integer() => Ok(Int64),
        (Accepts::Number, other) if other.is_numeric() => Ok(Float64),
        (Accepts::Text | Accepts::Document, other) if other.is_integer() => Ok(Utf8),
        (
            Accepts::Text | Accepts::Document,
            Date32 | Date64 | Timestamp(_, _) | Decimal128(_, _),
        ) => Ok(Utf8),
        (_, other) => {
            plan_err!(
                "function \"{function}\" does not take {other} for parameter \"{}\"",
                parameter.name
            )
        }
    }
}

#[cfg(test)]
mod tests;
