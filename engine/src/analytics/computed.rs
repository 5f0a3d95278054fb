//! Expressions over rows of a table that a statement has in hand. They are planned once, like a query of a relation that has
//! these rows, and computed for batch after batch.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, Ident, SelectItem, SetExpr, Statement, Value, visit_expressions,
};
use futures::{FutureExt, TryStreamExt};
use parking_lot::Mutex;

use super::acting::acting;
use super::statement::unsupported;
use crate::catalog::{TEMPORARY, placed};
use crate::engine::Live;
use crate::error::{Error, Result};
use crate::lake;
use crate::query::planner::parse_one;
use crate::query::relations::Relation;
use crate::query::session::QuerySession;
use crate::query::system::Rows;

/// The relation that expressions read. Nobody can make one of this name.
const ROWS: &str = "computed.rows";
/// The column with the places of rows. Columns of tables have no such name.
const PLACE: &str = "_place";

/// Expressions over rows of a table.
pub(super) struct Computed {
    live: Arc<Live>,
    plan: LogicalPlan,
    /// The columns that are read, with the places of rows behind them.
    columns: SchemaRef,
    /// The columns that are computed.
    pub(super) given: SchemaRef,
    /// The rows that are computed of next.
    rows: Arc<Mutex<Option<RecordBatch>>>,
}

/// Fails unless expressions can be computed of a row with the columns `shown` of the table that is kept under `name`. `clause` is
/// what they are, as messages say it.
///
/// # Errors
/// [`Error::Standard`] and [`Error::Unsupported`] for what depends on more than the row.
pub(super) async fn check(
    session: &QuerySession,
    live: &Arc<Live>,
    (name, shown): (&str, &[Field]),
    expressions: &[Expr],
    clause: &str,
) -> Result<()> {
    expressions.iter().try_for_each(|expression| refuse(expression, clause))?;
    let relation = relation(nullable(shown), Arc::default());
    let context = session.shaped_context(live, |all| all.with(vec![relation]))?;
    let query = query(name, expressions, false)?;
    let planned = session.plan_with(live, &context, &query, &[]).boxed().await?;
    refuse_over_rows(planned.plan(), clause)?;
    let reads = planned.reads()?;
    if reads.personal || !reads.relations.is_empty() || reads.counts.is_some() {
        let hint = "Compute it of the columns of the row alone.";
        return Err(unsupported(format!("what is looked up in a {clause}"), hint));
    }
    Ok(())
}

impl Computed {
    /// Plans expressions, which [`check`] was asked about once, over the columns `shown` of the table that is kept under `name`.
    pub(super) async fn of(
        session: &QuerySession,
        live: &Arc<Live>,
        (name, shown): (&str, &[Field]),
        expressions: &[Expr],
    ) -> Result<Self> {
        let mut fields = nullable(shown);
        fields.push(Field::new(PLACE, DataType::Int64, true));
        let columns = Arc::new(Schema::new(fields.clone()));
        let rows: Arc<Mutex<Option<RecordBatch>>> = Arc::default();
        let relation = relation(fields, Arc::clone(&rows));
        let context = session.shaped_context(live, |all| all.with(vec![relation]))?;
        let query = query(name, expressions, true)?;
        let planned = session.plan_with(live, &context, &query, &[]).boxed().await?;
        let given = planned.schema.fields().iter().take(expressions.len()).cloned();
        let given = Arc::new(Schema::new(given.collect::<Vec<_>>()));
        let (live, plan) = (Arc::clone(live), planned.plan().clone());
        Ok(Self { live, plan, columns, given, rows })
    }

    /// Returns how they are computed.
    pub(super) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// Computes the expressions of rows with the columns that they were planned over. Returns a column for each.
    pub(super) async fn take(
        &mut self,
        session: &QuerySession,
        rows: &RecordBatch,
    ) -> Result<Vec<ArrayRef>> {
        let count = i64::try_from(rows.num_rows()).unwrap_or(i64::MAX);
        let places: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        let columns = rows.columns().iter().cloned().chain([places]).collect();
        let rows = RecordBatch::try_new(Arc::clone(&self.columns), columns);
        *self.rows.lock() = Some(rows.map_err(DataFusionError::from)?);
        let stream = session.run(&self.live, self.plan.clone(), None).boxed().await?;
        let schema = stream.schema();
        let computed: Vec<RecordBatch> = stream.try_collect().await?;
        *self.rows.lock() = None;
        let computed = concat_batches(&schema, &computed).map_err(DataFusionError::from)?;
        let (last, _) = computed.columns().split_last().ok_or_else(lost)?;
        let places = last.as_primitive::<Int64Type>();
        if i64::try_from(places.len()) != Ok(count) {
            return Err(lost());
        }
        let computed = match places.values().is_sorted() {
            true => computed,
            false => {
                let order = sort_to_indices(last, None, None).map_err(DataFusionError::from)?;
                take_record_batch(&computed, &order).map_err(DataFusionError::from)?
            }
        };
        let mut columns = computed.columns().to_vec();
        columns.pop();
        Ok(columns)
    }
}

