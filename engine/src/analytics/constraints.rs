//! What `CREATE TABLE` says of columns beside their types: which are never null, which are keys, and what numbers their rows.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, ConstraintCharacteristics, Expr, FunctionArg, FunctionArgExpr,
    FunctionArguments, GeneratedAs, GeneratedExpressionMode, Ident, IndexColumn,
    NullsDistinctOption, ObjectName, PrimaryKeyConstraint, Statement, TableConstraint,
    UniqueConstraint as Unique, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::check_constraints::{self, NewCheck};
use super::constraint_names;
use super::defaults;
use super::foreign_keys::{self, NewForeignKey};
use super::generated;
use super::keys::may_be_key;
use super::numbers::{numbered, whole};
use super::sequence_options::SequenceChanges;
use super::statement::{normal, parts, unsupported};
use crate::catalog::{
    CheckConstraint, Identity, SequenceRange, TEMPORARY, UniqueConstraint, keyed, placed, qualified,
};
use crate::error::{Error, Result};
use crate::query::planner::parse_one;
use crate::query::postgres::SessionFacts;

/// Which constraints there are. No others are checked, so that none is promised.
pub(super) const CONSTRAINTS: &str = "Columns may be NOT NULL and have a CHECK, and those of whole numbers, texts, uuids, dates and timestamps may be UNIQUE, the PRIMARY KEY or a FOREIGN KEY; leave other constraints out.";

/// What to do in the place of a column that is generated.
const GENERATED: &str =
    "Write GENERATED ALWAYS AS (expression) STORED, or AS IDENTITY for whole numbers.";

/// What holds for the columns of a table that is made with them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnRules {
    pub(super) not_null: BTreeSet<String>,
    pub(super) numbered: BTreeMap<String, NumberedBy>,
    /// The defaults of columns, as SQL.
    pub(super) defaults: BTreeMap<String, String>,
    pub(super) primary_key: Vec<String>,
    pub(super) primary_key_name: Option<String>,
    pub(super) unique: Vec<UniqueConstraint>,
    pub(super) checks: Vec<CheckConstraint>,
    pub(super) foreign_keys: Vec<NewForeignKey>,
    /// What columns are computed of, as SQL.
    pub(super) generated: BTreeMap<String, String>,
    /// The comments on columns.
    pub(super) comments: BTreeMap<String, String>,
}

impl ColumnRules {
    /// Tells whether columns are neither numbered nor keys.
    pub(super) fn is_plain(&self) -> bool {
        self.numbered.is_empty() && self.primary_key.is_empty() && self.unique.is_empty()
    }
}

/// What numbers the rows of a column.
#[derive(Debug, Clone)]
pub(crate) enum NumberedBy {
    /// A sequence of its own, which is a part of an identity column.
    Own(SequenceRange, Option<Identity>),
    /// The sequence that is kept under this name.
    Other(String),
}

/// Reads the columns and the constraints of the table that is kept under `name`. Returns the query that has these columns
/// and no rows, and what holds for them.
pub(super) fn read(
    name: &str,
    columns: &[ColumnDef],
    constraints: &[TableConstraint],
    facts: &SessionFacts,
) -> Result<(Box<Statement>, ColumnRules)> {
    let rules = ColumnRules::default();
    let (primary, unique, checks) = (vec![], vec![], vec![]);
    let mut read = Reading { name, facts, rules, primary, unique, checks };
    let mut list = Vec::with_capacity(columns.len());
    for column in columns {
        list.push(read.column(column)?);
    }
    for constraint in constraints {
        read.constraint(constraint)?;
    }
    read.keys(columns)?;
    read.checks()?;
    let query = parse_one(&format!("SELECT {} WHERE false", list.join(", ")))?;
    Ok((Box::new(query), read.rules))
}

/// The columns of a table, as far as they are read.
struct Reading<'a> {
    /// What the table is kept under.
    name: &'a str,
    facts: &'a SessionFacts,
    rules: ColumnRules,
    /// Primary keys, with their names if they are given ones: there may be one.
    primary: Vec<(Option<String>, Vec<String>)>,
    /// Unique constraints, with their names if they are given ones.
    unique: Vec<(Option<String>, Vec<String>)>,
    checks: Vec<NewCheck>,
}

