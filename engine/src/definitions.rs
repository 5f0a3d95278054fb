//! Definitions are put into the catalog and taken out of it, each change whole or not at all.

use crate::catalog::{Body, Change, Definition, Kind};
use crate::engine::{Engine, Put, Shown};
use crate::error::{Error, Result};
use crate::query::access::Visible;
use crate::query::planner;

impl Engine {
    /// Fails if the query of a segment or a trait cannot be planned. Before there are profiles nothing can be said.
    pub async fn check_query(&self, definition: &Definition) -> Result<()> {
        let live = self.live();
        if live.published.state.profiles_path.is_none() {
            return Ok(());
        }
        let (relations, query) = match &definition.body {
            Body::Segment(segment) => {
                (self.purpose_relations(&live, &segment.purpose)?, &segment.query)
            }
            Body::Trait(computed) => {
                let people = &live.people;
                let relations = self.internal_relations(&live.published, people, Visible::Everyone);
                (relations, &computed.query)
            }
            _ => return Ok(()),
        };
        let state = self.planner().state(&relations.scope());
        let plan = planner::plan(&state, relations.facts(), planner::parse_one(query)?).await?;
        match definition.body {
            Body::Trait(_) => crate::profile::check_trait(&plan, &definition.name),
            _ => crate::segment::check(&plan, &definition.name),
        }
    }

    /// Puts definitions into the catalog, all or none.
    ///
    /// # Errors
    /// [`Error::Exists`] for [`Put::Create`], [`Error::Invalid`] and [`Error::Missing`] if one does not fit the others.
    pub async fn define(&self, definitions: Vec<(Definition, Put)>) -> Result<()> {
        let _writing = self.writing().await;
        let now = self.now();
        let mut change = Change::default();
        change.edit(move |state| {
            for (definition, put) in definitions {
                let kind = definition.body.kind();
                let there = state.get(kind, &definition.name).is_some();
                match put {
                    Put::Create if there => {
                        return Err(Error::Exists { kind: kind.word(), name: definition.name });
                    }
                    Put::IfAbsent if there => continue,
                    _ => {}
                }
                state.put(definition, now);
            }
            crate::catalog::check_references(state)
        });
        self.publish(change, Shown::Definitions).await
    }

    /// Removes a definition, and what was derived from it alone.
    ///
    /// # Errors
    /// [`Error::Missing`] unless `if_exists`; [`Error::Invalid`] if others refer to it.
    pub async fn remove(&self, kind: Kind, name: &str, if_exists: bool) -> Result<bool> {
        let _writing = self.writing().await;
        if self.live().published.state.get(kind, name).is_none() {
            if if_exists {
                return Ok(false);
            }
            self.live().published.state.expect(kind, name)?;
        }
        let mut change = Change::default();
        let owned = name.to_owned();
        change.edit(move |state| {
            state.remove(kind, &owned);
            crate::catalog::check_references(state)
        });
        if kind == Kind::Segment {
            change.drop_table(crate::tables::segment_path(name));
            change.drop_table(crate::tables::former_path(name));
        }
        self.publish(change, Shown::Definitions).await?;
        Ok(true)
    }

    /// Puts a comment on an object.
    pub async fn comment(&self, kind: Kind, name: &str, comment: Option<String>) -> Result<()> {
        let _writing = self.writing().await;
        let mut change = Change::default();
        let owned = name.to_owned();
        change.edit(move |state| state.comment(kind, &owned, comment));
        self.publish(change, Shown::AsBefore).await
    }
}
