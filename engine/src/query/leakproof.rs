//! Filters that may reach below the governed leaf: comparisons of a column with literals, which cannot fail and so cannot
//! tell anything about a row that is not returned.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use super::postgres::is_in_zone;

/// Tells whether evaluating `filter` on a hidden row could not show: no cast, no arithmetic, no function.
pub(super) fn leakproof(filter: &Expr) -> bool {
    compares(filter, &|expr| matches!(expr, Expr::Literal(value, _) if !value.is_null()))
}

/// Tells whether `filter` may be [`leakproof`] once its parameters have values.
pub(super) fn leakproof_with_values(filter: &Expr) -> bool {
    fn constant(expr: &Expr) -> bool {
        match expr {
            Expr::Literal(value, _) => !value.is_null(),
            Expr::Placeholder(_) => true,
            // A day or a wall clock is a point in time of the session's zone.
            Expr::Cast(cast) => !matches!(*cast.expr, Expr::Literal(..)) && constant(&cast.expr),
            Expr::ScalarFunction(call) if is_in_zone(call) => call.args.iter().all(constant),
            _ => false,
        }
    }
    compares(filter, &constant)
}

/// Tells whether `filter` does nothing but compare columns with what `literal` takes for one.
fn compares(filter: &Expr, literal: &impl Fn(&Expr) -> bool) -> bool {
    let column = |expr: &Expr| matches!(expr, Expr::Column(_));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            compares(left, literal) && compares(right, literal)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            matches!(
                op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            ) && (column(left) && literal(right) || literal(left) && column(right))
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column(inner),
        Expr::InList(list) => column(&list.expr) && list.list.iter().all(literal),
        Expr::Between(Between { expr, low, high, .. }) => {
            column(expr) && literal(low) && literal(high)
        }
        _ => false,
    }
}

/// Drops the relation's name from the columns of `filter`, which is evaluated on the bare table.
pub(super) fn unqualified(filter: Expr) -> Expr {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let bare = filter.transform(|expr| match expr {
        Expr::Column(column) if column.relation.is_some() => Ok(Transformed::yes(Expr::Column(
            datafusion::common::Column::new_unqualified(column.name),
        ))),
        other => Ok(Transformed::no(other)),
    });
    bare.expect("the closure returns no error").data
}

/// Evaluates a leakproof filter over `profile_id` alone; `None` is unknown.
pub(super) fn evaluate_on_profile(filter: &Expr, id: Option<i64>) -> Option<bool> {
    let value = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (evaluate_on_profile(left, id), evaluate_on_profile(right, id)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            match (evaluate_on_profile(left, id), evaluate_on_profile(right, id)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (a, b) = if matches!(**left, Expr::Column(_)) {
                (id?, value(right)?)
            } else {
                (value(left)?, id?)
            };
            match op {
                Operator::Eq => Some(a == b),
                Operator::NotEq => Some(a != b),
                Operator::Lt => Some(a < b),
                Operator::LtEq => Some(a <= b),
                Operator::Gt => Some(a > b),
                Operator::GtEq => Some(a >= b),
                _ => None,
            }
        }
        Expr::IsNull(_) => Some(id.is_none()),
        Expr::IsNotNull(_) => Some(id.is_some()),
        Expr::InList(list) => {
            let id = id?;
            let found = list.list.iter().any(|item| value(item) == Some(id));
            Some(found != list.negated)
        }
        Expr::Between(between) => {
            let id = id?;
            Some((value(&between.low)? <= id && id <= value(&between.high)?) != between.negated)
        }
        _ => None,
    }
}

/// Returns the ids of the profiles that a filter over `profile_id` names, if it takes no others.
pub(super) fn profiles_named(filter: &Expr) -> Option<Vec<i64>> {
    let value = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            Some(vec![value(right).or_else(|| value(left))?])
        }
        // A short list is written so by the optimizer.
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut ids = profiles_named(left)?;
            ids.extend(profiles_named(right)?);
            Some(ids)
        }
        Expr::InList(list) if !list.negated => list.list.iter().map(value).collect(),
        _ => None,
    }
}

/// Tells whether a filter over `profile_id` is one that [`evaluate_on_profile`] decides.
pub(super) fn decidable_on_profile(filter: &Expr) -> bool {
    evaluate_on_profile(filter, Some(0)).is_some()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use datafusion::logical_expr::expr::Placeholder;
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn only_comparisons_with_literals_are_leakproof() {
        for filter in [
            col("a").eq(lit(1)),
            lit(2).lt(col("b")),
            col("a").is_null(),
            col("a").in_list(vec![lit(1)], false),
        ] {
            assert!(leakproof(&filter), "{filter}");
        }
        let divided = lit(1) / col("a");
        let cast = datafusion::logical_expr::cast(col("a"), DataType::Int64);
        for filter in
            [divided.gt(lit(0)), cast.eq(lit(1)), col("a").like(lit("x%")), col("a").eq(col("b"))]
        {
            assert!(!leakproof(&filter), "{filter}");
        }
    }

    #[test]
    fn a_parameter_is_a_literal_to_be() {
        let parameter = || Expr::Placeholder(Placeholder::new_with_field("$1".into(), None));
        let cast = datafusion::logical_expr::cast(parameter(), DataType::Utf8View);
        let cast_again = datafusion::logical_expr::cast(cast.clone(), DataType::Utf8);
        for filter in [parameter(), cast, cast_again].map(|value| col("a").eq(value)) {
            assert!(leakproof_with_values(&filter) && !leakproof(&filter), "{filter}");
        }
        let of_column = datafusion::logical_expr::cast(col("b"), DataType::Utf8View);
        assert!(!leakproof_with_values(&col("a").eq(of_column)));
    }

    #[test]
    fn a_filter_names_profiles_if_it_takes_no_others() {
        assert_eq!(profiles_named(&col("profile_id").eq(lit(5i64))), Some(vec![5]));
        assert_eq!(profiles_named(&lit(5i64).eq(col("profile_id"))), Some(vec![5]));
        let list = vec![lit(1i64), lit(2i64)];
        assert_eq!(
            profiles_named(&col("profile_id").in_list(list.clone(), false)),
            Some(vec![1, 2])
        );
        assert_eq!(profiles_named(&col("profile_id").in_list(list, true)), None);
        assert_eq!(profiles_named(&col("profile_id").gt(lit(5i64))), None);
        let either = col("profile_id").eq(lit(1i64)).or(col("profile_id").eq(lit(2i64)));
        assert_eq!(profiles_named(&either), Some(vec![1, 2]));
        let other = col("profile_id").eq(lit(1i64)).or(col("profile_id").gt(lit(2i64)));
        assert_eq!(profiles_named(&other), None);
    }

    #[test]
    fn filters_on_profile_id_follow_sql() {
        let check = |filter: Expr, id, want| {
            assert_eq!(evaluate_on_profile(&filter, id), want, "{filter} of {id:?}")
        };
        check(col("profile_id").eq(lit(5i64)), Some(5), Some(true));
        check(lit(5i64).gt(col("profile_id")), Some(7), Some(false));
        check(col("profile_id").eq(lit(5i64)), None, None);
        check(col("profile_id").in_list(vec![lit(1i64), lit(2i64)], true), Some(2), Some(false));
        check(col("profile_id").is_null(), None, Some(true));
    }
}
