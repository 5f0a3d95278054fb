//! The page of statements has every statement, with examples that can be read.

use engine::catalog::Kind;

use super::*;
use crate::dialect::foreign::FIRST_WORDS;

const PAGE: &str = include_str!("../../../../docs/statements.md");

/// Returns the statements of all examples.
fn examples() -> Vec<Parsed> {
    let blocks = PAGE.split("```sql\n").skip(1);
    let read = |block: &str| {
        let (sql, _) = block.split_once("```").expect("a block ends");
        parse(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    };
    blocks.flat_map(read).collect()
}

#[test]
fn every_example_is_taken() {
    for Parsed { text, statement, .. } in examples() {
        let is_refused =
            matches!(statement, Statement::Unsupported { .. } | Statement::Refused { .. });
        assert!(!is_refused, "{text}");
    }
}

#[test]
fn every_statement_has_an_example() {
    let examples = examples();
    let first_word = |parsed: &Parsed| parsed.text.split_whitespace().next().map(str::to_lowercase);
    let words: Vec<String> = examples.iter().filter_map(first_word).collect();
    for word in FIRST_WORDS {
        assert!(words.iter().any(|found| found == word), "{word}");
    }
    for kind in Kind::ALL {
        let heading = format!("### `CREATE {} name", kind.word().to_uppercase());
        assert!(PAGE.contains(&heading), "{heading}");
        let is_made = |parsed: &Parsed| match &parsed.statement {
            Statement::Create { definition, .. } => definition.body.kind() == kind,
            _ => false,
        };
        assert!(examples.iter().any(is_made), "{heading}");
    }
}
