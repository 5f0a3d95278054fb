//! The types of a statement's parameters: what the client declared, what the plan needs, or text. And their values.
//!
//! PostgreSQL's `numeric` without a precision has every digit of its value, while a decimal has as many behind the point
//! as its type says. So a parameter of that type is planned as some decimal and takes the one that its value needs when
//! the value is there: a cast to plain `numeric` that stands around it would only cut it, and is left out. So it is with
//! arrays of that type.

mod shown;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::utils::list_ndims;
use datafusion::common::{DFSchema, ParamValues, Result as PlanResult, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Between, Cast, InList, Placeholder, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr as PlannedExpr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType as SqlType, ExactNumberInfo, Expr, Ident, Select,
    SelectItem, Statement, Value, Visit, VisitMut, Visitor, VisitorMut, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::postgres::types::{
    UUID_PARAMETER, arrow_type, field as column, format_type, is_text_of_uuid, pg_type_of,
};
use crate::error::Result;
pub(super) use shown::told_elsewhere;

/// The parameters of a statement that are cast to plain `numeric`, or to an array of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Numerics(HashSet<String>);

impl Numerics {
    pub(super) fn of(statement: &Statement) -> Self {
        let mut numerics = Self::default();
        // The visitor never breaks off.
        let _ = Visit::visit(statement, &mut numerics);
        numerics
    }

    /// Returns the parameter within a cast that it can do without.
    fn within<'a>(&self, expr: &'a PlannedExpr) -> Option<&'a str> {
        let PlannedExpr::Cast(Cast { expr, field }) = expr else { return None };
        let PlannedExpr::Placeholder(Placeholder { id, .. }) = expr.as_ref() else { return None };
        let to = leaf_of(field.data_type());
        (self.0.contains(id) && *to == arrow_type("numeric")).then_some(id.as_str())
    }
}

impl Visitor for Numerics {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr, data_type, .. } = expr
            && let Some(name) = placeholder(expr)
            && is_plain_numeric(data_type)
        {
            self.0.insert(name.to_owned());
        }
        ControlFlow::Continue(())
    }
}

/// The name of the parameter that an expression is.
fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(inner) => placeholder(inner),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// Tells whether a type is `numeric` without a precision, or an array of it.
fn is_plain_numeric(data_type: &SqlType) -> bool {
    match data_type {
        SqlType::Array(
            ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::AngleBracket(element),
        ) => is_plain_numeric(element),
        other => matches!(
            other,
            SqlType::Numeric(ExactNumberInfo::None)
                | SqlType::Decimal(ExactNumberInfo::None)
                | SqlType::Dec(ExactNumberInfo::None)
        ),
    }
}

/// The type of the elements of arrays, in however many dimensions; of other values their own.
fn leaf_of(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(element) => leaf_of(element.data_type()),
        other => other,
    }
}

/// Puts values in the place of the parameters of a plan.
pub(super) fn with_values(
    plan: LogicalPlan,
    numerics: &Numerics,
    values: Vec<ScalarValue>,
) -> Result<LogicalPlan> {
    let exact: HashSet<String> = values
        .iter()
        .enumerate()
        .filter(|(_, value)| !value.is_null() && leaf_of(&value.data_type()).is_decimal())
        .map(|(at, _)| format!("${}", at + 1))
        .collect();
    let plan = match exact.is_empty() || numerics.0.is_empty() {
        true => plan,
        false => without_casts(plan, numerics, &exact)?,
    };
    let plan = match values.iter().any(|value| list_ndims(&value.data_type()) > 1) {
        true => with_dimensions(plan, &values)?,
        false => plan,
    };
    Ok(plan.with_param_values(ParamValues::List(values.into_iter().map(Into::into).collect()))?)
}

/// Leaves out the casts around the parameters in `exact`. What type an expression then has is told by the values that are
/// put in next.
fn without_casts(
    plan: LogicalPlan,
    numerics: &Numerics,
    exact: &HashSet<String>,
) -> Result<LogicalPlan> {
    let bare = |expr: PlannedExpr| {
        let needless = numerics.within(&expr).is_some_and(|id| exact.contains(id));
        Ok(match expr {
            PlannedExpr::Cast(Cast { expr, field }) if needless => {
                Transformed::yes(with_type(*expr, field))
            }
            other => Transformed::no(other),
        })
    };
    with_expressions(plan, bare)
}

