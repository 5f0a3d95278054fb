//! Calls and operators that PostgreSQL refuses wherever they stand.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, ObjectName, Query, Spanned, UnaryOperator, Value,
    ValueWithSpan, Visit, Visitor, WindowFrame, WindowFrameBound, WindowSpec, WindowType,
};
use datafusion::sql::sqlparser::tokenizer::Span as TextSpan;

use super::clauses::{first_call, nested};
use super::queries::width;
use super::values;
use super::{Fault, behind};
use crate::error::Result;
use crate::query::postgres::functions::{aggregates, allowed_functions};
use crate::query::postgres::rewrite::row_width;
use crate::query::syntax::outside;

/// What a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value of a row.
    Scalar,
    /// A value of a group.
    Aggregate,
    /// A value of a row among others.
    Window,
    /// Rows.
    Rows,
}

/// Functions that return rows.
const ROWS: [&str; 19] = [
    "aclexplode",
    "generate_series",
    "generate_subscripts",
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_keys",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
    "jsonb_path_query",
    "pg_options_to_table",
    "unnest",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
];

/// By how many columns the place of a row among others is told at most.
const PLACE_KEYS_MAX: usize = 16;

/// Aggregates that the rewriting of statements makes of others.
const AGGREGATES: [&str; 4] = ["json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg"];

static KINDS: LazyLock<HashMap<String, Kind>> = LazyLock::new(|| {
    let allowed = allowed_functions();
    let mut kinds = HashMap::new();
    for function in &allowed.scalar {
        kinds.insert(function.name().to_owned(), Kind::Scalar);
    }
    for function in &allowed.window {
        kinds.insert(function.name().to_owned(), Kind::Window);
    }
    let own = aggregates();
    for function in allowed.aggregate.iter().map(AsRef::as_ref).chain(&own) {
        let names = function.aliases().iter().cloned().chain([function.name().to_owned()]);
        kinds.extend(names.map(|name| (name, Kind::Aggregate)));
    }
    kinds.extend(AGGREGATES.map(|name| (name.to_owned(), Kind::Aggregate)));
    kinds.extend(ROWS.map(|name| (name.to_owned(), Kind::Rows)));
    kinds
});

/// Returns what a function gives; `None` if it is not known here.
fn kind_of(name: &str) -> Option<Kind> {
    KINDS.get(name).copied()
}

/// Returns what a call gives: the place of a row that `WITHIN GROUP` orders others around is one value of a group.
pub(super) fn kind_of_call(function: &Function) -> Option<Kind> {
    match kind_of(&last_name(&function.name)) {
        Some(Kind::Window) if !function.within_group.is_empty() => Some(Kind::Aggregate),
        kind => kind,
    }
}

/// The name of a function without its schema, as the catalog has it.
pub(super) fn last_name(name: &ObjectName) -> String {
    let ident = name.0.last().and_then(|part| part.as_ident());
    ident.map_or_else(String::new, |ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    })
}

/// Checks one expression; its parts are checked on their own.
pub(super) fn check(expr: &Expr) -> Result<()> {
    match expr {
        Expr::Function(function) => check_call(function),
        Expr::BinaryOp { left, right, .. } => check_rows(left, right),
        Expr::InList { expr: left, list, .. } => {
            list.iter().try_for_each(|item| check_rows(left, item))
        }
        Expr::Subquery(query) if width(&query.body).is_some_and(|width| width > 1) => {
            // The bracket stands before the query.
            let mut span = query.span();
            span.start.column = span.start.column.saturating_sub(1).max(1);
            Err(one_column("subquery must return only one column").at(span))
        }
        Expr::InSubquery { expr: left, subquery, .. }
            if row_width(left).is_none()
                && width(&subquery.body).is_some_and(|width| width > 1) =>
        {
            Err(one_column("subquery has too many columns").at(behind(left.span())))
        }
        Expr::InSubquery { expr: left, subquery, .. } => {
            match (row_width(left), width(&subquery.body)) {
                (Some(wanted), Some(found)) if wanted != found => {
                    let message = match found > wanted {
                        true => "subquery has too many columns",
                        false => "subquery has too few columns",
                    };
                    let hint = "Select as many columns as the row has values.";
                    // The bracket stands behind the last value.
                    let mut place = behind(left.span());
                    place.start.column += 1;
                    place.end.column += 1;
                    Err(Fault::new("42601", message, hint).at(place))
                }
                _ => Ok(()),
            }
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            check_pattern(pattern, escape_char.as_ref())
        }
        Expr::RLike { expr, .. } => {
            let hint =
                "Use ~ for a regular expression, ~* for one that takes upper and lower case alike.";
            Err(Fault::new("42601", "syntax error at or near \"REGEXP\"", hint)
                .at(behind(expr.span())))
        }
        Expr::Convert { expr, .. } => {
            let message = match expr.as_ref() {
                Expr::Identifier(name) => format!("column \"{}\" does not exist", name.value),
                _ => "CONVERT is not a function of this database".to_owned(),
            };
            Err(Fault::new("42703", message, "Use CAST(value AS type).").at(expr.span()))
        }
        Expr::Extract { field, .. } => values::check_unit(&field.to_string(), true),
        _ => Ok(()),
    }
}

