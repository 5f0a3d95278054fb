//! What the planner says, in PostgreSQL's words.

use std::ops::ControlFlow;

use datafusion::common::{SchemaError, Span};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Spanned,
    Statement, UnaryOperator, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::{Location, Span as TextSpan};

use super::clauses::ungrouped;
use super::located::{self, name_of};
use super::{About, Fault, names};
use crate::error::Error;
use crate::query::postgres::arrow_names::postgres_types;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::functions::HAS;

/// Says an error of the planner as PostgreSQL does, with its place in the statement; what is not known here stays as it is.
pub(in crate::query) fn explain(
    error: DataFusionError,
    statement: &Statement,
    facts: &SessionFacts,
) -> Error {
    let told = error.diagnostic().and_then(|diagnostic| diagnostic.span).map(text_span);
    let (fault, found) = match root(&error) {
        DataFusionError::External(external) => match external.downcast_ref::<Fault>() {
            Some(fault) => return fault.clone().in_statement(statement),
            None => return error.into(),
        },
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                names::column(field, valid_fields, statement)
            }
            _ => return error.into(),
        },
        DataFusionError::Plan(message) | DataFusionError::NotImplemented(message) => {
            match from_words(message, statement, facts) {
                Some(found) => found,
                None => return error.into(),
            }
        }
        DataFusionError::ArrowError(..) => match interval(statement) {
            Some(span) => {
                let hint = "Write a number and a unit, such as '7 days' or '1 hour 30 minutes'.";
                (Fault::new("22007", "invalid input syntax for type interval", hint), Some(span))
            }
            None => return error.into(),
        },
        _ => return error.into(),
    };
    // The planner's own place is that of the part it was at; names that were rewritten have none.
    fault.at(told.or(found).unwrap_or_else(TextSpan::empty))
}

fn text_span(span: Span) -> TextSpan {
    let place = |at: datafusion::common::Location| Location::new(at.line, at.column);
    TextSpan::new(place(span.start), place(span.end))
}

fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, root),
        other => other,
    }
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

type Said = (Fault, Option<TextSpan>);

fn from_words(message: &str, statement: &Statement, facts: &SessionFacts) -> Option<Said> {
    names_and_calls(message, statement, facts)
        .or_else(|| operators(message, statement))
        .or_else(|| clauses(message, statement))
}

fn names_and_calls(message: &str, statement: &Statement, facts: &SessionFacts) -> Option<Said> {
    if let Some(name) = between(message, "table function '", "' not found") {
        return Some((names::function(name, name, None), located::call(statement, name)));
    }
    let relation = between(message, "table '", "' not found")
        .or_else(|| message.trim_start().strip_prefix("Table not found: "));
    if let Some(name) = relation {
        return Some(names::relation(name, statement, facts));
    }
    if let Some(name) = between(message, "Invalid function '", "'") {
        let near = between(message, "Did you mean '", "'");
        let near = near.filter(|near| crate::nearest(name, [*near]).is_some());
        return Some((names::function(name, name, near), located::call(statement, name)));
    }
    if let Some(call) =
        between(message, "No function matches the given name and argument types '", "'")
    {
        let name = call.split('(').next().unwrap_or_default();
        let arguments = call.strip_prefix(name).unwrap_or_default();
        let arguments = arguments.trim_start_matches('(').trim_end_matches(')');
        let types = postgres_types(arguments);
        if name == HAS {
            return Some((not_among(&types), None));
        }
        let message = format!("function {name}({types}) does not exist");
        let hint = "Check the number of arguments, or cast them: CAST(value AS type).";
        return Some((Fault::new("42883", message, hint), located::call(statement, name)));
    }
    let qualifier = message.trim_start().strip_prefix("Invalid qualifier ")?;
    let fault = names::missing_relation(qualifier, statement);
    Some((fault, names::star_span(statement, qualifier)))
}

