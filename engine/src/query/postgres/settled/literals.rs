//! Literals in the types that they are cast to, or that of what stands beside them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ListArray, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::utils::UNNEST_PLACEHOLDER;
use udfs::Shape;

use super::Types;
use super::arrays::decimal_for;
use super::choices::float_of;
use super::endless::is_end;
use crate::query::postgres::diagnosis;
use crate::query::postgres::functions::{
    document, from_float, leaf_of, plain_numeric, read_as_times, read_times, read_uuids, rounded,
    rounds_twice, to_float,
};
use crate::query::postgres::input::{self, Kept, Refusal};
use crate::query::postgres::rewrite::{ArrayText, LISTS, malformed_array};
use crate::query::postgres::types::{
    TYPE_KEY, arrow_type, is_blank_padded, is_text_of_uuid, pg_type_of,
};
use crate::query::postgres::unknown::{as_array, is_bytes, uuid_text};

/// Digits behind the point that are looked at where a number of a document is rounded: those before it suffice for any integer.
const JSON_SCALE: i8 = 18;

impl Types {
    /// Makes a literal of a cast of one, and rounds what is cast to an integer.
    pub(super) fn cast(&mut self, cast: Cast, schema: &DFSchema) -> Result<Expr> {
        let cast = without_name(cast, schema);
        if let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = cast.expr.as_ref()
            && let Some(literal) = self.read(text, &cast.field)?
        {
            return Ok(literal);
        }
        if matches!(cast.field.data_type(), DataType::List(_)) {
            return Ok(self.cast_array(cast, schema));
        }
        if let Some(kept) = kept(&cast, schema) {
            return Ok(read_as(cast, kept));
        }
        if is_text_of_uuid(&cast.field) && is_unread(&cast.expr, schema) {
            return Ok(Expr::Cast(Cast { expr: Box::new(read_uuids(*cast.expr)), ..cast }));
        }
        if value(&cast).is_none()
            && cast.field.data_type().is_integer()
            && cast.field.metadata().is_empty()
        {
            let whole = match cast.expr.get_type(schema) {
                Ok(DataType::Decimal128(_, scale)) if scale > 0 => {
                    let to = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
                    Expr::Cast(Cast::new(cast.expr, to))
                }
                Ok(found) if found.is_floating() => rounded(*cast.expr),
                // A number of a document may have digits behind the point.
                Ok(found) if found.is_string() && is_jsonb(&cast.expr, schema) => {
                    let number = from_float(*cast.expr, DECIMAL128_MAX_PRECISION, JSON_SCALE);
                    let to = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
                    Expr::Cast(Cast::new(Box::new(number), to))
                }
                _ => return Ok(Expr::Cast(cast)),
            };
            return Ok(Expr::Cast(Cast { expr: Box::new(whole), field: cast.field }));
        }
        let (to, metadata) = (cast.field.data_type(), cast.field.metadata());
        if let Some(read) = read_as_times(to)
            && (metadata.is_empty() || matches!(to, DataType::Time64(_)))
            && !is_known(&cast.expr)
            && cast.expr.get_type(schema).is_ok_and(|found| found.is_string())
        {
            let is_whole = metadata.is_empty() && *to == read;
            let times = read_times(*cast.expr, read, &self.zone);
            return Ok(match is_whole {
                true => times,
                false => Expr::Cast(Cast { expr: Box::new(times), field: cast.field }),
            });
        }
        let cast = self.plain(cast, schema);
        if let DataType::Decimal128(digits, scale) = *cast.field.data_type()
            && cast.field.metadata().is_empty()
            && let Ok(found) = cast.expr.get_type(schema)
            && (matches!(found, DataType::Float32 | DataType::Float64)
                || found.is_string() && !is_known(&cast.expr))
        {
            return Ok(from_float(*cast.expr, digits, scale));
        }
        if *cast.field.data_type() == DataType::Float64
            && cast.field.metadata().is_empty()
            && let Ok(found) = cast.expr.get_type(schema)
            && rounds_twice(&cast.expr, &found)
        {
            return Ok(to_float(*cast.expr));
        }
        match value(&cast) {
            Some(value) => Ok(Expr::Literal(value, None)),
            None => Ok(self.cast_moment(cast, schema)),
        }
    }

