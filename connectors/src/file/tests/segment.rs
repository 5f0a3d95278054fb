//! Calls of the Segment specification: their columns, and each way to be wrong.

use std::collections::BTreeMap;

use super::{Shop, counts};
use crate::contract::Format;

fn calls(lines: &[&str]) -> Shop {
    Shop::new(Format::Segment, "in.ndjson").file("in.ndjson", lines.join("\n"))
}

#[test]
fn a_call_becomes_a_row() {
    let read = calls(&[
        r#"{"type":"track","messageId":"m1","userId":42,"anonymousId":"a","event":"Bought","properties":{"x" : 1.50},"context":{"a":[]},"timestamp":"2026-01-01T12:00:00.000Z","sentAt":"2026-01-01T12:00:01Z","receivedAt":"2026-01-01T11:00:01.5Z","channel":"web"}"#,
        r#"{"type":"page","messageId":"m2","userId":"","anonymousId":"a","name":"Home","event":"not this","receivedAt":"2026-01-01T12:00:00+01:00"}"#,
        r#"{"type":"alias","messageId":"m3","userId":"u","previousId":"a","properties":null,"timestamp":"2026-01-01T00:00:00Z"}"#,
        r#"{"type":"group","messageId":"m4","userId":"u","groupId":[1],"traits":{"n":"\u0141"},"originalTimestamp":"2026-01-01T00:00:10Z","timestamp":"2026-01-01T00:00:05Z","sentAt":"2026-01-01T00:00:11Z","receivedAt":"2026-01-01T00:00:06Z"}"#,
    ])
    .read();
    assert_eq!(
        read.rows(),
        [
            "m1|track|Bought|a|42|~|~|{\"x\" : 1.50}|~|{\"a\":[]}|~|2026-01-01T11:00:00.500Z|2026-01-01T12:00:00Z|2026-01-01T12:00:01Z|2026-01-01T11:00:01.500Z",
            "m2|page|Home|a|~|~|~|~|~|~|~|2026-01-01T11:00:00Z|~|~|2026-01-01T11:00:00Z",
            "m3|alias|~|~|u|~|a|~|~|~|~|2026-01-01T00:00:00Z|2026-01-01T00:00:00Z|~|~",
            "m4|group|~|~|u|~|~|~|{\"n\":\"\\u0141\"}|~|~|2026-01-01T00:00:05Z|2026-01-01T00:00:10Z|2026-01-01T00:00:11Z|2026-01-01T00:00:06Z",
        ]
    );
    assert_eq!(read.nulled(), counts([("group_id", 1)]));
}

/// A clock that is wrong is corrected by what it says of a call and of its sending; one that tells two stories is not
/// believed, and nothing happens after it was received.
#[test]
fn no_clock_moves_a_call_into_the_future_or_by_years() {
    let occurred = |times: &str| {
        let call = format!("{{\"type\":\"page\",\"messageId\":\"m\",\"userId\":\"u\",{times}}}");
        let read = calls(&[&call]).read();
        assert_eq!(read.reasons(), []);
        read.rows()[0].split('|').nth(11).unwrap().to_owned()
    };
    let received = "\"receivedAt\":\"2026-01-02T00:00:10Z\"";
    for (times, expected) in [
        // The clock is ten years behind, and the call waited for two seconds.
        (
            "\"timestamp\":\"2016-01-01T00:00:00Z\",\"sentAt\":\"2016-01-01T00:00:02Z\"",
            "2026-01-02T00:00:08Z",
        ),
        (
            "\"timestamp\":\"2026-01-01T00:00:00Z\",\"sentAt\":\"9999-01-01T00:00:00Z\"",
            "2026-01-01T00:00:00Z",
        ),
        (
            "\"timestamp\":\"9999-01-01T00:00:00Z\",\"sentAt\":\"2026-01-02T00:00:09Z\"",
            "2026-01-02T00:00:10Z",
        ),
        ("\"timestamp\":\"2030-01-01T00:00:00Z\"", "2026-01-02T00:00:10Z"),
        (
            "\"timestamp\":\"2030-01-01T00:00:00Z\",\"originalTimestamp\":\"2030-01-01T00:00:00Z\"",
            "2026-01-02T00:00:10Z",
        ),
    ] {
        assert_eq!(occurred(&format!("{times},{received}")), expected, "{times}");
    }
    assert_eq!(occurred("\"timestamp\":\"2030-01-01T00:00:00Z\""), "2030-01-01T00:00:00Z");
}

