//! Disjoint sets of dense numbers.
//!
//! [`UnionFind`] links the larger root below the smaller one and halves paths on the way up (van Leeuwen and van der
//! Weide, 1977), so that a set's root is its smallest member.

use std::convert::Infallible;

use super::memory;

/// Members whose roots are found between two questions.
const MEMBERS_AT_ONCE: usize = 1 << 14;

/// Disjoint sets of the numbers below a bound; the root of a set is its smallest member.
#[derive(Debug, Clone, Default)]
pub struct UnionFind {
    parents: Vec<u32>,
}

impl UnionFind {
    /// Makes `count` sets of one member each.
    pub fn new(count: u32) -> Self {
        Self { parents: (0..count).collect() }
    }

    /// Adds a set of one member and returns that member.
    pub fn push(&mut self) -> u32 {
        let member = self.parents.len() as u32;
        self.parents.push(member);
        member
    }

    /// Returns how many members there are.
    pub(crate) fn len(&self) -> usize {
        self.parents.len()
    }

    /// Returns how many bytes it takes at most while so many more members come to it.
    pub(crate) fn memory_with(&self, members: usize) -> usize {
        memory::list(self.parents.capacity(), self.len() + members, size_of::<u32>())
    }

    /// Returns the smallest member of the set of `member`.
    pub fn find(&mut self, mut member: u32) -> u32 {
        loop {
            let parent = self.parents[member as usize];
            if parent == member {
                return member;
            }
            let grandparent = self.parents[parent as usize];
            self.parents[member as usize] = grandparent;
            member = grandparent;
        }
    }

    /// Joins the sets of two members. Returns whether they were apart.
    pub fn union(&mut self, left: u32, right: u32) -> bool {
        let (left, right) = (self.find(left), self.find(right));
        if left == right {
            return false;
        }
        let (root, child) = if left < right { (left, right) } else { (right, left) };
        self.parents[child as usize] = root;
        true
    }

    /// Returns the smallest member of each member's set.
    pub fn into_roots(self) -> Vec<u32> {
        let Ok(roots) = self.into_roots_asking(|| Ok::<_, Infallible>(()));
        roots
    }

    /// As [`into_roots`](Self::into_roots), unless `ask`, which is asked again and again meanwhile, fails.
    pub(crate) fn into_roots_asking<E>(
        mut self,
        mut ask: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<u32>, E> {
        let parents = &mut self.parents;
        for from in (0..parents.len()).step_by(MEMBERS_AT_ONCE) {
            ask()?;
            // A parent is never larger than its child, so parents hold their final root when a child asks.
            for member in from..parents.len().min(from + MEMBERS_AT_ONCE) {
                parents[member] = parents[parents[member] as usize];
            }
        }
        Ok(self.parents)
    }
}
