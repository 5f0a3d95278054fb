//! The rows of the answer, as a person reads them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, Int64Builder, ListBuilder, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;

use crate::error::Result;

/// Samples of a kind at most.
pub(super) const SAMPLES_MAX: usize = 20;

/// Profiles that a row names at most.
pub(super) const PROFILES_MAX: usize = 10;

/// A figure, or a sample of what a figure counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    kind: &'static str,
    figure: Option<usize>,
    profiles: Vec<i64>,
    rule: Option<String>,
    detail: Option<String>,
}

impl Line {
    pub(super) fn figure(kind: &'static str, figure: usize) -> Self {
        Self { figure: Some(figure), ..Self::sample(kind) }
    }

    pub(super) fn sample(kind: &'static str) -> Self {
        Self { kind, figure: None, profiles: vec![], rule: None, detail: None }
    }

    /// Names profiles, each once and no more than [`PROFILES_MAX`].
    pub(super) fn of(mut self, profiles: impl IntoIterator<Item = i64>) -> Self {
        for profile in profiles {
            if self.profiles.len() < PROFILES_MAX && !self.profiles.contains(&profile) {
                self.profiles.push(profile);
            }
        }
        self
    }

    pub(super) fn by(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }

    pub(super) fn told(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Returns the columns of the answer to `EXPLAIN IMPACT`.
pub fn columns() -> SchemaRef {
    let ids = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    Arc::new(Schema::new(vec![
        Field::new("kind", DataType::Utf8, true),
        Field::new("figure", DataType::Int64, true),
        Field::new("profile_ids", ids, true),
        Field::new("rule", DataType::Utf8, true),
        Field::new("detail", DataType::Utf8, true),
    ]))
}

pub(super) fn batch(lines: &[Line]) -> Result<RecordBatch> {
    let mut profiles = ListBuilder::new(Int64Builder::new());
    for line in lines {
        line.profiles.iter().for_each(|profile| profiles.values().append_value(*profile));
        profiles.append(!line.profiles.is_empty());
    }
    let texts = |of: fn(&Line) -> Option<&str>| -> ArrayRef {
        Arc::new(lines.iter().map(of).collect::<StringArray>())
    };
    let figures = lines.iter().map(|line| i64::try_from(line.figure?).ok());
    let columns: Vec<ArrayRef> = vec![
        texts(|line| Some(line.kind)),
        Arc::new(figures.collect::<Int64Array>()),
        Arc::new(profiles.finish()),
        texts(|line| line.rule.as_deref()),
        texts(|line| line.detail.as_deref()),
    ];
    Ok(RecordBatch::try_new(self::columns(), columns).map_err(DataFusionError::from)?)
}

/// Takes from each group in turn, until there are [`SAMPLES_MAX`]: what is rare is shown beside what is frequent.
pub(super) fn spread<T>(groups: impl IntoIterator<Item = Vec<T>>) -> Vec<T> {
    let mut groups: Vec<_> = groups.into_iter().map(Vec::into_iter).collect();
    let mut chosen = Vec::new();
    loop {
        let had = chosen.len();
        chosen.extend(groups.iter_mut().filter_map(Iterator::next));
        if chosen.len() == had || chosen.len() >= SAMPLES_MAX {
            chosen.truncate(SAMPLES_MAX);
            return chosen;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rare_is_shown_beside_what_is_frequent() {
        let chosen = spread([(0..100).collect::<Vec<u32>>(), vec![1_000], vec![]]);
        assert_eq!(chosen.len(), SAMPLES_MAX);
        assert_eq!(chosen[..4], [0, 1_000, 1, 2]);
        assert_eq!(spread([Vec::<u32>::new()]), [] as [u32; 0]);
    }
}
