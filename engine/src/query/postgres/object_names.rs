//! Numbers of objects shown as names: `regclass` and its kin, where they are cast to text or given to the client.
//!
//! The same pass mends casts: DataFusion's planner believes a cast that names a logical type to be as nullable as its
//! input, its executor as nullable as the type says, and the two must agree.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;

use super::facts::SessionFacts;
use super::functions::{self, REG_TYPES};
use super::types::TYPE_KEY;

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

    /// Shows the objects in the columns of a statement's result by name. Apply it to the plan of a whole statement.
    pub fn present(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let schema = Arc::clone(plan.schema());
        if !schema
            .fields()
            .iter()
            .any(|field| self.of(field.metadata(), field.data_type()).is_some())
        {
            return Ok(plan);
        }
        let columns: Vec<Expr> = schema
            .iter()
            .map(|(qualifier, field)| {
                let column = Expr::from((qualifier, field));
                match self.of(field.metadata(), field.data_type()) {
                    Some((reg, function)) => {
                        let name = Expr::ScalarFunction(ScalarFunction::new_udf(
                            Arc::clone(function),
                            vec![column],
                        ));
                        let metadata = HashMap::from([(TYPE_KEY.to_string(), reg.to_string())]);
                        name.alias_with_metadata(field.name(), Some(FieldMetadata::from(metadata)))
                    }
                    None => column,
                }
            })
            .collect();
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }

    fn of(
        &self,
        metadata: &HashMap<String, String>,
        data_type: &datafusion::arrow::datatypes::DataType,
    ) -> Option<(&'static str, &Arc<ScalarUDF>)> {
        let logical = metadata.get(TYPE_KEY).filter(|_| data_type.is_integer())?;
        let reg = REG_TYPES.into_iter().find(|known| known == logical)?;
        Some((reg, self.functions.get(reg)?))
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        if let Expr::Cast(Cast { expr: inner, field }) = &expr
            && field.data_type().is_string()
            && let Ok((_, inner_field)) = inner.to_field(schema)
            && let Some((_, function)) = self.of(inner_field.metadata(), inner_field.data_type())
        {
            let name = ScalarFunction::new_udf(Arc::clone(function), vec![inner.as_ref().clone()]);
            return Ok(Transformed::yes(Expr::ScalarFunction(name)));
        }
        match expr {
            Expr::Cast(Cast { expr: inner, field })
                if !field.metadata().is_empty()
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
