//! Sequences, which give each number once, and the columns of tables whose rows are numbered by them.
//!
//! What a sequence is stands in the catalog document, and changes with the transaction that changes it. Which number it gave
//! last does not: that is kept beside the document, under [`AnalyticsSequence::key`].

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::analytics::{AnalyticsBody, AnalyticsRelation, keyed, placed};
use super::state::CatalogState;

/// Bytes of a name at most, as in PostgreSQL.
const NAME_BYTES_MAX: usize = 63;

/// The type of the numbers of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WholeNumber {
    /// 16 bits.
    Smallint,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Bigint,
}

impl WholeNumber {
    /// Returns its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            WholeNumber::Smallint => "smallint",
            WholeNumber::Integer => "integer",
            WholeNumber::Bigint => "bigint",
        }
    }

    /// Returns the type with a name of SQL or of PostgreSQL's own.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "smallint" | "int2" => Some(WholeNumber::Smallint),
            "integer" | "int" | "int4" => Some(WholeNumber::Integer),
            "bigint" | "int8" => Some(WholeNumber::Bigint),
            _ => None,
        }
    }

    /// Returns its least and its greatest number.
    pub fn range(self) -> (i64, i64) {
        match self {
            WholeNumber::Smallint => (i16::MIN.into(), i16::MAX.into()),
            WholeNumber::Integer => (i32::MIN.into(), i32::MAX.into()),
            WholeNumber::Bigint => (i64::MIN, i64::MAX),
        }
    }
}

/// The numbers that a sequence gives, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRange {
    /// Their type.
    pub data_type: WholeNumber,
    /// The first one.
    pub start: i64,
    /// From one to the next; never 0.
    pub increment: i64,
    /// The least one.
    pub minimum: i64,
    /// The greatest one.
    pub maximum: i64,
    /// How many are set aside at a time.
    pub cache: i64,
    /// Whether it begins anew behind the last one.
    pub cycle: bool,
}

impl SequenceRange {
    /// Returns the numbers from 1 on.
    pub fn ascending(data_type: WholeNumber) -> Self {
        let (start, increment, minimum, maximum) = (1, 1, 1, data_type.range().1);
        Self { data_type, start, increment, minimum, maximum, cache: 1, cycle: false }
    }

    /// Returns the number behind `last`; `None` if that was the last one.
    pub fn next(&self, last: i64) -> Option<i64> {
        let next = last.checked_add(self.increment);
        match self.increment > 0 {
            true => next
                .filter(|next| *next <= self.maximum)
                .or_else(|| self.cycle.then_some(self.minimum)),
            false => next
                .filter(|next| *next >= self.minimum)
                .or_else(|| self.cycle.then_some(self.maximum)),
        }
    }
}

/// A sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyticsSequence {
    /// The number that tells it from all others, also from those that were.
    pub number: u64,
    /// Which statement has made it begin anew, as a number that no other one has, also where it was rolled back; 0 for none.
    #[serde(default)]
    pub restarts: u64,
    /// The number that it began with then.
    pub first: i64,
    /// The numbers that it gives.
    pub range: SequenceRange,
    /// The column that it goes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<SequenceOwner>,
}

impl AnalyticsSequence {
    /// Returns what its last number is kept under.
    pub fn key(&self) -> String {
        format!("{}.{}", self.number, self.restarts)
    }

    /// Tells whether it goes with the column of a table.
    pub fn is_of(&self, table: &str, column: &str) -> bool {
        let owner = self.owned_by.as_ref();
        owner.is_some_and(|owner| owner.table == table && owner.column == column)
    }
}

/// The column that a sequence goes with: both are dropped together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceOwner {
    /// What its table is kept under.
    pub table: String,
    /// Its name.
    pub column: String,
    /// Whether the sequence is a part of the column, as that of an identity column is.
    pub identity: bool,
}

