//! Actions of `ALTER TABLE` about how a server keeps rows: some have nothing to do here, of others the answer says what there is in
//! their place. sqlparser reads few of them.

use sqlparser::tokenizer::Token;

use super::copy::name;
use super::cursor::Cursor;
use super::statement::Statement;

/// Actions on a table that have nothing to do.
const OF_TABLE: [&str; 6] = [
    "set logged",
    "set unlogged",
    "set without cluster",
    "set without oids",
    "cluster on",
    "replica identity",
];
/// Actions on a column that have nothing to do.
const OF_COLUMN: [&str; 3] = ["set statistics", "set storage", "set compression"];

/// Where nothing is set.
const WHOLE: &str = "Leave it out: files are written whole and never filled up.";
/// Where rows are told apart by roles.
const PURPOSES: &str =
    "Who sees whose rows is told by purposes: CREATE ROLE name ... PURPOSES (...).";
/// Where tables are made of tables.
const ONE_TABLE: &str =
    "Keep the rows in one table: files are sorted and merged in the background.";
/// Where numbers are told of.
const SEQUENCE: &str =
    "ALTER SEQUENCE changes it; pg_get_serial_sequence('table', 'column') tells its name.";

/// Actions on a table that there are not, and what to do in their place.
const NOT_OF_TABLE: [(&str, &str); 14] = [
    (
        "owner to",
        "The role that makes a relation owns it, and roles with MAY (define) may change it.",
    ),
    ("inherit", ONE_TABLE),
    ("no inherit", ONE_TABLE),
    ("attach partition", ONE_TABLE),
    ("detach partition", ONE_TABLE),
    ("set tablespace", "Leave it out: all tables lie in the lake."),
    ("set access method", "Leave it out: all tables are files of the lake."),
    ("reset", WHOLE),
    ("enable trigger", "There are no triggers."),
    (
        "disable trigger",
        "There are no triggers; SET CONSTRAINTS ALL DEFERRED lets foreign keys wait.",
    ),
    ("enable row level security", PURPOSES),
    ("disable row level security", PURPOSES),
    ("force row level security", PURPOSES),
    ("no force row level security", PURPOSES),
];
/// The same of columns.
const NOT_OF_COLUMN: [(&str, &str); 9] = [
    ("restart", SEQUENCE),
    ("set start", SEQUENCE),
    ("set increment", SEQUENCE),
    ("set minvalue", SEQUENCE),
    ("set maxvalue", SEQUENCE),
    ("set cache", SEQUENCE),
    ("set generated", "Make the table anew with the column."),
    ("drop identity", "Make the table anew with a column that is not numbered."),
    ("drop expression", "Make the table anew with a column that is not computed."),
];

/// Reads an `ALTER TABLE` with one such action; `None` for any other. The cursor stands at its start.
pub(super) fn altered(cursor: &Cursor<'_>) -> Option<Statement> {
    let mut cursor = cursor.clone();
    if !cursor.accept("alter table") {
        return None;
    }
    let may_miss = cursor.accept("if exists");
    cursor.accept("only");
    let table = name(&mut cursor).ok()?;
    cursor.accept_token(&Token::Mul);
    // Actions beside each other are read as they are.
    if cursor.tokens().iter().any(|lexeme| lexeme.token == Token::Comma) {
        return None;
    }
    let (nothing, not): (&[&str], &[(&str, &str)]) = match cursor.accept("alter") {
        false => (&OF_TABLE[..], &NOT_OF_TABLE[..]),
        true => {
            cursor.accept("column");
            name(&mut cursor).ok()?;
            (&OF_COLUMN[..], &NOT_OF_COLUMN[..])
        }
    };
    if nothing.iter().any(|words| cursor.clone().accept(words)) {
        let reads = match may_miss {
            true => vec![],
            false => vec![format!("SELECT * FROM {table} LIMIT 0")],
        };
        return Some(Statement::Tuning { tag: "ALTER TABLE", reads });
    }
    let (words, hint) = not.iter().find(|(words, _)| cursor.clone().accept(words))?;
    let what = format!("ALTER TABLE ... {}", words.to_uppercase());
    Some(Statement::Unsupported { what, hint: (*hint).to_owned() })
}

#[cfg(test)]
mod tests {
    use crate::dialect::parse;

    #[test]
    fn actions_about_how_rows_are_kept_are_told_apart() {
        for (text, expected) in [
            (
                "alter table only a.t replica identity full",
                r#"Tuning { tag: "ALTER TABLE", reads: ["SELECT * FROM \"a\".\"t\" LIMIT 0"] }"#,
            ),
            ("ALTER TABLE IF EXISTS t SET UNLOGGED", r#"Tuning { tag: "ALTER TABLE", reads: [] }"#),
            (
                "ALTER TABLE t ALTER COLUMN c SET STATISTICS 100",
                r#"Tuning { tag: "ALTER TABLE", reads: ["SELECT * FROM \"t\" LIMIT 0"] }"#,
            ),
            (
                "ALTER TABLE t ALTER c RESTART WITH 5",
                r#"Unsupported { what: "ALTER TABLE ... RESTART", hint: "ALTER SEQUENCE changes it; pg_get_serial_sequence('table', 'column') tells its name." }"#,
            ),
            (
                "ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)",
                r#"Unsupported { what: "ALTER TABLE ... ATTACH PARTITION", hint: "Keep the rows in one table: files are sorted and merged in the background." }"#,
            ),
            ("ALTER TABLE t ADD COLUMN inherit int", r#"Write { verb: "ALTER TABLE" }"#),
            ("ALTER TABLE t ALTER c SET DEFAULT 1", r#"Write { verb: "ALTER TABLE" }"#),
        ] {
            let read = parse(text).unwrap();
            assert_eq!(format!("{:?}", read[0].statement), expected, "{text}");
        }
    }
}
