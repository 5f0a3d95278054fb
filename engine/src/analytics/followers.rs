//! Generated columns while a statement assigns those that they are computed of: they are assigned, too, by the same expression
//! over what those become. So keys, checks and `RETURNING` see them as any other column.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::datatypes::Field;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, Expr, Ident, visit_expressions_mut};

use super::changes::{Assigned, is_default};
use super::defaults::parsed;
use super::generated::{columns_in, refused};
use super::immutable::is_changing;
use super::insert::{cast, sql_type};
use super::statement::{normal, unsupported};
use crate::error::{Error, Result};

/// Bytes that values take at most in the places of columns: each is written as often as expressions name its column, and to
/// plan what is long takes more than twice as long for twice the length.
const WRITTEN_BYTES_MAX: usize = 1 << 20;

/// How much values take that one statement writes in the places of columns.
#[derive(Debug, Default)]
pub(super) struct Written(usize);

impl Written {
    /// Notes a value of so many bytes.
    ///
    /// # Errors
    /// SQLSTATE 54001 if it is too much by now.
    pub(super) fn add(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.saturating_add(bytes);
        if self.0 <= WRITTEN_BYTES_MAX {
            return Ok(());
        }
        Err(Error::Limit {
            sqlstate: "54001",
            message: format!(
                "values take more than {WRITTEN_BYTES_MAX} bytes where columns are computed of them"
            ),
            hint: "Give long values as parameters, or change the rows by those of another table."
                .into(),
        })
    }
}

/// The generated columns of a table, while a statement assigns others.
#[derive(Debug, Default)]
pub(super) struct Followers {
    /// Their expressions.
    expressions: Vec<(String, Expr)>,
    /// What values of columns are cast to.
    types: BTreeMap<String, Option<SqlType>>,
}

