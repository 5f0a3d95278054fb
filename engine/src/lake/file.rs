//! One data file of a table, and what the log says about it.
//!
//! A [`FileEntry`] pins its file: as long as an entry of it is alive anywhere (in the current snapshot, in an older one,
//! in a running scan, or with a writer that has not committed yet), no maintenance deletes the file.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, SecondsFormat};
use datafusion::common::ScalarValue;
use deltalake_core::kernel::{Add, Remove};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::schema::TableSchema;
use crate::{Error, Result};

/// How many characters of a text may stand in the log as its bound.
const BOUND_CHARS_MAX: usize = 64;
/// Days from 0001-01-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: i32 = 719_163;

/// A data file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FileEntry {
    /// Its path in the table's folder; it says nothing about the content.
    pub path: Arc<str>,
    /// Its length in bytes.
    pub size: u64,
    /// How many rows it has.
    pub rows: u64,
    /// When it was written, in milliseconds since 1970.
    pub written_ms: i64,
    /// What is known of the columns with statistics.
    pub bounds: Arc<[ColumnBounds]>,
    /// Keeps the file from being deleted.
    #[expect(dead_code, reason = "it is held, not used")]
    pub(super) pin: Arc<()>,
}

/// What is known of the values of one column in one file.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnBounds {
    /// The column.
    pub column: Arc<str>,
    /// No value is less.
    pub min: Option<ScalarValue>,
    /// No value is greater.
    pub max: Option<ScalarValue>,
    /// How many rows have none.
    pub nulls: Option<u64>,
}

/// The files of a table that anybody holds.
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<HashMap<Arc<str>, Weak<()>>>);

impl Pins {
    /// Returns the pin of a file, the same one for all its entries.
    pub(super) fn pin(&self, path: &Arc<str>) -> Arc<()> {
        let mut pins = self.0.lock();
        let slot = pins.entry(path.clone()).or_default();
        slot.upgrade().unwrap_or_else(|| {
            let pin = Arc::new(());
            *slot = Arc::downgrade(&pin);
            pin
        })
    }

    /// Returns whether anybody holds the file.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.0.lock().get(path).is_some_and(|pin| pin.strong_count() > 0)
    }

    /// Forgets the files that nobody holds.
    pub(super) fn tidy(&self) {
        self.0.lock().retain(|_, pin| pin.strong_count() > 0);
    }
}

/// Returns a name for a new data file.
pub(super) fn new_path() -> Arc<str> {
    format!("part-{}.zstd.parquet", Uuid::new_v4()).into()
}

impl FileEntry {
    /// Reads an entry from the log.
    pub(super) fn from_log(
        path: &str,
        size: i64,
        written_ms: i64,
        stats: Option<&str>,
        schema: &TableSchema,
        pins: &Pins,
    ) -> Result<Self> {
        let damaged = |source: Option<serde_json::Error>| Error::Corrupt {
            message: format!("the log entry of file \"{path}\" has no usable statistics"),
            source: source.map(|error| Box::new(error) as _),
        };
        let stats: Value =
            serde_json::from_str(stats.unwrap_or("{}")).map_err(|error| damaged(Some(error)))?;
        let rows = stats.get("numRecords").and_then(Value::as_u64).ok_or_else(|| damaged(None))?;
        let bound = |key: &str, name: &str, data_type: &DataType| {
            stats
                .get(key)
                .and_then(|values| values.get(name))
                .and_then(|value| from_json(value, data_type))
        };
        let bounds = schema.stats_fields().map(|field| ColumnBounds {
            column: field.name().as_str().into(),
            min: bound("minValues", field.name(), field.data_type()),
            max: bound("maxValues", field.name(), field.data_type()),
            nulls: stats
                .get("nullCount")
                .and_then(|counts| counts.get(field.name()))
                .and_then(Value::as_u64),
        });
        let path: Arc<str> = path.into();
        let pin = pins.pin(&path);
        Ok(Self {
            size: size.unsigned_abs(),
            rows,
            written_ms,
            bounds: bounds.collect(),
            path,
            pin,
        })
    }

    /// Returns what is known of a column, if anything is.
    pub fn bounds_of(&self, column: &str) -> Option<&ColumnBounds> {
        self.bounds.iter().find(|bounds| &*bounds.column == column)
    }

