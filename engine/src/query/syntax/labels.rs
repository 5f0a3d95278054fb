//! Which keywords may name a column or a relation without `AS` in front of them.
//!
//! sqlparser takes some that PostgreSQL does not, such as `SELECT 5 within`, and refuses words that are keywords of other databases
//! alone, such as `SELECT 5 top`.

use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_TABLE_ALIAS};

/// What names a column behind `AS` only: what `pg_get_keywords()` says of no other keyword.
const BEHIND_AS: [Keyword; 38] = [
    Keyword::ARRAY,
    Keyword::AS,
    Keyword::CHAR,
    Keyword::CHARACTER,
    Keyword::CREATE,
    Keyword::DAY,
    Keyword::EXCEPT,
    Keyword::FETCH,
    Keyword::FILTER,
    Keyword::FOR,
    Keyword::FROM,
    Keyword::GRANT,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::HOUR,
    Keyword::INTERSECT,
    Keyword::INTO,
    Keyword::LIMIT,
    Keyword::MINUTE,
    Keyword::MONTH,
    Keyword::NOTNULL,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::ORDER,
    Keyword::OVER,
    Keyword::OVERLAPS,
    Keyword::PRECISION,
    Keyword::RETURNING,
    Keyword::SECOND,
    Keyword::TO,
    Keyword::UNION,
    Keyword::VARYING,
    Keyword::WHERE,
    Keyword::WINDOW,
    Keyword::WITH,
    Keyword::WITHIN,
    Keyword::WITHOUT,
    Keyword::YEAR,
];

/// Names of relations to PostgreSQL, of which sqlparser keeps clauses of other databases apart. `PIVOT` and `UNPIVOT` are none of
/// them: there it would take the brackets of a list of columns for such a clause. `QUALIFY` is a clause here, too.
const RELATIONS: [Keyword; 22] = [
    Keyword::ANTI,
    Keyword::ASOF,
    Keyword::CLUSTER,
    Keyword::CONNECT,
    Keyword::DISTRIBUTE,
    Keyword::EXPLAIN,
    Keyword::FORMAT,
    Keyword::GLOBAL,
    Keyword::MATCH_CONDITION,
    Keyword::MATCH_RECOGNIZE,
    Keyword::MINUS,
    Keyword::OPEN,
    Keyword::OUTPUT,
    Keyword::PARTITION,
    Keyword::PREWHERE,
    Keyword::SAMPLE,
    Keyword::SEMI,
    Keyword::SETTINGS,
    Keyword::SORT,
    Keyword::START,
    Keyword::TOP,
    Keyword::VIEW,
];

/// Tells whether a keyword, or what is none, names a column that it stands behind.
pub(super) fn names_column(word: Keyword) -> bool {
    !BEHIND_AS.contains(&word)
}

/// The same of a relation.
pub(super) fn names_relation(word: Keyword) -> bool {
    !RESERVED_FOR_TABLE_ALIAS.contains(&word) || RELATIONS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::super::statements;

    #[test]
    fn keywords_name_what_they_stand_behind_as_in_postgresql() {
        for (sql, as_written) in [
            ("SELECT 5 top, 6 end, 7 select", "SELECT 5 AS top, 6 AS end, 7 AS select"),
            ("SELECT a values FROM t view", "SELECT a AS values FROM t AS view"),
            (
                "SELECT 1 FROM t minus JOIN u start ON true",
                "SELECT 1 FROM t AS minus JOIN u AS start ON true",
            ),
        ] {
            let read = statements(sql).map(|read| read[0].to_string().replace(" AS ", " "));
            let wanted = statements(as_written).unwrap()[0].to_string().replace(" AS ", " ");
            assert_eq!(read, Ok(wanted), "{sql}");
        }
        for refused in ["SELECT 5 within", "SELECT 5 day", "SELECT 5 over", "SELECT 5 precision"] {
            assert!(statements(refused).is_err(), "{refused}");
        }
    }
}
