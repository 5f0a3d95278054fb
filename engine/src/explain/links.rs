//! The graph of one profile's records: the strongest way from one to another, and the cheapest cut between them.
//!
//! A way is as strong as its weakest edge; of equally strong ways the shortest is taken. The cut is a minimum cut, found as a
//! maximum flow along shortest augmenting paths (Edmonds and Karp, 1972): profiles have tens of records.

use std::collections::VecDeque;

use crate::identity::union_find::UnionFind;

/// An edge between two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) left: u32,
    pub(super) right: u32,
    /// How much it holds; at least 1.
    pub(super) weight: u64,
}

/// Returns the positions of the links of the strongest way, in its order; `None` if no way leads there.
pub(super) fn strongest_way(nodes: u32, links: &[Link], from: u32, to: u32) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..links.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(links[*at].weight));
    let mut sets = UnionFind::new(nodes);
    let mut weakest = None;
    for at in order {
        sets.union(links[at].left, links[at].right);
        if sets.find(from) == sets.find(to) {
            weakest = Some(links[at].weight);
            break;
        }
    }
    let weakest = weakest.filter(|_| from != to)?;
    let strong = |at: usize| links[at].weight >= weakest;
    let ways = Ways::of(nodes, links);
    let came_by = ways.from(from, strong);
    let mut way = Vec::new();
    let mut node = to;
    while node != from {
        let at = came_by[node as usize]?;
        way.push(at);
        node ^= links[at].left ^ links[at].right;
    }
    way.reverse();
    Some(way)
}

/// Returns the positions of the links whose removal parts two nodes and that weigh least together, ascending.
pub(super) fn cheapest_cut(nodes: u32, links: &[Link], from: u32, to: u32) -> Vec<usize> {
    if from == to {
        return Vec::new();
    }
    let ways = Ways::of(nodes, links);
    // What each link can still take from left to right, and from right to left.
    let mut left_over: Vec<[u64; 2]> = links.iter().map(|link| [link.weight; 2]).collect();
    loop {
        let came_by =
            ways.along(from, |at, node| left_over[at][usize::from(links[at].left != node)] > 0);
        if came_by[to as usize].is_none() {
            let is_near = |node: u32| node == from || came_by[node as usize].is_some();
            let parts = |at: &usize| is_near(links[*at].left) != is_near(links[*at].right);
            return (0..links.len()).filter(parts).collect();
        }
        let mut steps = Vec::new();
        let mut node = to;
        while node != from {
            let Some(at) = came_by[node as usize] else { break };
            let before = links[at].left ^ links[at].right ^ node;
            steps.push((at, usize::from(links[at].left != before)));
            node = before;
        }
        let flow = steps.iter().map(|&(at, way)| left_over[at][way]).min().unwrap_or(0);
        for (at, way) in steps {
            left_over[at][way] -= flow;
            left_over[at][1 - way] += flow;
        }
    }
}

/// For each node the positions of its links, the strongest first.
struct Ways<'a> {
    links: &'a [Link],
    of: Vec<Vec<usize>>,
}

impl<'a> Ways<'a> {
    fn of(nodes: u32, links: &'a [Link]) -> Self {
        let mut of = vec![Vec::new(); nodes as usize];
        for (at, link) in links.iter().enumerate().filter(|(_, link)| link.left != link.right) {
            of[link.left as usize].push(at);
            of[link.right as usize].push(at);
        }
        for of_node in &mut of {
            of_node.sort_by_key(|at| std::cmp::Reverse(links[*at].weight));
        }
        Self { links, of }
    }

    /// Goes along the links that `is_open`, and returns by which link each node was reached first.
    fn from(&self, start: u32, is_open: impl Fn(usize) -> bool) -> Vec<Option<usize>> {
        self.along(start, |at, _| is_open(at))
    }

    /// The same, where a link may be open from one of its ends alone.
    fn along(&self, start: u32, is_open: impl Fn(usize, u32) -> bool) -> Vec<Option<usize>> {
        let mut came_by = vec![None; self.of.len()];
        let mut open = VecDeque::from([start]);
        while let Some(node) = open.pop_front() {
            for &at in self.of[node as usize].iter().filter(|at| is_open(**at, node)) {
                let other = self.links[at].left ^ self.links[at].right ^ node;
                if other != start && came_by[other as usize].is_none() {
                    came_by[other as usize] = Some(at);
                    open.push_back(other);
                }
            }
        }
        came_by
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link((left, right, weight): (u32, u32, u64)) -> Link {
        Link { left, right, weight }
    }

    #[test]
    fn a_way_is_as_strong_as_its_weakest_link_and_then_short() {
        let links = [(0, 3, 1), (0, 1, 5), (1, 2, 7), (2, 3, 5), (1, 3, 5), (1, 3, 6)].map(link);
        assert_eq!(strongest_way(4, &links, 0, 3), Some(vec![1, 5]));
        assert_eq!(strongest_way(5, &links, 0, 4), None);
        assert_eq!(strongest_way(5, &links, 0, 0), None);
    }

    #[test]
    fn the_cut_takes_all_links_between_two_and_the_cheaper_side() {
        let links = [(0, 1, 5), (0, 1, 2), (1, 2, 3), (0, 2, 1), (2, 3, 9)].map(link);
        assert_eq!(cheapest_cut(4, &links, 0, 3), [2, 3]);
        assert_eq!(cheapest_cut(4, &links, 1, 0), [0, 1, 3]);
        assert_eq!(cheapest_cut(5, &links, 0, 4), [] as [usize; 0]);
    }

    /// Tells whether a way is left without some links.
    fn connects(links: &[Link], without: impl Fn(usize) -> bool) -> bool {
        let mut sets = UnionFind::new(6);
        for (_, link) in links.iter().enumerate().filter(|(at, _)| !without(*at)) {
            sets.union(link.left, link.right);
        }
        sets.find(0) == sets.find(5)
    }

    proptest! {
        #[test]
        fn no_cut_is_cheaper_and_no_way_is_stronger(
            links in prop::collection::vec((0_u32..6, 0_u32..6, 1_u64..9).prop_map(link), 0..14)
        ) {
            let weight = |cut: &dyn Fn(usize) -> bool| -> u64 {
                links.iter().enumerate().filter(|(at, _)| cut(*at)).map(|(_, link)| link.weight).sum()
            };
            let found = cheapest_cut(6, &links, 0, 5);
            prop_assert!(!connects(&links, |at| found.contains(&at)));
            // Every way to part the nodes has 0 on one side and 5 on the other.
            for side in 0_u32..16 {
                let is_near = |node: u32| node == 0 || node != 5 && side >> (node - 1) & 1 == 1;
                let parts = |at: usize| is_near(links[at].left) != is_near(links[at].right);
                prop_assert!(weight(&|at| found.contains(&at)) <= weight(&parts));
            }
            let way = strongest_way(6, &links, 0, 5);
            prop_assert_eq!(way.is_some(), connects(&links, |_| false));
            if let Some(way) = way {
                let mut node = 0;
                for &at in &way {
                    prop_assert!(links[at].left == node || links[at].right == node);
                    node ^= links[at].left ^ links[at].right;
                }
                prop_assert_eq!(node, 5);
                let weakest = way.iter().map(|at| links[*at].weight).min().unwrap_or(0);
                prop_assert!(!connects(&links, |at| links[at].weight <= weakest));
            }
        }
    }
}
