//! All rows of a lake as a person with every right to see them would see them, to be compared with another lake's.

use std::collections::BTreeMap;
use std::path::Path;

use super::sql_csv;
use crate::corpus::Csv;

/// The personal relations of the shop.
const RELATIONS: [&str; 20] = [
    "sources.crm_contacts",
    "sources.crm_contacts_history",
    "sources.shop_customers",
    "sources.shop_orders",
    "sources.web_events",
    "sources.email_engagement",
    "sources.loyalty_members",
    "sources.consent_ledger",
    "events",
    "profiles",
    "profile_identifiers",
    "former_identifiers",
    "profile_records",
    "attribute_sources",
    "identity_edges",
    "identity_violations",
    "profile_merges",
    "segments.big_spenders",
    "segments.lapsed_customers",
    "segments.cart_abandoners",
];

/// Columns that say when onefold did something: they differ between two runs that did the same.
const CLOCK: [&str; 2] = ["entered_at", "exited_at"];

/// Columns that say when a record was first heard of. They stand in the log, so that a rebuild gives the same ones; for
/// records without a time of their own they are the time of intake, which differs between two lakes.
const INTAKE: [&str; 3] = ["first_seen_at", "observed_at", "merged_at"];

/// Rows by relation, sorted.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Contents(BTreeMap<&'static str, Relation>);

/// The rows of one relation.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Contents {
    /// Reads a lake, beside whoever writes to it.
    pub(crate) fn of(lake: &Path) -> Contents {
        const MARK: &str = "onefold_relation";
        let statements = RELATIONS
            .iter()
            .map(|name| format!("SELECT '{name}' AS {MARK}; SELECT * FROM {name};"));
        let text = sql_csv(lake, "engineer", &statements.collect::<String>());
        let mut relations = BTreeMap::new();
        for part in text.split(&format!("{MARK}\n")).skip(1) {
            let (name, rows) = part.split_once('\n').unwrap();
            let name = RELATIONS
                .into_iter()
                .find(|known| *known == name.trim_matches('"'))
                .unwrap_or_else(|| panic!("{name}?"));
            relations.insert(name, Relation::of(Csv::parse(rows.trim_end_matches('\n'))));
        }
        assert_eq!(
            relations.len(),
            RELATIONS.len(),
            "not every relation came back:\n{}",
            text.chars().take(2_000).collect::<String>()
        );
        Contents(relations)
    }

    /// Returns the same without the times of intake, to be compared with a lake that took its records at another time.
    pub(crate) fn without_intake(self) -> Contents {
        Contents(
            self.0
                .into_iter()
                .map(|(name, relation)| (name, relation.without_columns(&INTAKE)))
                .collect(),
        )
    }

    /// Returns one relation.
    pub(crate) fn relation(&self, name: &str) -> &Relation {
        self.0.get(name).unwrap_or_else(|| panic!("no relation {name}"))
    }

    /// Returns the names of the relations whose rows differ.
    pub(crate) fn differing(&self, other: &Contents) -> Vec<&'static str> {
        RELATIONS.into_iter().filter(|name| self.relation(name) != other.relation(name)).collect()
    }

    /// Fails the test, with the first rows that differ, unless both are the same.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Contents, what: &str) {
        let differing = self.differing(other);
        let reports = differing.iter().map(|name| {
            format!("{name}: {}", self.relation(name).difference(other.relation(name)))
        });
        let reports: Vec<String> = reports.collect();
        assert!(reports.is_empty(), "{what}:\n{}", reports.join("\n"));
    }
}

impl Relation {
    /// Returns the same rows without these columns, sorted anew.
    fn without_columns(self, names: &[&str]) -> Relation {
        let keep: Vec<bool> =
            self.columns.iter().map(|column| !names.contains(&column.as_str())).collect();
        let kept = |row: Vec<String>| -> Vec<String> {
            row.into_iter().zip(&keep).filter(|(_, keep)| **keep).map(|(value, _)| value).collect()
        };
        let mut rows: Vec<Vec<String>> = self.rows.into_iter().map(kept).collect();
        rows.sort();
        Relation { columns: kept(self.columns), rows }
    }

    fn of(csv: Csv) -> Relation {
        let kept: Vec<usize> = (0..csv.header.len())
            .filter(|index| !CLOCK.contains(&csv.header[*index].as_str()))
            .collect();
        let pick = |row: &Vec<String>| {
            kept.iter().map(|index| row[*index].clone()).collect::<Vec<String>>()
        };
        let mut rows: Vec<Vec<String>> = csv.rows.iter().map(pick).collect();
        rows.sort_unstable();
        Relation { columns: pick(&csv.header), rows }
    }

    /// Returns how many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns the values of some columns, row by row, sorted.
    pub(crate) fn of_columns(&self, names: &[&str]) -> Vec<Vec<&str>> {
        let find = |name: &&str| {
            self.columns
                .iter()
                .position(|column| column == name)
                .unwrap_or_else(|| panic!("no column {name}"))
        };
        let indices: Vec<usize> = names.iter().map(find).collect();
        let mut rows: Vec<Vec<&str>> = self
            .rows
            .iter()
            .map(|row| indices.iter().map(|index| row[*index].as_str()).collect())
            .collect();
        rows.sort_unstable();
        rows
    }

    /// Returns the rows without some columns, sorted.
    pub(crate) fn without(&self, names: &[&str]) -> Vec<Vec<&str>> {
        let kept: Vec<&str> = self
            .columns
            .iter()
            .map(String::as_str)
            .filter(|column| !names.contains(column))
            .collect();
        self.of_columns(&kept)
    }

    fn difference(&self, other: &Relation) -> String {
        const SHOWN: usize = 5;
        if self.columns != other.columns {
            return format!("columns {:?} and {:?}", self.columns, other.columns);
        }
        let only = |rows: &Vec<Vec<String>>, others: &Vec<Vec<String>>| {
            let found: Vec<_> =
                rows.iter().filter(|row| others.binary_search(row).is_err()).cloned().collect();
            (found.len(), found.into_iter().take(SHOWN).collect::<Vec<_>>())
        };
        let (left, right) = (only(&self.rows, &other.rows), only(&other.rows, &self.rows));
        format!(
            "{:?}\n  {} and {} rows; {} only on the left: {:#?}\n  {} only on the right: {:#?}",
            self.columns,
            self.len(),
            other.len(),
            left.0,
            left.1,
            right.0,
            right.1
        )
    }
}
