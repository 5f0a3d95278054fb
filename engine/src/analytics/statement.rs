//! What a statement asks for that changes tables, views and sequences of analysts, and the query that it takes its rows from.

use datafusion::sql::sqlparser::ast::{
    AlterTable, AlterTableOperation, CascadeOption, CreateTable, CreateTableOptions, CreateView,
    Ident, ObjectName, ObjectType, OnCommit, OnConflict, Query, RenameTableNameKind, SelectInto,
    Statement, Truncate, TruncateIdentityOption,
};

use super::chained::Chain;
use super::columns::{self, ColumnChange};
use super::conflict::Upsert;
use super::constraints::{self, ColumnRules};
use super::insert::Overriding;
use super::into::without_into;
use super::like::{self, WrittenOut};
use super::merge::{self, MergeStep};
use super::returning::Returning;
use super::sequence_objects::{self, Owner};
use super::sequence_options::{SequenceChanges, of_type};
use super::staged::Ending;
use super::{changes, insert, objects, renamed, schemas, storage, with};
use crate::catalog::{ANALYTICS, TEMPORARY, is_reserved, keyed, placed};
use crate::error::{Error, Result};
use crate::query::DATABASE;
use crate::query::planner::parse_one;
use crate::query::postgres::SessionFacts;
pub(super) use crate::query::postgres::{normal, parts};

/// A statement that changes what analysts made. Relations have the names that the catalog keeps them under.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// `CREATE TABLE name AS query`, or with columns: then the query has these columns and no row.
    CreateTable {
        name: String,
        if_not_exists: bool,
        query: Box<Statement>,
        rules: ColumnRules,
        of_columns: bool,
        ending: Option<Ending>,
    },
    /// `CREATE VIEW name AS query`.
    CreateView { name: String, replace: bool, if_not_exists: bool, query: Box<Statement> },
    /// `CREATE MATERIALIZED VIEW name AS query`.
    CreateMaterialized { name: String, if_not_exists: bool, query: Box<Statement> },
    /// `REFRESH MATERIALIZED VIEW name`.
    Refresh { name: String },
    /// `INSERT INTO name [AS alias] [(columns)] query [ON CONFLICT ...] [RETURNING items]`. Where no column is named, the
    /// rows of the query say how many there are.
    Insert {
        name: String,
        alias: Ident,
        columns: Option<Vec<String>>,
        query: Box<Query>,
        overriding: Option<Overriding>,
        conflict: Option<Box<OnConflict>>,
        returning: Option<Returning>,
    },
    /// `INSERT ... ON CONFLICT` into a table with a key: the query gives the rows that are proposed, those that have their
    /// keys, and the values for them.
    Upsert { name: String, upsert: Upsert, returning: Option<Returning>, query: Box<Statement> },
    /// `DELETE` or `UPDATE` of the rows that `alias` names: the query finds them, by their number, and what becomes of
    /// them.
    Change {
        name: String,
        alias: Ident,
        verb: &'static str,
        assigned: Vec<String>,
        /// Those of the columns that are assigned which become the next number of their sequence.
        numbered: Vec<String>,
        returning: Option<Returning>,
        query: Box<Statement>,
    },
    /// `MERGE INTO name`: the query gives the rows that meet, what is done with them, and the values.
    Merge { name: String, steps: Vec<MergeStep>, query: Box<Statement> },
    /// `TRUNCATE names [RESTART IDENTITY] [CASCADE]`.
    Truncate { names: Vec<String>, restart: bool, cascade: bool },
    /// `CREATE SEQUENCE name`.
    CreateSequence { name: String, if_not_exists: bool, changes: SequenceChanges, owner: Owner },
    /// `ALTER SEQUENCE name` but for `RENAME TO`.
    AlterSequence { name: String, if_exists: bool, changes: SequenceChanges, owner: Option<Owner> },
    /// `DROP TABLE`, `VIEW` or `SEQUENCE names`; `absent` are those of other schemas that are not there.
    Drop {
        names: Vec<String>,
        absent: Vec<String>,
        word: &'static str,
        if_exists: bool,
        cascade: bool,
    },
    /// `ALTER TABLE` or `VIEW name RENAME TO` and `SET SCHEMA`: `to` is what it is kept under then.
    Rename { name: String, to: String, moves: bool, if_exists: bool },
    /// `COMMENT ON TABLE`, `VIEW` or `COLUMN`.
    Comment { name: String, word: &'static str, column: Option<String>, comment: Option<String> },
    /// `ALTER TABLE name` with changes of its columns; the query has the columns that are added, and no row.
    Columns {
        name: String,
        if_exists: bool,
        changes: Vec<ColumnChange>,
        added: Option<Box<Statement>>,
    },
    /// A statement whose `WITH` changes rows.
    Chain(Box<Chain>),
    /// `CREATE SCHEMA name`.
    CreateSchema { name: String, if_not_exists: bool },
    /// `DROP SCHEMA names`.
    DropSchema { names: Vec<String>, if_exists: bool, cascade: bool },
}