/// What is wrong with `x = ANY(list)`, by the types of the list and of the value.
fn not_among(types: &str) -> Fault {
    let (list, item) = types.rsplit_once(", ").unwrap_or((types, ""));
    match list.strip_suffix("[]") {
        Some(element) => Fault::new(
            "42883",
            format!("operator does not exist: {item} = {element}"),
            "Cast one of the two sides: CAST(value AS type).",
        ),
        None => Fault::new(
            "42809",
            "op ANY/ALL (array) requires array on right side",
            "Write an array, a subquery or rows: value = ANY(ARRAY[1, 2]).",
        ),
    }
}

/// Operators, by what the planner says of the types on their sides.
fn operators(message: &str, statement: &Statement) -> Option<Said> {
    let about =
        |operator: &str| About::Operator { operator: operator.to_owned(), left: None, right: None };
    let types = between(message, "Cannot coerce arithmetic expression ", " to valid types")
        .or_else(|| {
            message
                .split_once("Cannot infer common argument type for ")
                .and_then(|(_, rest)| rest.split_once("operation ").map(|(_, types)| types))
        });
    if let Some(types) = types {
        let operator = ["+", "-", "*", "/", "%", "=", "!=", "<>", "<=", ">=", "<", ">"]
            .into_iter()
            .find(|operator| types.contains(&format!(" {operator} ")))?;
        let (left, right) = types.split_once(&format!(" {operator} "))?;
        let message = format!(
            "operator does not exist: {} {operator} {}",
            postgres_types(left),
            postgres_types(right)
        );
        let written = if operator == "!=" { "<>" } else { operator };
        let fault = Fault::new("42883", message, "Cast one of the two sides: CAST(value AS type).");
        return Some((fault, located::find(statement, &about(written))));
    }
    if message.contains("Unary operator '-' only supports signed numeric") {
        let hint = "Cast the value to a number: -CAST(value AS integer).";
        return Some((Fault::new("42883", "operator does not exist: -", hint), None));
    }
    if message.contains("Unsupported binary operator: PGOverlap") {
        let hint =
            "Use AND between conditions; && tells whether two arrays have an element in common.";
        let fault = Fault::new("42883", "operator does not exist: &&", hint);
        return Some((fault, located::find(statement, &about("&&"))));
    }
    if let Some((_, of)) =
        message.split_once("Unary operator 'NOT' requires a boolean expression, got ")
    {
        let message =
            format!("argument of NOT must be type boolean, not type {}", postgres_types(of));
        let found = located::expressions(statement, |expr| match expr {
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Some(expr.span()),
            _ => None,
        });
        return Some((Fault::new("42804", message, CONDITION), found.into_iter().next()));
    }
    let (_, of) = message.split_once("Cannot create filter with non-boolean predicate")?;
    let (_, of) = of.rsplit_once(" returning ")?;
    let message =
        format!("argument of WHERE must be type boolean, not type {}", postgres_types(of));
    let found = first_in_selects(statement, |select| select.selection.as_ref().map(Spanned::span));
    Some((Fault::new("42804", message, CONDITION), found))
}

const CONDITION: &str = "Write a condition: compare it, as in value <> 0 or value IS NOT NULL.";

/// What is said of groups and of orders.
fn clauses(message: &str, statement: &Statement) -> Option<Said> {
    if message.contains("must appear in the GROUP BY clause") {
        let column = between(message, "column \"", "\" must appear").unwrap_or("*");
        // PostgreSQL leaves the schema of a relation out, whether it is written or found by the path.
        let column = match column.split_once('.') {
            Some((_, rest)) if rest.contains('.') => rest,
            _ => column,
        };
        let star = first_in_selects(statement, |select| {
            let grouped =
                matches!(&select.group_by, GroupByExpr::Expressions(by, _) if !by.is_empty());
            select.projection.iter().find_map(|item| match item {
                SelectItem::Wildcard(options) if grouped => Some(options.span()),
                _ => None,
            })
        });
        return Some((ungrouped(column), star));
    }
    if message.contains("SELECT DISTINCT ON expressions must match initial ORDER BY") {
        let said = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
        let hint = "Begin ORDER BY with the expressions of DISTINCT ON.";
        let found = first_in_selects(statement, |select| match &select.distinct {
            Some(Distinct::On(on)) => on.first().map(Spanned::span),
            _ => None,
        });
        return Some((Fault::new("42P10", said, hint), found));
    }
    if message.contains("For SELECT DISTINCT, ORDER BY expressions") {
        return Some(distinct_order(statement));
    }
    let of_order = [
        ("GROUPS requires an ORDER BY clause", "GROUPS mode requires an ORDER BY clause"),
        (
            "RANGE requires exactly one ORDER BY column",
            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
        ),
    ];
    if let Some((_, said)) = of_order.into_iter().find(|(words, _)| message.contains(words)) {
        let hint = "Say in which order the rows of the window are: OVER (ORDER BY column ...).";
        return Some((Fault::new("42P20", said, hint), None));
    }
    if message.contains("Inconsistent metadata across values list") {
        let hint = "Cast the values of one column to one type.";
        return Some((Fault::new("42804", "VALUES types cannot be matched", hint), None));
    }
    if let Some((_, types)) = message.split_once("Inconsistent data type across values list at row")
        && let Some((was, found)) =
            types.split_once(". Was ").and_then(|(_, types)| types.split_once(" but found "))
    {
        let hint = "Cast the values of one column to one type.";
        let (was, found) = (postgres_types(was), postgres_types(found));
        let message = format!("VALUES types {was} and {found} cannot be matched");
        return Some((Fault::new("42804", message, hint), None));
    }
    None
}

