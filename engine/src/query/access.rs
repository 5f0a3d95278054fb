//! What one statement may see: the capability that every governed scan asks for.
//!
//! An [`Access`] travels as a session extension, never as a settable option. It is built once for each statement from
//! the role, its declared purpose, and one version of the identity graph and of everyone's consent; a scan that finds
//! none refuses. Two sets answer "does this person exist?" in one bit test: who may be seen, and which profile a
//! subject belongs to.

use std::sync::{Arc, OnceLock};

use datafusion::catalog::Session;
use datafusion::error::{DataFusionError, Result as DataFusionResult};

use super::directory::Directory;
use crate::error::Error;
use crate::identity::{Households, ProfileIds, Tie};

/// The subject of rows that carry no identifier at all.
pub const NO_SUBJECT: u32 = u32::MAX;

/// Which profile each subject belongs to, in one version of the identity graph.
#[derive(Debug, Default)]
pub struct People {
    /// The identity refresh that made this map; 0 before the first.
    pub version: u64,
    /// By subject: the profile id, or 0 for a subject that nothing resolves.
    profile_ids: Vec<i64>,
    /// By subject: the anchor, the oldest subject of the profile, or [`NO_SUBJECT`].
    anchors: Vec<u32>,
    /// The subjects that have a profile, in the order of its id, once somebody asks for a few.
    by_profile: OnceLock<ByProfile>,
    /// Who may live with whom, and what makes ids of households, if the graph asks for them.
    households: Option<(Arc<Households>, ProfileIds)>,
}

/// The subjects that have a profile, in the order of its id.
#[derive(Debug)]
struct ByProfile {
    subjects: Vec<u32>,
    /// The directory of their ids.
    directory: Directory,
}

/// Returns a number that is as much larger than another one's as the id is.
fn ordered(id: i64) -> u64 {
    id.cast_unsigned() ^ (1 << 63)
}

impl People {
    /// Builds the map from the profile id and the anchor of each subject, in subject order.
    pub fn new(version: u64, profile_ids: Vec<i64>, anchors: Vec<u32>) -> Self {
        debug_assert_eq!(profile_ids.len(), anchors.len());
        Self { version, profile_ids, anchors, by_profile: OnceLock::new(), households: None }
    }

    /// Adds who may live with whom.
    pub(crate) fn with_households(mut self, households: Arc<Households>, ids: ProfileIds) -> Self {
        self.households = Some((households, ids));
        self
    }

    /// Returns the profile of `subject`, or `None` if nothing resolves it.
    pub fn profile_id(&self, subject: u32) -> Option<i64> {
        self.profile_ids.get(subject as usize).copied().filter(|id| *id != 0)
    }

    /// Returns the oldest subject of the profile of `subject`.
    pub fn anchor(&self, subject: u32) -> Option<u32> {
        self.anchors.get(subject as usize).copied().filter(|anchor| *anchor != NO_SUBJECT)
    }

    /// As [`People::subjects`], if it need not find out the order of all profiles first.
    pub(crate) fn subjects_at_once(&self, ids: &[i64]) -> Option<Vec<u32>> {
        self.by_profile.get().map(|_| self.subjects(ids))
    }

    /// Returns all subjects of the profiles with these ids, sorted.
    pub fn subjects(&self, ids: &[i64]) -> Vec<u32> {
        let id_of = |subject: &u32| self.profile_ids[*subject as usize];
        let by_profile = self.by_profile.get_or_init(|| {
            let all = 0..u32::try_from(self.profile_ids.len()).unwrap_or(NO_SUBJECT);
            let mut subjects: Vec<u32> = all.filter(|subject| id_of(subject) != 0).collect();
            subjects.sort_unstable_by_key(id_of);
            let count = u32::try_from(subjects.len()).unwrap_or(NO_SUBJECT);
            let directory = Directory::of(count, |at| ordered(id_of(&subjects[at])));
            ByProfile { subjects, directory }
        });
        let mut found = Vec::new();
        for id in ids {
            let near = &by_profile.subjects[by_profile.directory.around(ordered(*id))];
            let from = near.partition_point(|subject| id_of(subject) < *id);
            found.extend(near[from..].iter().take_while(|subject| id_of(subject) == *id));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns how many subjects are mapped.
    pub fn subject_count(&self) -> usize {
        self.profile_ids.len()
    }

    /// Returns each profile once, as its anchor and its id.
    pub fn profiles(&self) -> impl Iterator<Item = (u32, i64)> + '_ {
        self.anchors.iter().zip(&self.profile_ids).enumerate().filter_map(
            |(subject, (anchor, id))| {
                (*anchor as usize == subject && *id != 0).then_some((*anchor, *id))
            },
        )
    }
}

/// A set of subjects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectSet {
    words: Vec<u64>,
}

impl SubjectSet {
    /// Returns a set that can hold `subject_count` subjects without growing.
    pub fn with_capacity(subject_count: usize) -> Self {
        Self { words: vec![0; subject_count.div_ceil(64)] }
    }

    /// Adds `subject`.
    pub fn insert(&mut self, subject: u32) {
        let word = subject as usize / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (subject % 64);
    }

