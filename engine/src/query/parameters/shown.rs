//! Parameters that are columns of a result as they are: what else the statement says of them tells their type.

use std::collections::HashSet;
use std::ops::ControlFlow;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::sql::sqlparser::ast::{Select, SelectItem, Statement, Visit, Visitor};

use super::{is_telling, placeholder};

/// Returns the types of the parameters that are columns of a result as they are, where other parts of the statement tell
/// them: `SELECT $1 + 1, $1` gives two numbers. `None` if there are no such parameters.
pub(in crate::query) fn told_elsewhere(
    statement: &Statement,
    declared: &[Option<DataType>],
    parameters: &[FieldRef],
) -> Option<Vec<Option<DataType>>> {
    let is_open = |at: usize| declared.get(at).is_none_or(Option::is_none);
    let is_told = |(at, field): (usize, &FieldRef)| is_open(at) && is_telling(field.data_type());
    if !parameters.iter().enumerate().any(is_told) {
        return None;
    }
    let mut shown = Shown::default();
    // The visitor never breaks off.
    let _ = Visit::visit(statement, &mut shown);
    let types = parameters.iter().enumerate().map(|(at, field)| {
        let is_wanted = is_told((at, field)) && shown.0.contains(&format!("${}", at + 1));
        is_wanted.then(|| field.data_type().clone())
    });
    let types: Vec<_> = types.collect();
    types.iter().any(Option::is_some).then_some(types)
}

/// The parameters that are columns as they are.
#[derive(Default)]
struct Shown(HashSet<String>);

impl Visitor for Shown {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.0.extend(placeholder(expr).map(str::to_owned));
            }
        }
        ControlFlow::Continue(())
    }
}
