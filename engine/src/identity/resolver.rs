//! The resolver: takes subjects in log order, and keeps the profiles that follow from all of them.
//!
//! [`Resolver::add`] only files a subject. [`Resolver::resolve`] then looks again at the values that new subjects
//! carry and whether they still identify whom they did, walks from every subject that this touches to all that hang
//! together with it, and solves each such component anew. A component's result depends on its subjects alone, so that
//! any batching of a log gives what one run over all of it gives.

use std::sync::Arc;

use super::blocks::Blocks;
use super::cluster::{Clusters, Component, cluster};
use super::edges::{Edge, Violation};
use super::figures::{Figures, Phase, Watch};
use super::fuzzy::Fuzzy;
use super::graph::{Graph, NewSubject};
use super::halt::Halt;
use super::households::Households;
use super::interner::{NONE, Table};
use super::linkers;
use super::pool::Pool;
use super::proposed::Proposals;
use super::rules::Rules;
use super::summaries::Ignored;
use super::threads::{dealt, passed_on, threads};
use super::values::ValueClass;
use super::versions::Settled;
use super::walk::Walker;
use crate::matching::{Labels, Model};
use crate::{Error, Result};

/// Portions that are solved before their results are put in place: sixteen thousand subjects. Results do not depend on it.
const PORTIONS_TOGETHER: usize = 64;

/// Seeds whose values are looked at before anything is walked. Results do not depend on it.
const SEEDS_TOGETHER: usize = 1 << 14;

/// Subjects from which reading them is work for all cores. Results do not depend on it.
const SUBJECTS_SHARED_MIN: usize = 64;

/// Subjects that a core reads in one go. Results do not depend on it.
const SUBJECTS_PER_TASK: usize = 32;

/// Values that a core classifies in one go. Results do not depend on it.
const VALUES_PER_TASK: usize = 256;

/// Profiles over a log of subjects.
#[derive(Debug)]
pub struct Resolver {
    pub(super) graph: Graph,
    pub(super) fuzzy: Option<Fuzzy>,
    pub(super) anchors: Vec<u32>,
    /// For each subject the next one of its profile, ascending.
    pub(super) next_members: Vec<u32>,
    pub(super) edges: Pool<Edge>,
    pub(super) violations: Pool<Violation>,
    ignored: Ignored,
    pub(super) households: Arc<Households>,
    pub(super) profile_count: usize,
    /// The walk that last came by each subject.
    visits: Vec<u32>,
    walk: u32,
    pub(super) halt: Halt,
    pub(super) figures: Figures,
}

/// What a run changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Subjects whose profile is another one than before, and new subjects; ascending.
    pub changed: Vec<Change>,
    /// The anchors, before and now, of all profiles that were looked at, ascending: their edges, refusals or the
    /// classes of their identifiers may be other ones, even where no subject moved.
    pub touched: Vec<u32>,
    /// The anchors, before and now, of all profiles whose housemates may be other ones, ascending.
    pub households: Vec<u32>,
    /// How many subjects were looked at.
    pub subjects_resolved: usize,
    /// How many components they make.
    pub components_resolved: usize,
}

/// A subject that moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The subject.
    pub subject: u32,
    /// The anchor of its profile before, if it had one.
    pub before: Option<u32>,
    /// The anchor of its profile now; `None` when it belongs to nobody.
    pub after: Option<u32>,
}

impl Resolver {
    /// Makes a resolver without subjects.
    pub fn new(rules: Rules) -> Self {
        let graph = Graph::new(rules);
        Self {
            households: Arc::new(Households::of_at_most(graph.rules.shared_limit)),
            fuzzy: graph.rules.fuzzy.as_ref().map(|rule| Fuzzy::new(rule, &graph)),
            figures: Figures::of(&graph.rules),
            graph,
            anchors: Vec::new(),
            next_members: Vec::new(),
            edges: Pool::new(),
            violations: Pool::new(),
            ignored: Ignored::default(),
            profile_count: 0,
            visits: Vec::new(),
            walk: 0,
            halt: Halt::default(),
        }
    }

    /// Lets runs end early once `halt` says so. The resolver is of no use from then on.
    pub fn halt_with(&mut self, halt: Halt) {
        self.halt = halt;
    }

