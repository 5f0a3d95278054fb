//! Why subjects are together, and why others are not.

use super::agreement::Contradiction;
use super::rules::OVERRIDE_RULE;

/// Two subjects that a rule puts into one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// A subject.
    pub left: u32,
    /// Another subject.
    pub right: u32,
    /// The rule: a number of [`Rules`](super::Rules).
    pub rule: u16,
    /// The value that both carry; of the FUZZY rule the weight, see [`weight_of`].
    pub(super) value: u32,
    /// Whether this edge joined two parts; otherwise they were together already when its turn came.
    pub joined: bool,
    /// When its turn came, among the edges that hang together with it.
    pub turn: u32,
}

impl Edge {
    /// Tells whether people decided that its two subjects are of one person.
    pub fn is_decided(&self) -> bool {
        self.rule == OVERRIDE_RULE
    }
}

/// An edge that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Violation {
    /// A subject.
    pub left: u32,
    /// Another subject, which agrees with it on a value.
    pub right: u32,
    /// The subject that speaks against it: one of the two, or one that is together with one of them.
    pub against: u32,
    /// The rule that proposed the edge: a number of [`Rules`](super::Rules).
    pub rule: u16,
    /// The value on which they agree; of the FUZZY rule the weight, see [`weight_of`].
    pub(super) value: u32,
    /// What refused it.
    pub reason: Refusal,
}

/// What refuses an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// The given names differ.
    GivenName,
    /// The surnames differ and nothing else speaks for one person.
    Surname,
    /// The names agree too little: an initial beside a surname that is only similar, or two lone names.
    Name,
    /// Several people share the value, and one of the two has no name by which to tell.
    Unnamed,
    /// One is senior and the other is junior.
    Suffix,
    /// The birthdays differ by more than a slip.
    BirthDate,
    /// Among those who agree there are two people of one name, such as a father and a son, or must be, and neither a birthday nor a
    /// suffix says that the two records are of one person.
    Namesake,
    /// The profile would have more values of this kind than its `LIMIT`.
    Limit(u16),
    /// The profile would have more records than `merge_limit`.
    MergeLimit,
    /// Somebody decided that two records are not one person's.
    Override,
    /// Somebody decided that they are one person's, and other decisions contradict that.
    Contradicted,
    /// Other pairs of the two parts, weighed together, speak against it.
    Outweighed,
    /// One of the two belongs nearly as well to somebody who cannot be the other: either would be a guess.
    Torn,
    /// The value is nobody's, since more people use it than may share one, or since somebody said so. The row stands for all the
    /// records that carry it, of which there are so many.
    Nobody(u32),
    /// The same; a rule blocks the value.
    Blocked(u32),
    /// The same; the value was not seen for too long.
    Expired(u32),
    /// So many more edges of the value were refused. The row shows the first of them.
    More(u32),
}

impl Refusal {
    /// Returns the word that `identity_violations` shows.
    pub fn word(self) -> &'static str {
        match self {
            Self::GivenName => "given_name",
            Self::Surname => "surname",
            Self::Name => "name",
            Self::Unnamed => "unnamed",
            Self::Suffix => "suffix",
            Self::BirthDate => "birth_date",
            Self::Namesake => "namesake",
            Self::Limit(_) => "limit",
            Self::MergeLimit => "merge_limit",
            Self::Override => "override",
            Self::Contradicted => "contradicted",
            Self::Outweighed => "outweighed",
            Self::Torn => "torn",
            Self::Nobody(_) => "nobody",
            Self::Blocked(_) => "blocked",
            Self::Expired(_) => "expired",
            Self::More(_) => "more",
        }
    }

    /// Returns how many records, or refused edges, the row stands for, if it is not about its two subjects alone.
    pub fn figure(self) -> Option<u32> {
        match self {
            Self::Nobody(count)
            | Self::Blocked(count)
            | Self::Expired(count)
            | Self::More(count) => Some(count),
            Self::GivenName
            | Self::Surname
            | Self::Name
            | Self::Unnamed
            | Self::Suffix
            | Self::BirthDate
            | Self::Namesake
            | Self::Limit(_)
            | Self::MergeLimit
            | Self::Override
            | Self::Contradicted
            | Self::Outweighed
            | Self::Torn => None,
        }
    }
}

impl From<Contradiction> for Refusal {
    fn from(contradiction: Contradiction) -> Self {
        match contradiction {
            Contradiction::GivenName => Self::GivenName,
            Contradiction::Suffix => Self::Suffix,
            Contradiction::BirthDate => Self::BirthDate,
        }
    }
}

/// Returns the weight of a pair, in [`parts`](crate::matching::parts) of a bit, from what stands in the place of a value.
pub(super) fn weight_of(value: u32) -> i32 {
    value.cast_signed()
}

/// A proposed edge. `left` has the smaller content of the two, so that nothing hangs on ordinals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) value: u32,
    pub(super) rule: u16,
    /// How much more than the value agrees, from 0 to 9.
    pub(super) strength: u8,
}

impl Candidate {
    pub(super) fn refused(self, against: u32, reason: Refusal) -> Violation {
        Violation {
            left: self.left,
            right: self.right,
            against,
            rule: self.rule,
            value: self.value,
            reason,
        }
    }

    pub(super) fn accepted(self, joined: bool, turn: usize) -> Edge {
        let Self { left, right, rule, value, .. } = self;
        Edge { left, right, rule, value, joined, turn: turn as u32 }
    }
}
