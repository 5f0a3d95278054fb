//! The values that settings have at one moment: those of the list by their places, and those that the client has made up,
//! such as `app.tenant`, by their names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use engine::query::postgres::settings;

use super::setting::{SETTINGS, index_of};
use crate::wire::WireError;

/// Which setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// One of the list.
    Listed(usize),
    /// One of the client's own.
    Custom(Arc<str>),
}

impl Place {
    /// Finds a setting by its name.
    pub(super) fn named(name: &str) -> Result<Place, WireError> {
        match settings::is_custom(name) {
            true => Ok(Place::Custom(name.to_lowercase().into())),
            false => index_of(name).map(Place::Listed),
        }
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        match self {
            Place::Listed(index) => SETTINGS[*index].name,
            Place::Custom(name) => name,
        }
    }
}

/// A checked value that is about to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(super) place: Place,
    /// The new value.
    pub(crate) value: Cow<'static, str>,
}

impl Change {
    /// Returns the name of the setting.
    pub(crate) fn name(&self) -> &str {
        self.place.name()
    }

    /// Returns whether this is the purpose, under which every plan, portal and cursor stands.
    pub(crate) fn is_purpose(&self) -> bool {
        self.name() == "cdp.purpose"
    }
}

/// What settings are at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Values {
    /// In the order of the list.
    pub(super) listed: Vec<Cow<'static, str>>,
    /// By name, in lower case. They may be long, and each savepoint has them.
    custom: BTreeMap<Arc<str>, Arc<str>>,
}

impl Values {
    /// Returns the defaults of the list.
    pub(super) fn defaults() -> Values {
        let listed = SETTINGS.iter().map(|setting| Cow::Borrowed(setting.default)).collect();
        Values { listed, custom: BTreeMap::new() }
    }

    /// Returns the value of a setting; `None` for one of the client's own that it never set.
    pub(super) fn get(&self, place: &Place) -> Option<&str> {
        match place {
            Place::Listed(index) => self.listed.get(*index).map(AsRef::as_ref),
            Place::Custom(name) => self.custom.get(name).map(AsRef::as_ref),
        }
    }

    /// Stores a value.
    pub(super) fn put(&mut self, place: &Place, value: Cow<'static, str>) {
        match place {
            Place::Listed(index) => self.listed[*index] = value,
            Place::Custom(name) => drop(self.custom.insert(Arc::clone(name), Arc::from(&*value))),
        }
    }

    /// Returns how many settings the client has made up.
    pub(super) fn custom_count(&self) -> usize {
        self.custom.len()
    }

    /// Returns how many bytes these take, with their names, besides one of them.
    pub(super) fn custom_bytes(&self, besides: &str) -> usize {
        let others = self.custom.iter().filter(|(name, _)| ***name != *besides);
        others.map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Takes over the names of the client's own settings, which are empty here. Once it has set one, there is such a setting
    /// to the end of the session, also if the transaction that set it is rolled back, as in PostgreSQL.
    pub(super) fn remember(&mut self, others: &Values) {
        for name in others.custom.keys() {
            self.custom.entry(Arc::clone(name)).or_default();
        }
    }

    /// Returns the changes that lead from here to other values.
    pub(super) fn differences(&self, to: &Values) -> Vec<Change> {
        let listed = self.listed.iter().zip(&to.listed).enumerate();
        let listed = listed
            .filter(|(_, (from, to))| from != to)
            .map(|(index, (_, to))| Change { place: Place::Listed(index), value: to.clone() });
        let custom = to.custom.iter();
        let custom = custom.filter(|(name, value)| self.custom.get(*name) != Some(*value)).map(
            |(name, to)| Change {
                place: Place::Custom(Arc::clone(name)),
                value: Cow::Owned(to.to_string()),
            },
        );
        let emptied = self.custom.iter();
        let emptied = emptied
            .filter(|(name, value)| !value.is_empty() && !to.custom.contains_key(*name))
            .map(|(name, _)| Change {
                place: Place::Custom(Arc::clone(name)),
                value: Cow::Borrowed(""),
            });
        listed.chain(custom).chain(emptied).collect()
    }
}
