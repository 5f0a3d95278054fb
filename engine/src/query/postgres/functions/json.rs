//! Values as JSON: `json_build_object`, `json_build_array`, `to_json`, `json_agg`, `json_object_agg` and the same for `jsonb`.
//!
//! The text is written as PostgreSQL writes it: `json` keeps keys as they come, `jsonb` sorts them by length and keeps the
//! last of equal ones. The rewriting of statements makes the aggregates `array_agg` of texts that are put together here.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::Volatility;
use udfs::{Json, Keeping, Spacing, TooLong, quote_json};

use super::bounded::{VALUE_BYTES_MAX, too_large};
use super::jsonb::steps;
use super::text_of::texts;
use super::{Body, Call, Function, Kind, failure};
use crate::Error;
use crate::query::postgres::rewrite::ArrayText;
use crate::query::postgres::types::{TYPE_KEY, document_in};
use crate::query::postgres::zone::Zone;
use crate::query::postgres::zone_of;
use crate::query::stop::check_current;

/// How deep values may nest.
const DEPTH_MAX: usize = 64;

const fn variadic(name: &'static str, result: &'static str, body: Body) -> Function {
    Function::new(name, &[Kind::Any], result, body)
        .at_least(0)
        .variadic()
        .with_nulls()
        .with(Volatility::Stable)
}

const fn single(name: &'static str, result: &'static str, body: Body) -> Function {
    Function::new(name, &[Kind::Any], result, body)
}

const fn pair(name: &'static str, result: &'static str, body: Body) -> Function {
    Function::new(name, &[Kind::Any, Kind::Any], result, body).with_nulls()
}

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("json_build_object", "json", Body::Column(|c| object(c, Style::Json))),
    variadic("jsonb_build_object", "jsonb", Body::Column(|c| object(c, Style::Jsonb))),
    variadic("json_build_array", "json", Body::Column(|c| array(c, Style::Json))),
    variadic("jsonb_build_array", "jsonb", Body::Column(|c| array(c, Style::Jsonb))),
    Function::new("json_object", TEXTS, "json", Body::Write(json_object)).at_least(1),
    Function::new("jsonb_object", TEXTS, "jsonb", Body::Write(jsonb_object)).at_least(1),
    single("to_json", "json", Body::Column(|c| value(c, Style::Json))),
    single("to_jsonb", "jsonb", Body::Column(|c| value(c, Style::Jsonb))),
    single("row_to_json", "json", Body::Column(|c| value(c, Style::Json))),
    single("array_to_json", "json", Body::Column(|c| value(c, Style::Json))),
    single("json_item", "json", Body::Column(|c| item(c, Style::Json))).with_nulls(),
    single("jsonb_item", "jsonb", Body::Column(|c| item(c, Style::Jsonb))).with_nulls(),
    pair("json_member", "json", Body::Column(|c| member(c, Style::Json))),
    pair("jsonb_member", "jsonb", Body::Column(|c| member(c, Style::Jsonb))),
    single("json_of_items", "json", Body::Column(|c| gathered(c, Style::Json, ["[", "]"]))),
    single("jsonb_of_items", "jsonb", Body::Column(|c| gathered(c, Style::Jsonb, ["[", "]"]))),
    single("json_of_members", "json", Body::Column(|c| gathered(c, Style::Json, ["{ ", " }"]))),
    single("jsonb_of_members", "jsonb", Body::Column(|c| gathered(c, Style::Jsonb, ["{", "}"]))),
];

const TEXTS: &[Kind] = &[Kind::Texts, Kind::Texts];

/// What is written between the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Json,
    Jsonb,
}

impl Style {
    /// Between the elements of a value that is converted; those that are built have a blank in both.
    fn comma(self) -> &'static str {
        if self == Style::Json { "," } else { ", " }
    }

    fn colon(self) -> &'static str {
        if self == Style::Json { ":" } else { ": " }
    }
}

