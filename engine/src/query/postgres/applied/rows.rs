//! The rows that a row sees in a subquery, beside that row.

mod joins;
mod unions;
mod windows;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, JoinType, Result, TableReference};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, FetchType, Limit, LogicalPlan, LogicalPlanBuilder,
    SkipType, SortExpr, lit, when,
};

use super::around;
use crate::query::postgres::copies::Copies;
use crate::query::postgres::lateral;

/// The relation of what is joined: no text of a statement has such a name.
const BESIDE: &str = "\u{1}beside_";
/// What a number is called where it is made.
const NUMBER: &str = "\u{1}number";
/// What the number of a row among those that are alike is called: it is the same each time that they are read.
pub(super) const ALIKE: &str = "\u{1}alike";
/// What the number is called by which a row stays that sees none: it chooses among rows of which nothing is shown.
pub(super) const KEPT: &str = "\u{1}kept";
/// The number of the row around.
const ROW: &str = "row";
/// Whether a row of the subquery is there.
const MATCHED: &str = "matched";

/// What the columns of a plan are in another.
type Columns = HashMap<Column, Expr>;

/// The rows around a subquery.
pub(super) struct Rows<'a> {
    row: &'a LogicalPlan,
    /// Whether a row stays that sees none.
    keeps: bool,
    /// How many rows of subqueries are part of the row: what is made for each of them has names of its own.
    depth: usize,
    /// Whether only rows that are alike are numbered: rows that are read several times have the same number each time.
    is_counted: bool,
    /// Whether so are the rows of the subquery, which are part of the row within it.
    is_settled: bool,
    copies: &'a Copies,
}

/// Rows with those that they see.
pub(super) struct Beside {
    pub(super) plan: LogicalPlan,
    columns: Columns,
    /// Whether each row sees at most one.
    pub(super) is_one: bool,
    /// What tells whether a row is there, where a row stays that sees none.
    is_there: Option<Expr>,
}

/// A subquery of which conditions alone, and what is shown, tell of the row around it.
struct Flat {
    base: LogicalPlan,
    conditions: Vec<Expr>,
    columns: Columns,
}

impl Beside {
    /// What a column of the subquery is, null where there is no row.
    pub(super) fn value(&self, column: &Column) -> Option<Result<Expr>> {
        let value = self.columns.get(column)?.clone();
        let is_joined = matches!(&value, Expr::Column(column)
            if column.relation.as_ref().is_some_and(|of| of.table().starts_with(BESIDE)));
        Some(match &self.is_there {
            // Of a row that is not there every column is null.
            Some(Expr::Column(there)) if is_joined && there.name == MATCHED => Ok(value),
            Some(is_there) => when(is_there.clone(), value).end(),
            None => Ok(value),
        })
    }
}

impl<'a> Rows<'a> {
    pub(super) fn of(
        row: &'a LogicalPlan,
        keeps: bool,
        subquery: &LogicalPlan,
        copies: &'a Copies,
    ) -> Self {
        let is_counted = around::unites(subquery) && around::is_settled(row);
        Rows { row, keeps, depth: 0, is_counted, is_settled: around::is_settled(subquery), copies }
    }

    /// The relation of what is joined.
    fn relation(&self) -> TableReference {
        TableReference::bare(format!("{BESIDE}{}", self.depth))
    }

    /// A column of what is joined.
    fn own(&self, name: &str) -> Expr {
        Expr::Column(Column::new(Some(self.relation()), name))
    }

    /// What tells one of the rows around from the others.
    fn key(&self) -> Vec<Expr> {
        let mut key = if self.is_counted { self.columns() } else { Vec::new() };
        key.push(self.own(ROW));
        key
    }

    /// The columns of the rows around.
    pub(super) fn columns(&self) -> Vec<Expr> {
        self.row.schema().columns().into_iter().map(Expr::Column).collect()
    }

