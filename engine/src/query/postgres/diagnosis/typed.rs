//! Types that do not go together, and texts that are no values of the type they are taken for.

use std::cell::LazyCell;

use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as PlanResult, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Case, Cast, InList};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Union};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::values::fault_of;
use super::{About, Fault, levels};
use crate::query::postgres::comparisons::compares;
use crate::query::postgres::subqueries::has_subquery;
use crate::query::postgres::types::{self, TYPE_KEY};
use crate::query::postgres::unknown::is_bytes;

const CAST_ONE: &str = "Cast one of the two to the type of the other: CAST(value AS type).";

/// Types whose values can be held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Number,
    Truth,
    Time,
}

/// The class of a column; `None` for types that have operators of their own.
fn class(field: &Field) -> Option<Class> {
    let base = logical(field).unwrap_or_default().split('(').next().unwrap_or_default();
    let plain = ["", "text", "varchar", "bpchar", "name", "numeric", "bool", "date"];
    let plain = plain.contains(&base) || base.starts_with("timestamp") || base.starts_with("float");
    let whole = ["int2", "int4", "int8"].contains(&base);
    if !plain && !whole {
        return None;
    }
    match field.data_type() {
        text if text.is_string() => Some(Class::Text),
        number if number.is_numeric() => Some(Class::Number),
        DataType::Boolean => Some(Class::Truth),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Some(Class::Time),
        _ => None,
    }
}

/// The text of a literal of unknown type, which takes the type of what it stands beside.
fn unknown(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
            Some(text)
        }
        Expr::Alias(alias) => unknown(&alias.expr),
        _ => None,
    }
}

/// What is known of the type of an expression: nothing of literals of unknown type, of null and of parameters.
fn known(expr: &Expr, schema: &DFSchema) -> Option<FieldRef> {
    if unknown(expr).is_some() || matches!(expr, Expr::Placeholder(_)) {
        return None;
    }
    let (_, field) = expr.to_field(schema).ok()?;
    (!field.data_type().is_null()).then_some(field)
}

/// The name of a type as PostgreSQL says it.
fn name_of(expr: Option<&Expr>, field: &Field) -> String {
    if let Some(Expr::Literal(ScalarValue::Int64(Some(number)), _)) = expr
        && i32::try_from(*number).is_ok()
    {
        return "integer".to_owned();
    }
    types::pg_type_of(field).0.display.clone()
}

/// Refuses an operator whose sides are of types that it does not take.
pub(in crate::query::postgres) fn check_operator(
    op: &BinaryOperator,
    left: &Expr,
    right: &Expr,
    schema: &DFSchema,
) -> PlanResult<()> {
    use BinaryOperator as Op;
    let compares = matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq);
    if !compares && !matches!(op, Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo) {
        return Ok(());
    }
    let (Some(one), Some(other)) = (known(left, schema), known(right, schema)) else {
        return Ok(());
    };
    let (Some(first), Some(second)) = (class(&one), class(&other)) else { return Ok(()) };
    let refused = if compares {
        first != second
    } else {
        [first, second].iter().any(|class| matches!(class, Class::Text | Class::Truth))
    };
    if !refused {
        return Ok(());
    }
    let message = format!(
        "operator does not exist: {} {op} {}",
        name_of(Some(left), &one),
        name_of(Some(right), &other)
    );
    let column = |side: &Expr| match side {
        Expr::Column(column) => Some(column.name.clone()),
        _ => None,
    };
    let about =
        About::Operator { operator: op.to_string(), left: column(left), right: column(right) };
    Err(Fault::new("42883", message, CAST_ONE).about(about).unlocated())
}

/// Refuses a plan in which values that stand for one another, as those of `CASE` and `UNION` do, have types that do not
/// go together. Once types are settled nothing tells of it.
///
/// # Errors
/// A [`Fault`], for [`super::explain`].
pub(in crate::query) fn check_choices(plan: &LogicalPlan) -> PlanResult<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            check_union(union)?;
        }
        each_part(node, choice_fault)
    })?;
    Ok(())
}

