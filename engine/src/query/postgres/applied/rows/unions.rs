//! Unions within a subquery of a row: each part is put beside the rows around, which are read once for each of them.

use std::sync::Arc;

use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, ExprSchemable, LogicalPlan, LogicalPlanBuilder, SortExpr, Union, lit,
};

use super::{Beside, Columns, MATCHED, NUMBER, ROW, Rows};

impl Rows<'_> {
    /// The rows of a union beside those that see them; `None` where the rows around may be others each time that they are read.
    pub(super) fn united(&self, union: &Union) -> Result<Option<Beside>> {
        if !self.is_counted || self.depth > 0 && !self.is_settled {
            return Ok(None);
        }
        self.copies.note(union.inputs.len().saturating_sub(1), self.row, &lit(true))?;
        let mut parts = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            let Some(part) = self.part(input, union)? else { return Ok(None) };
            parts.push(Arc::new(part));
        }
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(parts)?);
        let mut shown = Vec::with_capacity(plan.schema().fields().len());
        let mut found = plan.schema().columns().into_iter().map(Expr::Column);
        for (around, column) in self.row.schema().columns().into_iter().zip(found.by_ref()) {
            shown.push(column.alias_qualified(around.relation, around.name));
        }
        let own = [ROW.to_owned(), MATCHED.to_owned()].into_iter();
        let own = own.chain((0..union.schema.fields().len()).map(|at| format!("united_{at}")));
        shown.extend(
            found
                .zip(own)
                .map(|(column, name)| column.alias_qualified(Some(self.relation()), name)),
        );
        let plan = LogicalPlanBuilder::from(plan).project(shown)?.build()?;
        let values = union.schema.columns().into_iter().enumerate();
        let columns: Columns =
            values.map(|(at, column)| (column, self.own(&format!("united_{at}")))).collect();
        let is_there = self.keeps.then(|| self.own(MATCHED));
        let united = Beside { plan, columns, is_one: false, is_there };
        match self.keeps {
            // A row around that sees none of one part has a row for it, which stays only if it sees none at all.
            true => self.kept_where(united, lit(true)).map(Some),
            false => Ok(Some(united)),
        }
    }

    /// The number of a row around among those that are alike. Groups are made of zeros of both signs, which windows tell apart:
    /// such rows are numbered together, in an order that is the same each time that they are read.
    pub(super) fn number_among_alike(&self) -> Result<Expr> {
        let schema: &DFSchema = self.row.schema();
        let (mut alike, mut order) = (Vec::new(), Vec::new());
        for column in self.columns() {
            let data_type = column.get_type(schema)?;
            if data_type.is_floating() {
                order.push(SortExpr::new(column.clone(), true, false));
                alike.push(column + lit(ScalarValue::new_zero(&data_type)?));
            } else {
                alike.push(column);
            }
        }
        let number = row_number().partition_by(alike);
        // With an order of nothing its window would have bounds that only an order gives.
        if order.is_empty() { number.build() } else { number.order_by(order).build() }
    }

    /// One part of a union: the columns of the rows around and their number, whether a row is there, and what it shows.
    fn part(&self, input: &LogicalPlan, union: &Union) -> Result<Option<LogicalPlan>> {
        let Some(found) = self.beside(input)? else { return Ok(None) };
        let mut shown = self.columns();
        shown.push(self.own(ROW));
        shown.push(found.is_there.clone().map_or_else(|| lit(true), Expr::is_true));
        let schema: &DFSchema = found.plan.schema();
        for (column, field) in input.schema().columns().iter().zip(union.schema.fields()) {
            let Some(value) = found.value(column) else { return Ok(None) };
            shown.push(value?.cast_to(field.data_type(), schema)?);
        }
        let named = shown.into_iter().enumerate();
        let named = named.map(|(at, expr)| expr.alias(format!("{NUMBER}_{at}")));
        LogicalPlanBuilder::from(found.plan).project(named.collect::<Vec<_>>())?.build().map(Some)
    }
}
