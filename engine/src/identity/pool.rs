//! Short lists, one for each subject, in one array: sixteen bytes of bookkeeping would be more than most lists hold.

use super::interner::NONE;

/// Lists of `T`.
#[derive(Debug)]
pub(super) struct Pool<T> {
    heads: Vec<u32>,
    cells: Vec<(T, u32)>,
    free: u32,
    count: usize,
}

impl<T: Copy> Pool<T> {
    pub(super) fn new() -> Self {
        Self { heads: Vec::new(), cells: Vec::new(), free: NONE, count: 0 }
    }

    /// Adds an item to the list of `owner`.
    pub(super) fn push(&mut self, owner: u32, item: T) {
        let owner = owner as usize;
        if self.heads.len() <= owner {
            self.heads.resize(owner + 1, NONE);
        }
        let next = self.heads[owner];
        if self.free == NONE {
            self.heads[owner] = self.cells.len() as u32;
            self.cells.push((item, next));
        } else {
            let cell = self.free;
            self.free = self.cells[cell as usize].1;
            self.heads[owner] = cell;
            self.cells[cell as usize] = (item, next);
        }
        self.count += 1;
    }

    /// Keeps what passes of the list of `owner`.
    pub(super) fn retain(&mut self, owner: u32, keep: impl Fn(&T) -> bool) {
        let kept: Vec<T> = self.of(owner).filter(keep).collect();
        self.clear(owner);
        kept.into_iter().rev().for_each(|item| self.push(owner, item));
    }

    /// Empties the list of `owner`.
    pub(super) fn clear(&mut self, owner: u32) {
        let Some(head) = self.heads.get_mut(owner as usize) else { return };
        let mut cell = std::mem::replace(head, NONE);
        while cell != NONE {
            let next = self.cells[cell as usize].1;
            self.cells[cell as usize].1 = self.free;
            self.free = cell;
            self.count -= 1;
            cell = next;
        }
    }

    /// Returns the list of `owner`, newest first.
    pub(super) fn of(&self, owner: u32) -> impl Iterator<Item = T> {
        let mut cell = self.heads.get(owner as usize).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let (item, next) = *self.cells.get(cell as usize)?;
            cell = next;
            Some(item)
        })
    }

    /// Returns all items, by owner.
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        (0..self.heads.len() as u32).flat_map(|owner| self.of(owner))
    }

    /// Returns how many items there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_apart_and_cells_used_again() {
        let mut pool = Pool::new();
        pool.push(3, 'a');
        pool.push(0, 'b');
        pool.push(3, 'c');
        assert_eq!(pool.of(3).collect::<String>(), "ca");
        assert_eq!(pool.of(9).count() + pool.of(1).count(), 0);
        pool.clear(3);
        pool.clear(9);
        assert_eq!((pool.of(3).count(), pool.len()), (0, 1));
        pool.push(1, 'd');
        pool.push(1, 'e');
        assert_eq!(pool.iter().collect::<String>(), "bed");
        assert_eq!((pool.cells.len(), pool.len()), (3, 3));
        pool.push(1, 'f');
        pool.retain(1, |item| *item != 'e');
        pool.retain(9, |_| true);
        assert_eq!((pool.of(1).collect::<String>(), pool.len()), ("fd".to_owned(), 3));
    }
}
