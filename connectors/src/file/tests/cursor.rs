//! Cursors: what is read again, what is not, and that nothing is lost in between.

use std::fs;

use super::{Shop, rows};
use crate::contract::{Cursor, Format};
use crate::open_source;

const NONE: [&str; 0] = [];

#[test]
fn nothing_new_is_no_work() {
    for (format, name, content) in [
        (Format::Csv, "in.csv", "a,b\n1,x\n"),
        (Format::Csv, "in.csv.gz", "a,b\n1,x\n"),
        (Format::Ndjson, "in.ndjson", "{\"a\":1}\n"),
        (Format::Ndjson, "in.ndjson", ""),
    ] {
        let mut shop = Shop::new(format, name).file(name, content);
        assert_eq!(shop.read().batches.len(), 1);
        let again = shop.read();
        assert!(again.batches.is_empty());
        assert_eq!(again.types(), shop.try_read().unwrap().types());
    }
}

#[test]
fn a_file_that_grew_is_read_from_its_old_end() {
    let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", "a,b\n1,x\n");
    assert_eq!(shop.read().rows(), ["1|x"]);
    shop.append("in.csv", "2,\"y\nz\"\n3,w\n");
    let read = shop.read();
    assert_eq!(read.rows(), ["2|y\nz", "3|w"]);
    assert_eq!(read.positions(), [3, 5]);
    assert!(!read.batches.iter().any(|batch| batch.again));
    assert!(shop.read().batches.is_empty());
}

#[test]
fn a_file_that_changed_is_read_anew() {
    let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", "a,b\n1,x\n");
    shop.read();
    shop.write("in.csv", "a,b\n1,y\n2,z\n");
    let read = shop.read();
    assert_eq!(read.rows(), ["1|y", "2|z"]);
    assert!(read.batches.iter().all(|batch| batch.again));
    shop.write("in.csv", "a,b\n");
    assert_eq!(shop.read().rows(), NONE);
    let gz = "in.csv.gz";
    let mut shop = Shop::new(Format::Csv, gz).file(gz, "a\n1\n");
    shop.read();
    shop.write(gz, "a\n1\n2\n");
    assert_eq!(shop.read().rows(), ["1", "2"]);
}

#[test]
fn a_change_at_either_end_of_the_read_part_is_seen() {
    let rows: String = (0..40_000).map(|row| format!("{row:06}\n")).collect();
    let content = format!("a\n{rows}");
    for place in [3, content.len() - 3] {
        let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", &content);
        shop.read();
        let mut changed = content.clone().into_bytes();
        changed[place] = b'8';
        changed.extend_from_slice(b"x\n");
        shop.write("in.csv", &changed);
        assert_eq!(shop.read().records.num_rows(), 40_001);
        shop.append("in.csv", "y\n");
        assert_eq!(shop.read().records.num_rows(), 1);
    }
}

#[test]
fn a_row_without_line_end_is_read_again_only_if_it_grew() {
    let csv = |tail: &str| {
        let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", "a,b\n1,x\n2,y");
        let read = shop.read();
        assert_eq!(read.rows(), ["1|x", "2|y"]);
        assert!(read.batches.last().unwrap().provisional);
        shop.append("in.csv", tail);
        let read = shop.read();
        let withdrawn = read.batches[0].withdrawn.as_ref().map(rows).unwrap_or_default();
        (read.rows(), read.positions(), withdrawn.join(""))
    };
    assert_eq!(csv("\n3,z\n"), (vec!["3|z".into()], vec![4], "".into()));
    assert_eq!(csv("\r\n3,z"), (vec!["3|z".into()], vec![4], "".into()));
    assert_eq!(csv("y\n"), (vec!["2|yy".into()], vec![3], "2|y".into()));
    let read = Shop::new(Format::Csv, "in.csv.gz").file("in.csv.gz", "a,b\n1,x").read();
    assert!(!read.batches[0].provisional, "a compressed file does not grow");
}

