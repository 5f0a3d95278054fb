//! The rows of an `INSERT`: which column each of its values goes to, and of what type literals and parameters are.

use arrow::datatypes::{Field, FieldRef};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr, Ident, Insert, OnInsert, Query, SelectItem, SetExpr,
    Statement, TableObject, UnaryOperator, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::assignable::{check_assignable, may_be_kept};
use super::changes::is_default;
use super::conflict::{EXCLUDED, PLACE};
use super::keys::is_always_given;
use super::places::Places;
use super::returning::Returning;
use super::rows::ROW;
use super::statement::{HERE, Write, existing, normal, parts, unsupported};
use super::{defaults, generated};
use crate::catalog::{AnalyticsTable, Identity, placed, qualified};
use crate::error::{Error, Result};
use crate::query::planner::parse_one;
use crate::query::postgres::types::{format_type, pg_type_of};
use crate::query::postgres::{SessionFacts, refuse_unseen};
use crate::query::syntax::{SYSTEM_VALUE, USER_VALUE};

/// Types of which a text or a parameter is taken for a value at once; others are, when the row is written.
const TYPED: [&str; 17] = [
    "bool",
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "numeric",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "text",
    "uuid",
    "bytea",
    "json",
    "jsonb",
];

/// What an `INSERT` says of numbers that its rows bring for identity columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overriding {
    /// `OVERRIDING SYSTEM VALUE`: they are taken.
    System,
    /// `OVERRIDING USER VALUE`: those of the sequence are taken.
    User,
}

impl Overriding {
    fn of(insert: &Insert) -> Result<Option<Self>> {
        match insert.partitioned.as_deref() {
            None => Ok(None),
            Some([Expr::Identifier(word)]) if word.value == SYSTEM_VALUE => Ok(Some(Self::System)),
            Some([Expr::Identifier(word)]) if word.value == USER_VALUE => Ok(Some(Self::User)),
            Some(_) => Err(unsupported("PARTITION of INSERT", "Leave it out.")),
        }
    }
}

/// Reads an `INSERT`.
pub(super) fn read(insert: &Insert, facts: &SessionFacts) -> Result<Write> {
    if insert.overwrite || insert.replace_into {
        let hint = "Use TRUNCATE and INSERT in one transaction.";
        return Err(unsupported("INSERT OVERWRITE", hint));
    }
    let TableObject::TableName(name) = &insert.table else {
        return Err(unsupported("INSERT INTO a function", HERE));
    };
    let conflict = match &insert.on {
        None => None,
        Some(OnInsert::OnConflict(conflict)) => Some(Box::new(conflict.clone())),
        Some(_) => {
            return Err(unsupported(
                "ON DUPLICATE KEY",
                "Write ON CONFLICT (key) DO UPDATE SET ...",
            ));
        }
    };
    let name = existing(name, "INSERT", facts)?;
    let alias = match &insert.table_alias {
        Some(alias) => normal(&alias.alias),
        None => placed(&name).1.to_owned(),
    };
    if let Some(conflict) = &conflict {
        refuse_unseen(&**conflict, &[ROW, PLACE], &[alias.as_str(), EXCLUDED])?;
    }
    let columns: Vec<String> =
        insert.columns.iter().filter_map(|column| parts(column).pop()).collect();
    let (columns, query) = match &insert.source {
        Some(query) => ((!columns.is_empty()).then_some(columns), query.clone()),
        // DEFAULT VALUES: a row for which no column is named.
        None => (Some(vec![]), one_row()?),
    };
    let returning = insert.returning.as_ref();
    let returning = returning.map(|list| Returning::read(list, &alias, false)).transpose()?;
    let alias = Ident::with_quote('"', alias);
    let overriding = Overriding::of(insert)?;
    Ok(Write::Insert { name, alias, columns, query, overriding, conflict, returning })
}

/// Returns the columns that values go to, in the order of the values.
pub(super) fn targets(
    relation: &str,
    columns: &[Field],
    named: Option<&[String]>,
) -> Result<Vec<Field>> {
    let Some(named) = named else { return Ok(columns.to_vec()) };
    let mut found: Vec<Field> = Vec::with_capacity(named.len());
    for name in named {
        let column = columns.iter().find(|column| column.name() == name);
        let column = column.ok_or_else(|| no_column(relation, name))?;
        if found.iter().any(|other| other.name() == name) {
            return Err(Error::Standard {
                sqlstate: "42701",
                message: format!("column \"{name}\" specified more than once"),
                hint: "Name each column once.".into(),
            });
        }
        found.push(column.clone());
    }
    Ok(found)
}

/// The answer to a column that a relation does not have.
pub(super) fn no_column(relation: &str, name: &str) -> Error {
    Error::Standard {
        sqlstate: "42703",
        message: format!("column \"{name}\" of relation \"{}\" does not exist", placed(relation).1),
        hint: format!("\\d {} lists its columns.", qualified(relation)),
    }
}

