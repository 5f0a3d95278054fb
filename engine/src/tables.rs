//! The tables that onefold keeps for itself: where they lie in the lake and what their columns are.
//!
//! Columns that start with an underscore are system columns, which queries do not see. `_subject` is what a row's person is
//! found by; in derived tables it is the anchor of the profile, and rows are sorted by it.

mod identity;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::DataFusionError;

use crate::error::{Error, Result};
use crate::lake::TableSchema;

pub use identity::*;

/// A table with a fixed layout.
#[derive(Debug, Clone, Copy)]
pub struct SystemLayout {
    /// Its path in the lake.
    pub path: &'static str,
    columns: &'static [(&'static str, Type)],
    /// Columns that hold nothing personal and may carry statistics.
    stats: &'static [&'static str],
    blooms: &'static [&'static str],
    sort: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
enum Type {
    Bigint,
    Text,
    Boolean,
    Double,
    Timestamptz,
}

use Type::{Bigint, Boolean, Double, Text, Timestamptz};

impl SystemLayout {
    /// Returns the columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns
                .iter()
                .map(|(name, kind)| Field::new(*name, kind.data_type(), true))
                .collect::<Vec<_>>(),
        ))
    }

    /// Returns the layout for making the table.
    pub fn table_schema(&self) -> TableSchema {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        TableSchema {
            fields: self.schema(),
            stats_columns: owned(self.stats),
            bloom_columns: owned(self.blooms),
            sort: owned(self.sort),
        }
    }

    /// Builds a batch of this layout.
    pub fn batch(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(self.schema(), columns).map_err(DataFusionError::from)?)
    }
}

impl Type {
    fn data_type(self) -> DataType {
        match self {
            Bigint => DataType::Int64,
            Text => DataType::Utf8,
            Boolean => DataType::Boolean,
            Double => DataType::Float64,
            Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// Where each golden value comes from.
pub const ATTRIBUTE_SOURCES: SystemLayout = SystemLayout {
    path: "profiles/attribute_sources",
    columns: &[
        ("_subject", Bigint),
        ("profile_id", Bigint),
        ("attribute", Text),
        ("source", Text),
        ("record_key", Text),
        ("observed_at", Timestamptz),
        ("rule", Text),
    ],
    stats: &["_subject", "attribute", "source"],
    blooms: &[],
    sort: &["_subject", "attribute"],
};

/// The members of one segment, at [`segment_path`].
pub const SEGMENT_MEMBERS: SystemLayout = SystemLayout {
    path: "segments",
    columns: &[("_subject", Bigint), ("entered_at", Timestamptz)],
    stats: &["_subject", "entered_at"],
    blooms: &[],
    sort: &["_subject"],
};

/// The former members of one segment, at [`former_path`].
pub const FORMER_MEMBERS: SystemLayout = SystemLayout {
    path: "former_members",
    columns: &[("_subject", Bigint), ("entered_at", Timestamptz), ("exited_at", Timestamptz)],
    stats: &["_subject", "entered_at", "exited_at"],
    blooms: &[],
    sort: &["_subject"],
};

/// Every row of every consent feed and every recorded consent, in the order in which it was learnt.
pub const CONSENT_LEDGER: SystemLayout = SystemLayout {
    path: "consent/ledger",
    columns: &[
        ("feed", Text),
        ("identifier_kind", Text),
        ("identifier", Text),
        ("purpose", Text),
        ("status", Text),
        ("captured_at", Timestamptz),
        ("recorded_at", Timestamptz),
        ("recorded_by", Text),
        ("details", Text),
    ],
    stats: &["feed", "recorded_at"],
    blooms: &["identifier"],
    sort: &[],
};

/// Rows that could not be taken.
pub const QUARANTINE: SystemLayout = SystemLayout {
    path: "cdp/quarantine",
    columns: &[
        ("source", Text),
        ("file", Text),
        ("position", Bigint),
        ("reason", Text),
        ("hint", Text),
        ("raw", Text),
        ("quarantined_at", Timestamptz),
    ],
    stats: &["source", "reason", "quarantined_at"],
    blooms: &[],
    sort: &[],
};

/// Every refresh: one row when it starts, one when it ends; of one that made profiles, what became of those before.
pub const REFRESHES: SystemLayout = SystemLayout {
    path: "cdp/refreshes",
    columns: &[
        ("run", Text),
        ("object", Text),
        ("trigger", Text),
        ("status", Text),
        ("at", Timestamptz),
        ("rows_in", Bigint),
        ("rows_out", Bigint),
        ("full", Boolean),
        ("error", Text),
        ("records_moved", Bigint),
        ("profiles_merged", Bigint),
        ("profiles_split", Bigint),
    ],
    stats: &["object", "status", "at"],
    blooms: &[],
    sort: &[],
};

/// Who was sent where, for which purpose; `location` is the place within the destination, such as a path.
pub const DISCLOSURES: SystemLayout = SystemLayout {
    path: "cdp/disclosures",
    columns: &[
        ("_subject", Bigint),
        ("sync", Text),
        ("run", Text),
        ("destination", Text),
        ("location", Text),
        ("purpose", Text),
        ("role", Text),
        ("disclosed_at", Timestamptz),
    ],
    stats: &["_subject", "sync", "run", "purpose", "disclosed_at"],
    blooms: &[],
    sort: &["_subject"],
};

/// Who read what, for which purpose.
pub const AUDIT_LOG: SystemLayout = SystemLayout {
    path: "cdp/audit_log",
    columns: &[
        ("statement", Text),
        ("at", Timestamptz),
        ("role", Text),
        ("purpose", Text),
        ("class", Text),
        ("relations", Text),
        ("status", Text),
        ("rows", Bigint),
    ],
    stats: &["at", "role", "purpose", "class", "status"],
    blooms: &[],
    sort: &[],
};

/// The path of the current rows of a source.
pub fn source_path(source: &str) -> String {
    format!("sources/{source}")
}

/// The path of the rows of a source that newer versions replaced.
pub fn superseded_path(source: &str) -> String {
    format!("sources/{source}_superseded")
}

/// The path of the members of a segment.
pub fn segment_path(segment: &str) -> String {
    format!("segments/{segment}")
}

/// The path of the former members of a segment: in a folder of its own, where no other segment's name leads to.
pub fn former_path(segment: &str) -> String {
    format!("former_members/{segment}")
}

/// The path of the profiles.
pub const PROFILES_PATH: &str = "profiles/profiles";

/// Returns the column named `name` of rows of a table of onefold's own.
///
/// # Errors
/// [`Error::Corrupt`] if there is none.
pub fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).ok_or_else(|| Error::Corrupt {
        message: format!("a table has no column \"{name}\""),
        source: None,
    })
}

/// Returns a column as plain texts, whichever way its texts are laid out.
pub fn texts(column: &ArrayRef) -> Result<StringArray> {
    let texts = cast(column, &DataType::Utf8).map_err(DataFusionError::from)?;
    Ok(texts.as_string::<i32>().clone())
}