impl Reading<'_> {
    /// Reads a column. Returns it as an item of a query that has its type.
    fn column(&mut self, column: &ColumnDef) -> Result<String> {
        let name = normal(&column.name);
        for option in &column.options {
            match &option.option {
                ColumnOption::Null => {}
                ColumnOption::NotNull => drop(self.rules.not_null.insert(name.clone())),
                ColumnOption::PrimaryKey(PrimaryKeyConstraint { characteristics, .. })
                    if is_plain(characteristics.as_ref()) =>
                {
                    self.primary.push((option.name.as_ref().map(normal), vec![name.clone()]));
                }
                ColumnOption::Unique(unique) if is_kept(unique) => {
                    self.unique.push((option.name.as_ref().map(normal), vec![name.clone()]));
                }
                ColumnOption::Check(check) => {
                    let name = option.name.as_ref();
                    self.checks.push(check_constraints::read(self.name, name, check)?);
                }
                ColumnOption::Generated {
                    generation_expr: Some(expression),
                    generation_expr_mode: Some(GeneratedExpressionMode::Stored),
                    ..
                } => self.generate(&name, expression)?,
                ColumnOption::ForeignKey(key) => {
                    let of_column = Some((name.as_str(), option.name.as_ref()));
                    let key = foreign_keys::read(self.name, of_column, key, self.facts)?;
                    self.rules.foreign_keys.push(key);
                }
                other => match (self.numbering(column, other)?, other) {
                    (Some(by), _) => self.number(&name, by)?,
                    (None, ColumnOption::Default(value)) => self.default(&name, value)?,
                    (None, other) => {
                        let what = format!("\"{option}\" of column \"{name}\"");
                        let hint = match other {
                            ColumnOption::Generated { .. } => GENERATED,
                            _ => CONSTRAINTS,
                        };
                        return Err(unsupported(what, hint));
                    }
                },
            }
        }
        self.refuse_generated_twice(&name, numbered(&column.data_type).is_some())?;
        let quoted = Ident::with_quote('"', &name);
        Ok(match numbered(&column.data_type) {
            Some(plain) => {
                self.rules.not_null.insert(name.clone());
                self.number(&name, NumberedBy::Own(SequenceRange::ascending(plain), None))?;
                format!("CAST(NULL AS {}) AS {quoted}", plain.name())
            }
            None => format!("CAST(NULL AS {}) AS {quoted}", column.data_type),
        })
    }

    /// Reads an option of a column that numbers its rows; `None` if it is another one.
    fn numbering(
        &mut self,
        column: &ColumnDef,
        option: &ColumnOption,
    ) -> Result<Option<NumberedBy>> {
        let plain = whole(&column.data_type).or_else(|| numbered(&column.data_type));
        let Some(plain) = plain else { return Ok(None) };
        match option {
            ColumnOption::Generated {
                generated_as: generated_as @ (GeneratedAs::Always | GeneratedAs::ByDefault),
                sequence_options,
                generation_expr: None,
                ..
            } => {
                let options = sequence_options.as_deref().unwrap_or_default();
                let range = SequenceChanges::read(options)?.range(plain, None)?;
                let identity = match generated_as {
                    GeneratedAs::Always => Identity::Always,
                    GeneratedAs::ByDefault | GeneratedAs::ExpStored => Identity::ByDefault,
                };
                self.rules.not_null.insert(normal(&column.name));
                Ok(Some(NumberedBy::Own(range, Some(identity))))
            }
            ColumnOption::Default(value) => {
                let Some(sequence) = named_sequence(value) else { return Ok(None) };
                let sequence = found_sequence(sequence, self.facts)?;
                if placed(&sequence).0 == TEMPORARY && placed(self.name).0 != TEMPORARY {
                    let what = "a temporary sequence for a table that outlives it";
                    return Err(unsupported(what, "Make a sequence of the schema analytics."));
                }
                Ok(Some(NumberedBy::Other(sequence)))
            }
            _ => Ok(None),
        }
    }

    /// Reads what a column is computed of.
    fn generate(&mut self, column: &str, expression: &Expr) -> Result<()> {
        let expression = generated::read(self.name, expression)?;
        match self.rules.generated.insert(column.to_owned(), expression) {
            None => Ok(()),
            Some(_) => Err(self.twice("multiple generation clauses", column)),
        }
    }

    /// Fails if a column is computed and has a default, too.
    fn refuse_generated_twice(&self, column: &str, is_serial: bool) -> Result<()> {
        let is_identity = |by: &NumberedBy| matches!(by, NumberedBy::Own(_, Some(_)));
        let what = match self.rules.numbered.get(column) {
            _ if !self.rules.generated.contains_key(column) => return Ok(()),
            Some(by) if is_identity(by) => "both identity and generation expression",
            None if !is_serial && !self.rules.defaults.contains_key(column) => return Ok(()),
            _ => "both default and generation expression",
        };
        Err(self.twice(what, column))
    }

    fn twice(&self, what: &str, column: &str) -> Error {
        let table = placed(self.name).1;
        Error::Standard {
            sqlstate: "42601",
            message: format!("{what} specified for column \"{column}\" of table \"{table}\""),
            hint: "Leave one of them out.".into(),
        }
    }

    /// Reads the default of a column.
    fn default(&mut self, name: &str, value: &Expr) -> Result<()> {
        let Some(default) = defaults::read(name, value)? else { return Ok(()) };
        let is_numbered = self.rules.numbered.contains_key(name);
        match self.rules.defaults.insert(name.to_owned(), default) {
            None if !is_numbered => Ok(()),
            _ => Err(self.several_defaults(name)),
        }
    }

    /// Numbers the rows of a column.
    fn number(&mut self, column: &str, by: NumberedBy) -> Result<()> {
        let has_default = self.rules.defaults.contains_key(column);
        match self.rules.numbered.insert(column.to_owned(), by) {
            None if !has_default => Ok(()),
            _ => Err(self.several_defaults(column)),
        }
    }

    /// The answer to a column with two defaults.
    fn several_defaults(&self, column: &str) -> Error {
        let table = placed(self.name).1;
        Error::Standard {
            sqlstate: "42601",
            message: format!(
                "multiple default values specified for column \"{column}\" of table \"{table}\""
            ),
            hint: "Number its rows in one way: by serial, as an identity or by DEFAULT.".into(),
        }
    }

    /// Reads a constraint of the table.
    fn constraint(&mut self, constraint: &TableConstraint) -> Result<()> {
        let refused = || unsupported(format!("\"{constraint}\""), CONSTRAINTS);
        match constraint {
            TableConstraint::PrimaryKey(key) if is_plain(key.characteristics.as_ref()) => {
                let columns = names(&key.columns).ok_or_else(refused)?;
                self.primary.push((key.name.as_ref().map(normal), columns));
            }
            TableConstraint::Unique(unique) if is_kept(unique) => {
                let columns = names(&unique.columns).ok_or_else(refused)?;
                self.unique.push((unique.name.as_ref().map(normal), columns));
            }
            TableConstraint::Check(check) => {
                self.checks.push(check_constraints::read(self.name, None, check)?);
            }
            TableConstraint::ForeignKey(key) => {
                let key = foreign_keys::read(self.name, None, key, self.facts)?;
                self.rules.foreign_keys.push(key);
            }
            _ => return Err(refused()),
        }
        Ok(())
    }

    /// Names the checks, as the keys are named already.
    fn checks(&mut self) -> Result<()> {
        let keys = self.rules.unique.iter().map(|key| key.name.clone());
        let mut known: Vec<String> =
            self.rules.primary_key_name.iter().cloned().chain(keys).collect();
        for check in std::mem::take(&mut self.checks) {
            let check = check.named(self.name, &known, self.facts)?;
            known.push(check.name.clone());
            self.rules.checks.push(check);
        }
        Ok(())
    }

    /// Makes keys of what was read of them.
    fn keys(&mut self, columns: &[ColumnDef]) -> Result<()> {
        let ((schema, table), facts) = (placed(self.name), self.facts);
        if self.primary.len() > 1 {
            return Err(Error::Standard {
                sqlstate: "42P16",
                message: format!("multiple primary keys for table \"{table}\" are not allowed"),
                hint: "A key of several columns is one: PRIMARY KEY (a, b).".into(),
            });
        }
        let (primary_name, primary) = self.primary.pop().unwrap_or_default();
        check_key(&primary, columns, "PRIMARY KEY")?;
        self.rules.not_null.extend(primary.iter().cloned());
        let mut unique: Vec<(Option<String>, Vec<String>)> = vec![];
        for (name, key) in std::mem::take(&mut self.unique) {
            check_key(&key, columns, "UNIQUE")?;
            // As in PostgreSQL, what is said twice is one constraint.
            match unique.iter_mut().find(|(_, known)| *known == key) {
                _ if key == primary => {}
                Some((known, _)) => *known = known.take().or(name),
                None => unique.push((name, key)),
            }
        }
        let snapshot = facts.snapshot();
        // Of a table that is there already nothing is made.
        let is_new = !facts.has_relation(schema, table);
        let is_taken = |name: &str, known: &[String]| {
            let is_known = name == table || known.iter().any(|known| known == name);
            let is_others =
                || facts.has_relation(schema, name) || snapshot.index(schema, name).is_some();
            is_known || is_new && is_others()
        };
        let mut known: Vec<String> = vec![];
        if !primary.is_empty() {
            let of_key = (table, primary.as_slice(), true);
            let name = constraint_names::of_key(of_key, primary_name.as_deref(), |name| {
                is_taken(name, &known)
            })?;
            known.push(name.clone());
            self.rules.primary_key_name = Some(name);
        }
        self.rules.primary_key = primary;
        for (name, key) in unique {
            let of_key = (table, key.as_slice(), false);
            let name =
                constraint_names::of_key(of_key, name.as_deref(), |name| is_taken(name, &known))?;
            known.push(name.clone());
            self.rules.unique.push(UniqueConstraint { name, columns: key });
        }
        Ok(())
    }
}

