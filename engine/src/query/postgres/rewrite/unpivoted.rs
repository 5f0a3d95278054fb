//! Rows of `VALUES` that are looked through for a value, or that are made of the columns of a row.
//!
//! `x IN (VALUES (1), (2))` is `x IN (1, 2)`. In `FROM t, LATERAL (VALUES (t.a), (t.b)) AS v (x)` constant rows cannot hold what
//! a row around them gives: there a row becomes a number, and each column a `CASE` over the numbers, so that the row is read once
//! however many rows are made of it, and the cells of a column have one type as the branches of a `CASE` do. So it is with
//! `LATERAL (SELECT t.a UNION ALL SELECT t.b)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, CaseWhen, Expr, GroupByExpr, Ident, Query, SelectItem, SetExpr,
    SetOperator, SetQuantifier, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins,
    Values, Visit, Visitor,
};

use super::empty::is_aggregate;
use super::expressions::{self, number, take};
use super::relations::{LISTS, gives_rows};
use super::{columns, function_name, null, rows};

/// The column with the number of a row: no text of a statement has such a name.
const PLACE: &str = "\u{1}place";

/// Rewrites `IN` over rows of one column as `IN` over a list, and of several columns where they depend on a row around them.
pub(super) fn list(expr: &mut Expr) {
    let Expr::InSubquery { expr: value, subquery, negated } = expr else { return };
    let width = rows::width(value);
    let Some(values) = plain(subquery) else { return };
    let cells = Cells::of(&*values);
    let fits = values.rows.iter().all(|row| row.content.len() == width.unwrap_or(1));
    if !fits || cells.is_more || width.is_some() && !cells.has_column {
        return;
    }
    let row = |mut row: Vec<Expr>| match width {
        None => row.pop().unwrap_or_else(null),
        Some(_) => Expr::Tuple(row),
    };
    let list = std::mem::take(&mut values.rows).into_iter().map(|cells| row(cells.content));
    let (list, negated) = (list.collect(), *negated);
    *expr = Expr::InList { expr: Box::new(take(value)), list, negated };
}

/// Rewrites a relation of rows that are made of a row around them: `VALUES`, or selects of no relation behind each other.
pub(super) fn relation(factor: &mut TableFactor) {
    let TableFactor::Derived { lateral, subquery, alias, .. } = factor else { return };
    let given = alias.as_ref().map_or(0, |alias| alias.columns.len());
    let Query { with: None, body, order_by: None, limit_clause: None, fetch: None, .. } =
        subquery.as_mut()
    else {
        return;
    };
    let Some(width) = width(body).filter(|width| *width > 0 && given <= *width) else { return };
    let cells = Cells::of(&**body);
    if cells.is_more || !cells.has_column || matches!(**body, SetExpr::Select(_)) {
        return;
    }
    let own = names(body, width);
    let mut rows = Vec::new();
    take_rows(body, &mut rows);
    let count = rows.len();
    let mut cells: Vec<Vec<Expr>> = vec![Vec::new(); width];
    for row in rows {
        for (column, cell) in cells.iter_mut().zip(row) {
            column.push(cell);
        }
    }
    let named = alias.iter_mut().flat_map(|alias| std::mem::take(&mut alias.columns));
    let names = named.map(|column| column.name).chain(own.into_iter().skip(given));
    let item = |(cells, alias)| SelectItem::ExprWithAlias { expr: one_of(cells), alias };
    let mut query = expressions::select(cells.into_iter().zip(names).map(item).collect());
    if let (true, SetExpr::Select(select)) = (count > 1, query.body.as_mut()) {
        select.from = vec![TableWithJoins { relation: places(count), joins: vec![] }];
    }
    *lateral = true;
    **subquery = query;
}

/// The rows of a query that is nothing else.
fn plain(query: &mut Query) -> Option<&mut Values> {
    let Query { with: None, body, order_by: None, limit_clause: None, fetch: None, .. } = query
    else {
        return None;
    };
    match body.as_mut() {
        SetExpr::Values(values) => Some(values),
        SetExpr::Query(inner) => plain(inner),
        _ => None,
    }
}

