//! Components: rows that hang together by edges, before it is decided which of them are one person.

use std::collections::HashMap;

use super::clusters::{Edge, Overrides};
use crate::identity::interner::NONE;

/// A component: its rows ascending, its edges, and what people decided about it.
#[derive(Clone, Copy)]
pub(super) struct Component<'a> {
    pub(super) rows: &'a [u32],
    pub(super) edges: &'a [Edge],
    pub(super) always: &'a [(u32, u32)],
    pub(super) never: &'a [(u32, u32)],
}

/// All components of two rows and more, one behind the other in the order of their first rows.
pub(super) struct Components {
    rows: Vec<u32>,
    edges: Vec<Edge>,
    /// Where the rows and the edges of each begin, and those of the last one end.
    starts: Vec<(u32, u32)>,
    /// By component; people decide about few.
    always: HashMap<u32, Vec<(u32, u32)>>,
    never: HashMap<u32, Vec<(u32, u32)>>,
}

impl Components {
    /// Parts rows by their roots, and sorted edges with them.
    pub(super) fn new(roots: &[u32], edges: &[Edge], overrides: &Overrides) -> Self {
        let mut sizes = vec![0_u32; roots.len()];
        roots.iter().for_each(|&root| sizes[root as usize] += 1);
        let mut numbers = vec![NONE; roots.len()];
        let mut starts = vec![(0, 0)];
        for (number, size) in numbers.iter_mut().zip(sizes).filter(|(_, size)| *size > 1) {
            *number = starts.len() as u32 - 1;
            let (rows, _) = starts[starts.len() - 1];
            starts.push((rows + size, 0));
        }
        let number = |row: u32| numbers[roots[row as usize] as usize];
        for edge in edges {
            starts[number(edge.left) as usize + 1].1 += 1;
        }
        for at in 1..starts.len() {
            starts[at].1 += starts[at - 1].1;
        }
        let mut next = starts.clone();
        let mut of = Self {
            rows: vec![0; starts[starts.len() - 1].0 as usize],
            edges: edges.to_vec(),
            starts,
            always: HashMap::new(),
            never: HashMap::new(),
        };
        for row in (0..roots.len() as u32).filter(|&row| number(row) != NONE) {
            let next = &mut next[number(row) as usize].0;
            of.rows[*next as usize] = row;
            *next += 1;
        }
        for edge in edges {
            let next = &mut next[number(edge.left) as usize].1;
            of.edges[*next as usize] = *edge;
            *next += 1;
        }
        for &(left, right) in overrides.always.iter().filter(|(left, right)| left != right) {
            of.always.entry(number(left)).or_default().push((left, right));
        }
        for &(left, right) in &overrides.never {
            // Rows of two components are apart anyway.
            if left != right && roots[left as usize] == roots[right as usize] {
                of.never.entry(number(left)).or_default().push((left, right));
            }
        }
        of
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn get(&self, number: usize) -> Component<'_> {
        let (from, to) = (self.starts[number], self.starts[number + 1]);
        let number = number as u32;
        Component {
            rows: &self.rows[from.0 as usize..to.0 as usize],
            edges: &self.edges[from.1 as usize..to.1 as usize],
            always: self.always.get(&number).map_or(&[], Vec::as_slice),
            never: self.never.get(&number).map_or(&[], Vec::as_slice),
        }
    }
}
