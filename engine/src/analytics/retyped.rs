//! `ALTER COLUMN ... TYPE`: what the values of a column become, in all rows or in none.
//!
//! What cannot be turned fails with the value in its message. So the columns of rows of persons, of whom some may be hidden,
//! become another type only where each value of the one is a value of the other.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Field, FieldRef};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{ColumnDef, DataType as SqlType, Expr, Ident};

use super::altered_keys;
use super::column_changes::Column;
use super::computed::{self, Computed};
use super::insert::{cast, sql_type, typed};
use super::keys::{BroughtKeys, Key};
use super::numbers::numbered;
use super::rows::{assigned, stored};
use super::sequence_objects::OwnedSequences;
use super::statement::unsupported;
use super::write::{Seen, missing};
use crate::catalog::{AnalyticsTable, WholeNumber, qualified};
use crate::error::{Error, Result};
use crate::lake::{self, Table, TableSnapshot};
use crate::query::governed::PROFILE_ID;
use crate::query::postgres::types::{format_type, pg_type_of};
use crate::query::postgres::{Zone, zone_of};
use crate::query::relations::columns_of;
use crate::query::session::QuerySession;

/// What expressions behind `USING` are, as messages call them.
const CLAUSE: &str = "transform expression";

/// What a column of another type has its values from.
pub(super) enum Turn {
    /// From those that it has, as an `INSERT` would put them in.
    Assigned,
    /// From those that it has, as texts.
    Text(Expr),
    /// From an expression over the row.
    Using(Expr),
}

/// Returns a column that has the type which another one is to have.
pub(super) fn definition(name: &Ident, data_type: &SqlType) -> Result<ColumnDef> {
    if numbered(data_type).is_some() {
        return Err(Error::Standard {
            sqlstate: "42704",
            message: format!("type \"{}\" does not exist", data_type.to_string().to_lowercase()),
            hint: "It is only there for columns that are made: write integer or bigint.".into(),
        });
    }
    Ok(ColumnDef { name: name.clone(), data_type: data_type.clone(), options: vec![] })
}

/// Returns what a column has its values from that becomes `to`.
pub(super) fn turn(from: &Field, to: &Field, using: Option<&Expr>) -> Result<Turn> {
    if let Some(using) = using {
        return Ok(Turn::Using(typed(using.clone(), to)));
    }
    if !is_automatic(name_of(from), name_of(to)) {
        let (column, data_type) = (from.name(), type_of(to));
        return Err(Error::Standard {
            sqlstate: "42804",
            message: format!(
                "column \"{column}\" cannot be cast automatically to type {data_type}"
            ),
            hint: format!("You might need to specify \"USING {column}::{data_type}\"."),
        });
    }
    let column = || Expr::Identifier(Ident::with_quote('"', from.name()));
    Ok(match (is_text(name_of(from)), is_text(name_of(to)), sql_type(to)) {
        (false, true, Some(text)) => Turn::Text(cast(column(), text)),
        _ => Turn::Assigned,
    })
}

fn name_of(field: &Field) -> &'static str {
    pg_type_of(field).0.name.as_str()
}

fn type_of(field: &Field) -> String {
    let (pg_type, modifier) = pg_type_of(field);
    format_type(i64::from(pg_type.oid), i64::from(modifier))
}

fn is_text(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "bpchar")
}

/// Tells whether values of a type become those of another one where they are put into its column.
fn is_automatic(from: &str, to: &str) -> bool {
    const NUMBERS: [&str; 6] = ["int2", "int4", "int8", "numeric", "float4", "float8"];
    const TIMES: [&str; 3] = ["date", "timestamp", "timestamptz"];
    const DOCUMENTS: [&str; 2] = ["json", "jsonb"];
    if let (Some(from), Some(to)) = (from.strip_prefix('_'), to.strip_prefix('_')) {
        return is_automatic(from, to);
    }
    let both = |kinds: &[&str]| kinds.contains(&from) && kinds.contains(&to);
    from == to || is_text(to) || both(&NUMBERS) || both(&TIMES) || both(&DOCUMENTS)
}

/// Tells whether each value of a type is one of another type.
fn is_wider(from: &Field, to: &Field) -> bool {
    if type_of(from) == type_of(to) {
        return true;
    }
    match (name_of(from), name_of(to)) {
        (name, "text") => !name.starts_with('_'),
        ("int2", "int4" | "int8") | ("int4", "int8") | ("float4", "float8") => true,
        ("varchar", "varchar") => pg_type_of(to).1 < 0,
        _ => false,
    }
}

