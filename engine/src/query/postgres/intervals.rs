//! Intervals that are compared, sorted, grouped and joined by how long they are, as in PostgreSQL.
//!
//! DataFusion compares their months, then their days, then their clocks: `1 day` is less than `24:00:00` to it, and a
//! group of its own to `GROUP BY`. Once the types of a statement are settled, what it compares is the length of intervals in
//! microseconds. `later - earlier > interval '3 days'` compares two durations, as it did before.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, InList, Sort as SortExpr, WindowFunction,
};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Operator, Projection,
    WindowFrameBound, WindowFunctionDefinition, lit,
};

use super::comparisons::compares;
use super::functions::{INTERVAL, between, interval_length, interval_total, span};

/// Compares the intervals of an expression by how long they are.
pub(super) fn compared(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if compares(op) && are_intervals(&left, &right, schema) =>
        {
            let (left, right) = match as_durations(&left, &right, schema) {
                Some(sides) => sides,
                None => (span(*left), span(*right)),
            };
            Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
        }
        Expr::Between(Between { expr, negated, low, high }) if is_interval(&expr, schema) => {
            let of = |side: Box<Expr>| Box::new(span(*side));
            Expr::Between(Between::new(of(expr), negated, of(low), of(high)))
        }
        Expr::InList(InList { expr, list, negated }) if is_interval(&expr, schema) => {
            let list = list.into_iter().map(span).collect();
            Expr::InList(InList::new(Box::new(span(*expr)), list, negated))
        }
        Expr::AggregateFunction(call) => Expr::AggregateFunction(aggregated(call, schema)),
        Expr::WindowFunction(call) => Expr::WindowFunction(Box::new(over_window(*call, schema))),
        other => other,
    })
}

/// Tells whether an expression is an interval.
fn is_interval(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Literal(value, _) => matches!(value, ScalarValue::IntervalMonthDayNano(_)),
        other => other.get_type(schema).is_ok_and(|found| found == INTERVAL),
    }
}

/// Tells whether both sides of a comparison are intervals: they are of one type.
fn are_intervals(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    match (left, right) {
        (literal @ Expr::Literal(..), _) | (_, literal @ Expr::Literal(..)) => {
            is_interval(literal, schema)
        }
        (left, _) => is_interval(left, schema),
    }
}

/// The time between two points in time and a constant as numbers of microseconds.
fn as_durations(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<(Expr, Expr)> {
    let constant = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => {
            let micros = i64::try_from(interval_length(interval)).ok()?;
            Some(lit(ScalarValue::DurationMicrosecond(Some(micros))))
        }
        _ => None,
    };
    let difference = |expr: &Expr| {
        let [later, earlier] = between(expr)?;
        let (one, other) = (later.get_type(schema).ok()?, earlier.get_type(schema).ok()?);
        let is_plain = one == other && matches!(one, DataType::Timestamp(TimeUnit::Microsecond, _));
        let (later, earlier) = (Box::new(later.clone()), Box::new(earlier.clone()));
        is_plain.then(|| Expr::BinaryExpr(BinaryExpr::new(later, Operator::Minus, earlier)))
    };
    match constant(right) {
        Some(constant) => Some((difference(left)?, constant)),
        None => Some((constant(left)?, difference(right)?)),
    }
}

fn aggregated(mut call: AggregateFunction, schema: &DFSchema) -> AggregateFunction {
    let values = call.params.args.first().and_then(|values| values.get_type(schema).ok());
    if let Some(function) = values.as_ref().and_then(|values| interval_total(&call.func, values)) {
        call.func = function;
    }
    if call.params.distinct && values == Some(INTERVAL) && call.func.name() == "count" {
        call.params.args = call.params.args.into_iter().map(span).collect();
    }
    order(&mut call.params.order_by, schema);
    call
}

fn over_window(mut call: WindowFunction, schema: &DFSchema) -> WindowFunction {
    if let WindowFunctionDefinition::AggregateUDF(function) = &call.fun
        && let Some(values) = call.params.args.first()
        && let Ok(values) = values.get_type(schema)
        && let Some(function) = interval_total(function, &values)
    {
        call.fun = WindowFunctionDefinition::AggregateUDF(function);
    }
    for by in &mut call.params.partition_by {
        measure(by, schema);
    }
    // What is some interval before an interval is found by adding them.
    let frame = &call.params.window_frame;
    let has_distance = [&frame.start_bound, &frame.end_bound].into_iter().any(|bound| {
        matches!(bound, WindowFrameBound::Preceding(by) | WindowFrameBound::Following(by)
            if matches!(by, ScalarValue::IntervalMonthDayNano(Some(_))))
    });
    if !has_distance {
        order(&mut call.params.order_by, schema);
    }
    call
}

fn order(by: &mut [SortExpr], schema: &DFSchema) {
    by.iter_mut().for_each(|by| measure(&mut by.expr, schema));
}

/// Puts its span in the place of an interval.
fn measure(expr: &mut Expr, schema: &DFSchema) {
    if is_interval(expr, schema) {
        *expr = span(std::mem::take(expr).unalias());
    }
}

/// Sorts, joins and groups the rows of a node by how long intervals are.
pub(super) fn arranged(node: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match node {
        LogicalPlan::Sort(mut sort) => {
            order(&mut sort.expr, sort.input.schema());
            LogicalPlan::Sort(sort)
        }
        LogicalPlan::Join(mut join) => {
            for (left, right) in &mut join.on {
                measure(left, join.left.schema());
                measure(right, join.right.schema());
            }
            LogicalPlan::Join(join)
        }
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate)?,
        LogicalPlan::Distinct(Distinct::All(input))
            if input.schema().fields().iter().any(|field| *field.data_type() == INTERVAL) =>
        {
            let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
            grouped(Aggregate::try_new(input, columns, vec![])?)?
        }
        other => other,
    })
}

/// Groups by spans, and gives each group the first of its intervals.
fn grouped(aggregate: Aggregate) -> Result<LogicalPlan> {
    let is_concerned = |expr: &Expr| is_interval(expr, aggregate.input.schema());
    let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
    let by = &aggregate.group_expr;
    if by.iter().any(is_set) || !by.iter().any(is_concerned) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let Aggregate { input, mut group_expr, mut aggr_expr, schema, .. } = aggregate;
    // Where each column of the result comes from.
    let mut places: Vec<usize> = (0..group_expr.len() + aggr_expr.len()).collect();
    for at in 0..group_expr.len() {
        if is_interval(&group_expr[at], input.schema()) {
            let interval = std::mem::take(&mut group_expr[at]).unalias();
            places[at] = group_expr.len() + aggr_expr.len();
            let first = first_value_udaf().call(vec![interval.clone()]);
            aggr_expr.push(first.alias(format!("\u{1}interval{at}")));
            group_expr[at] = span(interval);
        }
    }
    let made = LogicalPlan::Aggregate(Aggregate::try_new(input, group_expr, aggr_expr)?);
    let columns = places.into_iter().enumerate().map(|(at, from)| {
        let column = Expr::Column(Column::from(made.schema().qualified_field(from)));
        let (relation, field) = schema.qualified_field(at);
        column.alias_qualified(relation.cloned(), field.name())
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(made))?))
}
