//! Arrays that are compared and sorted as in PostgreSQL, where a null element is greater than any value.
//!
//! To DataFusion it is the least one where arrays are compared, and stands where the nulls of the column stand where they are
//! sorted; and arrays of several dimensions are lists of lists to it. Once the types of a statement are settled, bytes in
//! whose [order](array_order) arrays stand are compared in their place. Whether two are equal DataFusion tells as PostgreSQL does.

use std::mem::take;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, Between, Sort as SortExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use super::functions::{array_order, has_dimensions};

/// Compares the arrays of an expression by their order.
pub(super) fn compared(expr: Expr, schema: &DFSchema) -> Expr {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if orders(op) && is_array(&left, schema) && is_array(&right, schema) =>
        {
            let of = |side: Box<Expr>| Box::new(array_order(*side));
            Expr::BinaryExpr(BinaryExpr::new(of(left), op, of(right)))
        }
        Expr::Between(Between { expr, negated, low, high })
            if [&expr, &low, &high].iter().all(|side| is_array(side, schema)) =>
        {
            let of = |side: Box<Expr>| Box::new(array_order(*side));
            Expr::Between(Between::new(of(expr), negated, of(low), of(high)))
        }
        Expr::AggregateFunction(mut call) => {
            order(&mut call.params.order_by, schema);
            Expr::AggregateFunction(end_of(call, schema))
        }
        Expr::WindowFunction(mut call) => {
            order(&mut call.params.order_by, schema);
            Expr::WindowFunction(call)
        }
        other => other,
    }
}

/// Sorts the rows of a node by the order of arrays.
pub(super) fn arranged(node: LogicalPlan) -> LogicalPlan {
    match node {
        LogicalPlan::Sort(mut sort) => {
            order(&mut sort.expr, sort.input.schema());
            LogicalPlan::Sort(sort)
        }
        other => other,
    }
}

fn orders(op: Operator) -> bool {
    matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

fn is_array(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Literal(value, _) => matches!(value.data_type(), DataType::List(_)),
        other => other.get_type(schema).is_ok_and(|found| matches!(found, DataType::List(_))),
    }
}

fn order(by: &mut [SortExpr], schema: &DFSchema) {
    for by in by {
        let Ok(found @ DataType::List(_)) = by.expr.get_type(schema) else { continue };
        // Where nulls stand as in an index, those within arrays of one dimension stand right.
        if by.asc == by.nulls_first || has_dimensions(&found) {
            by.expr = array_order(take(&mut by.expr).unalias());
        }
    }
}

/// The least or the greatest of arrays of several dimensions, which DataFusion's functions do not compare.
fn end_of(mut call: AggregateFunction, schema: &DFSchema) -> AggregateFunction {
    let asc = match call.func.name() {
        "min" => true,
        "max" => false,
        _ => return call,
    };
    let [array] = call.params.args.as_slice() else { return call };
    if array.get_type(schema).is_ok_and(|found| has_dimensions(&found)) {
        let by = SortExpr::new(array_order(array.clone()), asc, false);
        call.params.order_by = vec![by];
        call.params.distinct = false;
        call.func = first_value_udaf();
    }
    call
}
