//! Whether the queries of segments, traits and identity overrides can be planned: with what there is, or with what a change
//! leads to.
//!
//! A change may hold a source, a trait over it and a segment over that. The segment is planned over the columns that
//! profiles are going to have; what is computed from a source that nobody has read yet has to wait for its first refresh.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::logical_expr::LogicalPlan;

use super::Changes;
use crate::catalog::{
    Body, CatalogState, Definition, Format, Kind, Published, references, relations_read,
};
use crate::engine::{Engine, Live};
use crate::error::{Error, Result};
use crate::query::access::Visible;
use crate::query::governed::{HOUSEHOLD_ID, PROFILE_ID};
use crate::query::relations::{Relation, Relations};
use crate::query::system::Rows;
use crate::query::{PUBLIC, planner};
use crate::{overrides, profile, segment, tables};

/// The relation with one row for each person.
const PROFILES: &str = "profiles";

impl Engine {
    /// Fails if the query of a segment, a trait or identity overrides cannot be planned, or if something is defined that would
    /// have the name of the household. Before there are profiles nothing can be said.
    pub async fn check_query(&self, definition: &Definition) -> Result<()> {
        let live = self.live();
        if live.published.state.profiles_path.is_none() {
            return Ok(());
        }
        let (published, people) = (&live.published, &live.people);
        let graph = published.state.graph();
        let has_households = graph.is_some_and(|(_, graph)| graph.has_households());
        match &definition.body {
            Body::Segment(segment) => {
                let relations = self.relations_for(&live, &segment.purpose)?;
                self.check_segment(relations, definition).await
            }
            Body::Attribute(_) if has_households && definition.name == HOUSEHOLD_ID => {
                Err(profile::twice(HOUSEHOLD_ID))
            }
            Body::Trait(_) => {
                let made = profile::columns_of(self, published, people, definition).await?;
                match has_households && is_household_among(&made) {
                    true => Err(profile::twice(HOUSEHOLD_ID)),
                    false => Ok(()),
                }
            }
            Body::IdentityGraph(graph) if graph.has_households() => {
                let kinds = [Kind::Attribute, Kind::Trait].into_iter();
                for maker in kinds.flat_map(|kind| published.state.of_kind(kind)) {
                    // What cannot be planned fails for reasons of its own.
                    let made = profile::columns_of(self, published, people, maker).await;
                    if made.is_ok_and(|made| is_household_among(&made)) {
                        return Err(profile::twice(HOUSEHOLD_ID));
                    }
                }
                Ok(())
            }
            Body::IdentityOverrides(of) if !Unread::of(published).is_read_by(definition) => {
                overrides::check(self, published, &definition.name, &of.query).await
            }
            _ => Ok(()),
        }
    }

    /// Fails if the query of a segment, a trait or identity overrides that `changes` put in cannot be planned in the state
    /// `after` them.
    pub(super) async fn check_queries(&self, changes: &Changes, after: CatalogState) -> Result<()> {
        if after.profiles_path.is_none() {
            return Ok(());
        }
        let live = self.live();
        let published = Arc::new(live.published.with_state(after));
        let mut visible = live.visible.clone();
        for purpose in published.state.of_kind(Kind::Purpose) {
            let nobody = || Visible::Subjects(Arc::default());
            visible.entry(purpose.name.clone()).or_insert_with(nobody);
        }
        let people = Arc::clone(&live.people);
        let after = Live { published, people, visible };
        let unread = Unread::of(&after.published);
        let columns = self.columns_after(changes, &after, &unread).await?;
        for (definition, _) in &changes.put {
            if let Body::IdentityOverrides(of) = &definition.body
                && !unread.is_read_by(definition)
            {
                let name = &definition.name;
                let checked = overrides::check(self, &after.published, name, &of.query).await;
                checked.map_err(|error| cannot_work(definition, error))?;
            }
            let Body::Segment(of) = &definition.body else { continue };
            let reads_profiles =
                || relations_read(&of.query).iter().any(|(schema, name)| is_profiles(schema, name));
            if unread.is_read_by(definition) || columns.is_none() && reads_profiles() {
                continue;
            }
            let checked = match self.relations_for(&after, &of.purpose) {
                Ok(relations) => {
                    let relations = with_profiles(relations, columns.as_deref());
                    self.check_segment(relations, definition).await
                }
                Err(error) => Err(error),
            };
            checked.map_err(|error| cannot_work(definition, error))?;
        }
        Ok(())
    }

