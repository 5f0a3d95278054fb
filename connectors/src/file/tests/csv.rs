//! CSV: types, quoting, and what one bad row costs.

use arrow::datatypes::{DataType, TimeUnit};

use super::{Shop, counts};
use crate::contract::Format;

fn csv(content: impl AsRef<[u8]>) -> Shop {
    Shop::new(Format::Csv, "in.csv").file("in.csv", content)
}

#[test]
fn types_are_inferred_and_values_kept_exactly() {
    let mut shop = csv("id,name,amount,born,at,seen,vip,phone,zip\n\
         1,Łucja,12.30,2000-02-29,2026-01-02 03:04:05,2026-01-02T03:04:05.5+01:00,true,+48123,00123\n\
         2,,0.05,,,,FALSE,48123,92660\n");
    let read = shop.read();
    assert_eq!(
        read.types().join(" "),
        "id:Int64 name:Utf8 amount:Decimal128(38, 2) born:Date32 at:Timestamp(µs) \
         seen:Timestamp(µs, \"UTC\") vip:Boolean phone:Utf8 zip:Utf8"
    );
    assert_eq!(
        read.rows(),
        [
            "1|Łucja|12.30|2000-02-29|2026-01-02T03:04:05|2026-01-02T02:04:05.500Z|true|+48123|00123",
            "2|~|0.05|~|~|~|false|48123|92660"
        ]
    );
    assert!(read.nulled().is_empty() && read.rejected().is_empty());
}

#[test]
fn quoted_fields_hold_commas_quotes_and_lines() {
    for (end, inner) in [("\n", "\n"), ("\r\n", "\r\n"), ("\r\n", "\n")] {
        let text =
            ["\u{feff}a,b", &format!("1,\"x, \"\"y\"\"{inner}z\""), "2,\"\"", "", "3,w"].join(end);
        let read = csv(text).read();
        assert_eq!(
            read.rows(),
            [format!("1|x, \"y\"{inner}z"), "2|~".into(), "3|w".into()],
            "{end:?}"
        );
        assert_eq!(read.positions(), [2, 4, 6]);
    }
}

#[test]
fn lines_may_end_with_a_carriage_return_alone() {
    let mut shop = csv("a,b\r1,x\r\r2,\"y\rz\"\r3\r4,w\r");
    let read = shop.read();
    assert_eq!(read.rows(), ["1|x", "2|y\rz", "4|w"]);
    assert_eq!((read.positions(), read.reasons()), (vec![2, 4, 7], vec![(6, "csv_field_count")]));
    shop.append("in.csv", "5,v\r");
    let read = shop.read();
    assert_eq!((read.rows(), read.positions()), (vec!["5|v".into()], vec![8]));
    let read = csv("a,b\r1,x\r2,\"y\r3,z\r").read();
    assert_eq!(read.rows(), ["1|x", "3|z"], "an open quote costs its line");
    assert_eq!(
        (read.positions(), read.reasons()),
        (vec![2, 4], vec![(3, "csv_unterminated_quote")])
    );
}

#[test]
fn one_bad_row_costs_one_row() {
    let mut shop = csv(b"a,b\n1,x\n2\n3,y,z\n4,\xff\n5,\xc5\n\x82,6\n7,\"\xc5\",\n8,\0\n9,ok\n");
    let read = shop.read();
    assert_eq!(read.rows(), ["1|x", "9|ok"]);
    assert_eq!(
        read.reasons(),
        [
            (3, "csv_field_count"),
            (4, "csv_field_count"),
            (5, "invalid_utf8"),
            (6, "invalid_utf8"),
            (7, "invalid_utf8"),
            (8, "csv_field_count"),
            (9, "nul_character"),
        ]
    );
    assert_eq!(read.rejected()[1].raw, "3,y,z");
    assert_eq!(read.rejected()[1].file, "in.csv");
}

#[test]
fn bytes_that_are_text_only_together_are_not_text() {
    let read = csv(b"a,b\n\xc5,\x82\n").read();
    assert_eq!(read.reasons(), [(2, "invalid_utf8")]);
}

#[test]
fn an_open_quote_costs_its_line() {
    let read = csv("a,b\n1,x\n2,\"y\n3,z\n4,w\n").read();
    assert_eq!(read.rows(), ["1|x", "3|z", "4|w"]);
    assert_eq!(read.reasons(), [(3, "csv_unterminated_quote")]);
    assert_eq!(read.positions(), [2, 4, 5]);
    assert_eq!(read.rejected()[0].raw, "2,\"y");
}

