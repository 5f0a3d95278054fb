//! Aggregates, window functions and functions that return rows, where they cannot stand.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, JoinConstraint, JoinOperator, Query, Select, SelectItem, Spanned, Visit,
    Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span as TextSpan;

use super::Fault;
use super::calls::{Kind, kind_of_call};
use crate::error::Result;
use crate::query::syntax::outside;

/// A clause that only some functions may stand in.
struct Clause {
    name: &'static str,
    aggregates: bool,
    rows: bool,
    hint: &'static str,
}

const WHERE: Clause = Clause {
    name: "WHERE",
    aggregates: false,
    rows: false,
    hint: "HAVING filters groups; to filter by a window function, filter the rows of a subquery.",
};
const JOIN: Clause = Clause {
    name: "JOIN conditions",
    aggregates: false,
    rows: false,
    hint: "Aggregate in a subquery first, and join its rows.",
};
const GROUP_BY: Clause = Clause {
    name: "GROUP BY",
    aggregates: false,
    rows: true,
    hint: "Name the columns that make a group; to group by an aggregate, group the rows of a subquery.",
};
const HAVING: Clause = Clause {
    name: "HAVING",
    aggregates: true,
    rows: false,
    hint: "To filter by a window function, filter the rows of a subquery.",
};

const UPDATE: Clause = Clause {
    name: "UPDATE",
    aggregates: false,
    rows: false,
    hint: "Compute it in a subquery: SET column = (SELECT ...).",
};
const RETURNING: Clause = Clause {
    name: "RETURNING",
    aggregates: false,
    rows: false,
    hint: "Name the statement in WITH, and compute it of the rows that it gives back.",
};

/// Checks what a column is assigned.
pub(crate) fn check_assigned(value: &Expr) -> Result<()> {
    within(value, &UPDATE)
}

/// Checks an item of `RETURNING`.
pub(crate) fn check_returned(item: &SelectItem) -> Result<()> {
    within(item, &RETURNING)
}

/// Checks the clauses of one `SELECT`.
pub(super) fn check(select: &Select) -> Result<()> {
    for table in &select.from {
        for join in &table.joins {
            if let Some(JoinConstraint::On(on)) = constraint(&join.join_operator) {
                within(on, &JOIN)?;
            }
        }
    }
    if let Some(condition) = &select.selection {
        within(condition, &WHERE)?;
    }
    if let Some(condition) = &select.having {
        within(condition, &HAVING)?;
    }
    let groups = match &select.group_by {
        GroupByExpr::Expressions(groups, _) => groups.as_slice(),
        GroupByExpr::All(_) => return Ok(()),
    };
    groups.iter().try_for_each(|group| within(group, &GROUP_BY))?;
    if select.having.is_some() && groups.is_empty() {
        one_group(&select.projection)?;
    }
    Ok(())
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

fn within(part: &impl Visit, clause: &Clause) -> Result<()> {
    let found = first_call(part, |kind, window| match (kind, window) {
        (_, true) => Some(("42P20", "window functions")),
        (Some(Kind::Aggregate), false) if !clause.aggregates => {
            Some(("42803", "aggregate functions"))
        }
        (Some(Kind::Rows), false) if !clause.rows => Some(("0A000", "set-returning functions")),
        _ => None,
    });
    match found {
        None => Ok(()),
        Some(((sqlstate, what), span)) => Err(not_allowed(sqlstate, what, clause).at(span)),
    }
}

fn not_allowed(sqlstate: &'static str, what: &str, clause: &Clause) -> Fault {
    let message = format!("{what} are not allowed in {}", clause.name);
    Fault::new(sqlstate, message, clause.hint)
}

/// What is said of an aggregate in `WHERE`.
pub(super) fn aggregate_in_where() -> Fault {
    not_allowed("42803", "aggregate functions", &WHERE)
}

/// What is said of a call within an aggregate.
pub(super) fn nested(message: &str) -> Fault {
    Fault::new("42803", message, "Aggregate in a subquery first.")
}

/// All rows are one group where there is `HAVING` alone, so that no column has one value.
fn one_group(projection: &[SelectItem]) -> Result<()> {
    for item in projection {
        let found = match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => bare(expr),
            SelectItem::Wildcard(options) => Some(("*".to_owned(), options.span())),
            _ => None,
        };
        if let Some((name, span)) = found {
            return Err(ungrouped(&name).at(span));
        }
    }
    Ok(())
}

/// What is said of a column that has not one value in a group.
pub(super) fn ungrouped(name: &str) -> Fault {
    let message = format!(
        "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
    );
    let hint =
        "Add it to GROUP BY, or choose one of its values: min(...), max(...), array_agg(...).";
    Fault::new("42803", message, hint)
}

/// The first column outside of aggregates and subqueries.
fn bare(expr: &Expr) -> Option<(String, TextSpan)> {
    struct Bare {
        skipped: usize,
    }
    impl Visitor for Bare {
        type Break = (String, TextSpan);

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
            self.skipped += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
            self.skipped -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
            self.skipped += usize::from(is_aggregate(expr));
            let name = match expr {
                Expr::Identifier(ident) if ident.quote_style.is_some() => ident.value.clone(),
                Expr::Identifier(ident) => ident.value.to_lowercase(),
                Expr::CompoundIdentifier(parts) => {
                    parts.iter().map(|part| part.value.clone()).collect::<Vec<_>>().join(".")
                }
                _ => return ControlFlow::Continue(()),
            };
            // What SQL writes without brackets is a function.
            let function =
                name.starts_with("current_") || name.ends_with("_user") || name == "user";
            if self.skipped > 0 || function {
                return ControlFlow::Continue(());
            }
            ControlFlow::Break((name, expr.span()))
        }

        fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
            self.skipped -= usize::from(is_aggregate(expr));
            ControlFlow::Continue(())
        }
    }
    match expr.visit(&mut Bare { skipped: 0 }) {
        ControlFlow::Break(found) => Some(found),
        ControlFlow::Continue(()) => None,
    }
}

pub(in crate::query::postgres) fn is_aggregate(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    function.over.is_none() && kind_of_call(function) == Some(Kind::Aggregate)
}

/// The first call outside of subqueries that something is to be said of, and where its name stands.
pub(super) fn first_call<T>(
    part: &impl Visit,
    say: impl Fn(Option<Kind>, bool) -> Option<T>,
) -> Option<(T, TextSpan)> {
    let found = outside::see(part, |expr| {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        match say(kind_of_call(function), function.over.is_some()) {
            Some(said) => ControlFlow::Break((said, function.name.span())),
            None => ControlFlow::Continue(()),
        }
    });
    found.break_value()
}
