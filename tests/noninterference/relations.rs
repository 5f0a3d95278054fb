//! What the analyst can ask about: the relations and columns that both servers show, with the kind of each column.

use super::random::Random;
use crate::harness::Session;

/// Columns that say when a lake took a row in, or a segment a member: they tell of the clock, and differ between lakes.
const CLOCK: [&str; 4] = ["entered_at", "exited_at", "first_seen_at", "observed_at"];

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A whole number.
    Whole,
    /// A decimal or floating-point number.
    Number,
    /// A text.
    Text,
    /// A point in time or a date.
    Time,
    /// Anything else.
    Other,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// Its kind.
    pub(super) kind: Kind,
    /// Its type, as SQL writes it.
    pub(super) data_type: String,
}

/// A relation of persons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    /// Schema and name.
    pub(super) name: String,
    /// Its columns.
    pub(super) columns: Vec<Column>,
}

impl Relation {
    /// Reads the relations that a session can see.
    pub(super) async fn all(session: &Session) -> Vec<Relation> {
        let rows = session
            .rows(
                "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns \
                 WHERE table_schema IN ('public', 'sources', 'segments') ORDER BY 1, 2, ordinal_position",
            )
            .await;
        let mut relations: Vec<Relation> = Vec::new();
        for row in rows {
            let mut row = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || row.next().unwrap();
            let (schema, table, name, data_type) = (next(), next(), next(), next());
            let relation = format!("{schema}.{table}");
            if relations.last().is_none_or(|last| last.name != relation) {
                relations.push(Relation { name: relation, columns: Vec::new() });
            }
            if CLOCK.contains(&name.as_str()) {
                continue;
            }
            let kind = kind_of(&data_type);
            relations.last_mut().unwrap().columns.push(Column { name, kind, data_type });
        }
        assert!(
            relations.iter().any(|relation| relation.name == "public.profiles"),
            "{relations:?}"
        );
        relations
            .retain(|relation| relation.columns.iter().any(|column| column.name == "profile_id"));
        relations
    }

    /// Returns a column of one of these kinds, if there is one.
    pub(super) fn column(&self, random: &mut Random, kinds: &[Kind]) -> Option<&Column> {
        let of_kind: Vec<&Column> =
            self.columns.iter().filter(|column| kinds.contains(&column.kind)).collect();
        (!of_kind.is_empty()).then(|| *random.pick(&of_kind))
    }
}

fn kind_of(data_type: &str) -> Kind {
    match data_type {
        "bigint" | "integer" | "smallint" => Kind::Whole,
        "numeric" | "double precision" | "real" => Kind::Number,
        "text" | "character varying" | "jsonb" | "json" => Kind::Text,
        "timestamp with time zone" | "timestamp without time zone" | "date" => Kind::Time,
        _ => Kind::Other,
    }
}
