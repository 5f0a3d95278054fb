//! Whether an expression gives the same whenever it is computed of the same row: PostgreSQL tells it by the volatility of what
//! the expression calls, as `pg_proc` has it.
//!
//! Some functions and conversions are immutable for some types alone, since a day is another one in another zone, and a text of
//! it is written as `DateStyle` says. So names are asked about before an expression is planned, and types when it is.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as DataFusionResult};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr as Planned, ExprSchemable, LogicalPlan, Operator};
use datafusion::sql::sqlparser::ast::{Expr, Function, FunctionArguments, visit_expressions};

use super::statement::parts;
use crate::error::{Error, Result};
use crate::query::postgres::types::pg_type_of;
use crate::query::postgres::{volatilities, volatility_of};

const IMMUTABLE: &str = "i";
const VOLATILE: &str = "v";

/// What is written as a function and is none in `pg_proc`: all of it is stable.
const STABLE_WORDS: [&str; 8] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "user",
];

/// Functions that `pg_proc` does not list, with how many arguments they have: each gives another value each time.
const UNLISTED: [(&str, usize); 2] = [("pg_sleep", 1), ("uuid", 0)];

/// Returns the volatility of each function that has this name and takes so many values.
fn known(name: &str, count: usize) -> impl Iterator<Item = &'static str> {
    volatilities(name, count).chain(UNLISTED.contains(&(name, count)).then_some(VOLATILE))
}

