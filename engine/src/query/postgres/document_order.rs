//! `jsonb` compared, sorted and grouped by what it says: `1` is `1.0`, though it prints otherwise, and objects stand above
//! arrays.
//!
//! DataFusion sees texts. Wherever values are compared, the bytes of [`order`] stand in for those of type `jsonb`; what is
//! grouped by them keeps one text of each group.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::expr_fn::min;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, Case, InList, InSubquery, Sort, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, DistinctOn, Expr, ExprSchemable, Join, JoinConstraint,
    LogicalPlan, LogicalPlanBuilder, Operator, Projection, Subquery,
};
use datafusion::optimizer::AnalyzerRule;

use super::comparisons::compares;
use super::functions::{failure, order};
use super::types::{TYPE_KEY, pg_type_of};
use crate::Error;

/// What the columns are called that groups are told apart by, and those with a text of each: no text of a statement has
/// such names.
const ORDER: &str = "\u{1}order";
const SHOWN: &str = "\u{1}shown";

/// The rule. It must come before those that cast texts to one kind, which lose their type.
#[derive(Debug)]
pub(super) struct DocumentOrder;

impl AnalyzerRule for DocumentOrder {
    fn name(&self) -> &str {
        "document_order"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        // Whether a column below may be null now that could not.
        let mut regrouped = false;
        plan.transform_up_with_subqueries(|node| {
            let node = compared(node)?;
            let node = if regrouped { node.recompute_schema()? } else { node };
            let grouped = grouped(node)?;
            regrouped |= grouped.transformed;
            Ok(Transformed::yes(grouped.data))
        })
        .data()
    }
}

fn is_jsonb(expr: &Expr, schema: &DFSchema) -> bool {
    let is_plain = matches!(expr, Expr::Literal(_, None));
    !is_plain
        && expr.to_field(schema).is_ok_and(|(_, field)| {
            field.data_type().is_string()
                && field.metadata().get(TYPE_KEY).is_some_and(|logical| logical == "jsonb")
        })
}

/// Puts the order of an expression in its place.
fn put_order(expr: &mut Expr) -> Result<()> {
    *expr = order(take(expr))?;
    Ok(())
}

/// The same where it is a `jsonb`.
fn put_order_of_jsonb(expr: &mut Expr, schema: &DFSchema) -> Result<()> {
    if is_jsonb(expr, schema) { put_order(expr) } else { Ok(()) }
}

fn sorted_by(all: &mut [Sort], schema: &DFSchema) -> Result<()> {
    all.iter_mut().try_for_each(|by| put_order_of_jsonb(&mut by.expr, schema))
}