    /// Returns the action that adds the file.
    pub(super) fn to_add(&self, data_change: bool) -> Add {
        Add {
            path: self.path.to_string(),
            size: self.size.cast_signed(),
            modification_time: self.written_ms,
            data_change,
            stats: Some(self.stats_json()),
            ..Add::default()
        }
    }

    /// Returns the action that removes the file.
    pub(super) fn to_remove(&self, at_ms: i64, data_change: bool) -> Remove {
        Remove {
            path: self.path.to_string(),
            data_change,
            deletion_timestamp: Some(at_ms),
            extended_file_metadata: Some(true),
            partition_values: Some(HashMap::new()),
            size: Some(self.size.cast_signed()),
            ..Remove::default()
        }
    }

    fn stats_json(&self) -> String {
        let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
        for bounds in self.bounds.iter() {
            let insert = |into: &mut Map<String, Value>, value: Option<Value>| {
                if let Some(value) = value {
                    into.insert(bounds.column.to_string(), value);
                }
            };
            insert(&mut min, bounds.min.as_ref().and_then(to_json));
            insert(&mut max, bounds.max.as_ref().and_then(to_json));
            insert(&mut nulls, bounds.nulls.map(Value::from));
        }
        let mut stats = Map::from_iter([("numRecords".to_owned(), Value::from(self.rows))]);
        for (key, values) in [("minValues", min), ("maxValues", max), ("nullCount", nulls)] {
            if !values.is_empty() {
                stats.insert(key.into(), values.into());
            }
        }
        Value::Object(stats).to_string()
    }
}

/// Returns how the log writes a bound; `None` for types whose bounds it does not keep. Decimals and floats are among
/// these: a JSON number is not exact, and a float may be no number at all.
fn to_json(value: &ScalarValue) -> Option<Value> {
    Some(match value {
        ScalarValue::Int8(Some(number)) => (*number).into(),
        ScalarValue::Int16(Some(number)) => (*number).into(),
        ScalarValue::Int32(Some(number)) => (*number).into(),
        ScalarValue::Int64(Some(number)) => (*number).into(),
        ScalarValue::Utf8View(Some(text)) if text.chars().count() <= BOUND_CHARS_MAX => {
            text.as_str().into()
        }
        ScalarValue::Date32(Some(days)) => {
            NaiveDate::from_num_days_from_ce_opt(days.checked_add(DAYS_BEFORE_EPOCH)?)?
                .to_string()
                .into()
        }
        ScalarValue::TimestampMicrosecond(Some(at), Some(_)) => {
            DateTime::from_timestamp_micros(*at)?
                .to_rfc3339_opts(SecondsFormat::Micros, true)
                .into()
        }
        _ => return None,
    })
}

fn from_json(value: &Value, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(value.as_i64()?.try_into().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(value.as_i64()?.try_into().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(value.as_i64()?.try_into().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(value.as_i64()?)),
        DataType::Utf8View => ScalarValue::Utf8View(Some(value.as_str()?.to_owned())),
        DataType::Date32 => {
            let date: NaiveDate = value.as_str()?.parse().ok()?;
            ScalarValue::Date32(Some(chrono::Datelike::num_days_from_ce(&date) - DAYS_BEFORE_EPOCH))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let at = DateTime::parse_from_rfc3339(value.as_str()?).ok()?.timestamp_micros();
            ScalarValue::TimestampMicrosecond(Some(at), zone.clone())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_survive_the_log() {
        let zone: Option<Arc<str>> = Some("UTC".into());
        for value in [
            ScalarValue::Int16(Some(-3)),
            ScalarValue::Int64(Some(i64::MIN)),
            ScalarValue::Utf8View(Some("PL".into())),
            ScalarValue::Date32(Some(-1)),
            ScalarValue::TimestampMicrosecond(Some(1_700_000_000_123_457), zone),
        ] {
            let json = to_json(&value).unwrap();
            assert_eq!(from_json(&json, &value.data_type()).unwrap(), value, "{json}");
        }
        assert_eq!(to_json(&ScalarValue::Decimal128(Some(1), 20, 0)), None);
        assert_eq!(to_json(&ScalarValue::Utf8View(Some("x".repeat(65)))), None);
    }

    #[test]
    fn a_pin_lives_as_long_as_its_entries() {
        let (pins, path) = (Pins::default(), new_path());
        let pin = pins.pin(&path);
        let same = pins.pin(&path);
        assert!(Arc::ptr_eq(&pin, &same));
        drop(pin);
        assert!(pins.holds(&path));
        drop(same);
        assert!(!pins.holds(&path));
    }
}