#[test]
fn values_that_are_not_of_the_type_are_null_and_counted() {
    let micros =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let mut shop =
        csv("n,d,day,t,z,b\n 7 ,1.5,2026-01-01,2026-01-01T00:00:00,2026-01-01 00:00:00,yes\n\
         x,1.555,01.01.2026,2026-01-01T00:00:00Z,soon,maybe\n-,n/a,NULL,,  ,-\n")
        .column("n", DataType::Int32)
        .column("d", DataType::Decimal128(10, 2))
        .column("day", DataType::Date32)
        .column("t", micros(None))
        .column("z", micros(Some("UTC")))
        .column("b", DataType::Boolean)
        .nulls(&["NULL", "n/a", "-"]);
    let read = shop.read();
    assert_eq!(
        read.rows(),
        [
            "7|1.50|2026-01-01|2026-01-01T00:00:00|2026-01-01T00:00:00Z|true",
            "~|~|~|~|~|~",
            "~|~|~|~|~|~"
        ]
    );
    assert_eq!(
        read.nulled(),
        counts([("n", 1), ("d", 1), ("day", 1), ("t", 1), ("z", 1), ("b", 1)])
    );
}

#[test]
fn columns_are_matched_by_name_over_files() {
    let mut shop = Shop::new(Format::Csv, "*.csv")
        .file("b.csv", "b,a\nx,1\n")
        .file("a.csv", "a,b\n2,y\n")
        .file("c.csv", " c ,a\nz,3\n");
    let read = shop.read();
    assert_eq!(read.types().join(" "), "a:Int64 b:Utf8 c:Utf8");
    assert_eq!(read.rows(), ["2|y|~", "1|x|~", "3|~|z"]);
    let files: Vec<_> = read.batches.iter().map(|batch| batch.file.as_str()).collect();
    assert_eq!(files, ["a.csv", "b.csv", "c.csv"]);
}

#[test]
fn declared_columns_leave_out_the_others() {
    let mut shop = csv("a,b\n1,2\n").column("b", DataType::Utf8);
    assert_eq!(shop.read().rows(), ["2"]);
    let refusal = csv("a,b\n1,2\n").column("c", DataType::Utf8).refusal();
    assert!(
        refusal.contains("column \"c\"") && refusal.contains("The files have: a, b."),
        "{refusal}"
    );
    let refusal = csv("a,b\n1,2\n").column("a", DataType::Binary).refusal();
    assert!(refusal.contains("Declare it as text"), "{refusal}");
}

#[test]
fn headers_must_be_usable() {
    for (content, expected) in [
        (&b""[..], "file \"in.csv\" of source \"shop\" cannot be used: It has no header"),
        (b"\n\r\n", "no header"),
        (b"a,a\n1,2\n", "It has two columns \"a\""),
        (b"\xff\xfea\0,\0", "UTF-16"),
        (b"a\xff,b\n", "no header"),
    ] {
        let refusal = csv(content).refusal();
        assert!(refusal.contains(expected), "{refusal}");
    }
    assert_eq!(csv("a,,c\n1,2,3\n").read().types().join(" "), "a:Int64 column_2:Int64 c:Int64");
    assert_eq!(csv("a,b").read().rows(), [""; 0]);
}

#[test]
fn compressed_files_read_the_same() {
    let mut content = "id,text\n".to_owned();
    for row in 0..20_000 {
        content += &format!("{row},\"row {row},\nof many\"\n");
    }
    let plain = csv(&content).batch_rows(3_000).read();
    assert_eq!(plain.records.num_rows(), 20_000);
    assert_eq!(plain.batches.len(), 7);
    for name in ["in.csv.gz", "in.csv.zst"] {
        let read = Shop::new(Format::Csv, name).file(name, &content).read();
        assert_eq!(read.records, plain.records, "{name}");
        assert_eq!(read.positions(), plain.positions());
    }
    for name in ["in.csv.gz", "in.csv.zst"] {
        let shop = Shop::new(Format::Csv, name).file(name, &content);
        let bytes = std::fs::read(shop.path(name)).unwrap();
        std::fs::write(shop.path(name), &bytes[..bytes.len() / 2]).unwrap();
        assert!(shop.refusal().contains("is damaged"), "{name}");
    }
}