    /// Returns the number of a source, which is new when it was unseen.
    pub fn source(&mut self, name: &str) -> Result<u16> {
        let sources = &mut self.graph.sources;
        let number = sources.iter().position(|known| known == name).unwrap_or(sources.len());
        if number == sources.len() {
            sources.push(name.to_owned());
        }
        u16::try_from(number).map_err(|_| Error::Limit {
            sqlstate: "54000",
            message: "a lake has at most 65536 sources".to_owned(),
            hint: "Drop sources that are not read any more.".to_owned(),
        })
    }

    /// Adds the next subjects of the log, and returns the ordinal of the first. They have no profile before the next
    /// [`resolve`](Self::resolve).
    pub fn add(&mut self, subjects: &[NewSubject<'_>]) -> Result<u32> {
        let first = self.graph.subjects.len() as u32;
        let threads = if subjects.len() < SUBJECTS_SHARED_MIN { 1 } else { threads() };
        let graph = &self.graph;
        let normalized = dealt(threads, subjects.chunks(SUBJECTS_PER_TASK), |subjects| {
            subjects.iter().map(|subject| graph.normalized(subject)).collect::<Vec<_>>()
        });
        for (subjects, normalized) in subjects.chunks(SUBJECTS_PER_TASK).zip(&normalized) {
            self.graph.warm(normalized);
            for (subject, normalized) in subjects.iter().zip(normalized) {
                let ordinal = self.graph.add(subject, normalized)?;
                if let Some(fuzzy) = &mut self.fuzzy {
                    fuzzy.add(&self.graph, ordinal, subject);
                }
            }
        }
        Ok(first)
    }

    /// Returns the name of the FUZZY rule.
    pub fn fuzzy_rule(&self) -> Option<&str> {
        self.graph.rules.fuzzy.as_ref().map(|rule| rule.name.as_str())
    }

    /// Tells whether there is a FUZZY rule that has no model yet, and so joins nobody.
    pub fn lacks_model(&self) -> bool {
        self.fuzzy.as_ref().is_some_and(|fuzzy| !fuzzy.has_model())
    }

    /// Returns how many records there are.
    pub fn record_count(&self) -> usize {
        self.graph.values.count_of(self.graph.rules.record_rule())
    }

    /// Returns what people decided about pairs of records: what a model is trained with besides the records.
    pub fn labels(&self) -> Labels {
        self.graph.overrides.labels()
    }

    /// Trains a model for the FUZZY rule on the records that were resolved; `None` if there is no such rule.
    pub fn train(&self) -> Option<Model> {
        self.fuzzy.as_ref().map(|fuzzy| fuzzy.train(&self.labels()))
    }

    /// Lets the FUZZY rule weigh by a model from the next [`resolve`](Self::resolve) on, whatever was resolved before.
    pub fn set_model(&mut self, model: Model) {
        if let Some(fuzzy) = &mut self.fuzzy {
            fuzzy.set_model(model);
        }
    }

    /// Brings profiles up to date with all subjects, and returns what changed.
    pub fn resolve(&mut self) -> Delta {
        let resolved = self.anchors.len();
        let count = self.graph.subjects.len();
        let mut watch = Watch::start();
        self.anchors.resize(count, NONE);
        self.next_members.resize(count, NONE);
        self.visits.resize(count, 0);
        if let Some(fuzzy) = &mut self.fuzzy {
            fuzzy.normalize(&self.graph);
            self.figures.lap(Phase::Weigh, &mut watch);
        }
        let mut proposals = Proposals::of_rules(&self.graph.rules);
        let [mut seeds, versions, turned] = self.seeds(resolved as u32, &mut proposals.blocks);
        self.figures.lap(Phase::Classify, &mut watch);
        if let Some(fuzzy) = &mut self.fuzzy {
            let pairs = fuzzy.weigh(&self.graph, &mut seeds, &self.halt);
            self.figures.weighed(fuzzy.rule, pairs);
            self.figures.lap(Phase::Weigh, &mut watch);
        }
        // What two records say is weighed as before, whichever of their versions speaks.
        seeds.extend(versions);
        self.add_heirs(&turned, &mut seeds);
        if self.walk.checked_add(seeds.len() as u32).is_none() {
            self.visits.fill(0);
            self.walk = 0;
        }
        let before = self.walk;
        let mut delta = Delta::default();
        for seeds in seeds.chunks(SEEDS_TOGETHER) {
            let due = seeds.iter().copied().filter(|&seed| self.visits[seed as usize] <= before);
            proposals.look_ahead(&self.graph, due, &self.halt);
            let mut seeds = seeds.iter().copied();
            loop {
                let solved = self.solve(&mut seeds, before, &mut proposals, &mut watch);
                if solved.is_empty() {
                    break;
                }
                for (component, clusters) in &solved {
                    delta.subjects_resolved += component.subjects.len();
                    delta.components_resolved += 1;
                    self.replace(component, clusters, resolved as u32, &mut delta);
                    let anchors =
                        component.subjects.iter().map(|&subject| self.anchors[subject as usize]);
                    delta.touched.extend(anchors.filter_map(some));
                }
                self.figures.lap(Phase::Join, &mut watch);
            }
        }
        self.figures.compared(&proposals.pairs.compared);
        self.figures.profiles = self.profile_count as u64;
        delta.touched.sort_unstable();
        delta.touched.dedup();
        delta.changed.sort_unstable_by_key(|change| change.subject);
        if !self.halt.is_halted() {
            delta.households = self.settle_households(&delta.touched);
        }
        self.figures.lap(Phase::Households, &mut watch);
        delta
    }

    /// Walks from the next seeds to all that hang together with each, and clusters them; nothing if no seed is left.
    fn solve(
        &mut self,
        seeds: &mut impl Iterator<Item = u32>,
        before: u32,
        proposals: &mut Proposals,
        watch: &mut Watch,
    ) -> Vec<(Component, Clusters)> {
        let Self { graph, fuzzy, halt, figures, visits, walk, .. } = self;
        let (graph, fuzzy) = (&*graph, fuzzy.as_ref());
        let mut walker = Walker { graph, fuzzy, halt, visits, walk, before };
        let components = || walker.portion(seeds, proposals);
        let cluster = |components: Vec<Component>| -> Vec<(Component, Clusters)> {
            let due = components.into_iter().take_while(|_| !halt.is_halted());
            let clustered = due.map(|mut component| {
                let clusters = cluster(graph, fuzzy, &mut component);
                (component, clusters)
            });
            clustered.collect()
        };
        let walked = || figures.lap(Phase::Propose, watch);
        let solved = passed_on(threads(), PORTIONS_TOGETHER, components, walked, cluster);
        let mut solved: Vec<_> = solved.into_iter().flatten().collect();
        for (_, clusters) in &mut solved {
            figures.joined(clusters, graph.rules.fuzzy_rule());
            clusters.keep_strongest(graph);
        }
        figures.lap(Phase::Join, watch);
        for (component, clusters) in &mut solved {
            let (joined, refused) = (clusters.edges.len(), clusters.violations.len());
            linkers::link(graph, component, clusters);
            figures.led += (clusters.edges.len() - joined) as u64;
            figures.not_led += (clusters.violations.len() - refused) as u64;
            figures.subjects += component.subjects.len() as u64;
            figures.components += 1;
            figures.largest_component =
                figures.largest_component.max(component.subjects.len() as u64);
        }
        figures.lap(Phase::Lead, watch);
        solved
    }

    /// Returns the subjects from which components must be solved again. First new ones, those that somebody decided about
    /// since, all of a value that now identifies somebody else, and all who live with namesakes when somebody comes to them.
    /// Then all whose pairs weigh as before: versions of a record of which another one speaks, those whom one was proposed with
    /// that was corrected or is gone, those of a block of a MATCH rule, and those of whom another row tells that a value is
    /// nobody's. Last the versions of records that are gone since, or are back.
    fn seeds(&mut self, resolved: u32, blocks: &mut Blocks) -> [Vec<u32>; 3] {
        let new = resolved..self.graph.subjects.len() as u32;
        let mut seeds: Vec<u32> = new.collect();
        let redecided = self.graph.values_of(&self.graph.redecided());
        seeds.extend(self.graph.take_reopened());
        let Settled { mut versions, left_out, turned } = self.graph.settle_versions(resolved);
        versions.retain(|&subject| subject < resolved);
        let left_out = left_out.into_iter().filter(|&subject| subject < resolved);
        let parted: Vec<u32> = left_out.flat_map(|subject| self.proposed_with(subject)).collect();
        versions.sort_unstable();
        let resettled = self.graph.values_of(&versions);
        let mut values = self.graph.values_of(&seeds);
        values.extend(&resettled);
        values.sort_unstable();
        values.dedup();
        // A version that speaks again, or no more, comes to a value as a new one does.
        let is_new = |subject: u32| subject >= resolved || versions.binary_search(&subject).is_ok();
        let classify = |&value: &u32| match resettled.binary_search(&value) {
            Ok(_) => self.graph.classify(value),
            Err(_) => self.graph.classify_again(value, is_new),
        };
        // What a value is hangs on no other's class.
        let threads = if values.len() < VALUES_PER_TASK { 1 } else { threads() };
        let classes = dealt(threads, values.chunks(VALUES_PER_TASK), |values| -> Vec<ValueClass> {
            values.iter().take_while(|_| !self.halt.is_halted()).map(classify).collect()
        });
        let mut weighed: Vec<u32> = Vec::new();
        for (&value, class) in values.iter().zip(classes.into_iter().flatten()) {
            if self.halt.is_halted() {
                break;
            }
            let is_other = class != self.graph.values.class(value);
            let rule = self.graph.values.rule(value);
            let is_kind = self.graph.rules.is_kind(rule);
            if is_other {
                self.graph.values.set_class(value, class);
                let text = self.graph.values.text(value);
                if let (Some(fuzzy), Some(text)) = (&mut self.fuzzy, text)
                    && is_kind
                {
                    fuzzy.set_class(rule, text, class);
                }
            }
            if is_kind {
                self.graph.note_surnames(value);
            }
            let told = self.ignored.replace(value, self.graph.ignored(value));
            weighed.extend(told.into_iter().filter(|&subject| subject < resolved));
            let is_redecided = redecided.binary_search(&value).is_ok();
            let is_as_it_was = blocks.is_as_it_was(&self.graph, value, is_new, is_redecided);
            if is_other || !is_as_it_was || self.graph.was_home_of_namesakes(value, resolved) {
                blocks.look_at_all(&self.graph, value);
                // Pairs weigh otherwise by whom identifiers identify, and not by blocks of MATCH rules.
                let seeds = if is_kind { &mut seeds } else { &mut weighed };
                seeds.extend(
                    self.graph.values.subjects(value).filter(|&subject| subject < resolved),
                );
            }
        }
        versions.extend(parted);
        versions.append(&mut weighed);
        [seeds, versions, turned]
    }

    /// Puts the result of a component in place of what its subjects had.
    fn replace(
        &mut self,
        component: &Component,
        clusters: &Clusters,
        resolved: u32,
        delta: &mut Delta,
    ) {
        for &subject in &component.subjects {
            self.edges.clear(subject);
            self.violations.clear(subject);
            self.profile_count -= usize::from(self.anchors[subject as usize] == subject);
        }
        // Subjects ascend, so that the first one of a cluster is its anchor and the last one seen its end.
        let mut ends: Table<u32, (u32, u32)> = Table::default();
        for (&subject, &cluster) in component.subjects.iter().zip(&clusters.of) {
            let anchor = match cluster {
                None => NONE,
                Some(cluster) => {
                    let (anchor, end) = ends.entry(cluster).or_insert((subject, subject));
                    if *end != subject {
                        self.next_members[*end as usize] = subject;
                        *end = subject;
                    }
                    *anchor
                }
            };
            self.next_members[subject as usize] = NONE;
            let before = std::mem::replace(&mut self.anchors[subject as usize], anchor);
            delta
                .touched
                .extend([before, anchor].into_iter().filter(|&profile| profile == subject));
            if before != anchor || subject >= resolved {
                delta.changed.push(Change { subject, before: some(before), after: some(anchor) });
            }
            self.profile_count += usize::from(anchor == subject);
        }
        for edge in &clusters.edges {
            self.edges.push(edge.left, *edge);
        }
        for violation in &clusters.violations {
            self.violations.push(violation.left, *violation);
        }
        for &subject in &component.subjects {
            for row in self.ignored.of(subject) {
                self.violations.push(subject, row);
            }
        }
    }
}

/// Returns a number unless it is none.
pub(super) fn some(number: u32) -> Option<u32> {
    (number != NONE).then_some(number)
}
