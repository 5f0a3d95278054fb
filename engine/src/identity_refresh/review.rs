//! The rows of what is worth a look, as they follow from the resolver.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};

use super::rows::Ids;
use super::*;
use crate::identity::probability_of;
use crate::overrides::RecordPair;

impl Memory {
    /// The pairs of records of these profiles, which ascend, that are worth a look. The first record of each pair stands left.
    pub(super) fn review_rows(&self, ids: &Ids<'_>, anchors: &[u32]) -> Result<RecordBatch> {
        let (mut subject, mut profile, mut other) =
            (Int64Builder::new(), Int64Builder::new(), Int64Builder::new());
        let mut texts: [StringBuilder; 9] = std::array::from_fn(|_| StringBuilder::new());
        let (mut bits, mut probability) = (Float64Builder::new(), Float64Builder::new());
        let (mut records, mut usefulness) = (Int64Builder::new(), Float64Builder::new());
        let mut at = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        for found in self.resolver.review(anchors) {
            let (Some(left), Some(right)) = (self.record(found.left), self.record(found.right))
            else {
                continue;
            };
            subject.append_value(i64::from(found.anchor));
            let pair = RecordPair::of(left, right);
            let shown = [
                Some(pair.text()),
                Some(found.question.word().to_owned()),
                found.reason.map(str::to_owned),
                Some(found.rule),
                Some(found.agreement),
            ];
            let [first, second] = pair.records();
            let names = [&first.source, &first.key, &second.source, &second.key];
            let names = names.map(|name| Some(name.clone()));
            let all = shown.into_iter().chain(names);
            texts.iter_mut().zip(all).for_each(|(column, text)| column.append_option(text));
            profile.append_value(ids(found.anchor));
            other.append_option(found.other.map(ids));
            bits.append_option(found.bits);
            probability.append_option(found.bits.map(probability_of));
            records.append_value(i64::from(found.records));
            usefulness.append_value(found.usefulness);
            at.append_value(
                self.seen[found.left as usize].at.max(self.seen[found.right as usize].at),
            );
        }
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(subject.finish()), Arc::new(profile.finish()), Arc::new(other.finish())];
        columns.extend(texts.map(|mut column| Arc::new(column.finish()) as ArrayRef));
        columns.extend([
            Arc::new(bits.finish()) as ArrayRef,
            Arc::new(probability.finish()),
            Arc::new(records.finish()),
            Arc::new(usefulness.finish()),
            Arc::new(at.finish()),
        ]);
        tables::IDENTITY_REVIEW.batch(columns)
    }
}
