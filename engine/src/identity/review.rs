//! What is worth a look: pairs of records about which an answer of a person would tell most.
//!
//! Three things are asked about: joins of the FUZZY rule that are less probable than its `REVIEW BELOW`, ties without which a
//! profile would fall into parts of several records, and joins that were refused. What people decided is not asked again, nor
//! what follows from it; of two profiles that were not joined, the one pair is shown that tells most.
//!
//! How useful an answer is, is its uncertainty times what hangs on it. The uncertainty is the entropy (Shannon, 1948) of what a
//! committee of two thinks (query by committee: Seung, Opper and Sompolinsky, 1992): the model, which gives a probability, and
//! the graph, which joined or refused. It is 1 where one is sure of the contrary of the other, and near 0 where both agree. The
//! FUZZY rule is no second opinion beside its own model: of its joins the entropy of the probability counts (uncertainty
//! sampling: Lewis and Gale, 1994). Where no model weighs, one half stands for the probability that nobody knows. What hangs on
//! it is the number of records that the other answer would give another profile.
//!
//! Like profiles, all of this is a function of the subjects, the rules, the model and the overrides.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, HashMap};

use super::edges::{Edge, Refusal, Violation};
use super::hash;
use super::interner::NONE;
use super::resolver::Resolver;
use super::threads::{dealt, threads};
use super::union_find::UnionFind;
use crate::matching::{Memories, Scorer};

/// Refused joins and ties that are less uncertain than this, in bits, are not worth a look: the model and the graph agree on them
/// to some one in a thousand. With half of it the list is a little longer at its end, with twice as much a little shorter; what is
/// most useful comes first all the same.
const UNCERTAINTY_MIN: f64 = 0.01;

/// Records of a part that hangs by one tie at least: a lone record is no profile that was joined with another.
const PART_RECORDS_MIN: u32 = 2;

/// What is asked about two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Their profile would fall apart without what ties them.
    Bridge,
    /// The FUZZY rule joined them, and is less sure than it should be.
    Unsure,
    /// One of them belongs nearly as well to somebody who cannot be the other.
    Torn,
    /// Other pairs of their profiles speak against what speaks for them.
    Outweighed,
    /// Something refused to join them, whatever else speaks for it.
    Vetoed,
}

impl Question {
    /// Returns the word that `cdp.identity_review` shows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Unsure => "unsure",
            Self::Torn => "torn",
            Self::Outweighed => "outweighed",
            Self::Vetoed => "vetoed",
        }
    }

    /// Returns what a refusal asks; nothing, if people decided it, or if it stands for many.
    fn of(refusal: Refusal) -> Option<Self> {
        match refusal {
            Refusal::Override
            | Refusal::Contradicted
            | Refusal::Nobody(_)
            | Refusal::Blocked(_)
            | Refusal::Expired(_)
            | Refusal::More(_) => None,
            Refusal::Torn => Some(Self::Torn),
            Refusal::Outweighed => Some(Self::Outweighed),
            Refusal::GivenName
            | Refusal::Surname
            | Refusal::Name
            | Refusal::Unnamed
            | Refusal::Suffix
            | Refusal::BirthDate
            | Refusal::Namesake
            | Refusal::Limit(_)
            | Refusal::MergeLimit => Some(Self::Vetoed),
        }
    }
}

/// A pair of records that is worth a look.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewPair {
    /// The anchor of the profile of `left`.
    pub anchor: u32,
    /// The anchor of the profile of `right`, if that is another one.
    pub other: Option<u32>,
    /// A subject.
    pub left: u32,
    /// A subject of another record.
    pub right: u32,
    /// What is asked.
    pub question: Question,
    /// What refused to join them: see [`Refusal::word`].
    pub reason: Option<&'static str>,
    /// The rule that proposed them.
    pub rule: String,
    /// In what they agree, as far as the model or else the rule compared them.
    pub agreement: String,
    /// The logarithm of the odds of one person; `None` where no model weighs.
    pub bits: Option<f64>,
    /// How many records would have another profile by the other answer.
    pub records: u32,
    /// How much an answer would tell.
    pub usefulness: f64,
}

/// Returns the probability of which `bits` is the logarithm of the odds.
pub(crate) fn probability_of(bits: f64) -> f64 {
    1.0 / (1.0 + (-bits).exp2())
}