impl Followers {
    /// Returns those of a table with these columns, each with its expression if it has one.
    pub(super) fn of<'a>(
        columns: impl Iterator<Item = (&'a Field, Option<&'a String>)>,
    ) -> Result<Self> {
        let columns: Vec<(&Field, Option<&String>)> = columns.collect();
        let (mut expressions, mut types) = (vec![], BTreeMap::new());
        // Tables have none for the most part.
        if columns.iter().all(|(_, sql)| sql.is_none()) {
            return Ok(Self { expressions, types });
        }
        for (column, sql) in columns {
            types.insert(column.name().clone(), sql_type(column));
            if let Some(sql) = sql {
                expressions.push((column.name().clone(), parsed(sql)?));
            }
        }
        Ok(Self { expressions, types })
    }

    /// Tells whether there are none.
    pub(super) fn are_none(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Fails if a statement assigns one anything but `DEFAULT`.
    pub(super) fn refuse(&self, column: &str, value: &Expr) -> Result<()> {
        let is_one = self.expressions.iter().any(|(name, _)| name == column);
        match is_one && !is_default(value) {
            false => Ok(()),
            true => {
                let message = format!("column \"{column}\" can only be updated to DEFAULT");
                Err(refused(message, column))
            }
        }
    }

    /// Assigns those that are computed of columns which are assigned, or are assigned `DEFAULT`, in the rows that go by `alias`.
    pub(super) fn follow(&self, assigned: &mut Vec<Assigned>, alias: &Ident) -> Result<()> {
        if self.are_none() {
            return Ok(());
        }
        let length = |one: &Assigned| (one.column.clone(), one.value.to_string().len());
        let lengths: BTreeMap<String, usize> = assigned.iter().map(length).collect();
        let mut written = Written::default();
        for (column, expression) in &self.expressions {
            let named = columns_in(expression);
            let is_own = |one: &Assigned| one.column == *column;
            if !assigned.iter().any(|one| is_own(one) || named.contains(&one.column)) {
                continue;
            }
            assigned.retain(|one| !is_own(one));
            let lengths = (&lengths, &mut written);
            let value = self.over(expression, assigned, lengths, alias)?;
            let value = match self.types.get(column).cloned().flatten() {
                Some(data_type) => cast(value, data_type),
                None => value,
            };
            assigned.push(Assigned { column: column.clone(), value, is_numbered: false });
        }
        Ok(())
    }

    /// Returns an expression over what columns become, or are. Values have these lengths, which are counted as `written`.
    fn over(
        &self,
        expression: &Expr,
        assigned: &[Assigned],
        (lengths, written): (&BTreeMap<String, usize>, &mut Written),
        alias: &Ident,
    ) -> Result<Expr> {
        let mut expression = expression.clone();
        let done = visit_expressions_mut(&mut expression, |part| {
            let Expr::Identifier(name) = part else { return ControlFlow::Continue(()) };
            let name = normal(name);
            let Some(one) = assigned.iter().find(|one| one.column == name) else {
                let name = Ident::with_quote('"', name);
                *part = Expr::CompoundIdentifier(vec![alias.clone(), name]);
                return ControlFlow::Continue(());
            };
            if one.is_numbered || is_changing(&one.value) {
                let what = format!("a changing value of \"{name}\", of which a column is computed");
                let hint = "Compute the value first, and assign it as it is.";
                return ControlFlow::Break(unsupported(what, hint));
            }
            if let Err(error) = written.add(lengths.get(&name).copied().unwrap_or_default()) {
                return ControlFlow::Break(error);
            }
            let value = Expr::Nested(Box::new(one.value.clone()));
            *part = match self.types.get(&name).cloned().flatten() {
                Some(data_type) => Expr::Nested(Box::new(cast(value, data_type))),
                None => value,
            };
            ControlFlow::Continue(())
        });
        match done {
            ControlFlow::Continue(()) => Ok(Expr::Nested(Box::new(expression))),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn written(sql: &str) -> Expr {
        parsed(sql).unwrap()
    }

    #[test]
    fn columns_follow_those_that_are_assigned() {
        let of = |name: &str, data_type| Field::new(name, data_type, true);
        let columns = [of("a", DataType::Int32), of("b", DataType::Utf8), of("c", DataType::Int32)];
        let sql = "a * 2".to_owned();
        let known = columns.iter().map(|field| (field, (field.name() == "c").then_some(&sql)));
        let followers = Followers::of(known).unwrap();
        let assigned = |column: &str, sql: &str| {
            let (column, value) = (column.to_owned(), written(sql));
            Assigned { column, value, is_numbered: false }
        };
        let alias = Ident::new("t");
        let mut list = vec![assigned("a", "1 + 1")];
        followers.follow(&mut list, &alias).unwrap();
        let last = list.last().unwrap();
        assert_eq!((list.len(), last.column.as_str()), (2, "c"));
        assert!(last.value.to_string().contains("(1 + 1)"), "{}", last.value);
        let mut list = vec![assigned("b", "'x'")];
        followers.follow(&mut list, &alias).unwrap();
        assert_eq!(list.len(), 1);
        let mut list = vec![assigned("c", "DEFAULT")];
        followers.follow(&mut list, &alias).unwrap();
        assert!(list[0].value.to_string().contains("t.\"a\" * 2"), "{}", list[0].value);
        let mut list = vec![assigned("a", "random()")];
        assert_eq!(followers.follow(&mut list, &alias).unwrap_err().sqlstate(), "0A000");
        let long = format!("length('{}')", "x".repeat(WRITTEN_BYTES_MAX));
        let mut list = vec![assigned("a", &long)];
        assert_eq!(followers.follow(&mut list, &alias).unwrap_err().sqlstate(), "54001");
        let mut list = vec![assigned("b", &long)];
        followers.follow(&mut list, &alias).unwrap();
        assert_eq!(followers.refuse("c", &written("5")).unwrap_err().sqlstate(), "428C9");
        followers.refuse("a", &written("5")).unwrap();
    }
}
