//! Values as PostgreSQL 15 writes them, both ways. The expectations were taken from its own output.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;

use super::*;
use crate::wire::types::LOGICAL_TYPE_KEY;

fn written(
    array: &ArrayRef,
    logical: Option<&str>,
    format: Format,
    zone: &Zone,
) -> Vec<Option<Vec<u8>>> {
    let mut field = Field::new("c", array.data_type().clone(), true);
    if let Some(word) = logical {
        field =
            field.with_metadata(HashMap::from([(LOGICAL_TYPE_KEY.to_owned(), word.to_owned())]));
    }
    let encoder = RowEncoder::new(&Schema::new(vec![field]), &[format], zone.clone());
    let batch = RecordBatch::try_from_iter([("c", array.clone())]).unwrap();
    let arrays = encoder.unpack(&batch);
    let columns = encoder.columns(&arrays);
    (0..array.len())
        .map(|row| {
            let (mut body, mut sized) = (Vec::new(), Vec::new());
            let is_some = columns[0].write_unless_null(row, &mut body);
            columns[0].write_sized(row, &mut sized);
            let length = if is_some { i32::try_from(body.len()).unwrap() } else { NULL_LENGTH };
            assert_eq!(sized, [&length.to_be_bytes()[..], &body[..]].concat());
            is_some.then_some(body)
        })
        .collect()
}

#[track_caller]
fn check_as(array: impl Array + 'static, logical: Option<&str>, zone: &Zone, expected: &[&str]) {
    let array: ArrayRef = Arc::new(array);
    let texts: Vec<String> = written(&array, logical, Format::Text, zone)
        .into_iter()
        .map(|text| text.map_or("null".to_owned(), |text| String::from_utf8(text).unwrap()))
        .collect();
    assert_eq!(texts, expected);
}

#[track_caller]
fn check(array: impl Array + 'static, expected: &[&str]) {
    check_as(array, None, &Zone::utc(), expected);
}

#[track_caller]
fn check_binary(array: impl Array + 'static, logical: Option<&str>, expected: &[&str]) {
    let array: ArrayRef = Arc::new(array);
    let texts: Vec<String> = written(&array, logical, Format::Binary, &Zone::utc())
        .into_iter()
        .map(|bytes| bytes.map_or("null".to_owned(), hex::encode))
        .collect();
    assert_eq!(texts, expected);
}

#[test]
fn integers_and_booleans() {
    check(
        Int64Array::from(vec![Some(i64::MIN), Some(0), None]),
        &["-9223372036854775808", "0", "null"],
    );
    check(UInt64Array::from(vec![u64::MAX]), &["18446744073709551615"]);
    check(BooleanArray::from(vec![Some(true), Some(false), None]), &["t", "f", "null"]);
    check_binary(Int8Array::from(vec![-1]), None, &["ffff"]);
    check_binary(UInt16Array::from(vec![65535]), None, &["0000ffff"]);
    check_binary(UInt32Array::from(vec![u32::MAX]), None, &["00000000ffffffff"]);
    check_binary(UInt64Array::from(vec![10_000]), None, &["00010001000000000001"]);
    check_binary(Int64Array::from(vec![4_000_000_000i64]), Some("oid"), &["ee6b2800"]);
    check_binary(BooleanArray::from(vec![true]), None, &["01"]);
    check(NullArray::new(2), &["null", "null"]);
}

#[test]
fn doubles_are_shortest() {
    let values = [
        0.0,
        -0.0,
        1.0,
        0.1,
        1e15,
        1e14,
        123_456_789_012_345_680.0,
        1e-4,
        1e-5,
        1.5e300,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
        123_456.789,
        999_999_999_999_999.0,
        1e16,
        0.000_123_45,
        -2.5e-7,
        100.0,
    ];
    check(
        Float64Array::from(values.to_vec()),
        &[
            "0",
            "-0",
            "1",
            "0.1",
            "1e+15",
            "100000000000000",
            "1.2345678901234568e+17",
            "0.0001",
            "1e-05",
            "1.5e+300",
            "NaN",
            "Infinity",
            "-Infinity",
            "5e-324",
            "123456.789",
            "999999999999999",
            "1e+16",
            "0.00012345",
            "-2.5e-07",
            "100",
        ],
    );
    check(
        Float32Array::from(vec![
            0.0,
            1e6,
            1e5,
            123_456.0,
            1_234_567.0,
            1e-4,
            1e-5,
            0.1,
            3.4e38,
            999_999.0,
        ]),
        &[
            "0",
            "1e+06",
            "100000",
            "123456",
            "1.234567e+06",
            "0.0001",
            "1e-05",
            "0.1",
            "3.4e+38",
            "999999",
        ],
    );
    check_binary(Float64Array::from(vec![1.5]), None, &["3ff8000000000000"]);
}