/// Changes each part of each expression of a plan, which keeps its name.
fn with_expressions(
    plan: LogicalPlan,
    change: impl Fn(PlannedExpr) -> PlanResult<Transformed<PlannedExpr>>,
) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(&change)?.update_data(|expr| name.restore(expr)))
        })
    });
    Ok(plan.data()?)
}

/// Gives the casts around parameters as many dimensions as their values have: PostgreSQL's types do not tell of them.
fn with_dimensions(plan: LogicalPlan, values: &[ScalarValue]) -> Result<LogicalPlan> {
    let dimensions = |id: &str| {
        let at = id.strip_prefix('$').and_then(|at| at.parse::<usize>().ok()?.checked_sub(1));
        at.and_then(|at| values.get(at)).map_or(0, |value| list_ndims(&value.data_type()))
    };
    let deep = |expr: PlannedExpr| {
        let (expr, field) = match expr {
            PlannedExpr::Cast(Cast { expr, field }) => (expr, field),
            other => return Ok(Transformed::no(other)),
        };
        let given = match expr.as_ref() {
            PlannedExpr::Placeholder(parameter) => dimensions(&parameter.id),
            PlannedExpr::Cast(inner) => list_ndims(inner.field.data_type()),
            _ => 0,
        };
        let known = list_ndims(field.data_type());
        if known == 0 || given <= known {
            return Ok(Transformed::no(PlannedExpr::Cast(Cast { expr, field })));
        }
        let known = (known..given)
            .fold(field.data_type().clone(), |inner, _| DataType::new_list(inner, true));
        let field = Arc::new(field.as_ref().clone().with_data_type(known));
        Ok(Transformed::yes(PlannedExpr::Cast(Cast { expr, field })))
    };
    with_expressions(plan, deep)
}

/// Keeps the type at a parameter: without one it is looked for in what stands beside the parameter, among the columns that
/// the node gives, where a column that it takes may not be.
fn with_type(expr: PlannedExpr, field: FieldRef) -> PlannedExpr {
    match expr {
        PlannedExpr::Placeholder(Placeholder { id, field: None }) => {
            PlannedExpr::Placeholder(Placeholder { id, field: Some(field) })
        }
        other => other,
    }
}

