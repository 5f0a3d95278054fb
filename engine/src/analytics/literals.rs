//! Many rows of literals in an `INSERT`, read column by column as those of a `COPY`: the planner would take each cell for an
//! expression of its own, and go over all of them with each of its rules.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, ExactNumberInfo, Expr, Query, SetExpr, Statement, TimezoneInfo,
    UnaryOperator, Value, Values,
};

use super::changes::is_default;
use super::copied;
use super::insert::{check, sql_type};
use super::places::Places;
use super::rows::assigned;
use crate::catalog::TEMPORARY;
use crate::error::{Error, Result};
use crate::query::governed::Whose;
use crate::query::planner::parse_one;
use crate::query::postgres::Zone;
use crate::query::postgres::types::pg_type_of;
use crate::query::relations::{Origin, Relation};

/// What the rows go by in the query that stands for them.
const ROWS: &str = "values.rows";
/// Cells from which on they are read so.
const CELLS_MIN: usize = 4_000;
/// Cells at most that are planned as expressions: as many as there can be parameters.
const EXPRESSIONS_MAX: usize = 65_535;

/// What kinds of literals a column takes as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Numeric,
    Float,
    Text,
    Boolean,
    Other,
}

/// Puts the rows of an `INSERT` into a relation of their own, and its name into the query, if they are many literals.
///
/// # Errors
/// [`Error::Standard`] for rows of different lengths and for literals that are not of their column's type, and
/// [`Error::Limit`] if there are many cells that are no such literals.
pub(super) fn gathered(
    query: &mut Query,
    targets: &[Field],
    all_named: bool,
    (zone, places): (&Zone, Places<'_>),
) -> Result<Option<Relation>> {
    let SetExpr::Values(values) = query.body.as_ref() else { return Ok(None) };
    let width = values.rows.first().map_or(0, |row| row.content.len());
    let cells: usize = values.rows.iter().map(|row| row.content.len()).sum();
    if cells < CELLS_MIN {
        return Ok(None);
    }
    if values.rows.iter().any(|row| row.content.len() != width) {
        return Err(Error::Standard {
            sqlstate: "42601",
            message: "VALUES lists must all be the same length".into(),
            hint: "Give each row one value for each column.".into(),
        });
    }
    let unknown: FieldRef = Arc::new(Field::new("", DataType::Null, true));
    let places = places.giving(query);
    check(&vec![unknown; width], targets, all_named, &places)?;
    let is_plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none();
    let columns = match is_plain && width <= targets.len() {
        true => columns_of(values, targets, zone)?,
        false => None,
    };
    let Some(columns) = columns else {
        return match cells > EXPRESSIONS_MAX {
            true => Err(too_many()),
            false => Ok(None),
        };
    };
    let named = |(at, target): (usize, &Field)| target.clone().with_name(name_of(at));
    let seen = Schema::new(targets.iter().take(width).enumerate().map(named).collect::<Vec<_>>());
    let held = columns.iter().enumerate();
    let held = held.map(|(at, column)| Field::new(name_of(at), column.data_type().clone(), true));
    let held = Arc::new(Schema::new(held.collect::<Vec<_>>()));
    let rows = RecordBatch::try_new(held, columns).map_err(DataFusionError::from)?;
    let names: Vec<String> = (0..width).map(name_of).collect();
    let select = format!("SELECT {} FROM {TEMPORARY}.\"{ROWS}\"", names.join(", "));
    if let Statement::Query(select) = parse_one(&select)? {
        query.body = select.body;
    }
    // Literals are nobody's.
    let origin = Origin { of: String::new(), whose: Whose::Nobody, ids: vec![], log: None };
    Relation::returned(ROWS, &seen, &[rows], origin).map(Some)
}

/// The name of a column of rows that have none, as PostgreSQL gives it.
fn name_of(at: usize) -> String {
    format!("column{}", at + 1)
}

/// Reads the columns of rows; `None` if one has something else than literals that it takes.
fn columns_of(values: &Values, targets: &[Field], zone: &Zone) -> Result<Option<Vec<ArrayRef>>> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    let mut columns = Vec::with_capacity(width);
    for (at, target) in targets.iter().take(width).enumerate() {
        let cells: Vec<&Expr> = values.rows.iter().filter_map(|row| row.content.get(at)).collect();
        let Some(column) = column(&cells, target, zone)? else { return Ok(None) };
        columns.push(column);
    }
    Ok(Some(columns))
}

