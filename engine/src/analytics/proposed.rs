//! The rows that an `INSERT ... ON CONFLICT` proposes, as a query: in the types of their columns, each with the row that has its
//! key. Columns that are computed of others are computed in it as they will be when the rows go in.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arrow::datatypes::Field;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OnConflict, visit_expressions, visit_expressions_mut,
};

use super::conflict::{EXCLUDED, OF_ROWS, PLACE};
use super::defaults::parsed;
use super::followers::Written;
use super::generated::columns_in;
use super::immutable::is_changing;
use super::insert::sql_type;
use super::rows::ROW;
use super::statement::{normal, unsupported};
use crate::catalog::{AnalyticsTable, UniqueConstraint, placed};
use crate::error::{Error, Result};
use crate::query::relations::with_numbers;

/// What the rows go by that are met by one of several keys.
const MET: &str = "_met_";

/// The rows that a statement proposes for a table.
pub(super) struct Proposed<'a> {
    pub(super) name: &'a str,
    /// What the statement calls the table.
    pub(super) alias: &'a Ident,
    pub(super) table: &'a AnalyticsTable,
    /// The keys by which a row that is there is met.
    pub(super) met: &'a [UniqueConstraint],
    /// The columns of the table.
    pub(super) shown: &'a [Field],
    /// Those of them that values are given for, in their order.
    pub(super) targets: &'a [Field],
    /// How many columns the source has.
    pub(super) width: usize,
}

impl Proposed<'_> {
    /// Returns the query without its source and its values: the rows that are proposed in the types of their columns, each
    /// with the one that has its key. `place` numbers them.
    pub(super) fn frame(&self, place: &str) -> Result<String> {
        let mut columns = Vec::with_capacity(self.shown.len());
        let mut written = Written::default();
        for column in self.shown {
            let value = match self.table.generated.get(column.name()) {
                Some(sql) => typed(&format!("({})", self.computed(sql, &mut written)?), column),
                None => self.given(column),
            };
            columns.push(format!("{value} AS {}", quoted(column.name())));
        }
        let mut names: Vec<String> = (0..self.width).map(|at| format!("c{at}")).collect();
        if place == OF_ROWS {
            names.push(PLACE.into());
        }
        let (row, joins) = self.joins();
        Ok(format!(
            "SELECT {row} AS {ROW}, {EXCLUDED}.{PLACE} AS {PLACE} \
             FROM (SELECT {}, {place} AS {PLACE} FROM (SELECT 1) AS given ({})) AS {EXCLUDED}{joins}",
            columns.join(", "),
            names.join(", ")
        ))
    }

    /// Tells whether the statement gives values for a column.
    fn is_given(&self, column: &str) -> bool {
        self.targets.iter().any(|target| target.name() == column)
    }

    /// Returns what a column is that is not computed: given, its default, or null.
    fn given(&self, column: &Field) -> String {
        let at = self.targets.iter().position(|target| target.name() == column.name());
        let value = match (at, self.table.defaults.get(column.name())) {
            (Some(at), _) => format!("given.c{at}"),
            (None, Some(default)) => format!("({default})"),
            (None, None) => "NULL".to_owned(),
        };
        typed(&value, column)
    }

    /// Returns an expression over columns as one over what is given for them, which is counted as `written`.
    fn computed(&self, sql: &str, written: &mut Written) -> Result<Expr> {
        let mut expression = parsed(sql)?;
        let done = visit_expressions_mut(&mut expression, |part| {
            let Expr::Identifier(name) = part else { return ControlFlow::Continue(()) };
            let name = normal(name);
            let column = self.shown.iter().find(|column| *column.name() == name);
            let value = column.map(|column| self.given(column));
            match value.map(|value| written.add(value.len()).and_then(|()| parsed(&value))) {
                Some(Ok(value)) => *part = value,
                Some(Err(error)) => return ControlFlow::Break(error),
                None => {}
            }
            ControlFlow::Continue(())
        });
        match done {
            ControlFlow::Continue(()) => Ok(expression),
            ControlFlow::Break(error) => Err(error),
        }
    }

    /// Returns the columns that are computed of what is known when a row goes in: a number that it is given, or a default that
    /// is another one each time.
    fn unknown(&self) -> Result<BTreeSet<&str>> {
        let mut unknown = BTreeSet::new();
        for (column, sql) in &self.table.generated {
            for of in columns_in(&parsed(sql)?) {
                let is_made = match self.table.defaults.get(&of) {
                    _ if self.is_given(&of) => false,
                    Some(default) => is_changing(&parsed(default)?),
                    None => self.table.numbered.contains_key(&of),
                };
                if is_made {
                    unknown.insert(column.as_str());
                }
            }
        }
        Ok(unknown)
    }

    /// Returns the number of the row that is met, and the joins that find it: by each key there is one at most.
    fn joins(&self) -> (String, String) {
        let (schema, table) = placed(self.name);
        let (schema, table) = (quoted(schema), quoted(&with_numbers(table)));
        let mut rows = Vec::with_capacity(self.met.len());
        let mut joins = String::new();
        for (at, key) in self.met.iter().enumerate() {
            let alias = match self.met.len() {
                1 => self.alias.clone(),
                // Nothing is said of the row but that it is there.
                _ => quoted(&format!("{MET}{at}")),
            };
            let columns = key.columns.iter().map(|column| quoted(column));
            let equal = columns.map(|column| format!("{alias}.{column} = {EXCLUDED}.{column}"));
            let equal: Vec<String> = equal.collect();
            joins.push_str(&format!(
                " LEFT JOIN {schema}.{table} AS {alias} ON {}",
                equal.join(" AND ")
            ));
            rows.push(format!("{alias}.{ROW}"));
        }
        match rows.as_slice() {
            [row] => (row.clone(), joins),
            rows => (format!("coalesce({})", rows.join(", ")), joins),
        }
    }
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// Returns a value in the type of a column.
fn typed(value: &str, column: &Field) -> String {
    match sql_type(column) {
        Some(to) => format!("CAST({value} AS {to})"),
        None => value.to_owned(),
    }
}