fn decimals(values: &[i128], precision: u8, scale: i8) -> Decimal128Array {
    Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap()
}

#[test]
fn decimals_of_every_scale() {
    check(decimals(&[0, 1, -1, 12345, -5], 18, 2), &["0.00", "0.01", "-0.01", "123.45", "-0.05"]);
    check(decimals(&[0, 12], 18, -3), &["0", "12000"]);
    check(decimals(&[i128::from(i64::MAX)], 38, 0), &["9223372036854775807"]);
    let cases: [(i128, i8, &str); 9] = [
        (0, 2, "0000000000000002"),
        (12_345_678, 3, "0003000100000003000109291a7c"),
        (-1, 4, "0001ffff400000040001"),
        (10_000, 0, "00010001000000000001"),
        (12_345_678, 8, "0002ffff0000000804d2162e"),
        (1_000_000_005, 1, "00040002000000010001000000001388"),
        (-12_340, 2, "0002000040000002007b0fa0"),
        (1, 10, "0001fffd0000000a0064"),
        (0, 4, "0000000000000004"),
    ];
    for (value, scale, expected) in cases {
        check_binary(decimals(&[value], 20, scale), None, &[expected]);
        let wide = Decimal256Array::from(vec![i256::from_i128(value)])
            .with_precision_and_scale(40, scale)
            .unwrap();
        check_binary(wide, None, &[expected]);
    }
    check_binary(decimals(&[12], 10, -3), None, &["0002000100000000000107d0"]);
    let nines = "9".repeat(76);
    let wide = Decimal256Array::from(vec![i256::from_string(&nines).unwrap()])
        .with_precision_and_scale(76, 0)
        .unwrap();
    check(wide, &[nines.as_str()]);
    check(Decimal64Array::from(vec![-105]).with_precision_and_scale(10, 1).unwrap(), &["-10.5"]);
    check(Decimal32Array::from(vec![7]).with_precision_and_scale(5, 3).unwrap(), &["0.007"]);
}

