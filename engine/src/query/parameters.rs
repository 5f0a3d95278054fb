//! The types of a statement's parameters: what the client declared, what the plan needs, or text.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr as PlannedExpr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr, Statement, Value, VisitMut, VisitorMut,
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

/// Returns the type of each parameter: as declared, as the plan needs it, or text.
pub(super) fn types_of(plan: &LogicalPlan, declared: &[Option<DataType>]) -> Result<Vec<DataType>> {
    let mut inferred = plan.get_parameter_types()?;
    for (name, data_type) in lists_of(plan)? {
        inferred.entry(name).or_default().get_or_insert(data_type);
    }
    let numbers =
        inferred.keys().filter_map(|name| name.trim_start_matches('$').parse::<usize>().ok());
    let count = numbers.max().unwrap_or(0).max(declared.len());
    let type_of = |at: usize| {
        let declared = declared.get(at).cloned().flatten();
        declared
            .or_else(|| inferred.get(&format!("${}", at + 1)).cloned().flatten())
            .unwrap_or(DataType::Utf8)
    };
    Ok((0..count).map(type_of).collect())
}

/// The parameters of `x = ANY($1)` that nobody declared: lists of what is compared with them.
fn lists_of(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>> {
    let mut lists = Vec::new();
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let PlannedExpr::ScalarFunction(function) = expr
                    && function.name() == "array_has"
                    && let [PlannedExpr::Placeholder(list), item] = function.args.as_slice()
                    && list.field.is_none()
                    && let Ok(item) = item.get_type(&schema)
                {
                    let item = match item {
                        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
                        other => other,
                    };
                    lists.push((list.id.clone(), DataType::new_list(item, true)));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(lists)
}
