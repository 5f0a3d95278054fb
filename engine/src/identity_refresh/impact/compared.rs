//! What a trial makes, against what is published: the figures, and those of whom samples are shown.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::before::{Before, Joined, Name, Refusals, identifier_hash, refusal_hash};
use super::difference::Difference;
use super::lines::{Line, SAMPLES_MAX, spread};
use super::samples::refused;
use super::{NO_SUBJECT, Trial};
use crate::error::Result;
use crate::identity::Violation;
use crate::identity_refresh::TRAINING_RECORDS_MIN;

/// The class of an identifier that no profile has.
const NONE: &str = "none";

/// Figures about one matter, and samples of what they count.
#[derive(Debug, Default)]
struct Told {
    figures: Vec<Line>,
    samples: Vec<Line>,
}

/// A trial that was compared.
pub(super) struct Compared {
    trial: Trial,
    difference: Difference,
    /// The anchors of the profiles whose falling apart is shown, ascending.
    pub(super) apart: Vec<u32>,
    identifiers: Told,
    refusals: Told,
}

/// Identifiers of one kind whose class becomes another.
#[derive(Debug, Default)]
struct Reclassed {
    count: usize,
    /// Some of them.
    values: Vec<String>,
}

/// Identifiers by kind, by their class now, and by what it would be.
type Classes = BTreeMap<(String, &'static str, &'static str), Reclassed>;

impl Trial {
    /// Makes profiles of all subjects and compares them with those that there are.
    pub(super) fn compared(mut self, before: &Before) -> Result<Compared> {
        self.resolve();
        let difference = Difference::between(&self.before, self.memory.resolver.anchors());
        let identifiers = self.identifiers(before)?;
        let refusals = self.refusals(before);
        let leaving = self.leaving(&difference);
        let mut apart = difference.split.clone();
        apart.sort_by_key(|anchor| Reverse(leaving.get(anchor).copied().unwrap_or(0)));
        apart.truncate(SAMPLES_MAX);
        apart.sort_unstable();
        Ok(Compared { trial: self, difference, apart, identifiers, refusals })
    }

    /// Compares the classes of identifiers that profiles have, or would have.
    fn identifiers(&self, before: &Before) -> Result<Told> {
        let resolver = &self.memory.resolver;
        let mut changed = Classes::new();
        let mut note = |kind: &str, value: &str, now: &'static str, then: &'static str| {
            let reclassed = changed.entry((kind.to_owned(), now, then)).or_default();
            reclassed.count += 1;
            if reclassed.values.len() < SAMPLES_MAX {
                reclassed.values.push(value.to_owned());
            }
        };
        let mut now: HashMap<u64, &'static str> = HashMap::new();
        before.each_identifier(|held, _| {
            now.insert(identifier_hash(held.kind, held.value), held.class);
        })?;
        let kinds: Vec<&str> = resolver.rules().kinds().collect();
        let mut seen = HashSet::new();
        for anchor in resolver.profiles().take_while(|_| !self.halt.is_halted()) {
            for held in resolver.identifiers(anchor) {
                let kind = kinds[usize::from(held.kind)];
                let (hash, then) = (identifier_hash(kind, held.value), held.class.word());
                let now = now.get(&hash).copied().unwrap_or(NONE);
                if seen.insert(hash) && now != then {
                    note(kind, held.value, now, then);
                }
            }
        }
        before.each_identifier(|held, _| {
            if seen.insert(identifier_hash(held.kind, held.value)) {
                note(held.kind, held.value, held.class, NONE);
            }
        })?;
        self.told_of_identifiers(before, &changed)
    }

    fn told_of_identifiers(&self, before: &Before, changed: &Classes) -> Result<Told> {
        let resolver = &self.memory.resolver;
        let figures = changed.iter().map(|((kind, now, then), reclassed)| {
            let line = Line::figure("identifiers_changed", reclassed.count);
            line.by(kind).told(format!("{now} -> {then}"))
        });
        let groups = changed.iter().map(|(of, reclassed)| {
            reclassed.values.iter().map(|value| (of, value.as_str())).collect::<Vec<_>>()
        });
        let chosen = spread(groups);
        let hashes = chosen.iter().map(|((kind, ..), value)| identifier_hash(kind, value));
        let holders = before.holders(&hashes.collect())?;
        let samples = chosen.iter().map(|((kind, now, then), value)| {
            let line = Line::sample("identifier").by(kind);
            let line = line.told(format!("{value} is {now} and would be {then}"));
            let number = resolver.rules().kind(kind);
            match (holders.get(&identifier_hash(kind, value)), number) {
                (Some(profiles), _) => line.of(profiles.iter().copied()),
                (None, Some(number)) => {
                    let anchors = resolver.profiles_by_value(number, value).into_iter();
                    line.of(anchors.map(|anchor| self.id(anchor)))
                }
                (None, None) => line,
            }
        });
        Ok(Told { figures: figures.collect(), samples: samples.collect() })
    }

