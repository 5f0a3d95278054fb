//! Functions over sequences: `nextval` and `setval` change them at once, whatever becomes of the transaction; `currval` and
//! `lastval` tell which number this session was given, as a row or by `nextval`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Builder};
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::{Body, Call, Function, Kind, failure, names};
use crate::Error;
use crate::analytics::{Place, Sequences};
use crate::query::postgres::snapshot::{Numbered, Sequence};

const SEQUENCE: &[Kind] = &[Kind::Object];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("currval", SEQUENCE, "int8", Body::Int(currval)).with(Volatility::Volatile),
    Function::new("lastval", &[], "int8", Body::Int(lastval)).with(Volatility::Volatile),
    Function::new("nextval", SEQUENCE, "int8", Body::Column(nextval)).with(Volatility::Volatile),
    Function::new("setval", &[Kind::Object, Kind::Int, Kind::Bool], "int8", Body::Int(setval))
        .at_least(2)
        .with(Volatility::Volatile),
    Function::new("pg_sequence_last_value", SEQUENCE, "int8", Body::Int(last_value))
        .with(Volatility::Volatile),
    Function::new(
        "pg_get_serial_sequence",
        &[Kind::Text, Kind::Text],
        "text",
        Body::Text(sequence_of_column),
    ),
];

/// Takes a number for each row, as many at a time as rows name the same sequence.
fn nextval(call: &Call<'_>) -> Result<ArrayRef> {
    let mut numbers = Int64Builder::with_capacity(call.rows);
    let mut row = 0;
    while row < call.rows {
        let named = |row: usize| (call.int(0, row), call.text(0, row));
        let same = (row..call.rows).take_while(|other| named(*other) == named(row)).count();
        match named(row) {
            (None, None) => numbers.append_nulls(same),
            _ => {
                let (sequence, sequences) = usable(call, row, "nextval")?;
                let taken = sequences.take_here(&sequence.counted, same).map_err(failure)?;
                if let Some(last) = taken.last() {
                    call.facts.given.note(sequence.counted.number, *last);
                }
                numbers.append_slice(&taken);
            }
        }
        row += same;
    }
    Ok(Arc::new(numbers.finish()))
}

fn setval(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let (sequence, sequences) = usable(call, row, "setval")?;
    let Some(last) = call.int(1, row) else { return Ok(None) };
    let called = call.bool(2, row).unwrap_or(true);
    sequences.set_here(&sequence.counted, Place { last, called }).map_err(failure)?;
    if called {
        call.facts.given.set(sequence.counted.number, last);
    }
    Ok(Some(last))
}

fn currval(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let (_, Sequence { counted, .. }) = named(call, 0, row)?;
    match call.facts.given.of(counted.number) {
        Some(number) => Ok(Some(number)),
        None => Err(undefined(format!(
            "currval of sequence \"{}\" is not yet defined in this session",
            counted.name
        ))),
    }
}

fn lastval(call: &Call<'_>, _: usize) -> Result<Option<i64>> {
    match call.facts.given.last() {
        Some(number) => Ok(Some(number)),
        None => Err(undefined("lastval is not yet defined in this session".to_string())),
    }
}

fn last_value(call: &Call<'_>, row: usize) -> Result<Option<i64>> {
    let (_, sequence) = named(call, 0, row)?;
    let sequences = call.facts.sequences().filter(|_| sequence.readable);
    let place = sequences.map(|sequences| sequences.position(&sequence.counted).0);
    Ok(place.filter(|place| place.called).map(|place| place.last))
}

fn undefined(message: String) -> datafusion::common::DataFusionError {
    failure(Error::Standard {
        sqlstate: "55000",
        message,
        hint: "Call nextval or put a row in first: INSERT ... RETURNING tells its number, too."
            .to_string(),
    })
}

/// Returns the sequence that an argument names, and its relation.
pub(super) fn named<'a>(
    call: &'a Call<'_>,
    argument: usize,
    row: usize,
) -> Result<(&'a Numbered, &'a Sequence)> {
    let oid = names::object(call, argument, row, "regclass")?;
    let oid = oid.and_then(|oid| u32::try_from(oid).ok());
    let known = oid.and_then(|oid| call.snapshot.relation(oid));
    Err(failure(match known {
        Some(relation) => match &relation.relation.sequence {
            Some(sequence) => return Ok((relation, sequence)),
            None => Error::Standard {
                sqlstate: "42809",
                message: format!("\"{}\" is not a sequence", relation.relation.name),
                hint: "pg_get_serial_sequence(table, column) names that of a column.".to_string(),
            },
        },
        None => Error::Missing {
            kind: "relation",
            name: call.text(argument, row).unwrap_or_default().to_string(),
            hint: "CREATE SEQUENCE makes one, and \\ds lists those there are.".to_string(),
        },
    }))
}

/// Returns the sequence that the first argument names, if the session may change it now, and who gives its numbers.
fn usable<'a>(
    call: &'a Call<'_>,
    row: usize,
    function: &str,
) -> Result<(&'a Sequence, &'a Arc<Sequences>)> {
    let (relation, sequence) = named(call, 0, row)?;
    let name = &relation.relation.name;
    if !sequence.usable {
        return Err(failure(Error::Denied {
            message: format!("permission denied for sequence {name}"),
            hint: "Roles with MAY (write) use their own sequences, and those with MAY (define) all, for the purpose of the table that a sequence goes with.".to_string(),
        }));
    }
    if call.facts.setting("transaction_read_only").as_deref() == Some("on") {
        return Err(failure(Error::Standard {
            sqlstate: "25006",
            message: format!("cannot execute {function}() in a read-only transaction"),
            hint: "Begin the transaction with READ WRITE.".to_string(),
        }));
    }
    let sequences = call.facts.sequences().ok_or_else(|| {
        failure(Error::Unsupported {
            what: format!("{function} in a query that is kept"),
            hint: "Call it in a statement of its own.".to_string(),
        })
    })?;
    Ok((sequence, sequences))
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
    let found = call.snapshot.sequence_of(relation, column).map(|found| &found.relation);
    Ok(found.map(|found| names::sequence_name(&found.schema, &found.name)))
}
