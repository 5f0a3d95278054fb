//! When answers were learnt, which a feed that is run again must not forget.
//!
//! An answer from the future counts from when it was learnt. A grant that was learnt anew whenever its feed is read again
//! would come after a withdrawal that was recorded in the meantime, and undo it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};
use datafusion::error::DataFusionError;

use super::feed::COLUMNS;
use crate::error::Result;
use crate::tables;

/// The column of the ledger that says when an answer was learnt.
const RECORDED_AT: &str = "recorded_at";

/// When the answers were learnt that rows of a feed take the place of.
pub(super) struct Learnt {
    converter: RowConverter,
    /// By answer: when it was learnt first.
    at: HashMap<OwnedRow, i64>,
}

impl Learnt {
    /// Notes the answers of these rows of the ledger.
    pub(super) fn of(batches: &[RecordBatch]) -> Result<Self> {
        let mut fields = vec![SortField::new(DataType::Utf8); COLUMNS.len() - 1];
        fields.push(SortField::new(time()));
        let converter = RowConverter::new(fields).map_err(DataFusionError::from)?;
        let mut learnt = Self { converter, at: HashMap::new() };
        for batch in batches {
            let (answers, times) = (learnt.answers(batch)?, recorded(batch)?);
            for (answer, at) in answers.iter().zip(times.values()) {
                let first = learnt.at.entry(answer.owned()).or_insert(*at);
                *first = (*first).min(*at);
            }
        }
        Ok(learnt)
    }

    /// Gives each answer that was there before the time when it was learnt first.
    pub(super) fn keep(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (answers, times) = (self.answers(batch)?, recorded(batch)?);
        let first = answers.iter().zip(times.values()).map(|(answer, now)| {
            self.at.get(&answer.owned()).map_or(*now, |before| *now.min(before))
        });
        let first = TimestampMicrosecondArray::from_iter_values(first);
        let at = batch.schema().index_of(RECORDED_AT).map_err(DataFusionError::from)?;
        let mut columns = batch.columns().to_vec();
        columns[at] = Arc::new(first.with_data_type(columns[at].data_type().clone()));
        Ok(RecordBatch::try_new(batch.schema(), columns).map_err(DataFusionError::from)?)
    }

    /// Notes these answers, and tells of each whether it is none of those that were noted before.
    pub(super) fn note(&mut self, batch: &RecordBatch) -> Result<BooleanArray> {
        let (answers, times) = (self.answers(batch)?, recorded(batch)?);
        let mut is_new = Vec::with_capacity(batch.num_rows());
        for (answer, at) in answers.iter().zip(times.values()) {
            is_new.push(self.at.insert(answer.owned(), *at).is_none());
        }
        Ok(BooleanArray::from(is_new))
    }

    fn answers(&self, batch: &RecordBatch) -> Result<Rows> {
        let columns: Vec<ArrayRef> = COLUMNS
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let column = tables::column(batch, name)?;
                Ok(match at + 1 == COLUMNS.len() {
                    true => cast(column, &time()).map_err(DataFusionError::from)?,
                    false => Arc::new(tables::texts(column)?) as ArrayRef,
                })
            })
            .collect::<Result<_>>()?;
        Ok(self.converter.convert_columns(&columns).map_err(DataFusionError::from)?)
    }
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn recorded(batch: &RecordBatch) -> Result<TimestampMicrosecondArray> {
    let column =
        cast(tables::column(batch, RECORDED_AT)?, &time()).map_err(DataFusionError::from)?;
    Ok(column.as_primitive::<TimestampMicrosecondType>().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;

    /// Identifier, status, when it was given and when it was learnt.
    type Row<'a> = (&'a str, &'a str, i64, i64);

    fn ledger(rows: &[Row<'_>]) -> RecordBatch {
        let text = |of: &dyn Fn(&Row<'_>) -> String| {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
        };
        let times = |of: &dyn Fn(&Row<'_>) -> i64| {
            let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(of));
            Arc::new(times.with_timezone("UTC")) as ArrayRef
        };
        let none = Arc::new(StringArray::from(vec![None::<&str>; rows.len()])) as ArrayRef;
        let columns = vec![
            text(&|_| "feed".into()),
            text(&|_| "email".into()),
            text(&|row| row.0.into()),
            text(&|_| "mail".into()),
            text(&|row| row.1.into()),
            times(&|row| row.2),
            times(&|row| row.3),
            Arc::clone(&none),
            none,
        ];
        tables::CONSENT_LEDGER.batch(columns).unwrap()
    }

    #[test]
    fn an_answer_that_was_there_is_not_learnt_anew() {
        let before = ledger(&[
            ("a@x", "granted", 90, 5),
            ("a@x", "granted", 90, 3),
            ("b@x", "granted", 90, 4),
        ]);
        let again = ledger(&[
            ("b@x", "granted", 90, 50),
            ("a@x", "granted", 90, 50),
            ("a@x", "granted", 91, 50),
            ("a@x", "denied", 90, 50),
        ]);
        let kept = Learnt::of(&[before]).unwrap().keep(&again).unwrap();
        assert_eq!(recorded(&kept).unwrap().values().to_vec(), [4, 3, 50, 50]);
        assert_eq!(kept.schema(), again.schema());
    }
}