#[test]
fn strings_bytes_and_uuids() {
    check(StringArray::from(vec![Some("żółw"), Some(""), None]), &["żółw", "", "null"]);
    check(
        StringViewArray::from(vec!["a string that is longer than a view holds inside"]),
        &["a string that is longer than a view holds inside"],
    );
    check(LargeStringArray::from(vec!["x"]), &["x"]);
    check(BinaryArray::from(vec![&b"\xde\xad\xbe\xef"[..], b""]), &["\\xdeadbeef", "\\x"]);
    check_binary(BinaryArray::from(vec![&b"\xde\xad"[..]]), None, &["dead"]);
    let uuid = hex::decode("550e8400e29b41d4a716446655440000").unwrap();
    let text = "550e8400-e29b-41d4-a716-446655440000";
    let fixed = FixedSizeBinaryArray::try_from_iter([uuid.clone()].into_iter()).unwrap();
    check_as(fixed.clone(), Some("uuid"), &Zone::utc(), &[text]);
    check_binary(fixed, Some("uuid"), &["550e8400e29b41d4a716446655440000"]);
    check_as(BinaryArray::from(vec![uuid.as_slice()]), Some("uuid"), &Zone::utc(), &[text]);
    check_binary(
        StringArray::from(vec![text]),
        Some("uuid"),
        &["550e8400e29b41d4a716446655440000"],
    );
    check_binary(StringArray::from(vec![r#"{"a": 1}"#]), Some("jsonb"), &["017b2261223a20317d"]);
    check_binary(StringArray::from(vec!["{}"]), Some("json"), &["7b7d"]);
}

#[test]
fn characters_are_filled_up_with_blanks() {
    let texts =
        || StringViewArray::from(vec![Some("ab"), Some("żó"), Some(""), Some("abcd"), None]);
    let shown = ["ab ", "żó ", "   ", "abcd", "null"];
    check_as(texts(), Some("bpchar(3)"), &Zone::utc(), &shown);
    check_as(texts(), Some("bpchar"), &Zone::utc(), &["ab", "żó", "", "abcd", "null"]);
    check_binary(StringArray::from(vec!["a"]), Some("bpchar(2)"), &["6120"]);
    check_as(Int32Array::from(vec![7]), Some("bpchar(3)"), &Zone::utc(), &["7"]);
}

#[test]
fn encodings_of_columns_make_no_difference() {
    let dictionary: DictionaryArray<Int32Type> =
        vec![Some("a"), None, Some("b"), Some("a")].into_iter().collect();
    check(dictionary, &["a", "null", "b", "a"]);
    let runs =
        RunArray::try_new(&Int32Array::from(vec![2, 3]), &StringArray::from(vec![Some("x"), None]))
            .unwrap();
    check(runs, &["x", "x", "null"]);
}

#[test]
fn dates_and_times() {
    check(
        Date32Array::from(vec![0, 19_782, 2_932_897, -735_160, -1]),
        &["1970-01-01", "2024-02-29", "10000-01-01", "0044-03-15 BC", "1969-12-31"],
    );
    check(Date64Array::from(vec![86_400_000]), &["1970-01-02"]);
    check_binary(Date32Array::from(vec![10_958]), None, &["00000001"]);
    check(
        Time64MicrosecondArray::from(vec![14_706_700_000, 86_400_000_000, 0]),
        &["04:05:06.7", "24:00:00", "00:00:00"],
    );
    check(Time32SecondArray::from(vec![1]), &["00:00:01"]);
    check(Time64NanosecondArray::from(vec![1_999]), &["00:00:00.000001"]);
    check_binary(Time32MillisecondArray::from(vec![1_000]), None, &["00000000000f4240"]);
    check_as(Int64Array::from(vec![14_706_700_000]), Some("time"), &Zone::utc(), &["04:05:06.7"]);
}

#[test]
fn timestamps_in_every_unit_and_zone() {
    let moment = 1_709_251_199_123_400;
    check(
        TimestampMicrosecondArray::from(vec![
            moment,
            -62_167_219_200_000_000 - 86_400_000_000,
            i64::MAX,
            i64::MIN,
        ]),
        &["2024-02-29 23:59:59.1234", "0002-12-31 00:00:00 BC", "infinity", "-infinity"],
    );
    check(TimestampSecondArray::from(vec![-1]), &["1969-12-31 23:59:59"]);
    check(
        TimestampNanosecondArray::from(vec![1_999, -1]),
        &["1970-01-01 00:00:00.000001", "1969-12-31 23:59:59.999999"],
    );
    check_as(
        Int64Array::from(vec![moment]),
        Some("timestamp"),
        &Zone::utc(),
        &["2024-02-29 23:59:59.1234"],
    );
    check_binary(
        TimestampMillisecondArray::from(vec![946_684_801_000]).with_timezone("UTC"),
        None,
        &["00000000000f4240"],
    );

    let summer =
        || TimestampMicrosecondArray::from(vec![1_719_792_000_000_000]).with_timezone("UTC");
    for (zone, expected) in [
        ("UTC", "2024-07-01 00:00:00+00"),
        ("Europe/Warsaw", "2024-07-01 02:00:00+02"),
        ("+05:30", "2024-06-30 18:30:00-05:30"),
        ("UTC+2", "2024-06-30 22:00:00-02"),
        ("2", "2024-07-01 02:00:00+02"),
        ("America/St_Johns", "2024-06-30 21:30:00-02:30"),
    ] {
        check_as(summer(), None, &Zone::parse(zone).unwrap(), &[expected]);
    }
    let old = TimestampSecondArray::from(vec![-2_208_988_800]).with_timezone("UTC");
    check_as(old, None, &Zone::parse("Europe/Warsaw").unwrap(), &["1900-01-01 01:24:00+01:24"]);
    assert!(Zone::parse("Mars/Olympus").is_none());
}

#[test]
fn intervals_in_the_style_of_postgres() {
    let interval =
        |months, days, micros: i64| IntervalMonthDayNano::new(months, days, micros * 1000);
    check(
        IntervalMonthDayNanoArray::from(vec![
            interval(14, 3, 14_706_789_000),
            interval(-12, 2, -14_706_000_000),
            interval(0, 0, 0),
            interval(0, -3, 14_400_000_000),
            interval(1, -1, 0),
            interval(0, 0, 360_000_000_000),
            interval(0, 0, -500_000),
            interval(-14, 0, 0),
        ]),
        &[
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 years +2 days -04:05:06",
            "00:00:00",
            "-3 days +04:00:00",
            "1 mon -1 days",
            "100:00:00",
            "-00:00:00.5",
            "-1 years -2 mons",
        ],
    );
    check_binary(
        IntervalMonthDayNanoArray::from(vec![interval(14, 3, 14_706_789_000)]),
        None,
        &["000000036c97ca88000000030000000e"],
    );
    check(IntervalYearMonthArray::from(vec![13]), &["1 year 1 mon"]);
    check(IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 1_500)]), &["1 day 00:00:01.5"]);
    check(DurationSecondArray::from(vec![90_061]), &["1 day 01:01:01"]);
    check_as(
        StringArray::from(vec![
            "P1Y2M3DT4H5M6.789S",
            "1 year 2 mons",
            "-3 days +04:00",
            "2 weeks ago",
        ]),
        Some("interval"),
        &Zone::utc(),
        &["1 year 2 mons 3 days 04:05:06.789", "1 year 2 mons", "-3 days +04:00:00", "-14 days"],
    );
    check_binary(
        StringArray::from(vec!["1 mon 2 days"]),
        Some("interval"),
        &["00000000000000000000000200000001"],
    );
}

