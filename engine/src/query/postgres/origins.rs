//! Which column of which relation a column of a result is, as drivers are told that ask for its comment, its key or whether
//! it can be null.
//!
//! As in PostgreSQL a column keeps its origin through subqueries, joins, grouping and another name; what is computed has
//! none, and neither have the columns of a `UNION`. A relation that the role does not see has no oid, and so none here.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{DFSchemaRef, JoinType, TableReference};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, TableScan};

use super::catalog::definition;
use super::snapshot::{Numbered, RelationKind, Snapshot};

/// The metadata key of a column's origin: the oid of its relation, a point, and its number there.
const ORIGIN_KEY: &str = "onefold.origin";

/// The schema of names without one.
const DEFAULT_SCHEMA: &str = "public";

/// The oid of a relation and the number of a column of it, from 1.
type Origin = (u32, i16);

/// Returns the columns of a result with their origins; `plan` gives them in order.
pub fn with_origins(columns: &SchemaRef, plan: &LogicalPlan, snapshot: &Snapshot) -> SchemaRef {
    let origins = Relations(snapshot).of(plan);
    if origins.iter().all(Option::is_none) || origins.len() != columns.fields().len() {
        return Arc::clone(columns);
    }
    let fields = columns.fields().iter().zip(origins).map(|(field, origin)| {
        let Some((oid, number)) = origin else { return Arc::clone(field) };
        let mut metadata = field.metadata().clone();
        metadata.insert(ORIGIN_KEY.to_owned(), format!("{oid}.{number}"));
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Returns the oid of the relation and the number of the column that a column of a result is.
pub fn origin_of(field: &Field) -> Option<(u32, i16)> {
    let (oid, number) = field.metadata().get(ORIGIN_KEY)?.split_once('.')?;
    Some((oid.parse().ok()?, number.parse().ok()?))
}

struct Relations<'a>(&'a Snapshot);

impl Relations<'_> {
    fn of(&self, plan: &LogicalPlan) -> Vec<Option<Origin>> {
        let width = plan.schema().fields().len();
        let mut origins = match plan {
            LogicalPlan::TableScan(scan) => self.of_table(scan),
            LogicalPlan::SubqueryAlias(alias) => match self.view(&alias.alias) {
                Some(view) => of_known(view, &alias.schema),
                None => self.of(&alias.input),
            },
            LogicalPlan::Projection(projection) => self.all(&projection.expr, &projection.input),
            LogicalPlan::Filter(filter) => self.of(&filter.input),
            LogicalPlan::Sort(sort) => self.of(&sort.input),
            LogicalPlan::Limit(limit) => self.of(&limit.input),
            LogicalPlan::Repartition(repartition) => self.of(&repartition.input),
            LogicalPlan::Subquery(subquery) => self.of(&subquery.subquery),
            LogicalPlan::Distinct(Distinct::All(input)) => self.of(input),
            LogicalPlan::Distinct(Distinct::On(on)) => self.all(&on.select_expr, &on.input),
            LogicalPlan::Aggregate(aggregate) => self.all(&aggregate.group_expr, &aggregate.input),
            LogicalPlan::Window(window) => self.of(&window.input),
            LogicalPlan::Join(join) => match join.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => self.of(&join.left),
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                    self.of(&join.right)
                }
                _ => [self.of(&join.left), self.of(&join.right)].concat(),
            },
            LogicalPlan::Unnest(unnest) => {
                let input = self.of(&unnest.input);
                let is_list = |at: &usize| unnest.list_type_columns.iter().any(|(l, _)| l == at);
                let from = unnest.dependency_indices.iter();
                from.map(|at| input.get(*at).copied().flatten().filter(|_| !is_list(at))).collect()
            }
            _ => Vec::new(),
        };
        // What a node adds is computed.
        origins.resize(width, None);
        origins
    }

    fn all(&self, exprs: &[Expr], input: &LogicalPlan) -> Vec<Option<Origin>> {
        let (origins, schema) = (self.of(input), input.schema());
        exprs.iter().map(|expr| of_expr(expr, schema, &origins)).collect()
    }

    fn of_table(&self, scan: &TableScan) -> Vec<Option<Origin>> {
        // A query that refers to itself reads what it has made.
        let made = source_as_provider(&scan.source).is_ok_and(|provider| {
            let provider: &dyn std::any::Any = provider.as_ref();
            provider.is::<CteWorkTable>()
        });
        if made {
            return Vec::new();
        }
        let (schema, table) =
            (scan.table_name.schema().unwrap_or(DEFAULT_SCHEMA), scan.table_name.table());
        match (definition(schema, table), self.0.named(schema, table)) {
            (Some(known), _) => {
                let columns = known.columns.iter().map(|column| column.name);
                numbered(known.oid, columns.collect(), &scan.projected_schema)
            }
            (None, Some(known)) => of_known(known, &scan.projected_schema),
            (None, None) => Vec::new(),
        }
    }

    /// The view that a name stands for. The names of views are written out with their schemas, and no alias is.
    fn view(&self, name: &TableReference) -> Option<&Numbered> {
        let known = self.0.named(name.schema()?, name.table())?;
        (known.relation.kind == RelationKind::View).then_some(known)
    }
}

fn of_known(known: &Numbered, shown: &DFSchemaRef) -> Vec<Option<Origin>> {
    let columns = known.relation.columns.iter().map(|column| column.name().as_str());
    numbered(known.oid, columns.collect(), shown)
}

/// The columns that are shown of a relation, by their names.
fn numbered(oid: u32, columns: Vec<&str>, shown: &DFSchemaRef) -> Vec<Option<Origin>> {
    let number = |name: &str| {
        let at = columns.iter().position(|column| *column == name)?;
        i16::try_from(at + 1).ok()
    };
    shown.fields().iter().map(|field| Some((oid, number(field.name())?))).collect()
}

fn of_expr(expr: &Expr, schema: &DFSchemaRef, origins: &[Option<Origin>]) -> Option<Origin> {
    match expr {
        Expr::Alias(alias) => of_expr(&alias.expr, schema, origins),
        Expr::Column(column) => {
            let at = schema.maybe_index_of_column(column)?;
            origins.get(at).copied().flatten()
        }
        _ => None,
    }
}
