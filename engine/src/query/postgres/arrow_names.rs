//! Names of Arrow's types, as messages of the planner have them, in PostgreSQL's words.

use super::types;

/// Types whose names are no words of a sentence.
const ALONE: [&str; 22] = [
    "Utf8",
    "Utf8View",
    "LargeUtf8",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float16",
    "Float32",
    "Float64",
    "Boolean",
    "Date32",
    "Date64",
    "BinaryView",
    "LargeBinary",
    "Decimal128",
    "Decimal256",
    "FixedSizeBinary",
];
/// Types that are known by their brackets.
const WITH_BRACKETS: [&str; 10] = [
    "List",
    "LargeList",
    "Interval",
    "Duration",
    "Timestamp",
    "Time32",
    "Time64",
    "Struct",
    "Decimal128",
    "Decimal256",
];

/// Returns a message with the names that PostgreSQL has for the types in it.
pub fn in_postgres_words(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(letter) = rest.chars().next() {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if !is_word(letter) {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
            continue;
        }
        let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let brackets = bracketed(behind);
        let name = match brackets {
            0 if word == "Binary" && behind.starts_with([',', ')']) => Some(word),
            0 => Some(word).filter(|word| ALONE.contains(word)),
            _ if WITH_BRACKETS.contains(&word) || word == "FixedSizeBinary" => {
                Some(&rest[..end + brackets])
            }
            _ => Some(word).filter(|word| ALONE.contains(word)),
        };
        match name {
            Some(name) => {
                out.push_str(&postgres_type(name));
                rest = &rest[name.len()..];
            }
            None => {
                out.push_str(word);
                rest = behind;
            }
        }
    }
    out
}

/// The length of what stands in brackets at the beginning of a text; 0 if there are none.
fn bracketed(text: &str) -> usize {
    if !text.starts_with('(') {
        return 0;
    }
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    0
}

/// Names of Arrow's types as PostgreSQL has them, with commas between them.
pub fn postgres_types(list: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    for part in list.split(", ") {
        let (open, close) = (part.matches('(').count(), part.matches(')').count());
        match names.last_mut().filter(|_| depth > 0) {
            Some(last) => *last = format!("{last}, {part}"),
            None => names.push(part.to_owned()),
        }
        depth = (depth + open).saturating_sub(close);
    }
    let named: Vec<String> = names.iter().map(|name| postgres_type(name.trim())).collect();
    named.join(", ")
}

fn postgres_type(name: &str) -> String {
    let element = name.strip_prefix("List(").or_else(|| name.strip_prefix("LargeList("));
    if let Some(element) = element.and_then(|rest| rest.strip_suffix(')')) {
        let element = element.trim_start_matches("non-null ").trim_start_matches("nullable ");
        return format!("{}[]", postgres_type(element));
    }
    let known = match name.split(['(', ',']).next().unwrap_or_default() {
        "Utf8" | "Utf8View" | "LargeUtf8" => "text",
        "Int8" | "Int16" | "UInt8" => "int2",
        "Int32" | "UInt16" => "int4",
        "Int64" | "UInt32" => "int8",
        "Float16" | "Float32" => "float4",
        "Float64" => "float8",
        "Boolean" => "bool",
        "Date32" | "Date64" => "date",
        "Time32" | "Time64" => "time",
        "Timestamp" if name.contains('"') || name.contains("Some") => "timestamptz",
        "Timestamp" => "timestamp",
        "Interval" | "Duration" => "interval",
        "Binary" | "BinaryView" | "LargeBinary" | "FixedSizeBinary" => "bytea",
        "Null" => return "unknown".to_owned(),
        "Struct" => return "record".to_owned(),
        decimal if decimal.starts_with("Decimal") || decimal == "UInt64" => "numeric",
        _ => return "unknown".to_owned(),
    };
    types::by_name(known).map_or_else(|| known.to_owned(), |found| found.display.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_names_of_postgres() {
        for (message, expected) in [
            (
                "function array_has(List(Binary), Utf8View) does not exist",
                "function array_has(bytea[], text) does not exist",
            ),
            ("cannot cast Interval(MonthDayNano) to Int64", "cannot cast interval to bigint"),
            ("operation List(Utf8View, field: 'element') @> Utf8", "operation text[] @> text"),
            ("List of values (a, b) ends", "List of values (a, b) ends"),
            ("Timestamp(µs, \"UTC\") - Date32", "timestamp with time zone - date"),
            ("Decimal128(38, 10)", "numeric"),
            ("an Interval( that is open", "an Interval( that is open"),
            ("f(Binary, Int64)", "f(bytea, bigint)"),
        ] {
            assert_eq!(in_postgres_words(message), expected);
        }
        assert_eq!(postgres_types("Int64, List(Int64), Null"), "bigint, bigint[], unknown");
    }
}