fn column(cells: &[&Expr], target: &Field, zone: &Zone) -> Result<Option<ArrayRef>> {
    let (kind, own) = (kind_of(target), sql_type(target));
    // Whole numbers that are too large for their column are so as numbers, and not as texts.
    let numbers = kind == Kind::Integer && cells.iter().all(|cell| text_of_number(cell).is_some());
    let mut texts = StringBuilder::new();
    let mut integers = Vec::with_capacity(if numbers { cells.len() } else { 0 });
    for cell in cells {
        let Some(text) = literal(cell, kind, own.as_ref()) else { return Ok(None) };
        match (numbers, text) {
            (false, text) => texts.append_option(text),
            (true, None) => integers.push(None),
            (true, Some(text)) => match text.parse::<i64>() {
                Ok(number) => integers.push(Some(number)),
                Err(_) => return Ok(None),
            },
        }
    }
    let array: ArrayRef = match numbers {
        true => Arc::new(Int64Array::from(integers)),
        false => copied::read(&(Arc::new(texts.finish()) as ArrayRef), target, zone)?,
    };
    assigned(&array, target, zone).map(Some)
}

fn kind_of(target: &Field) -> Kind {
    match pg_type_of(target).0.name.as_str() {
        "int2" | "int4" | "int8" => Kind::Integer,
        "numeric" => Kind::Numeric,
        "float4" | "float8" => Kind::Float,
        "text" | "varchar" | "bpchar" => Kind::Text,
        "bool" => Kind::Boolean,
        _ => Kind::Other,
    }
}

/// Returns the text of a literal, or that it is null; `None` if it is another expression, or one that its column does not take
/// as it is written.
fn literal<'a>(cell: &'a Expr, kind: Kind, own: Option<&SqlType>) -> Option<Option<Cow<'a, str>>> {
    if is_default(cell) {
        return Some(None);
    }
    match cell {
        Expr::Value(value) => match &value.value {
            Value::Null => Some(None),
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                Some(Some(Cow::Borrowed(text)))
            }
            Value::Boolean(value) if matches!(kind, Kind::Boolean | Kind::Text) => {
                Some(Some(Cow::Borrowed(if *value { "true" } else { "false" })))
            }
            Value::Number(digits, _) if takes(kind, digits) => Some(Some(Cow::Borrowed(digits))),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                // Nought has no sign.
                Value::Number(digits, _)
                    if takes(kind, digits)
                        && digits.bytes().any(|digit| matches!(digit, b'1'..=b'9')) =>
                {
                    Some(Some(Cow::Owned(format!("-{digits}"))))
                }
                _ => None,
            },
            _ => None,
        },
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type,
            array: false,
            format: None,
        } if own.is_some_and(|own| is_same(data_type, own)) => literal(expr, kind, own),
        Expr::TypedString(typed) if own.is_some_and(|own| is_same(&typed.data_type, own)) => {
            match &typed.value.value {
                Value::SingleQuotedString(text) => Some(Some(Cow::Borrowed(text))),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Tells whether a type is the one of a column, which may have several names.
fn is_same(written: &SqlType, own: &SqlType) -> bool {
    let by_another_name = matches!(
        (written, own),
        (SqlType::Float(ExactNumberInfo::None) | SqlType::Float8, SqlType::DoublePrecision)
            | (
                SqlType::Timestamp(None, TimezoneInfo::Tz),
                SqlType::Timestamp(None, TimezoneInfo::WithTimeZone)
            )
    );
    written == own || by_another_name
}

/// Returns what is written of a number without its sign, or nothing of a null.
fn text_of_number(cell: &Expr) -> Option<&str> {
    match cell {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => text_of_number(expr),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits),
            Value::Null => Some(""),
            _ => None,
        },
        cell => is_default(cell).then_some(""),
    }
}

