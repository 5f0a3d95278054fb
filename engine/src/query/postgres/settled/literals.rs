//! Literals in the types that they are cast to, or that of what stands beside them.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::Types;
use crate::query::postgres::diagnosis;
use crate::query::postgres::functions::rounded;
use crate::query::postgres::input::{self, Refusal};
use crate::query::postgres::types::{arrow_type, pg_type_of};

impl Types {
    /// Makes a literal of a cast of one, and rounds what is cast to an integer.
    pub(super) fn cast(&mut self, cast: Cast, schema: &DFSchema) -> Result<Expr> {
        if let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = cast.expr.as_ref()
            && let Some(literal) = self.read(text, &cast.field)?
        {
            return Ok(literal);
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
                _ => return Ok(Expr::Cast(cast)),
            };
            return Ok(Expr::Cast(Cast { expr: Box::new(whole), field: cast.field }));
        }
        match value(&cast) {
            Some(value) => Ok(Expr::Literal(value, None)),
            None => Ok(self.cast_moment(cast, schema)),
        }
    }

    /// Reads a text as a literal of a type; `None` for types that need no reading.
    fn read(&mut self, text: &str, field: &Field) -> Result<Option<Expr>> {
        let name = pg_type_of(field).0.name.as_str();
        if field.data_type().is_nested() {
            return Ok(None);
        }
        let Some(read) = input::read(text, name, &self.zone) else { return Ok(None) };
        if read.is_err() && matches!(name, "json" | "jsonb") {
            // What is wrong with it is said where casts are checked.
            return Ok(None);
        }
        let refused = |refusal: Refusal| diagnosis::about_text(text, &refusal.error(name));
        let value = read.map_err(refused)?;
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

    /// A literal in the type of what it stands beside: an integer as a bigint, a text that is compared as a date or a time.
    pub(super) fn beside(
        &mut self,
        literal: Expr,
        other: Option<&DataType>,
        compared: bool,
    ) -> Result<Expr> {
        let is_moment =
            |other: &DataType| other.is_temporal() && !matches!(other, DataType::Duration(_));
        match (literal, other) {
            (Expr::Literal(ScalarValue::Int32(Some(number)), None), Some(DataType::Int64)) => {
                Ok(Expr::Literal(ScalarValue::Int64(Some(number.into())), None))
            }
            (Expr::Literal(ScalarValue::Utf8(Some(text)), None), Some(other))
                if compared && is_moment(other) =>
            {
                let read = self.read(&text, &Field::new("", other.clone(), true))?;
                Ok(read.unwrap_or(Expr::Literal(ScalarValue::Utf8(Some(text)), None)))
            }
            (other, _) => Ok(other),
        }
    }
}

/// The number that a cast makes of a literal.
fn value(cast: &Cast) -> Option<ScalarValue> {
    let Expr::Literal(value, None) = cast.expr.as_ref() else { return None };
    let to = cast.field.data_type();
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
