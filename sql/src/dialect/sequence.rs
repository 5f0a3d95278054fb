//! Statements about sequences as sqlparser reads them: it takes the clauses of `CREATE SEQUENCE` and of identity columns in one
//! order alone, and knows no `ALTER SEQUENCE`, whose clauses become options of `ALTER TABLE`.

use sqlparser::tokenizer::Token;

use super::lexer::Lexeme;
use super::write::is_word;

/// Where clauses stand that only `CREATE SEQUENCE` and `ALTER SEQUENCE` have, and `ALTER SEQUENCE` alone.
const OWNED_BY: usize = 7;
const RESTART: usize = 8;

/// A clause of a sequence.
struct Clause {
    /// Its place in the order in which sqlparser reads them.
    place: usize,
    /// The clause as sqlparser reads it.
    text: String,
    /// The clause as an option.
    option: String,
}

/// Returns a statement about sequences as sqlparser reads it; `None` if it reads it as it is, or not at all.
pub(super) fn readable(text: &str, lexemes: &[Lexeme]) -> Option<String> {
    match lexemes {
        [create, rest @ ..] if is_word(create, "create") => {
            let (_, rest) = accept(rest, "temporary");
            let (_, rest) = accept(rest, "temp");
            match accept(rest, "sequence") {
                (true, rest) => create_sequence(text, rest),
                (false, _) => identities(text, lexemes),
            }
        }
        [alter, sequence, rest @ ..]
            if is_word(alter, "alter") && is_word(sequence, "sequence") =>
        {
            alter_sequence(text, rest)
        }
        _ => None,
    }
}

/// Puts the clauses behind the name of a new sequence into order.
fn create_sequence(text: &str, rest: &[Lexeme]) -> Option<String> {
    let (name, rest) = named(rest, &["if", "not", "exists"])?;
    let clauses = clauses(text, rest)?;
    if clauses.iter().any(|clause| clause.place == RESTART) {
        return None;
    }
    let behind: Vec<String> = clauses.into_iter().map(|clause| clause.text).collect();
    Some(format!("{} {}", &text[..name.end], behind.join(" ")))
}

/// Makes options of what is said of a sequence that is there.
fn alter_sequence(text: &str, rest: &[Lexeme]) -> Option<String> {
    let first = rest.first()?;
    let (name, rest) = named(rest, &["if", "exists"])?;
    let table = &text[first.start..name.end];
    if let [rename, to, ..] = rest
        && is_word(rename, "rename")
        && is_word(to, "to")
    {
        return Some(format!("ALTER TABLE {table} {}", &text[rename.start..]));
    }
    let options: Vec<String> =
        clauses(text, rest)?.into_iter().map(|clause| clause.option).collect();
    (!options.is_empty()).then(|| format!("ALTER TABLE {table} SET ({})", options.join(", ")))
}

/// Puts the clauses of identity columns into order; `None` if they are.
fn identities(text: &str, lexemes: &[Lexeme]) -> Option<String> {
    let mut changed = String::new();
    let mut copied = 0;
    let mut rest = lexemes;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let [open, inner @ ..] = behind else { break };
        if !is_word(first, "identity") || open.token != Token::LParen {
            continue;
        }
        let end = inner.iter().position(|lexeme| lexeme.token == Token::RParen)?;
        let clauses = clauses(text, &inner[..end])?;
        if clauses.iter().any(|clause| matches!(clause.place, 0 | OWNED_BY | RESTART)) {
            return None;
        }
        changed.push_str(&text[copied..open.end]);
        let clauses: Vec<String> = clauses.into_iter().map(|clause| clause.text).collect();
        changed.push_str(&clauses.join(" "));
        copied = inner[end].start;
        rest = &inner[end..];
    }
    changed.push_str(&text[copied..]);
    (changed != text && copied > 0).then_some(changed)
}

/// Reads a name behind these words, if they are there. Returns the last part of it, and what stands behind.
fn named<'a>(rest: &'a [Lexeme], words: &[&str]) -> Option<(&'a Lexeme, &'a [Lexeme])> {
    let begins = words.len() < rest.len()
        && words.iter().zip(rest).all(|(word, lexeme)| is_word(lexeme, word));
    let rest = if begins { &rest[words.len()..] } else { rest };
    let parts = name_length(rest)?;
    Some((&rest[parts - 1], &rest[parts..]))
}

/// Returns how many tokens the name has that stands here.
fn name_length(rest: &[Lexeme]) -> Option<usize> {
    let is_part = |at: usize| matches!(rest.get(at).map(|part| &part.token), Some(Token::Word(_)));
    let mut length = 1;
    if !is_part(0) {
        return None;
    }
    while rest.get(length).is_some_and(|next| next.token == Token::Period) && is_part(length + 1) {
        length += 2;
    }
    Some(length)
}

/// Reads a word if it stands here.
fn accept<'a>(rest: &'a [Lexeme], word: &str) -> (bool, &'a [Lexeme]) {
    match rest {
        [first, behind @ ..] if is_word(first, word) => (true, behind),
        rest => (false, rest),
    }
}

/// Reads clauses up to the end, each once, and puts them into order.
fn clauses(text: &str, mut rest: &[Lexeme]) -> Option<Vec<Clause>> {
    let mut found: Vec<Clause> = Vec::new();
    while !rest.is_empty() {
        let (clause, behind) = clause(text, rest)?;
        if found.iter().any(|known| known.place == clause.place) {
            return None;
        }
        found.push(clause);
        rest = behind;
    }
    found.sort_by_key(|clause| clause.place);
    Some(found)
}

