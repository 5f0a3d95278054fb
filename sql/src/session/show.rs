//! `SHOW kinds` and `SHOW CREATE`: what is defined, as far as the role may know.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::Schema;
use engine::catalog::{Body, Capability, Definition, Kind};
use engine::{Error, Result};

use super::backend::{Outcome, QuerySession};
use super::engine_backend::{EngineSession, rows};
use super::like::like_pattern;
use crate::dialect::Statement;

impl EngineSession {
    /// Answers `SHOW kinds` with those that the role may know of.
    pub(super) fn show_objects(
        &self,
        statement: &Statement,
        kind: Kind,
        like: Option<&str>,
    ) -> Result<Outcome> {
        let live = self.session.engine().live();
        let matcher = like.map(like_pattern);
        let visible = |definition: &&Definition| match &definition.body {
            Body::Segment(segment) => {
                self.owns(&segment.purpose) || self.session.require(Capability::Define, "").is_ok()
            }
            Body::Purpose(_) => true,
            _ => {
                self.session.require(Capability::Define, "").is_ok()
                    || matches!(kind, Kind::Sync | Kind::Destination)
            }
        };
        let rows = live
            .published
            .state
            .of_kind(kind)
            .filter(visible)
            .filter(|definition| matcher.as_ref().is_none_or(|matches| matches(&definition.name)))
            .map(|definition| vec![Some(definition.name.clone()), definition.comment.clone()])
            .collect();
        self.texts(statement, "SHOW".into(), rows)
    }

    /// Answers `SHOW CREATE kind name`.
    pub(super) fn show_create(
        &self,
        statement: &Statement,
        kind: Kind,
        name: &str,
    ) -> Result<Outcome> {
        self.may_define(kind, name)?;
        if kind == Kind::Role {
            return Err(Error::Denied {
                message: "the definition of a role is not shown".into(),
                hint: "It holds the verifier of a password.".into(),
            });
        }
        let live = self.session.engine().live();
        let definition = live.published.state.expect(kind, name)?;
        self.texts(
            statement,
            "SHOW".into(),
            vec![vec![Some(definition.name.clone()), Some(definition.sql.clone())]],
        )
    }

    /// Answers with rows of texts.
    pub(super) fn texts(
        &self,
        statement: &Statement,
        tag: String,
        table: Vec<Vec<Option<String>>>,
    ) -> Result<Outcome> {
        let schema = self.columns(statement).unwrap_or_else(|| Arc::new(Schema::empty()));
        let column = |at: usize| {
            Arc::new(table.iter().map(|row| row[at].as_deref()).collect::<StringArray>())
                as ArrayRef
        };
        let columns = (0..schema.fields().len()).map(column).collect();
        Ok(Outcome::Rows { tag, rows: rows(&schema, columns)? })
    }
}
