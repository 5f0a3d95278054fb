//! From a generic plan to its short way, if it has one.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::datasource::source_as_provider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::logical_plan::{FetchType, SkipType};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, TableScan};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

use super::{By, Constant, Input, Leaf, Quick, Rows, Step};
use crate::query::governed::{GovernedTable, PROFILE_ID};
use crate::query::reads::Reads;

/// What the columns are qualified by that hold the values of parameters: no relation has this name.
const PARAMETERS: &str = "$";

/// Returns the column that holds the value of a parameter.
fn parameter_field(at: usize, data_type: DataType) -> Field {
    Field::new(format!("${}", at + 1), data_type, true)
}

impl Quick {
    /// Compiles an optimized plan whose parameters have these types; `None` if it is no small statement.
    pub(in crate::query) fn of(
        state: &SessionState,
        plan: &LogicalPlan,
        parameters: &[FieldRef],
    ) -> Option<Quick> {
        let rows = Arc::new(Schema::empty());
        let mut compiler = Compiler { state, parameters, steps: Vec::new(), rows };
        let leaf = compiler.descend(plan)?;
        let steps = compiler.steps;
        // An answer without columns is nobody's question.
        if plan.schema().fields().is_empty() {
            return None;
        }
        let (parameters, reads) = (parameters.to_vec(), Reads::of(plan).ok()?);
        // The long way says what is wrong with it.
        reads.check_counts().ok()?;
        let (noted, misses) = (OnceLock::new(), AtomicUsize::new(0));
        Some(Quick { leaf, steps, parameters, reads, noted, misses })
    }
}

struct Compiler<'a> {
    state: &'a SessionState,
    parameters: &'a [FieldRef],
    /// What is done to rows by the nodes that were met, the lowest first.
    steps: Vec<Step>,
    /// The columns of the rows that come of these.
    rows: SchemaRef,
}

