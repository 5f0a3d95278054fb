//! Rows that a row before them gives, as in `FROM events e, jsonb_array_elements(e.properties -> 'items') item`.
//!
//! DataFusion joins what is `LATERAL` where conditions alone tell of the row before. A list of that row becomes rows without
//! a join: the columns of the row go along through the steps that make rows of the list. A `LEFT JOIN ... ON true` keeps a row
//! whose list has nothing: it becomes one row, marked as none, for which whatever is made of the list is null.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{
    Column, DFSchemaRef, JoinType, NullHandling, Result, ScalarValue, TableReference,
};
use datafusion::functions_nested::expr_fn::array_empty;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection, Unnest, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::applied::around;

/// The column that tells whether a row has anything in its list: no text of a statement has such a name.
const PRESENT: &str = "\u{1}present";

/// The rule. It must come before those that look at subqueries.
#[derive(Debug)]
pub(super) struct LateralRows;

impl AnalyzerRule for LateralRows {
    fn name(&self) -> &str {
        "lateral_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join)
                if matches!(join.join_type, JoinType::Inner | JoinType::Left) =>
            {
                Ok(match joined(&join)? {
                    Some(plan) => Transformed::yes(plan),
                    None => Transformed::no(LogicalPlan::Join(join)),
                })
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// A join with rows that its left side gives; `None` for all others.
fn joined(join: &Join) -> Result<Option<LogicalPlan>> {
    let keeps = join.join_type == JoinType::Left;
    if keeps && !is_always(join) || !is_of_lists(&join.left) && around::depends_further(join) {
        return Ok(None);
    }
    let (subquery, alias) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => (subquery, Some(&alias.alias)),
            _ => return Ok(None),
        },
        LogicalPlan::Subquery(subquery) => (subquery, None),
        _ => return Ok(None),
    };
    let mut rows = Rows { row: &join.left, keeps, is_marked: false };
    let found = match alias {
        Some(alias) => rows.called(&subquery.subquery, alias)?,
        None => rows.along(&subquery.subquery)?,
    };
    let Some(plan) = found else { return Ok(None) };
    if keeps {
        return rows.without_mark(plan).map(Some);
    }
    let equal = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    match conjunction(equal.chain(join.filter.clone())) {
        Some(condition) => Ok(Some(LogicalPlanBuilder::from(plan).filter(condition)?.build()?)),
        None => Ok(Some(plan)),
    }
}

/// Tells whether rows are made of lists alone, which become those of whatever row is around them.
fn is_of_lists(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Unnest(_) => plan.inputs().into_iter().all(is_of_lists),
        _ => false,
    }
}

/// A plan, its columns for those of a subquery, and the column that tells whether there was something.
type Listed = (LogicalPlan, Vec<(Column, Column)>, Option<Column>);

/// A subquery of lists of a row beside that row: the plan, its columns for those of the subquery, and where a row stays whose
/// list has nothing (`keeps`) the one that tells whether there is something. `None` where the subquery reads anything.
pub(super) fn listed(
    row: &Arc<LogicalPlan>,
    subquery: &LogicalPlan,
    keeps: bool,
) -> Result<Option<Listed>> {
    let mut rows = Rows { row, keeps, is_marked: false };
    let Some(plan) = rows.along(subquery)? else { return Ok(None) };
    let (_, own) = rows.apart(&plan);
    let columns = subquery.schema().columns().into_iter().zip(own).collect();
    let present = rows.is_marked.then(|| Column::new_unqualified(PRESENT));
    Ok(Some((plan, columns, present)))
}

/// Tells whether a join has no condition but `true`.
pub(super) fn is_always(join: &Join) -> bool {
    join.on.is_empty()
        && match &join.filter {
            Some(Expr::Literal(value, _)) => *value == ScalarValue::Boolean(Some(true)),
            Some(_) => false,
            None => true,
        }
}

/// What makes rows of each row of a plan.
struct Rows<'a> {
    row: &'a Arc<LogicalPlan>,
    /// Whether a row stays that gives none.
    keeps: bool,
    /// Whether a column behind those of the row tells that it gives some.
    is_marked: bool,
}

