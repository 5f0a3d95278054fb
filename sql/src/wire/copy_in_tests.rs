//! Rows of a COPY in pieces of any size, and what is told of those that are none.

use arrow::array::{Array, AsArray};

use super::*;

fn options(format: CopyFormat, header: bool) -> CopyOptions {
    let csv = format == CopyFormat::Csv;
    CopyOptions {
        format,
        header: if header { CopyHeader::Skipped } else { CopyHeader::None },
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv { String::new() } else { "\\N".into() },
        quote: b'"',
        escape: b'"',
        force_quote: Forced::None,
        force_not_null: Forced::None,
        force_null: Forced::None,
    }
}

/// Takes `input` in pieces of `size` bytes, and returns the rows as one text.
fn rows(options: CopyOptions, input: impl AsRef<[u8]>, size: usize) -> Result<String, String> {
    let mut parser = CopyParser::new(options, "t", &["a".to_owned(), "b".to_owned()]);
    let told = |error: WireError| {
        let context = error.context().map(ToString::to_string);
        format!("{}\n{}", error.message, context.unwrap_or_default())
    };
    for piece in input.as_ref().chunks(size) {
        parser.push(piece).map_err(told)?;
    }
    parser.finish().map_err(told)?;
    let count = parser.rows();
    let columns = parser.take().columns;
    let cell = |row: usize, column: &ArrayRef| {
        let texts = column.as_string::<i32>();
        if texts.is_null(row) { "NULL".to_owned() } else { texts.value(row).to_owned() }
    };
    let rows = (0..count)
        .map(|row| columns.iter().map(|column| cell(row, column)).collect::<Vec<_>>().join("|"));
    Ok(rows.collect::<Vec<_>>().join(";"))
}

#[test]
fn text_is_read_in_pieces_of_any_size() {
    let input = "a\tb\n\\N\t\n x\\ty\t\\\\N\r\n\\101\t\\x42\n\\.\nnothing";
    for size in [1, 2, 7, 100] {
        let found = rows(options(CopyFormat::Text, false), input, size);
        assert_eq!(found.as_deref(), Ok("a|b;NULL|; x\ty|\\N;A|B"), "{size}");
    }
}

#[test]
fn csv_is_read_in_pieces_of_any_size() {
    let input = "one,two\n1,\"a,\"\"b\"\"\nc\"\n,\"\"\n2,x";
    for size in [1, 2, 7, 100] {
        let found = rows(options(CopyFormat::Csv, true), input, size);
        assert_eq!(found.as_deref(), Ok("1|a,\"b\"\nc;NULL|;2|x"), "{size}");
    }
}

#[test]
fn long_rows_are_taken_before_there_are_many() {
    let names = ["a".to_owned(), "b".to_owned()];
    let mut parser = CopyParser::new(options(CopyFormat::Text, false), "t", &names);
    let row = format!("{}\tb\n", "a".repeat(COPIED_BYTES_MAX / 4));
    for _ in 0..4 {
        assert!(!parser.is_full());
        parser.push(row.as_bytes()).unwrap();
    }
    assert!(parser.is_full());
    assert_eq!(parser.take().columns.len(), 2);
    assert!(!parser.is_full());
    // A piece of very many rows is gone through once.
    parser.push("a\tb\n".repeat(1 << 18).as_bytes()).unwrap();
    assert_eq!(parser.rows(), 1 << 18);
}

#[test]
fn rows_of_another_width_are_refused_by_their_line() {
    for (input, message) in [
        ("a\tb\nc\n", "missing data for column \"b\"\nCOPY t, line 2: \"c\""),
        ("a\tb\tc\n", "extra data after last expected column\nCOPY t, line 1: \"a\tb\tc\""),
    ] {
        let found = rows(options(CopyFormat::Text, false), input, 3);
        assert_eq!(found, Err(message.to_owned()));
    }
    let refused = |input: &str| rows(options(CopyFormat::Csv, true), input, 3).unwrap_err();
    assert_eq!(
        refused("a,b\n1,\"x\n\ny\"\n3\n"),
        "missing data for column \"b\"\nCOPY t, line 5: \"3\""
    );
    assert_eq!(
        refused("a,b\n1,\"b\nc"),
        "unterminated CSV quoted field\nCOPY t, line 3: \"1,\"b\nc\""
    );
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let refused = |input: &[u8]| rows(options(CopyFormat::Text, false), input, 2).unwrap_err();
    for (bytes, told) in
        [(&b"\xff"[..], "0xff"), (&b"\xc3(x"[..], "0xc3 0x28"), (&b"x\0"[..], "0x00")]
    {
        let input = [&b"a\tb\nc\t"[..], bytes, b"\n"].concat();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {told}");
        assert_eq!(refused(&input), format!("{message}\nCOPY t, line 2"));
    }
}

#[test]
fn a_header_is_to_name_the_columns() {
    let matched = |format| CopyOptions { header: CopyHeader::Matched, ..options(format, false) };
    assert_eq!(rows(matched(CopyFormat::Csv), "a,\"b\"\n1,2\n", 2).as_deref(), Ok("1|2"));
    assert_eq!(rows(matched(CopyFormat::Text), "a\tb\n1\t2\n", 2).as_deref(), Ok("1|2"));
    for (line, told) in [
        ("a", "wrong number of fields in header line: got 1, expected 2"),
        ("b,a", "column name mismatch in header line field 1: got \"b\", expected \"a\""),
        (
            "a,",
            "column name mismatch in header line field 2: got null value (\"\"), expected \"b\"",
        ),
    ] {
        let refused = rows(matched(CopyFormat::Csv), format!("{line}\n1,2\n"), 3);
        assert_eq!(refused, Err(format!("{told}\nCOPY t, line 1: \"{line}\"")));
    }
}

#[test]
fn what_stands_for_null_is_what_the_options_say() {
    let columns = |name: &str| Forced::Columns(vec![name.to_owned()]);
    let forced = CopyOptions {
        force_not_null: columns("a"),
        force_null: columns("b"),
        ..options(CopyFormat::Csv, false)
    };
    let input = ",\n\"\",\"\"\nx,y\n";
    assert_eq!(rows(forced.clone(), input, 4).as_deref(), Ok("|NULL;|NULL;x|y"));
    let both = CopyOptions { force_null: columns("a"), null: "-".to_owned(), ..forced };
    assert_eq!(rows(both, "-,-\n\"-\",\"-\"\n", 4).as_deref(), Ok("-|NULL;NULL|-"));
}
