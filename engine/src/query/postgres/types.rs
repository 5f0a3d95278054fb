//! Columns as PostgreSQL types.
//!
//! The lake holds Arrow columns; clients know PostgreSQL types by oid. This file is the one place where the two meet:
//! [`pg_type_of`] names the type of a column, [`field`] gives the column of a type. The logical type stands in the
//! field's metadata under [`TYPE_KEY`]; it is believed only where the physical type can carry it, so that metadata which
//! outlived a cast never makes a client misread a value.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

/// The metadata key of the logical type.
pub const TYPE_KEY: &str = "onefold.type";

/// The logical type of a numeric that is a quotient: clients see as many digits of each as PostgreSQL gives it.
pub const QUOTIENT: &str = "numeric(quotient)";

/// The logical type of a numeric that was read of floats or texts: clients see no more digits of each than it needs.
pub const PLAIN: &str = "numeric(plain)";

/// The logical type of a numeric of which clients see no more digits of each than it needs, and no fewer than `least`.
pub(super) fn plain_from(least: i32) -> String {
    format!("numeric(plain,{least})")
}

/// Returns how many digits behind the point clients see of each number of a column at least, if they see no more than it
/// needs; `None` if they see as many of all.
pub fn least_scale(field: &Field) -> Option<i32> {
    let digits =
        field.metadata().get(TYPE_KEY)?.strip_prefix("numeric(plain")?.strip_suffix(')')?;
    if digits.is_empty() { Some(0) } else { digits.strip_prefix(',')?.parse().ok() }
}

/// The metadata key of a column's comment.
pub const COMMENT_KEY: &str = "comment";

/// What says among the types of parameters that one was declared as `uuid`. Its values are texts.
pub const UUID_PARAMETER: DataType = DataType::FixedSizeBinary(16);

/// The types of ranges, which there are none of.
pub const RANGE_TYPES: [&str; 12] = [
    "daterange",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "datemultirange",
    "int4multirange",
    "int8multirange",
    "nummultirange",
    "tsmultirange",
    "tstzmultirange",
];

/// The time zone that timestamps with time zone carry.
pub const UTC: &str = "UTC";

/// A PostgreSQL type.
#[derive(Debug, PartialEq, Eq)]
pub struct PgType {
    /// Its oid, the same on every server.
    pub oid: u32,
    /// Its name in `pg_type`, such as `int4` or `_text`.
    pub name: String,
    /// Its SQL name, such as `integer` or `text[]`.
    pub display: String,
    /// Its size in bytes; -1 when it varies.
    pub len: i16,
    /// The oid of its elements when it is an array or a vector, otherwise 0.
    pub element: u32,
    /// The oid of the array type over it, otherwise 0.
    pub array: u32,
    /// The oid of its default collation, otherwise 0.
    pub collation: u32,
    /// Whether it is passed by value.
    pub by_value: bool,
    /// `typalign`.
    pub align: String,
    /// `typstorage`.
    pub storage: String,
}

struct Types {
    all: Vec<PgType>,
    by_oid: HashMap<u32, usize>,
    by_name: HashMap<String, usize>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut all: Vec<PgType> = Vec::new();
    for row in super::catalog::stored_rows("pg_type") {
        let number = |at: usize| row[at].parse::<u32>().unwrap_or_default();
        all.push(PgType {
            oid: number(0),
            name: row[1].to_string(),
            display: display(row[1]),
            len: row[4].parse().unwrap_or(-1),
            element: number(13),
            array: number(14),
            collation: number(28),
            by_value: row[5] == "t",
            align: row[22].to_string(),
            storage: row[23].to_string(),
        });
    }
    let by_oid = all.iter().enumerate().map(|(at, t)| (t.oid, at)).collect();
    let by_name = all.iter().enumerate().map(|(at, t)| (t.name.clone(), at)).collect();
    Types { all, by_oid, by_name }
});