/// Whether a node compares anything.
fn is_concerned(node: &LogicalPlan) -> Result<bool> {
    if matches!(
        node,
        LogicalPlan::Sort(_)
            | LogicalPlan::Distinct(Distinct::On(_))
            | LogicalPlan::Join(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
    ) {
        return Ok(true);
    }
    let mut concerned = false;
    node.apply_expressions(|expr| {
        concerned = expr.exists(|expr| {
            Ok(match expr {
                Expr::BinaryExpr(BinaryExpr { op, .. }) => compares(*op),
                Expr::InList(_) | Expr::Between(_) | Expr::InSubquery(_) | Expr::Case(_) => true,
                _ => false,
            })
        })?;
        Ok(if concerned { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(concerned)
}

/// Compares what the expressions of a node compare, and what the node itself does.
fn compared(node: LogicalPlan) -> Result<LogicalPlan> {
    if !is_concerned(&node)? {
        return Ok(node);
    }
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    let node = node.map_expressions(|expr| {
        // A grouping set is one under no other name.
        if matches!(expr, Expr::GroupingSet(_)) {
            return Ok(Transformed::no(expr));
        }
        let name = names.save(&expr);
        let compared = expr.transform_up(|expr| expression(expr, &schema))?;
        Ok(match compared.transformed {
            true => compared.update_data(|expr| name.restore(expr)),
            false => compared,
        })
    });
    Ok(match node.data()? {
        LogicalPlan::Sort(mut sort) => {
            sorted_by(&mut sort.expr, &schema)?;
            LogicalPlan::Sort(sort)
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            first_of_each(&mut on, &schema)?;
            LogicalPlan::Distinct(Distinct::On(on))
        }
        LogicalPlan::Join(mut join) => {
            joined(&mut join)?;
            LogicalPlan::Join(join)
        }
        other => other,
    })
}

fn first_of_each(on: &mut DistinctOn, schema: &DFSchema) -> Result<()> {
    on.on_expr.iter_mut().try_for_each(|expr| put_order_of_jsonb(expr, schema))?;
    on.sort_expr.iter_mut().try_for_each(|by| sorted_by(by, schema))
}

fn joined(join: &mut Join) -> Result<()> {
    for (left, right) in &mut join.on {
        if is_jsonb(left, join.left.schema()) || is_jsonb(right, join.right.schema()) {
            put_order(left)?;
            put_order(right)?;
            // What `USING` names must be columns; who looks for these has found them.
            join.join_constraint = JoinConstraint::On;
        }
    }
    Ok(())
}

/// Refuses to compare `jsonb` with what is no text of it.
fn check_sides(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Result<()> {
    let fields = [left.to_field(schema)?.1, right.to_field(schema)?.1];
    if fields.iter().all(|field| field.data_type().is_string() || field.data_type().is_null()) {
        return Ok(());
    }
    let [one, other] = fields.map(|field| pg_type_of(&field).0.display.as_str());
    Err(failure(Error::Standard {
        sqlstate: "42883",
        message: format!("operator does not exist: {one} {op} {other}"),
        hint: "Cast one of the two to the type of the other: CAST(value AS type).".to_owned(),
    }))
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right })
            if compares(op) && (is_jsonb(&left, schema) || is_jsonb(&right, schema)) =>
        {
            check_sides(&left, op, &right, schema)?;
            put_order(&mut left)?;
            put_order(&mut right)?;
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::InList(InList { mut expr, mut list, negated })
            if is_jsonb(&expr, schema) || list.iter().any(|item| is_jsonb(item, schema)) =>
        {
            put_order(&mut expr)?;
            list.iter_mut().try_for_each(put_order)?;
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        Expr::Between(Between { mut expr, negated, mut low, mut high })
            if [&expr, &low, &high].iter().any(|side| is_jsonb(side, schema)) =>
        {
            put_order(&mut expr)?;
            put_order(&mut low)?;
            put_order(&mut high)?;
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InSubquery(InSubquery { mut expr, subquery, negated })
            if is_jsonb(&expr, schema) || gives_jsonb(&subquery) =>
        {
            put_order(&mut expr)?;
            let subquery = orders_of(subquery)?;
            Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated }))
        }
        Expr::Case(Case { expr: Some(mut base), mut when_then_expr, else_expr })
            if is_jsonb(&base, schema)
                || when_then_expr.iter().any(|(when, _)| is_jsonb(when, schema)) =>
        {
            put_order(&mut base)?;
            when_then_expr.iter_mut().try_for_each(|(when, _)| put_order(when))?;
            Transformed::yes(Expr::Case(Case { expr: Some(base), when_then_expr, else_expr }))
        }
        Expr::AggregateFunction(function) => aggregate(function, schema)?,
        Expr::WindowFunction(function) => window(function, schema)?,
        other => Transformed::no(other),
    })
}

/// Whether the values of a subquery are `jsonb`.
fn gives_jsonb(subquery: &Subquery) -> bool {
    let schema = subquery.subquery.schema();
    match <[Column; 1]>::try_from(schema.columns()) {
        Ok([value]) => is_jsonb(&Expr::Column(value), schema),
        Err(_) => false,
    }
}

/// The values of a subquery by their order.
fn orders_of(subquery: Subquery) -> Result<Subquery> {
    let Subquery { subquery, outer_ref_columns, spans } = subquery;
    let values = subquery.schema().columns();
    let orders = values.into_iter().map(|value| order(Expr::Column(value)));
    let orders = orders.collect::<Result<Vec<_>>>()?;
    let plan = Arc::unwrap_or_clone(subquery);
    let plan = LogicalPlanBuilder::from(plan).project(orders)?.build()?;
    Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans })
}

