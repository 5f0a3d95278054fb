//! Pairs of rows that share a key: what is compared instead of all with all.
//!
//! The first column of the input is the row's id, each other one is a key; a row without a key has null. A key that more rows
//! share than the resolver compares is passed over, as it is there. A pair comes once, by the first key that its rows share: the
//! columns in their order, values within a column in theirs.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::Count;
use futures::StreamExt;

use super::asking::{Asking, each, sort};
use super::exec::{Batches, Work};
use super::ids::{Ids, Ranked, text_bytes};
pub(super) use crate::identity::BLOCK_ROWS_MAX;
use crate::identity::Interner;
use crate::identity::memory;
use crate::query::postgres::column_name;

/// Pairs that are looked at for one batch of the output at most.
const LOOKS: usize = 1 << 18;

/// A row under one of its keys. While rows come it has numbers, then ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Posting {
    column: u32,
    key: u32,
    id: u32,
}

/// The rows that share a key, as places among the postings.
type Block = Range<usize>;

/// Reads rows to their end and returns the pairs of those that share a key.
pub(super) async fn run(mut input: SendableRecordBatchStream, work: Work) -> Result<Batches> {
    let schema = input.schema();
    let mut ids = Ids::of(schema.field(0).data_type());
    let mut keys: Vec<Interner> = schema.fields().iter().skip(1).map(|_| Interner::new()).collect();
    let mut postings: Vec<Posting> = Vec::new();
    while let Some(batch) = input.next().await {
        let batch = batch?;
        let _time = work.time.timer();
        let [of_row] = work.values(&batch, [0])?;
        let texts = batch.columns().iter().skip(1);
        let of_keys: usize = keys
            .iter()
            .zip(texts)
            .map(|(keys, column)| keys.memory_with(column.len(), text_bytes(column)))
            .sum();
        let room = postings.len() + batch.num_rows() * keys.len();
        let held = memory::list(postings.capacity(), room, size_of::<Posting>());
        work.hold(ids.memory_with(&[of_row]) + of_keys + held)?;
        work.check_ids(ids.count() + batch.num_rows())?;
        let numbers = ids.number(of_row);
        for (column, keys) in (0..).zip(&mut keys) {
            let texts = batch.column(column as usize + 1).as_string::<i32>();
            work.check_ids(keys.len() + texts.len())?;
            for (row, id) in numbers.iter().enumerate().filter(|(row, _)| texts.is_valid(*row)) {
                postings.push(Posting { column, key: keys.intern(texts.value(row)), id: *id });
            }
        }
    }
    // Each posting has a place in a block, and one in the list of its row's blocks; sorting takes a second list of them.
    let of_keys: usize =
        keys.iter().map(|keys| keys.memory_with(0, 0) + keys.len() * Ranked::BYTES).sum();
    let of_rows = ids.memory_with(&[]) + ids.count() * (Ranked::BYTES + 2 * size_of::<usize>());
    let of_postings = postings.capacity() * size_of::<Posting>()
        + postings.len() * (size_of::<Posting>() + size_of::<u32>() + size_of::<Block>() / 2);
    work.hold(of_keys + of_rows + of_postings)?;
    let names = schema.fields().iter().skip(1).map(|field| column_name(field.name()).to_owned());
    let names: Vec<String> = names.collect();
    let blocks = {
        let _time = work.time.timer();
        let keys = keys.into_iter().map(|keys| Ids::Texts(keys).ranked());
        Blocks::of(ids.ranked()?, keys.collect::<Result<_>>()?, postings, &work)?
    };
    let candidates = work.counter("candidates");
    Ok(Box::new(Pairs { blocks, names, block: 0, left: 0, right: 1, candidates, work }))
}

/// Rows by their keys.
struct Blocks {
    ids: Ranked,
    /// By column.
    keys: Vec<Ranked>,
    postings: Vec<Posting>,
    /// Those of two rows and more, and of not too many.
    blocks: Vec<Block>,
    /// Where the blocks of each row begin in `of_rows`; one more than there are rows.
    starts: Vec<usize>,
    of_rows: Vec<u32>,
}

