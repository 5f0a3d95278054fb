//! What is read of a text.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;

fn shown(text: &str, pg_type: &str, zone: &str) -> String {
    let zone = Zone::parse(zone).unwrap();
    match read(text, pg_type, &zone).unwrap() {
        Ok(value) => {
            let array: ArrayRef = value.to_array().unwrap();
            let options = FormatOptions::default();
            ArrayFormatter::try_new(&array, &options).unwrap().value(0).to_string()
        }
        Err(refusal) => refusal.sqlstate().to_owned(),
    }
}

#[test]
fn moments_are_read_in_the_forms_of_postgresql() {
    for (text, pg_type, expected) in [
        ("2026-01-31", "date", "2026-01-31"),
        ("2026-1-5", "date", "2026-01-05"),
        ("20260131", "date", "2026-01-31"),
        ("1/31/2026", "date", "2026-01-31"),
        ("1/31/26", "date", "2026-01-31"),
        ("1/31/70", "date", "1970-01-31"),
        ("31/1/2026", "date", "22008"),
        ("1/31", "date", "22007"),
        ("2000-02-29", "date", "2000-02-29"),
        ("1900-02-29", "date", "22008"),
        ("2026-13-01", "date", "22008"),
        ("0000-01-01", "date", "22008"),
        ("Jan 15, 2024", "date", "2024-01-15"),
        ("January 15, 2024", "date", "2024-01-15"),
        ("15 Jan 2024", "date", "2024-01-15"),
        ("15-Jan-2024", "date", "2024-01-15"),
        ("2024-Jan-15", "date", "2024-01-15"),
        ("Mon Jan 15, 2024", "date", "2024-01-15"),
        ("15-Feb-30", "date", "2030-02-15"),
        ("Feb 30, 2024", "date", "22008"),
        ("Jan 2024", "date", "22007"),
        ("2024.01.15", "date", "2024-01-15"),
        ("today x", "date", "22007"),
        ("+infinity", "date", "22007"),
        ("0001-01-01 BC", "date", "0000-01-01"),
        ("2026-10-31 12:00", "date", "2026-10-31"),
        ("12:34", "time", "12:34:00"),
        ("12:34:56.7899999", "time", "12:34:56.790"),
        ("12:30 am", "time", "00:30:00"),
        ("25:00:00", "time", "22008"),
        ("1 pm", "time", "22007"),
        ("2026-10-31 21:15", "timestamp", "2026-10-31T21:15:00"),
        ("2026-10-31T21:15:08.5Z", "timestamp", "2026-10-31T21:15:08.500"),
        ("2026-10-31 24:00:00", "timestamp", "2026-11-01T00:00:00"),
        ("2026-10-31 21:15:08+02", "timestamptz", "2026-10-31T19:15:08Z"),
        ("2026-10-31+02", "timestamptz", "2026-10-30T22:00:00Z"),
        ("2026-10-31 -05", "timestamptz", "2026-10-31T05:00:00Z"),
        ("2026-10-31-05", "timestamptz", "22007"),
        ("2026-10-31 21:15:08 Europe/Warsaw", "timestamptz", "2026-10-31T20:15:08Z"),
        ("2026-10-31 21:15:08 europe/warsaw", "timestamptz", "2026-10-31T20:15:08Z"),
        ("2026-10-31 21:15:08 EST", "timestamptz", "2026-11-01T02:15:08Z"),
        ("Jan 15, 2024 10:30 pm PST", "timestamptz", "2024-01-16T06:30:00Z"),
        ("2026-10-31 21:15:08 Asia/Baghdad", "timestamptz", "2026-10-31T18:15:08Z"),
        ("2026-10-31 21:15:08 nowhere", "timestamptz", "22007"),
        ("2026-10-31 21:15:08+1é2", "timestamptz", "22007"),
        ("2026-10-31 21:15:08+25", "timestamptz", "22009"),
        ("1969-12-31 23:59:59.999999+00", "timestamptz", "1969-12-31T23:59:59.999999Z"),
    ] {
        assert_eq!(shown(text, pg_type, "UTC"), expected, "{text}");
    }
    // A text without a zone is of the session's.
    for (text, expected) in [
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),
        ("2026-10-25 02:30:00", "2026-10-25T01:30:00Z"),
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("epoch", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(shown(text, "timestamptz", "Europe/Warsaw"), expected, "{text}");
    }
}