/// Casts parameters to the types that they were declared with: nothing else tells the planner what `$1 + 1` is.
pub(super) fn with_declared_types(
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Statement> {
    let mut types = HashMap::new();
    for (at, data_type) in declared.iter().enumerate() {
        let Some(data_type) = data_type.as_ref().filter(|declared| is_telling(declared)) else {
            continue;
        };
        // Without a modifier: a numeric keeps the digits that it comes with.
        let (pg_type, _) = pg_type_of(&declared_as(data_type));
        let name = format_type(i64::from(pg_type.oid), -1);
        let mut parser = Parser::new(&PostgreSqlDialect {});
        parser = parser.try_with_sql(&name).map_err(sql_error)?;
        types.insert(format!("${}", at + 1), parser.parse_data_type().map_err(sql_error)?);
    }
    let mut statement = statement.clone();
    if !types.is_empty() {
        // The visitor never breaks off.
        let _ = VisitMut::visit(&mut statement, &mut Casts { types });
    }
    Ok(statement)
}

/// Tells whether a type says what a value is. A text may be the text of anything.
fn is_telling(declared: &DataType) -> bool {
    declared.is_numeric()
        || declared.is_temporal()
        || matches!(declared, DataType::Boolean | DataType::Binary | DataType::List(_))
        || *declared == UUID_PARAMETER
}

/// Returns the parameter that a declared type stands for.
fn declared_as(declared: &DataType) -> Field {
    match declared {
        uuid if *uuid == UUID_PARAMETER => column("", "uuid"),
        DataType::List(element) if *element.data_type() == UUID_PARAMETER => column("", "_uuid"),
        other => Field::new("", other.clone(), true),
    }
}

fn sql_error(error: datafusion::sql::sqlparser::parser::ParserError) -> DataFusionError {
    DataFusionError::SQL(Box::new(error), None)
}

struct Casts {
    types: HashMap<String, SqlType>,
}

impl VisitorMut for Casts {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        // A parameter gives its column no name, and its cast must not either.
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && placeholder(expr).is_some()
            {
                let expr = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                let alias = Ident::with_quote('"', "?column?");
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr: inner, .. } = expr
            && let Some(bare) = self.without_cast(inner)
        {
            **inner = bare;
        } else if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
            && let Some(data_type) = self.types.get(name)
        {
            *expr = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(expr.clone()),
                data_type: data_type.clone(),
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    }
}

impl Casts {
    /// Returns the parameter that was cast, if that is all that an expression is.
    fn without_cast(&self, expr: &Expr) -> Option<Expr> {
        match expr {
            Expr::Nested(inner) => self.without_cast(inner),
            Expr::Cast { expr: inner, data_type, .. } => {
                let name = placeholder(inner)?;
                let ours = self.types.get(name) == Some(data_type);
                ours.then(|| inner.as_ref().clone())
            }
            _ => None,
        }
    }
}

/// Returns each parameter of a statement: of the type that was declared, that the plan needs, or text.
pub(super) fn fields_of(
    plan: &LogicalPlan,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Vec<FieldRef>> {
    let mut inferred = plan.get_parameter_fields()?;
    // What is compared with a parameter alone is told to be null.
    for field in inferred.values_mut() {
        field.take_if(|field| field.data_type().is_null());
    }
    for (name, field) in used(plan)? {
        inferred.entry(name).or_default().get_or_insert(field);
    }
    // Parts of a statement that are never evaluated are in no plan, and a client binds their parameters all the same.
    let count = last_parameter(statement).max(declared.len());
    let open = || Field::new("", DataType::Utf8, true);
    let wanted = |at: usize| inferred.get(&format!("${}", at + 1)).cloned().flatten();
    let is_read =
        |field: &FieldRef| matches!(field.data_type(), DataType::List(_)) || is_text_of_uuid(field);
    let field_of = |at: usize| {
        let field = match declared.get(at).cloned().flatten() {
            // The text of an array is read as one, and that of a uuid.
            Some(DataType::Utf8) if wanted(at).is_some_and(|field| is_read(&field)) => wanted(at)
                .map_or_else(open, |field| as_sent(field.as_ref().clone().with_nullable(true))),
            Some(declared) => declared_as(&declared),
            None => match wanted(at) {
                Some(inferred) => as_sent(inferred.as_ref().clone().with_nullable(true)),
                None => open(),
            },
        };
        Arc::new(field)
    };
    Ok((0..count).map(field_of).collect())
}

/// Returns a parameter that is what a column is: its text is sent as any other.
fn as_sent(column: Field) -> Field {
    let field = column.with_name("");
    match field.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => field.with_data_type(DataType::Utf8),
        _ => field,
    }
}

/// Returns the number of the last parameter that is written in a statement.
fn last_parameter(statement: &Statement) -> usize {
    let mut last = 0;
    // The visitor never breaks off.
    let _: ControlFlow<()> = visit_expressions(statement, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            last = last.max(name.trim_start_matches('$').parse().unwrap_or(0));
        }
        ControlFlow::Continue(())
    });
    last
}