    /// The rows of a subquery beside those that see them; `None` where this knows no way.
    pub(super) fn beside(&self, plan: &LogicalPlan) -> Result<Option<Beside>> {
        if let Some(found) = self.seen(plan)? {
            return Ok(Some(found));
        }
        match plan {
            LogicalPlan::Aggregate(aggregate) => self.aggregated(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
                self.aggregated(&Aggregate::try_new(Arc::clone(input), columns, vec![])?)
            }
            LogicalPlan::Distinct(Distinct::On(on)) => self.first_of_each(on),
            LogicalPlan::Window(window) => self.windowed(window),
            LogicalPlan::Union(union) => self.united(union),
            LogicalPlan::Join(join) => self.of_join(join, vec![]),
            LogicalPlan::Limit(limit) => self.limited(limit),
            // Nobody counts on the order of rows that are joined.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.beside(&sort.input),
            LogicalPlan::Subquery(subquery) => self.beside(&subquery.subquery),
            LogicalPlan::SubqueryAlias(alias) => {
                let found = self.beside(&alias.input)?;
                Ok(found.map(|found| found.renamed(&alias.input, plan)))
            }
            LogicalPlan::Projection(projection) => {
                let Some(mut found) = self.beside(&projection.input)? else { return Ok(None) };
                let shown = projection.schema.columns().into_iter().zip(&projection.expr);
                let mut columns = Columns::new();
                for (column, expr) in shown {
                    let Some(expr) = self.settled(expr, &found.columns)? else { return Ok(None) };
                    columns.insert(column, expr);
                }
                found.columns = columns;
                Ok(Some(found))
            }
            LogicalPlan::Filter(filter) => {
                if let LogicalPlan::Join(join) = filter.input.as_ref()
                    && join.join_type == JoinType::Inner
                {
                    return self.of_join(join, split_conjunction_owned(filter.predicate.clone()));
                }
                let Some(mut found) = self.beside(&filter.input)? else { return Ok(None) };
                let condition = self.settled(&filter.predicate, &found.columns)?;
                let Some(condition) = condition else { return Ok(None) };
                if self.keeps {
                    return self.kept_where(found, condition).map(Some);
                }
                found.plan = LogicalPlanBuilder::from(found.plan).filter(condition)?.build()?;
                Ok(Some(found))
            }
            _ => Ok(None),
        }
    }

    /// Of what the rows around see that which fulfils a condition; where nothing does, a row stays that sees none.
    pub(super) fn kept_where(&self, found: Beside, condition: Expr) -> Result<Beside> {
        let fulfilled = match found.is_there {
            Some(is_there) => is_there.and(condition),
            None => condition,
        };
        let (columns, is_one) = (found.columns, found.is_one);
        if is_one {
            return Ok(Beside { plan: found.plan, columns, is_one, is_there: Some(fulfilled) });
        }
        // Of each row around the first stays in any case, those that fulfil the condition before the others.
        let count = found.plan.schema().fields().len();
        let mut shown: Vec<Expr> =
            found.plan.schema().columns().into_iter().map(Expr::Column).collect();
        let name = format!("{MATCHED}_{count}");
        let is_there = self.own(&name);
        shown.push(fulfilled.is_true().alias_qualified(Some(self.relation()), &name));
        let order = vec![SortExpr::new(is_there.clone(), false, false)];
        let place = row_number().partition_by(self.key()).order_by(order).build()?;
        let name = format!("{KEPT}_{count}");
        let is_first = Expr::Column(Column::new_unqualified(&name)).eq(lit(1_u64));
        let plan = LogicalPlanBuilder::from(found.plan)
            .project(shown)?
            .window([place.alias(&name)])?
            .filter(is_there.clone().or(is_first))?
            .build()?;
        Ok(Beside { plan, columns, is_one, is_there: Some(is_there) })
    }

    /// The rows of a subquery without groups and limits.
    fn seen(&self, plan: &LogicalPlan) -> Result<Option<Beside>> {
        match flat(plan)? {
            Some(flat) => self.joined(flat),
            None => self.listed(plan),
        }
    }

    /// Joins the rows around, numbered, with those that fulfil the conditions.
    fn joined(&self, flat: Flat) -> Result<Option<Beside>> {
        let is_one = flat.base.max_rows().is_some_and(|rows| rows <= 1);
        let (mut shown, mut base) = (Vec::new(), Columns::new());
        for (at, column) in flat.base.schema().columns().into_iter().enumerate() {
            let name = format!("column_{at}");
            shown.push(Expr::Column(column.clone()).alias_qualified(Some(self.relation()), &name));
            base.insert(column, self.own(&name));
        }
        shown.push(lit(true).alias_qualified(Some(self.relation()), MATCHED));
        let right = LogicalPlanBuilder::from(flat.base).project(shown)?.build()?;
        let mut conditions = vec![lit(true)];
        for condition in &flat.conditions {
            let Some(condition) = self.settled(condition, &base)? else { return Ok(None) };
            conditions.push(condition);
        }
        let mut columns = Columns::new();
        for (column, expr) in &flat.columns {
            let Some(expr) = self.settled(expr, &base)? else { return Ok(None) };
            columns.insert(column.clone(), expr);
        }
        let kind = if self.keeps { JoinType::Left } else { JoinType::Inner };
        let plan =
            LogicalPlanBuilder::from(self.numbered()?).join_on(right, kind, conditions)?.build()?;
        let is_there = self.keeps.then(|| self.own(MATCHED));
        Ok(Some(Beside { plan, columns, is_one, is_there }))
    }