/// Fails unless columns may be a key together.
fn check_key(key: &[String], columns: &[ColumnDef], what: &str) -> Result<()> {
    for (at, column) in key.iter().enumerate() {
        check_column(column, columns, what)?;
        if key[..at].contains(column) {
            let what = if what == "UNIQUE" { "unique" } else { "primary key" };
            return Err(Error::Standard {
                sqlstate: "42701",
                message: format!("column \"{column}\" appears twice in {what} constraint"),
                hint: "Name it once.".into(),
            });
        }
    }
    Ok(())
}

/// Fails unless a column is there and may be in a key.
fn check_column(column: &str, columns: &[ColumnDef], what: &str) -> Result<()> {
    let found = columns.iter().find(|one| normal(&one.name) == *column);
    let found = found.ok_or_else(|| Error::Standard {
        sqlstate: "42703",
        message: format!("column \"{column}\" named in key does not exist"),
        hint: "Name columns of the table.".into(),
    })?;
    if may_be_key(&found.data_type) {
        return Ok(());
    }
    let article = if what == "UNIQUE" { "" } else { "a " };
    let what = format!("column \"{column}\" of type {} in {article}{what}", found.data_type);
    Err(unsupported(what, CONSTRAINTS))
}

/// Tells whether a constraint is checked at once, as all are.
pub(super) fn is_plain(characteristics: Option<&ConstraintCharacteristics>) -> bool {
    characteristics.is_none()
}

