//! What the columns of relations are called, as far as a statement and the catalog tell it without a plan.
//!
//! PostgreSQL takes two columns of one name, and complains of whoever names them; DataFusion takes them of different relations
//! alone. So who expands `*`, and who gives the columns of a query in `FROM` their names, has to know what there is.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, With,
};

use super::{columns, function_name, json, normal, numbered, parts, side_by_side};
use crate::error::{Error, Result};
use crate::query::postgres::catalog::definition;
use crate::query::postgres::diagnosis;
use crate::query::postgres::facts::SessionFacts;
use crate::query::relations::without_numbers;
use crate::query::syntax::outside;

/// A common table expression.
#[derive(Debug, Clone)]
pub(super) struct Cte {
    pub(super) name: String,
    /// Its columns, if they are known.
    columns: Option<Vec<String>>,
}

/// A relation of `FROM` by the name that its columns can be named with.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) name: String,
    /// Its columns; several may have one name.
    pub(super) columns: Vec<String>,
}

/// A column that `*` shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shown {
    /// The relation that it is of; none has what a join makes of two.
    pub(super) relation: Option<String>,
    pub(super) name: String,
    /// How many columns of its relation before it have this name.
    pub(super) again: usize,
}

/// What names mean where a select stands.
pub(super) struct Scope<'a> {
    pub(super) facts: &'a SessionFacts,
    /// Common table expressions that are in scope, one list for each query that is open.
    pub(super) ctes: &'a [Vec<Cte>],
    /// How many names of columns may still be looked up.
    pub(super) names_left: &'a Cell<usize>,
}

