//! Rows by the keys under which they are looked for.
//!
//! A key that more rows share than can be compared is closed, for ever: rows are only added. Which keys are closed hangs on
//! the rows there are and not on their order; whoever is told that a key was closed looks at the pairs of its rows again.

use crate::identity::interner::KeyTable;
use crate::identity::memory::warm;

/// Rows that share a key at most. Whoever carries fifteen such keys is compared with fifteen hundred, which takes less than
/// a millisecond; what a commoner key tells, one of the finer ones beside it tells better. With half of it a new record takes half
/// the time, and who agrees on a frequent name alone is found less often; with twice as much the contrary. It fits into eight bits.
pub(crate) const BLOCK_ROWS_MAX: u8 = 100;

/// Room for a block is a power of two.
const SIZES: usize = u8::BITS as usize + 1;

/// The blocks of rows that share a key.
///
/// The rows of a block lie beside each other, so that to read them is to wait for memory once and not once for each.
#[derive(Debug)]
pub(super) struct Index {
    keys: KeyTable,
    /// Of each block its row, when it is one, or else where its rows begin.
    places: Vec<u32>,
    /// Rows of each block; one more than there may be when it is closed.
    counts: Vec<u8>,
    rows: Vec<u32>,
    /// Places that blocks have left, by the logarithm of their room.
    free: [Vec<u32>; SIZES],
    /// Where the blocks of each row start; one more than there are rows.
    starts: Vec<u32>,
    blocks: Vec<u32>,
    rows_max: u8,
}

impl Index {
    /// Makes an index whose keys are closed when more than `rows_max` rows share them.
    pub(super) fn new(rows_max: u8) -> Self {
        Self {
            rows_max,
            keys: KeyTable::new(),
            places: Vec::new(),
            counts: Vec::new(),
            rows: Vec::new(),
            free: Default::default(),
            starts: vec![0],
            blocks: Vec::new(),
        }
    }

    /// Brings what is known of some keys into the cache, before rows are added under them.
    pub(super) fn warm(&self, keys: &[Vec<u64>]) {
        let keys = || keys.iter().flatten().copied();
        self.keys.warm(keys);
        let known = keys().filter_map(|key| self.keys.get(key));
        let told = |at: usize| self.places[at] ^ u32::from(self.counts[at]);
        warm(known.map(|block| told(block as usize)));
    }

    /// Adds the next row under its keys, and adds to `closed` the rows of those that it closes.
    pub(super) fn add(&mut self, keys: &[u64], closed: &mut Vec<u32>) {
        let row = (self.starts.len() - 1) as u32;
        for &key in keys {
            let block = self.keys.insert(key);
            let at = block as usize;
            if at == self.places.len() {
                self.places.push(row);
                self.counts.push(1);
                self.blocks.push(block);
                continue;
            }
            if self.is_closed(block) {
                continue;
            }
            self.blocks.push(block);
            if self.counts[at] == self.rows_max {
                closed.extend(self.rows_of(block).iter().copied().chain([row]));
                self.leave(block);
            } else {
                self.append(block, row);
            }
            self.counts[at] += 1;
        }
        self.starts.push(self.blocks.len() as u32);
    }

    /// Adds to `found` the rows that share a key with `row`, each once, itself left out.
    pub(super) fn neighbours(&self, row: u32, found: &mut Vec<u32>) {
        found.clear();
        let open = || self.blocks_of(row).iter().copied().filter(|&block| !self.is_closed(block));
        warm(open().map(|block| self.rows_of(block)[0]));
        open().for_each(|block| found.extend_from_slice(self.rows_of(block)));
        found.sort_unstable();
        found.dedup();
        found.retain(|&other| other != row);
    }

    /// Tells whether two rows share an open key.
    pub(super) fn are_neighbours(&self, one: u32, other: u32) -> bool {
        let theirs = self.blocks_of(other);
        let is_shared = |mine: &u32| theirs.contains(mine) && !self.is_closed(*mine);
        self.blocks_of(one).iter().any(is_shared)
    }

    fn blocks_of(&self, row: u32) -> &[u32] {
        let (start, end) = (self.starts[row as usize], self.starts[row as usize + 1]);
        &self.blocks[start as usize..end as usize]
    }

    fn is_closed(&self, block: u32) -> bool {
        self.counts[block as usize] > self.rows_max
    }

    /// Returns the rows of an open block.
    fn rows_of(&self, block: u32) -> &[u32] {
        let place = &self.places[block as usize];
        match usize::from(self.counts[block as usize]) {
            1 => std::slice::from_ref(place),
            count => &self.rows[*place as usize..][..count],
        }
    }

    /// Puts a row behind those of an open block, which moves when it has no room.
    fn append(&mut self, block: u32, row: u32) {
        let count = usize::from(self.counts[block as usize]);
        if count.is_power_of_two() {
            let room = count * 2;
            let place = match self.free[room.ilog2() as usize].pop() {
                Some(place) => place,
                None => {
                    self.rows.resize(self.rows.len() + room, 0);
                    (self.rows.len() - room) as u32
                }
            };
            if count == 1 {
                self.rows[place as usize] = self.places[block as usize];
            } else {
                let from = self.places[block as usize] as usize;
                self.rows.copy_within(from..from + count, place as usize);
                self.leave(block);
            }
            self.places[block as usize] = place;
        }
        self.rows[self.places[block as usize] as usize + count] = row;
    }

    /// Gives the place of a block back.
    fn leave(&mut self, block: u32) {
        let room = usize::from(self.counts[block as usize]).next_power_of_two();
        if room > 1 {
            self.free[room.ilog2() as usize].push(self.places[block as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_too_many_is_closed_and_its_rows_are_told() {
        let (mut index, mut closed, mut found) =
            (Index::new(BLOCK_ROWS_MAX), Vec::new(), Vec::new());
        index.add(&[7, 8], &mut closed);
        index.add(&[8, 7], &mut closed);
        index.neighbours(0, &mut found);
        assert_eq!(found, [1]);
        assert!(index.are_neighbours(0, 1));
        for _ in 2..u32::from(BLOCK_ROWS_MAX) {
            index.add(&[7], &mut closed);
        }
        assert!(closed.is_empty());
        index.neighbours(0, &mut found);
        assert_eq!(found.len(), usize::from(BLOCK_ROWS_MAX) - 1);
        index.add(&[7], &mut closed);
        closed.sort_unstable();
        assert_eq!(closed, (0..=u32::from(BLOCK_ROWS_MAX)).collect::<Vec<_>>());
        index.neighbours(0, &mut found);
        assert_eq!(found, [1], "the other key is still open");
        assert!(index.are_neighbours(0, 1) && !index.are_neighbours(0, 2));
        index.add(&[7], &mut closed);
        index.neighbours(u32::from(BLOCK_ROWS_MAX) + 1, &mut found);
        assert_eq!(found, [] as [u32; 0]);
    }
}
