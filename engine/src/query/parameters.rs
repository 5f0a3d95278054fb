//! The types of a statement's parameters: what the client declared, what the plan needs, or text. And their values.
//!
//! PostgreSQL's `numeric` without a precision has every digit of its value, while a decimal has as many behind the point
//! as its type says. So a parameter of that type is planned as some decimal and takes the one that its value needs when
//! the value is there: a cast to plain `numeric` that stands around it would only cut it, and is left out.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Cast, Placeholder, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr as PlannedExpr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, ExactNumberInfo, Expr, Statement, Value, Visit, VisitMut,
    Visitor, VisitorMut, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::postgres::types::{arrow_type, format_type, pg_type_of};
use crate::error::Result;

/// The parameters of a statement that are cast to plain `numeric`.
#[derive(Debug, Clone, Default)]
pub(super) struct Numerics(Vec<String>);

impl Numerics {
    pub(super) fn of(statement: &Statement) -> Self {
        let mut numerics = Self::default();
        // The visitor never breaks off.
        let _ = Visit::visit(statement, &mut numerics);
        numerics
    }

    fn type_of(&self, parameter: &str) -> Option<DataType> {
        self.0.iter().any(|name| name == parameter).then(|| arrow_type("numeric"))
    }

    /// Returns the parameter within a cast that it can do without.
    fn within<'a>(&self, expr: &'a PlannedExpr) -> Option<&'a str> {
        let PlannedExpr::Cast(Cast { expr, field }) = expr else { return None };
        let PlannedExpr::Placeholder(Placeholder { id, .. }) = expr.as_ref() else { return None };
        (self.type_of(id).as_ref() == Some(field.data_type())).then_some(id.as_str())
    }
}

impl Visitor for Numerics {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr, data_type, .. } = expr
            && let Some(name) = placeholder(expr)
            && is_plain_numeric(data_type)
        {
            self.0.push(name.to_owned());
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

/// Tells whether a type is `numeric` without a precision.
fn is_plain_numeric(data_type: &SqlType) -> bool {
    matches!(
        data_type,
        SqlType::Numeric(ExactNumberInfo::None)
            | SqlType::Decimal(ExactNumberInfo::None)
            | SqlType::Dec(ExactNumberInfo::None)
    )
}

/// Puts values in the place of the parameters of a plan.
pub(super) fn with_values(
    plan: LogicalPlan,
    numerics: &Numerics,
    values: Vec<ScalarValue>,
) -> Result<LogicalPlan> {
    let exact: Vec<String> = values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.data_type().is_decimal())
        .map(|(at, _)| format!("${}", at + 1))
        .collect();
    let plan = match exact.is_empty() || numerics.0.is_empty() {
        true => plan,
        false => without_casts(plan, numerics, &exact)?,
    };
    Ok(plan.with_param_values(ParamValues::List(values.into_iter().map(Into::into).collect()))?)
}

/// Leaves out the casts around the parameters in `exact`. What type an expression then has is told by the values that are
/// put in next.
fn without_casts(plan: LogicalPlan, numerics: &Numerics, exact: &[String]) -> Result<LogicalPlan> {
    let bare = |expr: PlannedExpr| {
        let needless = numerics.within(&expr).is_some_and(|id| exact.iter().any(|name| name == id));
        Ok(match expr {
            PlannedExpr::Cast(Cast { expr, .. }) if needless => Transformed::yes(*expr),
            other => Transformed::no(other),
        })
    };
    let plan = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(bare)?.update_data(|expr| name.restore(expr)))
        })
    });
    Ok(plan.data()?)
}