#[test]
fn arrays_quote_what_they_must() {
    let ints = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), Some(2), None]),
        Some(vec![]),
        None,
    ]);
    check(ints.clone(), &["{1,2,NULL}", "{}", "null"]);
    check_binary(
        ints.clone(),
        None,
        &[
            "000000010000000100000017000000030000000100000004000000010000000400000002ffffffff",
            "000000000000000000000017",
            "null",
        ],
    );
    check(ints.slice(0, 1), &["{1,2,NULL}"]);
    let words = [
        Some("a"),
        Some(""),
        Some("NULL"),
        Some("a b"),
        Some("x\"y"),
        Some("b\\c"),
        Some("{"),
        Some("a,b"),
        None,
        Some("é"),
    ];
    let mut builder = ListBuilder::new(StringBuilder::new());
    builder.append_value(words);
    check(builder.finish(), &[r#"{a,"","NULL","a b","x\"y","b\\c","{","a,b",NULL,é}"#]);
    let vector = ListArray::from_iter_primitive::<Int16Type, _, _>(vec![Some(vec![
        Some(1),
        Some(2),
        Some(3),
    ])]);
    check_as(vector.clone(), Some("int2vector"), &Zone::utc(), &["1 2 3"]);
    check_binary(
        vector,
        Some("int2vector"),
        &["0000000100000000000000150000000300000000000000020001000000020002000000020003"],
    );
    let oids =
        ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), Some(2)])]);
    check_binary(
        oids,
        Some("oidvector"),
        &["00000001000000000000001a000000020000000000000004000000010000000400000002"],
    );
}

#[test]
fn objects_have_a_name_as_text_and_a_number_in_binary() {
    let field = |name, data_type| Arc::new(Field::new(name, data_type, true));
    let oids = Arc::new(Int64Array::from(vec![Some(16), None])) as ArrayRef;
    let names = Arc::new(StringArray::from(vec![Some("v"), None])) as ArrayRef;
    let oids = (field("oid", DataType::Int64), oids);
    let objects = StructArray::from(vec![oids, (field("name", DataType::Utf8), names)]);
    check_as(objects.clone(), Some("regclass"), &Zone::utc(), &["v", "null"]);
    check_binary(objects, Some("regclass"), &["00000010", "null"]);
}

#[test]
fn elements_have_the_type_that_their_array_names() {
    let mut names = ListBuilder::new(StringBuilder::new());
    names.append_value([Some("a")]);
    let expected = "00000001000000000000001300000001000000010000000161";
    check_binary(names.finish(), Some("_name"), &[expected]);
}

fn record() -> StructArray {
    StructArray::from(vec![
        (
            Arc::new(Field::new("id", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![1])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("name", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["a"])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("note", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef,
        ),
    ])
}

#[test]
fn records_quote_what_they_must() {
    check(record(), &["(1,a,)"]);
    check_binary(
        record(),
        None,
        &["0000000300000017000000040000000100000019000000016100000019ffffffff"],
    );
    let quoted = ["a b", "x\"y", "b\\c", "", "a,b", "("].map(|text| {
        (
            Arc::new(Field::new("f", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![text])) as ArrayRef,
        )
    });
    check(StructArray::from(quoted.to_vec()), &[r#"("a b","x""y","b\\c","","a,b","(")"#]);
}

#[test]
fn maps_are_jsonb() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("bb");
    map.values().append_value(1);
    map.keys().append_value("a\"");
    map.values().append_null();
    map.keys().append_value("c");
    map.values().append_value(3);
    map.append(true).unwrap();
    check(map.finish(), &[r#"{"c": 3, "a\"": null, "bb": 1}"#]);
}

#[test]
fn rows_are_framed_and_stop_at_their_bounds() {
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(Int32Array::from(vec![Some(7), None, Some(9)])) as ArrayRef),
        ("s", Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef),
    ])
    .unwrap();
    let encoder = RowEncoder::new(&batch.schema(), &[], Zone::utc());
    let mut out = Vec::new();
    assert_eq!(encoder.sized_rows(b'D', &batch, 0, 2, usize::MAX, &mut out), 2);
    assert_eq!(
        out,
        b"D\0\0\0\x10\0\x02\0\0\0\x017\0\0\0\x01aD\0\0\0\x0f\0\x02\xff\xff\xff\xff\0\0\0\x01b"
    );
    out.clear();
    assert_eq!(
        encoder.sized_rows(b'D', &batch, 1, usize::MAX, 1, &mut out),
        1,
        "one row fills the buffer"
    );
}