#[test]
fn each_way_to_be_wrong_has_its_reason() {
    let call = |rest: &str| {
        format!("{{\"messageId\":\"m\",\"timestamp\":\"2026-01-01T00:00:00Z\"{rest}}}")
    };
    let event = ",\"userId\":\"u\",\"type\":\"track\",\"event\":\"e\"";
    let deep = format!("{event},\"properties\":{{\"a\":{}{}}}", "[".repeat(31), "]".repeat(31));
    let large = format!("{event},\"properties\":{{\"a\":\"{}\"}}", "x".repeat(32 << 10));
    let cases = [
        ("<html>".to_owned(), "bad_json_garbage"),
        ("{\"type\":\"tra".to_owned(), "bad_json_truncated"),
        ("[1]".to_owned(), "not_an_object"),
        (call(",\"userId\":\"u\""), "missing_type"),
        (call(",\"userId\":\"u\",\"type\":\"\""), "missing_type"),
        (call(",\"userId\":\"u\",\"type\":\"trak\""), "unknown_type"),
        (call(",\"userId\":\"u\",\"type\":1"), "unknown_type"),
        ("{\"type\":\"page\",\"userId\":\"u\"}".to_owned(), "missing_message_id"),
        ("{\"type\":\"page\",\"userId\":\"u\",\"messageId\":7}".to_owned(), "missing_message_id"),
        (call(",\"type\":\"page\""), "missing_identity"),
        (call(",\"type\":\"page\",\"userId\":\"\",\"anonymousId\":null"), "missing_identity"),
        (call(",\"type\":\"page\",\"userId\":true,\"anonymousId\":\"a\""), "user_id_wrong_type"),
        (call(",\"type\":\"page\",\"userId\":\"u\",\"anonymousId\":{}"), "user_id_wrong_type"),
        (call(",\"type\":\"track\",\"userId\":\"u\",\"name\":\"x\""), "track_without_event"),
        (call(&format!("{event},\"properties\":[1]")), "properties_not_object"),
        (call(&format!("{event},\"traits\":\"x\"")), "properties_not_object"),
        (call(&format!("{event},\"context\":7")), "properties_not_object"),
        (call(&format!("{event},\"sentAt\":\"yesterday\"")), "bad_timestamp"),
        (call(&format!("{event},\"sentAt\":{{\"ms\":1}}")), "bad_timestamp"),
        (call(&format!("{event},\"sentAt\":\"2026-01-01T00:00:00\"")), "bad_timestamp"),
        (format!("{{\"messageId\":\"m\"{event}}}"), "bad_timestamp"),
        (call(&deep), "too_deep"),
        (call(&large), "too_large"),
    ];
    let lines: Vec<_> = cases.iter().map(|(line, _)| line.as_str()).chain([""]).collect();
    let read = calls(&lines).read();
    let expected: Vec<_> =
        cases.iter().zip(1..).map(|((_, reason), line)| (line, *reason)).collect();
    assert_eq!(read.reasons(), expected);
    assert_eq!(read.records.num_rows(), 0);
    for row in read.rejected() {
        assert!(row.hint.ends_with('.') && row.raw.len() <= 4096);
    }
}

#[test]
fn columns_cannot_be_declared() {
    let shop = calls(&[]).column("type", arrow::datatypes::DataType::Utf8);
    assert!(shop.refusal().contains("have their own"));
}

#[test]
fn the_longest_call_and_depth_are_taken() {
    let line = |text: usize, depth: usize| {
        format!(
            "{{\"type\":\"page\",\"messageId\":\"m\",\"userId\":\"u\",\"timestamp\":\"2026-01-01T00:00:00Z\",\
             \"properties\":{{\"a\":\"{}\",\"b\":{}{}}}}}",
            "x".repeat(text),
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let rest = (32 << 10) - line(0, 30).len();
    let read = calls(&[&line(rest, 30), &line(rest + 1, 30), &line(0, 31)]).read();
    assert_eq!(read.positions(), [1]);
    let reasons: BTreeMap<_, _> = read.reasons().into_iter().collect();
    assert_eq!(reasons, BTreeMap::from([(2, "too_large"), (3, "too_deep")]));
}
