//! `generate_series` and `range` as relations: streams of a bounded number of rows.
//!
//! A series holds no more than a batch at a time, but what reads it may hold all of it, and a statement that counts to
//! 2^63 never ends.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Expr;

use super::failure;
use super::sizes::{self, Arguments};
use crate::Error;

/// A series has at most this many rows.
const ROWS_MAX: u64 = 10_000_000;

/// Puts the bound on one of DataFusion's functions.
pub(super) fn bounded(function: &TableFunction) -> Arc<TableFunction> {
    let name = function.name().to_owned();
    let series = Series { name: name.clone(), inner: Arc::clone(function.function()) };
    Arc::new(TableFunction::new(name, Arc::new(series)))
}

#[derive(Debug)]
struct Series {
    name: String,
    inner: Arc<dyn TableFunctionImpl>,
}

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let exprs = args.exprs().iter().map(in_nanoseconds).collect::<Result<Vec<_>>>()?;
        let values: Option<Vec<&ScalarValue>> = exprs
            .iter()
            .map(|expr| match expr {
                Expr::Literal(value, _) => Some(value),
                _ => None,
            })
            .collect();
        let series = self.inner.call_with_args(TableFunctionArgs::new(&exprs, args.session()))?;
        let values = values.unwrap_or_default();
        if values.is_empty() || values.iter().any(|value| value.is_null()) {
            return Ok(series);
        }
        let sizes = sizes::series(&Arguments::constants(&values)?)?;
        let rows = sizes.first().map_or(0, |(_, rows)| *rows);
        if rows > ROWS_MAX {
            return Err(failure(Error::Limit {
                sqlstate: "54000",
                message: format!("{}() would make more than {ROWS_MAX} rows", self.name),
                hint: "Make a shorter series.".to_owned(),
            }));
        }
        Ok(series)
    }
}

/// A time as DataFusion's series take it.
fn in_nanoseconds(expr: &Expr) -> Result<Expr> {
    match expr {
        Expr::Literal(value, metadata) => match value.data_type() {
            DataType::Timestamp(_, zone) => {
                let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, zone);
                Ok(Expr::Literal(value.cast_to(&nanoseconds)?, metadata.clone()))
            }
            _ => Ok(expr.clone()),
        },
        _ => Ok(expr.clone()),
    }
}