/// Fails if a statement asks for a computed column of the rows that are proposed which is known when they go in.
pub(super) fn refuse_unknown(proposed: &Proposed<'_>, conflict: &OnConflict) -> Result<()> {
    let unknown = proposed.unknown()?;
    if unknown.is_empty() {
        return Ok(());
    }
    let refused = |column: &str| -> Error {
        let what = format!("ON CONFLICT by \"{column}\", which is computed of what a row is given");
        unsupported(what, "Give the number or the default with each row.")
    };
    let mut met = proposed.met.iter().flat_map(|key| &key.columns);
    if let Some(column) = met.find(|column| unknown.contains(column.as_str())) {
        return Err(refused(column));
    }
    let found = visit_expressions(conflict, |part| match part {
        Expr::CompoundIdentifier(names) => match names.as_slice() {
            [.., of, name] if normal(of) == EXCLUDED && unknown.contains(normal(name).as_str()) => {
                ControlFlow::Break(normal(name))
            }
            _ => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(column) => Err(refused(&column)),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn computed_columns_are_over_what_is_given() {
        let text = r#"{"path":"analytics/1","purpose":null,"of_persons":false,"not_null":[],"primary_key":["b"],"defaults":{"d":"7"},"generated":{"b":"a * 2","c":"upper(d)"}}"#;
        let table: AnalyticsTable = serde_json::from_str(text).unwrap();
        let of = |name: &str, data_type| Field::new(name, data_type, true);
        let shown = [
            of("a", DataType::Int32),
            of("b", DataType::Int32),
            of("c", DataType::Utf8),
            of("d", DataType::Utf8),
        ];
        let met = table.keys("t");
        let proposed = Proposed {
            name: "t",
            alias: &Ident::new("t"),
            table: &table,
            met: &met,
            shown: &shown,
            targets: &shown[..1],
            width: 1,
        };
        let frame = proposed.frame(OF_ROWS).unwrap();
        for part in [
            "CAST((CAST(given.c0 AS INTEGER) * 2) AS INTEGER) AS \"b\"",
            "CAST((upper(CAST((7) AS TEXT))) AS TEXT) AS \"c\"",
            " AS t ON t.\"b\" = excluded.\"b\"",
        ] {
            assert!(frame.contains(part), "{part} in {frame}");
        }
        assert!(proposed.unknown().unwrap().is_empty());
    }

    #[test]
    fn a_long_default_is_not_written_however_often_it_is_named() {
        let text = r#"{"path":"analytics/1","purpose":null,"of_persons":false,"not_null":[]}"#;
        let mut table: AnalyticsTable = serde_json::from_str(text).unwrap();
        table.defaults.insert("d".into(), format!("'{}'", "x".repeat(100_000)));
        table.generated.insert("g".into(), vec!["length(d)"; 20].join(" + "));
        let shown = ["d", "g"].map(|name| Field::new(name, DataType::Utf8, true));
        let (alias, targets) = (Ident::new("t"), &shown[..0]);
        let proposed = Proposed {
            name: "t",
            alias: &alias,
            table: &table,
            met: &[],
            shown: &shown,
            targets,
            width: 0,
        };
        assert_eq!(proposed.frame(OF_ROWS).unwrap_err().sqlstate(), "54001");
    }

    #[test]
    fn what_is_computed_of_a_number_to_come_is_not_known() {
        let text = r#"{"path":"analytics/1","purpose":null,"of_persons":false,"not_null":[],"defaults":{"d":"random()","e":"1"},"generated":{"f":"d + 1","g":"e + 1"}}"#;
        let table: AnalyticsTable = serde_json::from_str(text).unwrap();
        let shown = ["d", "e", "f", "g"].map(|name| Field::new(name, DataType::Int32, true));
        let (alias, targets) = (Ident::new("t"), &shown[..1]);
        let given = |targets| {
            let (name, alias, table, shown) = ("t", &alias, &table, shown.as_slice());
            let width = 1;
            Proposed { name, alias, table, met: &[], shown, targets, width }
        };
        assert!(given(targets).unknown().unwrap().is_empty());
        let unknown = given(&shown[..0]);
        assert_eq!(unknown.unknown().unwrap().into_iter().collect::<Vec<_>>(), ["f"]);
    }
}
