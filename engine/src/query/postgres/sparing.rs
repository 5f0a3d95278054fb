//! Rules of DataFusion that leave some plans as they are.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

pub(super) type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// Tells which plans are left as they are.
type Spares = fn(&LogicalPlan) -> Result<bool>;

/// Returns a rule that does what `rule` does, but for the plans that `spares` tells.
pub(super) fn sparing(rule: Rule, spares: Spares) -> Rule {
    Arc::new(Sparing { rule, spares })
}

#[derive(Debug)]
struct Sparing {
    rule: Rule,
    spares: Spares,
}

impl OptimizerRule for Sparing {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if (self.spares)(&plan)? {
            Ok(Transformed::no(plan))
        } else {
            self.rule.rewrite(plan, config)
        }
    }
}
