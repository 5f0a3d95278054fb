//! The statements that would make an object again, as PostgreSQL writes them.

use super::text::quote_ident;
use crate::catalog::{CheckConstraint, Deferral, ForeignKey, ReferenceAction};
use crate::query::postgres::snapshot::{Numbered, NumberedKey, RelationKind};
use crate::query::postgres::types::{PgType, format_type, pg_type_of};

/// The query of a view, also of a materialized one, ending in a semicolon.
pub(crate) fn view(relation: &Numbered) -> Option<String> {
    if matches!(relation.relation.kind, RelationKind::Table | RelationKind::Sequence) {
        return None;
    }
    let text = relation.relation.definition.as_deref()?.trim().trim_end_matches(';');
    Some(format!(" {text};"))
}

fn key_columns(key: &NumberedKey) -> String {
    let names: Vec<String> = key.columns.iter().map(|name| quote_ident(name)).collect();
    names.join(", ")
}

/// The name of a relation with its schema.
pub(crate) fn table(relation: &Numbered) -> String {
    format!("{}.{}", quote_ident(&relation.relation.schema), quote_ident(&relation.relation.name))
}

/// The index of a key.
pub(crate) fn index(relation: &Numbered, key: &NumberedKey) -> String {
    index_on(key, &table(relation))
}

/// The index of a key, the table written as given.
pub(crate) fn index_on(key: &NumberedKey, table: &str) -> String {
    let (name, columns) = (quote_ident(&key.name), key_columns(key));
    format!("CREATE UNIQUE INDEX {name} ON {table} USING btree ({columns})")
}

/// A primary key or a unique constraint.
pub(crate) fn constraint(key: &NumberedKey) -> String {
    let what = if key.is_primary { "PRIMARY KEY" } else { "UNIQUE" };
    format!("{what} ({})", key_columns(key))
}

/// A check; pretty text has no more brackets than are needed.
pub(crate) fn check(check: &CheckConstraint, is_pretty: bool) -> String {
    let not_valid = if check.not_valid { " NOT VALID" } else { "" };
    match is_pretty {
        true => format!("CHECK ({}){not_valid}", check.condition),
        false => format!("CHECK (({})){not_valid}", check.condition),
    }
}

/// A foreign key, the table that it refers to written as given.
pub(crate) fn foreign_key(key: &ForeignKey, table: &str) -> String {
    let listed = |columns: &[String]| {
        columns.iter().map(|name| quote_ident(name)).collect::<Vec<_>>().join(", ")
    };
    let (columns, referred) = (listed(&key.columns), listed(&key.referred));
    let mut text = format!("FOREIGN KEY ({columns}) REFERENCES {table}({referred})");
    if key.match_full {
        text.push_str(" MATCH FULL");
    }
    for (when, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if action != ReferenceAction::NoAction {
            text.push_str(&format!(" ON {when} {}", action.words()));
        }
    }
    text.push_str(match key.deferral {
        Deferral::None => "",
        Deferral::Allowed => " DEFERRABLE",
        Deferral::Deferred => " DEFERRABLE INITIALLY DEFERRED",
    });
    if key.not_valid {
        text.push_str(" NOT VALID");
    }
    text
}

/// The default of a column that a sequence numbers, which is called `name`.
pub(crate) fn default_by(name: &str) -> String {
    format!("nextval('{}'::regclass)", name.replace('\'', "''"))
}

/// The default of a column that is not the number of a sequence. A literal is shown as a value of the column's type.
pub(crate) fn default_of(relation: &Numbered, column: &str) -> Option<String> {
    let text = relation.default_of(column)?;
    let columns = &relation.relation.columns;
    let of = columns.iter().find(|field| field.name() == column).map(|field| pg_type_of(field).0);
    Some(of.map_or_else(|| text.to_owned(), |of| default(text, of)))
}