    /// Returns the columns that profiles have once the state `after` is refreshed; `None` if that cannot be told yet.
    async fn columns_after(
        &self,
        changes: &Changes,
        after: &Live,
        unread: &Unread,
    ) -> Result<Option<Vec<FieldRef>>> {
        let (published, people) = (&after.published, &after.people);
        let mut columns = vec![Arc::new(Field::new(PROFILE_ID, DataType::Int64, true))];
        if published.state.graph().is_some_and(|(_, graph)| graph.has_households()) {
            columns.push(Arc::new(Field::new(HOUSEHOLD_ID, DataType::Int64, true)));
        }
        let puts_graph = changes.put.iter().any(|(put, _)| put.body.kind() == Kind::IdentityGraph);
        let mut all = true;
        let kinds = [Kind::Attribute, Kind::Trait].into_iter();
        for definition in kinds.flat_map(|kind| published.state.of_kind(kind)) {
            if unread.is_read_by(definition) {
                all = false;
                continue;
            }
            let put = changes.put.iter().any(|(put, _)| put == definition);
            match profile::columns_of(self, published, people, definition).await {
                Ok(made) => {
                    let twice = made
                        .iter()
                        .find(|made| columns.iter().any(|column| column.name() == made.name()));
                    let is_new =
                        |column: &&FieldRef| put || puts_graph && column.name() == HOUSEHOLD_ID;
                    if let Some(column) = twice.filter(is_new) {
                        return Err(cannot_work(definition, profile::twice(column.name())));
                    }
                    columns.extend(made);
                }
                Err(error) if put => return Err(cannot_work(definition, error)),
                Err(_) => all = false,
            }
        }
        Ok(all.then_some(columns))
    }

    async fn check_segment(&self, relations: Relations, definition: &Definition) -> Result<()> {
        let Body::Segment(of) = &definition.body else { return Ok(()) };
        let plan = self.plan_over(relations, &of.query).await?;
        segment::check(&plan, &definition.name)
    }

    /// Plans the query of a definition over `relations`.
    pub(super) async fn plan_over(&self, relations: Relations, query: &str) -> Result<LogicalPlan> {
        let relations = Arc::new(relations);
        let state = self.planner().state(&relations.scope());
        planner::plan(&state, relations.facts(), planner::parse_one(query)?).await
    }
}

/// Puts a relation with the columns that profiles are going to have in the place of the one there is.
pub(super) fn with_profiles(relations: Relations, columns: Option<&[FieldRef]>) -> Relations {
    let there =
        relations.iter().any(|relation| relation.schema == PUBLIC && relation.name == PROFILES);
    let Some(columns) = columns.filter(|_| there) else { return relations };
    let columns = Arc::new(Schema::new(columns.to_vec()));
    let rows: Rows = Arc::new(|| Box::pin(async { Ok(vec![]) }));
    relations.with(vec![Relation::system(PUBLIC, PROFILES, "profiles to be", columns, rows)])
}

fn is_household_among(columns: &[FieldRef]) -> bool {
    columns.iter().any(|column| column.name() == HOUSEHOLD_ID)
}

fn is_profiles(schema: &Option<String>, name: &str) -> bool {
    schema.as_deref().is_none_or(|schema| schema == PUBLIC) && name == PROFILES
}

fn cannot_work(definition: &Definition, error: Error) -> Error {
    let (kind, name) = (definition.body.kind(), definition.name.clone());
    Error::Definition { kind, name, source: Box::new(error) }
}

/// The sources that nobody has read yet, so that nobody can tell what columns they have.
struct Unread {
    sources: BTreeSet<String>,
    /// Whether events come from one of them.
    events: bool,
}

impl Unread {
    fn of(published: &Published) -> Self {
        let unread = published
            .state
            .of_kind(Kind::Source)
            .filter(|source| published.table(&tables::source_path(&source.name)).is_none());
        let (mut sources, mut events) = (BTreeSet::new(), false);
        for definition in unread {
            sources.insert(definition.name.clone());
            events |= matches!(&definition.body, Body::Source(of) if of.format == Format::Segment);
        }
        Self { sources, events }
    }

    /// Tells whether a definition names one of them, or a relation over all of them.
    fn is_read_by(&self, definition: &Definition) -> bool {
        let named =
            |(kind, name): &(Kind, String)| *kind == Kind::Source && self.sources.contains(name);
        let query = match &definition.body {
            Body::Segment(segment) => segment.query.as_str(),
            Body::Trait(computed) => computed.query.as_str(),
            Body::IdentityOverrides(of) => of.query.as_str(),
            _ => "",
        };
        let over_all = |(schema, name): &(Option<String>, String)| {
            let public = schema.as_deref().is_none_or(|schema| schema == PUBLIC);
            public
                && match name.as_str() {
                    "profile_records" => !self.sources.is_empty(),
                    name => self.events && (name == "events" || name.starts_with("events_")),
                }
        };
        references(definition).iter().any(named) || relations_read(query).iter().any(over_all)
    }
}