/// A log is read while somebody writes to it: the beginning of a row is not a row, good or bad.
#[test]
fn half_a_csv_row_waits_for_the_rest() {
    for (half, rest, row) in
        [("2", ",y\n", "2|y"), ("2,\"y, ", "z\"\n", "2|y, z"), ("2,\"", "\"\n", "2|~")]
    {
        let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", format!("a,b\n1,x\n{half}"));
        let read = shop.read();
        assert_eq!((read.rows(), read.reasons()), (vec!["1|x".into()], vec![]), "{half}");
        assert!(read.batches.last().unwrap().incomplete);
        assert!(shop.read().batches.is_empty());
        shop.append("in.csv", rest);
        let read = shop.read();
        assert_eq!((read.rows(), read.positions()), (vec![row.into()], vec![3]), "{half}");
        assert!(read.rejected().is_empty() && !read.batches.last().unwrap().incomplete);
        assert!(read.batches[0].withdrawn.is_none());
    }
    let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", b"a,b\n1,x\n2,\xc5");
    assert_eq!(shop.read().rows(), ["1|x"]);
    shop.append("in.csv", b"\x81\n");
    assert_eq!(shop.read().rows(), ["2|Ł"]);
    let read = Shop::new(Format::Csv, "in.csv").file("in.csv", "a,b\n1,x,z").read();
    assert_eq!(read.reasons(), [(2, "csv_field_count")], "more of it would not mend it");
}

#[test]
fn a_quote_that_closes_later_is_read_then() {
    let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", "a,b\n1,x\n2,\"y\n");
    assert_eq!(shop.read().reasons(), [(3, "csv_unterminated_quote")]);
    assert!(shop.read().batches.is_empty());
    shop.append("in.csv", "z\"\n3,w\n");
    let read = shop.read();
    assert_eq!(read.rows(), ["2|y\nz", "3|w"]);
    assert!(read.rejected().is_empty());
}

#[test]
fn half_a_line_waits_for_the_rest_unless_the_file_cannot_grow() {
    let half = "{\"a\":1}\n{\"a\":";
    let mut shop = Shop::new(Format::Ndjson, "in.ndjson").file("in.ndjson", half);
    let read = shop.read();
    assert_eq!((read.rows(), read.reasons()), (vec!["1".into()], vec![]));
    assert!(read.batches.last().unwrap().incomplete, "somebody can be told");
    assert!(shop.read().batches.is_empty());
    shop.append("in.ndjson", "2}");
    let read = shop.read();
    assert_eq!(read.rows(), ["2"]);
    assert!(!read.batches.last().unwrap().incomplete);
    shop.append("in.ndjson", "\n{\"a\":3}\n");
    let read = shop.read();
    assert_eq!((read.rows(), read.positions()), (vec!["3".into()], vec![3]));
    let read = Shop::new(Format::Ndjson, "in.gz").file("in.gz", half).read();
    assert_eq!(read.reasons(), [(2, "bad_json_truncated")]);
}

/// Whichever batch was the last one that was stored, the next run goes on behind it.
#[test]
fn every_cursor_stands_right_behind_its_batch() {
    let rows: Vec<_> = (0..50).map(|row| format!("{row},\"x\n{row}\"")).collect();
    let csv = format!("a,b\r\n{}\r\n", rows.join("\r\n"));
    let ndjson: String = (0..50).map(|row| format!("{{\"a\":{row}}}\n")).collect();
    for (format, content) in [(Format::Csv, csv), (Format::Ndjson, ndjson)] {
        for end in ["", ".gz", ".zst"] {
            let (one, two) = (format!("1{end}"), format!("2{end}"));
            let mut shop =
                Shop::new(format, "?*").batch_rows(7).file(&one, &content).file(&two, &content);
            let whole = shop.try_read().unwrap();
            let mut seen = 0;
            for batch in &whole.batches {
                seen += batch.records.num_rows();
                shop.cursor = batch.cursor.clone();
                shop.spec.known_schema = Some(whole.schema.clone());
                let rest = shop.try_read().unwrap();
                assert_eq!(rest.rows(), whole.rows()[seen..]);
                assert_eq!(rest.positions(), whole.positions()[seen..]);
            }
            assert_eq!(seen, 100);
        }
    }
}