impl Compiler<'_> {
    fn descend(&mut self, plan: &LogicalPlan) -> Option<Leaf> {
        match plan {
            LogicalPlan::EmptyRelation(empty) => {
                let one = empty.produce_one_row && empty.schema.fields().is_empty();
                one.then_some(Leaf::Row)
            }
            LogicalPlan::TableScan(scan) => {
                let rows = self.sought(scan)?;
                self.rows = Arc::clone(&rows.taking.output);
                Some(Leaf::Rows(rows))
            }
            LogicalPlan::SubqueryAlias(alias) => self.descend(&alias.input),
            LogicalPlan::Filter(filter) => {
                let leaf = self.descend(&filter.input)?;
                if matches!(*filter.input, LogicalPlan::TableScan(_))
                    && self.is_sought_by(&leaf, &filter.predicate)
                {
                    return Some(leaf);
                }
                let predicate = self.physical(&filter.predicate, filter.input.schema())?;
                let input = self.input([&filter.predicate]);
                self.steps.push(Step::Filter(predicate, input));
                Some(leaf)
            }
            LogicalPlan::Projection(projection) => {
                let leaf = self.descend(&projection.input)?;
                let input = projection.input.schema();
                let columns = projection.expr.iter().map(|expr| self.physical(expr, input));
                let columns: Option<Vec<_>> = columns.collect();
                // Whether a column is ever null is found out by who plans, and need not be here.
                let fields = projection.schema.fields().iter();
                let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
                let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
                let input = self.input(&projection.expr);
                self.steps.push(Step::Project(columns?, input, Arc::clone(&schema)));
                self.rows = schema;
                Some(leaf)
            }
            LogicalPlan::Limit(limit) => {
                let leaf = self.descend(&limit.input)?;
                let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
                    (limit.get_skip_type().ok()?, limit.get_fetch_type().ok()?)
                else {
                    return None;
                };
                self.steps.push(Step::Limit(skip, fetch));
                Some(leaf)
            }
            _ => None,
        }
    }

    /// Returns what expressions are evaluated on: the rows of the steps so far.
    fn input<'a>(&self, exprs: impl IntoIterator<Item = &'a Expr>) -> Input {
        if !exprs.into_iter().any(has_parameter) {
            return Input::Rows;
        }
        let parameters = self.parameters.iter().enumerate();
        let parameters =
            parameters.map(|(at, field)| Arc::new(parameter_field(at, field.data_type().clone())));
        let fields = self.rows.fields().iter().cloned().chain(parameters);
        Input::WithParameters(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    /// Compiles an expression over rows of `input` and, behind their columns, the parameters.
    fn physical(&self, expr: &Expr, input: &DFSchema) -> Option<Arc<dyn PhysicalExpr>> {
        if !takes_columns(expr) {
            return None;
        }
        let fields = self.parameters.iter().enumerate();
        let fields = fields.map(|(at, field)| parameter_field(at, field.data_type().clone()));
        let parameters = Schema::new(fields.collect::<Vec<_>>());
        let parameters = DFSchema::try_from_qualified_schema(PARAMETERS, &parameters).ok()?;
        let input = input.join(&parameters).ok()?;
        let expr = expr.clone().transform_up(|part| {
            Ok(match part {
                Expr::Placeholder(placeholder) => {
                    let of = TableReference::bare(PARAMETERS);
                    Transformed::yes(Expr::Column(Column::new(Some(of), placeholder.id)))
                }
                other => Transformed::no(other),
            })
        });
        let props = self.state.execution_props();
        create_physical_expr(&expr.data().ok()?, &input, props, &PhysicalPlanningContext::default())
            .ok()
    }

    /// Finds out what the rows of a scan can be sought by.
    fn sought(&self, scan: &TableScan) -> Option<Rows> {
        let provider = source_as_provider(&scan.source).ok()?;
        let table: &dyn std::any::Any = provider.as_ref();
        let table: &GovernedTable = table.downcast_ref()?;
        let shown = table.schema();
        let columns: Vec<usize> =
            scan.projection.clone().unwrap_or_else(|| (0..shown.fields().len()).collect());
        let taking = table.taking(Arc::new(shown.project(&columns).ok()?))?;
        let equals = || scan.filters.iter().filter_map(|filter| self.equals(filter));
        let on_profile = equals().find(|(column, _)| column == PROFILE_ID);
        let by = match on_profile {
            Some((_, constants)) => By::Profiles(in_type(constants, &DataType::Int64)),
            None => {
                let mut indexed = equals().filter_map(|(column, constants)| {
                    Some((table.indexed_column(&column)?, column, constants))
                });
                let (at, column, constants) = indexed.next()?;
                let field = shown.field_with_name(&column).ok()?;
                By::Values(at, in_type(constants, field.data_type()))
            }
        };
        Some(Rows { table: provider, taking, by })
    }

    /// Tells whether the rows that are sought are those that a filter takes: rows of one profile are. What is found by a value
    /// is found by its hash.
    fn is_sought_by(&self, leaf: &Leaf, filter: &Expr) -> bool {
        let Leaf::Rows(Rows { by: By::Profiles(sought), .. }) = leaf else { return false };
        let Some((column, taken)) = self.equals(filter) else { return false };
        let (
            [Constant::Parameter(one, DataType::Int64)],
            [Constant::Parameter(other, DataType::Int64)],
        ) = (sought.as_slice(), taken.as_slice())
        else {
            return false;
        };
        column == PROFILE_ID
            && one == other
            && self.parameters.get(*one).is_some_and(|field| *field.data_type() == DataType::Int64)
    }

    /// Returns the column and the values that a filter takes, if it takes no others.
    fn equals(&self, filter: &Expr) -> Option<(String, Vec<Constant>)> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                let (column, value) = match (left.as_ref(), right.as_ref()) {
                    (Expr::Column(column), value) | (value, Expr::Column(column)) => {
                        (column, value)
                    }
                    _ => return None,
                };
                Some((column.name.clone(), vec![self.constant(value)?]))
            }
            // A short list is written so by the optimizer.
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                let ((column, mut constants), (other, more)) =
                    (self.equals(left)?, self.equals(right)?);
                constants.extend(more);
                (column == other).then_some((column, constants))
            }
            Expr::InList(list) if !list.negated => {
                let Expr::Column(column) = list.expr.as_ref() else { return None };
                let constants = list.list.iter().map(|value| self.constant(value));
                Some((column.name.clone(), constants.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    fn constant(&self, expr: &Expr) -> Option<Constant> {
        let parameter = |id: &str| {
            let at = id.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)?;
            let data_type = self.parameters.get(at)?.data_type().clone();
            Some((at, data_type))
        };
        match expr {
            Expr::Literal(value, _) => Some(Constant::Value(value.clone())),
            Expr::Placeholder(placeholder) => {
                let (at, data_type) = parameter(&placeholder.id)?;
                Some(Constant::Parameter(at, data_type))
            }
            Expr::Cast(cast) => {
                let Expr::Placeholder(placeholder) = cast.expr.as_ref() else { return None };
                let (at, _) = parameter(&placeholder.id)?;
                Some(Constant::Parameter(at, cast.field.data_type().clone()))
            }
            _ => None,
        }
    }
}

/// Takes constants in the type that the column has which they are compared with.
fn in_type(constants: Vec<Constant>, data_type: &DataType) -> Vec<Constant> {
    let in_type = |constant| match constant {
        Constant::Parameter(at, _) => Constant::Parameter(at, data_type.clone()),
        Constant::Value(value) => Constant::Value(value),
    };
    constants.into_iter().map(in_type).collect()
}

fn has_parameter(expr: &Expr) -> bool {
    expr.exists(|part| Ok(matches!(part, Expr::Placeholder(_)))).unwrap_or(true)
}

/// Tells whether an expression is worked out alike if its parameters are columns and not literals. A function may want a
/// literal, and a pattern is compiled only if it is one.
fn takes_columns(expr: &Expr) -> bool {
    if !has_parameter(expr) {
        return true;
    }
    match expr {
        Expr::Placeholder(_) => true,
        Expr::Alias(alias) => takes_columns(&alias.expr),
        Expr::Cast(cast) => matches!(*cast.expr, Expr::Placeholder(_)),
        Expr::Not(inner) | Expr::IsNull(inner) | Expr::IsNotNull(inner) => takes_columns(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let compares = matches!(
                op,
                Operator::And
                    | Operator::Or
                    | Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            );
            compares && takes_columns(left) && takes_columns(right)
        }
        Expr::InList(list) => takes_columns(&list.expr) && list.list.iter().all(takes_columns),
        _ => false,
    }
}
