//! Arrays of several dimensions that are made rows of: there is a row for each of their elements.

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::{Result, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Unnest};

use super::Types;
use crate::query::postgres::functions::{flat, has_dimensions};

/// Functions whose lists within lists are rows of lists.
const ROWS_OF_LISTS: [&str; 1] = ["regexp_all_matches"];

impl Types {
    /// Gives each element of an array a row, in however many dimensions it is.
    pub(super) fn unnest(&mut self, unnest: Unnest) -> Result<LogicalPlan> {
        let LogicalPlan::Projection(below) = unnest.input.as_ref() else {
            return Ok(LogicalPlan::Unnest(unnest));
        };
        let schema = unnest.input.schema();
        let concerned = |at: usize| {
            has_dimensions(schema.field(at).data_type())
                && unnest.list_type_columns.iter().any(|(list, to)| *list == at && to.depth == 1)
                && !below.expr.get(at).is_some_and(gives_lists)
        };
        if !(0..below.expr.len()).any(concerned) {
            return Ok(LogicalPlan::Unnest(unnest));
        }
        let lists = below.expr.iter().enumerate().map(|(at, expr)| {
            let expr = expr.clone();
            if concerned(at) { flattened(expr, schema.qualified_field(at)) } else { expr }
        });
        let input = LogicalPlanBuilder::from(below.input.as_ref().clone()).project(lists)?;
        self.changed = true;
        let columns = unnest.exec_columns.clone();
        input.unnest_columns_with_options(columns, unnest.options.clone())?.build()
    }
}

/// A list as one of its elements, by the name that it has.
fn flattened(list: Expr, (relation, field): (Option<&TableReference>, &FieldRef)) -> Expr {
    match list {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(flat(*alias.expr));
            Expr::Alias(alias)
        }
        other => flat(other).alias_qualified(relation.cloned(), field.name()),
    }
}

fn gives_lists(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => gives_lists(&alias.expr),
        Expr::ScalarFunction(function) => ROWS_OF_LISTS.contains(&function.name()),
        _ => false,
    }
}