/// A pair before it is put into words.
#[derive(Debug, Clone, Copy)]
struct Found {
    anchor: u32,
    other: Option<u32>,
    left: u32,
    right: u32,
    question: Question,
    refusal: Option<Refusal>,
    rule: u16,
    value: u32,
    bits: Option<f64>,
    records: u32,
    usefulness: f64,
}

/// What one question is about: two records of a profile, or two profiles. Of several answers to one the most useful stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Records(u32, u32),
    Profiles(u32, u32),
}

impl Resolver {
    /// Returns the pairs that are worth a look among records of these profiles, and between them and others. Whoever hangs
    /// together with them has to be among them.
    pub fn review(&self, anchors: &[u32]) -> Vec<ReviewPair> {
        let parts = anchors.chunks(anchors.len().div_ceil(threads()).max(1));
        let found = dealt(threads(), parts, |anchors| Reviewer::of(self).found(anchors));
        let mut best: BTreeMap<About, Found> = BTreeMap::new();
        for found in found.into_iter().flatten() {
            let kept = best.entry(self.about(&found)).or_insert(found);
            if self.in_order(&found, kept).is_lt() {
                *kept = found;
            }
        }
        let mut best: Vec<Found> = best.into_values().collect();
        best.sort_by(|one, other| (one.anchor.cmp(&other.anchor)).then(self.in_order(one, other)));
        let mut scorer = self.fuzzy.as_ref().and_then(|fuzzy| fuzzy.scorer(Memories::default()));
        best.iter().map(|found| self.in_words(found, scorer.as_mut())).collect()
    }

    fn about(&self, found: &Found) -> About {
        let ordered = |one: u32, other: u32| (one.min(other), one.max(other));
        match found.other {
            Some(other) => {
                let (one, other) = ordered(found.anchor, other);
                About::Profiles(one, other)
            }
            None => {
                let record = |subject: u32| self.graph.subjects[subject as usize].record;
                let (one, other) = ordered(record(found.left), record(found.right));
                About::Records(one, other)
            }
        }
    }

    /// Compares two pairs: the more useful one comes first, and nothing hangs on arrival.
    fn in_order(&self, one: &Found, other: &Found) -> Ordering {
        let key = |found: &Found| {
            let contents = [found.left, found.right].map(|subject| self.graph.content(subject));
            let pair = hash::mix(contents[0].min(contents[1]), contents[0].max(contents[1]));
            (found.question, pair, found.rule, found.refusal, self.value_content(found))
        };
        other.usefulness.total_cmp(&one.usefulness).then_with(|| key(one).cmp(&key(other)))
    }

    fn value_content(&self, found: &Found) -> u64 {
        match self.graph.rules.is_fuzzy(found.rule) {
            true => u64::from(found.value),
            false => self.graph.values.content(found.value),
        }
    }

    fn in_words(&self, found: &Found, scorer: Option<&mut Scorer<'_>>) -> ReviewPair {
        let Found { left, right, rule, value, .. } = *found;
        let row = |subject: u32| self.fuzzy.as_ref().and_then(|fuzzy| fuzzy.row(subject));
        let agreement = match (row(left), row(right), scorer) {
            (Some(left), Some(right), Some(scorer)) => scorer.agreement(left, right),
            _ => self.evidence(rule, value, left, right),
        };
        ReviewPair {
            anchor: found.anchor,
            other: found.other,
            left,
            right,
            question: found.question,
            reason: found.refusal.map(Refusal::word),
            rule: self.graph.rules.rule_name(rule).to_owned(),
            agreement,
            bits: found.bits,
            records: found.records,
            usefulness: found.usefulness,
        }
    }
}

/// Looks for pairs in some profiles.
struct Reviewer<'a> {
    resolver: &'a Resolver,
    /// What weighs pairs, if there is a model.
    scorer: Option<Scorer<'a>>,
    /// How many records a profile has, by anchor.
    sizes: HashMap<u32, u32>,
    found: Vec<Found>,
}

impl<'a> Reviewer<'a> {
    fn of(resolver: &'a Resolver) -> Self {
        let fuzzy = resolver.fuzzy.as_ref();
        let scorer = fuzzy.and_then(|fuzzy| fuzzy.scorer(Memories::new()));
        Self { resolver, scorer, sizes: HashMap::new(), found: Vec::new() }
    }

    fn found(mut self, anchors: &[u32]) -> Vec<Found> {
        for &anchor in anchors {
            self.joins(anchor);
            self.refusals(anchor);
        }
        self.found
    }

