//! Which types of values a column takes without a cast: PostgreSQL's casts for an assignment. Numbers go into columns of
//! numbers, days and times into each other, and everything but lists into texts; a text goes into no column of another type,
//! since only a literal is what its place makes of it.

use arrow::datatypes::{DataType, Field};

use super::insert::sql_type;
use crate::error::{Error, Result};
use crate::query::postgres::types::{format_type, pg_type_of};

/// Types whose values are held as texts and are none.
const KEPT_AS_TEXTS: [&str; 3] = ["uuid", "json", "jsonb"];

/// Fails unless values of `from` may be put into the column `to`.
pub(super) fn check_assignable(from: &Field, to: &Field) -> Result<()> {
    if is_assignable(from, to) {
        return Ok(());
    }
    let named = |field: &Field| {
        let (pg_type, modifier) = pg_type_of(field);
        format_type(i64::from(pg_type.oid), i64::from(modifier))
    };
    Err(Error::Standard {
        sqlstate: "42804",
        message: format!(
            "column \"{}\" is of type {} but expression is of type {}",
            to.name(),
            named(to),
            named(from)
        ),
        hint: "You will need to rewrite or cast the expression.".into(),
    })
}

fn is_assignable(from: &Field, to: &Field) -> bool {
    let (source, target) = (from.data_type(), to.data_type());
    if matches!(source, DataType::Null) {
        return true;
    }
    if source.is_string() && target.is_string() {
        return takes(&pg_type_of(from).0.name, &pg_type_of(to).0.name);
    }
    if source.is_string() {
        // A type of which no literal is made where it stands is read from texts.
        return !target.is_nested() && !is_binary(target) && sql_type(to).is_none();
    }
    if target.is_string() {
        return !source.is_nested() && !is_kept_as_text(&pg_type_of(to).0.name);
    }
    let temporal = |data_type: &DataType| {
        matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
    };
    source == target
        || (source.is_numeric() && target.is_numeric())
        || (temporal(source) && temporal(target))
        || (source.is_nested() && target.is_nested())
        || std::mem::discriminant(source) == std::mem::discriminant(target)
        || (is_binary(source) && is_binary(target))
}

/// Tells whether what is held as a text may be of the type of a column that is held so, too.
pub(super) fn may_be_kept(from: &Field, to: &Field) -> bool {
    from.data_type().is_string()
        && pg_type_of(from).0.name == "text"
        && is_kept_as_text(&pg_type_of(to).0.name)
}

/// Tells whether what is held as texts of one type goes into a column of another that is held so.
fn takes(from: &str, to: &str) -> bool {
    let is_document = |name: &str| matches!(name, "json" | "jsonb");
    from == to || !is_kept_as_text(to) || (is_document(from) && is_document(to))
}

fn is_kept_as_text(name: &str) -> bool {
    KEPT_AS_TEXTS.contains(&name)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}
