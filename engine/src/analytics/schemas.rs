//! Schemas that analysts make for tables and views, beside `analytics` and governed like it: `CREATE` and `DROP SCHEMA`.

use datafusion::sql::sqlparser::ast::{ObjectName, SchemaName};

use super::dependents::others_depend;
use super::notice::{self, Notice};
use super::staged::schema_exists;
use super::statement::{Write, parts, plain, unsupported};
use super::write::{Seen, Written};
use crate::catalog::{ANALYTICS, AnalyticsSchema, is_reserved, placed, qualified};
use crate::error::{Error, Result};
use crate::query::session::QuerySession;

/// Bytes of a name at most, as in PostgreSQL.
const NAME_BYTES_MAX: usize = 63;

/// What stands in the place of other forms of `CREATE SCHEMA`.
const NAMED: &str = "Write CREATE SCHEMA name: the role that makes it owns it.";

/// Reads a `CREATE SCHEMA`.
pub(super) fn create_schema(schema: &SchemaName, if_not_exists: bool) -> Result<Write> {
    let SchemaName::Simple(name) = schema else {
        return Err(unsupported("CREATE SCHEMA ... AUTHORIZATION", NAMED));
    };
    let name = named(name)?;
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let hint = "Use a name of 63 bytes at most.";
        return Err(unsupported(format!("the name \"{name}\" of a schema"), hint));
    }
    Ok(Write::CreateSchema { name, if_not_exists })
}

/// Reads a `DROP SCHEMA`.
pub(super) fn drop_schema(names: &[ObjectName], if_exists: bool, cascade: bool) -> Result<Write> {
    let names = names.iter().map(named).collect::<Result<_>>()?;
    Ok(Write::DropSchema { names, if_exists, cascade })
}

fn named(name: &ObjectName) -> Result<String> {
    match parts(name).as_slice() {
        [name] => Ok(plain(name)?.to_owned()),
        _ => Err(unsupported("a schema of another database", NAMED)),
    }
}

/// The answer to a schema that is not there.
pub(super) fn missing(name: &str) -> Error {
    Error::Standard {
        sqlstate: "3F000",
        message: format!("schema \"{name}\" does not exist"),
        hint: format!("CREATE SCHEMA {name} makes it; analytics is there."),
    }
}

impl QuerySession {
    /// `CREATE SCHEMA`.
    pub(super) fn make_schema(
        &self,
        seen: &Seen,
        name: &str,
        if_not_exists: bool,
    ) -> Result<Written> {
        let state = &seen.live.published.state;
        let own = is_reserved(name) && self.facts().snapshot().schema_oid(name).is_some();
        if own || name == ANALYTICS || state.schemas.contains_key(name) {
            return match if_not_exists {
                true => Ok(Written::tagged("CREATE SCHEMA")
                    .noticed(Notice::of_skipped("42P06", &format!("schema \"{name}\"")))),
                false => Err(schema_exists(name)),
            };
        }
        if is_reserved(name) {
            return Err(Error::Standard {
                sqlstate: "42939",
                message: format!("unacceptable schema name \"{name}\""),
                hint: "The prefix \"pg_\" is reserved for system schemas, and the names of onefold's own schemas are for those.".into(),
            });
        }
        let schema = AnalyticsSchema { owner: self.role().to_owned() };
        self.staged().lock().put_schema(&seen.base.published, name, Some(schema));
        Ok(Written::tagged("CREATE SCHEMA"))
    }

    /// `DROP SCHEMA`, with everything in it if that was asked for.
    pub(super) async fn drop_schemas(
        &self,
        names: &[String],
        if_exists: bool,
        cascade: bool,
    ) -> Result<Written> {
        let mut written = Written::tagged("DROP SCHEMA");
        // A line for each relation that goes with a schema, or with one of these.
        let mut going = vec![];
        for name in names {
            // What one drop takes along another one does not find.
            let seen = self.seen();
            if is_reserved(name) || name == ANALYTICS {
                return Err(Error::Standard {
                    sqlstate: "2BP01",
                    message: format!(
                        "cannot drop schema {name} because it is required by the database system"
                    ),
                    hint: "Drop the tables and views that you made in it.".into(),
                });
            }
            let state = &seen.live.published.state;
            let Some(schema) = state.schemas.get(name) else {
                if !if_exists {
                    return Err(missing(name));
                }
                written = written.noticed(format!("schema \"{name}\" does not exist, skipping"));
                continue;
            };
            self.require_owner_of(&format!("schema {name}"), &schema.owner)?;
            let within: Vec<String> =
                state.analytics.keys().filter(|key| placed(key).0 == name).cloned().collect();
            // Sequences of a column go with it, and are not told of.
            let goes_alone = |key: &&String| {
                state.sequence(key).is_none_or(|sequence| sequence.owned_by.is_none())
            };
            let told = |key: &String| {
                let word = seen.find(key).map_or("table", |relation| relation.word());
                format!("{word} {}", qualified(key))
            };
            let members: Vec<String> = within.iter().filter(goes_alone).map(told).collect();
            if !cascade && !members.is_empty() {
                let schema = format!("schema {name}");
                let lines = members.iter().map(|member| format!("{member} depends on {schema}"));
                return Err(others_depend(&schema, lines.collect()));
            }
            let others = self.drop_all(&seen, within, true).await?;
            going.extend(members.iter().map(|member| format!("drop cascades to {member}")));
            going.extend(others);
            self.staged().lock().put_schema(&seen.base.published, name, None);
        }
        written.notices.extend(notice::cascade(going));
        Ok(written)
    }
}
