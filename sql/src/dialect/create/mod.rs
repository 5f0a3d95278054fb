//! `CREATE [OR REPLACE] kind [IF NOT EXISTS] name clauses`: one file for each family of objects.
//!
//! A definition keeps its statement as it was written, without the words that only say what happens if it is there
//! already, so that the same object made in two ways compares equal. Passwords are replaced by their verifier.

mod activation;
mod attribute;
mod clauses;
mod derived;
mod event;
pub(super) mod graph;
mod policy;
mod role;
mod source;

use engine::catalog::{Body, Definition, Kind};

use super::cursor::Cursor;
use super::error::ParseError;
use super::kind;
use super::password::Password;
use super::statement::{CreateMode, Statement};

pub(crate) use source::PERSON_FIELDS;

/// Reads the rest of `CREATE` if it makes an object of ours; `None` if it makes something else.
pub(crate) fn create(cursor: &mut Cursor<'_>) -> Result<Option<Statement>, ParseError> {
    let replace = cursor.accept("or replace");
    let kind_start = cursor.start();
    let Some(kind) = kind::singular(cursor) else { return Ok(None) };
    let kind_end = cursor.last_end();
    let not_exists = cursor.accept("if not exists");
    if replace && not_exists {
        return Err(cursor.error("OR REPLACE and IF NOT EXISTS exclude each other"));
    }
    let name_start = cursor.start();
    let name = cursor.name(kind)?;
    let (body, secret) = body(cursor, kind, &name)?;
    cursor.expect_end()?;

    let head = &cursor.input[kind_start..kind_end];
    let mut sql = match not_exists {
        true => format!("CREATE {head} "),
        false => format!("CREATE {head}{}", &cursor.input[kind_end..name_start]),
    };
    let mut password = None;
    match secret {
        Some(role::GivenPassword { range, verifier, password: given }) => {
            sql.push_str(&cursor.input[name_start..range.start]);
            sql.push_str(&format!("'{verifier}'"));
            sql.push_str(&cursor.input[range.end..cursor.end()]);
            password = given;
        }
        None => sql.push_str(&cursor.input[name_start..cursor.end()]),
    }
    let mode = match (replace, not_exists) {
        (true, _) => CreateMode::OrReplace,
        (_, true) => CreateMode::IfNotExists,
        _ => CreateMode::Create,
    };
    let definition = Box::new(Definition { name, sql, comment: None, body });
    Ok(Some(Statement::Create { definition, mode, password }))
}

/// Reads the clauses of one kind.
fn body(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    name: &str,
) -> Result<(Body, Option<role::GivenPassword>), ParseError> {
    let body = match kind {
        Kind::Secret => Body::Secret(policy::secret(cursor)?),
        Kind::Purpose => Body::Purpose(policy::purpose(cursor)?),
        Kind::Role => {
            let (role, given) = role::role(cursor)?;
            return Ok((Body::Role(role), given));
        }
        Kind::Source => Body::Source(source::source(cursor)?),
        Kind::Event => Body::Event(event::event(cursor)?),
        Kind::IdentityGraph => Body::IdentityGraph(graph::identity_graph(cursor)?),
        Kind::IdentityOverrides => {
            Body::IdentityOverrides(derived::identity_overrides(cursor, name)?)
        }
        Kind::ConsentFeed => Body::ConsentFeed(derived::consent_feed(cursor, name)?),
        Kind::Attribute => Body::Attribute(attribute::attribute(cursor)?),
        Kind::Trait => Body::Trait(derived::profile_trait(cursor, name)?),
        Kind::Segment => Body::Segment(derived::segment(cursor, name)?),
        Kind::Destination => Body::Destination(activation::destination(cursor)?),
        Kind::Sync => Body::Sync(activation::sync(cursor)?),
    };
    Ok((body, None))
}

/// A definition of a file, with the password that its verifier was made from.
#[derive(Debug, Clone)]
pub(crate) struct ParsedDefinition {
    /// The object.
    pub(crate) definition: Definition,
    /// The password of a role, if it was given as text.
    pub(crate) password: Option<Password>,
}

impl ParsedDefinition {
    /// Returns this definition with the verifier that is stored, if the password is still the same: each reading of
    /// a file makes a verifier with a new salt, which is no change.
    pub(crate) fn settled(&self, stored: &Definition) -> Definition {
        let mut settled = self.definition.clone();
        let (Body::Role(new), Body::Role(old)) = (&mut settled.body, &stored.body) else {
            return settled;
        };
        if let (Some(password), Some(made), Some(kept)) =
            (&self.password, &new.verifier, &old.verifier)
            && password.matches(kept)
        {
            settled.sql = settled.sql.replace(made.as_str(), kept);
            new.verifier = Some(kept.clone());
        }
        settled
    }
}

/// Returns whether what a file says is what is stored.
pub(crate) fn same(stored: &Definition, file: &ParsedDefinition) -> bool {
    file.settled(stored) == *stored
}