    /// Removes `subject`.
    pub fn remove(&mut self, subject: u32) {
        if let Some(word) = self.words.get_mut(subject as usize / 64) {
            *word &= !(1 << (subject % 64));
        }
    }

    /// Tells whether `subject` is in the set.
    pub fn contains(&self, subject: u32) -> bool {
        self.words.get(subject as usize / 64).is_some_and(|word| word >> (subject % 64) & 1 == 1)
    }

    /// Returns how many subjects are in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Tells whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

impl FromIterator<u32> for SubjectSet {
    fn from_iter<I: IntoIterator<Item = u32>>(subjects: I) -> Self {
        let mut set = Self::default();
        subjects.into_iter().for_each(|subject| set.insert(subject));
        set
    }
}

/// Who may be seen.
#[derive(Debug, Clone)]
pub enum Visible {
    /// Everyone, and the rows that nothing resolves.
    Everyone,
    /// The subjects of the people who allow the purpose.
    Subjects(Arc<SubjectSet>),
}

impl Visible {
    /// Tells whether rows of `subject` exist for this access.
    pub fn contains(&self, subject: u32) -> bool {
        match self {
            Visible::Everyone => true,
            Visible::Subjects(subjects) => subjects.contains(subject),
        }
    }
}

/// The capability of one statement.
#[derive(Debug, Clone)]
pub struct Access {
    /// Who asks.
    pub role: String,
    /// What for.
    pub purpose: String,
    /// Who may be seen.
    pub visible: Visible,
    /// Which profile each subject belongs to.
    pub people: Arc<People>,
}

impl Access {
    /// Returns the access of `session`.
    ///
    /// # Errors
    /// [`Error::Denied`] if the session declared no purpose: personal data is never read without one.
    pub fn of(session: &dyn Session) -> DataFusionResult<Arc<Access>> {
        session
            .config()
            .get_extension::<Access>()
            .ok_or_else(|| DataFusionError::External(Box::new(no_purpose())))
    }

    /// Returns the profile of `subject` if its person may be seen.
    pub fn profile_id(&self, subject: u32) -> Option<i64> {
        if subject == NO_SUBJECT || !self.visible.contains(subject) {
            return None;
        }
        self.people.profile_id(subject)
    }

    /// Returns the household of each subject's profile, as the people make it who may be seen.
    pub(crate) fn household_ids(&self, subjects: &[u32]) -> Vec<Option<i64>> {
        let Some((households, ids)) = &self.people.households else {
            return vec![None; subjects.len()];
        };
        let exists = |anchor: u32| self.visible.contains(anchor);
        let anchors = subjects.iter().map(|subject| self.people.anchor(*subject));
        let anchors = anchors.map(|anchor| anchor.filter(|anchor| exists(*anchor)));
        let eldest = households.eldest(anchors, exists);
        eldest.into_iter().map(|anchor| Some(ids.id_of(u64::from(anchor?)))).collect()
    }

    /// Returns the household of the profile with this anchor, which may be seen; `None` if the graph asks for no households.
    pub(crate) fn household(&self, anchor: u32) -> Option<Household> {
        let (households, ids) = self.people.households.as_ref()?;
        let mut others = households.members(anchor, |anchor| self.visible.contains(anchor));
        let eldest = *others.first()?;
        others.retain(|other| *other != anchor);
        let nearest = households.nearest(anchor, &others);
        let nearest = nearest.and_then(|(other, tie)| Some((self.profile_id(other)?, tie)));
        Some(Household { id: ids.id_of(u64::from(eldest)), others: others.len(), nearest })
    }
}

/// The household of a profile, as the people make it who may be seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Household {
    pub(crate) id: i64,
    /// How many others are of it.
    pub(crate) others: usize,
    /// The profile of these that most speaks for, and what the two say of living together.
    pub(crate) nearest: Option<(i64, Tie)>,
}

/// The refusal of a personal read without a purpose.
pub fn no_purpose() -> Error {
    Error::Denied {
        message: "no purpose is declared for reading personal data".into(),
        hint: "Declare one that is granted to your role, such as SET cdp.purpose = 'analytics'; SELECT * FROM cdp.purposes shows them.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_inserted_and_not_removed() {
        let mut set = SubjectSet::with_capacity(10);
        for subject in [0, 63, 64, 1000] {
            set.insert(subject);
        }
        set.remove(63);
        assert_eq!(set.len(), 3);
        assert!(set.contains(1000) && !set.contains(63) && !set.contains(5000));
    }

    #[test]
    fn unresolved_subjects_have_no_profile() {
        let people = People::new(1, vec![7, 0, 7], vec![0, NO_SUBJECT, 0]);
        assert_eq!(
            (people.profile_id(0), people.profile_id(1), people.profile_id(9)),
            (Some(7), None, None)
        );
        assert_eq!(people.anchor(2), Some(0));
        assert_eq!(people.profiles().collect::<Vec<_>>(), [(0, 7)]);
        assert_eq!(people.subjects(&[7, 9, 0]), [0, 2]);
        assert_eq!(people.subjects(&[i64::MIN, 8, 6, i64::MAX]), [0_u32; 0]);
    }
}
