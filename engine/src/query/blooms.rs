//! Which files cannot hold a value: the bloom filters of identifiers, kept in memory.
//!
//! Who asks for one e-mail address asks for one file of many, and to open the others only to see in their filters that they
//! need not be read costs more than the look-up. Files are immutable, so a filter that was read once holds.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use datafusion::parquet::bloom_filter::Sbbf;
use object_store::ObjectStore;
use parking_lot::Mutex;

use crate::table_read::StoreReader;

/// Bytes of filters that are kept; all are dropped beyond that.
const BYTES_MAX: usize = 64 << 20;

/// The filters of one column of a file, one for each row group; a group without one may hold anything.
type Filters = Arc<[Option<Sbbf>]>;

/// The filters that were read.
#[derive(Debug, Default)]
pub(super) struct BloomCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By the path of the file and the column.
    filters: HashMap<(String, String), Filters>,
    bytes: usize,
}

/// A filter of a query that takes a few values of one column.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted<'a> {
    column: &'a str,
    values: Vec<&'a ScalarValue>,
}

impl<'a> Wanted<'a> {
    /// Wants rows with one of `values` in `column`.
    pub(super) fn any_of(column: &'a str, values: &'a [ScalarValue]) -> Self {
        Self { column, values: values.iter().collect() }
    }

    /// Returns what a filter wants, if it is one that takes a few values.
    pub(super) fn of(filter: &'a Expr) -> Option<Self> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                let (column, value) = match (left.as_ref(), right.as_ref()) {
                    (Expr::Column(column), Expr::Literal(value, _))
                    | (Expr::Literal(value, _), Expr::Column(column)) => (column, value),
                    _ => return None,
                };
                Some(Self { column: &column.name, values: vec![value] })
            }
            Expr::InList(list) if !list.negated => {
                let Expr::Column(column) = list.expr.as_ref() else { return None };
                let values = list.list.iter().map(|item| match item {
                    Expr::Literal(value, _) => Some(value),
                    _ => None,
                });
                Some(Self { column: &column.name, values: values.collect::<Option<_>>()? })
            }
            _ => None,
        }
    }
}

impl BloomCache {
    /// Tells whether a file may hold a row that is wanted.
    pub(super) async fn may_hold(
        &self,
        store: &Arc<dyn ObjectStore>,
        path: &str,
        size: u64,
        wanted: &Wanted<'_>,
    ) -> DataFusionResult<bool> {
        let filters = self.filters(store, path, size, wanted.column).await?;
        let holds = |filter: &Sbbf| wanted.values.iter().any(|value| may_be_in(filter, value));
        Ok(filters.iter().any(|filter| filter.as_ref().is_none_or(holds)))
    }

    /// Tells, if it is known already, that a file holds no row that is wanted.
    pub(super) fn is_known_to_lack(&self, path: &str, wanted: &Wanted<'_>) -> bool {
        let key = (path.to_owned(), wanted.column.to_owned());
        let Some(filters) = self.0.lock().filters.get(&key).cloned() else { return false };
        let holds = |filter: &Sbbf| wanted.values.iter().any(|value| may_be_in(filter, value));
        !filters.iter().any(|filter| filter.as_ref().is_none_or(holds))
    }

    async fn filters(
        &self,
        store: &Arc<dyn ObjectStore>,
        path: &str,
        size: u64,
        column: &str,
    ) -> DataFusionResult<Filters> {
        let key = (path.to_owned(), column.to_owned());
        if let Some(filters) = self.0.lock().filters.get(&key) {
            return Ok(Arc::clone(filters));
        }
        let reader = StoreReader::new(Arc::clone(store), path, size);
        let mut builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
        let columns = builder.parquet_schema().columns();
        let index = columns.iter().position(|known| known.path().string() == column);
        let groups = builder.metadata().num_row_groups();
        let mut filters = Vec::with_capacity(groups);
        for group in 0..groups {
            filters.push(match index {
                Some(index) => builder.get_row_group_column_bloom_filter(group, index).await?,
                None => None,
            });
        }
        let bytes = filters.iter().flatten().map(|filter| filter.num_blocks() * 32).sum::<usize>();
        let filters: Filters = filters.into();
        let mut kept = self.0.lock();
        if kept.bytes + bytes > BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += bytes;
        kept.filters.insert(key, Arc::clone(&filters));
        Ok(filters)
    }
}

/// Tells whether a value may be in a filter; one of a type that is not looked for may be in any.
fn may_be_in(filter: &Sbbf, value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => filter.check(text.as_str()),
        ScalarValue::Int64(Some(number)) => filter.check(number),
        ScalarValue::Int32(Some(number)) => filter.check(number),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn a_filter_wants_values_if_it_takes_no_others() {
        let (one, list) =
            (col("a").eq(lit("x")), col("a").in_list(vec![lit("x"), lit("y")], false));
        assert_eq!(
            Wanted::of(&one).map(|wanted| (wanted.column, wanted.values.len())),
            Some(("a", 1))
        );
        assert_eq!(Wanted::of(&list).map(|wanted| wanted.values.len()), Some(2));
        for other in [
            col("a").not_eq(lit("x")),
            col("a").in_list(vec![lit("x")], true),
            one.clone().or(col("b").eq(lit(1))),
        ] {
            assert_eq!(Wanted::of(&other), None, "{other}");
        }
    }

    #[test]
    fn a_value_that_was_put_in_is_found() {
        let mut filter = Sbbf::new_with_ndv_fpp(100, 0.01).unwrap();
        filter.insert("ada@example.com");
        filter.insert(&7_i64);
        let text = |text: &str| ScalarValue::Utf8View(Some(text.into()));
        assert!(may_be_in(&filter, &text("ada@example.com")));
        assert!(may_be_in(&filter, &ScalarValue::Int64(Some(7))));
        assert!(!may_be_in(&filter, &text("nobody@example.com")));
        assert!(may_be_in(&filter, &ScalarValue::Boolean(Some(true))), "nothing is known of it");
    }
}
