//! Clusters of weighed edges: who hangs together is joined by what all pairs say together, as [`contraction`](super::contraction)
//! does it, and each cluster is named by the least id in it.

use std::cmp::Reverse;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::asking::{Asking, each, sort};
use super::contraction::Contraction;
use super::exec::{Batches, Work};
use super::ids::{Ids, Ranked};
use crate::error::{Error, failure};
use crate::identity::memory;
use crate::identity::union_find::UnionFind;
use crate::matching::{BITS_MAX, parts};
use crate::query::stop::check_current;

/// Two ids, the smaller first, and what speaks for them in parts of a bit.
type Pair = (u32, u32, i32);

/// Pairs of groups that are looked at before others get their turn.
const LOOKS: usize = 1 << 14;

/// Reads weighed edges to their end and returns their clusters.
pub(super) async fn run(mut input: SendableRecordBatchStream, work: Work) -> Result<Batches> {
    let mut ids = Ids::of(input.schema().field(0).data_type());
    let mut pairs: Vec<Pair> = Vec::new();
    while let Some(batch) = input.next().await {
        let batch = batch?;
        let _time = work.time.timer();
        let [left, right, bits] = work.values(&batch, [0, 1, 2])?;
        let room = pairs.len() + batch.num_rows();
        let held = memory::list(pairs.capacity(), room, size_of::<Pair>());
        work.hold(ids.memory_with(&[left, right]) + held)?;
        work.check_ids(ids.count() + 2 * batch.num_rows())?;
        let (left, right) = (ids.number(left), ids.number(right));
        let bits = bits.as_primitive::<Float64Type>();
        for (row, (left, right)) in left.into_iter().zip(right).enumerate() {
            let bits = bits.value(row);
            if bits.is_nan() {
                return Err(not_a_number());
            }
            // An id beside itself is there, and no pair.
            if left != right {
                pairs.push((left, right, weight(bits)));
            }
        }
    }
    work.hold(
        ids.memory_with(&[])
            // Sorting takes a second list of them.
            + 2 * pairs.capacity() * size_of::<Pair>()
            + ids.count() * (Ranked::BYTES + 3 * size_of::<u32>()),
    )?;
    let (ranked, roots) = {
        let _time = work.time.timer();
        let ranked = ids.ranked()?;
        let roots = components(&ranked, &mut pairs)?;
        (ranked, roots)
    };
    let count = ranked.count();
    let held = work.held();
    let mut clusters: Vec<u32> = (0..count as u32).collect();
    let mut looked = 0;
    for component in pairs.chunk_by(|one, other| roots[one.0 as usize] == roots[other.0 as usize]) {
        // A component has at most one id more than edges.
        let own = Contraction::memory_of(component.len() + 1, component.len());
        work.hold(held + own)?;
        let mut joining = {
            let _time = work.time.timer();
            Joining::of(component)?
        };
        loop {
            let more = {
                let _time = work.time.timer();
                joining.contraction.advance(LOOKS)?
            };
            if !more {
                break;
            }
            work.hold(held + own + joining.contraction.proposals_memory())?;
            tokio::task::yield_now().await;
        }
        joining.write(&mut clusters)?;
        looked += component.len();
        if looked >= LOOKS {
            looked = 0;
            tokio::task::yield_now().await;
        }
    }
    drop(pairs);
    work.hold(held)?;
    let batches = (0..count).step_by(work.batch_rows).map(move |from| {
        let _time = work.time.timer();
        let to = count.min(from + work.batch_rows);
        let cluster = clusters[from..to].iter().copied();
        work.batch(vec![ranked.column(from as u32..to as u32), ranked.column(cluster)])
    });
    Ok(Box::new(batches))
}

/// Returns what so many bits speak, in the bounds of the resolver.
fn weight(bits: f64) -> i32 {
    parts(bits.clamp(f64::from(-BITS_MAX), f64::from(BITS_MAX)) as f32)
}

fn not_a_number() -> DataFusionError {
    failure(Error::Standard {
        sqlstate: "22023",
        message: "the bits of an edge of refine_clusters() are not a number".into(),
        hint: "Leave such edges out: WHERE bits <> 'NaN'.".into(),
    })
}

/// Names pairs by ranks, each once with its largest weight, and leaves those within a component, one component after the other.
/// Returns the root of each rank. What nothing speaks for holds no component together.
fn components(ranked: &Ranked, pairs: &mut Vec<Pair>) -> Result<Vec<u32>> {
    each(&mut *pairs, |pair| {
        let (left, right) = (ranked.rank(pair.0), ranked.rank(pair.1));
        *pair = (left.min(right), left.max(right), pair.2);
    })?;
    let by_weight = |&(left, right, weight): &Pair| (left, right, Reverse(weight));
    sort(pairs, |one, other| by_weight(one).cmp(&by_weight(other)))?;
    pairs.dedup_by_key(|&mut (left, right, _)| (left, right));
    let mut sets = UnionFind::new(ranked.count() as u32);
    each(pairs.iter().filter(|pair| pair.2 > 0), |&(left, right, _)| {
        sets.union(left, right);
    })?;
    let roots = sets.into_roots_asking(check_current)?;
    let (mut asking, mut asked) = (Asking::default(), Ok(()));
    pairs.retain(|pair| {
        if asked.is_ok() {
            asked = asking.did(1);
        }
        asked.is_ok() && roots[pair.0 as usize] == roots[pair.1 as usize]
    });
    asked?;
    let by_root = |&(left, right, _): &Pair| (roots[left as usize], left, right);
    sort(pairs, |one, other| by_root(one).cmp(&by_root(other)))?;
    Ok(roots)
}

/// A component while it is refined.
struct Joining {
    /// By place the rank.
    ranks: Vec<u32>,
    contraction: Contraction,
}

impl Joining {
    fn of(component: &[Pair]) -> Result<Self> {
        let mut ranks: Vec<u32> = component.iter().flat_map(|pair| [pair.0, pair.1]).collect();
        sort(&mut ranks, Ord::cmp)?;
        ranks.dedup();
        let place = |rank: u32| ranks.partition_point(|other| *other < rank) as u32;
        let mut placed: Vec<Pair> = Vec::with_capacity(component.len());
        each(component, |&(left, right, weight)| {
            placed.push((place(left), place(right), weight));
        })?;
        let contraction = Contraction::new(ranks.len() as u32, &placed)?;
        Ok(Self { ranks, contraction })
    }

    /// Writes the cluster of each rank: the least rank in it.
    fn write(self, clusters: &mut [u32]) -> Result<()> {
        let Self { ranks, contraction } = self;
        each(ranks.iter().zip(contraction.into_roots()?), |(rank, root)| {
            clusters[*rank as usize] = ranks[root as usize];
        })
    }
}