/// Casts parameters that were declared as lists to their type: `= ANY($1)` does not tell it to the planner.
pub(super) fn with_list_types(
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Statement> {
    let mut lists = Vec::new();
    for (at, data_type) in declared.iter().enumerate() {
        if let Some(data_type @ DataType::List(_)) = data_type {
            let (pg_type, modifier) = pg_type_of(&Field::new("", data_type.clone(), true));
            let name = format_type(i64::from(pg_type.oid), i64::from(modifier));
            let mut parser = Parser::new(&PostgreSqlDialect {});
            parser = parser.try_with_sql(&name).map_err(sql_error)?;
            lists.push((format!("${}", at + 1), parser.parse_data_type().map_err(sql_error)?));
        }
    }
    let mut statement = statement.clone();
    if !lists.is_empty() {
        // The visitor never breaks off.
        let _ = VisitMut::visit(&mut statement, &mut Casts { lists });
    }
    Ok(statement)
}

fn sql_error(error: datafusion::sql::sqlparser::parser::ParserError) -> DataFusionError {
    DataFusionError::SQL(Box::new(error), None)
}

struct Casts {
    lists: Vec<(String, SqlType)>,
}

impl VisitorMut for Casts {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        if let Some((_, data_type)) = self.lists.iter().find(|(list, _)| list == name) {
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

/// Returns each parameter of a statement: of the type that was declared, that the plan needs, or text.
pub(super) fn fields_of(
    plan: &LogicalPlan,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Vec<FieldRef>> {
    let mut inferred = plan.get_parameter_fields()?;
    for (name, field) in used(plan)? {
        inferred.entry(name).or_default().get_or_insert(field);
    }
    // Parts of a statement that are never evaluated are in no plan, and a client binds their parameters all the same.
    let count = last_parameter(statement).max(declared.len());
    let open = || Field::new("", DataType::Utf8, true);
    let field_of = |at: usize| {
        let field = match declared.get(at).cloned().flatten() {
            Some(declared) => open().with_data_type(declared),
            None => match inferred.get(&format!("${}", at + 1)).cloned().flatten() {
                Some(inferred) => inferred.as_ref().clone().with_name("").with_nullable(true),
                None => open(),
            },
        };
        Arc::new(field)
    };
    Ok((0..count).map(field_of).collect())
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

/// The parameters whose type only their use tells: a cast, or `x = ANY($1)`, a list of what is compared with them.
fn used(plan: &LogicalPlan) -> Result<Vec<(String, FieldRef)>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    PlannedExpr::Placeholder(placeholder) => {
                        let typed = placeholder.field.iter();
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
                            && let Ok(item) = item.get_type(&schema)
                        {
                            let item = match item {
                                DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => {
                                    DataType::Utf8
                                }
                                other => other,
                            };
                            let list_type = DataType::new_list(item, true);
                            let field = Arc::new(Field::new("", list_type, true));
                            found.push((list.id.clone(), field));
                        }
                    }
                    PlannedExpr::ScalarFunction(function) => found.extend(taken(function, &schema)),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The parameters that stand where a function takes a whole number or a boolean, as in `pg_advisory_lock($1)`.
fn taken(function: &ScalarFunction, schema: &DFSchema) -> Vec<(String, FieldRef)> {
    let open = |arg: &PlannedExpr| match arg {
        PlannedExpr::Placeholder(placeholder) if placeholder.field.is_none() => {
            Some(placeholder.id.clone())
        }
        _ => None,
    };
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
mod tests {
    use arrow::util::display::array_value_to_string;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use datafusion::sql::parser::Statement as ParsedStatement;

    use super::*;
    use crate::query::planner::parse_one;

    #[test]
    fn counts_the_parameters_that_are_written() {
        let check = |sql: &str, last: usize| {
            assert_eq!(last_parameter(&parse_one(sql).unwrap()), last, "{sql}");
        };
        check("SELECT 1", 0);
        check("SELECT $2::int FROM t WHERE a IN (SELECT $11)", 11);
    }

    /// Plans a text for parameters of these types, and returns the types that are found and the first value of its answer.
    async fn answer(
        sql: &str,
        declared: &[Option<DataType>],
        values: Vec<ScalarValue>,
    ) -> (Vec<DataType>, String) {
        let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        let statement = with_list_types(&statement, declared).unwrap();
        let mut config = SessionConfig::new();
        config.options_mut().sql_parser.parse_float_as_decimal = true;
        let context = SessionContext::new_with_config(config);
        let parsed = ParsedStatement::Statement(Box::new(statement.clone()));
        let plan = context.state().statement_to_plan(parsed).await.unwrap();
        let numerics = Numerics::of(&statement);
        let fields = fields_of(&plan, &statement, declared).unwrap();
        let types = fields.iter().map(|field| field.data_type().clone()).collect();
        let plan = with_values(plan, &numerics, values).unwrap();
        let batches = context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
        (types, array_value_to_string(batches[0].column(0), 0).unwrap())
    }

    #[tokio::test]
    async fn a_numeric_keeps_the_digits_that_it_comes_with() {
        let numeric = arrow_type("numeric");
        let value = ScalarValue::Decimal128(Some(123_456_789_012), 12, 12);
        for (sql, expected) in [
            ("SELECT $1::numeric", "0.123456789012"),
            ("SELECT CAST(($1) AS decimal)", "0.123456789012"),
            ("SELECT $1::numeric + 1", "1.123456789012"),
            ("SELECT x FROM (SELECT $1::numeric AS x) WHERE x = 0.123456789012", "0.123456789012"),
            (
                "SELECT max($1::numeric) FROM (VALUES (1), (2)) GROUP BY $1::numeric",
                "0.123456789012",
            ),
            // With a precision it is another type.
            ("SELECT $1::numeric(12,2)", "0.12"),
            ("SELECT $1::numeric::numeric(12,2)", "0.12"),
        ] {
            for declared in [vec![], vec![Some(numeric.clone())]] {
                let (_, found) = answer(sql, &declared, vec![value.clone()]).await;
                assert_eq!(found, expected, "{sql}, {declared:?}");
            }
        }
        let (types, _) = answer("SELECT $1::numeric", &[], vec![value.clone()]).await;
        assert_eq!(types, [numeric], "the cast tells the type");
    }
}
