//! Plans the joins that [`rewrite()`](super::rewrite()) has marked: those whose columns of one name become one.
//!
//! The merged column is the left one, or the right one of a right join, or whichever is not null of a full join. The
//! other is not there any more, so that the name alone says which column is meant, in further joins as well.

use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, DFSchema, SchemaError};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, ObjectNamePart, TableAlias, TableFactor,
};

use super::functions::failure;
use crate::Error;
use crate::query::stop::check_current;

/// How a marked join is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Merged columns stand where the left ones stood.
    Merged,
    /// Merged columns come first, as `SELECT *` shows them.
    MergedFirst,
    /// As `Merged`, and the columns that are merged stay by their [`hidden`] names.
    Kept,
    /// There is no plan that would answer it rightly.
    Refused,
}

impl Mark {
    /// The alias of a nest that is marked so: no text of a statement has such a name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Mark::Merged => "\u{1}merged",
            Mark::MergedFirst => "\u{1}merged first",
            Mark::Kept => "\u{1}merged and kept",
            Mark::Refused => "\u{1}refused",
        }
    }

    /// Reads the mark of a nest.
    pub(super) fn of(alias: &TableAlias) -> Option<Self> {
        let all = [Mark::Merged, Mark::MergedFirst, Mark::Kept, Mark::Refused];
        all.into_iter().find(|mark| mark.name() == alias.name.value)
    }
}

/// What a column of a relation is called once it is merged into another: no text of a statement has such a name.
pub(super) fn hidden(name: &str) -> String {
    format!("\u{1}own {name}")
}

/// The planner of marked joins.
#[derive(Debug)]
pub(super) struct MergedJoins;

impl RelationPlanner for MergedJoins {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        // A statement of hundreds of relations passes here for each of them.
        check_current()?;
        let mark = match &relation {
            TableFactor::NestedJoin { alias: Some(alias), .. } => Mark::of(alias),
            _ => None,
        };
        let (Some(mark), TableFactor::NestedJoin { mut table_with_joins, .. }) =
            (mark, relation.clone())
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(join) = table_with_joins.joins.pop().filter(|_| mark != Mark::Refused) else {
            return Err(refused());
        };
        let left = context.plan(table_with_joins.relation)?;
        let plan = planned(left, join, mark, context)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

fn refused() -> DataFusionError {
    failure(Error::Unsupported {
        what: "a join by USING or NATURAL whose columns are also named with their relation".into(),
        hint: "Write the condition as ON left.column = right.column, and name the columns to show."
            .into(),
    })
}

/// A column that both sides have.
struct Shared {
    left: Column,
    right: Column,
}

fn planned(
    left: LogicalPlan,
    join: Join,
    mark: Mark,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let right = context.plan(join.relation)?;
    let (kind, constraint) = match join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            (JoinType::Inner, constraint)
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (JoinType::Left, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (JoinType::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (JoinType::Full, constraint),
        _ => return Err(refused()),
    };
    let names: Vec<String> = match constraint {
        JoinConstraint::Using(columns) => columns
            .iter()
            .filter_map(|name| name.0.last().and_then(ObjectNamePart::as_ident))
            .map(|ident| context.normalize_ident(ident.clone()))
            .collect(),
        _ => {
            let fields = left.schema().fields().iter().map(|field| field.name());
            let shared = fields.filter(|name| !columns(right.schema(), name).is_empty());
            shared.cloned().collect()
        }
    };
    let shared: Vec<Shared> = names
        .iter()
        .map(|name| {
            Ok(Shared { left: one(left.schema(), name)?, right: one(right.schema(), name)? })
        })
        .collect::<Result<_>>()?;
    let equal = shared
        .iter()
        .map(|shared| Expr::Column(shared.left.clone()).eq(Expr::Column(shared.right.clone())));
    let shown = shown(&shared, kind, mark, left.schema(), right.schema());
    LogicalPlanBuilder::from(left)
        .join_on(right, kind, equal.collect::<Vec<_>>())?
        .project(shown)?
        .build()
}

/// The columns of the join: each shared one once.
fn shown(
    shared: &[Shared],
    kind: JoinType,
    mark: Mark,
    left: &DFSchema,
    right: &DFSchema,
) -> Vec<Expr> {
    let merged = |shared: &Shared| match kind {
        JoinType::Right => Expr::Column(shared.right.clone()),
        JoinType::Full => {
            let both = [&shared.left, &shared.right].map(|column| Expr::Column(column.clone()));
            let metadata = left
                .qualified_field_from_column(&shared.left)
                .ok()
                .map(|(_, field)| FieldMetadata::from(field.as_ref()));
            coalesce(both.to_vec()).alias_qualified_with_metadata(
                shared.left.relation.clone(),
                &shared.left.name,
                metadata,
            )
        }
        _ => Expr::Column(shared.left.clone()),
    };
    let mut shown = Vec::new();
    if mark == Mark::MergedFirst {
        shown.extend(shared.iter().map(merged));
    }
    for column in left.columns() {
        match shared.iter().find(|shared| shared.left == column) {
            Some(_) if mark == Mark::MergedFirst => {}
            Some(found) => shown.push(merged(found)),
            None => shown.push(Expr::Column(column)),
        }
    }
    let rest = right.columns().into_iter();
    shown.extend(
        rest.filter(|column| !shared.iter().any(|shared| shared.right == *column))
            .map(Expr::Column),
    );
    if mark == Mark::Kept {
        shown.extend(shared.iter().flat_map(|shared| kept(shared, kind, left)));
    }
    shown
}

/// The columns that are not the merged one itself, by their hidden names.
fn kept(shared: &Shared, kind: JoinType, left: &DFSchema) -> Vec<Expr> {
    let of_left = matches!(kind, JoinType::Right | JoinType::Full).then_some(&shared.left);
    let of_right = (kind != JoinType::Right).then_some(&shared.right);
    let named = of_left.into_iter().chain(of_right).filter_map(|column| {
        let (relation, name) = (column.relation.clone()?, hidden(&column.name));
        // A join before this one may have merged the column into the one of this name.
        let is_there = left.has_column_with_qualified_name(&relation, &name);
        let column = Expr::Column(column.clone());
        (!is_there).then(|| column.alias_qualified(Some(relation), name))
    });
    named.collect()
}

fn columns(schema: &DFSchema, name: &str) -> Vec<Column> {
    schema.columns().into_iter().filter(|column| column.name == name).collect()
}

/// Returns the one column of this name.
fn one(schema: &DFSchema, name: &str) -> Result<Column> {
    let mut found = columns(schema, name);
    let field = || Box::new(Column::from_name(name));
    let error = match (found.pop(), found.pop()) {
        (Some(column), None) => return Ok(column),
        (Some(_), Some(_)) => SchemaError::AmbiguousReference { field: field() },
        (None, _) => SchemaError::FieldNotFound { field: field(), valid_fields: schema.columns() },
    };
    Err(DataFusionError::SchemaError(Box::new(error), Box::new(None)))
}
