//! NDJSON: columns of objects, bad lines, and logs that grow while they are read.

use arrow::datatypes::DataType;
use proptest::prelude::*;

use super::{Shop, counts};
use crate::contract::Format;
use crate::{LOGICAL_TYPE_JSON, LOGICAL_TYPE_KEY};

fn ndjson(content: impl AsRef<[u8]>) -> Shop {
    Shop::new(Format::Ndjson, "in.ndjson").file("in.ndjson", content)
}

#[test]
fn fields_become_columns_and_nested_values_stay_as_written() {
    let mut shop = ndjson(
        "{\"id\":1,\"amount\":12.30,\"at\":\"2026-01-01T00:00:00Z\",\"o\":{\"a\" : 1.50},\"l\":[ 1 ]}\n\
         \n\
         {\"l\":null,\"id\":2,\"vip\":true,\"name\":\"\\u0141 \\\"x\\\"\",\"code\":\"12\"}\n",
    );
    let read = shop.read();
    assert_eq!(
        read.types().join(" "),
        "id:Int64 amount:Decimal128(38, 2) at:Timestamp(µs, \"UTC\") o:Utf8 l:Utf8 vip:Boolean name:Utf8 code:Utf8"
    );
    for name in ["o", "l"] {
        let field = read.schema.field_with_name(name).unwrap();
        assert_eq!(field.metadata()[LOGICAL_TYPE_KEY], LOGICAL_TYPE_JSON);
    }
    assert_eq!(
        read.rows(),
        ["1|12.30|2026-01-01T00:00:00Z|{\"a\" : 1.50}|[ 1 ]|~|~|~", "2|~|~|~|~|true|Ł \"x\"|12"]
    );
    assert_eq!(read.positions(), [1, 3]);
}

#[test]
fn bad_lines_are_rejected() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
    let mut content =
        b"{\"a\":1}\nnull\n{\"a\":\n<html>\n{\"a\":1,\"a\":2}\n{\"a\":\"\xff\"}\n".to_vec();
    content.extend_from_slice(deep.as_bytes());
    content.extend_from_slice(b"\n{\"a\":2}");
    let read = ndjson(content).read();
    assert_eq!(
        read.reasons(),
        [
            (2, "not_an_object"),
            (3, "bad_json_truncated"),
            (4, "bad_json_garbage"),
            (5, "bad_json_garbage"),
            (6, "bad_json_garbage"),
            (7, "too_deep"),
        ]
    );
    assert_eq!(read.positions(), [1, 8]);
}

#[test]
fn columns_keep_their_type_and_mixed_ones_are_text() {
    let mut shop =
        ndjson("{\"n\":1,\"m\":1}\n{\"n\":2,\"m\":\"x\"}\n{\"m\":{\"k\":true}}\n{\"m\":\"\"}\n");
    let read = shop.read();
    assert_eq!(read.types(), ["n:Int64", "m:Utf8"]);
    assert_eq!(read.rows(), ["1|1", "2|x", "~|{\"k\":true}", "~|"]);
    shop.append("in.ndjson", "{\"n\":\"many\",\"new\":1.5}\n");
    let read = shop.read();
    assert_eq!(read.types(), ["n:Int64", "m:Utf8", "new:Decimal128(38, 1)"]);
    assert_eq!(read.rows(), ["~|~|1.5"]);
    assert_eq!(read.nulled(), counts([("n", 1)]));
}

#[test]
fn names_behind_the_sample_are_counted() {
    let mut content = "{\"a\":1}\n".repeat(10_000);
    content += "{\"a\":2,\"late\":1}\n";
    let read = ndjson(&content).read();
    assert_eq!(read.records.num_rows(), 10_001);
    assert_eq!(read.ignored(), counts([("late", 1)]));
    let read = ndjson(&content).column("a", DataType::Utf8).read();
    assert!(read.ignored().is_empty());
}

#[test]
fn null_texts_are_null() {
    let read =
        ndjson("{\"a\":\"n/a\",\"b\":\"-\"}\n{\"a\":\"2026-01-01\"}\n").nulls(&["n/a", "-"]).read();
    assert_eq!(read.types(), ["a:Date32", "b:Utf8"]);
    assert_eq!(read.rows(), ["~|~", "2026-01-01|~"]);
}

#[test]
fn a_line_may_be_too_long() {
    let huge = "x".repeat(super::super::ROW_BYTES_MAX + 10);
    let read = ndjson(format!("{{\"a\":1}}\n{{\"b\":\"{huge}\"}}\n{{\"a\":2}}\n")).read();
    assert_eq!(read.rows(), ["1", "2"]);
    assert_eq!(read.reasons(), [(2, "too_large")]);
    assert_eq!(read.positions(), [1, 3]);
}

#[test]
fn objects_whose_keys_are_data_are_refused() {
    let keys: Vec<_> = (0..3000).map(|key| format!("\"k{key}\":1")).collect();
    let refusal = ndjson(format!("{{{}}}\n", keys.join(","))).refusal();
    assert!(refusal.contains("Declare those that are wanted"), "{refusal}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a log is appended to, and whenever it is read in between, each row arrives once.
    #[test]
    fn appended_pieces_are_read_as_one_file(
        names in prop::collection::vec("[a-zż\"\\\\\n]{0,8}", 1..30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ends_with_line in any::<bool>(),
    ) {
        let lines = names.iter().enumerate().map(|(id, name)| {
            serde_json::json!({"id": id, "name": name, "o": {"n": name}}).to_string()
        });
        let mut content = lines.collect::<Vec<_>>().join("\n");
        if ends_with_line {
            content.push('\n');
        }
        let whole = ndjson(&content).read();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(content.len())).collect();
        cuts.extend([0, content.len()]);
        cuts.sort_unstable();
        let mut shop = ndjson("").batch_rows(4);
        for name in ["id", "name", "o"] {
            shop = shop.column(name, DataType::Utf8);
        }
        let (mut rows, mut positions) = (Vec::new(), Vec::new());
        for piece in cuts.windows(2) {
            shop.append("in.ndjson", &content.as_bytes()[piece[0]..piece[1]]);
            let read = shop.read();
            prop_assert!(read.rejected().is_empty());
            rows.extend(read.rows());
            positions.extend(read.positions());
        }
        prop_assert_eq!(rows, whole.rows());
        prop_assert_eq!(positions, whole.positions());
    }
}
