//! `(a, b) IN (SELECT ...)`, which DataFusion takes of single values alone, as `EXISTS`.
//!
//! It is true if a row has all of the values, null if there is none and nulls leave one open, and false otherwise. A condition
//! of `WHERE` that is null leaves a row out like one that is false, and so does an alternative of one: there a single `EXISTS`
//! says it. Rows that are left open are looked for in two steps, neither of which compares every row with every other: those of
//! the subquery that hold a null, and all of them for a row that holds one itself.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Ident, Query, Select, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, UnaryOperator, Value, Visit, Visitor,
};

use self::BinaryOperator::{And, Eq, Or};
use super::made::binary;
use super::{expressions, null, rows, unpivoted};

/// What the columns of the query are called: like nothing that a user names.
const ALIAS: &str = "row_in";

/// How many others may stand within one of which copies are made, since copies of them are made in turn.
const NESTED_MAX: usize = 2;

/// Rewrites the conditions of `WHERE` and `HAVING` that have to hold, and their alternatives.
pub(super) fn rewrite(select: &mut Select) {
    let mut conditions: Vec<&mut Expr> =
        select.selection.iter_mut().chain(&mut select.having).collect();
    while let Some(condition) = conditions.pop() {
        match condition {
            Expr::Nested(inner) => conditions.push(inner),
            Expr::BinaryOp { left, op: And | Or, right } => {
                conditions.push(left);
                conditions.push(right);
            }
            other => {
                unpivoted::list(other);
                match taken(other, false) {
                    Some((within, true)) => *other = within.is_false(),
                    Some((within, false)) => *other = within.has_equal(),
                    None => {}
                }
            }
        }
    }
}

/// Rewrites what stands for a value.
pub(super) fn value(expr: &mut Expr) {
    match taken(expr, true) {
        Some((within, true)) => *expr = not(within.value()),
        Some((within, false)) => *expr = within.value(),
        None => {}
    }
}

/// A row that may be among the rows of a query.
struct Within {
    values: Vec<Expr>,
    query: Query,
}

/// Returns what an expression asks, and whether it is negated, if it is `IN` over rows.
fn taken(expr: &mut Expr, is_value: bool) -> Option<(Within, bool)> {
    let Expr::InSubquery { expr: row, subquery, negated } = expr else { return None };
    let values = rows::values(row)?;
    let mut nested = Nested(0);
    // The visitor never breaks off.
    let _ = subquery.visit(&mut nested);
    if (is_value || *negated) && nested.0 > NESTED_MAX {
        return None;
    }
    let query = std::mem::replace(subquery.as_mut(), expressions::select(vec![]));
    Some((Within { values, query }, *negated))
}

/// Counts those within one.
struct Nested(usize);

impl Visitor for Nested {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::InSubquery { expr: row, .. } = expr {
            self.0 += usize::from(rows::width(row).is_some());
        }
        ControlFlow::Continue(())
    }
}

impl Within {
    /// `EXISTS (SELECT 1 FROM (query) AS row_in (row_in_1, ...) WHERE row_in_1 = value AND ...)`
    fn has_equal(&self) -> Expr {
        exists(self.rows(), self.equal())
    }

    /// Whether a row that holds a null leaves it open.
    fn is_open_by_row(&self) -> Expr {
        let holds_null = joined(self.names().map(|name| is_null(Expr::Identifier(name))), Or);
        exists(self.rows(), binary(holds_null, And, is_null(self.equal())))
    }

    /// Whether a value that is null leaves it open.
    fn is_open_by_value(&self) -> Expr {
        let holds_null = joined(self.values.iter().cloned().map(is_null), Or);
        // A row that holds a null looks up one, which stands in each row of the query, and any other row looks up nothing.
        let looked_up = case(vec![when(holds_null, number("1"))], None);
        let one = Ident::new(format!("{ALIAS}_one"));
        let columns = self.names().map(|name| SelectItem::UnnamedExpr(Expr::Identifier(name)));
        let constant = SelectItem::ExprWithAlias { expr: number("1"), alias: one.clone() };
        let rows = from(columns.chain([constant]).collect(), self.rows(), None);
        let found = binary(Expr::Identifier(one), Eq, looked_up);
        exists(derived(rows, vec![]), binary(found, And, is_null(self.equal())))
    }

    /// Whether it is false; false, too, if that is open.
    fn is_false(&self) -> Expr {
        let none = [self.has_equal(), self.is_open_by_row(), self.is_open_by_value()];
        joined(none.into_iter().map(not), And)
    }

    /// Whether the row is among them, null where that is open.
    fn value(&self) -> Expr {
        let boolean = |truth: bool| Expr::Value(Value::Boolean(truth).into());
        let conditions = vec![
            when(self.has_equal(), boolean(true)),
            when(self.is_open_by_row(), null()),
            when(self.is_open_by_value(), null()),
        ];
        Expr::Nested(Box::new(case(conditions, Some(boolean(false)))))
    }

    /// What the columns of the query are called.
    fn names(&self) -> impl Iterator<Item = Ident> {
        (1..=self.values.len()).map(|number| Ident::new(format!("{ALIAS}_{number}")))
    }

    fn rows(&self) -> TableFactor {
        let columns = self.names().map(|name| TableAliasColumnDef { name, data_type: None });
        derived(self.query.clone(), columns.collect())
    }

    fn equal(&self) -> Expr {
        let equal = self.values.iter().zip(self.names()).map(|(value, name)| {
            binary(Expr::Identifier(name), Eq, Expr::Nested(Box::new(value.clone())))
        });
        joined(equal, And)
    }
}

/// Whether there is a row for which a condition holds.
fn exists(rows: TableFactor, condition: Expr) -> Expr {
    let found = vec![SelectItem::UnnamedExpr(number("1"))];
    Expr::Exists { subquery: Box::new(from(found, rows, Some(condition))), negated: false }
}

fn derived(query: Query, columns: Vec<TableAliasColumnDef>) -> TableFactor {
    let alias = TableAlias { explicit: true, name: Ident::new(ALIAS), columns, at: None };
    let subquery = Box::new(query);
    TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None }
}

fn from(shown: Vec<SelectItem>, relation: TableFactor, condition: Option<Expr>) -> Query {
    let mut query = expressions::select(shown);
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins { relation, joins: vec![] }];
        select.selection = condition;
    }
    query
}

fn number(text: &str) -> Expr {
    Expr::Value(Value::Number(text.into(), false).into())
}

fn when(condition: Expr, result: Expr) -> CaseWhen {
    CaseWhen { condition, result }
}

fn case(conditions: Vec<CaseWhen>, last: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: last.map(Box::new),
    }
}

fn is_null(expr: Expr) -> Expr {
    Expr::IsNull(Box::new(expr))
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) }
}

/// Joins conditions, of which there is one at least: a row has values.
fn joined(conditions: impl Iterator<Item = Expr>, op: BinaryOperator) -> Expr {
    conditions.reduce(|left, right| binary(left, op.clone(), right)).unwrap_or_else(null)
}
