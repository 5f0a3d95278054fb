//! Where the rows of a query come from, and so who may read a table that is made of them.
//!
//! A row that holds `profile_id` belongs to that person, and the governed leaf decides for each reader whether it exists.
//! That is enough only if nothing else in the row comes from anybody else: whoever reads it for another purpose may see
//! the one and not the other. So a table is open to all purposes if its query can be shown to keep everybody's rows
//! apart, and is bound to the purpose that it was made for otherwise.

use arrow::datatypes::Schema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator, TableScan};

use crate::error::{Error, Result};
use crate::query::governed::{GovernedTable, PROFILE_ID, Whose};
use crate::query::reads::Reads;
use crate::query::relations::{Origin, ReturnedTable};
use crate::query::system::SystemTable;

/// What is known of the rows of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// Whether they depend on rows of persons, or on what was made of those.
    pub(crate) personal: bool,
    /// Whether each row depends on the rows of one person alone, whom its `profile_id` names.
    pub(crate) of_one_person_each: bool,
}

impl Provenance {
    /// Finds out about the rows of `plan`, which go to a table `of_persons` or of nobody.
    ///
    /// # Errors
    /// [`Error::Denied`] if they come from onefold's own logs, hold a person's id under another name, or are rows of
    /// persons for a table of nobody: they would outlive a withdrawal.
    pub(crate) fn of(plan: &LogicalPlan, of_persons: bool) -> Result<Self> {
        let found = Self::of_change(plan, of_persons)?;
        let named = plan.schema().fields().iter().any(|field| field.name() == PROFILE_ID);
        Ok(Self { of_one_person_each: found.of_one_person_each && named, ..found })
    }

    /// As [`Provenance::of`], of a plan that changes rows which have their persons already, or have none.
    pub(crate) fn of_change(plan: &LogicalPlan, of_persons: bool) -> Result<Self> {
        let found = Self::of_removal(plan, of_persons)?;
        if !of_persons && passes_rows_on(plan)? {
            return Err(Error::Denied {
                message: format!("rows of persons are kept with their {PROFILE_ID} alone"),
                hint: format!(
                    "Select {PROFILE_ID}, too: by it a row disappears with its person. Or sum rows up with GROUP BY."
                ),
            });
        }
        Ok(found)
    }

    /// As [`Provenance::of_change`], of a plan that finds rows to be removed: nothing of it is kept.
    pub(crate) fn of_removal(plan: &LogicalPlan, of_persons: bool) -> Result<Self> {
        let reads = Reads::of(plan)?;
        refuse_own_logs(plan)?;
        let personal = reads.personal || !reads.relations.is_empty();
        if !of_persons && let Some(column) = renamed_id(plan)? {
            return Err(Error::Denied {
                message: format!(
                    "column \"{column}\" holds the {PROFILE_ID} of persons under another name"
                ),
                hint: format!(
                    "Select {PROFILE_ID} under its own name, too: by it a row disappears with its person."
                ),
            });
        }
        let of_one_person_each = personal && keeps_apart(plan)?;
        Ok(Self { personal, of_one_person_each })
    }
}

/// Tells whether the output column `at` of a plan names the persons of its rows.
pub(super) fn names_persons(plan: &LogicalPlan, at: usize) -> Result<bool> {
    Ok(is_person(plan, at)?)
}

/// Returns where the rows of a plan come from that a statement gives back of the table `of`, under the names of `columns`.
pub(super) fn origin(plan: &LogicalPlan, columns: &Schema, of: String) -> Result<Origin> {
    let reads = Reads::of(plan)?;
    let whose = match (passes_rows_on(plan)?, reads.personal || !reads.relations.is_empty()) {
        (true, _) => Whose::Persons,
        (false, true) => Whose::Purpose,
        (false, false) => Whose::Nobody,
    };
    let mut ids = vec![];
    for (at, column) in columns.fields().iter().enumerate() {
        if is_id(plan, at)? {
            ids.push(column.name().clone());
        }
    }
    Ok(Origin { of, whose, ids, log: own_log(plan)? })
}

/// Fails if a plan reads relations about onefold itself: who may read those is not decided by a purpose.
fn refuse_own_logs(plan: &LogicalPlan) -> Result<()> {
    match own_log(plan)? {
        None => Ok(()),
        Some(name) => Err(Error::Denied {
            message: format!("rows of \"{name}\" cannot be written to a table"),
            hint: "Make a view over it: a view shows each reader what that reader may see.".into(),
        }),
    }
}