/// Tells whether values that were no texts become texts, which are compared as such.
fn is_compared_anew(from: &Field, to: &Field) -> bool {
    name_of(to) == "text" && !matches!(name_of(from), "text" | "varchar")
}

impl QuerySession {
    /// Fails unless a column of a table may be one of another type, which it has already. Its sequence goes with it.
    pub(super) async fn check_retyped(
        &self,
        seen: &Seen,
        (name, table): (&str, &AnalyticsTable),
        (from, column): (&Field, &Column),
        sequences: &mut OwnedSequences,
    ) -> Result<()> {
        let to = lake::logical_field(&column.field);
        let state = &seen.live.published.state;
        if let Some(view) = state.views_over(name).first() {
            let word = seen.find(view).map_or("view", |relation| relation.word());
            return Err(Error::Standard {
                sqlstate: "0A000",
                message: "cannot alter type of a column used by a view or rule".into(),
                hint: format!("{word} {} reads the table: drop it first.", qualified(view)),
            });
        }
        let is_computed = matches!(column.turned, Some(Turn::Using(_)));
        if table.of_persons && (is_computed || !is_wider(from, &to)) {
            let hint = "What a value cannot become would tell of persons who are hidden. Make the table anew: CREATE TABLE ... AS SELECT.";
            let what = format!("type {} for a column of rows of persons", type_of(&to));
            return Err(unsupported(what, hint));
        }
        let is_checked = table.checks.iter().any(|check| check.columns.contains(to.name()));
        if table.of_persons && is_checked && is_compared_anew(from, &to) {
            let hint = "Whether rows fulfil it as texts would tell of persons who are hidden: drop the constraint first.";
            let what = format!("type {} for a checked column of rows of persons", type_of(&to));
            return Err(unsupported(what, hint));
        }
        self.may_fill(seen, name, false, false)?;
        if let Some(by) = table.numbered.get(to.name()) {
            let Some(number) = WholeNumber::named(name_of(&to)) else {
                return Err(Error::Standard {
                    sqlstate: "22023",
                    message: "identity column type must be smallint, integer, or bigint".into(),
                    hint: "Rows of the column are numbered: make another column.".into(),
                });
            };
            if by.identity.is_some() {
                sequences.retype(to.name(), number)?;
            }
        }
        if table.keys(name).iter().any(|key| key.columns.contains(to.name())) {
            altered_keys::check_type(&to)?;
        }
        let Some(default) = table.defaults.get(to.name()) else { return Ok(()) };
        match self.default_of(seen, default, &to).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Standard {
                sqlstate: "42804",
                message: format!(
                    "default for column \"{}\" cannot be cast automatically to type {}",
                    to.name(),
                    type_of(&to)
                ),
                hint: "ALTER COLUMN ... DROP DEFAULT first, and SET DEFAULT afterwards.".into(),
            }),
        }
    }
}

/// A column that becomes one of another type.
struct Retype {
    /// Where it is stored.
    from: usize,
    /// What it is stored as then.
    field: FieldRef,
    is_computed: bool,
}

/// The columns that become those of other types.
pub(super) struct Retyped<'a> {
    session: &'a QuerySession,
    name: &'a str,
    /// The table as it becomes.
    after: &'a AnalyticsTable,
    columns: Vec<Retype>,
    /// The columns that expressions are over.
    shown: Vec<Field>,
    computed: Option<Computed>,
    /// The keys that are others, and their values.
    keys: Vec<Key>,
    known: BroughtKeys,
    zone: Zone,
}