/// Refuses a plan whose types do not go together, before the planner casts what it can.
///
/// # Errors
/// A [`Fault`], for [`super::explain`].
pub(in crate::query) fn check_plan(plan: &LogicalPlan) -> PlanResult<()> {
    plan.apply_with_subqueries(|node| each_part(node, part_fault))?;
    Ok(())
}

/// The columns that expressions of a node read. Made only where a type is asked for: they are as many as all inputs have.
type Columns<'a> = LazyCell<DFSchema, Box<dyn FnOnce() -> DFSchema + 'a>>;

/// Looks for a fault in each part of each expression of one node.
fn each_part(
    node: &LogicalPlan,
    fault_in: fn(&Expr, &Columns<'_>) -> Option<Fault>,
) -> PlanResult<TreeNodeRecursion> {
    let schema: Columns<'_> = LazyCell::new(Box::new(|| merge_schema(&node.inputs())));
    node.apply_expressions(|expr| {
        expr.apply(|part| match fault_in(part, &schema) {
            None => Ok(TreeNodeRecursion::Continue),
            Some(fault) => Err(fault.unlocated()),
        })
    })
}

fn part_fault(part: &Expr, schema: &Columns<'_>) -> Option<Fault> {
    match part {
        Expr::Cast(cast) => match unknown(&cast.expr) {
            Some(text) => fault_of(text, cast.field.data_type(), logical(&cast.field)),
            None => cast_fault(cast, schema),
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if compares(*op) && (unknown(left).is_some() || unknown(right).is_some()) =>
        {
            text_fault(right, left, schema).or_else(|| text_fault(left, right, schema))
        }
        Expr::InList(InList { expr, list, .. })
            if list.iter().any(|item| unknown(item).is_some()) =>
        {
            list.iter().find_map(|item| text_fault(item, expr, schema))
        }
        // DataFusion would take bytes for letters.
        Expr::AggregateFunction(call)
            if call.func.name() == "string_agg"
                && call.params.args.first().is_some_and(|given| {
                    given.get_type(&**schema).is_ok_and(|found| is_bytes(&found))
                }) =>
        {
            let hint = "Aggregate digits: decode(string_agg(encode(data, 'hex'), ''), 'hex').";
            Some(Fault::new("0A000", "string_agg() of bytea is not supported", hint))
        }
        // One that was written into the statement gathers rows of its subquery.
        Expr::AggregateFunction(call)
            if call.func.name() != "array_agg"
                && part.contains_outer()
                && !part.any_column_refs()
                && !has_subquery(part) =>
        {
            Some(Fault::new("0A000", levels::MESSAGE, levels::HINT))
        }
        _ => None,
    }
}

fn choice_fault(part: &Expr, schema: &Columns<'_>) -> Option<Fault> {
    match part {
        Expr::Case(Case { when_then_expr, else_expr, .. }) => {
            let results: Vec<&Expr> = when_then_expr
                .iter()
                .map(|(_, then)| then.as_ref())
                .chain(else_expr.iter().map(AsRef::as_ref))
                .collect();
            match_fault("CASE", &results, schema)
        }
        Expr::ScalarFunction(call) if matches!(call.name(), "coalesce" | "greatest" | "least") => {
            let arguments: Vec<&Expr> = call.args.iter().collect();
            match_fault(&call.name().to_uppercase(), &arguments, schema)
        }
        Expr::ScalarFunction(call) if call.name() == "make_array" => {
            let elements: Vec<&Expr> = call.args.iter().collect();
            match_fault("ARRAY", &elements, schema)
        }
        _ => None,
    }
}

/// What is wrong with a text as a value of the type of what it stands beside.
fn text_fault(literal: &Expr, beside: &Expr, schema: &DFSchema) -> Option<Fault> {
    let text = unknown(literal)?;
    let field = known(beside, schema)?;
    if types::is_text_of_uuid(&field) {
        return fault_of(text, field.data_type(), logical(&field));
    }
    class(&field)?;
    fault_of(text, field.data_type(), None)
}

fn logical(field: &Field) -> Option<&str> {
    field.metadata().get(TYPE_KEY).map(String::as_str)
}

fn cast_fault(cast: &Cast, schema: &DFSchema) -> Option<Fault> {
    let to = cast.field.data_type();
    if let Expr::Literal(ScalarValue::Int64(Some(number)), _) = cast.expr.as_ref() {
        let fits = match to {
            DataType::Int32 => i32::try_from(*number).is_ok(),
            DataType::Int16 => i16::try_from(*number).is_ok(),
            _ => true,
        };
        let name = name_of(None, &cast.field);
        let hint = "Use bigint or numeric for larger numbers.";
        return (!fits).then(|| Fault::new("22003", format!("{name} out of range"), hint));
    }
    let (_, from) = cast.expr.to_field(schema).ok()?;
    if from.data_type().is_nested() || to.is_nested() || can_cast_types(from.data_type(), to) {
        return None;
    }
    let message =
        format!("cannot cast type {} to {}", name_of(None, &from), name_of(None, &cast.field));
    let hint = "Cast to text first if its text is what is meant, or compute the value with CASE.";
    Some(Fault::new("42846", message, hint).about(About::Cast))
}

/// What is wrong with values of which one is chosen: they must be of one type.
fn match_fault(what: &str, values: &[&Expr], schema: &DFSchema) -> Option<Fault> {
    let mut first: Option<(FieldRef, Class)> = None;
    for (index, value) in values.iter().enumerate() {
        let Some(field) = known(value, schema) else { continue };
        let class = class(&field)?;
        match &first {
            None => first = Some((field, class)),
            Some((_, before)) if *before == class => {}
            Some((before, _)) => {
                let message = format!(
                    "{what} types {} and {} cannot be matched",
                    name_of(None, before),
                    name_of(Some(value), &field)
                );
                let about = About::Argument { function: what.to_lowercase(), index };
                return Some(Fault::new("42804", message, CAST_ONE).about(about));
            }
        }
    }
    let (field, _) = first?;
    values.iter().find_map(|value| fault_of(unknown(value)?, field.data_type(), None))
}

fn check_union(union: &Union) -> PlanResult<()> {
    for index in 0..union.schema.fields().len() {
        let mut first: Option<(FieldRef, Class)> = None;
        for input in &union.inputs {
            if is_unknown_column(input, index) {
                continue;
            }
            let Some(field) = input.schema().fields().get(index) else { continue };
            let Some(class) = class(field) else { break };
            match &first {
                None => first = Some((field.clone(), class)),
                Some((_, before)) if *before == class => {}
                Some((before, _)) => return Err(union_fault(before, field, index)),
            }
        }
    }
    Ok(())
}

fn union_fault(before: &Field, field: &Field, index: usize) -> DataFusionError {
    let message = format!(
        "UNION types {} and {} cannot be matched",
        name_of(None, before),
        name_of(None, field)
    );
    let hint =
        "Columns are matched by position: put them into the same order, or cast one of the two.";
    Fault::new("42804", message, hint).about(About::UnionColumn(index)).unlocated()
}

/// Whether a column of an input is a literal of unknown type, or null.
fn is_unknown_column(input: &LogicalPlan, index: usize) -> bool {
    match input {
        LogicalPlan::Projection(projection) => projection.expr.get(index).is_some_and(|expr| {
            unknown(expr).is_some()
                || matches!(expr.clone().unalias(), Expr::Literal(value, _) if value.is_null())
        }),
        LogicalPlan::SubqueryAlias(alias) => is_unknown_column(&alias.input, index),
        LogicalPlan::Sort(sort) => is_unknown_column(&sort.input, index),
        LogicalPlan::Limit(limit) => is_unknown_column(&limit.input, index),
        LogicalPlan::Distinct(Distinct::All(input)) => is_unknown_column(input, index),
        _ => false,
    }
}