/// An order by what is not among the columns: of a `UNION`, a name that is none of its columns.
fn distinct_order(statement: &Statement) -> Said {
    struct Orders;
    impl Visitor for Orders {
        type Break = (bool, String, TextSpan);

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
            let Some(OrderByKind::Expressions(order)) = query.order_by.as_ref().map(|by| &by.kind)
            else {
                return ControlFlow::Continue(());
            };
            let mut body = query.body.as_ref();
            while let SetExpr::SetOperation { left, .. } = body {
                body = left;
            }
            let SetExpr::Select(select) = body else { return ControlFlow::Continue(()) };
            let stands = |by: &Expr| {
                select.projection.iter().any(|item| match item {
                    SelectItem::UnnamedExpr(expr) => {
                        expr == by || (name_of(expr).is_some() && name_of(expr) == name_of(by))
                    }
                    SelectItem::ExprWithAlias { expr, alias } => {
                        expr == by || name_of(by).as_ref() == Some(&alias.value)
                    }
                    _ => true,
                })
            };
            let union = matches!(query.body.as_ref(), SetExpr::SetOperation { .. });
            match order.iter().find(|by| !matches!(by.expr, Expr::Value(_)) && !stands(&by.expr)) {
                Some(by) => {
                    let name = name_of(&by.expr).unwrap_or_default();
                    ControlFlow::Break((union, name, by.expr.span()))
                }
                None => ControlFlow::Continue(()),
            }
        }
    }
    let said = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
    let hint = "Select what it is ordered by, too, or order the rows of a subquery.";
    match statement.visit(&mut Orders) {
        ControlFlow::Break((true, name, span)) => {
            let hint = "A UNION is ordered by names or positions of its columns.";
            (Fault::new("42703", format!("column \"{name}\" does not exist"), hint), Some(span))
        }
        ControlFlow::Break((false, _, span)) => (Fault::new("42P10", said, hint), Some(span)),
        ControlFlow::Continue(()) => (Fault::new("42P10", said, hint), None),
    }
}

/// The first that is found in a `SELECT`.
fn first_in_selects(
    statement: &Statement,
    find: impl Fn(&Select) -> Option<TextSpan>,
) -> Option<TextSpan> {
    struct Selects<F>(F);
    impl<F: Fn(&Select) -> Option<TextSpan>> Visitor for Selects<F> {
        type Break = TextSpan;

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<TextSpan> {
            match (self.0)(select) {
                Some(span) => ControlFlow::Break(span),
                None => ControlFlow::Continue(()),
            }
        }
    }
    match statement.visit(&mut Selects(find)) {
        ControlFlow::Break(span) => Some(span),
        ControlFlow::Continue(()) => None,
    }
}

fn interval(statement: &Statement) -> Option<TextSpan> {
    let found = located::expressions(statement, |expr| match expr {
        Expr::Interval(interval) => Some(interval.value.span()),
        _ => None,
    });
    found.into_iter().next()
}