impl<'a> Retyped<'a> {
    /// Returns those of the table that is kept under `name`, whose rows are `before` and go to `made`.
    pub(super) async fn of(
        (session, seen): (&'a QuerySession, &Seen),
        (name, table, after): (&'a str, &AnalyticsTable, &'a AnalyticsTable),
        before: &TableSnapshot,
        made: &Table,
        columns: &[Column],
    ) -> Result<Self> {
        let (mut retyped, mut expressions) = (vec![], vec![]);
        for column in columns {
            let (Some(turn), Some(from)) = (&column.turned, column.from) else { continue };
            let is_computed = match turn {
                Turn::Assigned => false,
                Turn::Text(expression) | Turn::Using(expression) => {
                    expressions.push(expression.clone());
                    true
                }
            };
            retyped.push(Retype { from, field: Arc::clone(&column.field), is_computed });
        }
        let mut shown = columns_of(&before.schema, table);
        shown.retain(|column| column.name() != PROFILE_ID);
        let computed = match expressions.is_empty() {
            true => None,
            false => {
                let over = (name, shown.as_slice());
                computed::check(session, &seen.live, over, &expressions, CLAUSE).await?;
                Some(Computed::of(session, &seen.live, over, &expressions).await?)
            }
        };
        let given = computed.iter().flat_map(|computed| computed.given.fields());
        for (given, column) in given.zip(retyped.iter().filter(|column| column.is_computed)) {
            check_given(given, &lake::logical_field(&column.field))?;
        }
        let mut keys = Key::all(name, after, &made.snapshot().schema)?;
        let is_retyped = |name: &String| retyped.iter().any(|one| one.field.name() == name);
        keys.retain(|key| key.columns().iter().any(is_retyped));
        let (known, zone) = (BroughtKeys::default(), zone_of(session.facts()));
        Ok(Self { session, name, after, columns: retyped, shown, computed, keys, known, zone })
    }

    /// Tells whether there are such columns.
    pub(super) fn are_there(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Returns what the columns become in stored rows, as they are stored then.
    pub(super) async fn turned(&mut self, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let computed = match &mut self.computed {
            Some(computed) => {
                computed.take(self.session, &computed::shown(rows, &self.shown)?).await?
            }
            None => vec![],
        };
        let mut computed = computed.into_iter();
        let mut turned = Vec::with_capacity(self.columns.len());
        for Retype { from, field, is_computed } in &self.columns {
            let values = match is_computed {
                true => computed.next().ok_or_else(|| missing(self.name))?,
                false => {
                    let one = rows.project(&[*from]).map_err(DataFusionError::from)?;
                    let one = lake::logical_batch(&one, &lake::logical(&one.schema()))?;
                    Arc::clone(one.column(0))
                }
            };
            let logical = lake::logical_field(field);
            let values = assigned(&values, &logical, &self.zone)?;
            if self.after.not_null.contains(field.name()) && values.logical_null_count() > 0 {
                return Err(altered_keys::contains_nulls(self.name, field.name()));
            }
            turned.push(stored(&values, &logical, field)?);
        }
        Ok(turned)
    }

    /// Takes the keys of rows as they have become.
    ///
    /// # Errors
    /// SQLSTATE 23505 if two have the same.
    pub(super) fn take_keys(&mut self, rows: &RecordBatch) -> Result<()> {
        for key in &self.keys {
            self.known.take(key, rows, self.after)?;
            if self.known.are_same() {
                return Err(altered_keys::not_unique(key));
            }
        }
        Ok(())
    }
}

/// Fails unless values of an expression become those of a column where they are put into it.
fn check_given(given: &Field, to: &Field) -> Result<()> {
    if is_automatic(name_of(given), name_of(to)) {
        return Ok(());
    }
    Err(Error::Standard {
        sqlstate: "42804",
        message: format!(
            "result of USING clause for column \"{}\" cannot be cast automatically to type {}",
            to.name(),
            type_of(to)
        ),
        hint: "You might need to add an explicit cast.".into(),
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn types_become_others_as_those_of_postgresql() {
        for (from, to, expected) in [
            ("int4", "int8", true),
            ("int8", "int2", true),
            ("numeric", "float8", true),
            ("bool", "text", true),
            ("date", "timestamptz", true),
            ("_int4", "_int8", true),
            ("jsonb", "json", true),
            ("text", "int4", false),
            ("bool", "int4", false),
            ("text", "uuid", false),
            ("int4", "_int4", false),
            ("int4", "date", false),
        ] {
            assert_eq!(is_automatic(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn a_text_is_turned_by_using_alone() {
        let field = |data_type| Field::new("a", data_type, true);
        let (text, int, bigint) =
            (field(DataType::Utf8), field(DataType::Int32), field(DataType::Int64));
        assert!(matches!(turn(&int, &bigint, None), Ok(Turn::Assigned)));
        assert!(matches!(turn(&int, &text, None), Ok(Turn::Text(_))));
        let refused = turn(&text, &int, None).err().unwrap();
        assert_eq!(refused.sqlstate(), "42804");
        assert!(refused.hint().unwrap().contains("USING a::integer"));
        assert!(is_wider(&int, &bigint) && !is_wider(&bigint, &int) && is_wider(&int, &text));
        assert!(is_compared_anew(&int, &text) && !is_compared_anew(&int, &bigint));
        assert!(!is_compared_anew(&text, &text));
    }
}