    /// The rows that lists of the row around give.
    fn listed(&self, plan: &LogicalPlan) -> Result<Option<Beside>> {
        let numbered = Arc::new(self.numbered()?);
        let Some((plan, own, present)) = lateral::listed(&numbered, plan, self.keeps)? else {
            return Ok(None);
        };
        let columns = own.into_iter().map(|(column, there)| (column, Expr::Column(there)));
        let columns = columns.collect();
        Ok(Some(Beside { plan, columns, is_one: false, is_there: present.map(Expr::Column) }))
    }

    /// The rows around with a number each.
    fn numbered(&self) -> Result<LogicalPlan> {
        // A window of the statement may be called like the function.
        let (number, name) = match self.is_counted {
            true => (self.number_among_alike()?, ALIKE),
            false => (row_number(), NUMBER),
        };
        let mut shown = self.columns();
        let number_of_row = Expr::Column(Column::new_unqualified(name));
        shown.push(number_of_row.alias_qualified(Some(self.relation()), ROW));
        let number = number.alias(name);
        LogicalPlanBuilder::from(self.row.clone()).window([number])?.project(shown)?.build()
    }

    /// An aggregate for each of the rows around.
    fn aggregated(&self, aggregate: &Aggregate) -> Result<Option<Beside>> {
        let is_one = aggregate.group_expr.is_empty();
        // An aggregate without groups has a value of no rows, too.
        let rows = Rows { keeps: is_one || self.keeps, ..*self };
        let Some(seen) = rows.beside(&aggregate.input)? else { return Ok(None) };
        let mut groups = self.columns();
        groups.push(self.own(ROW));
        let (mut values, mut found) = (Vec::new(), Vec::new());
        for expr in &aggregate.group_expr {
            if matches!(expr, Expr::GroupingSet(_)) {
                return Ok(None);
            }
            let Some(expr) = self.settled(expr, &seen.columns)? else { return Ok(None) };
            let name = format!("group_{}", found.len());
            groups.push(expr.alias_qualified(Some(self.relation()), &name));
            found.push(self.own(&name));
        }
        for expr in &aggregate.aggr_expr {
            let settled = self.settled(expr, &seen.columns)?.map(Expr::unalias);
            let Some(Expr::AggregateFunction(mut function)) = settled else { return Ok(None) };
            if let Some(is_there) = &seen.is_there {
                let filter = function.params.filter.take();
                let filter = match filter {
                    Some(filter) => is_there.clone().and(*filter),
                    None => is_there.clone(),
                };
                function.params.filter = Some(Box::new(filter));
            }
            let name = format!("aggregate_{}", found.len());
            let value = Expr::AggregateFunction(function);
            values.push(value.alias_qualified(Some(self.relation()), &name));
            found.push(self.own(&name));
        }
        // A row around that sees none is a group of its own.
        let mut is_there = None;
        if let (false, Some(seen)) = (is_one, seen.is_there) {
            let name = format!("{MATCHED}_{}", values.len());
            let matched = count(when(seen, lit(true)).end()?);
            values.push(matched.alias_qualified(Some(self.relation()), &name));
            is_there = Some(self.own(&name).gt(lit(0_i64)));
        }
        let columns = aggregate.schema.columns().into_iter().zip(found).collect();
        let plan = LogicalPlanBuilder::from(seen.plan).aggregate(groups, values)?.build()?;
        Ok(Some(Beside { plan, columns, is_one, is_there }))
    }

