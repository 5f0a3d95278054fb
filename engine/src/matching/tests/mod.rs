//! Tests of the matcher as a whole: a small town with families, and laws that hold for any records.

mod labels;
mod properties;
mod stories;
pub(crate) mod town;

use super::{
    Batch, Clusters, Form, Kind, Matcher, Model, Options, Overrides, PersonField, Records,
};

/// Fields of a record, in the order of [`FIELDS`], then e-mail, phone, card and device; empty where nothing is said.
type Row = [&'static str; 10];

const FIELDS: [PersonField; 6] = [
    PersonField::FirstName,
    PersonField::LastName,
    PersonField::BirthDate,
    PersonField::Street,
    PersonField::PostalCode,
    PersonField::City,
];

fn kinds() -> Vec<Kind> {
    [("email", Form::Email), ("phone", Form::Phone), ("card", Form::Code), ("device", Form::Opaque)]
        .map(|(name, form)| Kind { name: name.to_owned(), form })
        .into()
}

fn records<T: AsRef<str>>(keyed: &[(u64, [T; 10])], per_batch: usize) -> Records {
    let mut records = Records::new(kinds()).unwrap();
    for rows in keyed.chunks(per_batch) {
        let column = |at: usize| {
            let texts = rows.iter().map(|(_, row)| row[at].as_ref());
            texts.map(|text| (!text.is_empty()).then_some(text)).collect::<Vec<_>>()
        };
        let mut batch =
            Batch { keys: rows.iter().map(|(key, _)| *key).collect(), ..Batch::default() };
        for (at, field) in FIELDS.into_iter().enumerate() {
            batch.person[field as usize] = column(at);
        }
        batch.person[PersonField::Country as usize] = vec![Some("PL"); rows.len()];
        batch.identifiers = (FIELDS.len()..10).map(column).collect();
        records.add(&batch, 2);
    }
    records.sort(2);
    records
}

/// Trains on records and clusters them. Returns the model, the clusters, and for each key the key of its cluster's first
/// record.
fn resolve(records: &Records, threads: usize) -> (Model, Clusters, Vec<(u64, u64)>) {
    let matcher = Matcher::new(records, Options { threads, ..Options::default() });
    let model = matcher.train();
    let clusters = matcher.cluster(&model, matcher.edges(&model), &Overrides::default());
    let keys = (0..).zip(&clusters.roots).map(|(row, root)| (records.key(row), records.key(*root)));
    let keys = keys.collect();
    (model, clusters, keys)
}
