//! Rows by the keys under which they are looked for.
//!
//! A key that more rows share than can be compared is closed, for ever: rows are only added. Which keys are closed hangs on
//! the rows there are and not on their order; whoever is told that a key was closed looks at the pairs of its rows again.

use crate::identity::interner::{KeyTable, NONE};

/// Rows that share a key at most. Whoever carries fifteen such keys is compared with fifteen hundred, which takes less than
/// a millisecond; what a commoner key tells, one of the finer ones beside it tells better. With half of it a new record takes half
/// the time, and who agrees on a frequent name alone is found less often; with twice as much the contrary. It fits into eight bits.
pub(crate) const BLOCK_ROWS_MAX: u8 = 100;

/// The blocks of rows that share a key.
#[derive(Debug)]
pub(super) struct Index {
    keys: KeyTable,
    /// The newest link of each block.
    heads: Vec<u32>,
    /// Rows of each block; one more than there may be when it is closed.
    counts: Vec<u8>,
    /// Where the links of each row start; one more than there are rows.
    starts: Vec<u32>,
    links: Vec<Link>,
    rows_max: u8,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    block: u32,
    row: u32,
    /// The next older link of the block.
    next: u32,
}

impl Index {
    /// Makes an index whose keys are closed when more than `rows_max` rows share them.
    pub(super) fn new(rows_max: u8) -> Self {
        Self {
            rows_max,
            keys: KeyTable::new(),
            heads: Vec::new(),
            counts: Vec::new(),
            starts: vec![0],
            links: Vec::new(),
        }
    }

    /// Adds the next row under its keys, and adds to `closed` the rows of those that it closes.
    pub(super) fn add(&mut self, keys: &[u64], closed: &mut Vec<u32>) {
        let row = (self.starts.len() - 1) as u32;
        for &key in keys {
            let block = self.keys.insert(key);
            let at = block as usize;
            if at == self.heads.len() {
                self.heads.push(NONE);
                self.counts.push(0);
            }
            if self.is_closed(block) {
                continue;
            }
            self.counts[at] += 1;
            let next = std::mem::replace(&mut self.heads[at], self.links.len() as u32);
            self.links.push(Link { block, row, next });
            if self.is_closed(block) {
                closed.extend(self.rows_of(block));
            }
        }
        self.starts.push(self.links.len() as u32);
    }

    /// Adds to `found` the rows that share a key with `row`, each once, itself left out.
    pub(super) fn neighbours(&self, row: u32, found: &mut Vec<u32>) {
        found.clear();
        let open = self.links_of(row).iter().filter(|link| !self.is_closed(link.block));
        let mut next: Vec<u32> = open.map(|link| self.heads[link.block as usize]).collect();
        // Blocks are walked side by side: links lie anywhere in memory, and each tells where the next one of its block is.
        while !next.is_empty() {
            next.retain_mut(|at| {
                let link = self.links[*at as usize];
                if link.row != row {
                    found.push(link.row);
                }
                *at = link.next;
                link.next != NONE
            });
        }
        found.sort_unstable();
        found.dedup();
    }

    /// Tells whether two rows share an open key.
    pub(super) fn are_neighbours(&self, one: u32, other: u32) -> bool {
        let theirs = self.links_of(other);
        self.links_of(one).iter().any(|mine| {
            theirs.iter().any(|link| link.block == mine.block) && !self.is_closed(mine.block)
        })
    }

    fn links_of(&self, row: u32) -> &[Link] {
        let (start, end) = (self.starts[row as usize], self.starts[row as usize + 1]);
        &self.links[start as usize..end as usize]
    }

    fn is_closed(&self, block: u32) -> bool {
        self.counts[block as usize] > self.rows_max
    }

    fn rows_of(&self, block: u32) -> impl Iterator<Item = u32> {
        let mut link = self.heads[block as usize];
        std::iter::from_fn(move || {
            let found = self.links.get(link as usize)?;
            link = found.next;
            Some(found.row)
        })
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