impl Scope<'_> {
    /// The names of a query's columns.
    pub(super) fn query(&self, query: &Query) -> Option<Vec<String>> {
        self.charge(1)?;
        let names = match &query.with {
            None => self.body(&query.body)?,
            Some(with) => {
                let mut ctes = self.ctes.to_vec();
                ctes.push(vec![]);
                for at in 0..with.cte_tables.len() {
                    let cte = self.with(&ctes).cte(with, at);
                    ctes.last_mut()?.push(cte);
                }
                self.with(&ctes).body(&query.body)?
            }
        };
        self.charge(names.len())?;
        Some(names)
    }

    /// The same where these are the common table expressions in scope.
    fn with<'b>(&'b self, ctes: &'b [Vec<Cte>]) -> Scope<'b> {
        Scope { facts: self.facts, ctes, names_left: self.names_left }
    }

    /// Counts names that were looked up; `None` once they are too many: queries within one another, each of which shows all
    /// columns twice, have as many as there are atoms.
    fn charge(&self, names: usize) -> Option<()> {
        let left = self.names_left.get().checked_sub(names);
        self.names_left.set(left.unwrap_or(0));
        left.map(drop)
    }

    /// The common table expression at a place; those before it are in scope.
    pub(super) fn cte(&self, with: &With, at: usize) -> Cte {
        let cte = &with.cte_tables[at];
        let columns = self.query(&cte.query).map(|known| renamed(known, Some(&cte.alias)));
        Cte { name: normal(&cte.alias.name), columns }
    }

    fn body(&self, body: &SetExpr) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(select) => {
                let named = |item: &SelectItem| match self.star(select, item) {
                    Some(shown) => Some(shown?.into_iter().map(|shown| shown.name).collect()),
                    None => Some(vec![columns::name_of(item)?]),
                };
                let names: Option<Vec<Vec<String>>> = select.projection.iter().map(named).collect();
                names.map(|names| names.concat())
            }
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, .. } => self.body(left),
            SetExpr::Values(values) => {
                let width = values.rows.first()?.len();
                Some((1..=width).map(|at| format!("column{at}")).collect())
            }
            _ => None,
        }
    }

    /// The columns that an item of a select list stands for if it is a star, which may not be known.
    pub(super) fn star(&self, select: &Select, item: &SelectItem) -> Option<Option<Vec<Shown>>> {
        let shown = match item {
            SelectItem::Wildcard(_) => self.all(select),
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(relation),
                _,
            ) => self.all_of(select, relation),
            SelectItem::QualifiedWildcard(..) => None,
            _ => return None,
        };
        Some(shown.filter(|shown| self.charge(shown.len()).is_some()))
    }

    fn all(&self, select: &Select) -> Option<Vec<Shown>> {
        let tables: Option<Vec<_>> = select.from.iter().map(|table| self.joined(table)).collect();
        tables.map(|tables| tables.concat())
    }

    fn all_of(&self, select: &Select, relation: &ObjectName) -> Option<Vec<Shown>> {
        let name = parts(relation).pop()?;
        let given = self.relations(select)?.into_iter().find(|given| given.name == name)?;
        Some(shown(given))
    }

    /// The relations of a select.
    pub(super) fn relations(&self, select: &Select) -> Option<Vec<Given>> {
        let tables: Option<Vec<_>> = select.from.iter().map(|table| self.tables(table)).collect();
        tables.map(|tables| tables.concat())
    }

    fn tables(&self, table: &TableWithJoins) -> Option<Vec<Given>> {
        let mut given = self.factor(&table.relation)?;
        for join in &table.joins {
            given.extend(self.factor(&join.relation)?);
        }
        Some(given)
    }

    /// The columns of joined relations, those first that a join makes of two.
    pub(super) fn joined(&self, table: &TableWithJoins) -> Option<Vec<Shown>> {
        let mut left = self.shown(&table.relation)?;
        for join in &table.joins {
            let right = self.shown(&join.relation)?;
            let merged: Vec<String> = match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(columns)) => {
                    columns.iter().filter_map(|name| parts(name).pop()).collect()
                }
                Some(JoinConstraint::Natural) => {
                    let both = |name: &String| right.iter().any(|shown| shown.name == *name);
                    left.iter().map(|shown| shown.name.clone()).filter(both).collect()
                }
                _ => vec![],
            };
            let first = merged.iter().map(|name| {
                let name = name.clone();
                Shown { relation: None, name, again: 0 }
            });
            let rest = left.into_iter().chain(right);
            let rest = rest.filter(|shown| !merged.contains(&shown.name));
            left = first.chain(rest).collect();
        }
        Some(left)
    }

    pub(super) fn shown(&self, factor: &TableFactor) -> Option<Vec<Shown>> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.joined(table_with_joins)
            }
            other => Some(self.factor(other)?.into_iter().flat_map(shown).collect()),
        }
    }

    /// The relations that a factor stands for: one, or those of a nest of joins without a name.
    pub(super) fn factor(&self, factor: &TableFactor) -> Option<Vec<Given>> {
        let beside = side_by_side::names(factor);
        let (name, known, alias) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let names = parts(name);
                (names.last()?.clone(), self.table(&names)?, alias)
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
                if beside.is_some() =>
            {
                let (name, known) = beside?;
                (name, known, alias)
            }
            TableFactor::Table { name, alias, args: Some(_), with_ordinality, .. }
            | TableFactor::Function { name, alias, with_ordinality, .. } => {
                let function = function_name(name)?;
                let mut known = of_function(&function, alias.as_ref())?;
                known.extend(with_ordinality.then(|| numbered::ORDINALITY.to_owned()));
                (function, known, alias)
            }
            TableFactor::UNNEST {
                alias, array_exprs, with_offset: false, with_ordinality, ..
            } if array_exprs.len() == 1 => {
                let function = "unnest".to_owned();
                let mut known = of_function(&function, alias.as_ref())?;
                known.extend(with_ordinality.then(|| numbered::ORDINALITY.to_owned()));
                (function, known, alias)
            }
            TableFactor::Derived { subquery, alias, .. } => {
                (String::new(), self.query(subquery)?, alias)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                return self.tables(table_with_joins);
            }
            // What is planned otherwise than it is written is marked by a name that no text of a statement has.
            TableFactor::NestedJoin { table_with_joins, alias } if !is_marked(alias.as_ref()) => {
                let known = self.joined(table_with_joins)?.into_iter().map(|shown| shown.name);
                (String::new(), known.collect(), alias)
            }
            _ => return None,
        };
        let name = alias.as_ref().map_or(name, |alias| normal(&alias.name));
        Some(vec![Given { name, columns: renamed(known, alias.as_ref()) }])
    }

    fn table(&self, names: &[String]) -> Option<Vec<String>> {
        let snapshot = self.facts.snapshot();
        let of = |schema: &str, table: &str| -> Option<Vec<String>> {
            match definition(schema, table) {
                Some(known) => Some(known.columns.iter().map(|c| c.name.to_string()).collect()),
                None => {
                    let columns = &snapshot.named(schema, without_numbers(table))?.relation.columns;
                    Some(columns.iter().map(|column| column.name().clone()).collect())
                }
            }
        };
        match names {
            [table] => match self.ctes.iter().rev().flatten().find(|cte| cte.name == *table) {
                Some(cte) => cte.columns.clone(),
                None => self.facts.search_path().iter().find_map(|schema| of(schema, table)),
            },
            [.., schema, table] => of(schema, table),
            [] => None,
        }
    }

    /// Refuses a name that means two columns of a query in `FROM`.
    pub(super) fn check(&self, select: &Select) -> Result<()> {
        let factors = select.from.iter().flat_map(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
        });
        // Those of one relation that is stored have names of their own.
        let made = factors.filter(|factor| match factor {
            TableFactor::Derived { .. } | TableFactor::UNNEST { .. } => true,
            TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. } => true,
            TableFactor::Table { name, args: None, .. } => {
                let names = parts(name);
                names.len() == 1 && self.ctes.iter().flatten().any(|cte| cte.name == names[0])
            }
            _ => false,
        });
        let twice: Vec<Given> = made
            .filter_map(|factor| self.factor(factor))
            .flatten()
            .map(|given| Given { columns: repeated(&given.columns), ..given })
            .filter(|given| !given.columns.is_empty())
            .collect();
        if twice.is_empty() {
            return Ok(());
        }
        let check = |expr: &Expr| check_name(&twice, expr);
        let found = match outside::see(&select.projection, check) {
            ControlFlow::Continue(()) => match outside::see(&select.selection, check) {
                ControlFlow::Continue(()) => outside::see(&select.from, check),
                found => found,
            },
            found => found,
        };
        match found {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// Gives the columns of a query in `FROM` names of their own if two of them have one.
    pub(super) fn keep_apart(&self, factor: &mut TableFactor) {
        let TableFactor::Derived { subquery, alias: Some(alias), .. } = factor else { return };
        if let Some(known) = self.query(subquery) {
            let names = renamed(known, Some(&*alias));
            name_apart(alias, names);
        }
    }

    /// Gives names to the columns of a relation or query in `FROM` that its alias leaves without.
    pub(super) fn name_rest(&self, factor: &mut TableFactor) {
        let known = match &*factor {
            TableFactor::Table { name, alias: Some(alias), args: None, .. }
                if !alias.columns.is_empty() =>
            {
                self.table(&parts(name))
            }
            TableFactor::Derived { subquery, alias: Some(alias), .. }
                if !alias.columns.is_empty() =>
            {
                self.query(subquery)
            }
            _ => return,
        };
        let (TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }) = factor
        else {
            return;
        };
        if let Some(known) = known {
            name_rest(alias, known);
        }
    }
}