/// How many columns rows have that are written out; `None` for all else, and where they have different ones.
fn width(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Values(values) => {
            let first = values.rows.first()?.content.len();
            values.rows.iter().all(|row| row.content.len() == first).then_some(first)
        }
        SetExpr::Select(select) => {
            let is_bare = select.from.is_empty()
                && select.selection.is_none()
                && select.having.is_none()
                && select.distinct.is_none()
                && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
            let is_cell = |item: &SelectItem| {
                matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
            };
            (is_bare && select.projection.iter().all(is_cell)).then_some(select.projection.len())
        }
        SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier: SetQuantifier::All,
            left,
            right,
        } => width(left).filter(|found| width(right) == Some(*found)),
        _ => None,
    }
}

/// The names of the columns, which are those of the first row.
fn names(body: &SetExpr, width: usize) -> Vec<Ident> {
    match body {
        SetExpr::SetOperation { left, .. } => names(left, width),
        SetExpr::Select(select) => {
            let names = select.projection.iter().map(columns::name_of);
            names.map(|name| Ident::with_quote('"', name.unwrap_or_default())).collect()
        }
        _ => (1..=width).map(|at| Ident::new(format!("column{at}"))).collect(),
    }
}

fn take_rows(body: &mut SetExpr, rows: &mut Vec<Vec<Expr>>) {
    match body {
        SetExpr::Values(values) => {
            rows.extend(std::mem::take(&mut values.rows).into_iter().map(|row| row.content));
        }
        SetExpr::Select(select) => {
            let cells = std::mem::take(&mut select.projection).into_iter();
            let cells = cells.filter_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr)
                }
                _ => None,
            });
            rows.push(cells.collect());
        }
        SetExpr::SetOperation { left, right, .. } => {
            take_rows(left, rows);
            take_rows(right, rows);
        }
        _ => {}
    }
}

/// What rows consist of.
struct Cells {
    /// Whether a cell names a column: of a row around them, since they have none of their own.
    has_column: bool,
    /// Whether there is more than cells of one row each: a query, or a function of rows.
    is_more: bool,
}

impl Cells {
    fn of(part: &impl Visit) -> Self {
        let mut cells = Cells { has_column: false, is_more: false };
        // What it breaks off for is said in it.
        let _ = part.visit(&mut cells);
        cells
    }
}

impl Visitor for Cells {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.is_more = true;
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.has_column = true,
            Expr::Function(function) => {
                let of_rows = |name: String| gives_rows(&name) || is_aggregate(&name);
                self.is_more |=
                    function.over.is_some() || function_name(&function.name).is_some_and(of_rows);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The cell of a column that belongs to the number of the row.
fn one_of(mut cells: Vec<Expr>) -> Expr {
    let last = cells.pop().unwrap_or_else(null);
    if cells.is_empty() {
        return last;
    }
    let place = || Box::new(Expr::Identifier(Ident::with_quote('"', PLACE)));
    let conditions = (1..).zip(cells).map(|(at, result)| {
        let (left, right) = (place(), Box::new(number(at)));
        CaseWhen { condition: Expr::BinaryOp { left, op: BinaryOperator::Eq, right }, result }
    });
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: conditions.collect(),
        else_result: Some(Box::new(last)),
    }
}

/// The numbers of so many rows.
fn places(count: usize) -> TableFactor {
    let numbers = (1..).take(count).map(number).collect();
    let column = TableAliasColumnDef { name: Ident::with_quote('"', PLACE), data_type: None };
    let name = Ident::new(LISTS);
    TableFactor::UNNEST {
        alias: Some(TableAlias { explicit: true, name, columns: vec![column], at: None }),
        array_exprs: vec![Expr::Array(Array { elem: numbers, named: true })],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    }
}