fn object(call: &Call<'_>, style: Style) -> Result<ArrayRef> {
    let name = if style == Style::Json { "json_build_object" } else { "jsonb_build_object" };
    if !call.arguments.len().is_multiple_of(2) {
        return Err(failure(Error::Invalid {
            message: "argument list must have even number of elements".to_string(),
            hint: format!("The arguments of {name}() must consist of alternating keys and values."),
        }));
    }
    let columns = columns(call)?;
    call.texts(name, |row, text| {
        text.push('{');
        for at in 0..columns.len() / 2 {
            let (key, value) = (&columns[2 * at], &columns[2 * at + 1]);
            if key.array.is_null(row) {
                return Err(failure(Error::Standard {
                    sqlstate: "22023",
                    message: match style {
                        Style::Json => format!("argument {} cannot be null", 2 * at + 1),
                        Style::Jsonb => format!("argument {}: key must not be null", 2 * at + 1),
                    },
                    hint: "Object keys should be text.".to_string(),
                }));
            }
            if at > 0 {
                text.push_str(", ");
            }
            key.write_key(row, style, text)?;
            text.push_str(if style == Style::Json { " : " } else { ": " });
            value.write(row, style, 0, text)?;
        }
        text.push('}');
        keep(style, text)?;
        Ok(true)
    })
}

fn json_object(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    of_texts(call, row, Style::Json, out)
}

fn jsonb_object(call: &Call<'_>, row: usize, out: &mut String) -> Result<bool> {
    of_texts(call, row, Style::Jsonb, out)
}

