//! Views and what they read, while two sessions change the one and the other: neither commits a view that names what is gone.

use std::collections::BTreeMap;

use arrow::datatypes::Field;

use crate::catalog::{AnalyticsBody, AnalyticsRelation, CatalogState, reads_analytics};

/// What a session found published when it first made views over a relation, and first took names that views may read. What it
/// finds later hides nothing of that: its statements see what others commit between them.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// The relations that new views read, by name.
    read: BTreeMap<String, Named>,
    /// The views over relations that have other names or columns now, or are gone, by the name of the relation.
    views: BTreeMap<String, Vec<String>>,
}

/// What a view names of a relation.
#[derive(Debug, Clone, PartialEq)]
enum Named {
    /// A table: its columns stay as long as its path does.
    Table(String),
    View(Vec<Field>),
    Sequence,
}

impl Named {
    fn of(relation: &AnalyticsRelation) -> Self {
        match &relation.body {
            AnalyticsBody::Table(table) => Named::Table(table.path.clone()),
            AnalyticsBody::View(view) => Named::View(view.columns.clone()),
            AnalyticsBody::Sequence(_) => Named::Sequence,
        }
    }
}

impl Found {
    /// Notes what a view with this query reads of what is published.
    pub(super) fn reads(&mut self, published: &CatalogState, query: &str) {
        for name in reads_analytics(query) {
            if let Some(relation) = published.analytics.get(&name) {
                self.read.entry(name).or_insert_with(|| Named::of(relation));
            }
        }
    }

    /// Notes which views there are over a relation, whose name or columns are taken away.
    pub(super) fn takes(&mut self, published: &CatalogState, name: &str) {
        if published.analytics.contains_key(name) {
            let views = || published.views_over(name);
            self.views.entry(name.to_owned()).or_insert_with(views);
        }
    }

    /// Returns a relation that others have changed meanwhile, or made a view over.
    pub(super) fn overtaken(&self, published: &CatalogState) -> Option<&String> {
        let is_other = |(name, read): &(&String, &Named)| {
            published.analytics.get(name.as_str()).map(Named::of).as_ref() != Some(*read)
        };
        let is_read = |(name, known): &(&String, &Vec<String>)| {
            published.views_over(name).iter().any(|view| !known.contains(view))
        };
        let read = self.read.iter().find(is_other).map(|(name, _)| name);
        read.or_else(|| self.views.iter().find(is_read).map(|(name, _)| name))
    }
}
