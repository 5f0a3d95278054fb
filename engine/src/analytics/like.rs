//! `LIKE` among the columns of `CREATE TABLE`: the columns of another relation, with what else of it is wanted.
//!
//! It comes as a column named [`LIKE`], whose type is the relation and has what is said of `INCLUDING` and `EXCLUDING` in its
//! brackets. It is written out as the columns and keys that one would write by hand.

use std::collections::BTreeMap;

use arrow::datatypes::Field;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, CreateTable, DataType as SqlType, Ident, ObjectName, Statement, TableConstraint,
};

use super::statement::{parts, unsupported};
use crate::catalog::{Identity, SequenceRange, placed};
use crate::error::{Error, Result};
use crate::lake::COMMENT;
use crate::query::DATABASE;
use crate::query::planner::parse_one;
use crate::query::postgres::types::{format_type, pg_type_of};
use crate::query::postgres::{DEFAULT, GENERATED, Relation, RelationKind, SessionFacts, Snapshot};

/// The name of the column that stands for another relation's. No text of a statement has it.
pub const LIKE: &str = "\u{1}like";

/// What a table is made of.
#[derive(Debug, Default)]
pub(super) struct WrittenOut {
    pub(super) columns: Vec<ColumnDef>,
    pub(super) constraints: Vec<TableConstraint>,
    /// The comments on columns.
    pub(super) comments: BTreeMap<String, String>,
}

/// What is taken of another relation beside its columns.
#[derive(Debug, Default, Clone, Copy)]
struct Taken {
    comments: bool,
    constraints: bool,
    defaults: bool,
    generated: bool,
    identity: bool,
    indexes: bool,
}

impl Taken {
    /// Reads `including, defaults, excluding, comments`.
    fn read(words: &[String]) -> Result<Self> {
        let mut taken = Self::default();
        for pair in words.chunks(2) {
            let [how, what] = pair else { return Err(unsupported("this form of LIKE", FORM)) };
            let wanted = how.eq_ignore_ascii_case("including");
            match what.to_ascii_lowercase().as_str() {
                "all" => {
                    taken = Self {
                        comments: wanted,
                        constraints: wanted,
                        defaults: wanted,
                        generated: wanted,
                        identity: wanted,
                        indexes: wanted,
                    };
                }
                "comments" => taken.comments = wanted,
                "constraints" => taken.constraints = wanted,
                "defaults" => taken.defaults = wanted,
                "generated" => taken.generated = wanted,
                "identity" => taken.identity = wanted,
                "indexes" => taken.indexes = wanted,
                // There is nothing of these kinds to be taken.
                "compression" | "statistics" | "storage" => {}
                _ => return Err(unsupported("this form of LIKE", FORM)),
            }
        }
        Ok(taken)
    }
}

const FORM: &str =
    "Write LIKE name INCLUDING ALL, or DEFAULTS, CONSTRAINTS, IDENTITY, INDEXES or COMMENTS.";

/// Writes out what stands for columns of other relations.
pub(super) fn written_out(table: &CreateTable, facts: &SessionFacts) -> Result<WrittenOut> {
    let mut all = WrittenOut { constraints: table.constraints.clone(), ..WrittenOut::default() };
    for column in &table.columns {
        match &column.data_type {
            SqlType::Custom(name, words) if column.name.value == LIKE => {
                all.add(name, Taken::read(words)?, facts)?;
            }
            _ => all.columns.push(column.clone()),
        }
    }
    Ok(all)
}

impl WrittenOut {
    fn add(&mut self, name: &ObjectName, taken: Taken, facts: &SessionFacts) -> Result<()> {
        let snapshot = facts.snapshot();
        let relation = found(name, facts, &snapshot)?;
        let mut items = Vec::with_capacity(relation.columns.len() + 1);
        for column in relation.columns.iter() {
            items.push(definition(column, relation, taken, &snapshot));
            let comment = column.metadata().get(COMMENT).filter(|_| taken.comments);
            if let Some(comment) = comment {
                self.comments.insert(column.name().clone(), comment.clone());
            }
        }
        if taken.indexes {
            if !relation.primary_key.is_empty() {
                items.push(format!("PRIMARY KEY ({})", listed(&relation.primary_key)));
            }
            for key in &relation.constraints.unique {
                items.push(format!("UNIQUE ({})", listed(&key.columns)));
            }
        }
        for check in relation.constraints.checks.iter().filter(|_| taken.constraints) {
            items.push(format!("CONSTRAINT {} CHECK ({})", quoted(&check.name), check.condition));
        }
        let Statement::CreateTable(written) =
            parse_one(&format!("CREATE TABLE t ({})", items.join(", ")))?
        else {
            return Err(unsupported("this form of LIKE", FORM));
        };
        self.columns.extend(written.columns);
        self.constraints.extend(written.constraints);
        Ok(())
    }
}