impl Write {
    /// Reads a statement; `None` if it changes nothing.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for what is not built.
    pub(crate) fn of(statement: &Statement, facts: &SessionFacts) -> Result<Option<Self>> {
        Ok(Some(match statement {
            Statement::Query(query) => {
                if let Some((into, query)) = without_into(query) {
                    return create_of_rows(&into, query, facts).map(Some);
                }
                let Some(statement) = with::behind(query) else { return Ok(None) };
                let Some(mut write) = Self::of(statement, facts)? else { return Ok(None) };
                query.with.as_ref().map_or(Ok(()), |with| with::add(&mut write, with))?;
                write
            }
            Statement::CreateTable(table) => create_table(table, facts)?,
            Statement::CreateView(view) => create_view(view, facts)?,
            Statement::Insert(insert) => insert::read(insert, facts)?,
            Statement::Delete(delete) => changes::delete(delete, facts)?,
            Statement::Update(update) => changes::update(update, facts)?,
            Statement::Merge(merge) => merge::merge(merge, facts)?,
            Statement::Truncate(Truncate {
                table_names,
                partitions: None,
                on_cluster: None,
                identity,
                cascade,
                ..
            }) => {
                let names =
                    table_names.iter().map(|target| existing(&target.name, "TRUNCATE", facts));
                let restart = matches!(identity, Some(TruncateIdentityOption::Restart));
                let cascade = matches!(cascade, Some(CascadeOption::Cascade));
                Write::Truncate { names: names.collect::<Result<_>>()?, restart, cascade }
            }
            Statement::CreateSequence { .. } => create_sequence(statement, facts)?,
            Statement::Drop {
                object_type: ObjectType::Schema, if_exists, names, cascade, ..
            } => schemas::drop_schema(names, *if_exists, *cascade)?,
            Statement::Drop { object_type, if_exists, names, cascade, .. } => {
                let word = match object_type {
                    ObjectType::Table => "table",
                    ObjectType::View => "view",
                    ObjectType::MaterializedView => "materialized view",
                    ObjectType::Sequence => "sequence",
                    other => return Err(unsupported(format!("DROP {other}"), HERE)),
                };
                let (mut found, mut absent) = (vec![], vec![]);
                for name in names {
                    match existing(name, "DROP", facts) {
                        Ok(name) => found.push(name),
                        Err(Error::Missing { name, .. }) if *if_exists => absent.push(name),
                        Err(error) => return Err(error),
                    }
                }
                let (if_exists, cascade) = (*if_exists, *cascade);
                Write::Drop { names: found, absent, word, if_exists, cascade }
            }
            Statement::AlterTable(alter) => alter_table(alter, facts)?,
            Statement::Comment { object_type, object_name, comment, .. } => {
                objects::comment(object_type, object_name, comment.clone(), facts)?
            }
            Statement::CreateSchema { schema_name, if_not_exists, .. } => {
                schemas::create_schema(schema_name, *if_not_exists)?
            }
            _ => return Ok(None),
        }))
    }

    /// Returns what comes back of the rows.
    pub(super) fn returning(&self) -> Option<&Returning> {
        match self {
            Write::Insert { returning, .. }
            | Write::Upsert { returning, .. }
            | Write::Change { returning, .. } => returning.as_ref(),
            _ => None,
        }
    }

