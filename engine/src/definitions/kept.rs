//! Columns of profiles that a change takes away, and who selects them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::FieldRef;

use super::Changes;
use super::check::with_profiles;
use crate::activation;
use crate::catalog::{Body, CatalogState, Definition, Kind, Published};
use crate::engine::{Engine, Live, Put};
use crate::error::{Error, Result, listed};
use crate::lake;
use crate::profile;
use crate::query::governed::SUBJECT;

impl Engine {
    /// Fails if `changes` take columns of profiles away that a segment or a sync selects which stays as it is.
    ///
    /// What cannot be planned tells nothing: it fails for reasons of its own. Before there are profiles nothing can be said.
    pub(super) async fn check_columns_kept(
        &self,
        changes: &Changes,
        after: &CatalogState,
    ) -> Result<()> {
        let live = self.live();
        let going = changes.makers_that_go(&live.published.state);
        let Some(columns) = profile_columns(&live.published).filter(|_| !going.is_empty()) else {
            return Ok(());
        };
        let then = Arc::new(live.published.with_state(after.clone()));
        let mut made = BTreeSet::new();
        for (definition, _) in &changes.put {
            let Ok(own) = profile::columns_of(self, &then, &live.people, definition).await else {
                return Ok(());
            };
            made.extend(own.iter().map(|column| column.name().clone()));
        }
        for (definition, replaced) in going {
            let own = profile::columns_of(self, &live.published, &live.people, definition).await;
            let lost: Vec<String> = own
                .into_iter()
                .flatten()
                .map(|column| column.name().clone())
                .filter(|name| !made.contains(name))
                .collect();
            let left: Vec<FieldRef> =
                columns.iter().filter(|column| !lost.contains(column.name())).cloned().collect();
            if left.len() == columns.len() {
                continue;
            }
            let users = self.users_of_more(&live, changes, after, &left).await;
            if !users.is_empty() {
                return Err(in_use(definition, replaced, &lost, users));
            }
        }
        Ok(())
    }

    /// Returns the segments and syncs which `changes` leave as they are, and which cannot be planned once profiles have
    /// `left` as their columns.
    async fn users_of_more(
        &self,
        live: &Live,
        changes: &Changes,
        after: &CatalogState,
        left: &[FieldRef],
    ) -> Vec<(Kind, String)> {
        let mut users = Vec::new();
        for definition in after.all() {
            let (query, purpose) = match &definition.body {
                Body::Segment(segment) => (segment.query.clone(), &segment.purpose),
                Body::Sync(sync) => match activation::query_of(live, sync) {
                    Ok(query) => (query, &sync.purpose),
                    Err(_) => continue,
                },
                _ => continue,
            };
            if changes.put.iter().any(|(put, _)| put == definition) {
                continue;
            }
            let (Ok(now), Ok(then)) =
                (self.relations_for(live, purpose), self.relations_for(live, purpose))
            else {
                continue;
            };
            if self.plan_over(now, &query).await.is_ok()
                && self.plan_over(with_profiles(then, Some(left)), &query).await.is_err()
            {
                users.push((definition.body.kind(), definition.name.clone()));
            }
        }
        users
    }
}

impl Changes {
    /// Returns the attributes and traits that are removed or replaced, and whether it is the latter.
    fn makers_that_go<'a>(&self, state: &'a CatalogState) -> Vec<(&'a Definition, bool)> {
        let removed = self.removed.iter().map(|(kind, name)| (*kind, name, false));
        let replaced = self.put.iter().filter(|(_, put)| *put == Put::Replace);
        let replaced = replaced.map(|(new, _)| (new.body.kind(), &new.name, true));
        removed
            .chain(replaced)
            .filter(|(kind, _, _)| matches!(kind, Kind::Attribute | Kind::Trait))
            .filter_map(|(kind, name, replaced)| Some((state.get(kind, name)?, replaced)))
            .collect()
    }
}

/// Returns the columns that profiles have now.
fn profile_columns(published: &Published) -> Option<Vec<FieldRef>> {
    let table = published.table(published.state.profiles_path.as_deref()?)?;
    let columns = lake::logical(&table.schema);
    Some(columns.fields().iter().filter(|column| column.name() != SUBJECT).cloned().collect())
}

fn in_use(
    definition: &Definition,
    replaced: bool,
    lost: &[String],
    users: Vec<(Kind, String)>,
) -> Error {
    let (kind, name) = (definition.body.kind(), definition.name.clone());
    if !replaced {
        return Error::InUse { kind, name, users };
    }
    Error::Standard {
        sqlstate: "2BP01",
        message: format!(
            "{} \"{name}\" would no longer make {}, which {} selects",
            kind.word(),
            lost.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", "),
            listed(&users),
        ),
        hint: "Keep the column, or replace what selects it first.".into(),
    }
}
