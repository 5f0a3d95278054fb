//! Groups of records of one component while they are joined, with what speaks for and against each two of them.
//!
//! A matrix for each component: nearly all are small, and large ones are joined in another way.

/// Groups of one component, with what speaks for and against each pair of them.
pub(crate) struct Pairs {
    pub(crate) groups: Vec<Vec<u32>>,
    sums: Vec<i64>,
    /// The largest weight of a pair.
    same: Vec<i32>,
    /// What speaks most for one person rather than one household.
    strongest: Vec<i32>,
    refused: Vec<bool>,
    /// Pairs of places that stay apart.
    pub(crate) never: Vec<(usize, usize)>,
    /// For each place the group that it is in.
    group_of: Vec<usize>,
}

impl Pairs {
    pub(crate) fn new(rows: &[u32]) -> Self {
        let count = rows.len();
        Self {
            groups: rows.iter().map(|&row| vec![row]).collect(),
            sums: vec![0; count * count],
            same: vec![i32::MIN; count * count],
            strongest: vec![i32::MIN; count * count],
            refused: vec![false; count * count],
            never: Vec::new(),
            group_of: (0..count).collect(),
        }
    }

    fn at(&self, left: usize, right: usize) -> usize {
        left.min(right) * self.group_of.len() + left.max(right)
    }

    /// Sets what speaks for two rows being one, the weight of the pair, and its weight against one household.
    pub(crate) fn set(
        &mut self,
        left: usize,
        right: usize,
        [speaks, same, against_household]: [i32; 3],
    ) {
        let at = self.at(left, right);
        self.sums[at] = i64::from(speaks);
        self.same[at] = same;
        self.strongest[at] = against_household;
    }

    pub(crate) fn sum(&self, left: usize, right: usize) -> i64 {
        self.sums[self.at(left, right)]
    }

    pub(crate) fn same(&self, left: usize, right: usize) -> i32 {
        self.same[self.at(left, right)]
    }

    pub(crate) fn strongest(&self, left: usize, right: usize) -> i32 {
        self.strongest[self.at(left, right)]
    }

    /// Returns the two groups for which most speaks, the first of several.
    pub(crate) fn best(&self) -> Option<(usize, usize)> {
        let mut best = None;
        let mut most = 0;
        for left in 0..self.groups.len() {
            if self.groups[left].is_empty() {
                continue;
            }
            for right in left + 1..self.groups.len() {
                let at = self.at(left, right);
                if self.sums[at] > most
                    && !self.refused[at]
                    && !self.groups[right].is_empty()
                    && !self.is_never(left, right)
                {
                    most = self.sums[at];
                    best = Some((left, right));
                }
            }
        }
        best
    }

    fn is_never(&self, left: usize, right: usize) -> bool {
        self.never.iter().any(|&(one, other)| {
            let (one, other) = (self.group_of[one], self.group_of[other]);
            (one, other) == (left, right) || (one, other) == (right, left)
        })
    }

    /// Returns the group that a place is in.
    pub(crate) fn group_of(&self, place: usize) -> usize {
        self.group_of[place]
    }

    /// Refuses a pair of groups until one of them changes.
    pub(crate) fn refuse(&mut self, left: usize, right: usize) {
        let at = self.at(left, right);
        self.refused[at] = true;
    }

    pub(crate) fn join_always(&mut self, left: usize, right: usize) {
        let (left, right) = (self.group_of[left], self.group_of[right]);
        if left != right && !self.is_never(left, right) {
            self.join(left.min(right), left.max(right));
        }
    }

    pub(crate) fn join(&mut self, left: usize, right: usize) {
        let moved = std::mem::take(&mut self.groups[right]);
        self.groups[left].extend(moved);
        self.group_of.iter_mut().filter(|group| **group == right).for_each(|group| *group = left);
        for other in 0..self.groups.len() {
            if other != left && other != right {
                let (to, from) = (self.at(left, other), self.at(right, other));
                self.sums[to] += self.sums[from];
                self.same[to] = self.same[to].max(self.same[from]);
                self.strongest[to] = self.strongest[to].max(self.strongest[from]);
                self.refused[to] = false;
            }
        }
    }
}
