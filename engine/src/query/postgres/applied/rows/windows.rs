//! Windows within a subquery of a row, and `DISTINCT ON`: they are over the rows that the row alone sees.

use datafusion::common::{Column, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    DistinctOn, Expr, ExprFunctionExt, LogicalPlanBuilder, SortExpr, Window, lit,
};

use super::{Beside, Columns, NUMBER, Rows};

impl Rows<'_> {
    /// The rows of windows beside those that see them.
    pub(super) fn windowed(&self, window: &Window) -> Result<Option<Beside>> {
        let Some(mut found) = self.beside(&window.input)? else { return Ok(None) };
        let count = found.plan.schema().fields().len();
        let (mut windows, mut own) = (Vec::new(), Vec::new());
        for (at, expr) in window.window_expr.iter().enumerate() {
            let settled = self.settled(expr, &found.columns)?.map(Expr::unalias);
            let Some(Expr::WindowFunction(mut function)) = settled else { return Ok(None) };
            function.params.partition_by.splice(0..0, self.key());
            let name = format!("{NUMBER}_{count}_{at}");
            windows.push(Expr::WindowFunction(function).alias(&name));
            own.push(Expr::Column(Column::new_unqualified(name)));
        }
        let shown = window.schema.columns().into_iter().skip(window.input.schema().fields().len());
        found.columns.extend(shown.zip(own));
        found.plan = LogicalPlanBuilder::from(found.plan).window(windows)?.build()?;
        Ok(Some(found))
    }

    /// The first row of each group beside those that see it.
    pub(super) fn first_of_each(&self, on: &DistinctOn) -> Result<Option<Beside>> {
        let Some(mut found) = self.beside(&on.input)? else { return Ok(None) };
        let mut groups = self.key();
        for expr in &on.on_expr {
            let Some(expr) = self.settled(expr, &found.columns)? else { return Ok(None) };
            groups.push(expr);
        }
        let mut order = Vec::new();
        for by in on.sort_expr.iter().flatten() {
            let Some(expr) = self.settled(&by.expr, &found.columns)? else { return Ok(None) };
            order.push(SortExpr { expr, ..by.clone() });
        }
        let mut columns = Columns::new();
        for (column, expr) in on.schema.columns().into_iter().zip(&on.select_expr) {
            let Some(expr) = self.settled(expr, &found.columns)? else { return Ok(None) };
            columns.insert(column, expr);
        }
        let mut place = row_number().partition_by(groups);
        if !order.is_empty() {
            place = place.order_by(order);
        }
        let place = place.build()?;
        let name = format!("{NUMBER}_{}", found.plan.schema().fields().len());
        let is_first = Expr::Column(Column::new_unqualified(&name)).eq(lit(1_u64));
        let plan = LogicalPlanBuilder::from(found.plan).window([place.alias(&name)])?;
        found.plan = plan.filter(is_first)?.build()?;
        found.columns = columns;
        Ok(Some(found))
    }
}