    /// Returns how audit and refusals call it.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Write::CreateTable { .. } => "CREATE TABLE",
            Write::CreateView { .. } => "CREATE VIEW",
            Write::CreateMaterialized { .. } => "CREATE MATERIALIZED VIEW",
            Write::Refresh { .. } => "REFRESH MATERIALIZED VIEW",
            Write::Insert { .. } | Write::Upsert { .. } => "INSERT",
            Write::Change { verb, .. } => verb,
            Write::Merge { .. } => "MERGE",
            Write::Truncate { .. } => "TRUNCATE",
            Write::CreateSequence { .. } => "CREATE SEQUENCE",
            Write::AlterSequence { .. } => "ALTER SEQUENCE",
            Write::Drop { .. } => "DROP",
            Write::Rename { .. } | Write::Columns { .. } => "ALTER TABLE",
            Write::Comment { .. } => "COMMENT",
            Write::Chain(_) => "SELECT",
            Write::CreateSchema { .. } => "CREATE SCHEMA",
            Write::DropSchema { .. } => "DROP SCHEMA",
        }
    }
}

/// What to do in the place of what is not built.
pub(super) const HERE: &str = "Tables and views are made in the schema analytics: CREATE TABLE analytics.name AS SELECT ..., or in one that CREATE SCHEMA made.";

pub(super) fn unsupported(what: impl Into<String>, hint: &str) -> Error {
    Error::Unsupported { what: what.into(), hint: hint.into() }
}

/// Returns the name of a relation that is to be made.
fn new(name: &ObjectName, what: &str, facts: &SessionFacts) -> Result<String> {
    let mut parts = parts(name);
    let table = parts.pop().unwrap_or_default();
    let schema = match parts.pop() {
        Some(schema) => schema,
        None => home(&table, facts)?,
    };
    if is_reserved(&schema) || parts.pop().is_some_and(|database| database != DATABASE) {
        return Err(unsupported(format!("{what} in schema \"{schema}\""), HERE));
    }
    if facts.snapshot().schema_oid(&schema).is_none() {
        return Err(schemas::missing(&schema));
    }
    Ok(keyed(&schema, plain(&table)?))
}

/// Returns a name that can be kept.
pub(super) fn plain(name: &str) -> Result<&str> {
    match name.contains('.') {
        false => Ok(name),
        true => Err(unsupported(format!("the name \"{name}\""), "Use a name without a dot.")),
    }
}

/// Returns the schema that a relation goes to whose name has none: the first of the search path in which one can be made.
/// It is refused where a relation of an earlier schema would be found in its place.
fn home(table: &str, facts: &SessionFacts) -> Result<String> {
    let mut first = None;
    for schema in facts.search_path().into_iter().filter(|schema| schema != TEMPORARY) {
        if !is_reserved(&schema) {
            return Ok(schema);
        }
        if facts.has_relation(&schema, table) {
            return Err(Error::Standard {
                sqlstate: "42P07",
                message: format!("relation \"{table}\" already exists"),
                hint: format!(
                    "It is {schema}.{table}. Use another name, or {ANALYTICS}.{table} and always with its schema."
                ),
            });
        }
        if schema != "pg_catalog" {
            first.get_or_insert(schema);
        }
    }
    first.ok_or_else(|| Error::Standard {
        sqlstate: "3F000",
        message: "no schema has been selected to create in".into(),
        hint: "SET search_path TO public, or name the schema: analytics.name.".into(),
    })
}

/// Returns the name of a temporary table that is to be made.
fn new_temporary(name: &ObjectName) -> Result<String> {
    let mut parts = parts(name);
    let table = parts.pop().unwrap_or_default();
    match parts.pop().as_deref() {
        None | Some(TEMPORARY) => Ok(keyed(TEMPORARY, plain(&table)?)),
        Some(_) => Err(Error::Standard {
            sqlstate: "42P16",
            message: "cannot create temporary relation in non-temporary schema".into(),
            hint: "Leave the schema out.".into(),
        }),
    }
}