/// Pairs of names: in `pg_type`, in SQL. All others are the same in both.
const SQL_NAMES: [(&str, &str); 15] = [
    ("bool", "boolean"),
    ("char", "\"char\""),
    ("int2", "smallint"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("float4", "real"),
    ("float8", "double precision"),
    ("bpchar", "character"),
    ("varchar", "character varying"),
    ("bit", "bit"),
    ("varbit", "bit varying"),
    ("time", "time without time zone"),
    ("timetz", "time with time zone"),
    ("timestamp", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"),
];

fn display(name: &str) -> String {
    if let Some(element) = name.strip_prefix('_') {
        return format!("{}[]", display(element));
    }
    let sql = SQL_NAMES.iter().find(|(internal, _)| *internal == name);
    sql.map_or(name, |(_, sql)| sql).to_string()
}

/// Returns the type with this oid.
pub fn by_oid(oid: u32) -> Option<&'static PgType> {
    TYPES.by_oid.get(&oid).map(|&at| &TYPES.all[at])
}

/// Returns the type with this name, as `pg_type` or SQL writes it, with or without `pg_catalog.` and a modifier.
pub fn by_name(name: &str) -> Option<&'static PgType> {
    let name = name.trim();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let (base, array) = match name.strip_suffix("[]") {
        Some(base) => (base.trim_end(), true),
        None => (name, false),
    };
    let base = base.split('(').next().unwrap_or(base).trim();
    let lower = if base.starts_with('"') { base.to_string() } else { base.to_lowercase() };
    let alias = match lower.as_str() {
        "int" => "int4",
        "decimal" => "numeric",
        "character" => "bpchar",
        "float" | "double" => "float8",
        "string" => "text",
        "\"char\"" => "char",
        other => {
            SQL_NAMES.iter().find(|(_, sql)| *sql == other).map_or(other, |(internal, _)| internal)
        }
    };
    let at = TYPES.by_name.get(alias)?;
    let base = &TYPES.all[*at];
    if array { by_oid(base.array) } else { Some(base) }
}

fn known(name: &str) -> &'static PgType {
    TYPES
        .by_name
        .get(name)
        .map(|&at| &TYPES.all[at])
        .expect("every name used here is a row of the stored pg_type")
}

/// Returns the PostgreSQL type of a column and its type modifier (-1 for none).
pub fn pg_type_of(field: &Field) -> (&'static PgType, i32) {
    if let Some(logical) = field.metadata().get(TYPE_KEY)
        && let Some(found) = by_name(&logical_name(logical))
        && carries(field.data_type(), found)
    {
        return (found, modifier(logical, found));
    }
    physical(field.data_type())
}

/// Tells whether the values of a column are of type `bpchar` or `char(n)`: they are held without the blanks at their end,
/// which count in no comparison.
pub fn is_blank_padded(field: &Field) -> bool {
    let logical = field.metadata().get(TYPE_KEY);
    field.data_type().is_string()
        && logical
            .is_some_and(|name| name.split('(').next() == Some("bpchar") && !name.ends_with(']'))
}

/// In how many characters the values of a column of type `char(n)` are shown.
pub(super) fn shown_chars(field: &Field) -> Option<i64> {
    let (_, modifier) = pg_type_of(field);
    (is_blank_padded(field) && modifier > 4).then(|| i64::from(modifier - 4))
}

/// Tells whether the values of a column are uuids, written as texts.
pub(in crate::query) fn is_text_of_uuid(field: &Field) -> bool {
    field.data_type().is_string()
        && field.metadata().get(TYPE_KEY).is_some_and(|name| name == "uuid")
}

/// The logical type of an array whose elements are documents, or arrays of them: its Arrow type tells of texts. `None` of all
/// other elements.
pub(super) fn array_of_documents(element: &Field) -> Option<&'static str> {
    if !element.data_type().is_string() && !element.data_type().is_list() {
        return None;
    }
    match element.metadata().get(TYPE_KEY)?.as_str() {
        "json" | "json[]" => Some("json[]"),
        "jsonb" | "jsonb[]" => Some("jsonb[]"),
        _ => None,
    }
}