/// Checks that two rows that are written out have as many values.
fn check_rows(left: &Expr, right: &Expr) -> Result<()> {
    match (row_width(left), row_width(right)) {
        (Some(one), Some(other)) if one != other => {
            let hint = "Write as many values on one side as on the other.";
            let message = "unequal number of entries in row expressions";
            Err(Fault::new("42601", message, hint).at(behind(left.span())))
        }
        _ => Ok(()),
    }
}

fn one_column(message: &str) -> Fault {
    Fault::new("42601", message, "Select the one column that is meant, or use EXISTS (...).")
}

fn text_of(expr: &Expr) -> Option<&Value> {
    match expr {
        Expr::Value(ValueWithSpan { value, .. }) => Some(value),
        _ => None,
    }
}

fn check_call(function: &Function) -> Result<()> {
    let name = last_name(&function.name);
    let span = function.name.span();
    check_place(function, &name)?;
    check_frame(function)?;
    match (kind_of_call(function), &function.over) {
        (Some(Kind::Window), None) => {
            let message = format!("window function {name} requires an OVER clause");
            let hint = format!("Write {name}() OVER (ORDER BY ...).");
            return Err(Fault::new("42809", message, hint).at(span));
        }
        (Some(Kind::Scalar), Some(_)) => {
            let message = format!(
                "OVER specified, but {name} is not a window function nor an aggregate function"
            );
            let hint = "Leave OVER out, or put the call around a window function.";
            return Err(Fault::new("42809", message, hint).at(span));
        }
        (Some(Kind::Aggregate), None) => {
            let inner = first_call(&function.args, |kind, window| match (kind, window) {
                (_, true) => Some("aggregate function calls cannot contain window function calls"),
                (Some(Kind::Aggregate), false) => Some("aggregate function calls cannot be nested"),
                _ => None,
            });
            if let Some((message, span)) = inner {
                return Err(nested(message).at(span));
            }
        }
        _ => {}
    }
    if name == "date_trunc"
        && let Some(Value::SingleQuotedString(unit)) = first_argument(function)
    {
        return values::check_unit(unit, false);
    }
    Ok(())
}

