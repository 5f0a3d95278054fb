//! Values to ask for: of people who may be seen, of people who may not, in either lake, and of nobody.

use std::collections::BTreeMap;

use super::random::Random;
use super::relations::{Column, Kind, Relation};
use crate::harness::Session;

/// Values kept for each column and lake.
const KEPT: usize = 40;

/// Values by relation and column.
#[derive(Default)]
pub(super) struct Literals(BTreeMap<(String, String), Vec<String>>);

impl Literals {
    /// Takes values of everybody from a lake, as somebody who sees everybody.
    pub(super) async fn add(&mut self, engineer: &Session, relations: &[Relation]) {
        for relation in relations {
            // A segment of another purpose has no rows of hidden people to offer.
            let Ok(answer) = engineer.run(&format!("SELECT * FROM {}", relation.name)).await else {
                continue;
            };
            let step = (answer.rows.len() / KEPT).max(1);
            for row in answer.rows.iter().step_by(step) {
                for (column, value) in answer.columns.iter().zip(row) {
                    if let Some(value) = value {
                        self.0
                            .entry((relation.name.clone(), column.clone()))
                            .or_default()
                            .push(value.clone());
                    }
                }
            }
        }
    }

    /// Returns a value for a column, as SQL writes it.
    pub(super) fn pick(&self, random: &mut Random, relation: &str, column: &Column) -> String {
        let values = self.0.get(&(relation.to_owned(), column.name.clone()));
        match values {
            Some(values) if !random.one_in(12) => {
                written(column, &values[random.below(values.len())])
            }
            _ => match column.kind {
                Kind::Whole | Kind::Number => "42".to_owned(),
                Kind::Time => written(column, "2026-06-01 00:00:00+00"),
                Kind::Text | Kind::Other => written(column, "nobody has this"),
            },
        }
    }

    /// Returns a text of some column, or of nobody.
    pub(super) fn text(&self, random: &mut Random, relation: &str, column: &str) -> String {
        let values = self.0.get(&(relation.to_owned(), column.to_owned()));
        let text = values.map_or("nobody has this", |values| &values[random.below(values.len())]);
        text.replace('\'', "''")
    }
}

fn written(column: &Column, value: &str) -> String {
    match column.kind {
        Kind::Whole | Kind::Number => value.to_owned(),
        Kind::Time => format!("CAST('{value}' AS {})", column.data_type),
        Kind::Text | Kind::Other => format!("'{}'", value.replace('\'', "''")),
    }
}