    /// Looks among the joins of a profile.
    fn joins(&mut self, anchor: u32) {
        let Some(profile) = Profile::of(self.resolver, anchor) else { return };
        self.sizes.insert(anchor, profile.records);
        for (edge, records) in profile.bridges(self.resolver) {
            self.ask(anchor, None, Question::Bridge, Asked::Edge(edge), records);
        }
        let fuzzy = self.resolver.graph.rules.fuzzy.as_ref();
        let Some(review_below) = fuzzy.map(|rule| rule.review_below.unwrap_or(rule.score)) else {
            return;
        };
        for Tied { edge, .. } in profile.edges.iter().filter(|tied| tied.edge.joined) {
            let bits = self.resolver.bits(edge.rule, edge.value);
            if bits.is_some_and(|bits| probability_of(bits) < review_below) {
                self.ask(anchor, None, Question::Unsure, Asked::Edge(*edge), 1);
            }
        }
    }

    /// Looks among the refusals of a profile.
    fn refusals(&mut self, anchor: u32) {
        let resolver = self.resolver;
        let mut refused = resolver.violations_of(anchor).peekable();
        if refused.peek().is_none() {
            return;
        }
        let apart = resolver.anchors_apart(anchor);
        let is_record = |subject: u32| resolver.graph.subjects[subject as usize].record != NONE;
        for violation in refused {
            let Violation { left, right, .. } = violation;
            let other = resolver.anchor_of(right);
            let other = other.filter(|other| *other != anchor && !apart.contains(other));
            let (Some(question), Some(other)) = (Question::of(violation.reason), other) else {
                continue;
            };
            if is_record(left) && is_record(right) {
                let records = self.size(anchor).min(self.size(other));
                self.ask(anchor, Some(other), question, Asked::Refused(violation), records);
            }
        }
    }

    /// Notes a pair, if it is worth a look.
    fn ask(
        &mut self,
        anchor: u32,
        other: Option<u32>,
        question: Question,
        asked: Asked,
        records: u32,
    ) {
        let (left, right, rule, value, refusal) = match asked {
            Asked::Edge(Edge { left, right, rule, value, .. }) => (left, right, rule, value, None),
            Asked::Refused(Violation { left, right, rule, value, reason, .. }) => {
                (left, right, rule, value, Some(reason))
            }
        };
        let of_rule = self.resolver.bits(rule, value);
        let is_own = of_rule.is_some() && refusal.is_none();
        let bits = of_rule.or_else(|| self.weigh(left, right));
        let probability = bits.map_or(0.5, probability_of);
        let joined = f64::from(u8::from(refusal.is_none()));
        let believed = if is_own { probability } else { f64::midpoint(probability, joined) };
        let uncertainty = entropy(believed);
        if uncertainty >= UNCERTAINTY_MIN || question == Question::Unsure {
            let usefulness = uncertainty * f64::from(records);
            self.found.push(Found {
                anchor,
                other,
                left,
                right,
                question,
                refusal,
                rule,
                value,
                bits,
                records,
                usefulness,
            });
        }
    }

    /// Weighs two subjects, if a model does.
    fn weigh(&mut self, left: u32, right: u32) -> Option<f64> {
        let fuzzy = self.resolver.fuzzy.as_ref()?;
        let (left, right) = (fuzzy.row(left)?, fuzzy.row(right)?);
        self.scorer.as_mut().map(|scorer| f64::from(scorer.weigh(left, right).same))
    }

    /// Returns how many records a profile has.
    fn size(&mut self, anchor: u32) -> u32 {
        let resolver = self.resolver;
        *self.sizes.entry(anchor).or_insert_with(|| records_of(resolver, anchor).len() as u32)
    }
}

/// What a pair comes from.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Edge(Edge),
    Refused(Violation),
}

/// Returns the entropy of a probability, in bits.
fn entropy(probability: f64) -> f64 {
    let part = |share: f64| if share > 0.0 { -share * share.log2() } else { 0.0 };
    part(probability) + part(1.0 - probability)
}

/// Returns the records of a profile, each once, with numbers from 0.
fn records_of(resolver: &Resolver, anchor: u32) -> HashMap<u32, u32> {
    let mut numbers = HashMap::new();
    for subject in resolver.members(anchor) {
        let record = resolver.graph.subjects[subject as usize].record;
        if record != NONE {
            let next = numbers.len() as u32;
            numbers.entry(record).or_insert(next);
        }
    }
    numbers
}