    /// Gives a cast to a plain numeric the digits of what is cast: a column of them would cut some, and add others.
    fn plain(&mut self, cast: Cast, schema: &DFSchema) -> Cast {
        if *cast.field.data_type() != arrow_type("numeric") || !cast.field.metadata().is_empty() {
            return cast;
        }
        match cast.expr.get_type(schema).ok().as_ref().and_then(plain_numeric) {
            Some(to) if to != *cast.field.data_type() => {
                self.changed = true;
                Cast::new(cast.expr, to)
            }
            _ => cast,
        }
    }

    /// Reads a text as a literal of a type; `None` for types that need no reading.
    pub(super) fn read(&mut self, text: &str, field: &Field) -> Result<Option<Expr>> {
        let name = pg_type_of(field).0.name.as_str();
        if let DataType::List(item) = field.data_type() {
            return self.read_list(&as_array(text, Some(name)), item, field).map(Some);
        }
        if field.data_type().is_nested() {
            return Ok(None);
        }
        if let Some(said) = self.said(text, name) {
            return Ok(Some(said));
        }
        let Some(read) = input::read(text, name, &self.zone) else { return Ok(None) };
        if matches!((&read, name), (Err(Refusal::Form), "json" | "jsonb"))
            && Shape::of(text).is_none()
        {
            // What is wrong with its form is said where casts are checked; half a letter is no matter of form.
            return Ok(None);
        }
        let refused = |refusal: Refusal| diagnosis::about_text(text, &refusal.error(name));
        let value = read.map_err(refused)?;
        self.has_ends |= is_end(&value);
        let value = match (value.data_type(), field.data_type()) {
            // A plain numeric has the digits that are written.
            (DataType::Decimal128(_, _), to) if *to == arrow_type("numeric") => {
                self.changed = true;
                value
            }
            (found, to) if found == *to => value,
            (_, to) => value.cast_to(to).map_err(|_| refused(Refusal::Range))?,
        };
        let metadata = Some(FieldMetadata::from(field)).filter(|_| !field.metadata().is_empty());
        Ok(Some(Expr::Literal(value, metadata)))
    }

    /// Reads the text of an array, which has as many dimensions as are written, whatever its type says.
    fn read_list(&mut self, text: &str, item: &FieldRef, field: &Field) -> Result<Expr> {
        let malformed = || diagnosis::about_text(text, &malformed_array());
        let ArrayText { lengths, elements } = ArrayText::read(text).ok_or_else(malformed)?;
        let mut leaf = Arc::clone(leaf_of(item));
        let mut values = Vec::with_capacity(elements.len());
        for element in elements {
            let value = match &element {
                None => ScalarValue::try_from(leaf.data_type())?,
                Some(element) => match self.read(element, &leaf)? {
                    Some(Expr::Literal(value, _)) => value,
                    None if is_json(&leaf) => {
                        return Err(diagnosis::about_text(text, &Refusal::Form.error("json")));
                    }
                    _ => ScalarValue::from(cut(element, &leaf)),
                },
            };
            values.push(value);
        }
        // Decimals of one list have one number of digits: as many as are written.
        if *leaf.data_type() == arrow_type("numeric")
            && let Some(digits) = decimal_for(&values)
        {
            leaf = Arc::new(leaf.as_ref().clone().with_data_type(digits));
        }
        let to = leaf.data_type();
        for value in &mut values {
            if value.data_type() != *to {
                *value = value.cast_to(to)?;
            }
        }
        let values = match values.is_empty() {
            true => new_empty_array(to),
            false => ScalarValue::iter_to_array(values)?,
        };
        let list = in_dimensions(values, &leaf, &lengths)?;
        self.changed |= list.data_type() != field.data_type();
        let metadata = Some(FieldMetadata::from(field)).filter(|_| !field.metadata().is_empty());
        Ok(Expr::Literal(ScalarValue::List(Arc::new(list)), metadata))
    }

