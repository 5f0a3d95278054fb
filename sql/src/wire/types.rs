//! Which Postgres type a column of a result has.
//!
//! The logical type of a column stands in its field metadata under `onefold.type`; without it the Arrow type alone
//! decides. [`Logical`] is that text parsed once, [`PgType`] is what RowDescription says about the column, and both are
//! worked out when a result is described, never for each row. Every Arrow type has an answer: nothing fails mid-stream.

use arrow::datatypes::{DataType, Field, FieldRef};
use engine::query::postgres::types as catalog;

/// The key of field metadata that holds the logical type.
pub(crate) const LOGICAL_TYPE_KEY: &str = "onefold.type";

/// Object ids of the types that onefold speaks, as in every PostgreSQL.
pub(crate) mod oid {
    pub(crate) const BOOL: u32 = 16;
    pub(crate) const BYTEA: u32 = 17;
    pub(crate) const CHAR: u32 = 18;
    pub(crate) const NAME: u32 = 19;
    pub(crate) const INT8: u32 = 20;
    pub(crate) const INT2: u32 = 21;
    pub(crate) const INT2VECTOR: u32 = 22;
    pub(crate) const INT4: u32 = 23;
    pub(crate) const REGPROC: u32 = 24;
    pub(crate) const TEXT: u32 = 25;
    pub(crate) const OID: u32 = 26;
    pub(crate) const XID: u32 = 28;
    pub(crate) const CID: u32 = 29;
    pub(crate) const OIDVECTOR: u32 = 30;
    pub(crate) const JSON: u32 = 114;
    pub(crate) const FLOAT4: u32 = 700;
    pub(crate) const FLOAT8: u32 = 701;
    pub(crate) const UNKNOWN: u32 = 705;
    pub(crate) const BPCHAR: u32 = 1042;
    pub(crate) const VARCHAR: u32 = 1043;
    pub(crate) const DATE: u32 = 1082;
    pub(crate) const TIME: u32 = 1083;
    pub(crate) const TIMESTAMP: u32 = 1114;
    pub(crate) const TIMESTAMPTZ: u32 = 1184;
    pub(crate) const INTERVAL: u32 = 1186;
    pub(crate) const NUMERIC: u32 = 1700;
    pub(crate) const REGPROCEDURE: u32 = 2202;
    pub(crate) const REGOPER: u32 = 2203;
    pub(crate) const REGOPERATOR: u32 = 2204;
    pub(crate) const REGCLASS: u32 = 2205;
    pub(crate) const REGTYPE: u32 = 2206;
    pub(crate) const RECORD: u32 = 2249;
    pub(crate) const RECORD_ARRAY: u32 = 2287;
    pub(crate) const UUID: u32 = 2950;
    pub(crate) const JSONB: u32 = 3802;
    pub(crate) const REGROLE: u32 = 4096;
    pub(crate) const REGNAMESPACE: u32 = 4089;
}

/// Each element type with the type of its arrays, of whatever dimensions.
const ARRAYS: [(u32, u32); 33] = [
    (oid::BOOL, 1000),
    (oid::BYTEA, 1001),
    (oid::CHAR, 1002),
    (oid::NAME, 1003),
    (oid::INT2, 1005),
    (oid::INT2VECTOR, 1006),
    (oid::INT4, 1007),
    (oid::REGPROC, 1008),
    (oid::TEXT, 1009),
    (oid::XID, 1011),
    (oid::CID, 1012),
    (oid::OIDVECTOR, 1013),
    (oid::BPCHAR, 1014),
    (oid::VARCHAR, 1015),
    (oid::INT8, 1016),
    (oid::FLOAT4, 1021),
    (oid::FLOAT8, 1022),
    (oid::OID, 1028),
    (oid::TIMESTAMP, 1115),
    (oid::DATE, 1182),
    (oid::TIME, 1183),
    (oid::TIMESTAMPTZ, 1185),
    (oid::INTERVAL, 1187),
    (oid::NUMERIC, 1231),
    (oid::JSON, 199),
    (oid::REGCLASS, 2210),
    (oid::REGTYPE, 2211),
    (oid::RECORD, oid::RECORD_ARRAY),
    (oid::UUID, 2951),
    (oid::JSONB, 3807),
    (oid::REGNAMESPACE, 4090),
    (oid::REGROLE, 4097),
    (oid::UNKNOWN, 1009),
];

