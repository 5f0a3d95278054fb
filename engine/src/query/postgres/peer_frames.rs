//! Frames over values that DataFusion has no ranges of: `rank() OVER (ORDER BY now() - created_at)`.
//!
//! Where a window has an order and no frame, its frame is a range from the first row to the peers of the current one. DataFusion
//! takes no range over intervals, times of day, documents, bytea and rows, whatever the range is. One whose bounds are no values
//! is the same as one of groups of peers, which it takes over anything.

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Window, WindowFrameBound, WindowFrameUnits,
};
use datafusion::optimizer::AnalyzerRule;

use super::functions::failure;
use super::types::pg_type_of;
use crate::Error;

/// The rule. It must come before DataFusion's own, which refuse such ranges.
#[derive(Debug)]
pub(super) struct PeerFrames;

impl AnalyzerRule for PeerFrames {
    fn name(&self) -> &str {
        "peer_frames"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Window(window) if is_concerned(&window) => {
                check_offsets(&window)?;
                let names = NamePreserver::new_for_projection();
                let (calls, input) = (window.window_expr, window.input);
                let calls = calls.into_iter().map(|mut call| {
                    let name = names.save(&call);
                    take_peers(&mut call, input.schema());
                    name.restore(call)
                });
                let calls = calls.collect();
                let window = Window::try_new(calls, input)?;
                Ok(Transformed::yes(LogicalPlan::Window(window)))
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

fn is_concerned(window: &Window) -> bool {
    let schema = window.input.schema();
    let lacks =
        |call: &WindowFunction| lacks_range(call, schema) || offset_over(call, schema).is_some();
    window.window_expr.iter().filter_map(call_of).any(lacks)
}

/// Refuses ranges that begin or end so far from the current row, where no such distance is known.
fn check_offsets(window: &Window) -> Result<()> {
    let mut calls = window.window_expr.iter().filter_map(call_of);
    let over = calls.find_map(|call| offset_over(call, window.input.schema()));
    let Some(ordered) = over else { return Ok(()) };
    let name = match ordered.data_type() {
        DataType::List(_) => "anyarray",
        _ => pg_type_of(&ordered).0.display.as_str(),
    };
    Err(failure(Error::Standard {
        sqlstate: "0A000",
        message: format!(
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {name}"
        ),
        hint: "Order the rows by a number, a day or a point in time.".to_owned(),
    }))
}

/// What a call is ordered by whose frame is a range with values as bounds that there is none of.
fn offset_over(call: &WindowFunction, schema: &DFSchema) -> Option<FieldRef> {
    if call.params.window_frame.units != WindowFrameUnits::Range || !has_values(call) {
        return None;
    }
    let (_, ordered) = call.params.order_by.first()?.expr.to_field(schema).ok()?;
    let has_distances = match ordered.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => true,
        other => other.is_numeric() || other.is_null(),
    };
    (!has_distances).then_some(ordered)
}

/// Tells whether a bound of a call's frame is a value.
fn has_values(call: &WindowFunction) -> bool {
    let frame = &call.params.window_frame;
    let is_value = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(by) | WindowFrameBound::Following(by) => !by.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    [&frame.start_bound, &frame.end_bound].into_iter().any(is_value)
}

fn call_of(expr: &Expr) -> Option<&WindowFunction> {
    match expr {
        Expr::Alias(alias) => call_of(&alias.expr),
        Expr::WindowFunction(call) => Some(call),
        _ => None,
    }
}

/// Makes groups of the range of a call where there is none.
fn take_peers(call: &mut Expr, schema: &DFSchema) {
    match call {
        Expr::Alias(alias) => take_peers(&mut alias.expr, schema),
        Expr::WindowFunction(call) if lacks_range(call, schema) => {
            call.params.window_frame.units = WindowFrameUnits::Groups;
        }
        _ => {}
    }
}

/// Tells whether the frame of a call is a range that DataFusion does not take, and has no values as bounds.
fn lacks_range(call: &WindowFunction, schema: &DFSchema) -> bool {
    call.params.window_frame.units == WindowFrameUnits::Range
        && !has_values(call)
        && call
            .params
            .order_by
            .first()
            .is_some_and(|by| by.expr.get_type(schema).is_ok_and(|found| !has_ranges(&found)))
}

/// Tells whether DataFusion takes ranges over values of a type.
fn has_ranges(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => has_ranges(values),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Boolean
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..) => true,
        other => other.is_numeric() || other.is_string() || other.is_null(),
    }
}