/// Returns the query of an `INSERT` with its literals and parameters of the types of their columns.
pub(super) fn source(query: &Query, targets: &[Field]) -> Statement {
    let mut query = query.clone();
    match query.body.as_mut() {
        SetExpr::Values(values) => {
            for cell in values.rows.iter_mut().flat_map(|row| &mut row.content) {
                if is_default(cell) {
                    *cell = Expr::Value(Value::Null.into());
                }
            }
            for (at, target) in targets.iter().enumerate() {
                let cells = values.rows.iter_mut().filter_map(|row| row.content.get_mut(at));
                type_column(cells.collect(), target);
            }
        }
        SetExpr::Select(select) => {
            for (item, target) in select.projection.iter_mut().zip(targets) {
                match item {
                    SelectItem::UnnamedExpr(expr) if is_open(expr) => {
                        *expr = typed(expr.clone(), target);
                    }
                    SelectItem::ExprWithAlias { expr, .. } if is_open(expr) => {
                        *expr = typed(expr.clone(), target);
                    }
                    SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {}
                    // What stands behind `*` has another place than it seems to.
                    _ => break,
                }
            }
        }
        _ => {}
    }
    Statement::Query(Box::new(query))
}

/// Gives literals and parameters of one column the type of the column that they go to. Otherwise they would be of one type
/// among themselves first, which what is written in one row may not fit.
fn type_column(cells: Vec<&mut Expr>, target: &Field) {
    let Some(to) = sql_type(target) else { return };
    let of_text = matches!(pg_type_of(target).0.name.as_str(), "text" | "varchar" | "bpchar");
    // Numbers that are alone are of one type, and need no cast.
    let numbers = of_text
        || target.data_type().is_floating()
        || target.data_type().is_numeric()
            && !cells.iter().all(|cell| is_number(cell) || is_null(cell));
    for cell in cells {
        if is_open(cell) || numbers && is_number(cell) || of_text && is_boolean(cell) {
            let expr = std::mem::replace(cell, Expr::Value(Value::Null.into()));
            *cell = cast(expr, to.clone());
        }
    }
}

/// Returns a query of one row.
fn one_row() -> Result<Box<Query>> {
    match parse_one("VALUES (NULL)")? {
        Statement::Query(query) => Ok(query),
        _ => Err(unsupported("INSERT ... DEFAULT VALUES", "Write VALUES (...).")),
    }
}

/// Puts `DEFAULT` in the place of what rows bring for identity columns.
pub(super) fn override_given(
    table: &AnalyticsTable,
    columns: &[Field],
    named: Option<&[String]>,
    query: &mut Query,
) -> Result<()> {
    let names: Vec<&String> = match named {
        Some(named) => named.iter().collect(),
        None => columns.iter().map(Field::name).collect(),
    };
    let is_identity =
        |name: &String| table.numbered.get(name).is_some_and(|by| by.identity.is_some());
    for at in (0..names.len()).filter(|at| is_identity(names[*at])) {
        let SetExpr::Values(values) = query.body.as_mut() else {
            let hint = "Leave the identity column out, of the columns and of the query.";
            return Err(unsupported("OVERRIDING USER VALUE of what a query gives", hint));
        };
        for cell in values.rows.iter_mut().filter_map(|row| row.content.get_mut(at)) {
            *cell = Expr::Identifier(Ident::new("DEFAULT"));
        }
    }
    Ok(())
}

/// Leaves the columns out of an `INSERT` that are numbered or computed and have `DEFAULT` in each row. Where others bring numbers, the rows
/// that do not take theirs from the sequence.
pub(super) fn leave_out_numbers(
    table: &AnalyticsTable,
    columns: &[Field],
    named: &mut Option<Vec<String>>,
    query: &mut Query,
    overriding: Option<Overriding>,
) -> Result<()> {
    let SetExpr::Values(values) = query.body.as_mut() else { return Ok(()) };
    let width = values.rows.first().map_or(0, |row| row.content.len());
    let all = || columns.iter().map(|column| column.name().clone()).collect();
    let mut names: Vec<String> = named.clone().unwrap_or_else(all);
    if names.len() < width || values.rows.iter().any(|row| row.content.len() != width) {
        return Ok(());
    }
    names.truncate(width);
    let defaults =
        |at: usize| values.rows.iter().filter(|row| is_default(&row.content[at])).count();
    let is_made =
        |name: &String| table.numbered.contains_key(name) || table.generated.contains_key(name);
    let found: Vec<(usize, usize)> = (0..width)
        .filter(|at| is_made(&names[*at]))
        .map(|at| (at, defaults(at)))
        .filter(|(_, defaults)| *defaults > 0)
        .collect();
    for (at, defaults) in found.into_iter().rev() {
        if defaults < values.rows.len() {
            let Some(by) = table.numbered.get(&names[at]) else { continue };
            // One that takes no other numbers is refused for those.
            if by.identity != Some(Identity::Always) || overriding == Some(Overriding::System) {
                let next = next_number(&by.sequence)?;
                let cells = values.rows.iter_mut().map(|row| &mut row.content[at]);
                cells.filter(|cell| is_default(cell)).for_each(|cell| *cell = next.clone());
            }
            continue;
        }
        names.remove(at);
        for row in &mut values.rows {
            // The last one stays for the sake of its row, and goes nowhere.
            match names.is_empty() {
                true => row.content[at] = Expr::Value(Value::Null.into()),
                false => drop(row.content.remove(at)),
            }
        }
        *named = Some(names.clone());
    }
    Ok(())
}