impl Blocks {
    fn of(ids: Ranked, keys: Vec<Ranked>, mut postings: Vec<Posting>, work: &Work) -> Result<Self> {
        each(&mut postings, |posting| {
            posting.key = keys[posting.column as usize].rank(posting.key);
            posting.id = ids.rank(posting.id);
        })?;
        sort(&mut postings, Ord::cmp)?;
        postings.dedup();
        let mut asking = Asking::default();
        let passed_over = work.counter("blocks_passed_over");
        let mut blocks: Vec<Block> = Vec::new();
        let mut from = 0;
        let same_key =
            |one: &Posting, other: &Posting| (one.column, one.key) == (other.column, other.key);
        for block in postings.chunk_by(same_key) {
            let to = from + block.len();
            if block.len() > usize::from(BLOCK_ROWS_MAX) {
                passed_over.add(1);
            } else if block.len() > 1 {
                blocks.push(from..to);
            }
            from = to;
            asking.did(block.len())?;
        }
        let rows_of = |block: &Block| postings[block.clone()].iter().map(|posting| posting.id);
        let mut starts = vec![0; ids.count() + 1];
        each(blocks.iter().flat_map(rows_of), |row| starts[row as usize + 1] += 1)?;
        for row in 1..starts.len() {
            starts[row] += starts[row - 1];
        }
        let mut of_rows = vec![0; starts.last().copied().unwrap_or(0)];
        let mut next = starts.clone();
        for (number, block) in (0..).zip(&blocks) {
            for row in rows_of(block) {
                let place = &mut next[row as usize];
                of_rows[*place] = number;
                *place += 1;
            }
            asking.did(block.len())?;
        }
        Ok(Self { ids, keys, postings, blocks, starts, of_rows })
    }

    fn of_row(&self, row: u32) -> &[u32] {
        &self.of_rows[self.starts[row as usize]..self.starts[row as usize + 1]]
    }

    /// Tells whether a block is the first that two of its rows share.
    fn is_first(&self, block: u32, left: u32, right: u32) -> bool {
        let (mut left, mut right) = (self.of_row(left).iter(), self.of_row(right).iter());
        let (mut one, mut other) = (left.next(), right.next());
        // Blocks of a row are in order, and both have this one.
        while let (Some(of_left), Some(of_right)) = (one, other) {
            match of_left.cmp(of_right) {
                std::cmp::Ordering::Less => one = left.next(),
                std::cmp::Ordering::Greater => other = right.next(),
                std::cmp::Ordering::Equal => return *of_left == block,
            }
        }
        false
    }
}

/// The pairs that are still to come: of a block, and of the rows in it.
struct Pairs {
    blocks: Blocks,
    /// Of the columns of keys.
    names: Vec<String>,
    block: usize,
    left: usize,
    right: usize,
    candidates: Count,
    work: Work,
}

impl Pairs {
    /// Goes to the next pair and returns its block and rows.
    fn next_pair(&mut self) -> Option<(u32, u32, u32)> {
        loop {
            let block = self.blocks.blocks.get(self.block)?.clone();
            let rows = &self.blocks.postings[block];
            if self.right < rows.len() {
                let pair = (rows[self.left].id, rows[self.right].id);
                self.right += 1;
                return Some((self.block as u32, pair.0, pair.1));
            }
            self.left += 1;
            self.right = self.left + 1;
            if self.right >= rows.len() {
                (self.block, self.left, self.right) = (self.block + 1, 0, 1);
            }
        }
    }

    fn batch(&self, found: &[(u32, u32, u32)]) -> Result<RecordBatch> {
        let Blocks { ids, keys, postings, blocks, .. } = &self.blocks;
        let first = |pair: &(u32, u32, u32)| postings[blocks[pair.0 as usize].start];
        let columns = found.iter().map(|pair| self.names[first(pair).column as usize].as_str());
        let values = found.iter().map(|pair| {
            let Posting { column, key, .. } = first(pair);
            keys[column as usize].text(key)
        });
        let columns: Vec<ArrayRef> = vec![
            ids.column(found.iter().map(|pair| pair.1)),
            ids.column(found.iter().map(|pair| pair.2)),
            Arc::new(StringArray::from_iter_values(columns)),
            Arc::new(StringArray::from_iter_values(values)),
        ];
        self.work.batch(columns)
    }
}

impl Iterator for Pairs {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let time = self.work.time.clone();
        let _time = time.timer();
        let mut found = Vec::with_capacity(self.work.batch_rows);
        let (mut looked, mut asking) = (0, Asking::default());
        while found.len() < self.work.batch_rows && looked < LOOKS {
            let Some(pair) = self.next_pair() else { break };
            looked += 1;
            if let Err(stopped) = asking.did(1) {
                return Some(Err(stopped));
            }
            if self.blocks.is_first(pair.0, pair.1, pair.2) {
                found.push(pair);
            }
        }
        self.candidates.add(looked);
        (looked > 0).then(|| self.batch(&found))
    }
}
