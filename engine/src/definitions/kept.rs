//! Columns of profiles that a change takes away, and who selects them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};

use super::Changes;
use super::check::with_profiles;
use crate::activation;
use crate::catalog::{Body, CatalogState, Definition, Kind, Published};
use crate::engine::{Engine, Live, Put};
use crate::error::{Error, Result, listed};
use crate::lake;
use crate::profile;
use crate::query::access::People;
use crate::query::governed::{HOUSEHOLD_ID, SUBJECT};

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
            let Ok(own) = made_by(self, &then, &live.people, definition).await else {
                return Ok(());
            };
            made.extend(own);
        }
        for (definition, replaced) in going {
            let own = made_by(self, &live.published, &live.people, definition).await;
            let lost: Vec<String> =
                own.into_iter().flatten().filter(|name| !made.contains(name)).collect();
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
    /// Returns the attributes, traits and graphs that are removed or replaced, and whether it is the latter.
    fn makers_that_go<'a>(&self, state: &'a CatalogState) -> Vec<(&'a Definition, bool)> {
        let removed = self.removed.iter().map(|(kind, name)| (*kind, name, false));
        let replaced = self.put.iter().filter(|(_, put)| *put == Put::Replace);
        let replaced = replaced.map(|(new, _)| (new.body.kind(), &new.name, true));
        let makes = |kind| matches!(kind, Kind::Attribute | Kind::Trait | Kind::IdentityGraph);
        removed
            .chain(replaced)
            .filter(|(kind, _, _)| makes(*kind))
            .filter_map(|(kind, name, replaced)| Some((state.get(kind, name)?, replaced)))
            .collect()
    }
}

/// Returns the names of the columns that a definition makes in profiles; a graph makes that of the household.
async fn made_by(
    engine: &Engine,
    published: &Arc<Published>,
    people: &Arc<People>,
    definition: &Definition,
) -> Result<Vec<String>> {
    if let Body::IdentityGraph(graph) = &definition.body {
        let household = graph.has_households().then(|| HOUSEHOLD_ID.to_owned());
        return Ok(household.into_iter().collect());
    }
    let made = profile::columns_of(engine, published, people, definition).await?;
    Ok(made.iter().map(|column| column.name().clone()).collect())
}

/// Returns the columns that profiles have now, the household included, which is not stored.
fn profile_columns(published: &Published) -> Option<Vec<FieldRef>> {
    let table = published.table(published.state.profiles_path.as_deref()?)?;
    let stored = lake::logical(&table.schema);
    let stored = stored.fields().iter().filter(|column| column.name() != SUBJECT);
    let mut columns: Vec<FieldRef> = stored.cloned().collect();
    let in_force = published.state.graph_in_force.as_ref();
    if in_force.is_some_and(|in_force| in_force.graph.has_households()) {
        columns.push(Arc::new(Field::new(HOUSEHOLD_ID, DataType::Int64, true)));
    }
    Some(columns)
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
