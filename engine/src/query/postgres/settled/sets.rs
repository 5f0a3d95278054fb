//! The sides of `INTERSECT` and `EXCEPT`, whose columns have the types of a `UNION` of them.

use std::sync::Arc;

use datafusion::common::{DFSchema, JoinType, NullEquality, Result, internal_err};
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan, Projection, Union};

use super::{Types, differs};

/// Tells whether a join stands for one of them: of no other join nulls are equal.
pub(super) fn is_set(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
}

impl Types {
    /// Brings the columns of both sides to the types that they have in common.
    pub(super) fn set(&mut self, join: Join) -> Result<LogicalPlan> {
        let (left, is_distinct) = match join.left.as_ref() {
            LogicalPlan::Distinct(Distinct::All(input)) => (Arc::clone(input), true),
            _ => (Arc::clone(&join.left), false),
        };
        let right = Arc::clone(&join.right);
        let mut columns = left.schema().fields().iter().zip(right.schema().fields());
        if !columns.any(|(one, other)| differs(one.data_type(), other.data_type())) {
            return Ok(LogicalPlan::Join(self.join(join)));
        }
        let schemas = [Arc::clone(left.schema()), Arc::clone(right.schema())];
        let union = self.union(Union::try_new_with_loose_types(vec![left, right])?)?;
        let LogicalPlan::Union(Union { inputs, .. }) = union else {
            return internal_err!("a union stays one");
        };
        let sides = inputs.into_iter().zip(&schemas).map(|(side, schema)| renamed(side, schema));
        let sides = sides.collect::<Result<Vec<_>>>()?;
        let Ok([left, right]) = <[Arc<LogicalPlan>; 2]>::try_from(sides) else {
            return internal_err!("a set is made of two sides");
        };
        let left = match is_distinct {
            true => Arc::new(LogicalPlan::Distinct(Distinct::All(left))),
            false => left,
        };
        let join = Join::try_new(
            left,
            right,
            join.on,
            join.filter,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        Ok(LogicalPlan::Join(self.join(join)))
    }
}

/// A side with the names that its columns had.
fn renamed(side: Arc<LogicalPlan>, names: &DFSchema) -> Result<Arc<LogicalPlan>> {
    if side.schema().columns() == names.columns() {
        return Ok(side);
    }
    let columns = side.schema().columns().into_iter().zip(names.iter());
    let columns = columns.map(|(column, (relation, field))| {
        Expr::Column(column).alias_qualified(relation.cloned(), field.name())
    });
    let projection = Projection::try_new(columns.collect(), side)?;
    Ok(Arc::new(LogicalPlan::Projection(projection)))
}