    /// The first rows for each of the rows around.
    fn limited(&self, limit: &Limit) -> Result<Option<Beside>> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        // What is shown may stand above what it is ordered by.
        let (shown, below) = match limit.input.as_ref() {
            LogicalPlan::Projection(projection)
                if matches!(projection.input.as_ref(), LogicalPlan::Sort(_)) =>
            {
                (Some(projection), projection.input.as_ref())
            }
            other => (None, other),
        };
        let (sorts, below) = match below {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                (sort.expr.as_slice(), sort.input.as_ref())
            }
            LogicalPlan::Sort(_) => return Ok(None),
            other => (&[][..], other),
        };
        let Some(mut found) = self.beside(below)? else { return Ok(None) };
        let some = skip == 0 && fetch != Some(0);
        if !some && found.is_one {
            return Ok(None);
        }
        if !found.is_one {
            let mut order = Vec::new();
            for by in sorts {
                let Some(expr) = self.settled(&by.expr, &found.columns)? else { return Ok(None) };
                order.push(SortExpr { expr, ..by.clone() });
            }
            let mut place = row_number().partition_by(self.key());
            // With an order of nothing its window would have bounds that only an order gives.
            if !order.is_empty() {
                place = place.order_by(order);
            }
            let place = place.build()?;
            // A limit within this one has numbered them, too, by fewer columns.
            let name = format!("{NUMBER}_{}", found.plan.schema().fields().len());
            let place = place.alias(&name);
            let at = Expr::Column(Column::new_unqualified(name));
            let (skip, fetch) = (skip as u64, fetch.map(|fetch| fetch as u64));
            let mut condition = at.clone().gt(lit(skip));
            if let Some(fetch) = fetch {
                condition = condition.and(at.lt_eq(lit(skip.saturating_add(fetch))));
            }
            let plan = LogicalPlanBuilder::from(found.plan).window([place])?;
            if self.keeps && !some {
                found.plan = plan.build()?;
                found = self.kept_where(found, condition)?;
            } else {
                found.plan = plan.filter(condition)?.build()?;
            }
            found.is_one = fetch.is_some_and(|fetch| fetch <= 1);
        }
        let Some(projection) = shown else { return Ok(Some(found)) };
        let mut columns = Columns::new();
        for (column, expr) in projection.schema.columns().into_iter().zip(&projection.expr) {
            let Some(expr) = self.settled(expr, &found.columns)? else { return Ok(None) };
            columns.insert(column, expr);
        }
        found.columns = columns;
        Ok(Some(found))
    }

    /// An expression of the subquery over the joined rows; `None` where it tells of a row further out.
    fn settled(&self, expr: &Expr, columns: &Columns) -> Result<Option<Expr>> {
        let Some(expr) = substituted(expr, columns)? else { return Ok(None) };
        let row = self.row.schema();
        let settled = expr.transform_up(|part| match part {
            Expr::OuterReferenceColumn(_, column) if row.has_column(&column) => {
                Ok(Transformed::yes(Expr::Column(column)))
            }
            other => Ok(Transformed::no(other)),
        });
        let settled = settled.data()?;
        Ok((!settled.contains_outer()).then_some(settled))
    }
}

impl Beside {
    /// The same with the columns of a plan around the subquery, which are those of its input by other names.
    fn renamed(mut self, input: &LogicalPlan, plan: &LogicalPlan) -> Beside {
        self.columns = renamed(self.columns, input, plan);
        self
    }
}

/// Takes a subquery apart.
fn flat(plan: &LogicalPlan) -> Result<Option<Flat>> {
    if plan.all_out_ref_exprs().is_empty() {
        let same = |column: Column| (column.clone(), Expr::Column(column));
        let columns = plan.schema().columns().into_iter().map(same).collect();
        return Ok(Some(Flat { base: plan.clone(), conditions: vec![], columns }));
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let Some(mut flat) = flat(&projection.input)? else { return Ok(None) };
            let shown = projection.schema.columns().into_iter().zip(&projection.expr);
            let mut columns = Columns::new();
            for (column, expr) in shown {
                let Some(expr) = substituted(expr, &flat.columns)? else { return Ok(None) };
                columns.insert(column, expr);
            }
            flat.columns = columns;
            Ok(Some(flat))
        }
        LogicalPlan::Filter(filter) => {
            let Some(mut flat) = flat(&filter.input)? else { return Ok(None) };
            let condition = substituted(&filter.predicate, &flat.columns)?;
            let Some(condition) = condition else { return Ok(None) };
            flat.conditions.extend(split_conjunction_owned(condition));
            Ok(Some(flat))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(mut flat) = flat(&alias.input)? else { return Ok(None) };
            flat.columns = renamed(flat.columns, &alias.input, plan);
            Ok(Some(flat))
        }
        LogicalPlan::Subquery(subquery) => flat(&subquery.subquery),
        _ => Ok(None),
    }
}

fn renamed(columns: Columns, input: &LogicalPlan, plan: &LogicalPlan) -> Columns {
    let names = input.schema().columns().into_iter().zip(plan.schema().columns());
    names.filter_map(|(old, new)| Some((new, columns.get(&old)?.clone()))).collect()
}

/// An expression with what its columns are; `None` where it holds a subquery, or a column that is not known.
fn substituted(expr: &Expr, columns: &Columns) -> Result<Option<Expr>> {
    let mut known = true;
    let replaced = expr.clone().unalias().transform_up(|part| {
        Ok(match part {
            Expr::Column(column) => match columns.get(&column) {
                Some(found) => Transformed::yes(found.clone()),
                None => {
                    known = false;
                    Transformed::no(Expr::Column(column))
                }
            },
            Expr::ScalarSubquery(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_) => {
                known = false;
                Transformed::no(part)
            }
            other => Transformed::no(other),
        })
    });
    let replaced = replaced.data()?;
    Ok(known.then_some(replaced))
}
