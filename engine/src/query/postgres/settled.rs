//! The types of a statement's expressions, settled before its columns are described.
//!
//! DataFusion brings the branches of a `CASE` and the parts of a `UNION` to one type when it runs a plan, and until then
//! says of both that they are of the type of the first. [`settle`] does so when the plan is made, so that what is described
//! is what is answered.
//!
//! The same pass makes literals of the casts that the rewrite put around whole numbers. Beside a bigint such a literal is
//! one, as the statement would be planned without that cast: a filter then compares a column with a literal and goes below
//! the governed leaf, and no long list is cast value by value. Texts that are cast to a type, or compared with a date or a
//! time, are [read](super::input) here as PostgreSQL reads them, and what is cast to an integer is rounded. Where floats
//! meet decimals, floats win.

mod arrays;
mod choices;
mod documents;
mod endless;
mod literals;
mod moments;
mod recursive;
mod sets;
mod unnested;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{
    Transformed, TransformedResult, TreeNode, TreeNodeRecursion, TreeNodeRewriter,
};
use datafusion::common::{DFSchema, ExprSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{
    Between, Case, Cast, Exists, InList, InSubquery, SetComparison,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::other::get_coerce_type_for_case_expression;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Subquery, Union,
};
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;

use super::comparisons::compares;
use super::facts::SessionFacts;
use super::moments::{is_clock, is_moment, zone_of};
use super::named_sets::{has_sets, is_grouping};
use super::zone::Zone;

/// Settles the types of a plan for a session.
pub fn settle(plan: LogicalPlan, facts: &Arc<SessionFacts>) -> Result<LogicalPlan> {
    let zone = zone_of(facts);
    let is_local = zone.is_local();
    let facts = Arc::clone(facts);
    let mut types = Types { zone, is_local, facts, changed: false, has_ends: false };
    let plan = types.plan(plan)?;
    if types.has_ends { endless::with_ends(plan) } else { Ok(plan) }
}

struct Types {
    /// The zone of times that are written without one.
    zone: Zone,
    /// Whether it is another than UTC.
    is_local: bool,
    /// The session.
    facts: Arc<SessionFacts>,
    /// Whether something below has another type than it was planned with.
    changed: bool,
    /// Whether there is an infinite day or point in time among the literals.
    has_ends: bool,
}

impl Types {
    fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        // What a recursive query begins with has its types before its steps are looked at.
        self.changed |= plan.exists(|node| Ok(matches!(node, LogicalPlan::RecursiveQuery(_))))?;
        plan.transform_up(|node| self.node(node)).data()
    }

    fn node(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let concerned = is_concerned(&node)? || choices::concern(&node)?;
        let meets =
            matches!(node, LogicalPlan::Union(_) | LogicalPlan::Join(_) | LogicalPlan::Unnest(_));
        if !concerned && !self.changed && !meets {
            return Ok(Transformed::no(node));
        }
        let node = if concerned { self.expressions(node)? } else { node };
        let node = match node {
            LogicalPlan::Union(union) => self.union(union)?,
            LogicalPlan::Join(join) if sets::is_set(&join) => self.set(join)?,
            LogicalPlan::Join(join) => LogicalPlan::Join(self.join(join)),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest)?,
            LogicalPlan::RecursiveQuery(query) => recursive::with_types(query)?,
            other => other,
        };
        let node = if self.changed { node.recompute_schema()? } else { node };
        Ok(Transformed::yes(node))
    }

    fn expressions(&mut self, node: LogicalPlan) -> Result<LogicalPlan> {
        let schema = merge_schema(&node.inputs());
        // The columns of rows that are written out have names of their own.
        let names = match node {
            LogicalPlan::Values(_) => None,
            _ => Some(NamePreserver::new(&node)),
        };
        let below = std::mem::replace(&mut self.changed, false);
        let has_sets = has_sets(&node);
        let node = node.map_expressions(|expr| {
            // A grouping set is one under no other name, and what is asked of it is found among its parts.
            if matches!(expr, Expr::GroupingSet(_)) || has_sets && is_grouping(&expr) {
                return Ok(Transformed::no(expr));
            }
            let name = names.as_ref().map(|names| names.save(&expr));
            let settled = expr.transform_up(|expr| self.expression(expr, &schema))?;
            Ok(match name {
                Some(name) => settled.update_data(|expr| name.restore(expr)),
                None => settled,
            })
        });
        let node = match node.data()? {
            // Their types are found once, when they are planned.
            LogicalPlan::Values(values) if self.changed => {
                LogicalPlanBuilder::values(values.values)?.build()?
            }
            other => other,
        };
        self.changed |= below;
        Ok(node)
    }

    fn expression(&mut self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let met = self.meet(expr, schema)?;
        let document = documents::document_of(&met, schema);
        let settled = self.settled(met, schema)?;
        let document = document.or_else(|| documents::shown_document(&settled.data));
        let Some(field) = document else { return Ok(settled) };
        self.changed = true;
        let expr = Box::new(settled.data);
        Ok(Transformed::yes(Expr::Cast(Cast { expr, field })))
    }

    fn settled(&mut self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        Ok(match expr {
            Expr::Cast(cast) => Transformed::yes(self.cast(cast, schema)?),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (left, right) = match (*left, *right) {
                    (left @ Expr::Literal(..), right) => {
                        let other = right.get_type(schema).ok();
                        (self.beside(left, other.as_ref(), compares(op))?, right)
                    }
                    (left, right @ Expr::Literal(..)) => {
                        let other = left.get_type(schema).ok();
                        let right = self.beside(right, other.as_ref(), compares(op))?;
                        (left, right)
                    }
                    sides => sides,
                };
                let (left, right) = match compares(op) {
                    true => self.facing(left, right, schema),
                    false => (left, right),
                };
                let (left, right) = (Box::new(left), Box::new(right));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            }
            Expr::InList(InList { expr, list, negated }) => {
                let other = expr.get_type(schema).ok();
                let of = expr.to_field(schema).ok().map(|(_, field)| field);
                let list = list.into_iter().map(|item| {
                    let item = match &of {
                        Some(of) => literals::held_as(item, of),
                        None => item,
                    };
                    let item = self.beside(item, other.as_ref(), true)?;
                    Ok(self.turned(item, other.as_ref(), schema))
                });
                let list = list.collect::<Result<Vec<_>>>()?;
                Transformed::yes(Expr::InList(InList { expr, list, negated }))
            }
            Expr::Between(Between { expr, negated, low, high }) => {
                let other = expr.get_type(schema).ok();
                let low = self.beside(*low, other.as_ref(), true)?;
                let high = self.beside(*high, other.as_ref(), true)?;
                let low = Box::new(self.turned(low, other.as_ref(), schema));
                let high = Box::new(self.turned(high, other.as_ref(), schema));
                Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
            }
            Expr::ScalarFunction(function) => Transformed::yes(self.function(function, schema)?),
            // A pattern sees the blanks behind a text that is filled up with them.
            Expr::Like(mut like) => {
                moments::fill_up(&mut like.expr, schema);
                Transformed::yes(Expr::Like(like))
            }
            Expr::Case(case) => self.case(case, schema)?,
            Expr::ScalarSubquery(subquery) => {
                Transformed::yes(Expr::ScalarSubquery(self.subquery(subquery, schema)?))
            }
            Expr::Exists(Exists { subquery, negated }) => {
                let subquery = self.subquery(subquery, schema)?;
                Transformed::yes(Expr::Exists(Exists { subquery, negated }))
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let subquery = self.subquery(subquery, schema)?;
                let (expr, subquery) = choices::compare_rows(expr, subquery, schema)?;
                Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated }))
            }
            Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
                let subquery = self.subquery(subquery, schema)?;
                let comparison = SetComparison { expr, subquery, op, quantifier };
                Transformed::yes(Expr::SetComparison(comparison))
            }
            other => Transformed::no(other),
        })
    }

    /// Brings the branches of a `CASE` to the type that they have in common.
    fn case(&mut self, case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let branches = case.when_then_expr.iter().map(|(_, then)| then.get_type(schema));
        let branches = branches.collect::<Result<Vec<_>>>()?;
        let last = case.else_expr.as_ref().map(|last| last.get_type(schema)).transpose()?;
        let common = get_coerce_type_for_case_expression(&branches, last.as_ref());
        let turns = self.is_local
            && common.as_ref().is_some_and(is_moment)
            && branches.iter().chain(&last).any(is_clock);
        let case = Expr::Case(case);
        let described = case.get_type(schema)?;
        // Branches that have nothing in common are refused where the plan is run.
        if common.is_none_or(|common| !differs(&described, &common)) && !turns {
            return Ok(Transformed::no(case));
        }
        self.changed = true;
        let settled = TypeCoercionRewriter::new(schema).f_up(case)?.data;
        settled.map_children(|expr| Ok(Transformed::yes(self.coerced(expr, schema)?)))
    }

    /// Brings the parts of a `UNION` to the types that they have in common.
    fn union(&mut self, union: Union) -> Result<LogicalPlan> {
        let union = self.choose_columns(union)?;
        let known = union.schema.fields();
        let settled = union.inputs.iter().all(|input| {
            let found = input.schema().fields().iter();
            found.zip(known).all(|(found, known)| {
                let (found, known) = (found.data_type(), known.data_type());
                // A union around this one would cut the digits that it does not know of.
                !differs(found, known) && (found == known || !found.is_decimal())
            })
        });
        if settled {
            return Ok(LogicalPlan::Union(union));
        }
        self.changed = true;
        // Inputs that have nothing in common are refused here as well as where the plan is run.
        let LogicalPlan::Union(union) = TypeCoercionRewriter::coerce_union(union)? else {
            return datafusion::common::internal_err!("a union stays one");
        };
        let inputs = union.inputs.into_iter().map(|input| {
            let (names, schema) = (NamePreserver::new(&input), merge_schema(&input.inputs()));
            let input = Arc::unwrap_or_clone(input).map_expressions(|expr| {
                let name = names.save(&expr);
                let literal =
                    expr.transform_up(|expr| Ok(Transformed::yes(self.coerced(expr, &schema)?)))?;
                Ok(literal.update_data(|expr| name.restore(expr)))
            });
            Ok(Arc::new(input.data()?))
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        Ok(LogicalPlan::Union(Union { inputs, schema: union.schema }))
    }

    fn subquery(&mut self, subquery: Subquery, outer: &DFSchema) -> Result<Subquery> {
        let Subquery { subquery, outer_ref_columns, spans } = subquery;
        let plan = Arc::unwrap_or_clone(subquery);
        let (plan, outer_ref_columns) = match self.changed && !outer_ref_columns.is_empty() {
            true => {
                let named = |expr: Expr| with_outer_types(expr, outer);
                let columns = outer_ref_columns.into_iter().map(|expr| named(expr).data());
                let columns = columns.collect::<Result<Vec<_>>>()?;
                let plan = plan.transform_up_with_subqueries(|node| node.map_expressions(named));
                (plan.data()?, columns)
            }
            false => (plan, outer_ref_columns),
        };
        let subquery = Arc::new(self.plan(plan)?);
        Ok(Subquery { subquery, outer_ref_columns, spans })
    }
}

/// Whether a node has expressions that [`settle`] changes.
fn is_concerned(node: &LogicalPlan) -> Result<bool> {
    let mut concerned = false;
    node.apply_expressions(|expr| {
        concerned = concerned
            || expr.exists(|expr| {
                Ok(match expr {
                    Expr::ScalarFunction(function) => matches!(
                        function.name(),
                        "date_trunc"
                            | "date_part"
                            | "extract"
                            | "concat"
                            | "concat_ws"
                            | "format"
                            | "quote_literal"
                            | "quote_nullable"
                            | "coalesce"
                            | "greatest"
                            | "least"
                            | "nullif"
                            | "age"
                            | "date_bin"
                            | "timezone"
                            | "sqrt"
                            | "exp"
                            | "ln"
                            | "log"
                            | "log10"
                            | "power"
                            | "gcd"
                            | "lcm"
                            | "to_json"
                            | "to_jsonb"
                            | "json_build_array"
                            | "jsonb_build_array"
                            | "json_build_object"
                            | "jsonb_build_object"
                            | "octet_length"
                    ),
                    // Days and points in time may meet.
                    Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                        compares(*op) && !is_literal(left) && !is_literal(right)
                    }
                    Expr::Between(between) => {
                        !is_literal(&between.low) || !is_literal(&between.high)
                    }
                    Expr::InList(found) => !found.list.iter().all(is_literal),
                    Expr::Cast(_)
                    | Expr::Literal(ScalarValue::Utf8(Some(_)), None)
                    | Expr::Case(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::SetComparison(_) => true,
                    _ => false,
                })
            })?;
        Ok(if concerned { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(concerned)
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}

/// Whether a client sees two types as different ones. Kinds of text it does not, and how many digits a number has may
/// depend on the parameters.
fn differs(one: &DataType, other: &DataType) -> bool {
    let same_kind = one.is_string() && other.is_string() || one.is_decimal() && other.is_decimal();
    !(same_kind || one.equals_datatype(other))
}

/// Gives a column of the outer query the type that it has now.
fn with_outer_types(expr: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(field, column) => {
            let found = outer.field_from_column(&column).ok().map(|found| found.data_type());
            Ok(match found.filter(|found| *found != field.data_type()) {
                Some(found) => {
                    let field: Field = field.as_ref().clone().with_data_type(found.clone());
                    Transformed::yes(Expr::OuterReferenceColumn(Arc::new(field), column))
                }
                None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
            })
        }
        other => Ok(Transformed::no(other)),
    })
}