fn aggregate(mut function: AggregateFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let params = &mut function.params;
    let counts = params.distinct && function.func.name() == "count";
    let by = params.order_by.iter().map(|by| &by.expr);
    let mut concerned = by.chain(params.args.iter().filter(|_| counts));
    if !concerned.any(|expr| is_jsonb(expr, schema)) {
        return Ok(Transformed::no(Expr::AggregateFunction(function)));
    }
    sorted_by(&mut params.order_by, schema)?;
    if counts {
        params.args.iter_mut().try_for_each(|value| put_order_of_jsonb(value, schema))?;
    }
    Ok(Transformed::yes(Expr::AggregateFunction(function)))
}

fn window(mut function: Box<WindowFunction>, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let params = &mut function.params;
    let by = params.order_by.iter().map(|by| &by.expr);
    if !by.chain(&params.partition_by).any(|expr| is_jsonb(expr, schema)) {
        return Ok(Transformed::no(Expr::WindowFunction(function)));
    }
    sorted_by(&mut params.order_by, schema)?;
    params.partition_by.iter_mut().try_for_each(|value| put_order_of_jsonb(value, schema))?;
    Ok(Transformed::yes(Expr::WindowFunction(function)))
}

/// Which of the expressions that a node groups by are `jsonb`.
fn documents_of(node: &LogicalPlan) -> BTreeSet<usize> {
    let (groups, input) = match node {
        LogicalPlan::Aggregate(Aggregate { input, group_expr, .. }) => (group_expr.clone(), input),
        LogicalPlan::Distinct(Distinct::All(input)) => (columns_of(input), input),
        _ => return BTreeSet::new(),
    };
    if groups.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return BTreeSet::new();
    }
    let groups = groups.iter().enumerate();
    groups.filter(|(_, expr)| is_jsonb(expr, input.schema())).map(|(at, _)| at).collect()
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

/// Groups by the order of what a node groups by.
fn grouped(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let documents = documents_of(&node);
    if documents.is_empty() {
        return Ok(Transformed::no(node));
    }
    let (input, groups, mut all, schema) = match node {
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, schema, .. }) => {
            (input, group_expr, aggr_expr, schema)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let (columns, schema) = (columns_of(&input), Arc::clone(input.schema()));
            (input, columns, Vec::new(), schema)
        }
        other => return Ok(Transformed::no(other)),
    };
    let mut by = Vec::with_capacity(groups.len());
    for (at, expr) in groups.into_iter().enumerate() {
        if !documents.contains(&at) {
            by.push(expr);
            continue;
        }
        let value = expr.unalias();
        by.push(order(value.clone())?.alias(format!("{ORDER}{at}")));
        // The least of them, so that it is the same in whatever order the rows come.
        all.push(min(value).alias(format!("{SHOWN}{at}")));
    }
    let columns = schema.iter().enumerate().map(|(at, (relation, field))| {
        if !documents.contains(&at) {
            return Expr::Column(Column::new(relation.cloned(), field.name()));
        }
        let shown = Expr::Column(Column::new_unqualified(format!("{SHOWN}{at}")));
        let metadata = Some(FieldMetadata::from(field.as_ref()));
        shown.alias_qualified_with_metadata(relation.cloned(), field.name(), metadata)
    });
    let columns = columns.collect();
    let grouped = LogicalPlan::Aggregate(Aggregate::try_new(input, by, all)?);
    let shown = Projection::try_new(columns, Arc::new(grouped))?;
    Ok(Transformed::yes(LogicalPlan::Projection(shown)))
}