/// The logical type of what stands in an array of documents. `None` of all other arrays, whose elements tell it themselves.
pub(super) fn document_in(array: &Field, element: &Field) -> Option<&'static str> {
    let is_array = element.data_type().is_list();
    match array.metadata().get(TYPE_KEY)?.as_str() {
        "json[]" => Some(if is_array { "json[]" } else { "json" }),
        "jsonb[]" => Some(if is_array { "jsonb[]" } else { "jsonb" }),
        _ => None,
    }
}

/// Whether a column of these values can be of a logical type.
pub(super) fn is_carried(field: &Field, logical: &str) -> bool {
    by_name(&logical_name(logical)).is_some_and(|found| carries(field.data_type(), found))
}

/// Returns the name of the type that values have without a logical type over them.
pub(super) fn of_values(data_type: &DataType) -> &'static str {
    &physical(data_type).0.name
}

/// Our words for logical types that PostgreSQL spells otherwise.
fn logical_name(logical: &str) -> String {
    match logical {
        "char" => "\"char\"".to_string(),
        other => other.to_string(),
    }
}

/// `varchar(20)` is stored as 24, `numeric(18,2)` as 1179654.
fn modifier(logical: &str, found: &PgType) -> i32 {
    let Some(inner) =
        logical.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner)
    else {
        return -1;
    };
    let mut numbers = inner.split(',').map(|n| n.trim().parse::<i32>().unwrap_or(0));
    let first = numbers.next().unwrap_or(0);
    // An array has the modifier of its elements.
    match found.name.trim_start_matches('_') {
        "varchar" | "bpchar" => first + 4,
        // A quotient and a plain number have no declared number of digits.
        "numeric" if first == 0 => -1,
        "numeric" => ((first << 16) | (numbers.next().unwrap_or(0) & 0x7ff)) + 4,
        _ => first,
    }
}

/// Whether values of this physical type can be shown as this PostgreSQL type.
fn carries(data_type: &DataType, logical: &PgType) -> bool {
    use DataType as D;
    let list =
        matches!(data_type, D::List(_) | D::LargeList(_) | D::FixedSizeList(_, _) | D::ListView(_));
    if list || logical.element != 0 && logical.len == -1 {
        return list && logical.element != 0 && logical.len == -1;
    }
    let text = data_type.is_string();
    match logical.name.as_str() {
        "uuid" => {
            text || matches!(
                data_type,
                D::FixedSizeBinary(16) | D::Binary | D::BinaryView | D::LargeBinary
            )
        }
        "time" => matches!(data_type, D::Int64 | D::Time32(_) | D::Time64(_)),
        "timestamp" => matches!(data_type, D::Int64 | D::Timestamp(_, None)),
        "timestamptz" => matches!(data_type, D::Timestamp(_, Some(_))),
        "interval" => text || matches!(data_type, D::Interval(_) | D::Duration(_)),
        "int2" | "int4" | "int8" => data_type.is_integer(),
        "oid" | "xid" | "cid" => matches!(data_type, D::Int64 | D::UInt32),
        // Shown as text, they hold the name instead of the number.
        "regproc" | "regclass" | "regtype" | "regnamespace" | "regrole" | "regoper"
        | "regoperator" | "regprocedure" => matches!(data_type, D::Int64) || text,
        "bool" => matches!(data_type, D::Boolean),
        "float4" | "float8" => data_type.is_floating(),
        "numeric" => data_type.is_numeric(),
        "bytea" => {
            matches!(data_type, D::Binary | D::BinaryView | D::LargeBinary | D::FixedSizeBinary(_))
        }
        "date" => matches!(data_type, D::Date32 | D::Date64),
        _ => text,
    }
}