/// Who numbers the rows of an identity column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The sequence alone.
    Always,
    /// The sequence, unless rows bring numbers.
    ByDefault,
}

/// How the rows of a column are numbered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedColumn {
    /// What its sequence is kept under.
    pub sequence: String,
    /// Set for an identity column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// Reads numbered columns; documents of earlier versions list their names, and have no sequences.
pub(super) fn named_or_listed<'de, D: Deserializer<'de>>(
    columns: D,
) -> Result<BTreeMap<String, NumberedColumn>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Columns {
        Named(BTreeMap<String, NumberedColumn>),
        Listed(Vec<String>),
    }
    let unknown = || NumberedColumn { sequence: String::new(), identity: None };
    Ok(match Columns::deserialize(columns)? {
        Columns::Named(columns) => columns,
        Columns::Listed(names) => names.into_iter().map(|name| (name, unknown())).collect(),
    })
}

/// Returns the name that PostgreSQL makes up for what belongs to columns of a table: of the table, the columns and `label`,
/// cut to what a name may have.
pub fn object_name(table: &str, columns: &str, label: &str) -> String {
    let room = NAME_BYTES_MAX.saturating_sub(label.len() + 1 + usize::from(!columns.is_empty()));
    let (mut of_table, mut of_columns) = (table.len(), columns.len());
    while of_table + of_columns > room {
        if of_table > of_columns { of_table -= 1 } else { of_columns -= 1 }
    }
    match columns.is_empty() {
        true => format!("{}_{label}", cut(table, of_table)),
        false => format!("{}_{}_{label}", cut(table, of_table), cut(columns, of_columns)),
    }
}

/// Returns as much of a text as whole letters fit into `bytes`.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns what the sequence of a column of a table is kept under, beside those that are taken.
pub fn sequence_of(table: &str, column: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let (schema, table) = placed(table);
    let named = |label: &str| keyed(schema, &object_name(table, column, label));
    let mut name = named("seq");
    let mut pass = 0;
    while is_taken(&name) {
        pass += 1;
        name = named(&format!("seq{pass}"));
    }
    name
}

impl CatalogState {
    /// Returns the sequence that is kept under `name`.
    pub fn sequence(&self, name: &str) -> Option<&AnalyticsSequence> {
        self.analytics.get(name).and_then(AnalyticsRelation::sequence)
    }

    /// Returns what the sequences are kept under that go with a table.
    pub fn sequences_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a String> {
        let is_owned = move |relation: &AnalyticsRelation| {
            let owner = relation.sequence().and_then(|sequence| sequence.owned_by.as_ref());
            owner.is_some_and(|owner| owner.table == table)
        };
        self.analytics.iter().filter(move |(_, one)| is_owned(one)).map(|(name, _)| name)
    }