/// Returns the call that takes a number from the sequence that is kept under `key`.
fn next_number(key: &str) -> Result<Expr> {
    let (schema, name) = placed(key);
    let quoted = |name: &str| Ident::with_quote('"', name).to_string();
    let sequence = format!("{}.{}", quoted(schema), quoted(name)).replace('\'', "''");
    defaults::parsed(&format!("nextval('{sequence}')"))
}

/// Fails unless rows with the columns `given` can be put into the columns `targets`.
pub(super) fn check(
    given: &[FieldRef],
    targets: &[Field],
    all_named: bool,
    places: &Places<'_>,
) -> Result<()> {
    let refused = |message: &str| Error::Standard {
        sqlstate: "42601",
        message: message.into(),
        hint: "Give one value for each column.".into(),
    };
    if targets.is_empty() {
        return Ok(());
    }
    if given.len() > targets.len() {
        let error = refused("INSERT has more expressions than target columns");
        return Err(places.at_value((targets.len(), given.len()), error));
    }
    if given.len() < targets.len() && all_named {
        let error = refused("INSERT has more target columns than expressions");
        return Err(places.at_column(targets[given.len()].name(), error));
    }
    for (at, (field, target)) in given.iter().zip(targets).enumerate() {
        let place = (at, given.len());
        // Rows of values say how what a function makes is held, and not of which type it is.
        let is_told = !places.are_rows() || !may_be_kept(field, target);
        if is_told && (!places.is_open(place) || target.data_type().is_nested()) {
            check_assignable(field, target).map_err(|error| places.at_value(place, error))?;
        }
    }
    Ok(())
}

/// Fails if values are given to one of the first `count` columns `targets` that takes those of its sequence alone, or is
/// computed.
pub(super) fn refuse_given(
    table: &AnalyticsTable,
    targets: &[Field],
    count: usize,
    overriding: Option<Overriding>,
) -> Result<()> {
    let mut given = targets.iter().take(count);
    let of_row = |target: &&Field| table.generated.contains_key(target.name());
    if let Some(target) = targets.iter().take(count).find(of_row) {
        let column = target.name();
        let message = format!("cannot insert a non-DEFAULT value into column \"{column}\"");
        return Err(generated::refused(message, column));
    }
    let is_brought = |target: &&Field| is_always_given(table, target.name());
    match given.find(is_brought).filter(|_| overriding != Some(Overriding::System)) {
        None => Ok(()),
        Some(target) => {
            let column = target.name();
            Err(Error::Row {
                sqlstate: "428C9",
                message: format!("cannot insert a non-DEFAULT value into column \"{column}\""),
                detail: Some(always(column)),
                hint: "Use OVERRIDING SYSTEM VALUE to override.".into(),
            })
        }
    }
}

/// What is said of an identity column that takes the numbers of its sequence alone.
pub(super) fn always(column: &str) -> String {
    format!("Column \"{column}\" is an identity column defined as GENERATED ALWAYS.")
}

/// Tells whether an expression has no type of its own.
pub(super) fn is_open(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_open(inner),
        Expr::Value(value) => matches!(
            value.value,
            Value::Placeholder(_)
                | Value::SingleQuotedString(_)
                | Value::EscapedStringLiteral(_)
                | Value::UnicodeStringLiteral(_)
                | Value::DollarQuotedString(_)
                | Value::Null
        ),
        _ => false,
    }
}

/// Tells whether an expression is a number, with a sign or without.
fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner)
        | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
            is_number(inner)
        }
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        _ => false,
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Null))
}

fn is_boolean(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Boolean(_)))
}

/// Gives an expression that has no type of its own that of the column it goes to.
pub(super) fn typed(expr: Expr, target: &Field) -> Expr {
    let Some(data_type) = sql_type(target) else { return expr };
    if !is_open(&expr) {
        return expr;
    }
    cast(expr, data_type)
}

pub(super) fn cast(expr: Expr, data_type: SqlType) -> Expr {
    let (kind, array, format) = (CastKind::Cast, false, None);
    Expr::Cast { kind, expr: Box::new(expr), data_type, array, format }
}

/// Returns the type that a text or a parameter for a column is cast to; `None` if it goes there as it is.
pub(super) fn sql_type(field: &Field) -> Option<SqlType> {
    let (pg_type, modifier) = pg_type_of(field);
    // A cast to varchar(n) would cut the value.
    let name = match pg_type.name.as_str() {
        "varchar" | "bpchar" => "text".to_owned(),
        "_varchar" | "_bpchar" => "text[]".to_owned(),
        name if TYPED.contains(&name) => format_type(i64::from(pg_type.oid), i64::from(modifier)),
        name if name.strip_prefix('_').is_some_and(|element| TYPED.contains(&element)) => {
            format_type(i64::from(pg_type.oid), -1)
        }
        _ => return None,
    };
    Parser::new(&PostgreSqlDialect {}).try_with_sql(&name).ok()?.parse_data_type().ok()
}
