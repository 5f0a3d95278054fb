//! `CHECK` as it is read and kept: a condition over the columns of a row, as SQL.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CheckConstraint as Written, Expr, Ident, visit_expressions_mut,
};

use super::constraint_names;
use super::defaults::parsed;
use super::statement::{normal, unsupported};
use crate::catalog::{AnalyticsTable, CheckConstraint, placed};
use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;
use crate::query::postgres::SessionFacts;

/// Constraints of one table at most.
const CONSTRAINTS_MAX: usize = 1_000;

/// A check whose name is not settled.
#[derive(Debug, Clone)]
pub(crate) struct NewCheck {
    /// The name that it is given.
    pub(super) name: Option<String>,
    pub(super) condition: Expr,
    /// The columns that it names.
    columns: BTreeSet<String>,
    /// Whether the rows that are there are not looked at.
    pub(super) not_valid: bool,
}

/// Reads a check of the table that is kept under `table`.
pub(super) fn read(table: &str, name: Option<&Ident>, check: &Written) -> Result<NewCheck> {
    if check.enforced == Some(false) {
        return Err(unsupported("CHECK ... NOT ENFORCED", "Leave the constraint out."));
    }
    let mut condition = check.expr.as_ref().clone();
    let mut columns = BTreeSet::new();
    // The visitor never breaks off.
    let _: ControlFlow<()> = visit_expressions_mut(&mut condition, |part| {
        if let Expr::CompoundIdentifier(parts) = part
            && let [.., of, name] = parts.as_slice()
            && normal(of) == placed(table).1
        {
            *part = Expr::Identifier(name.clone());
        }
        if let Expr::Identifier(name) = part {
            columns.insert(normal(name));
        }
        ControlFlow::Continue(())
    });
    if columns.contains(PROFILE_ID) {
        let hint = "It says whose a row is: check the other columns.";
        return Err(unsupported(format!("a check of \"{PROFILE_ID}\""), hint));
    }
    let name = name.or(check.name.as_ref()).map(normal);
    Ok(NewCheck { name, condition, columns, not_valid: false })
}

impl NewCheck {
    /// Returns the check as it is kept, under its name or the first of those for its columns that is free.
    ///
    /// # Errors
    /// SQLSTATE 42710 if the one that it is given is among those that the table has, and 54000 if these are too many.
    pub(super) fn named(
        self,
        table: &str,
        known: &[String],
        facts: &SessionFacts,
    ) -> Result<CheckConstraint> {
        check_room(table, known.len())?;
        let (schema, relation) = placed(table);
        let Self { name, condition, columns, not_valid } = self;
        let columns: Vec<String> = columns.into_iter().collect();
        let name = match name {
            Some(name) if known.contains(&name) => return Err(taken(table, &name)),
            Some(name) => name,
            None => {
                let about = match columns.as_slice() {
                    [only] => only.as_str(),
                    _ => "",
                };
                let snapshot = facts.snapshot();
                constraint_names::free((relation, about, "check"), |name| {
                    known.iter().any(|known| known == name) || snapshot.has_constraint(schema, name)
                })
            }
        };
        Ok(CheckConstraint { name, condition: condition.to_string(), columns, not_valid })
    }
}

/// Fails if the table that is kept under `table` can have no more constraints than those that it has.
pub(super) fn check_room(table: &str, count: usize) -> Result<()> {
    if count < CONSTRAINTS_MAX {
        return Ok(());
    }
    let relation = placed(table).1;
    Err(Error::Limit {
        sqlstate: "54000",
        message: format!(
            "too many constraints for relation \"{relation}\": the bound is {CONSTRAINTS_MAX}"
        ),
        hint: "Write several conditions as one, with AND.".into(),
    })
}

/// The answer to a name that another constraint of the table has which is kept under `table`.
pub(super) fn taken(table: &str, name: &str) -> Error {
    let relation = placed(table).1;
    Error::Standard {
        sqlstate: "42710",
        message: format!("constraint \"{name}\" for relation \"{relation}\" already exists"),
        hint: "Give the constraint another name, or none.".into(),
    }
}

/// Returns the names of all constraints of the table that is kept under `name`.
pub(super) fn names_of(name: &str, table: &AnalyticsTable) -> Vec<String> {
    let keys = table.keys(name).into_iter().map(|key| key.name);
    let checks = table.checks.iter().map(|check| check.name.clone());
    keys.chain(checks).chain(table.foreign_keys.iter().map(|key| key.name.clone())).collect()
}

/// Lets a check name a column by another name.
pub(super) fn rename(check: &mut CheckConstraint, name: &str, to: &str) -> Result<()> {
    if !check.columns.iter().any(|column| column == name) {
        return Ok(());
    }
    let plain = Ident::new(to);
    let is_read = || parsed(to).is_ok_and(|read| read == Expr::Identifier(plain.clone()));
    let is_plain = normal(&plain) == to && is_read();
    let renamed = if is_plain { plain } else { Ident::with_quote('"', to) };
    let mut condition = parsed(&check.condition)?;
    // The visitor never breaks off.
    let _: ControlFlow<()> = visit_expressions_mut(&mut condition, |part| {
        if let Expr::Identifier(column) = part
            && normal(column) == name
        {
            *part = Expr::Identifier(renamed.clone());
        }
        ControlFlow::Continue(())
    });
    check.condition = condition.to_string();
    for column in check.columns.iter_mut().filter(|column| column.as_str() == name) {
        *column = to.to_owned();
    }
    Ok(())
}

/// Returns the conditions of checks.
pub(super) fn conditions(checks: &[CheckConstraint]) -> Result<Vec<Expr>> {
    checks.iter().map(|check| parsed(&check.condition)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sql: &str) -> Written {
        let expr = Box::new(parsed(sql).unwrap());
        Written { name: None, expr, enforced: None }
    }

    #[test]
    fn a_check_is_about_the_columns_that_it_names() {
        let check = read("marts.t", None, &written("t.a > 0 OR upper(\"B\") = 'x'")).unwrap();
        assert_eq!(check.condition.to_string(), "a > 0 OR upper(\"B\") = 'x'");
        assert_eq!(check.columns.into_iter().collect::<Vec<_>>(), ["B", "a"]);
        assert!(read("t", None, &written("profile_id > 0")).is_err());
        assert!(check_room("marts.t", CONSTRAINTS_MAX - 1).is_ok());
        assert_eq!(check_room("marts.t", CONSTRAINTS_MAX).unwrap_err().sqlstate(), "54000");
        let unenforced = Written { enforced: Some(false), ..written("a > 0") };
        assert!(read("t", None, &unenforced).is_err());
    }

    #[test]
    fn a_check_follows_its_columns() {
        let mut check = CheckConstraint {
            name: "c".into(),
            condition: "a > 0 AND b < a".into(),
            columns: vec!["a".into(), "b".into()],
            not_valid: false,
        };
        rename(&mut check, "a", "size").unwrap();
        assert_eq!(check.condition, "size > 0 AND b < size");
        rename(&mut check, "b", "Two Words").unwrap();
        assert_eq!(check.condition, "size > 0 AND \"Two Words\" < size");
        rename(&mut check, "size", "Size").unwrap();
        assert_eq!(check.condition, "\"Size\" > 0 AND \"Two Words\" < \"Size\"");
        assert_eq!(check.columns, ["Size", "Two Words"]);
    }
}