    /// Compares how many edges are refused, and why.
    fn refusals(&self, before: &Before) -> Told {
        let resolver = &self.memory.resolver;
        let (mut then, mut new) = (Refusals::new(), BTreeMap::<_, Vec<Violation>>::new());
        for anchor in resolver.profiles().take_while(|_| !self.halt.is_halted()) {
            for violation in resolver.violations_of(anchor) {
                let rule = resolver.rules().rule_name(violation.rule);
                let reason = violation.reason.word();
                *then.entry((rule.to_owned(), reason.to_owned())).or_default() += 1;
                let [left, right] = [violation.left, violation.right].map(|end| self.name(end));
                if !before.refused.contains(&refusal_hash(rule, reason, left, right)) {
                    let some: &mut Vec<Violation> = new.entry((rule, reason)).or_default();
                    if some.len() < SAMPLES_MAX {
                        some.push(violation);
                    }
                }
            }
        }
        let reasons: BTreeSet<_> = before.refusals.keys().chain(then.keys()).collect();
        let count = |of: &Refusals, reason: &(String, String)| of.get(reason).copied().unwrap_or(0);
        let figures = reasons.into_iter().flat_map(|reason| {
            let figures = [
                ("violations_now", count(&before.refusals, reason)),
                ("violations_then", count(&then, reason)),
            ];
            figures.map(|(kind, count)| Line::figure(kind, count).by(&reason.0).told(&*reason.1))
        });
        let figures = figures.collect();
        let samples = spread(new.into_values()).into_iter().map(|violation| {
            let ends = [violation.left, violation.right].map(|end| self.then(end));
            let ends = ends.into_iter().filter(|anchor| *anchor != NO_SUBJECT);
            let (rule, why) = refused(self, violation);
            Line::sample("violation").of(ends.map(|anchor| self.id(anchor))).by(&rule).told(why)
        });
        Told { figures, samples: samples.collect() }
    }

    /// Counts the records that leave each profile that there is now.
    pub(super) fn leaving(&self, difference: &Difference) -> HashMap<u32, usize> {
        let of = |subject: &u32| (self.now(*subject), self.name(*subject));
        let records = difference.moved.iter().filter(|subject| self.memory.is_record(**subject));
        let records: HashSet<(u32, Name<'_>)> = records.map(of).collect();
        let mut leaving = HashMap::new();
        for (anchor, _) in records {
            *leaving.entry(anchor).or_default() += 1;
        }
        leaving
    }

    /// Returns source and key of a subject's record; the source alone of what is none.
    pub(super) fn name(&self, subject: u32) -> Name<'_> {
        let seen = &self.memory.seen[subject as usize];
        (self.memory.resolver.source_name(seen.source), seen.record_key.as_deref())
    }
}

impl Compared {
    /// Returns the answer; `edges` join the records of the profiles that fall [apart](Self::apart), and `waiting` subjects
    /// were left out.
    pub(super) fn lines(self, edges: &[Joined], waiting: u64) -> Vec<Line> {
        let Self { trial, difference, apart, identifiers, refusals } = self;
        let mut lines = trial.figures(&difference, waiting);
        lines.extend(identifiers.figures);
        lines.extend(refusals.figures);
        lines.extend(trial.merges(&difference));
        lines.extend(trial.splits(&apart, edges));
        lines.extend(identifiers.samples);
        lines.extend(refusals.samples);
        lines
    }
}

impl Trial {
    fn figures(&self, difference: &Difference, waiting: u64) -> Vec<Line> {
        let (records, linkers): (Vec<u32>, Vec<u32>) =
            difference.moved.iter().copied().partition(|subject| self.memory.is_record(*subject));
        let records: HashSet<Name<'_>> = records.into_iter().map(|one| self.name(one)).collect();
        let mut lines = vec![
            Line::figure("profiles_now", difference.now),
            Line::figure("profiles_then", difference.then),
            Line::figure("profiles_unchanged", difference.unchanged),
            Line::figure("profiles_merged", difference.merged.len())
                .told("their ids would lead to another profile"),
            Line::figure("profiles_split", difference.split.len())
                .told("what is theirs would be in several profiles, or nobody's"),
            Line::figure("profiles_new", difference.new.len())
                .told("their ids would come about, or back"),
            Line::figure("profiles_gone", difference.gone.len())
                .told("their ids would lead to nobody"),
            Line::figure("records_moved", records.len())
                .told("records of persons that would have another profile"),
            Line::figure("linkers_moved", linkers.len())
                .told("devices, orders and events that would, by the identifiers they carry"),
        ];
        let resolver = &self.memory.resolver;
        let records = resolver.record_count();
        if let Some(rule) = resolver.fuzzy_rule() {
            let (kind, what) = match (self.trained, resolver.lacks_model()) {
                (true, _) => ("model_trained", "from so many records, as the next refresh would"),
                (false, false) => ("model_kept", "the definition stays, and with it its model"),
                (false, true) => ("model_missing", "too few records to learn from"),
            };
            let told = match resolver.lacks_model() {
                true => format!("{what}: {TRAINING_RECORDS_MIN} are needed, and it joins nobody"),
                false => what.to_owned(),
            };
            lines.push(Line::figure(kind, records).by(rule).told(told));
        }
        if waiting > 0 {
            let count = usize::try_from(waiting).unwrap_or(usize::MAX);
            let told =
                "left out, since they came after the last refresh: REFRESH ALL takes them in";
            lines.push(Line::figure("subjects_waiting", count).told(told));
        }
        lines
    }
}
