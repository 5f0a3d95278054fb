//! Who hangs together: the connected components of edges, each named by the least id in it.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::asking::each;
use super::exec::{Batches, Work};
use super::ids::{Names, text_bytes};
use crate::identity::Interner;
use crate::identity::union_find::{Components, EdgeComponents};
use crate::query::stop::check_current;

/// Edges that are taken in together: enough for a second thread to be worth its start.
const EDGES_TOGETHER: usize = 1 << 17;

/// Reads edges to their end and returns their components.
pub(super) async fn run(mut input: SendableRecordBatchStream, work: Work) -> Result<Batches> {
    let is_text = *input.schema().field(0).data_type() == DataType::Utf8;
    // A text is numbered first, and its number is the key.
    let mut texts = is_text.then(Interner::new);
    let mut components = EdgeComponents::with_capacity(0);
    let mut edges: Vec<(u64, u64)> = Vec::new();
    while let Some(batch) = input.next().await {
        let batch = batch?;
        let _time = work.time.timer();
        let [left, right] = work.values(&batch, [0, 1])?;
        let bytes = text_bytes(left) + text_bytes(right);
        let held = texts.as_ref().map_or(0, |texts| texts.memory_with(2 * batch.num_rows(), bytes));
        let waiting = edges.len() + batch.num_rows();
        let portion = waiting * size_of::<(u64, u64)>();
        work.hold(components.memory_with(waiting) + held + portion)?;
        work.check_ids(components.key_count() + 2 * waiting)?;
        match &mut texts {
            None => {
                let [left, right] =
                    [left, right].map(|ids| ids.as_primitive::<Int64Type>().values());
                let pairs = left.iter().zip(right.iter());
                edges.extend(pairs.map(|(one, two)| (one.cast_unsigned(), two.cast_unsigned())));
            }
            Some(texts) => {
                let [left, right] = [left, right].map(|ids| ids.as_string::<i32>());
                edges.extend((0..batch.num_rows()).map(|row| {
                    let one = texts.intern(left.value(row));
                    (u64::from(one), u64::from(texts.intern(right.value(row))))
                }));
            }
        }
        if edges.len() >= EDGES_TOGETHER {
            components.add(&edges);
            edges.clear();
        }
    }
    components.add(&edges);
    let bytes = texts.as_ref().map_or(0, |texts| texts.memory_with(0, 0));
    let count = components.key_count();
    work.hold(components.memory_with(0) + bytes + count * size_of::<u32>())?;
    let (names, roots, least) = {
        let _time = work.time.timer();
        let Components { keys, roots } = components.finish_asking(check_current)?;
        // Texts have the same numbers in both tables: those of their first appearance.
        let names = texts.map_or(Names::Numbers(keys), Names::Texts);
        let least = least_of(&names, &roots)?;
        (names, roots, least)
    };
    let batches = (0..count).step_by(work.batch_rows).map(move |from| {
        let _time = work.time.timer();
        let to = count.min(from + work.batch_rows);
        let component = roots[from..to].iter().map(|root| least[*root as usize]);
        work.batch(vec![names.column(from as u32..to as u32), names.column(component)])
    });
    Ok(Box::new(batches))
}

/// Returns for each root the least id of its component.
fn least_of(names: &Names, roots: &[u32]) -> Result<Vec<u32>> {
    let mut least: Vec<u32> = (0..roots.len() as u32).collect();
    each((0..).zip(roots), |(number, root)| {
        let known = &mut least[*root as usize];
        if names.compare(number, *known).is_lt() {
            *known = number;
        }
    })?;
    Ok(least)
}