/// Reads the clause that stands here. Returns what stands behind it, too.
fn clause<'a>(text: &str, rest: &'a [Lexeme]) -> Option<(Clause, &'a [Lexeme])> {
    let (first, behind) = rest.split_first()?;
    let Token::Word(word) = &first.token else { return None };
    let plain = |place: usize, text: &str, option: &str| Clause {
        place,
        text: text.to_owned(),
        option: format!("sequence_{option}"),
    };
    let numbered = |place: usize, words: &str, name: &str, rest: &'a [Lexeme]| {
        let (number, behind) = number(text, rest)?;
        let clause = plain(place, &format!("{words} {number}"), &format!("{name} = {number}"));
        Some((clause, behind))
    };
    match word.value.to_lowercase().as_str() {
        _ if word.quote_style.is_some() => None,
        "as" => {
            let (name, behind) = behind.split_first()?;
            let Token::Word(name) = &name.token else { return None };
            let name = &name.value;
            Some((plain(0, &format!("AS {name}"), &format!("type = '{name}'")), behind))
        }
        "increment" => numbered(1, "INCREMENT BY", "increment", accept(behind, "by").1),
        "minvalue" => numbered(2, "MINVALUE", "minimum", behind),
        "maxvalue" => numbered(3, "MAXVALUE", "maximum", behind),
        "start" => numbered(4, "START WITH", "start", accept(behind, "with").1),
        "cache" => numbered(5, "CACHE", "cache", behind),
        "cycle" => Some((plain(6, "CYCLE", "cycle = yes"), behind)),
        "no" => {
            let kinds = [
                ("minvalue", plain(2, "NO MINVALUE", "minimum = none")),
                ("maxvalue", plain(3, "NO MAXVALUE", "maximum = none")),
                ("cycle", plain(6, "NO CYCLE", "cycle = none")),
            ];
            kinds.into_iter().find_map(|(word, clause)| match accept(behind, word) {
                (true, behind) => Some((clause, behind)),
                (false, _) => None,
            })
        }
        "owned" => {
            let (true, behind) = accept(behind, "by") else { return None };
            let length = name_length(behind)?;
            let name = &text[behind[0].start..behind[length - 1].end];
            let clause = plain(OWNED_BY, &format!("OWNED BY {name}"), &format!("owner = {name}"));
            Some((clause, &behind[length..]))
        }
        "restart" => match accept(behind, "with") {
            (true, behind) => numbered(RESTART, "RESTART WITH", "restart", behind),
            (false, behind) => match number(text, behind) {
                Some(_) => numbered(RESTART, "RESTART WITH", "restart", behind),
                None => Some((plain(RESTART, "RESTART", "restart = none"), behind)),
            },
        },
        _ => None,
    }
}

/// Reads a number with its sign.
fn number<'a>(text: &str, rest: &'a [Lexeme]) -> Option<(String, &'a [Lexeme])> {
    let (first, behind) = rest.split_first()?;
    let (digits, behind) = match first.token {
        Token::Minus | Token::Plus => behind.split_first()?,
        _ => (first, behind),
    };
    let is_number = matches!(digits.token, Token::Number(..));
    is_number.then(|| (text[first.start..digits.end].to_owned(), behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::lexer::tokenize;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(readable(text, &tokenize(text).unwrap()).as_deref(), expected, "{text}");
    }

    #[test]
    fn clauses_of_sequences_come_into_order() {
        for (text, expected) in [
            ("create sequence s", Some("create sequence s ")),
            (
                "CREATE TEMP SEQUENCE IF NOT EXISTS a.\"B\" START 5 NO CYCLE increment -2 AS int",
                Some(
                    "CREATE TEMP SEQUENCE IF NOT EXISTS a.\"B\" AS int INCREMENT BY -2 START WITH 5 NO CYCLE",
                ),
            ),
            (
                "create sequence s owned by t.id cache 7 no minvalue maxvalue 9",
                Some("create sequence s NO MINVALUE MAXVALUE 9 CACHE 7 OWNED BY t.id"),
            ),
            ("create sequence s start 1 start 2", None),
            ("create sequence s restart", None),
            ("create sequence", None),
            ("create table sequence (a int)", None),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn changes_of_sequences_are_options() {
        for (text, expected) in [
            ("alter sequence s restart", Some("ALTER TABLE s SET (sequence_restart = none)")),
            (
                "ALTER SEQUENCE IF EXISTS a.s RESTART WITH -3 NO MAXVALUE CYCLE",
                Some(
                    "ALTER TABLE IF EXISTS a.s SET (sequence_maximum = none, sequence_cycle = yes, sequence_restart = -3)",
                ),
            ),
            (
                "alter sequence s as bigint owned by none",
                Some("ALTER TABLE s SET (sequence_type = 'bigint', sequence_owner = none)"),
            ),
            ("alter sequence s rename to t", Some("ALTER TABLE s rename to t")),
            ("alter sequence s owner to ada", None),
            ("alter sequence s", None),
            ("alter table s restart", None),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn clauses_of_identity_columns_come_into_order() {
        for (text, expected) in [
            (
                "create table t (a int generated always as identity (start 3 increment 2), b int)",
                Some(
                    "create table t (a int generated always as identity (INCREMENT BY 2 START WITH 3), b int)",
                ),
            ),
            ("create table t (a int generated by default as identity)", None),
            ("create table identity (a int)", None),
            ("create table t as select identity (1) from u", None),
        ] {
            check(text, expected);
        }
    }
}