/// Tells whether a function is called that `is_meant` says yes to, by its name and how many arguments it has.
fn is_call(function: &Function, is_meant: impl Fn(&str, usize) -> bool) -> bool {
    let count = match &function.args {
        FunctionArguments::List(list) => list.args.len(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => 0,
    };
    parts(&function.name).last().is_some_and(|name| is_meant(name, count))
}

/// Tells whether a function that is called gives another value each time.
pub(super) fn is_changing_call(function: &Function) -> bool {
    is_call(function, |name, count| known(name, count).any(|known| known == VOLATILE))
}

/// Tells whether an expression calls a function that `is_meant` says yes to.
fn calls(expression: &Expr, is_meant: impl Fn(&Function) -> bool) -> bool {
    let found = visit_expressions(expression, |part| match part {
        Expr::Function(function) if is_meant(function) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Tells whether a value is another one when it is computed again.
pub(super) fn is_changing(value: &Expr) -> bool {
    calls(value, is_changing_call)
}

/// Fails if an expression calls what is not immutable, whatever it is called with.
pub(super) fn refuse_calls(expression: &Expr) -> Result<()> {
    let is_never = |name: &str, count: usize| {
        let mut known = known(name, count).peekable();
        STABLE_WORDS.contains(&name)
            || known.peek().is_some() && known.all(|known| known != IMMUTABLE)
    };
    match calls(expression, |function| is_call(function, is_never)) {
        true => Err(not_immutable()),
        false => Ok(()),
    }
}

/// Fails if a plan calls or converts what is not immutable for the types of its values.
pub(super) fn refuse_plan(plan: &LogicalPlan) -> Result<()> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        let inputs = node.inputs();
        let Some(input) = inputs.first() else { return Ok(TreeNodeRecursion::Continue) };
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found = found || is_stable(expr, input.schema())?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if found { Err(not_immutable()) } else { Ok(()) }
}

fn not_immutable() -> Error {
    Error::Standard {
        sqlstate: "42P17",
        message: "generation expression is not immutable".into(),
        hint: "Compute it of the columns of the row alone, or make it a DEFAULT; AT TIME ZONE names the zone of a day.".into(),
    }
}

fn is_stable(expr: &Planned, schema: &DFSchema) -> DataFusionResult<bool> {
    Ok(match expr {
        Planned::Cast(cast) => {
            let from = cast.expr.get_type(schema)?;
            let is_written = matches!(cast.expr.as_ref(), Planned::Literal(..));
            is_stable_cast(&from, cast.field.data_type(), is_written)
        }
        Planned::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (left, right) = (left.get_type(schema)?, right.get_type(schema)?);
            // A day later is another moment in another zone.
            let moves = |one: &DataType, by: &DataType| is_moment(one) && is_interval(by);
            // Which of the two comes first, too.
            let meets = |one: &DataType, other: &DataType| is_moment(one) && is_of_a_zone(other);
            let is_moved = matches!(op, Operator::Plus | Operator::Minus)
                && (moves(&left, &right) || moves(&right, &left));
            is_moved || meets(&left, &right) || meets(&right, &left)
        }
        Planned::ScalarFunction(call) => is_stable_call(call, schema)?,
        _ => false,
    })
}

fn is_stable_call(call: &ScalarFunction, schema: &DFSchema) -> DataFusionResult<bool> {
    let types = call.args.iter().map(|given| given.get_type(schema));
    let types = types.collect::<DataFusionResult<Vec<DataType>>>()?;
    let (last, given) = (types.last(), call.args.last());
    Ok(match call.func.name() {
        // What casts are planned as.
        "text_of" => last.is_some_and(is_shown_by_settings),
        "time_of" | "array_cast" => {
            let is_written = matches!(given, Some(Planned::Literal(..)));
            !is_written && last.is_some_and(DataType::is_string)
        }
        name => {
            let oid = |of: &DataType| pg_type_of(&Field::new("", of.clone(), true)).0.oid;
            let oids: Vec<u32> = types.iter().map(oid).collect();
            volatility_of(name, &oids).is_some_and(|known| known != IMMUTABLE)
        }
    })
}

/// Tells whether a value is a moment, which is of one day or another in each zone.
fn is_moment(of: &DataType) -> bool {
    matches!(of, DataType::Timestamp(_, Some(_)))
}

/// Tells whether a value is a day or a wall clock, which is another moment in each zone.
fn is_of_a_zone(of: &DataType) -> bool {
    matches!(
        of,
        DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(_, None)
            | DataType::Time32(_)
            | DataType::Time64(_)
    )
}

/// Tells whether the text of a value follows from settings such as `DateStyle`.
fn is_shown_by_settings(of: &DataType) -> bool {
    is_moment(of)
        || of.is_nested()
        || matches!(
            of,
            DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(_, None)
                | DataType::Interval(_)
        )
}

/// Tells whether a cast follows from settings; one of a text that is written out was made when the expression was.
fn is_stable_cast(from: &DataType, to: &DataType, is_written: bool) -> bool {
    let is_temporal = |of: &DataType| is_moment(of) || is_of_a_zone(of) || is_interval(of);
    is_moment(from) && is_of_a_zone(to)
        || is_of_a_zone(from) && is_moment(to)
        || from.is_string() && is_temporal(to) && !is_written
        || is_shown_by_settings(from) && to.is_string()
}

fn is_interval(of: &DataType) -> bool {
    matches!(of, DataType::Interval(_))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{IntervalUnit, TimeUnit};

    use super::*;
    use crate::analytics::defaults::parsed;

    #[test]
    fn what_a_function_may_give_is_told_by_the_catalog() {
        for sql in ["a + 1", "lower(t)", "t || a", "abs(a)", "age(tz, tz)", "to_timestamp(f)"] {
            refuse_calls(&parsed(sql).unwrap()).unwrap();
        }
        // Of types these follow from what they are called with.
        for sql in ["date_trunc('day', ts)", "date_part('year', d)"] {
            refuse_calls(&parsed(sql).unwrap()).unwrap();
        }
        for sql in [
            "now()",
            "a + random()",
            "current_date - a",
            "concat(t, 'x')",
            "pg_catalog.concat_ws(',', t, t)",
            "format('%s', t)",
            "to_char(n, '999')",
            "to_timestamp(t, 'YYYY')",
            "age(ts)",
            "date_trunc('day', tz, 'UTC')",
            "jsonb_build_object('a', a)",
            "upper(version())",
            "nextval('q')",
            "uuid()",
            "pg_sleep(1)",
        ] {
            assert_eq!(
                refuse_calls(&parsed(sql).unwrap()).unwrap_err().sqlstate(),
                "42P17",
                "{sql}"
            );
        }
        let changing = |sql: &str| is_changing(&parsed(sql).unwrap());
        assert!(
            changing("a + random()") && changing("nextval('q')") && changing("clock_timestamp()")
        );
        assert!(changing("upper(uuid())"));
        assert!(!changing("now()") && !changing("lower(t)"));
    }

    #[test]
    fn casts_that_follow_from_settings_are_not_immutable() {
        let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let clock = DataType::Timestamp(TimeUnit::Microsecond, None);
        let (day, text) = (DataType::Date32, DataType::Utf8);
        let time = DataType::Time64(TimeUnit::Microsecond);
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        for (from, to) in [
            (&moment, &day),
            (&moment, &clock),
            (&clock, &moment),
            (&day, &moment),
            (&moment, &text),
            (&day, &text),
            (&interval, &text),
            (&text, &day),
            (&text, &time),
            (&text, &interval),
        ] {
            assert!(is_stable_cast(from, to, false), "{from} to {to}");
        }
        for (from, to) in [
            (&clock, &day),
            (&day, &clock),
            (&time, &text),
            (&DataType::Int32, &text),
            (&text, &DataType::Int32),
            (&moment, &moment),
        ] {
            assert!(!is_stable_cast(from, to, false), "{from} to {to}");
        }
        assert!(!is_stable_cast(&text, &moment, true) && is_stable_cast(&day, &moment, true));
    }
}