/// Returns the name of a relation that is to be changed: one of another schema is refused, or not there.
pub(super) fn existing(name: &ObjectName, what: &str, facts: &SessionFacts) -> Result<String> {
    let mut parts = parts(name);
    let table = parts.pop().unwrap_or_default();
    let holds = |schema: &String| facts.has_relation(schema, &table);
    let schema = match parts.pop() {
        Some(schema) => schema,
        None => facts.search_path().into_iter().find(holds).unwrap_or_else(|| ANALYTICS.into()),
    };
    let own = schema == TEMPORARY || !is_reserved(&schema);
    if !own || parts.pop().is_some_and(|database| database != DATABASE) {
        if !holds(&schema) {
            return Err(Error::Missing {
                kind: "relation",
                name: format!("{schema}.{table}"),
                hint: "Tables of your own are in the schema analytics.".into(),
            });
        }
        let hint = "Records come from sources: CREATE SOURCE, then REFRESH SOURCE. Tables of your own are in the schema analytics.";
        return Err(unsupported(format!("{what} of \"{schema}.{table}\""), hint));
    }
    Ok(keyed(&schema, plain(&table)?))
}

fn alter_table(alter: &AlterTable, facts: &SessionFacts) -> Result<Write> {
    let name = existing(&alter.name, "ALTER TABLE", facts)?;
    let if_exists = alter.if_exists;
    match alter.operations.as_slice() {
        [AlterTableOperation::Refresh { .. }] => return Ok(Write::Refresh { name }),
        [AlterTableOperation::SetOptionsParens { options }] => {
            if let Some(schema) = renamed::schema(options) {
                let to = renamed::target(&name, &schema, facts)?;
                return Ok(Write::Rename { name, to, moves: true, if_exists });
            }
            if let Some(changes) = SequenceChanges::altered(options)? {
                let owner = changes.owned_by.as_deref();
                let owner = owner.map(|names| sequence_objects::owner(names, facts)).transpose()?;
                return Ok(Write::AlterSequence { name, if_exists, changes, owner });
            }
        }
        _ => {}
    }
    let [AlterTableOperation::RenameTable { table_name: RenameTableNameKind::To(to) }] =
        alter.operations.as_slice()
    else {
        return columns::alter(name, if_exists, &alter.operations, facts);
    };
    let schema = placed(&name).0;
    let to = match parts(to).as_slice() {
        [to] => keyed(schema, plain(to)?),
        [other, to] if other == schema => keyed(schema, plain(to)?),
        _ => {
            let hint = "ALTER TABLE name SET SCHEMA name moves it.";
            return Err(unsupported("RENAME TO another schema", hint));
        }
    };
    Ok(Write::Rename { name, to, moves: false, if_exists })
}

fn create_table(table: &CreateTable, facts: &SessionFacts) -> Result<Write> {
    let refused = [
        (
            table.or_replace,
            "CREATE OR REPLACE TABLE",
            "Use DROP TABLE IF EXISTS, then CREATE TABLE, in one transaction.",
        ),
        (table.external || table.location.is_some(), "an external table", HERE),
        (
            table.like.is_some() || table.clone.is_some(),
            "CREATE TABLE name LIKE",
            "Put it in brackets: CREATE TABLE name (LIKE other INCLUDING ALL).",
        ),
        (
            table.inherits.is_some()
                || table.partition_of.is_some()
                || table.partition_by.is_some(),
            "inheritance or partitions of tables",
            "Leave the clause out: files are sorted and merged in the background.",
        ),
        (
            !matches!(table.table_options, CreateTableOptions::None | CreateTableOptions::With(_)),
            "TABLESPACE and options of a table but for WITH",
            "Leave them out: all tables lie in the lake.",
        ),
        (
            table.query.is_some() && !table.columns.is_empty(),
            "CREATE TABLE (columns) AS",
            "Name the columns in the query: SELECT a AS name.",
        ),
    ];
    if let Some((_, what, hint)) = refused.into_iter().find(|(refused, ..)| *refused) {
        return Err(unsupported(what, hint));
    }
    storage::check(&table.table_options)?;
    let name = match table.temporary {
        true => new_temporary(&table.name)?,
        false => new(&table.name, "CREATE TABLE", facts)?,
    };
    let ending = match &table.on_commit {
        None => None,
        Some(_) if !table.temporary => {
            return Err(Error::Standard {
                sqlstate: "42P16",
                message: "ON COMMIT can only be used on temporary tables".into(),
                hint: "Leave it out, or make a temporary table.".into(),
            });
        }
        Some(OnCommit::PreserveRows) => None,
        Some(OnCommit::DeleteRows) => Some(Ending::DeleteRows),
        Some(OnCommit::Drop) => Some(Ending::Drop),
    };
    let if_not_exists = table.if_not_exists;
    if let Some(query) = &table.query {
        let query = Box::new(Statement::Query(query.clone()));
        let (rules, of_columns) = (ColumnRules::default(), false);
        let made = Write::CreateTable { name, if_not_exists, query, rules, of_columns, ending };
        return Ok(made);
    }
    let WrittenOut { columns, constraints, comments } = like::written_out(table, facts)?;
    if columns.is_empty() {
        return Err(unsupported("a table without columns", HERE));
    }
    let (query, rules) = constraints::read(&name, &columns, &constraints, facts)?;
    let (rules, of_columns) = (ColumnRules { comments, ..rules }, true);
    Ok(Write::CreateTable { name, if_not_exists, query, rules, of_columns, ending })
}

