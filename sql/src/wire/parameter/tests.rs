//! Parameters as drivers send them.

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::ScalarValue;

use super::*;

fn natural(oid: u32) -> Field {
    Field::new("$1", arrow_of(oid).unwrap_or(DataType::Utf8), true)
}

fn from_text(text: &str, oid: u32, field: &Field) -> Result<ScalarValue, WireError> {
    decode(Some(text.as_bytes()), Format::Text, oid, field, 0, &Zone::utc())
}

#[test]
fn texts_are_read_by_their_type() {
    for (text, oid, expected) in [
        ("t", oid::BOOL, ScalarValue::Boolean(Some(true))),
        ("off", oid::BOOL, ScalarValue::Boolean(Some(false))),
        (" 42 ", oid::INT4, ScalarValue::Int32(Some(42))),
        ("-9223372036854775808", oid::INT8, ScalarValue::Int64(Some(i64::MIN))),
        ("Infinity", oid::FLOAT8, ScalarValue::Float64(Some(f64::INFINITY))),
        ("\\xdeadbeef", oid::BYTEA, ScalarValue::Binary(Some(vec![0xde, 0xad, 0xbe, 0xef]))),
        ("a\\001\\\\", oid::BYTEA, ScalarValue::Binary(Some(vec![b'a', 1, b'\\']))),
        ("2024-02-29", oid::DATE, ScalarValue::Date32(Some(19782))),
        ("ada", oid::TEXT, ScalarValue::Utf8(Some("ada".into()))),
        ("1 mon 2 days", oid::INTERVAL, ScalarValue::new_interval_mdn(1, 2, 0)),
        (
            "2024-01-01 00:00:00+01",
            oid::TIMESTAMPTZ,
            ScalarValue::TimestampMicrosecond(Some(1_704_063_600_000_000), Some("+00:00".into())),
        ),
    ] {
        assert_eq!(from_text(text, oid, &natural(oid)).unwrap(), expected, "{text}");
    }
}

#[test]
fn decimals_keep_their_digits() {
    // Whatever the plan has found: a column of two digits behind the point, or the type that stands for numeric.
    for target in [DataType::Decimal128(18, 2), DataType::Decimal128(38, 10)] {
        let field = Field::new("$1", target, true);
        for (text, digits, precision, scale) in [
            ("12.5", 125, 3, 1),
            ("-0.01", -1, 2, 2),
            ("1e3", 1_000, 4, 0),
            ("0", 0, 1, 0),
            (".5", 5, 1, 1),
            ("0.123456789012", 123_456_789_012, 12, 12),
            ("-99999999999999999999999999999999999999", -(10i128.pow(38) - 1), 38, 0),
        ] {
            let value = from_text(text, oid::NUMERIC, &field).unwrap();
            assert_eq!(value, ScalarValue::Decimal128(Some(digits), precision, scale), "{text}");
        }
        // What PostgreSQL sends for 12345.678, -0.0001, 10000, 0.00 and 0.123456789012.
        for (bytes, digits, precision, scale) in [
            (&b"\x00\x03\x00\x01\x00\x00\x00\x03\x00\x01\x09\x29\x1a\x7c"[..], 12_345_678, 8, 3),
            (b"\x00\x01\xff\xff\x40\x00\x00\x04\x00\x01", -1, 4, 4),
            (b"\x00\x01\x00\x01\x00\x00\x00\x00\x00\x01", 10_000, 5, 0),
            (b"\x00\x00\x00\x00\x00\x00\x00\x02", 0, 2, 2),
            (b"\x00\x03\xff\xff\x00\x00\x00\x0c\x04\xd2\x16\x2e\x23\x34", 123_456_789_012, 12, 12),
        ] {
            let value =
                decode(Some(bytes), Format::Binary, oid::NUMERIC, &field, 0, &Zone::utc()).unwrap();
            assert_eq!(value, ScalarValue::Decimal128(Some(digits), precision, scale));
        }
        let error = from_text(&"9".repeat(39), oid::NUMERIC, &field).unwrap_err();
        assert_eq!(error.sqlstate, "22003");
    }
}

#[test]
fn decimals_of_one_list_are_each_read_with_their_own_digits() {
    let field = Field::new("$1", DataType::new_list(DataType::Decimal128(12, 3), true), true);
    let list = from_text("{1.5,NULL,-22.125,300}", 1231, &field).unwrap();
    assert_eq!(list.to_string(), "[1.500, , -22.125, 300.000]");
    // 1.5 and 0.25 as PostgreSQL sends them.
    let mut bytes = b"\0\0\0\x01\0\0\0\0\0\0\x06\xa4\0\0\0\x02\0\0\0\x01".to_vec();
    bytes.extend_from_slice(b"\0\0\0\x0c\0\x02\0\0\0\0\0\x01\0\x01\x13\x88");
    bytes.extend_from_slice(b"\0\0\0\x0a\0\x01\xff\xff\0\0\0\x02\x09\xc4");
    let list = decode(Some(&bytes), Format::Binary, 1231, &field, 0, &Zone::utc()).unwrap();
    assert_eq!(list.to_string(), "[1.50, 0.25]");
    let wide = format!("{{{},0.5}}", "9".repeat(38));
    assert_eq!(from_text(&wide, 1231, &field).unwrap_err().sqlstate, "22003");
}

