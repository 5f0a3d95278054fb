//! A trained model as plain data: it can be kept in a table, read, and edited.

use std::sync::Arc;

use super::frequency::Frequencies;
use super::levels::PERSON_COMPARISONS;

/// How likely pairs of each class are to agree at one level.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelModel {
    /// What the level is called.
    pub label: &'static str,
    /// The probability among records of the same person, Fellegi and Sunter's *m*.
    pub same: f64,
    /// The probability among records of two people of one household.
    pub household: f64,
    /// The probability among all other pairs, Fellegi and Sunter's *u*.
    pub chance: f64,
}

/// A comparison with its levels, lowest first.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonModel {
    /// What is compared.
    pub name: String,
    /// Its levels.
    pub levels: Vec<LevelModel>,
}

/// What is believed about pairs that carry one value of an identifier.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentifierHealth {
    /// The kind of identifier.
    pub name: String,
    /// Of pairs that carry one personal value, the share that is one person.
    pub personal: f64,
    /// Of pairs that carry one value of several people, the share that is one person.
    pub shared: f64,
    /// The prior that this identifier alone leads to.
    pub prior: f64,
}

/// Figures by which one sees whether a model can be trusted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// What each identifier says; empty without identifiers.
    pub identifiers: Vec<IdentifierHealth>,
    /// Priors by blocking rule: of the rules where there are no identifiers.
    pub rules: Vec<(String, f64)>,
    /// How far the priors lie apart, the largest over the smallest. Near one all sources of evidence agree.
    pub prior_spread: f64,
}

impl Model {
    /// Returns the comparisons of kinds of identifiers, in the order of the kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &ComparisonModel> {
        self.comparisons.iter().skip(PERSON_COMPARISONS)
    }

    /// Lets a kind of identifier say nothing: it has no levels.
    pub(crate) fn silence(&mut self, kind: usize) {
        self.comparisons[PERSON_COMPARISONS + kind].levels.clear();
    }
}

/// A model of agreement among people, households and strangers.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The comparisons: given name, surname, birth date, address, then kinds of identifiers.
    pub comparisons: Vec<ComparisonModel>,
    /// The probability that two records are of one person.
    pub prior: f64,
    /// The probability that two records are of two people of one household.
    pub prior_household: f64,
    /// By how many bits two people agree on given name and surname more often than if these had nothing to do with each
    /// other: in one country, a given name goes with some surnames.
    pub name_dependence: f64,
    /// How frequent names are.
    pub frequencies: Arc<Frequencies>,
    /// Whether to trust it.
    pub health: Health,
}