fn default(text: &str, of: &PgType) -> String {
    let of_own_type = |(value, cast): (&str, &str)| {
        if cast.eq_ignore_ascii_case(&of.name) { literal(value) } else { None }
    };
    match literal(text).or_else(|| text.rsplit_once("::").and_then(of_own_type)) {
        Some(value) => value_of(&value, of),
        None => number(text).unwrap_or_else(|| text.to_owned()),
    }
}

/// What stands in quotes, if that is all.
fn literal(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let halves = inner.replace("\'\'", "");
    (!halves.contains('\'')).then(|| inner.replace("\'\'", "'"))
}

/// A value of a type: truth and numbers that are not negative are written without quotes, if nothing else is meant by them.
fn value_of(value: &str, of: &PgType) -> String {
    let trimmed = value.trim();
    let plain = match of.name.as_str() {
        "bool" => truth(trimmed).map(|flag| flag.to_string()),
        "int4" => trimmed.parse::<u32>().ok().map(|number| number.to_string()),
        "numeric" => trimmed
            .parse::<f64>()
            .ok()
            .filter(|_| is_written_out(trimmed))
            .map(|_| trimmed.to_owned()),
        _ => None,
    };
    plain.unwrap_or_else(|| quoted(value, &format_type(i64::from(of.oid), -1)))
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Tells whether a text is of digits and a point.
fn is_written_out(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A number that is negative, or too large for an integer, with the type that it has; `None` for all else.
fn number(text: &str) -> Option<String> {
    let digits = text.strip_prefix('-').unwrap_or(text).trim_start();
    if !is_written_out(digits) {
        return None;
    }
    let is_negative = text.starts_with('-');
    let written = if is_negative { format!("-{digits}") } else { digits.to_owned() };
    match (written.contains('.'), written.parse::<i64>()) {
        (false, Ok(number)) if i32::try_from(number).is_err() => Some(quoted(&written, "bigint")),
        (false, Ok(_)) => is_negative.then(|| quoted(&written, "integer")),
        (false, Err(_)) => Some(quoted(&written, "numeric")),
        (true, _) => is_negative.then(|| quoted(&written, "numeric")),
    }
}

fn quoted(text: &str, of: &str) -> String {
    format!("'{}'::{of}", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::postgres::types::by_name;

    #[test]
    fn literals_are_shown_as_postgresql_shows_them() {
        for (text, of, shown) in [
            ("'3'", "int4", "3"),
            ("3", "int4", "3"),
            ("-3", "int4", "'-3'::integer"),
            ("'-3'", "int4", "'-3'::integer"),
            ("3", "int8", "3"),
            ("'3'", "int8", "'3'::bigint"),
            ("3000000000", "int8", "'3000000000'::bigint"),
            ("'3'", "int2", "'3'::smallint"),
            ("'0'", "bool", "false"),
            ("'yes'", "bool", "true"),
            ("false", "bool", "false"),
            ("'1.5'", "numeric", "1.5"),
            ("1.50", "numeric", "1.50"),
            ("'-1.5'", "numeric", "'-1.5'::numeric"),
            ("-1.5", "numeric", "'-1.5'::numeric"),
            ("'it''s'", "text", "'it''s'::text"),
            ("''", "text", "''::text"),
            ("5", "text", "5"),
            ("'x'", "varchar", "'x'::character varying"),
            ("'x'", "bpchar", "'x'::bpchar"),
            ("'2024-01-05'", "date", "'2024-01-05'::date"),
            ("'{a,b}'", "_text", "'{a,b}'::text[]"),
            ("'1.5'", "float8", "'1.5'::double precision"),
            ("'a' || 'b'", "text", "'a' || 'b'"),
            ("'{}'::jsonb", "jsonb", "'{}'::jsonb"),
            ("now()", "timestamptz", "now()"),
            ("2 + 3", "int4", "2 + 3"),
        ] {
            assert_eq!(default(text, by_name(of).unwrap()), shown, "{text} of {of}");
        }
    }
}
