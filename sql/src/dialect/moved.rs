//! `ALTER ... SET SCHEMA`, which sqlparser does not read of relations: it becomes an option of `ALTER TABLE`.

use engine::analytics::SET_SCHEMA;
use sqlparser::tokenizer::Token;

use super::lexer::Lexeme;
use super::write::is_word;

/// Returns `ALTER TABLE`, `VIEW`, `MATERIALIZED VIEW` or `SEQUENCE name SET SCHEMA name` as sqlparser reads it; `None` for any
/// other text.
pub(super) fn readable(text: &str, lexemes: &[Lexeme]) -> Option<String> {
    let [alter, head @ .., set, schema, name] = lexemes else { return None };
    if !is_word(alter, "alter") || !is_word(set, "set") || !is_word(schema, "schema") {
        return None;
    }
    let relation = match head {
        [first, second, rest @ ..] if is_word(first, "materialized") && is_word(second, "view") => {
            rest
        }
        [kind, rest @ ..] if ["table", "view", "sequence"].iter().any(|one| is_word(kind, one)) => {
            rest
        }
        _ => return None,
    };
    let relation = &text[relation.first()?.start..relation.last()?.end];
    let Token::Word(name) = &name.token else { return None };
    let name = match name.quote_style {
        Some(_) => name.value.replace('"', "\"\""),
        None => name.value.to_ascii_lowercase(),
    };
    Some(format!("ALTER TABLE {relation} SET ({SET_SCHEMA} = \"{name}\")"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::lexer::tokenize;

    #[test]
    fn relations_go_to_another_schema_by_an_option() {
        for (text, expected) in [
            (
                "alter table if exists a.b set schema Marts",
                Some("ALTER TABLE if exists a.b SET (relation_schema = \"marts\")"),
            ),
            (
                "ALTER MATERIALIZED VIEW m SET SCHEMA \"M\"",
                Some("ALTER TABLE m SET (relation_schema = \"M\")"),
            ),
            (
                "alter sequence s set schema marts",
                Some("ALTER TABLE s SET (relation_schema = \"marts\")"),
            ),
            ("alter view v set schema 1", None),
            ("alter function f set schema marts", None),
            ("alter table t rename to u", None),
        ] {
            let lexemes = tokenize(text).unwrap();
            assert_eq!(readable(text, &lexemes).as_deref(), expected, "{text}");
        }
    }
}
