//! Numbers of objects shown as names: `regclass` and its kin, where they are cast to text or given to the client.
//!
//! The same pass mends casts: DataFusion's planner believes a cast that names a logical type to be as nullable as its
//! input, its executor as nullable as the type says, and the two must agree.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::functions::core::named_struct;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarUDF, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::facts::SessionFacts;
use super::functions::{self, REG_TYPES};
use super::result_types;
use super::types::{self, TYPE_KEY};

/// The rule for casts. It must come before DataFusion's own.
#[derive(Debug)]
pub struct ObjectNames {
    functions: HashMap<&'static str, Arc<ScalarUDF>>,
}

impl ObjectNames {
    /// Makes the rule of a session.
    pub fn new(facts: &Arc<SessionFacts>) -> ObjectNames {
        let named = functions::name_functions(facts).into_iter();
        let found = named.map(|(reg, function)| (reg, Arc::new(function))).collect();
        ObjectNames { functions: found }
    }

    /// Gives the columns of a statement's result the types of PostgreSQL, and shows the objects in them by name: a number of
    /// an object becomes a record of the number and the name, of which the client gets what its format has. Apply it to the
    /// plan of a whole statement.
    pub fn present(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let schema = Arc::clone(plan.schema());
        let types = result_types::of(&plan);
        let mut changed = false;
        let columns: Vec<Expr> = schema
            .iter()
            .zip(types)
            .map(|((qualifier, field), logical)| {
                let column = Expr::from((qualifier, field));
                let logical = logical.filter(|logical| types::is_carried(field, logical));
                let shown = |logical: &str, expr: Expr| {
                    let metadata = HashMap::from([(TYPE_KEY.to_string(), logical.to_string())]);
                    let metadata = Some(FieldMetadata::from(metadata));
                    let qualifier = qualifier.cloned();
                    expr.alias_qualified_with_metadata(qualifier, field.name(), metadata)
                };
                let known = logical.as_deref();
                if let Some((reg, function)) = self.of(known, field.data_type()) {
                    changed = true;
                    let call = |function, args| {
                        Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
                    };
                    let name = call(Arc::clone(function), vec![column.clone()]);
                    let parts = vec![lit("oid"), column, lit("name"), name];
                    return shown(reg, call(named_struct(), parts));
                }
                if let Some((reg, function)) = self.of_list(known, field.data_type()) {
                    changed = true;
                    let objects = functions::object_list(reg, function).call(vec![column]);
                    return shown(known.unwrap_or_default(), objects);
                }
                if known == field.metadata().get(TYPE_KEY).map(String::as_str) {
                    return column;
                }
                changed = true;
                shown(known.unwrap_or_else(|| types::of_values(field.data_type())), column)
            })
            .collect();
        if changed { LogicalPlanBuilder::from(plan).project(columns)?.build() } else { Ok(plan) }
    }

    fn of(
        &self,
        logical: Option<&str>,
        data_type: &DataType,
    ) -> Option<(&'static str, &Arc<ScalarUDF>)> {
        let logical = logical.filter(|_| data_type.is_integer())?;
        let reg = REG_TYPES.into_iter().find(|known| *known == logical)?;
        Some((reg, self.functions.get(reg)?))
    }

    /// As [`ObjectNames::of`], of an array of such numbers.
    fn of_list(
        &self,
        logical: Option<&str>,
        data_type: &DataType,
    ) -> Option<(&'static str, &Arc<ScalarUDF>)> {
        let DataType::List(item) = data_type else { return None };
        let element = types::by_oid(types::by_name(logical?)?.element)?;
        self.of(Some(&element.name), item.data_type())
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        if let Expr::Cast(Cast { expr: inner, field }) = &expr
            && field.data_type().is_string()
            && let Ok((_, inner_field)) = inner.to_field(schema)
            && let logical = inner_field.metadata().get(TYPE_KEY).map(String::as_str)
            && let Some((_, function)) = self.of(logical, inner_field.data_type())
        {
            let name = ScalarFunction::new_udf(Arc::clone(function), vec![inner.as_ref().clone()]);
            return Ok(Transformed::yes(Expr::ScalarFunction(name)));
        }
        match expr {
            Expr::Cast(Cast { expr: inner, field })
                if (!field.metadata().is_empty() || !field.name().is_empty())
                    && field.is_nullable()
                    && !inner.nullable(schema).unwrap_or(true) =>
            {
                let field = Arc::new(field.as_ref().clone().with_nullable(false));
                Ok(Transformed::yes(Expr::Cast(Cast { expr: inner, field })))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

impl AnalyzerRule for ObjectNames {
    fn name(&self) -> &str {
        "object_names"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let node = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| self.rewrite(expr, &schema))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?;
            if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })
        .data()
    }
}