/// Checks a call for the place of a row among others, `rank(x) WITHIN GROUP (ORDER BY y)`.
fn check_place(function: &Function, name: &str) -> Result<()> {
    let keys = function.within_group.len();
    if keys == 0 || !["rank", "dense_rank", "percent_rank", "cume_dist"].contains(&name) {
        return Ok(());
    }
    let span = function.name.span();
    let given = match &function.args {
        FunctionArguments::List(list) => list.args.len(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => 0,
    };
    let (sqlstate, message, hint) = if function.over.is_some() {
        let message = format!("OVER is not supported for hypothetical-set aggregate {name}");
        ("0A000", message, "Leave WITHIN GROUP out for the place of each row.".to_owned())
    } else if given != keys {
        let message = format!("function {name} with {given} arguments does not exist");
        let hint = format!(
            "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here {given}) must match the number of ordering columns (here {keys})."
        );
        ("42883", message, hint)
    } else if has_query(function) {
        // What is counted is written several times, and a query within would be planned as often.
        let message = format!("{name}() WITHIN GROUP with a subquery is not supported");
        ("0A000", message, "Work the value out in a query in FROM.".to_owned())
    } else if keys > PLACE_KEYS_MAX || name == "dense_rank" && keys > 1 {
        let message = format!("{name}() WITHIN GROUP over {keys} columns is not supported");
        (
            "0A000",
            message,
            "Rank the rows with OVER in a subquery, and count those before.".to_owned(),
        )
    } else {
        return Ok(());
    };
    Err(Fault::new(sqlstate, message, hint).at(span))
}

/// Checks the bounds of the window of a call, which the planner takes as numbers alone.
fn check_frame(function: &Function) -> Result<()> {
    let Some(WindowType::WindowSpec(WindowSpec { window_frame: Some(frame), .. })) = &function.over
    else {
        return Ok(());
    };
    let (hint, nowhere) =
        ("PRECEDING and FOLLOWING say on which side of the row a bound lies.", TextSpan::empty());
    if let Some(message) = crossed(frame) {
        return Err(Fault::new("42P20", message, hint).at(nowhere));
    }
    for (bound, which) in
        [(Some(&frame.start_bound), "starting"), (frame.end_bound.as_ref(), "ending")]
    {
        let Some(WindowFrameBound::Preceding(Some(by)) | WindowFrameBound::Following(Some(by))) =
            bound
        else {
            continue;
        };
        if matches!(by.as_ref(), Expr::UnaryOp { op: UnaryOperator::Minus, expr } if matches!(expr.as_ref(), Expr::Value(_)))
        {
            let message = format!("frame {which} offset must not be negative");
            // Where a sign stands is not known.
            return Err(Fault::new("22013", message, hint).at(nowhere));
        }
        if matches!(by.as_ref(), Expr::Value(value) if matches!(value.value, Value::Null)) {
            let message = format!("frame {which} offset must not be null");
            let hint = "Write a number of rows, or UNBOUNDED.";
            return Err(Fault::new("22004", message, hint).at(nowhere));
        }
        let column = outside::see(by, |part| match part {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(part.span()),
            _ => ControlFlow::Continue(()),
        });
        if let ControlFlow::Break(span) = column {
            let message = format!("argument of {} must not contain variables", frame.units);
            let hint = "A frame is as large for each row: write a number.";
            return Err(Fault::new("42P10", message, hint).at(span));
        }
        let parameter = outside::see(by, |part| match part {
            Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }) => {
                ControlFlow::Break(part.span())
            }
            _ => ControlFlow::Continue(()),
        });
        if let ControlFlow::Break(span) = parameter {
            let message = "a parameter in the frame of a window is not supported";
            let hint = "Write the number of rows, or the interval, into the statement.";
            return Err(Fault::new("0A000", message, hint).at(span));
        }
    }
    Ok(())
}

/// What is wrong with a frame that ends before it begins, whatever its bounds are.
fn crossed(frame: &WindowFrame) -> Option<&'static str> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    Some(match (&frame.start_bound, frame.end_bound.as_ref()) {
        (Following(None), _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (_, Some(Preceding(None))) => "frame end cannot be UNBOUNDED PRECEDING",
        (CurrentRow, Some(Preceding(_))) => {
            "frame starting from current row cannot have preceding rows"
        }
        (Following(_), Some(Preceding(_) | CurrentRow)) => {
            "frame starting from following row cannot have preceding rows"
        }
        (Following(_), None) => "frame starting from following row cannot end with current row",
        _ => return None,
    })
}

/// Tells whether there is a subquery in a part of a statement.
fn has_query(part: &impl Visit) -> bool {
    struct Queries;
    impl Visitor for Queries {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    part.visit(&mut Queries).is_break()
}

fn first_argument(function: &Function) -> Option<&Value> {
    use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr};
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => text_of(expr),
        _ => None,
    }
}

/// Checks a pattern of `LIKE` and its escape, where they are written out.
fn check_pattern(pattern: &Expr, escape: Option<&ValueWithSpan>) -> Result<()> {
    let nowhere = TextSpan::empty();
    let escape = match escape.map(|escape| &escape.value) {
        None => Some('\\'),
        Some(Value::SingleQuotedString(text)) => {
            let mut letters = text.chars();
            let letter = letters.next();
            if letters.next().is_some() {
                let hint = "Escape string must be empty or one character.";
                return Err(Fault::new("22025", "invalid escape string", hint).at(nowhere));
            }
            letter
        }
        Some(_) => return Ok(()),
    };
    let (Some(escape), Some(Value::SingleQuotedString(text))) = (escape, text_of(pattern)) else {
        return Ok(());
    };
    let trailing = text.chars().rev().take_while(|letter| *letter == escape).count();
    if trailing % 2 == 0 {
        return Ok(());
    }
    let message = "LIKE pattern must not end with escape character";
    let hint = "Write it twice for the character itself, or name another with ESCAPE.";
    Err(Fault::new("22025", message, hint).at(nowhere))
}