/// `json_object`: names and values in turn, or each in an array of their own.
fn of_texts(call: &Call<'_>, row: usize, style: Style, out: &mut String) -> Result<bool> {
    let refused = |sqlstate, message: &str| {
        let hint = "Give names and values in turn: json_object('{name,value}').".to_owned();
        failure(Error::Standard { sqlstate, message: message.to_owned(), hint })
    };
    // Pairs may be arrays of their own.
    let written = call.text(0, row).filter(|_| call.arguments.len() == 1).and_then(ArrayText::read);
    let names = match written.filter(|array| array.lengths.len() == 2) {
        Some(ArrayText { lengths, .. }) if lengths[1] != 2 => {
            return Err(refused("2202E", "array must have two columns"));
        }
        Some(ArrayText { elements, .. }) => {
            Some(elements.into_iter().map(|element| element.map(Cow::Owned)).collect())
        }
        None => steps(call, 0, row)?,
    };
    let Some(names) = names else { return Ok(false) };
    let pairs: Vec<_> = if call.arguments.len() > 1 {
        let Some(values) = steps(call, 1, row)? else { return Ok(false) };
        if names.len() != values.len() {
            return Err(refused("2202E", "mismatched array dimensions"));
        }
        names.into_iter().zip(values).collect()
    } else {
        if !names.len().is_multiple_of(2) {
            return Err(refused("2202E", "array must have even number of elements"));
        }
        let mut all = names.into_iter();
        std::iter::from_fn(|| all.next().zip(all.next())).collect()
    };
    out.push('{');
    for (at, (name, value)) in pairs.iter().enumerate() {
        let Some(name) = name else {
            return Err(refused("22004", "null value not allowed for object key"));
        };
        if at > 0 {
            out.push_str(", ");
        }
        quote_json(name, out);
        out.push_str(if style == Style::Json { " : " } else { ": " });
        match value.as_deref() {
            Some(value) => quote_json(value, out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    keep(style, out)?;
    Ok(true)
}

fn array(call: &Call<'_>, style: Style) -> Result<ArrayRef> {
    let name = if style == Style::Json { "json_build_array" } else { "jsonb_build_array" };
    let columns = columns(call)?;
    call.texts(name, |row, text| {
        text.push('[');
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                text.push_str(", ");
            }
            column.write(row, style, 0, text)?;
        }
        text.push(']');
        keep(style, text)?;
        Ok(true)
    })
}

fn value(call: &Call<'_>, style: Style) -> Result<ArrayRef> {
    let columns = columns(call)?;
    call.texts(if style == Style::Json { "to_json" } else { "to_jsonb" }, |row, text| {
        let given = call.arguments[0].is_valid(row);
        if given {
            columns[0].write(row, style, 0, text)?;
            keep(style, text)?;
        }
        Ok(given)
    })
}

/// Brings a text that was put together into the form in which `jsonb` keeps it.
fn keep(style: Style, text: &mut String) -> Result<()> {
    if style == Style::Jsonb
        && let Some(kept) = kept(text)?
    {
        *text = kept;
    }
    Ok(())
}

fn kept(text: &str) -> Result<Option<String>> {
    let Some(json) = Json::parse(text, Keeping::Values) else { return Ok(None) };
    check_current()?;
    let mut kept = String::with_capacity(text.len());
    let written = json.root().write(Spacing::Blanks, VALUE_BYTES_MAX as usize, &mut kept);
    written.map_err(|TooLong| too_large("to_jsonb"))?;
    Ok(Some(kept))
}

/// What stands before an array or a record that is not the first element of `json_agg`.
const NEW_LINE: &str = "\n ";

/// A value as an element of `json_agg`: null is one, too.
fn item(call: &Call<'_>, style: Style) -> Result<ArrayRef> {
    let columns = columns(call)?;
    let lines = style == Style::Json && matches!(columns[0].form, Form::List(_) | Form::Record(_));
    call.texts("json_agg", |row, text| {
        if lines && call.arguments[0].is_valid(row) {
            text.push_str(NEW_LINE);
        }
        columns[0].write(row, style, 0, text)?;
        Ok(true)
    })
}

/// A name with its value as a member of `json_object_agg`; null without a name.
fn member(call: &Call<'_>, style: Style) -> Result<ArrayRef> {
    let columns = columns(call)?;
    call.texts("json_object_agg", |row, text| {
        let given = columns[0].array.is_valid(row);
        if given {
            columns[0].write_key(row, style, text)?;
            text.push_str(if style == Style::Json { " : " } else { ": " });
            columns[1].write(row, style, 0, text)?;
        }
        Ok(given)
    })
}

/// The elements or the members of a group as one value.
fn gathered(call: &Call<'_>, style: Style, [open, close]: [&str; 2]) -> Result<ArrayRef> {
    let Some(groups) = call.arguments[0].as_list_opt::<i32>() else {
        return internal_err!("what an aggregate of JSON gathers is a list");
    };
    call.texts("json_agg", |row, text| {
        if groups.is_null(row) {
            return Ok(false);
        }
        let parts = cast(&groups.value(row), &DataType::Utf8)?;
        text.push_str(open);
        for (at, part) in parts.as_string::<i32>().iter().enumerate() {
            let Some(part) = part else {
                return Err(failure(Error::Invalid {
                    message: "field name must not be null".to_string(),
                    hint: "Leave such rows out: FILTER (WHERE name IS NOT NULL).".to_string(),
                }));
            };
            match at {
                0 => text.push_str(part.strip_prefix(NEW_LINE).unwrap_or(part)),
                _ => text.extend([", ", part]),
            }
            if text.len() as u64 > VALUE_BYTES_MAX {
                return Err(too_large("json_agg"));
            }
        }
        text.push_str(close);
        keep(style, text)?;
        Ok(true)
    })
}

fn columns(call: &Call<'_>) -> Result<Vec<Column>> {
    let zone = zone_of(call.facts);
    let columns = call.arguments.iter().zip(call.fields);
    columns.map(|(array, field)| Column::new(array, field, &zone)).collect()
}

/// A column whose values are written as JSON.
struct Column {
    array: ArrayRef,
    form: Form,
}

enum Form {
    /// JSON as it stands.
    Raw,
    /// A number or a boolean, whose text is JSON.
    Plain,
    /// Everything else is a text.
    Text,
    /// A list, with its elements.
    List(Box<Column>),
    /// A record, with its fields.
    Record(Vec<(String, Column)>),
}

impl Column {
    fn new(array: &ArrayRef, field: &Field, zone: &Zone) -> Result<Column> {
        let logical = field.metadata().get(TYPE_KEY).map(String::as_str);
        let text = |array: &ArrayRef| Ok::<_, DataFusionError>(cast(array, &DataType::Utf8)?);
        let of = |array: &ArrayRef, field: &FieldRef| Column::new(array, field, zone);
        Ok(match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
                if matches!(logical, Some("json" | "jsonb")) =>
            {
                Column { array: text(array)?, form: Form::Raw }
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Column { array: text(array)?, form: Form::Text }
            }
            DataType::Boolean | DataType::Null => Column { array: text(array)?, form: Form::Plain },
            // Their text in Arrow is another.
            DataType::Float32 | DataType::Float64 => {
                Column { array: Arc::new(texts(array, zone)?), form: Form::Plain }
            }
            DataType::Timestamp(_, tz) => {
                let times = texts(array, zone)?;
                let is_zoned = tz.is_some();
                let times = times.iter().map(|time| time.map(|time| iso(time, is_zoned)));
                Column { array: Arc::new(times.collect::<StringArray>()), form: Form::Text }
            }
            number if number.is_numeric() => Column { array: text(array)?, form: Form::Plain },
            DataType::List(item) => {
                let item = match document_in(field, item) {
                    Some(logical) => {
                        let metadata = [(TYPE_KEY.to_owned(), logical.to_owned())].into();
                        Arc::new(item.as_ref().clone().with_metadata(metadata))
                    }
                    None => Arc::clone(item),
                };
                let elements = of(array.as_list::<i32>().values(), &item)?;
                Column { array: array.clone(), form: Form::List(Box::new(elements)) }
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter().zip(fields).map(|(column, f)| {
                    Ok::<_, DataFusionError>((f.name().clone(), of(column, f)?))
                });
                let columns = columns.collect::<Result<_>>()?;
                Column { array: array.clone(), form: Form::Record(columns) }
            }
            _ => Column { array: Arc::new(texts(array, zone)?), form: Form::Text },
        })
    }

    /// Writes a value that is not null as the name of a member.
    fn write_key(&self, row: usize, style: Style, out: &mut String) -> Result<()> {
        match &self.form {
            Form::Plain => {
                quote_json(self.array.as_string::<i32>().value(row), out);
                Ok(())
            }
            Form::Text => self.write(row, style, 0, out),
            Form::Raw | Form::List(_) | Form::Record(_) => Err(failure(Error::Invalid {
                message: "key value must be scalar, not array, composite, or json".to_owned(),
                hint: "Cast the key to text.".to_owned(),
            })),
        }
    }

    fn write(&self, row: usize, style: Style, depth: usize, out: &mut String) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(too_large("to_json"));
        }
        // Many parts may be of one long text.
        if out.len() as u64 > VALUE_BYTES_MAX {
            return Err(too_large("to_json"));
        }
        if self.array.is_null(row) || self.array.data_type().is_null() {
            out.push_str("null");
            return Ok(());
        }
        match &self.form {
            Form::Raw => out.push_str(self.array.as_string::<i32>().value(row)),
            Form::Plain => match self.array.as_string::<i32>().value(row) {
                // JSON has no such numbers.
                odd @ ("NaN" | "Infinity" | "-Infinity") => quote_json(odd, out),
                plain => out.push_str(plain),
            },
            Form::Text => quote_json(self.array.as_string::<i32>().value(row), out),
            Form::List(elements) => {
                let offsets = self.array.as_list::<i32>().value_offsets();
                let at = |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
                out.push('[');
                for (count, element) in (at(row)..at(row + 1)).enumerate() {
                    if count > 0 {
                        out.push_str(style.comma());
                    }
                    elements.write(element, style, depth + 1, out)?;
                }
                out.push(']');
            }
            Form::Record(fields) => {
                out.push('{');
                for (count, (name, column)) in fields.iter().enumerate() {
                    if count > 0 {
                        out.push_str(style.comma());
                    }
                    quote_json(name, out);
                    out.push_str(style.colon());
                    column.write(row, style, depth + 1, out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

/// A time as PostgreSQL writes it into JSON: in ISO 8601, with the minutes of its offset.
fn iso(time: &str, is_zoned: bool) -> String {
    // What has no end has no parts either.
    let Some((day, clock)) = time.split_once(' ') else { return time.to_owned() };
    let (clock, era) = match clock.strip_suffix(" BC") {
        Some(clock) => (clock, " BC"),
        None => (clock, ""),
    };
    let is_whole = is_zoned && clock.rfind(['+', '-']).is_some_and(|at| clock.len() - at == 3);
    let minutes = if is_whole { ":00" } else { "" };
    format!("{day}T{clock}{minutes}{era}")
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn times_are_written_as_postgresql_does() {
        for (time, is_zoned, expected) in [
            ("2026-02-13 10:20:30.5", false, "2026-02-13T10:20:30.5"),
            ("2026-02-13 10:20:30+00", true, "2026-02-13T10:20:30+00:00"),
            ("2026-02-13 10:20:30-03:30", true, "2026-02-13T10:20:30-03:30"),
            ("0044-03-15 00:00:00+01:24 BC", true, "0044-03-15T00:00:00+01:24 BC"),
            ("0044-03-15 00:00:00+00 BC", true, "0044-03-15T00:00:00+00:00 BC"),
            ("infinity", true, "infinity"),
        ] {
            assert_eq!(iso(time, is_zoned), expected, "{time}");
        }
    }
}