    /// A literal in the type of what it stands beside: an integer as a bigint, a text that is compared as a date, a time, bytes or
    /// an array.
    pub(super) fn beside(
        &mut self,
        literal: Expr,
        other: Option<&DataType>,
        compared: bool,
    ) -> Result<Expr> {
        let is_read = |other: &DataType| {
            matches!(other, DataType::List(_))
                || is_bytes(other)
                || other.is_temporal() && !matches!(other, DataType::Duration(_))
        };
        match (literal, other) {
            (Expr::Literal(ScalarValue::Int32(Some(number)), None), Some(DataType::Int64)) => {
                Ok(Expr::Literal(ScalarValue::Int64(Some(number.into())), None))
            }
            (Expr::Literal(ScalarValue::Utf8(Some(text)), None), Some(other))
                if compared && is_read(other) =>
            {
                let read = self.read(&text, &Field::new("", other.clone(), true))?;
                Ok(read.unwrap_or(Expr::Literal(ScalarValue::Utf8(Some(text)), None)))
            }
            (other, _) => Ok(other),
        }
    }
}

/// A text in the form in which values of what it is compared with are held: of a uuid, or without the blanks behind it.
pub(super) fn held_as(literal: Expr, other: &Field) -> Expr {
    match literal {
        Expr::Literal(ScalarValue::Utf8(Some(text)), None) => {
            let text = match () {
                () if is_text_of_uuid(other) => uuid_text(&text).unwrap_or(text),
                () if is_blank_padded(other) => text.trim_end_matches(' ').to_owned(),
                () => text,
            };
            Expr::Literal(ScalarValue::Utf8(Some(text)), None)
        }
        other => other,
    }
}

/// Tells whether a value is the same for all rows, and read before they are.
fn is_known(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..) | Expr::Placeholder(_))
}

/// A cast to text under no name where there is no other type to forget: a cast to a name is never left out, nor looked through.
/// What else is known of a column, such as its comment, goes along as it does with any cast.
fn without_name(cast: Cast, schema: &DFSchema) -> Cast {
    let is_named = !cast.field.name().is_empty() && cast.field.metadata().is_empty();
    let is_plain = |expr: &Expr| {
        expr.to_field(schema).is_ok_and(|(_, field)| !field.metadata().contains_key(TYPE_KEY))
    };
    match is_named && is_plain(&cast.expr) {
        true => Cast::new(cast.expr, cast.field.data_type().clone()),
        false => cast,
    }
}

/// Makes one array of elements, with so many in each dimension.
fn in_dimensions(elements: ArrayRef, leaf: &FieldRef, lengths: &[usize]) -> Result<ListArray> {
    let mut list: Option<ListArray> = None;
    for (at, length) in lengths.iter().enumerate().rev() {
        let count = lengths[..at].iter().product();
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(*length, count));
        let (item, values) = match list {
            None => (Arc::clone(leaf), Arc::clone(&elements)),
            Some(inner) => {
                let item = Field::new("item", inner.data_type().clone(), true);
                (Arc::new(item), Arc::new(inner) as ArrayRef)
            }
        };
        list = Some(ListArray::try_new(item, offsets, values, None)?);
    }
    list.map_or_else(|| internal_err!("an array has dimensions"), Ok)
}

/// A text as long as a type of texts allows: a cast cuts what is behind.
fn cut<'a>(text: &'a str, field: &Field) -> &'a str {
    let (of, modifier) = pg_type_of(field);
    let is_padded = of.name == "bpchar";
    let most = usize::try_from(modifier - 4).ok().filter(|_| is_padded || of.name == "varchar");
    let end = most.and_then(|most| text.char_indices().nth(most));
    let text = end.map_or(text, |(at, _)| &text[..at]);
    if is_padded { text.trim_end_matches(' ') } else { text }
}