/// Reads what `SELECT ... INTO` makes.
fn create_of_rows(into: &SelectInto, query: Query, facts: &SessionFacts) -> Result<Write> {
    let name = match into.temporary {
        true => new_temporary(&into.name)?,
        false => new(&into.name, "SELECT INTO", facts)?,
    };
    let (query, rules) = (Box::new(Statement::Query(Box::new(query))), ColumnRules::default());
    let (if_not_exists, of_columns, ending) = (false, false, None);
    Ok(Write::CreateTable { name, if_not_exists, query, rules, of_columns, ending })
}

fn create_sequence(statement: &Statement, facts: &SessionFacts) -> Result<Write> {
    let Statement::CreateSequence {
        temporary,
        if_not_exists,
        name,
        data_type,
        sequence_options,
        owned_by,
    } = statement
    else {
        return Err(unsupported("this form of CREATE SEQUENCE", HERE));
    };
    let name = match temporary {
        true => new_temporary(name)?,
        false => new(name, "CREATE SEQUENCE", facts)?,
    };
    let data_type = data_type.as_ref().map(|data_type| of_type(&data_type.to_string()));
    let mut changes = SequenceChanges::read(sequence_options)?;
    changes.data_type = data_type.transpose()?;
    let owner = match owned_by {
        Some(owned_by) => {
            let names = owned_by.0.iter().filter_map(|part| part.as_ident().cloned());
            sequence_objects::owner(&names.collect::<Vec<_>>(), facts)?
        }
        None => None,
    };
    let if_not_exists = *if_not_exists;
    Ok(Write::CreateSequence { name, if_not_exists, changes, owner })
}

fn create_view(view: &CreateView, facts: &SessionFacts) -> Result<Write> {
    let refused = [
        (
            view.materialized && view.or_replace,
            "CREATE OR REPLACE MATERIALIZED VIEW",
            "Use DROP MATERIALIZED VIEW IF EXISTS, then CREATE, in one transaction.",
        ),
        (
            view.options != CreateTableOptions::None,
            "options of a view",
            "Leave WITH (...) out: a view shows what its reader may see.",
        ),
    ];
    if let Some((_, what, hint)) = refused.into_iter().find(|(refused, ..)| *refused) {
        return Err(unsupported(what, hint));
    }
    let name = match view.temporary {
        true => new_temporary(&view.name)?,
        false => new(&view.name, "CREATE VIEW", facts)?,
    };
    let mut query = Statement::Query(view.query.clone());
    if !view.columns.is_empty() {
        let columns =
            view.columns.iter().map(|column| Ident::with_quote('"', normal(&column.name)));
        let columns: Vec<String> = columns.map(|column| column.to_string()).collect();
        let renamed = format!("SELECT * FROM ({}) AS renamed ({})", view.query, columns.join(", "));
        query = parse_one(&renamed)?;
    }
    let (replace, if_not_exists, query) = (view.or_replace, view.if_not_exists, Box::new(query));
    Ok(match view.materialized {
        true => Write::CreateMaterialized { name, if_not_exists, query },
        false => Write::CreateView { name, replace, if_not_exists, query },
    })
}