#[test]
fn moments_may_have_no_end() {
    let read = |text: &str, pg_type: &str| read(text, pg_type, &Zone::utc()).unwrap().unwrap();
    assert_eq!(read(" Infinity", "date"), ScalarValue::Date32(Some(i32::MAX)));
    assert_eq!(read("-infinity", "date"), ScalarValue::Date32(Some(i32::MIN)));
    let first = ScalarValue::TimestampMicrosecond(Some(i64::MIN), None);
    assert_eq!(read("-INFINITY", "timestamp"), first);
    let last = ScalarValue::TimestampMicrosecond(Some(i64::MAX), Some(UTC.into()));
    assert_eq!(read("infinity", "timestamptz"), last);
}

#[test]
fn numbers_that_do_not_fit_are_told_from_texts_that_are_none() {
    for (text, pg_type, expected) in [
        ("32767", "int2", "32767"),
        ("32768", "int2", "22003"),
        ("9223372036854775808", "int8", "22003"),
        ("x", "int4", "22P02"),
        ("1e309", "float8", "22003"),
        ("1e-400", "float8", "22003"),
        ("0e5", "float8", "0.0"),
        ("-inf", "float8", "-inf"),
        ("1.10", "numeric", "1.10"),
        ("1e3", "numeric", "1000"),
        ("1e-7", "numeric", "0.0000001"),
        ("0e99", "numeric", "0"),
        (
            "0.12345678901234567890123456789012345678",
            "numeric",
            "0.12345678901234567890123456789012345678",
        ),
        ("100000000000000000000000000000000000000", "numeric", "22003"),
        ("1e40", "numeric", "22003"),
        ("NaN", "numeric", "0A000"),
        ("\\xDEad", "bytea", "dead"),
        ("a\\\\b\\001", "bytea", "615c6201"),
        ("\\x0", "bytea", "22023"),
        ("{7C0E3E0E-6F0A-4B1E-8A53-0A5E5F1F2A3B}", "uuid", "7c0e3e0e-6f0a-4b1e-8a53-0a5e5f1f2a3b"),
        ("7c0e3e0e6f0a4b1e8a530a5e5f1f2a3b", "uuid", "7c0e3e0e-6f0a-4b1e-8a53-0a5e5f1f2a3b"),
        ("7c0e-3e0e-6f0a-4b1e-8a53-0a5e-5f1f-2a3b", "uuid", "7c0e3e0e-6f0a-4b1e-8a53-0a5e5f1f2a3b"),
        ("x", "uuid", "22P02"),
        ("7c-0e3e0e6f0a4b1e8a530a5e5f1f2a3b", "uuid", "22P02"),
        ("7c0e3e0e-6f0a-4b1e-8a53-0a5e5f1f2a3b-", "uuid", "22P02"),
        ("{7c0e3e0e-6f0a-4b1e-8a53-0a5e5f1f2a3b", "uuid", "22P02"),
        (" 7c0e3e0e-6f0a-4b1e-8a53-0a5e5f1f2a3b", "uuid", "22P02"),
    ] {
        assert_eq!(shown(text, pg_type, "UTC"), expected, "{text}");
    }
}

#[test]
fn intervals_are_read_as_they_are_written() {
    let span = |months, days, micros| Some(Span { months, days, micros });
    for (text, expected) in [
        ("1 year 2 mons -3 days +04:05:06.7", span(14, -3, 14_706_700_000)),
        ("-00:00:01", span(0, 0, -1_000_000)),
        ("2 decades", span(240, 0, 0)),
        ("0.1 years", span(1, 0, 0)),
        ("1.5 months", span(1, 15, 0)),
        ("1 century", span(1_200, 0, 0)),
        ("-1-2", span(-14, 0, 0)),
        ("3 4:05:06", span(0, 3, 14_706_000_000)),
        ("P1Y2M3DT4H5M6S", span(14, 3, 14_706_000_000)),
        ("1 day ago", span(0, -1, 0)),
        ("1 month - 1 day", span(1, -1, 0)),
        ("- 2 days + 3:00", span(0, -2, 10_800_000_000)),
        ("1 day -", None),
        ("x", None),
    ] {
        assert_eq!(Span::parse(text), expected, "{text}");
    }
}
