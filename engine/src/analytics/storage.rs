//! Storage parameters of tables, as in `WITH (fillfactor = 70)`: files are written whole and never filled up, so that there is
//! nothing to set. Those that PostgreSQL has are taken.

use datafusion::sql::sqlparser::ast::{CreateTableOptions, Expr, SqlOption, Value};

use crate::error::{Error, Result};

/// Per cent of a page that rows may take.
const FILL_FACTOR: &str = "fillfactor";
const FILL_FACTOR_MIN: i64 = 10;
const FILL_FACTOR_MAX: i64 = 100;

/// Numbers of rows, which PostgreSQL has no more: without them is how every table is.
const NUMBERS: &str = "oids";

/// The others that PostgreSQL has.
const PARAMETERS: [&str; 21] = [
    "autovacuum_analyze_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_enabled",
    "autovacuum_freeze_max_age",
    "autovacuum_freeze_min_age",
    "autovacuum_freeze_table_age",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_multixact_freeze_min_age",
    "autovacuum_multixact_freeze_table_age",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_vacuum_insert_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "log_autovacuum_min_duration",
    "parallel_workers",
    "toast_tuple_target",
    "user_catalog_table",
    "vacuum_index_cleanup",
    "vacuum_truncate",
];

/// Checks the storage parameters of a table.
///
/// # Errors
/// SQLSTATE 22023 for one that PostgreSQL does not have, or with a value that it cannot have, and 0A000 for `oids`.
pub(super) fn check(options: &CreateTableOptions) -> Result<()> {
    let CreateTableOptions::With(options) = options else { return Ok(()) };
    options.iter().try_for_each(|option| match option {
        SqlOption::KeyValue { key, value } => parameter(&key.value, Some(value)),
        SqlOption::Ident(name) => parameter(&name.value, None),
        other => Err(refused(format!("unrecognized parameter \"{other}\""))),
    })
}

fn parameter(name: &str, value: Option<&Expr>) -> Result<()> {
    let name = name.to_ascii_lowercase();
    if name == FILL_FACTOR {
        return fill_factor(value);
    }
    if name == NUMBERS {
        return numbers(value);
    }
    match PARAMETERS.contains(&name.as_str()) {
        true => Ok(()),
        false => Err(refused(format!("unrecognized parameter \"{name}\""))),
    }
}

/// The value of a parameter; one without it is switched on.
fn text_of(value: Option<&Expr>) -> String {
    match value {
        Some(Expr::Value(value)) => match &value.value {
            Value::Number(text, _) | Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        Some(other) => other.to_string(),
        None => "true".to_owned(),
    }
}

fn numbers(value: Option<&Expr>) -> Result<()> {
    match text_of(value).to_ascii_lowercase().as_str() {
        "false" | "off" => Ok(()),
        _ => Err(Error::Unsupported {
            what: "a table WITH OIDS".into(),
            hint: "Leave WITH (...) out, and number rows by a column of type serial.".into(),
        }),
    }
}

fn fill_factor(value: Option<&Expr>) -> Result<()> {
    let text = text_of(value);
    match text.trim().parse::<i64>() {
        Ok(FILL_FACTOR_MIN..=FILL_FACTOR_MAX) => Ok(()),
        Ok(number) => {
            Err(refused(format!("value {number} out of bounds for option \"{FILL_FACTOR}\"")))
        }
        Err(_) => {
            Err(refused(format!("invalid value for integer option \"{FILL_FACTOR}\": {text}")))
        }
    }
}

fn refused(message: String) -> Error {
    let hint = "Leave WITH (...) out: files are written whole, and there is nothing to set.";
    Error::Standard { sqlstate: "22023", message, hint: hint.to_owned() }
}