/// The parameters whose type only their use tells: a cast, `LIMIT $1`, or `x = ANY($1)`, a list of what is compared with
/// them.
fn used(plan: &LogicalPlan) -> Result<Vec<(String, FieldRef)>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let counts = matches!(node, LogicalPlan::Limit(_));
        node.apply_expressions(|expr| {
            if let PlannedExpr::Placeholder(Placeholder { id, field: None }) = expr
                && counts
            {
                found.push((id.clone(), Arc::new(Field::new("", DataType::Int64, true))));
            }
            expr.apply(|expr| {
                match expr {
                    PlannedExpr::Placeholder(placeholder) => {
                        let typed = placeholder.field.iter();
                        let typed = typed.filter(|field| !field.data_type().is_null());
                        found
                            .extend(typed.map(|field| (placeholder.id.clone(), Arc::clone(field))));
                    }
                    PlannedExpr::Cast(cast) => {
                        if let PlannedExpr::Placeholder(placeholder) = cast.expr.as_ref() {
                            found.push((placeholder.id.clone(), Arc::clone(&cast.field)));
                        }
                    }
                    PlannedExpr::ScalarFunction(function) if function.name() == "array_has" => {
                        if let [PlannedExpr::Placeholder(list), item] = function.args.as_slice()
                            && let Ok((_, item)) = item.to_field(&schema)
                        {
                            found.push((list.id.clone(), list_of(&item)));
                        }
                    }
                    PlannedExpr::ScalarFunction(function) => found.extend(taken(function, &schema)),
                    PlannedExpr::InList(InList { expr, list, .. }) => {
                        let all = || std::iter::once(expr.as_ref()).chain(list);
                        // What tells the type of one of them tells it of all: it is looked for once, as there may be many.
                        let told = all()
                            .find(|value| open(value).is_some())
                            .and_then(|value| compared(value, &mut all(), &schema));
                        if let Some((_, field)) = told {
                            let ids = all().filter_map(open);
                            found.extend(ids.map(|id| (id, Arc::clone(&field))));
                        }
                    }
                    PlannedExpr::Between(Between { expr, low, high, .. }) => {
                        let bounds = [low.as_ref(), high.as_ref()];
                        found.extend(compared(expr, &mut bounds.into_iter(), &schema));
                    }
                    PlannedExpr::Case(case) if case.expr.is_none() => {
                        let conditions =
                            case.when_then_expr.iter().filter_map(|(when, _)| open(when));
                        let boolean = || Arc::new(Field::new("", DataType::Boolean, true));
                        found.extend(conditions.map(|id| (id, boolean())));
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The name of a parameter whose type nothing told yet.
fn open(expr: &PlannedExpr) -> Option<String> {
    match expr {
        PlannedExpr::Placeholder(Placeholder { id, field }) => {
            let is_open = field.as_ref().is_none_or(|field| field.data_type().is_null());
            is_open.then(|| id.clone())
        }
        _ => None,
    }
}

/// A parameter that is compared with others, as in `$1 BETWEEN a AND b`: it is what they are, of whole numbers the widest. Of
/// decimals each has its own digits, and is sent as text.
fn compared(
    value: &PlannedExpr,
    others: &mut dyn Iterator<Item = &PlannedExpr>,
    schema: &DFSchema,
) -> Option<(String, FieldRef)> {
    let id = open(value)?;
    let fields = others.filter_map(|other| Some(other.to_field(schema).ok()?.1));
    let fields: Vec<FieldRef> = fields.filter(|field| !field.data_type().is_null()).collect();
    let is_sent_as_text = |data_type: &DataType| data_type.is_string() || data_type.is_decimal();
    if fields.iter().any(|field| is_sent_as_text(field.data_type())) {
        return None;
    }
    let widest = fields.into_iter().max_by_key(|field| field.data_type().primitive_width())?;
    Some((id, widest))
}

/// The list of values that are compared with one. It holds uuids if that is one; a client takes other texts as texts.
fn list_of(item: &Field) -> FieldRef {
    let list = match item.data_type() {
        DataType::Null => DataType::new_list(DataType::Utf8, true),
        text if text.is_string() && pg_type_of(item).0.name == "uuid" => arrow_type("_uuid"),
        text if text.is_string() => DataType::new_list(DataType::Utf8, true),
        other => DataType::new_list(other.clone(), true),
    };
    Arc::new(Field::new("", list, true))
}

/// The parameters that stand where a function takes a whole number or a boolean, as in `pg_advisory_lock($1)`.
fn taken(function: &ScalarFunction, schema: &DFSchema) -> Vec<(String, FieldRef)> {
    if !function.args.iter().any(|arg| open(arg).is_some()) {
        return Vec::new();
    }
    let fields = function.args.iter().map(|arg| Ok(arg.to_field(schema)?.1));
    let Ok(fields) = fields.collect::<Result<Vec<FieldRef>>>() else { return Vec::new() };
    // A function that cannot be called so says it when the statement is run.
    let Ok(wanted) = fields_with_udf(&fields, function.func.as_ref()) else { return Vec::new() };
    let named = function.args.iter().zip(wanted).filter_map(|(arg, field)| {
        let (id, data_type) = (open(arg)?, field.data_type().clone());
        let typed = data_type.is_integer() || data_type == DataType::Boolean;
        typed.then(|| (id, Arc::new(Field::new("", data_type, true))))
    });
    named.collect()
}

#[cfg(test)]
mod tests;