#[test]
fn new_files_are_found_and_vanished_ones_are_no_mistake() {
    let mut shop = Shop::new(Format::Csv, "in/*.csv").file("in/1.csv", "a\n1\n");
    shop.read();
    shop.write("in/2.csv", "a,b\n2,x\n");
    let read = shop.read();
    assert_eq!(read.types(), ["a:Int64", "b:Utf8"]);
    assert_eq!(read.rows(), ["2|x"]);
    fs::remove_file(shop.path("in/1.csv")).unwrap();
    fs::remove_file(shop.path("in/2.csv")).unwrap();
    let read = shop.read();
    assert!(read.batches.is_empty());
    assert_eq!(read.types(), ["a:Int64", "b:Utf8"]);
}

#[test]
fn reading_may_be_cancelled() {
    let rows: String = (0..100).map(|row| format!("{row}\n")).collect();
    let shop = Shop::new(Format::Csv, "in.csv").file("in.csv", format!("a\n{rows}")).batch_rows(9);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut source = open_source(shop.spec.clone(), &Cursor::default()).unwrap();
    let mut count = 0;
    runtime.block_on(async {
        loop {
            // Asked once and dropped, then asked again.
            tokio::select! {
                biased;
                batch = source.read() => match batch.unwrap() {
                    Some(batch) => count += batch.records.num_rows(),
                    None => break,
                },
                () = std::future::ready(()) => {}
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(count, 100);
}

/// Puts another file in place of `in.csv`, as programs do that write to a new file first.
fn replace(shop: &Shop, content: &str) {
    shop.write("new", content);
    fs::rename(shop.path("new"), shop.path("in.csv")).unwrap();
}

fn numbered(word: &str, count: usize) -> String {
    (0..count).map(|row| format!("{word}{row}\n")).collect()
}

/// What is under the name when a batch ends is not what the batch was read from.
#[test]
fn a_file_that_is_replaced_while_it_is_read_is_read_whole_next_time() {
    let mut shop = Shop::new(Format::Csv, "in.csv")
        .file("in.csv", format!("a\n{}", numbered("old", 100)))
        .batch_rows(10);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut source = open_source(shop.spec.clone(), &shop.cursor).unwrap();
    let mut rows = 0;
    while let Some(batch) = runtime.block_on(source.read()).unwrap() {
        if rows == 0 {
            replace(&shop, &format!("a\n{}", numbered("new", 200)));
        }
        rows += batch.records.num_rows();
        shop.cursor = batch.cursor;
    }
    assert_eq!(rows, 100, "the file that was opened is read to its end");
    let read = shop.read();
    assert_eq!(read.records.num_rows(), 200);
    assert_eq!(read.rows()[0], "new0");
}

#[test]
fn a_file_that_is_replaced_before_it_is_opened_is_read_whole() {
    let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", "a\nold0\nold1\n");
    shop.read();
    shop.append("in.csv", "old2\n");
    let mut source = open_source(shop.spec.clone(), &shop.cursor).unwrap();
    replace(&shop, &format!("a\n{}", numbered("new", 5)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batch = runtime.block_on(source.read()).unwrap().unwrap();
    assert_eq!(super::rows(&batch.records), ["new0", "new1", "new2", "new3", "new4"]);
    shop.cursor = batch.cursor;
    assert!(shop.read().batches.is_empty());
}

#[test]
fn a_foreign_cursor_is_refused() {
    let mut shop = Shop::new(Format::Csv, "in.csv").file("in.csv", "a\n1\n");
    shop.cursor = Cursor(serde_json::json!({"files": 7}));
    assert!(shop.refusal().contains("stored cursor"));
}