/// Returns stored rows as queries see them, with these columns.
pub(super) fn shown(stored: &RecordBatch, columns: &[Field]) -> Result<RecordBatch> {
    let schema = stored.schema();
    let places = columns.iter().map(|column| schema.index_of(column.name()));
    let places: Vec<usize> =
        places.collect::<std::result::Result<_, _>>().map_err(DataFusionError::from)?;
    let own = stored.project(&places).map_err(DataFusionError::from)?;
    lake::logical_batch(&own, &lake::logical(&own.schema()))
}

fn nullable(columns: &[Field]) -> Vec<Field> {
    columns.iter().map(|column| column.clone().with_nullable(true)).collect()
}

/// Returns the relation that expressions read: it has the rows that are put into `next`.
fn relation(columns: Vec<Field>, next: Arc<Mutex<Option<RecordBatch>>>) -> Relation {
    let rows: Rows = Arc::new(move || {
        let rows: Vec<RecordBatch> = next.lock().clone().into_iter().collect();
        async move { Ok(rows) }.boxed()
    });
    Relation::system(TEMPORARY, ROWS, "", Arc::new(Schema::new(columns)), rows)
}

fn lost() -> Error {
    DataFusionError::Internal("expressions over rows gave others".into()).into()
}

/// Returns the query of expressions over the rows of a table, with their places if that is wanted.
fn query(name: &str, expressions: &[Expr], with_places: bool) -> Result<Statement> {
    let quoted = |name: &str| Ident::with_quote('"', name);
    let (rows, alias) = (quoted(ROWS), quoted(placed(name).1));
    let mut query = parse_one(&format!("SELECT 1 FROM {TEMPORARY}.{rows} AS {alias}"))?;
    if let Statement::Query(query) = &mut query
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        let named = expressions.iter().enumerate().map(|(at, expression)| {
            let alias = Ident::new(format!("value_{at}"));
            SelectItem::ExprWithAlias { expr: expression.clone(), alias }
        });
        let place = Expr::CompoundIdentifier(vec![alias, quoted(PLACE)]);
        let place = with_places.then_some(SelectItem::UnnamedExpr(place));
        select.projection = named.chain(place).collect();
    }
    Ok(query)
}

/// Fails if an expression asks for more than a row.
fn refuse(expression: &Expr, clause: &str) -> Result<()> {
    let found = visit_expressions(expression, |part| match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            ControlFlow::Break("subquery".to_owned())
        }
        // ARRAY(SELECT ...)
        Expr::Function(function) if matches!(function.args, FunctionArguments::Subquery(_)) => {
            ControlFlow::Break("subquery".to_owned())
        }
        // It would act on the session of whoever writes a row.
        Expr::Function(function) if let Some(name) = acting(&function.name) => {
            ControlFlow::Break(name)
        }
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
            ControlFlow::Break("a parameter".to_owned())
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(what) => Err(Error::Standard {
            sqlstate: "0A000",
            message: format!("cannot use {what} in {clause}"),
            hint: "Compute it of the columns of the row alone.".into(),
        }),
    }
}

/// Fails if expressions are computed of several rows, or give several.
fn refuse_over_rows(plan: &LogicalPlan, clause: &str) -> Result<()> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        found = found.or(match node {
            LogicalPlan::Aggregate(_) => Some(("42803", "aggregate functions")),
            LogicalPlan::Window(_) => Some(("42P20", "window functions")),
            LogicalPlan::Unnest(_) | LogicalPlan::Join(_) => {
                Some(("0A000", "set-returning functions"))
            }
            _ => None,
        });
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some((sqlstate, what)) = found else { return Ok(()) };
    Err(Error::Standard {
        sqlstate,
        message: format!("{what} are not allowed in {clause}s"),
        hint: "Compute it of the columns of the row alone.".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::defaults::parsed;

    #[test]
    fn an_expression_is_over_the_columns_of_a_row() {
        for sql in ["a > 0", "t.a + 1", "a IN (1, 2)", "upper(b) = b", "a BETWEEN 1 AND 2"] {
            refuse(&parsed(sql).unwrap(), "check constraint").unwrap();
        }
        for (sql, what) in [
            ("a = (SELECT 1)", "subquery"),
            ("a IN (SELECT 1)", "subquery"),
            ("EXISTS (SELECT 1)", "subquery"),
            ("ARRAY(SELECT 1) = a", "subquery"),
            ("a > $1", "a parameter"),
            ("set_config('cdp.purpose', 'x', false) = 'x'", "set_config"),
            ("a > 0 AND pg_catalog.pg_terminate_backend(a)", "pg_terminate_backend"),
            ("pg_try_advisory_lock(a)", "pg_try_advisory_lock"),
        ] {
            let refused = refuse(&parsed(sql).unwrap(), "check constraint").unwrap_err();
            let expected = format!("cannot use {what} in check constraint");
            assert_eq!((refused.sqlstate(), refused.to_string()), ("0A000", expected), "{sql}");
        }
        let query = query("marts.t", &[parsed("a > 0").unwrap()], true).unwrap();
        let expected =
            "SELECT a > 0 AS value_0, \"t\".\"_place\" FROM pg_temp.\"computed.rows\" AS \"t\"";
        assert_eq!(query.to_string(), expected);
    }
}