/// Tells whether a column takes a number as it is written: the text of `007` is `7`, and a fraction is rounded to a whole number.
fn takes(kind: Kind, number: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = |text: &str| digits(text) && (text == "0" || !text.starts_with('0'));
    match kind {
        Kind::Integer => whole(number),
        Kind::Float => number.parse::<f64>().is_ok_and(f64::is_finite),
        Kind::Numeric | Kind::Text => match number.split_once('.') {
            Some((before, behind)) => whole(before) && digits(behind),
            None => whole(number),
        },
        Kind::Boolean | Kind::Other => false,
    }
}

fn too_many() -> Error {
    Error::Limit {
        sqlstate: "54001",
        message: format!("more than {EXPRESSIONS_MAX} values that are not literals"),
        hint: "Put in fewer rows at once, or use COPY ... FROM STDIN.".into(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;

    use super::*;

    /// Returns the rows of a query that fit columns, the SQLSTATE of what is refused, or that they are planned.
    fn read(values: &str, data_type: DataType) -> Vec<String> {
        let Statement::Query(query) = parse_one(&format!("VALUES {values}")).unwrap() else {
            panic!("{values}")
        };
        let SetExpr::Values(values) = *query.body else { panic!("no rows") };
        match columns_of(&values, &[Field::new("a", data_type, true)], &Zone::utc()) {
            Ok(Some(columns)) => (0..columns[0].len())
                .map(|row| array_value_to_string(&columns[0], row).unwrap())
                .collect(),
            Ok(None) => vec!["planned".into()],
            Err(error) => vec![error.sqlstate().to_owned()],
        }
    }

    #[test]
    fn literals_are_read_as_their_columns_take_them() {
        let (cents, float) = (DataType::Decimal128(8, 2), DataType::Float64);
        for (values, data_type, expected) in [
            ("(1), (NULL), (-7), (DEFAULT)", DataType::Int32, &["1", "", "-7", ""][..]),
            ("(1), ('2')", DataType::Int64, &["1", "2"]),
            ("('it''s'), (E'a\\tb'), (1.50)", DataType::Utf8, &["it's", "a\tb", "1.50"]),
            ("(true), (NULL)", DataType::Utf8, &["true", ""]),
            ("(1e3), (.5), (-2)", DataType::Float64, &["1000.0", "0.5", "-2.0"]),
            ("(1.5), (-2), ('3')", cents, &["1.50", "-2.00", "3.00"]),
            ("(true), (NULL), ('false')", DataType::Boolean, &["true", "", "false"]),
            ("('2024-02-29'::date), (NULL)", DataType::Date32, &["2024-02-29", ""]),
            ("(DATE '2024-02-29')", DataType::Date32, &["2024-02-29"]),
            ("('1e2'::float), (CAST(CAST(2 AS float8) AS float8))", float, &["100.0", "2.0"]),
        ] {
            assert_eq!(read(values, data_type), expected, "{values}");
        }
    }

    #[test]
    fn what_is_no_such_literal_is_planned() {
        for (values, data_type) in [
            ("(1.5)", DataType::Int32),
            ("(007)", DataType::Utf8),
            ("(-0)", DataType::Utf8),
            ("(1)", DataType::Date32),
            ("(1 + 1)", DataType::Int32),
            ("($1)", DataType::Int32),
            ("('1'::bigint)", DataType::Int32),
            ("(now())", DataType::Utf8),
        ] {
            assert_eq!(read(values, data_type), ["planned"], "{values}");
        }
    }

    #[test]
    fn rows_of_different_lengths_are_refused() {
        let sql = format!("VALUES {}, (1)", vec!["(1, 2)"; CELLS_MIN].join(", "));
        let Statement::Query(mut query) = parse_one(&sql).unwrap() else { panic!("no query") };
        let targets = ["a", "b"].map(|name| Field::new(name, DataType::Int32, true));
        let refused =
            gathered(&mut query, &targets, true, (&Zone::utc(), Places::NONE)).err().unwrap();
        assert_eq!(refused.sqlstate(), "42601");
    }
}