#[test]
fn a_compressed_file_may_have_several_members() {
    for name in ["in.csv.gz", "in.csv.zst"] {
        let shop = Shop::new(Format::Csv, name);
        let members = ["a,b\n1,x\n2,", "y\n3,z\n"];
        let bytes = members.map(|member| super::compressed(name, member.as_bytes())).concat();
        std::fs::write(shop.path(name), bytes).unwrap();
        assert_eq!(shop.try_read().unwrap().rows(), ["1|x", "2|y", "3|z"], "{name}");
    }
}

/// What does not fit a number that was inferred is neither another number nor lost: `007` is not 7.
#[test]
fn numbers_that_an_inferred_column_cannot_hold_are_refused() {
    for (first, later) in [
        ("7", "007"),
        ("48601234567", "+48601234567"),
        ("12", "12.50"),
        ("1.50", "1.505"),
        ("1", "1e3"),
        ("1.5e3", "0012"),
        ("1", "12345678901234567890"),
    ] {
        let mut shop = csv(format!("id,n\n1,{first}\n"));
        shop.read();
        shop.append("in.csv", format!("2,3\n3,{later}\n"));
        let refusal = shop.refusal();
        assert!(refusal.contains("column \"n\" of source \"shop\""), "{refusal}");
        assert!(
            refusal.contains("line 4 of \"in.csv\"") && refusal.contains("Declare"),
            "{refusal}"
        );
        assert!(!refusal.contains(later), "a value is in {refusal}");
        let mut declared = csv(format!("n\n{first}\n{later}\n")).column("n", DataType::Utf8);
        assert_eq!(declared.read().rows(), [first, later]);
    }
    let mut shop = csv("n\n1\n");
    shop.read();
    shop.append("in.csv", " 2 \nmany\n0\n-3\n");
    let read = shop.read();
    assert_eq!(read.rows(), ["2", "~", "0", "-3"]);
    assert_eq!(read.nulled(), counts([("n", 1)]), "what is no number at all is null and counted");
    let read = csv("n\n007\n+8\n").column("n", DataType::Int64).read();
    assert_eq!(read.rows(), ["7", "8"], "who declares a number wants numbers");
}

/// The rest of a row that is given up is never a row.
#[test]
fn no_part_of_a_row_that_is_too_long_is_a_row() {
    let huge = "x".repeat(super::super::ROW_BYTES_MAX + 1000);
    for (row, lines) in [
        (format!("2,{huge},z"), 1),
        (format!("2,\"{huge}\n5,y\n6,z\""), 3),
        (format!("2,{huge}"), 1),
    ] {
        for name in ["in.csv", "in.csv.gz"] {
            let mut shop =
                Shop::new(Format::Csv, name).file(name, format!("a,b\n1,x\n{row}\n4,y\n"));
            let read = shop.read();
            assert_eq!(read.rows(), ["1|x", "4|y"]);
            assert_eq!(read.reasons(), [(3, "too_large")]);
            assert_eq!(read.positions(), [2, 3 + lines]);
            assert!(read.rejected()[0].raw.starts_with("2,"));
            assert!(shop.read().batches.is_empty());
        }
    }
    for name in ["in.csv", "in.csv.zst"] {
        let content = format!("a,b\n1,x\n2,\"{huge}\n4,y\n5,z\n");
        let read = Shop::new(Format::Csv, name).file(name, content).read();
        assert_eq!(
            read.rows(),
            ["1|x", "4|y", "5|z"],
            "a quote that is never closed costs its line"
        );
        assert_eq!(read.reasons(), [(3, "too_large")]);
        assert_eq!(read.positions(), [2, 4, 5]);
    }
}

#[test]
fn rows_have_a_longest_length() {
    let huge = "x".repeat(super::super::ROW_BYTES_MAX * 2 + 1);
    let read = csv(format!("a,b\n1,\"{huge}\n2,y\n")).read();
    assert_eq!(read.rows(), ["2|y"]);
    let reasons: Vec<_> = read.reasons().into_iter().map(|(_, reason)| reason).collect();
    assert!(reasons.contains(&"too_large"), "{reasons:?}");
    assert!(read.rejected().iter().all(|row| row.raw.len() <= 4096));
}