    /// Returns the columns whose rows a sequence numbers, each with what its table is kept under.
    pub fn numbered_by<'a>(
        &'a self,
        sequence: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a String)> {
        self.analytics.iter().flat_map(move |(table, relation)| {
            let columns = relation.table().into_iter().flat_map(|table| &table.numbered);
            let numbered = columns.filter(move |(_, column)| column.sequence == sequence);
            numbered.map(move |(column, _)| (table, column))
        })
    }

    /// Gives the numbered columns of earlier documents, which have no sequences, sequences of their own.
    pub(super) fn add_sequences(&mut self) {
        let is_without = |column: &NumberedColumn| column.sequence.is_empty();
        let mut without: Vec<(String, String)> = vec![];
        for (name, relation) in &self.analytics {
            let columns = relation.table().into_iter().flat_map(|table| &table.numbered);
            let columns = columns.filter(|(_, column)| is_without(column));
            without.extend(columns.map(|(column, _)| (name.clone(), column.clone())));
        }
        for (table, column) in without {
            let name = sequence_of(&table, &column, |name| self.analytics.contains_key(name));
            let Some(relation) = self.analytics.get_mut(&table) else { continue };
            let AnalyticsBody::Table(numbered) = &mut relation.body else { continue };
            let by = NumberedColumn { sequence: name.clone(), identity: None };
            numbered.numbered.insert(column.clone(), by);
            self.analytics_made += 1;
            let range = SequenceRange::ascending(WholeNumber::Bigint);
            let sequence = AnalyticsSequence {
                number: self.analytics_made,
                restarts: 0,
                first: range.start,
                range,
                owned_by: Some(SequenceOwner { table, column, identity: false }),
            };
            let relation = AnalyticsRelation {
                owner: relation.owner.clone(),
                comment: None,
                column_comments: BTreeMap::new(),
                body: AnalyticsBody::Sequence(sequence),
            };
            self.analytics.insert(name, relation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_up_as_postgres_makes_them_up() {
        assert_eq!(object_name("tickets", "id", "seq"), "tickets_id_seq");
        let long = object_name(&"t".repeat(60), &"c".repeat(60), "seq");
        assert_eq!(long, format!("{}_{}_seq", "t".repeat(29), "c".repeat(29)));
        let long = object_name(&"t".repeat(63), "id", "key");
        assert_eq!(long, format!("{}_id_key", "t".repeat(56)));
        assert_eq!(object_name(&"ł".repeat(40), "x", "seq").len(), 62);
        assert_eq!(object_name("tickets", "", "pkey"), "tickets_pkey");
        assert_eq!(object_name(&"t".repeat(63), "", "pkey"), format!("{}_pkey", "t".repeat(58)));
        let taken = ["marts.t_id_seq", "marts.t_id_seq1"];
        let name = sequence_of("marts.t", "id", |name| taken.contains(&name));
        assert_eq!(name, "marts.t_id_seq2");
    }

    #[test]
    fn numbers_come_in_their_order_and_end_or_begin_anew() {
        let up = SequenceRange { maximum: 3, ..SequenceRange::ascending(WholeNumber::Smallint) };
        assert_eq!([up.next(1), up.next(2), up.next(3)], [Some(2), Some(3), None]);
        let round = SequenceRange { cycle: true, minimum: -1, increment: 2, ..up };
        assert_eq!([round.next(1), round.next(2), round.next(3)], [Some(3), Some(-1), Some(-1)]);
        let down = SequenceRange { increment: -5, maximum: -1, minimum: -9, ..round };
        assert_eq!([down.next(-1), down.next(-6)], [Some(-6), Some(-1)]);
        let all = SequenceRange::ascending(WholeNumber::Bigint);
        assert_eq!([all.next(i64::MAX - 1), all.next(i64::MAX)], [Some(i64::MAX), None]);
    }

    #[test]
    fn numbered_columns_of_earlier_documents_get_sequences() {
        let text = r#"{"path":"analytics/1","purpose":null,"of_persons":false,"not_null":["id"],"numbered":["id"]}"#;
        let mut state = CatalogState::new([0; 16]);
        state.analytics_made = 1;
        let relation = AnalyticsRelation {
            owner: "ada".into(),
            comment: None,
            column_comments: BTreeMap::new(),
            body: AnalyticsBody::Table(serde_json::from_str(text).unwrap()),
        };
        state.analytics.insert("t".into(), relation);
        let state = CatalogState::from_bytes(&state.to_bytes().unwrap()).unwrap();
        let sequence = state.sequence("t_id_seq").unwrap();
        assert!(sequence.is_of("t", "id"));
        assert_eq!((sequence.key(), state.analytics_made), ("2.0".into(), 2));
        assert_eq!(state.sequences_of("t").collect::<Vec<_>>(), ["t_id_seq"]);
        let numbered: Vec<_> = state.numbered_by("t_id_seq").collect();
        assert_eq!(numbered, [(&"t".to_owned(), &"id".to_owned())]);
        assert_eq!(CatalogState::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
    }
}
