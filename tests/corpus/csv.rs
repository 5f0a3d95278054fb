//! CSV as texts: RFC 4180, with quoted line breaks, and nothing interpreted.

use std::path::Path;

/// A file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Csv {
    /// The names of the columns.
    pub(crate) header: Vec<String>,
    /// The rows.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Csv {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Csv {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Csv::parse(&text)
    }

    /// Reads a text.
    pub(crate) fn parse(text: &str) -> Csv {
        let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
        let (mut letters, mut quoted) = (text.chars().peekable(), false);
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => {
                    letters.next();
                    field.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut field)),
                '\r' if !quoted => {}
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                letter => field.push(letter),
            }
        }
        if !field.is_empty() || !row.is_empty() {
            row.push(field);
            rows.push(row);
        }
        assert!(!rows.is_empty(), "CSV without a header");
        Csv { header: rows.remove(0), rows }
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &Path) {
        let mut text = String::new();
        for row in std::iter::once(&self.header).chain(&self.rows) {
            for (index, field) in row.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                match field.contains([',', '"', '\n', '\r']) {
                    true => text.push_str(&format!("\"{}\"", field.replace('"', "\"\""))),
                    false => text.push_str(field),
                }
            }
            text.push('\n');
        }
        std::fs::write(path, text).unwrap();
    }

    /// Returns the rows that `keep` likes.
    pub(crate) fn filter(&self, keep: impl Fn(&[String]) -> bool) -> Csv {
        Csv {
            header: self.header.clone(),
            rows: self.rows.iter().filter(|row| keep(row)).cloned().collect(),
        }
    }

    /// Returns the index of a column.
    pub(crate) fn column(&self, name: &str) -> usize {
        self.header
            .iter()
            .position(|column| column == name)
            .unwrap_or_else(|| panic!("no column {name}"))
    }
}

#[test]
fn csv_is_read_and_written() {
    let csv = Csv::parse("a,b\n1,\"x, \"\"y\"\"\nz\"\n,\n");
    assert_eq!(csv.rows, [["1", "x, \"y\"\nz"], ["", ""]]);
}
