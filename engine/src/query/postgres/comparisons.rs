//! Which operators compare two values.

use datafusion::logical_expr::Operator;

/// Tells whether an operator says how two values lie to each other in the order of their type.
pub(super) fn compares(op: Operator) -> bool {
    use Operator::*;
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