#[test]
fn no_text_holds_a_zero_byte() {
    let error = from_text("a\0b", oid::TEXT, &natural(oid::TEXT)).unwrap_err();
    assert_eq!(error.sqlstate, "22021");
}

#[test]
fn binary_values_count_from_the_year_2000() {
    let one = |oid, bytes: &[u8]| {
        decode(Some(bytes), Format::Binary, oid, &natural(oid), 0, &Zone::utc()).unwrap()
    };
    assert_eq!(one(oid::DATE, &[0, 0, 0, 1]), ScalarValue::Date32(Some(10_958)));
    assert_eq!(
        one(oid::TIMESTAMP, &1_000_000i64.to_be_bytes()),
        ScalarValue::TimestampMicrosecond(Some(946_684_801_000_000), None)
    );
    assert_eq!(one(oid::JSONB, b"\x01{}"), ScalarValue::Utf8(Some("{}".into())));
}

#[test]
fn arrays_of_both_formats_are_read() {
    let field = natural(1007);
    let text = from_text("{1, NULL ,3}", 1007, &field).unwrap();
    let mut bytes = b"\0\0\0\x01\0\0\0\x01\0\0\0\x17\0\0\0\x03\0\0\0\x01".to_vec();
    bytes.extend_from_slice(b"\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff\0\0\0\x04\0\0\0\x03");
    let binary = decode(Some(&bytes), Format::Binary, 1007, &field, 0, &Zone::utc()).unwrap();
    assert_eq!(text, binary);
    assert_eq!(text.to_string(), "[1, , 3]");

    let texts = from_text(r#"{a,"b c","x\"y",NULL,"NULL",""}"#, 1009, &natural(1009)).unwrap();
    assert_eq!(texts.to_string(), r#"[a, b c, x"y, , NULL, ]"#);
    assert_eq!(from_text("{}", 1007, &field).unwrap().to_string(), "[]");
    assert_eq!(from_text("{1", 1007, &field).unwrap_err().sqlstate, "22P02");
}

#[test]
fn arrays_have_the_dimensions_that_they_are_sent_with() {
    let field = natural(1007);
    let text = from_text("{{1,2,3},{4,NULL,6}}", 1007, &field).unwrap();
    assert_eq!(text.to_string(), "[[1, 2, 3], [4, , 6]]");
    let mut bytes =
        b"\0\0\0\x02\0\0\0\x01\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x03\0\0\0\x01".to_vec();
    for number in [Some(1), Some(2), Some(3), Some(4), None, Some(6)] {
        match number {
            Some(number) => bytes.extend([0, 0, 0, 4, 0, 0, 0, number]),
            None => bytes.extend([0xff; 4]),
        }
    }
    let binary = |bytes: &[u8]| decode(Some(bytes), Format::Binary, 1007, &field, 0, &Zone::utc());
    assert_eq!(binary(&bytes).unwrap(), text);
    // One element too few, and more dimensions than there are.
    assert_eq!(binary(&bytes[..bytes.len() - 8]).unwrap_err().sqlstate, "22P03");
    let deep: &[u8] = b"\0\0\0\x07\0\0\0\0\0\0\0\x17";
    assert_eq!(binary(deep).unwrap_err().sqlstate, "54000");
    // The values of a parameter that is planned as bigints are such.
    let wide = from_text("{{1},{2}}", 1007, &natural(1016)).unwrap();
    let bigints = DataType::new_list(DataType::new_list(DataType::Int64, true), true);
    assert_eq!(wide.data_type(), bigints);
    assert_eq!(from_text("{{1},{2,3}}", 1007, &field).unwrap_err().sqlstate, "22P02");
}

#[test]
fn the_text_of_an_array_is_one_whatever_it_is_declared_as() {
    let field = natural(1007);
    for format in [Format::Text, Format::Binary] {
        let value = decode(Some(b"{1,2}"), format, oid::TEXT, &field, 0, &Zone::utc()).unwrap();
        assert_eq!(value.to_string(), "[1, 2]");
    }
}

#[test]
fn a_uuid_is_the_text_that_columns_hold() {
    let text = "550e8400-e29b-41d4-a716-446655440000";
    let value = ScalarValue::Utf8(Some(text.into()));
    let bytes = text::uuid(text).unwrap();
    let field = Field::new("$1", DataType::Utf8, true);
    let from_binary = decode(Some(&bytes), Format::Binary, oid::UUID, &field, 0, &Zone::utc());
    assert_eq!(from_binary.unwrap(), value);
    for written in
        [text, "{550E8400-E29B-41D4-A716-446655440000}", "550e8400e29b41d4a716446655440000"]
    {
        assert_eq!(from_text(written, oid::UUID, &field).unwrap(), value, "{written}");
    }
    // Whatever it was sent as.
    let logical = [("onefold.type".to_owned(), "uuid".to_owned())];
    let column = field.clone().with_metadata(logical.into());
    let shouted = ScalarValue::Utf8(Some(text.to_uppercase()));
    assert_eq!(cast(shouted, &column).unwrap(), value);
    assert_eq!(
        cast(ScalarValue::Utf8(Some("none".into())), &column).unwrap_err().sqlstate,
        "22P02"
    );

    let list = Field::new("$1", DataType::new_list(DataType::Utf8, true), true);
    assert_eq!(
        from_text(&format!("{{{text},NULL}}"), 2951, &list).unwrap().to_string(),
        format!("[{text}, ]")
    );
    for empty in ["{}", "{NULL}"] {
        assert_eq!(from_text(empty, 2951, &list).unwrap().data_type(), *list.data_type());
    }
}

#[test]
fn refusals_name_the_type_and_never_the_value() {
    for (text, oid, sqlstate) in [
        ("ada@example.com", oid::INT4, "22P02"),
        ("99999999999", oid::INT4, "22003"),
        ("99999999999999999999", oid::INT8, "22003"),
        ("maybe", oid::BOOL, "22P02"),
        ("2024-02-30", oid::DATE, "22008"),
        ("1.2.3", oid::NUMERIC, "22P02"),
        ("NaN", oid::NUMERIC, "0A000"),
        ("nonsense", oid::UUID, "22P02"),
    ] {
        let error = from_text(text, oid, &natural(oid)).unwrap_err();
        assert_eq!(error.sqlstate, sqlstate, "{text}");
        assert!(!format!("{error:?}").contains(text), "{error:?}");
    }
    let field = Field::new("$1", DataType::Int64, true);
    for (bytes, oid, sqlstate) in [
        (&[1, 2][..], oid::INT8, "08P01"),
        (&[0; 9], oid::INT8, "22P03"),
        (&[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff], oid::NUMERIC, "22P03"),
        (&[0, 1, 0, 0, 0, 1, 0, 0, 0, 1], oid::NUMERIC, "22P03"),
        (&[0, 0, 0, 0, 0xc0, 0, 0, 0], oid::NUMERIC, "0A000"),
        (&[0xff; 8], oid::TIME, "22008"),
        (&86_400_000_001_i64.to_be_bytes(), oid::TIME, "22008"),
        (&[0x80, 0, 0, 1], oid::DATE, "22008"),
        (&[0x80, 0, 0, 0, 0, 0, 0, 1], oid::TIMESTAMP, "22008"),
        (&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], oid::TIMESTAMPTZ, "22008"),
    ] {
        let error = decode(Some(bytes), Format::Binary, oid, &field, 0, &Zone::utc()).unwrap_err();
        assert_eq!(error.sqlstate, sqlstate, "{bytes:?}");
    }
    assert_eq!(
        decode(None, Format::Binary, oid::INT8, &field, 0, &Zone::utc()).unwrap(),
        ScalarValue::Int64(None)
    );
    let timestamp = Field::new("$1", DataType::Timestamp(TimeUnit::Microsecond, None), true);
    assert!(
        decode(Some(b"2024-01-01"), Format::Text, oid::UNKNOWN, &timestamp, 0, &Zone::utc())
            .is_ok()
    );
}

#[test]
fn a_number_becomes_a_whole_one_as_in_a_column() {
    let integer = Field::new("", DataType::Int32, true);
    let numeric = |digits, scale| ScalarValue::Decimal128(Some(digits), 5, scale);
    for (value, expected) in [
        (numeric(15, 1), 2),
        (numeric(25, 1), 3),
        (numeric(-15, 1), -2),
        (numeric(14_999, 4), 1),
        (numeric(-4, 1), 0),
        (numeric(99_999, 5), 1),
        (numeric(7, 0), 7),
        (ScalarValue::Float64(Some(2.5)), 2),
        (ScalarValue::Float64(Some(3.5)), 4),
        (ScalarValue::Float32(Some(-2.6)), -3),
        (ScalarValue::Utf8(Some("7".into())), 7),
    ] {
        assert_eq!(
            cast(value.clone(), &integer).unwrap(),
            ScalarValue::Int32(Some(expected)),
            "{value}"
        );
    }
    for beyond in [ScalarValue::Int64(Some(99_999_999_999)), ScalarValue::Float64(Some(1e10))] {
        let refused = cast(beyond, &integer).unwrap_err();
        assert_eq!((refused.sqlstate, &*refused.message), ("22003", "integer out of range"));
    }
}