impl Rows<'_> {
    /// The same as [`along`](Self::along) with the name of the relation that the subquery is. Its columns get it at once: without
    /// it a column of the row before could have the same name.
    fn called(
        &mut self,
        plan: &LogicalPlan,
        alias: &TableReference,
    ) -> Result<Option<LogicalPlan>> {
        match plan {
            LogicalPlan::Subquery(subquery) => self.called(&subquery.subquery, alias),
            LogicalPlan::Projection(projection) => match self.along(&projection.input)? {
                Some(input) => self.projected(projection, input, Some(alias)),
                None => Ok(None),
            },
            other => match self.along(other)? {
                Some(plan) => self.renamed(plan, alias).map(Some),
                None => Ok(None),
            },
        }
    }

    /// A subquery of one row with the columns of the row before in front of its own; `None` where it reads anything.
    fn along(&mut self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        let input = match plan {
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => {
                return Ok(Some(self.row.as_ref().clone()));
            }
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::SubqueryAlias(alias) => return self.called(&alias.input, &alias.alias),
            LogicalPlan::Subquery(subquery) => return self.along(&subquery.subquery),
            // It would have to keep the rows of which nothing is left.
            LogicalPlan::Filter(filter) if !self.keeps => &filter.input,
            LogicalPlan::Unnest(unnest) => &unnest.input,
            _ => return Ok(None),
        };
        let Some(input) = self.along(input)? else { return Ok(None) };
        match plan {
            LogicalPlan::Projection(projection) => self.projected(projection, input, None),
            LogicalPlan::Filter(filter) => {
                let condition = of_row(filter.predicate.clone(), self.row.schema())?;
                Ok(Some(LogicalPlanBuilder::from(input).filter(condition)?.build()?))
            }
            LogicalPlan::Unnest(unnest) => self.unnested(unnest, input),
            _ => Ok(None),
        }
    }

    /// The lists of a plan as rows.
    fn unnested(&mut self, unnest: &Unnest, mut input: LogicalPlan) -> Result<Option<LogicalPlan>> {
        let (lists, mut options) = (unnest.exec_columns.clone(), unnest.options.clone());
        if self.keeps {
            // Of lists within lists one that has nothing gives no row beside others that do.
            if self.is_marked || !unnest.struct_type_columns.is_empty() {
                return Ok(None);
            }
            options = options.with_null_handling(NullHandling::PreserveAndExpandEmpty);
            input = self.marked(&lists, input)?;
        }
        let rows = LogicalPlanBuilder::from(input).unnest_columns_with_options(lists, options)?;
        Ok(Some(rows.build()?))
    }

    /// Marks the rows in whose lists there is something.
    fn marked(&mut self, lists: &[Column], input: LogicalPlan) -> Result<LogicalPlan> {
        let (mut columns, own) = self.apart(&input);
        let some = lists.iter().map(|list| !array_empty(Expr::Column(list.clone())));
        columns.extend(some.reduce(Expr::or).map(|some| some.alias(PRESENT)));
        columns.extend(own.into_iter().map(Expr::Column));
        self.is_marked = true;
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(input))?))
    }

    fn without_mark(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if !self.is_marked {
            return Ok(plan);
        }
        let columns = plan.schema().columns().into_iter();
        let columns = columns.filter(|column| column.name != PRESENT).map(Expr::Column).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
    }

    /// The columns of the row before, with the mark behind them, and those of the subquery.
    fn apart(&self, plan: &LogicalPlan) -> (Vec<Expr>, Vec<Column>) {
        let mut columns = plan.schema().columns();
        let before = self.row.schema().fields().len() + usize::from(self.is_marked);
        let own = columns.split_off(before.min(columns.len()));
        (columns.into_iter().map(Expr::Column).collect(), own)
    }

    /// A projection behind the columns of the row before; `None` where a name would mean two columns.
    fn projected(
        &self,
        projection: &Projection,
        input: LogicalPlan,
        alias: Option<&TableReference>,
    ) -> Result<Option<LogicalPlan>> {
        let (mut columns, _) = self.apart(&input);
        for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
            let expr = self.present(of_row(expr.clone(), self.row.schema())?)?;
            columns.push(match alias {
                Some(alias) => expr.alias_qualified(Some(alias.clone()), field.name()),
                None => expr,
            });
        }
        Ok(Projection::try_new(columns, Arc::new(input)).ok().map(LogicalPlan::Projection))
    }

    /// An expression that is null for a row of which there is nothing but the row before.
    fn present(&self, expr: Expr) -> Result<Expr> {
        if !self.is_marked || self.is_of_list(&expr) {
            return Ok(expr);
        }
        let name = NamePreserver::new_for_projection().save(&expr);
        let present = Expr::Column(Column::new_unqualified(PRESENT));
        Ok(name.restore(when(present, expr.unalias()).end()?))
    }

    /// Tells whether an expression is null anyway where a list has nothing.
    fn is_of_list(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Alias(alias) => self.is_of_list(&alias.expr),
            Expr::Cast(cast) => self.is_of_list(&cast.expr),
            Expr::Column(column) => !self.row.schema().has_column(column),
            _ => false,
        }
    }

    /// Gives the columns behind those of the row before the name of a relation.
    fn renamed(&self, plan: LogicalPlan, alias: &TableReference) -> Result<LogicalPlan> {
        let (mut columns, own) = self.apart(&plan);
        columns.extend(own.into_iter().map(|column| {
            let name = column.name.clone();
            Expr::Column(column).alias_qualified(Some(alias.clone()), name)
        }));
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
    }
}

/// The columns of the row before are there now.
fn of_row(expr: Expr, row: &DFSchemaRef) -> Result<Expr> {
    let name = NamePreserver::new_for_projection().save(&expr);
    let expr = expr.transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) if row.has_column(&column) => {
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    });
    Ok(name.restore(expr.data()?))
}