fn is_jsonb(expr: &Expr, schema: &DFSchema) -> bool {
    expr.to_field(schema).is_ok_and(|(_, field)| pg_type_of(&field).0.name == "jsonb")
}

fn is_json(field: &Field) -> bool {
    Kept::of(pg_type_of(field).0.name.as_str()).is_some()
}

/// What a cast to JSON has to read, row by row; `None` where it is read already, or where a literal is.
fn kept(cast: &Cast, schema: &DFSchema) -> Option<Kept> {
    let known = |field: &Field| field.metadata().get(TYPE_KEY).and_then(|name| Kept::of(name));
    let kept = known(&cast.field)?;
    // Parts of JSON lose their type where lists become rows, and are JSON all the same.
    let is_part = match cast.expr.as_ref() {
        // The wire reads it by the type that the client says, which may be text.
        Expr::Placeholder(_) => return Some(kept),
        Expr::Literal(_, None) => true,
        Expr::Unnest(unnest) => match unnest.expr.as_ref() {
            Expr::ScalarFunction(function) => function.name().starts_with("json"),
            _ => false,
        },
        Expr::Column(Column { relation: Some(relation), .. }) if relation.table() == LISTS => true,
        Expr::Column(Column { name, .. }) => {
            let list = name.strip_prefix(UNNEST_PLACEHOLDER);
            list.is_some_and(|list| list.starts_with("(json"))
        }
        _ => false,
    };
    let (_, given) = cast.expr.to_field(schema).ok().filter(|_| !is_part)?;
    let is_read = known(&given).is_some_and(|known| known == kept || known == Kept::AsValues);
    (given.data_type().is_string() && !is_read).then_some(kept)
}

/// Tells whether an expression is of texts that are no uuids yet. The wire reads a parameter as what it is cast to.
fn is_unread(expr: &Expr, schema: &DFSchema) -> bool {
    !matches!(expr, Expr::Placeholder(_))
        && expr
            .to_field(schema)
            .is_ok_and(|(_, field)| field.data_type().is_string() && !is_text_of_uuid(&field))
}

/// A cast that reads what it is given. A parameter is cast before, which says its type.
fn read_as(cast: Cast, kept: Kept) -> Expr {
    let field = Arc::clone(&cast.field);
    let read = match matches!(*cast.expr, Expr::Placeholder(_)) {
        true => document(Expr::Cast(cast), kept),
        false => document(*cast.expr, kept),
    };
    Expr::Cast(Cast { expr: Box::new(read), field })
}

/// The number that a cast makes of a literal.
fn value(cast: &Cast) -> Option<ScalarValue> {
    let Expr::Literal(value, None) = cast.expr.as_ref() else { return None };
    let to = cast.field.data_type();
    if cast.field.metadata().is_empty()
        && let Some(float) = float_of(value, to)
    {
        return Some(float);
    }
    let whole = match (value, to) {
        (ScalarValue::Int32(Some(_)) | ScalarValue::Int64(Some(_)), to) => to.is_signed_integer(),
        (ScalarValue::UInt64(Some(_)), DataType::Decimal128(_, 0)) => true,
        _ => false,
    };
    if !whole || !cast.field.metadata().is_empty() {
        return None;
    }
    // What does not fit fails when the statement is run.
    value.cast_to(to).ok().filter(|value| !value.is_null())
}

fn number(cast: Cast) -> Expr {
    match value(&cast) {
        Some(value) => Expr::Literal(value, None),
        None => Expr::Cast(cast),
    }
}

/// Makes a literal of a cast of a whole one.
pub(super) fn cast_literal(expr: Expr) -> Expr {
    match expr {
        Expr::Cast(cast) => number(cast),
        other => other,
    }
}