impl Cte {
    /// Gives its columns names of their own if two of them have one, and names to those that its alias leaves without.
    pub(super) fn keep_apart(&self, alias: &mut TableAlias) {
        if let Some(columns) = &self.columns {
            name_apart(alias, columns.clone());
            name_rest(alias, columns.clone());
        }
    }
}

/// Gives columns that an alias with names leaves without one their own: DataFusion wants names for all or for none.
fn name_rest(alias: &mut TableAlias, known: Vec<String>) {
    if alias.columns.is_empty() {
        return;
    }
    let rest = known.into_iter().skip(alias.columns.len());
    let named = |name| TableAliasColumnDef { name: Ident::with_quote('"', name), data_type: None };
    alias.columns.extend(rest.map(named));
}

fn name_apart(alias: &mut TableAlias, names: Vec<String>) {
    if repeated(&names).is_empty() {
        return;
    }
    let all = shown(Given { name: String::new(), columns: names }).into_iter();
    let named = all.map(|shown| TableAliasColumnDef { name: shown.ident(), data_type: None });
    alias.columns = named.collect();
}

/// The names that stand more than once in a list.
fn repeated(names: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    names.iter().filter(|name| !seen.insert(name.as_str())).cloned().collect()
}

fn shown(given: Given) -> Vec<Shown> {
    let Given { name: relation, columns } = given;
    let mut seen: HashMap<String, usize> = HashMap::new();
    let columns = columns.into_iter().map(|name| {
        let count = seen.entry(name.clone()).or_default();
        let again = *count;
        *count += 1;
        Shown { relation: Some(relation.clone()), name, again }
    });
    columns.collect()
}

