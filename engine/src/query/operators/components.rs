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
use crate::identity::components::{self, Components, components_asking};
use crate::identity::memory;
use crate::identity::union_find::UnionFind;
use crate::query::stop::check_current;

/// Edges while they come.
enum Edges {
    /// Between bigints.
    Numbers(Vec<(u64, u64)>),
    /// Texts are numbered one after the other, so that they can be joined at once.
    Texts(Interner, UnionFind),
}

/// Reads edges to their end and returns their components.
pub(super) async fn run(mut input: SendableRecordBatchStream, work: Work) -> Result<Batches> {
    let mut edges = match input.schema().field(0).data_type() {
        DataType::Utf8 => Edges::Texts(Interner::new(), UnionFind::default()),
        _ => Edges::Numbers(Vec::new()),
    };
    while let Some(batch) = input.next().await {
        let batch = batch?;
        let _time = work.time.timer();
        let [left, right] = work.values(&batch, [0, 1])?;
        work.check_ids(edges.ids() + 2 * batch.num_rows())?;
        work.hold(edges.memory_with(batch.num_rows(), text_bytes(left) + text_bytes(right)))?;
        match &mut edges {
            Edges::Numbers(edges) => {
                let [left, right] =
                    [left, right].map(|ids| ids.as_primitive::<Int64Type>().values());
                let pairs = left.iter().zip(right.iter());
                edges.extend(pairs.map(|(one, two)| (one.cast_unsigned(), two.cast_unsigned())));
            }
            Edges::Texts(texts, sets) => {
                let [left, right] = [left, right].map(|ids| ids.as_string::<i32>());
                for row in 0..batch.num_rows() {
                    let (one, two) =
                        (texts.intern(left.value(row)), texts.intern(right.value(row)));
                    while sets.len() < texts.len() {
                        sets.push();
                    }
                    sets.union(one, two);
                }
            }
        }
    }
    let (names, roots, least) = {
        let _time = work.time.timer();
        work.hold(edges.memory_with(0, 0) + edges.ids() * size_of::<u32>())?;
        let (names, roots) = match edges {
            Edges::Numbers(edges) => {
                let Components { keys, roots } = components_asking(&edges, check_current)?;
                (Names::Numbers(keys), roots)
            }
            Edges::Texts(texts, sets) => {
                (Names::Texts(texts), sets.into_roots_asking(check_current)?)
            }
        };
        let least = least_of(&names, &roots)?;
        (names, roots, least)
    };
    let count = roots.len();
    let batches = (0..count).step_by(work.batch_rows).map(move |from| {
        let _time = work.time.timer();
        let to = count.min(from + work.batch_rows);
        let component = roots[from..to].iter().map(|root| least[*root as usize]);
        work.batch(vec![names.column(from as u32..to as u32), names.column(component)])
    });
    Ok(Box::new(batches))
}

impl Edges {
    /// Returns how many ids there are at most.
    fn ids(&self) -> usize {
        match self {
            Self::Numbers(edges) => 2 * edges.len(),
            Self::Texts(texts, _) => texts.len(),
        }
    }

    /// Returns how many bytes they and their components take at most while so many more come to them, whose texts have so many
    /// bytes together.
    fn memory_with(&self, more: usize, bytes: usize) -> usize {
        match self {
            Self::Numbers(edges) => {
                let count = edges.len() + more;
                memory::list(edges.capacity(), count, size_of::<(u64, u64)>())
                    + components::memory(count)
            }
            Self::Texts(texts, sets) => {
                texts.memory_with(2 * more, bytes) + sets.memory_with(2 * more)
            }
        }
    }
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