/// Finds the relation of a name.
fn found<'a>(
    name: &ObjectName,
    facts: &SessionFacts,
    snapshot: &'a Snapshot,
) -> Result<&'a Relation> {
    let mut names = parts(name);
    let table = names.pop().unwrap_or_default();
    let schema = names.pop();
    let is_here = names.pop().is_none_or(|database| database == DATABASE);
    let relation = match &schema {
        Some(schema) => snapshot.named(schema, &table),
        None => facts.search_path().iter().find_map(|schema| snapshot.named(schema, &table)),
    };
    let relation = relation.filter(|_| is_here).map(|found| &found.relation);
    match relation {
        None => Err(Error::Missing {
            kind: "relation",
            name: schema.map_or_else(|| table.clone(), |schema| format!("{schema}.{table}")),
            hint: "LIKE names a table or a view.".into(),
        }),
        Some(relation) if relation.kind == RelationKind::Sequence => Err(Error::Standard {
            sqlstate: "42809",
            message: format!("relation \"{table}\" is invalid in LIKE clause"),
            hint: "LIKE names a table or a view.".into(),
        }),
        Some(relation) => Ok(relation),
    }
}

/// Returns a column as `CREATE TABLE` has it.
fn definition(column: &Field, relation: &Relation, taken: Taken, snapshot: &Snapshot) -> String {
    let (pg_type, modifier) = pg_type_of(column);
    let of_type = format_type(i64::from(pg_type.oid), i64::from(modifier));
    let mut text = format!("{} {of_type}", quoted(column.name()));
    if !column.is_nullable() {
        text.push_str(" NOT NULL");
    }
    let Some(numbered) = relation.numbered.get(column.name()) else {
        if let Some(sql) = column.metadata().get(GENERATED).filter(|_| taken.generated) {
            text.push_str(&format!(" GENERATED ALWAYS AS ({sql}) STORED"));
        }
        if let Some(default) = column.metadata().get(DEFAULT).filter(|_| taken.defaults) {
            text.push_str(&format!(" DEFAULT {default}"));
        }
        return text;
    };
    let (schema, name) = placed(&numbered.sequence);
    let who = match numbered.identity {
        None if taken.defaults => {
            let sequence = format!("{}.{}", quoted(schema), quoted(name)).replace('\'', "''");
            text.push_str(&format!(" DEFAULT nextval('{sequence}')"));
            return text;
        }
        Some(Identity::Always) if taken.identity => "ALWAYS",
        Some(Identity::ByDefault) if taken.identity => "BY DEFAULT",
        _ => return text,
    };
    let sequence = snapshot.named(schema, name).and_then(|found| found.relation.sequence.as_ref());
    let clauses = sequence.map(|sequence| clauses(&sequence.counted.range)).unwrap_or_default();
    text.push_str(&format!(" GENERATED {who} AS IDENTITY{clauses}"));
    text
}

/// Returns the clauses of a sequence, in the order in which they are read.
fn clauses(range: &SequenceRange) -> String {
    let SequenceRange { data_type, start, increment, minimum, maximum, cache, cycle } = range;
    let (least, greatest) = data_type.range();
    let ends = if *increment > 0 { (1, greatest) } else { (least, -1) };
    let mut text = format!(" (INCREMENT BY {increment}");
    if *minimum != ends.0 {
        text.push_str(&format!(" MINVALUE {minimum}"));
    }
    if *maximum != ends.1 {
        text.push_str(&format!(" MAXVALUE {maximum}"));
    }
    text.push_str(&format!(" START WITH {start} CACHE {cache}"));
    text.push_str(if *cycle { " CYCLE)" } else { ")" });
    text
}

fn listed(columns: &[String]) -> String {
    columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}

fn quoted(name: &str) -> String {
    Ident::with_quote('"', name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::WholeNumber;

    #[test]
    fn clauses_of_a_sequence_are_those_that_are_not_usual() {
        let usual = SequenceRange::ascending(WholeNumber::Integer);
        assert_eq!(clauses(&usual), " (INCREMENT BY 1 START WITH 1 CACHE 1)");
        let down = SequenceRange {
            start: -2,
            increment: -2,
            minimum: -10,
            maximum: -1,
            cycle: true,
            ..usual
        };
        let expected = " (INCREMENT BY -2 MINVALUE -10 START WITH -2 CACHE 1 CYCLE)";
        assert_eq!(clauses(&down), expected);
    }

    #[test]
    fn what_is_said_last_of_a_kind_counts() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let taken = Taken::read(&words("INCLUDING ALL excluding Comments")).unwrap();
        assert!(taken.defaults && taken.identity && taken.indexes && !taken.comments);
        let taken = Taken::read(&words("including storage including defaults")).unwrap();
        assert!(taken.defaults && !taken.identity && !taken.indexes);
        assert!(Taken::read(&words("including nothing")).is_err());
    }
}