impl Shown {
    /// What the column is called where several of its relation have one name.
    pub(super) fn ident(&self) -> Ident {
        Ident::with_quote('"', columns::unique(&self.name, self.again))
    }
}

fn is_marked(alias: Option<&TableAlias>) -> bool {
    alias.is_some_and(|alias| alias.name.value.starts_with(columns::UNIQUE))
}

/// What a join says about equal columns.
pub(super) fn constraint(join: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    match join {
        Join(how) | Inner(how) | Left(how) | LeftOuter(how) | Right(how) | RightOuter(how)
        | FullOuter(how) => Some(how),
        _ => None,
    }
}

/// The columns of the rows that a function gives: one is called like the alias.
pub(super) fn of_function(function: &str, alias: Option<&TableAlias>) -> Option<Vec<String>> {
    let alone = || alias.map_or_else(|| function.to_owned(), |alias| normal(&alias.name));
    match json::parts_of(function) {
        Some(parts) => {
            let name = |part: &json::Part| part.column.map_or_else(alone, str::to_owned);
            Some(parts.iter().map(name).collect())
        }
        None => match function {
            "generate_series" | "unnest" => Some(vec![alone()]),
            _ => numbered::rows_of(function).map(|_| vec![alone()]),
        },
    }
}

/// The columns of a relation by the names that its alias gives them.
pub(super) fn renamed(known: Vec<String>, alias: Option<&TableAlias>) -> Vec<String> {
    let given = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
    let given: Vec<String> = given.iter().map(|column| normal(&column.name)).collect();
    let rest = known.into_iter().skip(given.len());
    given.iter().cloned().chain(rest).collect()
}

/// Refuses a name that means two columns; `twice` are the relations that have such columns, with those alone.
fn check_name(twice: &[Given], expr: &Expr) -> ControlFlow<Error> {
    let (relation, column) = match expr {
        Expr::Identifier(column) => (None, column),
        Expr::CompoundIdentifier(idents) => match idents.as_slice() {
            [.., relation, column] => (Some(normal(relation)), column),
            _ => return ControlFlow::Continue(()),
        },
        _ => return ControlFlow::Continue(()),
    };
    let name = normal(column);
    let means_two = twice.iter().any(|given| {
        given.columns.contains(&name)
            && relation.as_ref().is_none_or(|relation| *relation == given.name)
    });
    match means_two {
        true => ControlFlow::Break(diagnosis::ambiguous(column)),
        false => ControlFlow::Continue(()),
    }
}
