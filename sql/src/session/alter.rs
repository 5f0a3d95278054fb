//! `ALTER IDENTITY GRAPH`, and what a graph would change before it does.
//!
//! What is altered is the definition that is stored when it is this statement's turn: two that alter different things of one graph
//! at the same time are both in force afterwards.

use datafusion::common::{Diagnostic, Location, Span};
use datafusion::error::DataFusionError;
use engine::catalog::{CatalogState, Definition, Kind};
use engine::identity_refresh::impact_columns;
use engine::{Error, Result, lanes};

use super::backend::Outcome;
use super::engine_backend::{EngineSession, done, put_of, rows};
use crate::dialect::{Alteration, CreateMode, Point, nearest};

/// What the statement is called.
pub(super) const ALTER_GRAPH: &str = "ALTER IDENTITY GRAPH";

impl EngineSession {
    /// Alters a graph.
    pub(super) async fn alter_graph(&self, alteration: &Alteration) -> Result<Outcome> {
        self.may_define(Kind::IdentityGraph, &alteration.name)?;
        self.session.engine().redefine(|state| altered(state, alteration)).await?;
        Ok(done(ALTER_GRAPH.into()))
    }

    /// Tells what altering a graph would change, without doing it.
    pub(super) async fn explain_alteration(&self, alteration: &Alteration) -> Result<Outcome> {
        self.may_define(Kind::IdentityGraph, &alteration.name)?;
        let definition = altered(&self.session.engine().live().published.state, alteration)?;
        self.explain_impact(&definition, CreateMode::OrReplace).await
    }

    /// Tells what a definition would change, without making it.
    pub(super) async fn explain_impact(
        &self,
        definition: &Definition,
        mode: CreateMode,
    ) -> Result<Outcome> {
        self.may_define(definition.body.kind(), &definition.name)?;
        lanes::go_heavy().await;
        let engine = self.session.engine();
        let told = engine.explain_impact(&self.session, definition, put_of(mode)).await?;
        let rows = rows(&impact_columns(), told.columns().to_vec())?;
        Ok(Outcome::Rows { tag: "EXPLAIN".into(), rows })
    }
}

/// Returns the definition that an alteration makes of the one there is.
fn altered(state: &CatalogState, alteration: &Alteration) -> Result<Definition> {
    let (kind, name) = (Kind::IdentityGraph, alteration.name.as_str());
    let Some(stored) = state.get(kind, name) else {
        let names = state.of_kind(kind).map(|graph| graph.name.as_str());
        let hint = match nearest(name, names) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => "SHOW IDENTITY GRAPHS lists what there is.".to_owned(),
        };
        let missing = Error::Missing { kind: kind.word(), name: name.to_owned(), hint };
        return Err(pointed(missing, Some(alteration.named_at)));
    };
    alteration.carried_out(stored).map_err(|refusal| {
        let (sqlstate, message, hint) = (refusal.sqlstate, refusal.message, refusal.hint);
        pointed(Error::Standard { sqlstate, message, hint }, refusal.at)
    })
}

/// Lets an error say where in its statement it is.
fn pointed(error: Error, at: Option<Point>) -> Error {
    let Some(Point { line, column }) = at else { return error };
    let start = Location { line, column };
    let diagnostic = Diagnostic::new_error(error.to_string(), Some(Span::new(start, start)));
    Error::Query(DataFusionError::External(Box::new(error)).with_diagnostic(diagnostic))
}