/// Returns the array type of an element type; text arrays for types without one.
pub(crate) fn array_of(element: u32) -> u32 {
    let spoken = ARRAYS.iter().find(|(of, _)| *of == element).map(|(_, array)| *array);
    let of_catalog =
        || catalog::by_oid(element).map(|element| element.array).filter(|oid| *oid != 0);
    spoken.or_else(of_catalog).unwrap_or(1009)
}

/// Returns the elements of a list with the logical type that the name of the list's own type says, such as `_name`.
pub(crate) fn elements_of(list: &Field, element: &FieldRef) -> FieldRef {
    let word = list.metadata().get(LOGICAL_TYPE_KEY);
    let named = word.and_then(|word| catalog::by_name(word));
    let of_array = named.filter(|array| array.len == -1 && array.element != 0);
    match of_array.and_then(|array| catalog::by_oid(array.element)) {
        Some(named) if !element.metadata().contains_key(LOGICAL_TYPE_KEY) => {
            // Elements are filled up to the length that stands in the name of the array.
            let written = word.map(|word| word.trim_end_matches("[]"));
            let written = written.filter(|word| word.ends_with(')')).unwrap_or(&named.name);
            let metadata = [(LOGICAL_TYPE_KEY.to_owned(), written.to_owned())];
            std::sync::Arc::new(element.as_ref().clone().with_metadata(metadata.into()))
        }
        _ => element.clone(),
    }
}

/// Returns the element type of an array type, or `None` when it is no array.
pub(crate) fn element_of(array: u32) -> Option<u32> {
    ARRAYS.iter().find(|(_, of)| *of == array).map(|(element, _)| *element)
}

/// The logical type that field metadata declares over the Arrow type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    /// None: the Arrow type decides.
    Plain,
    /// Sixteen bytes, or text with hyphens.
    Uuid,
    /// Text that holds JSON.
    Json,
    /// Text that holds JSON; its binary form has a version byte.
    Jsonb,
    /// Microseconds since 1970 without a zone.
    Timestamp,
    /// Microseconds since midnight.
    Time,
    /// Text such as `1 mon 2 days`.
    Interval,
    /// Text of at most so many characters.
    Varchar(i32),
    /// Blank padded text of so many characters.
    Bpchar(i32),
    /// An unsigned 32-bit number that prints as one: `oid`, `xid`, `regclass` and their like.
    Number(u32),
    /// A catalog name.
    Name,
    /// One byte of text.
    Char,
    /// `int2vector`: a list that prints with blanks.
    Int2Vector,
    /// `oidvector`.
    OidVector,
}

impl Logical {
    /// Reads the logical type of a field; unknown words count as [`Logical::Plain`].
    pub(crate) fn of(field: &Field) -> Logical {
        field.metadata().get(LOGICAL_TYPE_KEY).map_or(Logical::Plain, |word| Logical::parse(word))
    }

    fn parse(word: &str) -> Logical {
        // An array is what its elements are, whose length is not its own.
        if word.ends_with("[]") {
            return Logical::Plain;
        }
        let (name, argument) = match word.split_once('(') {
            Some((name, rest)) => {
                (name.trim_end(), rest.trim_end_matches(')').trim().parse::<i32>().ok())
            }
            None => (word, None),
        };
        match name {
            "uuid" => Logical::Uuid,
            "json" => Logical::Json,
            "jsonb" => Logical::Jsonb,
            "timestamp" => Logical::Timestamp,
            "time" => Logical::Time,
            "interval" => Logical::Interval,
            "varchar" | "character varying" => Logical::Varchar(argument.unwrap_or(-1)),
            "bpchar" | "character" => Logical::Bpchar(argument.unwrap_or(-1)),
            "oid" => Logical::Number(oid::OID),
            "xid" => Logical::Number(oid::XID),
            "cid" => Logical::Number(oid::CID),
            "regproc" => Logical::Number(oid::REGPROC),
            "regclass" => Logical::Number(oid::REGCLASS),
            "regprocedure" => Logical::Number(oid::REGPROCEDURE),
            "regoper" => Logical::Number(oid::REGOPER),
            "regoperator" => Logical::Number(oid::REGOPERATOR),
            "regtype" => Logical::Number(oid::REGTYPE),
            "regrole" => Logical::Number(oid::REGROLE),
            "regnamespace" => Logical::Number(oid::REGNAMESPACE),
            "name" => Logical::Name,
            "char" | "\"char\"" => Logical::Char,
            "int2vector" => Logical::Int2Vector,
            "oidvector" => Logical::OidVector,
            _ => Logical::Plain,
        }
    }
}