/// Returns a relation about onefold itself that a plan reads, also by way of rows that were given back.
fn own_log(plan: &LogicalPlan) -> Result<Option<String>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source)?;
            let provider: &dyn std::any::Any = provider.as_ref();
            let read = match provider.downcast_ref::<SystemTable>() {
                Some(table) => Some(table.name()),
                None => provider.downcast_ref::<ReturnedTable>().and_then(ReturnedTable::log),
            };
            if let Some(read) = read {
                found = Some(read.to_owned());
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Tells whether a plan passes rows of persons on, and does not sum them up.
fn passes_rows_on(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        Ok(match node {
            LogicalPlan::Aggregate(_) => TreeNodeRecursion::Jump,
            LogicalPlan::TableScan(scan) if governed(scan)? == Some(Whose::Persons) => {
                found = true;
                TreeNodeRecursion::Stop
            }
            // What it tells of the records that are named is of persons, wherever the names are from.
            node if !Reads::of_operator(node).is_empty() => {
                found = true;
                TreeNodeRecursion::Stop
            }
            _ => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// Returns an output column that is `profile_id` by another name.
fn renamed_id(plan: &LogicalPlan) -> DataFusionResult<Option<String>> {
    for (at, field) in plan.schema().fields().iter().enumerate() {
        if is_id(plan, at)? {
            return Ok(Some(field.name().clone()));
        }
    }
    Ok(None)
}

/// Tells whether the output column `at` of a plan is the `profile_id` of a governed table, passed on as it is.
fn is_id(plan: &LogicalPlan, at: usize) -> DataFusionResult<bool> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let (source, name) = (&scan.source, scan.projected_schema.field(at).name());
            let provider = source_as_provider(source)?;
            let provider: &dyn std::any::Any = provider.as_ref();
            Ok(match provider.downcast_ref::<ReturnedTable>() {
                Some(rows) => rows.is_id(name),
                None => governed(scan)? == Some(Whose::Persons) && name == PROFILE_ID,
            })
        }
        LogicalPlan::Projection(projection) => match projection.expr.get(at) {
            Some(expr) => gives_id(expr, &projection.input),
            None => Ok(false),
        },
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.get(at) {
            Some(expr) => gives_id(expr, &aggregate.input),
            None => Ok(false),
        },
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Window(_)
        | LogicalPlan::Repartition(_) => match plan.inputs().first() {
            // A window has its own columns behind those of its input.
            Some(input) if at < input.schema().fields().len() => is_id(input, at),
            _ => Ok(false),
        },
        LogicalPlan::Union(union) => {
            for input in &union.inputs {
                if is_id(input, at)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            let both = plan.schema().fields().len() == left + join.right.schema().fields().len();
            match at < left {
                true => is_id(&join.left, at),
                false if both => is_id(&join.right, at - left),
                false => Ok(false),
            }
        }
        // An operator gives the ids that its query has, under names of its own.
        LogicalPlan::Extension(extension) => {
            for input in extension.node.inputs() {
                for at in 0..input.schema().fields().len() {
                    if is_id(input, at)? {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// Tells whether an expression over the rows of `input` passes a `profile_id` on.
fn gives_id(expr: &Expr, input: &LogicalPlan) -> DataFusionResult<bool> {
    match inner(expr) {
        Expr::Column(column) => match input.schema().maybe_index_of_column(column) {
            Some(at) => is_id(input, at),
            None => Ok(false),
        },
        Expr::Case(case) => {
            let values = case.when_then_expr.iter().map(|(_, value)| value);
            for value in values.chain(case.else_expr.iter()) {
                if gives_id(value, input)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        // Of a row around, whose plan is not at hand here: its name has to do.
        Expr::OuterReferenceColumn(_, column) => Ok(column.name == PROFILE_ID),
        Expr::ScalarSubquery(subquery) => is_id(&subquery.subquery, 0),
        _ => Ok(false),
    }
}

/// The expression below its names.
fn inner(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => inner(&alias.expr),
        Expr::Cast(cast) => inner(&cast.expr),
        other => other,
    }
}

fn governed(scan: &TableScan) -> DataFusionResult<Option<Whose>> {
    let provider = source_as_provider(&scan.source)?;
    let provider: &dyn std::any::Any = provider.as_ref();
    let governed = provider.downcast_ref::<GovernedTable>().map(GovernedTable::whose);
    Ok(governed.or_else(|| provider.downcast_ref::<ReturnedTable>().map(ReturnedTable::whose)))
}

/// Tells whether each row of a plan is made of the rows of one person alone, whom its column `profile_id` names.
///
/// Wherever a column has that name it is the one of a governed table; rows are joined, grouped and windowed by it, under
/// whatever name, and by nothing coarser. What is not known to keep people apart does not.
fn keeps_apart(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut apart = true;
    plan.apply_with_subqueries(|node| {
        apart = apart && node_keeps_apart(node)? && !asks_elsewhere(node)?;
        Ok(if apart { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(apart)
}

fn node_keeps_apart(node: &LogicalPlan) -> DataFusionResult<bool> {
    let is_named = |field: &str| field == PROFILE_ID;
    Ok(match node {
        LogicalPlan::TableScan(scan) => {
            let open = |provider: &GovernedTable| {
                // Who is in a segment is told for its purpose alone.
                provider.whose() == Whose::Persons
                    && !provider.is_bound()
                    && !provider.name().starts_with("segments.")
            };
            let provider = source_as_provider(&scan.source)?;
            let provider: &dyn std::any::Any = provider.as_ref();
            provider.downcast_ref::<GovernedTable>().is_some_and(open)
        }
        LogicalPlan::Projection(projection) => {
            let names = projection.schema.fields().iter().zip(&projection.expr);
            names.filter(|(field, _)| is_named(field.name())).all(|(_, expr)| is_profile(expr))
        }
        LogicalPlan::Union(union) => {
            let at = union.schema.fields().iter().position(|field| is_named(field.name()));
            at.is_some_and(|at| {
                union.inputs.iter().all(|input| is_named(input.schema().field(at).name()))
            })
        }
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.iter().any(is_profile),
        LogicalPlan::Window(window) => window.window_expr.iter().all(|expr| match inner(expr) {
            Expr::WindowFunction(function) => function.params.partition_by.iter().any(is_profile),
            _ => false,
        }),
        LogicalPlan::Join(join) => {
            let mut by_person = false;
            let mut equal = |one: &Expr, other: &Expr| -> DataFusionResult<()> {
                by_person |= names_person(one, &join.left)? && names_person(other, &join.right)?;
                Ok(())
            };
            for (left, right) in &join.on {
                equal(left, right)?;
            }
            // Until it is optimized, what ON says stands here.
            for condition in join.filter.iter().flat_map(split_conjunction) {
                if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition {
                    equal(left, right)?;
                    equal(right, left)?;
                }
            }
            by_person || is_literal(&join.left) || is_literal(&join.right)
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => true,
        LogicalPlan::Sort(sort) => sort.fetch.is_none(),
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => is_literal(node),
        _ => false,
    })
}

/// Tells whether an expression over the rows of `input` is the `profile_id` of a governed table, as it is and whatever it
/// is called. In rows of one person each it is that person's.
fn names_person(expr: &Expr, input: &LogicalPlan) -> DataFusionResult<bool> {
    let Expr::Column(column) = expr else { return Ok(false) };
    match input.schema().maybe_index_of_column(column) {
        Some(at) => is_person(input, at),
        None => Ok(false),
    }
}

/// Tells whether the output column `at` of a plan is the `profile_id` of a governed table in all of its rows.
fn is_person(plan: &LogicalPlan, at: usize) -> DataFusionResult<bool> {
    let of_expr = |expr: Option<&Expr>, input: &LogicalPlan| match expr {
        Some(Expr::Alias(alias)) => names_person(&alias.expr, input),
        Some(expr) => names_person(expr, input),
        None => Ok(false),
    };
    match plan {
        LogicalPlan::Projection(projection) => of_expr(projection.expr.get(at), &projection.input),
        LogicalPlan::Aggregate(aggregate) => {
            of_expr(aggregate.group_expr.get(at), &aggregate.input)
        }
        LogicalPlan::Union(union) => {
            for input in &union.inputs {
                if !is_person(input, at)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            let both = plan.schema().fields().len() == left + join.right.schema().fields().len();
            match at < left {
                true => is_person(&join.left, at),
                false => Ok(both && is_person(&join.right, at - left)?),
            }
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Window(_) => match plan.inputs().first() {
            Some(input) if at < input.schema().fields().len() => is_person(input, at),
            _ => Ok(false),
        },
        // A scan has it as it is.
        LogicalPlan::TableScan(_) => is_id(plan, at),
        _ => Ok(false),
    }
}

/// Tells whether an expression is the column `profile_id`.
fn is_profile(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => alias.name == PROFILE_ID && is_profile(&alias.expr),
        Expr::Column(column) => column.name == PROFILE_ID,
        _ => false,
    }
}

/// Tells whether a plan is rows that the statement itself writes out, of nobody.
fn is_literal(plan: &LogicalPlan) -> bool {
    let literal = match plan {
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Projection(projection) => is_literal(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_literal(&alias.input),
        _ => false,
    };
    literal && plan.schema().fields().iter().all(|field| field.name() != PROFILE_ID)
}

/// Tells whether an expression of a node asks a subquery, or a function that looks into relations.
fn asks_elsewhere(node: &LogicalPlan) -> DataFusionResult<bool> {
    if let LogicalPlan::Filter(filter) = node {
        for condition in split_conjunction(&filter.predicate) {
            if !asks_of_the_person(condition, &filter.input)? && asks(condition)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let mut found = false;
    node.apply_expressions(|expression| {
        found |= asks(expression)?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Tells whether a condition is that the person of a row is among those of a query, whose rows are of one person each if
/// those of the plan are: `profile_id IN (SELECT profile_id ...)`.
fn asks_of_the_person(condition: &Expr, input: &LogicalPlan) -> DataFusionResult<bool> {
    let Expr::InSubquery(InSubquery { expr, subquery, negated: false }) = condition else {
        return Ok(false);
    };
    Ok(subquery.outer_ref_columns.is_empty()
        && names_person(expr, input)?
        && is_person(&subquery.subquery, 0)?)
}

fn asks(expression: &Expr) -> DataFusionResult<bool> {
    let mut asks = false;
    expression.apply(|part| {
        asks |= match part {
            Expr::ScalarSubquery(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..) => true,
            Expr::ScalarFunction(call) => Reads::is_by_function(call.func.name()),
            _ => false,
        };
        Ok(if asks { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(asks)
}
