//! Prepared statements, and portals: statements with values, about to run or half-way.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::ScalarValue;
use engine::query::postgres::{OpenCursor, PreparedStatement};

use super::query::explain_prefix;
use crate::dialect::{Parsed, Statement};
use crate::session::backend::Plan;
use crate::wire::encode::{Format, IntervalStyle, RowEncoder, Zone};
use crate::wire::error::{Place, WireError, sqlstate};
use crate::wire::limits::PARAMETER_BYTES;
use crate::wire::output::RowRun;
use crate::wire::parameter::both_decimal;
use crate::wire::types::{PgType, oid};

/// A statement that was prepared by the protocol or by `PREPARE`.
pub(super) struct Prepared {
    /// The whole text that it came in, for positions.
    pub(super) source: Arc<str>,
    /// The statement; `None` for an empty text.
    pub(super) parsed: Option<Parsed>,
    /// Its plan, if it is one that the engine plans.
    pub(super) plan: Option<Plan>,
    /// Its parameters.
    pub(super) parameters: Vec<Parameter>,
    /// The types that the client declared, in order; `None` where it left them open.
    pub(super) declared: Vec<Option<DataType>>,
    /// As the session is shown it, if it has a name.
    pub(super) _shown: Option<Arc<PreparedStatement>>,
    /// What its rows were written with the last time.
    pub(super) written: Written,
}

/// What rows were written with the last time: of which columns, in which formats.
#[derive(Default)]
pub(super) struct Written(Mutex<Option<(SchemaRef, Vec<Format>, RowEncoder)>>);

/// A parameter of a prepared statement.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    /// The type that the client sends.
    pub(super) oid: u32,
    /// The type that the plan wants.
    pub(super) field: FieldRef,
}

impl Prepared {
    /// Tells whether it is `EXECUTE` of another prepared statement.
    pub(super) fn is_execute(&self) -> bool {
        let parsed = self.parsed.as_ref();
        parsed.is_some_and(|parsed| matches!(parsed.statement, Statement::Execute { .. }))
    }

    /// Takes the parameters from a plan; a declared type stands, an open or unknown one is the plan's.
    pub(super) fn parameters_of(plan: Option<&Plan>, declared: &[u32]) -> Vec<Parameter> {
        let fields = plan.map_or(&[][..], |plan| &plan.parameters);
        fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let oid =
                    declared.get(index).copied().filter(|oid| !matches!(*oid, 0 | oid::UNKNOWN));
                Parameter {
                    oid: oid.unwrap_or_else(|| PgType::of(field).oid),
                    field: field.clone(),
                }
            })
            .collect()
    }

    /// Returns what writes rows of these columns in these formats. It is made once for who runs the statement again.
    pub(super) fn encoder(
        &self,
        schema: &SchemaRef,
        formats: &[Format],
        zone: Zone,
        intervals: IntervalStyle,
    ) -> RowEncoder {
        let mut written = self.written.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((columns, known, encoder)) = written.as_ref()
            && Arc::ptr_eq(columns, schema)
            && known == formats
            && encoder.is_in(&zone, intervals)
        {
            return encoder.clone();
        }
        let encoder = RowEncoder::new(schema, formats, zone).with_intervals(intervals);
        *written = Some((schema.clone(), formats.to_vec(), encoder.clone()));
        encoder
    }

    /// Returns how much it counts towards what a session may keep.
    pub(super) fn bytes(&self) -> usize {
        self.source.len() + self.parameters.len() * PARAMETER_BYTES
    }

    /// Returns the columns of its plan.
    pub(super) fn schema(&self) -> Option<&SchemaRef> {
        self.plan.as_ref().map(|plan| &plan.schema)
    }

    /// Returns where the statement stands in its text.
    pub(super) fn place(&self) -> Place<'_> {
        place_of(&self.source, self.parsed.as_ref())
    }
}

/// Returns where a statement stands in the text that it came in. The plan of an `EXPLAIN` is made of a text of which the
/// statement inside is the end, behind a prefix that the client may have written otherwise.
pub(super) fn place_of<'a>(source: &'a str, parsed: Option<&'a Parsed>) -> Place<'a> {
    match parsed {
        Some(Parsed {
            statement: Statement::Explain { analyze, verbose, format, statement },
            ..
        }) => {
            let prefix = explain_prefix(*analyze, *verbose, *format).len();
            Place { source, offset: statement.offset, text: &statement.text, prefix }
        }
        Some(parsed) => Place { source, offset: parsed.offset, text: &parsed.text, prefix: 0 },
        None => Place { source, ..Place::NOWHERE },
    }
}

/// A prepared statement with values.
pub(super) struct Portal {
    /// The statement.
    pub(super) prepared: Arc<Prepared>,
    /// The values of its parameters.
    pub(super) values: Vec<ScalarValue>,
    /// How its columns are wanted.
    pub(super) formats: Vec<Format>,
    /// How far it is.
    pub(super) state: PortalState,
    /// How many rows it has passed.
    pub(super) passed: usize,
    /// The tag of a statement with rows that was run whole, however many of them were sent.
    pub(super) told: Option<String>,
    /// Which of the portals and cursors of its session it is.
    pub(super) opened: u64,
    /// Bytes of its name and its values, if it has a name.
    pub(super) bytes: usize,
    /// As the session is shown it, if it has a name.
    pub(super) _shown: Option<Arc<OpenCursor>>,
}

/// Rows that are still to be sent, and what writes them.
pub(super) type Unsent = (Box<RowRun>, RowEncoder);

/// How far a portal is.
pub(super) enum PortalState {
    /// It has not run.
    Ready,
    /// It has more rows.
    Suspended(Box<RowRun>, RowEncoder),
    /// It is a `FETCH` of which so many rows are left.
    Fetching(u64),
    /// It has run.
    Done,
}

/// Reads the format codes of a message.
pub(super) fn formats_of(codes: &[i16]) -> Result<Vec<Format>, WireError> {
    codes
        .iter()
        .map(|code| match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(WireError::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("unsupported format code: {other}"),
            )),
        })
        .collect()
}

/// Returns whether two schemas are the same to a client that knows one of them.
pub(super) fn same_columns(known: &SchemaRef, found: &SchemaRef) -> bool {
    known.fields().len() == found.fields().len()
        && known
            .fields()
            .iter()
            .zip(found.fields())
            .all(|(known, found)| same_type(known.data_type(), found.data_type()))
}

/// Views and dictionaries of strings look the same on the wire, and plans may differ from their results in them. How many
/// digits a number has may depend on the parameters, and its type is numeric all the same.
fn same_type(known: &DataType, found: &DataType) -> bool {
    let base = |data_type: &DataType| match data_type {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    };
    let (known, found) = (base(known), base(found));
    known == found
        || both_decimal(&known, &found)
        || known.equals_datatype(&found)
        || PgType::of_plain(&known) == PgType::of_plain(&found)
}