/// What RowDescription says about the type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PgType {
    /// The object id of the type.
    pub(crate) oid: u32,
    /// Its width in bytes, or -1.
    pub(crate) size: i16,
    /// Its modifier, such as the precision and scale of a numeric, or -1.
    pub(crate) modifier: i32,
}

impl PgType {
    fn new(oid: u32) -> PgType {
        PgType { oid, size: size_of(oid), modifier: -1 }
    }

    fn with_modifier(oid: u32, modifier: i32) -> PgType {
        PgType { oid, size: size_of(oid), modifier }
    }

    /// Returns the Postgres type of a field.
    pub(crate) fn of(field: &Field) -> PgType {
        let data_type = field.data_type();
        let logical = Logical::of(field);
        // Types of the catalog that the front does not handle otherwise than their values: texts, arrays of any type, and
        // numbers with as many digits as they need.
        if logical == Logical::Plain
            && field.metadata().contains_key(LOGICAL_TYPE_KEY)
            && (is_text(data_type) || is_list(data_type) || data_type.is_decimal())
        {
            let (named, modifier) = catalog::pg_type_of(field);
            return PgType { oid: named.oid, size: named.len, modifier };
        }
        PgType::of_type(data_type, logical)
    }

    /// Returns the Postgres type of an Arrow type that has no logical type over it.
    pub(crate) fn of_plain(data_type: &DataType) -> PgType {
        PgType::of_arrow(data_type)
    }

    fn of_type(data_type: &DataType, logical: Logical) -> PgType {
        match logical {
            Logical::Uuid => PgType::new(oid::UUID),
            Logical::Json => PgType::new(oid::JSON),
            Logical::Jsonb => PgType::new(oid::JSONB),
            Logical::Timestamp => PgType::new(oid::TIMESTAMP),
            Logical::Time => PgType::new(oid::TIME),
            Logical::Interval => PgType::new(oid::INTERVAL),
            Logical::Varchar(length) => PgType::with_modifier(oid::VARCHAR, text_modifier(length)),
            Logical::Bpchar(length) => PgType::with_modifier(oid::BPCHAR, text_modifier(length)),
            // A name alone cannot be sent as the number that these types are in binary.
            Logical::Number(_) if is_text(data_type) => PgType::new(oid::TEXT),
            Logical::Number(number) => PgType::new(number),
            Logical::Name => PgType::new(oid::NAME),
            Logical::Char => PgType::new(oid::CHAR),
            Logical::Int2Vector if !is_text(data_type) => PgType::new(oid::INT2VECTOR),
            Logical::OidVector if !is_text(data_type) => PgType::new(oid::OIDVECTOR),
            Logical::Int2Vector | Logical::OidVector => PgType::new(oid::TEXT),
            Logical::Plain => PgType::of_arrow(data_type),
        }
    }

    fn of_arrow(data_type: &DataType) -> PgType {
        match data_type {
            DataType::Boolean => PgType::new(oid::BOOL),
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgType::new(oid::INT2),
            DataType::Int32 | DataType::UInt16 => PgType::new(oid::INT4),
            DataType::Int64 | DataType::UInt32 => PgType::new(oid::INT8),
            DataType::UInt64 => PgType::with_modifier(oid::NUMERIC, numeric_modifier(20, 0)),
            DataType::Float16 | DataType::Float32 => PgType::new(oid::FLOAT4),
            DataType::Float64 => PgType::new(oid::FLOAT8),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                PgType::with_modifier(oid::NUMERIC, numeric_modifier(*precision, *scale))
            }
            DataType::Date32 | DataType::Date64 => PgType::new(oid::DATE),
            DataType::Time32(_) | DataType::Time64(_) => PgType::new(oid::TIME),
            DataType::Timestamp(_, None) => PgType::new(oid::TIMESTAMP),
            DataType::Timestamp(_, Some(_)) => PgType::new(oid::TIMESTAMPTZ),
            DataType::Interval(_) | DataType::Duration(_) => PgType::new(oid::INTERVAL),
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => PgType::new(oid::BYTEA),
            DataType::Struct(_) => PgType::new(oid::RECORD),
            DataType::Dictionary(_, values) => PgType::of_arrow(values),
            DataType::RunEndEncoded(_, values) => PgType::of(values),
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _)
            | DataType::ListView(element)
            | DataType::LargeListView(element) => {
                match element.data_type() {
                    view if is_view(view) => PgType::new(oid::JSONB),
                    // An array of arrays is of the same type as an array.
                    list if is_list(list) => PgType::of(element),
                    _ => PgType::new(array_of(PgType::of(element).oid)),
                }
            }
            DataType::Map(_, _) | DataType::Union(_, _) => PgType::new(oid::JSONB),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                PgType::new(oid::TEXT)
            }
        }
    }
}