/// The records of a profile and what ties them.
struct Profile {
    records: u32,
    /// Those between two records that nobody decided to be one person's, in the order of their turns.
    edges: Vec<Tied>,
    /// Records that people decided to be one person's.
    decided: UnionFind,
}

/// An edge between two records, by their numbers.
struct Tied {
    edge: Edge,
    left: u32,
    right: u32,
    tie: Tie,
}

/// What ties records: a value that all of them carry, or the weight of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tie {
    Value(u16, u32),
    Weight(u32, u32),
}

impl Profile {
    /// Returns what there is of a profile; `None` if it has one record or none.
    fn of(resolver: &Resolver, anchor: u32) -> Option<Self> {
        let numbers = records_of(resolver, anchor);
        if numbers.len() < 2 {
            return None;
        }
        let number =
            |subject: u32| numbers.get(&resolver.graph.subjects[subject as usize].record).copied();
        let mut decided = UnionFind::new(numbers.len() as u32);
        let mut edges = Vec::new();
        for edge in resolver.edges(anchor) {
            let (Some(left), Some(right)) = (number(edge.left), number(edge.right)) else {
                continue;
            };
            if edge.is_decided() {
                decided.union(left, right);
            } else if left != right {
                let tie = match resolver.graph.rules.is_fuzzy(edge.rule) {
                    true => Tie::Weight(left.min(right), left.max(right)),
                    false => Tie::Value(edge.rule, edge.value),
                };
                edges.push(Tied { edge, left, right, tie });
            }
        }
        edges.retain(|tied| decided.find(tied.left) != decided.find(tied.right));
        edges.sort_unstable_by_key(|tied| tied.edge.turn);
        Some(Self { records: numbers.len() as u32, edges, decided })
    }

    /// Returns for each tie without which the profile falls into parts of several records an edge of it between the two largest
    /// of them, with how many records the smaller one has.
    fn bridges(&self, resolver: &Resolver) -> Vec<(Edge, u32)> {
        if self.records < 2 * PART_RECORDS_MIN {
            return Vec::new();
        }
        let mut ties: BTreeMap<Tie, Vec<usize>> = BTreeMap::new();
        for (at, tied) in self.edges.iter().enumerate() {
            ties.entry(tied.tie).or_default().push(at);
        }
        // Edges that joined hold the profile together without the others: a tie of none of them is no bridge.
        ties.retain(|_, of_tie| of_tie.iter().any(|&at| self.edges[at].edge.joined));
        ties.iter().filter_map(|(tie, of_tie)| self.parted(resolver, *tie, of_tie)).collect()
    }

    /// Returns what [`bridges`](Self::bridges) says of one tie.
    fn parted(&self, resolver: &Resolver, tie: Tie, of_tie: &[usize]) -> Option<(Edge, u32)> {
        let mut sets = self.decided.clone();
        for tied in self.edges.iter().filter(|tied| tied.tie != tie) {
            sets.union(tied.left, tied.right);
        }
        let mut sizes: HashMap<u32, u32> = HashMap::new();
        for record in 0..self.records {
            *sizes.entry(sets.find(record)).or_default() += 1;
        }
        // Edges of a value lead from one of its records to the others: that one may be of neither part.
        let content = |subject: u32| resolver.graph.content(subject);
        let mut carriers: Vec<(Reverse<u32>, u64, u32, u32)> = Vec::new();
        for tied in of_tie.iter().map(|&at| &self.edges[at]) {
            for (record, subject) in [(tied.left, tied.edge.left), (tied.right, tied.edge.right)] {
                let part = sets.find(record);
                let size = sizes[&part];
                if size >= PART_RECORDS_MIN {
                    carriers.push((Reverse(size), content(subject), subject, part));
                }
            }
        }
        carriers.sort_unstable();
        let &(_, _, one, part) = carriers.first()?;
        let &(Reverse(smaller), _, other, _) = carriers.iter().find(|carrier| carrier.3 != part)?;
        let edge = self.edges[*of_tie.first()?].edge;
        let (left, right) = match tie {
            Tie::Weight(..) => (edge.left, edge.right),
            Tie::Value(..) if content(other) < content(one) => (other, one),
            Tie::Value(..) => (one, other),
        };
        Some((Edge { left, right, ..edge }, smaller))
    }
}