fn physical(data_type: &DataType) -> (&'static PgType, i32) {
    use DataType as D;
    let name = match data_type {
        D::Boolean => "bool",
        D::Int8 | D::Int16 | D::UInt8 => "int2",
        D::Int32 | D::UInt16 => "int4",
        D::Int64 | D::UInt32 => "int8",
        D::UInt64 => "numeric",
        D::Float16 | D::Float32 => "float4",
        D::Float64 => "float8",
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => "bytea",
        D::Date32 | D::Date64 => "date",
        D::Time32(_) | D::Time64(_) => "time",
        D::Timestamp(_, None) => "timestamp",
        D::Timestamp(_, Some(_)) => "timestamptz",
        D::Interval(_) | D::Duration(_) => "interval",
        D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) | D::Decimal256(p, s) => {
            return (known("numeric"), ((i32::from(*p) << 16) | (i32::from(*s) & 0x7ff)) + 4);
        }
        D::List(inner) | D::LargeList(inner) | D::FixedSizeList(inner, _) | D::ListView(inner) => {
            let (element, _) = pg_type_of(inner);
            // An array of arrays is of the same type as an array.
            let array = if element.array == 0 {
                element
            } else {
                by_oid(element.array).unwrap_or(known("_text"))
            };
            return (array, -1);
        }
        D::Struct(_) => "record",
        D::Map(_, _) => "json",
        D::Dictionary(_, value) => return physical(value),
        D::RunEndEncoded(_, value) => return pg_type_of(value),
        _ => "text",
    };
    (known(name), -1)
}

/// Returns the SQL name of a type with its modifier, as `format_type` does; `???` for an unknown oid.
pub fn format_type(oid: i64, modifier: i64) -> String {
    let Some(found) = u32::try_from(oid).ok().and_then(by_oid) else {
        return if oid == 0 { "-".to_string() } else { "???".to_string() };
    };
    if modifier < 0 {
        // Without a modifier, character and bit would be read as of length 1.
        return match found.name.as_str() {
            "bpchar" => "bpchar".to_string(),
            "bit" => "\"bit\"".to_string(),
            _ => found.display.clone(),
        };
    }
    let base = if found.element != 0 && found.len == -1 {
        by_oid(found.element).unwrap_or(found)
    } else {
        found
    };
    let suffix = if std::ptr::eq(base, found) { "" } else { "[]" };
    let text = match base.name.as_str() {
        "varchar" | "bpchar" => format!("{}({})", base.display, modifier - 4),
        "numeric" => {
            let packed = modifier - 4;
            // The scale is a signed number of eleven bits.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            format!("numeric({},{scale})", (packed >> 16) & 0xffff)
        }
        "timestamp" => format!("timestamp({modifier}) without time zone"),
        "timestamptz" => format!("timestamp({modifier}) with time zone"),
        "time" => format!("time({modifier}) without time zone"),
        _ => base.display.clone(),
    };
    text + suffix
}

/// Returns the nullable Arrow column that holds values of a PostgreSQL type, with its logical type in the metadata.
pub fn field(name: &str, pg_type: &str) -> Field {
    let plain = Field::new(name, arrow_type(pg_type), true);
    if pg_type == "text" {
        return plain;
    }
    plain.with_metadata(HashMap::from([(TYPE_KEY.to_string(), pg_type.to_string())]))
}

/// Returns the column of what a function gives. Its metadata name the type only where its Arrow type does not tell it already, so
/// that literals can stand beside it in `VALUES`.
pub(super) fn result_field(name: &str, pg_type: &str) -> Field {
    let named = field(name, pg_type);
    let plain = Field::new(name, named.data_type().clone(), true);
    if pg_type_of(&plain) == pg_type_of(&named) { plain } else { named }
}

