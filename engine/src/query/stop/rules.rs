//! The rules of the planner, each of which asks whether the statement is to stop: before it begins, and for each node that it
//! is shown.

use std::sync::{Arc, LazyLock};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;

use super::{check_current, planned};

type Analysis = Arc<dyn AnalyzerRule + Send + Sync>;
type Optimization = Arc<dyn OptimizerRule + Send + Sync>;
type PhysicalOptimization = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Makes rules of the analyzer ask.
pub(in crate::query) fn analysis(rules: Vec<Analysis>) -> Vec<Analysis> {
    rules.into_iter().map(|rule| Arc::new(Asking(rule)) as Analysis).collect()
}

/// Makes rules of the optimizer ask.
pub(in crate::query) fn optimization(rules: Vec<Optimization>) -> Vec<Optimization> {
    rules.into_iter().map(|rule| Arc::new(Asking(rule)) as Optimization).collect()
}

/// Returns the rules of the optimizer of physical plans, which ask.
pub(in crate::query) fn physical_optimization() -> Vec<PhysicalOptimization> {
    static RULES: LazyLock<Vec<PhysicalOptimization>> = LazyLock::new(|| {
        let rules = PhysicalOptimizer::new().rules.into_iter();
        rules.map(|rule| Arc::new(Asking(rule)) as PhysicalOptimization).collect()
    });
    RULES.clone()
}

/// A rule that asks before it works.
#[derive(Debug)]
struct Asking<R>(R);

impl AnalyzerRule for Asking<Analysis> {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        planned(|| self.0.analyze(plan, config))
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

impl OptimizerRule for Asking<Optimization> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> DataFusionResult<Transformed<LogicalPlan>> {
        planned(|| self.0.rewrite(plan, config))
    }
}

impl PhysicalOptimizerRule for Asking<PhysicalOptimization> {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        check_current()?;
        self.0.optimize(plan, config)
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        check_current()?;
        self.0.optimize_with_context(plan, context)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::SessionStateBuilder;
    use datafusion::optimizer::Optimizer;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::query::stop::{Stop, during};

    #[tokio::test]
    async fn planning_stops_with_its_statement() {
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_optimizer_rules(optimization(Optimizer::new().rules))
            .with_physical_optimizer_rules(physical_optimization())
            .build();
        let context = SessionContext::new_with_state(state);
        let plan = context.sql("SELECT 1 + 1 AS a ORDER BY a").await.unwrap();
        let plan = plan.logical_plan().clone();
        let stop = Arc::new(Stop::default());
        let optimize = || async { context.state().optimize(&plan).map(drop) };
        assert!(during(Arc::clone(&stop), optimize()).await.is_ok());
        stop.stop();
        let failed = during(stop, optimize()).await.unwrap_err();
        assert!(failed.to_string().contains("cancelled"), "{failed}");
    }
}
