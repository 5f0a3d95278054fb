//! The types of a statement's parameters: what the client declared, what the plan needs, or text.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr as PlannedExpr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr, Statement, Value, VisitMut, VisitorMut, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::postgres::types::{format_type, pg_type_of};
use crate::error::Result;

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
        let _ = statement.visit(&mut Casts { lists });
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
}