/// Returns the Arrow type that holds values of a PostgreSQL type, named as in `pg_type`.
pub fn arrow_type(pg_type: &str) -> DataType {
    let list = |element: &str| DataType::List(Arc::new(field("item", element)));
    match pg_type {
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" | "oid" | "xid" | "cid" | "regproc" | "regclass" | "regtype" | "regnamespace"
        | "regrole" | "regoper" | "regoperator" | "regprocedure" => DataType::Int64,
        "float4" => DataType::Float32,
        "float8" => DataType::Float64,
        "numeric" => DataType::Decimal128(38, 10),
        "bytea" => DataType::Binary,
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "interval" => DataType::Interval(IntervalUnit::MonthDayNano),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        "int2vector" => list("int2"),
        "oidvector" => list("oid"),
        other => match other.strip_prefix('_') {
            Some(element) => list(element),
            None => DataType::Utf8,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_type(data_type: DataType, logical: &str) -> Field {
        Field::new("c", data_type, true)
            .with_metadata(HashMap::from([(TYPE_KEY.to_string(), logical.to_string())]))
    }

    fn check(field: &Field, name: &str, formatted: &str) {
        let (found, modifier) = pg_type_of(field);
        assert_eq!(
            (found.name.as_str(), format_type(i64::from(found.oid), i64::from(modifier))),
            (name, formatted.to_string())
        );
    }

    #[test]
    fn names_the_types_of_columns() {
        check(&Field::new("c", DataType::Int64, true), "int8", "bigint");
        check(&Field::new("c", DataType::Utf8View, true), "text", "text");
        check(&Field::new("c", DataType::Decimal128(18, 2), true), "numeric", "numeric(18,2)");
        check(
            &Field::new("c", arrow_type("timestamptz"), true),
            "timestamptz",
            "timestamp with time zone",
        );
        check(&Field::new("c", arrow_type("_text"), true), "_text", "text[]");
        check(&with_type(DataType::Utf8, "varchar(20)"), "varchar", "character varying(20)");
        check(
            &with_type(arrow_type("_varchar"), "varchar(20)[]"),
            "_varchar",
            "character varying(20)[]",
        );
        check(&with_type(DataType::FixedSizeBinary(16), "uuid"), "uuid", "uuid");
        check(&with_type(DataType::Utf8, "jsonb"), "jsonb", "jsonb");
        check(&with_type(DataType::Int64, "timestamp"), "timestamp", "timestamp without time zone");
        check(&with_type(arrow_type("int2vector"), "int2vector"), "int2vector", "int2vector");
        check(&with_type(DataType::Utf8, "char"), "char", "\"char\"");
        check(&with_type(DataType::Decimal128(38, 16), QUOTIENT), "numeric", "numeric");
        check(&with_type(DataType::Decimal128(38, 16), PLAIN), "numeric", "numeric");
        let from_one = with_type(DataType::Decimal128(3, 2), &plain_from(1));
        check(&from_one, "numeric", "numeric");
        assert_eq!(least_scale(&from_one), Some(1));
        assert_eq!(least_scale(&with_type(DataType::Decimal128(3, 2), PLAIN)), Some(0));
        assert_eq!(least_scale(&with_type(DataType::Decimal128(3, 2), QUOTIENT)), None);
    }

    #[test]
    fn disbelieves_metadata_that_outlived_a_cast() {
        check(&with_type(DataType::Utf8, "oid"), "text", "text");
        check(&with_type(DataType::Float64, "timestamp"), "float8", "double precision");
        check(&with_type(DataType::Utf8, "_oid"), "text", "text");
    }

    #[test]
    fn finds_types_by_either_name() {
        for (name, oid) in [
            ("int", 23),
            ("integer", 23),
            ("pg_catalog.text", 25),
            ("text[]", 1009),
            ("_int4", 1007),
            ("timestamp with time zone", 1184),
            ("varchar(3)", 1043),
            ("char", 18),
        ] {
            assert_eq!(by_name(name).map(|t| t.oid), Some(oid), "{name}");
        }
        assert!(by_name("hstore").is_none());
    }
}
