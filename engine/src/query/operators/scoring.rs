//! Pairs of records with their weights by the model in force: what each is worth that two records say.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::exec::{Batches, Work};
use crate::error::failure;
use crate::explain::{PairWeigher, Wanted};
use crate::query::stop::check_current;

/// Bytes that what a record says takes, all its versions together.
const RECORD_BYTES: usize = 2048;

/// Pairs that are weighed between two questions whether the statement is to stop.
const PAIRS_AT_ONCE: usize = 1_024;

/// Reads pairs to their end, looks up their records, and returns the pairs with their weights.
pub(super) async fn run(
    mut input: SendableRecordBatchStream,
    work: Work,
    weigher: Arc<PairWeigher>,
) -> Result<Batches> {
    let (mut batches, mut bytes) = (Vec::new(), 0);
    let mut wanted = Wanted::default();
    while let Some(batch) = input.next().await {
        let batch = batch?;
        let _time = work.time.timer();
        for [source, key, other, other_key] in records(&work, &batch)? {
            wanted.add(source, key).map_err(failure)?;
            wanted.add(other, other_key).map_err(failure)?;
        }
        bytes += batch.get_array_memory_size();
        work.hold(bytes + wanted.count() * RECORD_BYTES)?;
        batches.push(batch);
    }
    let mut weights = weigher.prepare(&wanted).await.map_err(failure)?;
    let weighed = work.counter("pairs_weighed");
    let batches = batches.into_iter().map(move |batch| {
        let _time = work.time.timer();
        let mut found = Vec::with_capacity(batch.num_rows());
        for from in (0..batch.num_rows()).step_by(PAIRS_AT_ONCE) {
            check_current()?;
            let pairs = batch.slice(from, PAIRS_AT_ONCE.min(batch.num_rows() - from));
            found.extend(weights.weigh(records(&work, &pairs)?));
        }
        weighed.add(found.iter().flatten().count());
        let bits = found.iter().map(|weight| Some(weight.as_ref()?.0));
        let probability = found.iter().map(|weight| Some(weight.as_ref()?.1));
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns.push(Arc::new(bits.collect::<Float64Array>()));
        columns.push(Arc::new(probability.collect::<Float64Array>()));
        work.batch(columns)
    });
    Ok(Box::new(batches))
}

/// Returns source and key of the two records of each row.
fn records<'a>(
    work: &Work,
    batch: &'a RecordBatch,
) -> Result<impl Iterator<Item = [&'a str; 4]> + use<'a>> {
    let columns = work.values(batch, [0, 1, 2, 3])?.map(|column| column.as_string::<i32>());
    Ok((0..batch.num_rows()).map(move |row| columns.map(|column| column.value(row))))
}
