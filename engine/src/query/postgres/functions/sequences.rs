//! Functions over the sequences of numbered columns: `currval`, `lastval` and `pg_get_serial_sequence` tell which number a row
//! of this session was given. Numbers are given to rows as they are put in, and to nobody else, so that the functions which
//! take them are refused.

use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::{Body, Call, Function, Kind, failure, names};
use crate::Error;
use crate::query::postgres::facts::Numbered;

const SEQUENCE: &[Kind] = &[Kind::Object];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("currval", SEQUENCE, "int8", Body::Int(currval)).with(Volatility::Volatile),
    Function::new("lastval", &[], "int8", Body::Int(lastval)).with(Volatility::Volatile),
    Function::new("nextval", SEQUENCE, "int8", Body::Int(|_, _| Err(refused("nextval"))))
        .with(Volatility::Volatile),
    Function::new(
        "setval",
        &[Kind::Object, Kind::Int, Kind::Bool],
        "int8",
        Body::Int(|_, _| Err(refused("setval"))),
    )
    .at_least(2)
    .with(Volatility::Volatile),
    Function::new(
        "pg_get_serial_sequence",
        &[Kind::Text, Kind::Text],
        "text",
        Body::Text(sequence_of_column),
    ),
];

fn refused(name: &str) -> datafusion::common::DataFusionError {
    failure(Error::Unsupported {
        what: name.to_string(),
        hint: "Leave the numbered column out of INSERT, and read its number with RETURNING."
            .to_string(),
    })
}

fn currval(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let (relation, sequence) = sequence(call, row)?;
    match call.facts.given.of(&relation.relation.schema, sequence) {
        Some(number) => Ok(Some(number)),
        None => Err(undefined(format!(
            "currval of sequence \"{sequence}\" is not yet defined in this session"
        ))),
    }
}

fn lastval(call: &Call<'_>, _: usize) -> Result<Option<i64>> {
    match call.facts.given.last() {
        Some(number) => Ok(Some(number)),
        None => Err(undefined("lastval is not yet defined in this session".to_string())),
    }
}

fn undefined(message: String) -> datafusion::common::DataFusionError {
    failure(Error::Standard {
        sqlstate: "55000",
        message,
        hint: "Put a row in first: INSERT ... RETURNING tells its number, too.".to_string(),
    })
}

/// Returns the sequence that the first argument names, and the relation whose rows it numbers.
fn sequence<'a>(call: &'a Call<'_>, row: usize) -> Result<(&'a Numbered, &'a str)> {
    let oid = names::object(call, 0, row, "regclass")?;
    let oid = oid.and_then(|oid| u32::try_from(oid).ok());
    if let Some(found) = oid.and_then(|oid| call.snapshot.with_sequence(oid)) {
        return Ok(found);
    }
    let known = oid.and_then(|oid| call.snapshot.relation(oid));
    Err(failure(match known {
        Some(other) => Error::Standard {
            sqlstate: "42809",
            message: format!("\"{}\" is not a sequence", other.relation.name),
            hint: "pg_get_serial_sequence(table, column) names that of a column.".to_string(),
        },
        None => Error::Missing {
            kind: "relation",
            name: call.text(0, row).unwrap_or_default().to_string(),
            hint: "Columns of type serial have sequences: table_column_seq.".to_string(),
        },
    }))
}

fn sequence_of_column(call: &Call<'_>, row: usize) -> Result<Option<String>> {
    let oid = names::object(call, 0, row, "regclass")?;
    let Some(oid) = oid.and_then(|oid| u32::try_from(oid).ok()) else {
        return Err(failure(Error::Missing {
            kind: "relation",
            name: call.text(0, row).unwrap_or_default().to_string(),
            hint: "Check its spelling and its schema.".to_string(),
        }));
    };
    let Some(relation) = call.snapshot.relation(oid) else { return Ok(None) };
    let column = call.text(1, row).unwrap_or_default();
    if !relation.relation.columns.iter().any(|known| known.name() == column) {
        return Err(failure(Error::Standard {
            sqlstate: "42703",
            message: format!(
                "column \"{column}\" of relation \"{}\" does not exist",
                relation.relation.name
            ),
            hint: "Check its spelling.".to_string(),
        }));
    }
    let at = relation.relation.numbered.iter().position(|numbered| numbered == column);
    let found = at.and_then(|at| relation.sequences.get(at));
    Ok(found.map(|(sequence, _)| names::sequence_name(&relation.relation.schema, sequence)))
}