/// Tells whether a unique constraint is one that is kept: nulls are different from each other.
pub(super) fn is_kept(unique: &Unique) -> bool {
    is_plain(unique.characteristics.as_ref())
        && unique.nulls_distinct != NullsDistinctOption::NotDistinct
}

/// Returns the names of the columns of a constraint; `None` if there are expressions among them.
pub(super) fn names(columns: &[IndexColumn]) -> Option<Vec<String>> {
    let name = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(name) => Some(normal(name)),
        _ => None,
    };
    columns.iter().map(name).collect()
}

/// Returns the name in `nextval('name')`, as it is written.
fn named_sequence(value: &Expr) -> Option<&str> {
    let Expr::Function(function) = value else { return None };
    let name = parts(&function.name);
    let (Some("nextval"), 1 | 2) = (name.last().map(String::as_str), name.len()) else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_slice() else {
        return None;
    };
    text(argument)
}

/// Returns a text that is written out, whatever it is cast to.
fn text(value: &Expr) -> Option<&str> {
    match value {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => text(expr),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Returns what the sequence is kept under that a text names.
fn found_sequence(text: &str, facts: &SessionFacts) -> Result<String> {
    let name: ObjectName = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_object_name(false))
        .map_err(|error| DataFusionError::SQL(Box::new(error), None))?;
    let mut names = parts(&name);
    let name = names.pop().unwrap_or_default();
    let schema = match names.pop() {
        Some(schema) => Some(schema),
        None => facts.search_path().into_iter().find(|schema| facts.has_relation(schema, &name)),
    };
    let snapshot = facts.snapshot();
    let found = schema.as_deref().and_then(|schema| snapshot.named(schema, &name));
    let Some(found) = found else {
        return Err(Error::Missing {
            kind: "relation",
            name: text.to_owned(),
            hint: "CREATE SEQUENCE makes it.".into(),
        });
    };
    let kept = keyed(&found.relation.schema, &found.relation.name);
    match &found.relation.sequence {
        None => Err(not_a_sequence(&kept)),
        // Whoever puts rows in takes numbers, and moves the sequence on with those that rows bring.
        Some(sequence) if !sequence.usable => Err(Error::Denied {
            message: format!("permission denied for sequence {}", found.relation.name),
            hint: "Make a sequence of your own, or a column of type serial.".into(),
        }),
        Some(_) => Ok(kept),
    }
}

/// The answer to what is something else.
pub(super) fn not_a_sequence(name: &str) -> Error {
    Error::Standard {
        sqlstate: "42809",
        message: format!("\"{}\" is not a sequence", placed(name).1),
        hint: format!("\\d {} says what it is.", qualified(name)),
    }
}