/// Returns whether an element is a list whose parts lie anywhere. Lists of those travel as jsonb.
pub(crate) fn is_view(element: &DataType) -> bool {
    matches!(element, DataType::ListView(_) | DataType::LargeListView(_))
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Returns whether a type is a list that is sent as an array.
fn is_list(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => !is_view(element.data_type()),
        _ => false,
    }
}

fn text_modifier(length: i32) -> i32 {
    if length >= 0 { length.saturating_add(4) } else { -1 }
}

/// Packs precision and scale as PostgreSQL 15 does: the scale has eleven bits and a sign.
fn numeric_modifier(precision: u8, scale: i8) -> i32 {
    ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
}

/// Returns the width of a type, or -1 for those of varying width.
pub(crate) fn size_of(oid: u32) -> i16 {
    match oid {
        oid::BOOL | oid::CHAR => 1,
        oid::INT2 => 2,
        oid::INT4 | oid::FLOAT4 | oid::DATE | oid::OID | oid::XID | oid::CID => 4,
        oid::REGPROC | oid::REGCLASS | oid::REGTYPE | oid::REGROLE | oid::REGNAMESPACE => 4,
        oid::REGPROCEDURE | oid::REGOPER | oid::REGOPERATOR => 4,
        oid::INT8 | oid::FLOAT8 | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => 8,
        oid::INTERVAL | oid::UUID => 16,
        oid::NAME => 64,
        _ => -1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::datatypes::TimeUnit;

    use super::*;

    fn logical(data_type: DataType, word: &str) -> PgType {
        let metadata = HashMap::from([(LOGICAL_TYPE_KEY.to_owned(), word.to_owned())]);
        PgType::of(&Field::new("c", data_type, true).with_metadata(metadata))
    }

    #[test]
    fn types_sizes_and_modifiers_are_those_of_postgres() {
        let plain = |data_type| {
            let pg = PgType::of(&Field::new("c", data_type, true));
            (pg.oid, pg.size, pg.modifier)
        };
        assert_eq!(plain(DataType::Int64), (20, 8, -1));
        assert_eq!(plain(DataType::Decimal128(18, 2)), (1700, -1, 1_179_654));
        assert_eq!(
            plain(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))),
            (1184, 8, -1)
        );
        assert_eq!(plain(DataType::new_list(DataType::Int32, true)), (1007, -1, -1));
        assert_eq!(
            plain(DataType::new_list(DataType::new_list(DataType::Int32, true), true)),
            (1007, -1, -1)
        );
        assert_eq!(
            logical(DataType::Utf8, "varchar(20)"),
            PgType { oid: 1043, size: -1, modifier: 24 }
        );
        assert_eq!(logical(DataType::Binary, "uuid"), PgType { oid: 2950, size: 16, modifier: -1 });
        let number = DataType::Decimal128(38, 0);
        assert_eq!(logical(number, "numeric"), PgType { oid: 1700, size: -1, modifier: -1 });
        assert_eq!(logical(DataType::Int64, "oid").oid, 26);
        assert_eq!(logical(DataType::Utf8, "regclass").oid, 25);
        assert_eq!(logical(DataType::Utf8, "void"), PgType { oid: 2278, size: 4, modifier: -1 });
        assert_eq!(logical(DataType::Utf8, "int4").oid, 25);
        let texts = || DataType::new_list(DataType::Utf8, true);
        for (word, oid) in [("_name", 1003), ("_aclitem", 1034), ("_text", 1009)] {
            assert_eq!(logical(texts(), word).oid, oid, "{word}");
        }
        let object = DataType::Struct(
            vec![
                Field::new("oid", DataType::Int64, true),
                Field::new("name", DataType::Utf8, true),
            ]
            .into(),
        );
        assert_eq!(logical(object, "regoperator").oid, 2204);
    }
}
