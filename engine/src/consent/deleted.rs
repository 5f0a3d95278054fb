//! Refusals that outlive the record which brought them.
//!
//! A feed over the current rows of a source has no answer any more of a record that is gone. Its grant goes; its refusal stays:
//! the feed is run once more over [what such records said last](crate::ingest::gone_rows), beside the current rows where it
//! does more than go through them, and what of that refuses is an answer of the feed, too. In the ledger it is marked. What is
//! marked stays until the feed grants the same to the same identifier, also when the history does not say it any more, or
//! until the feed is another one.
//!
//! So what a deletion takes out of the ledger allows nobody anything, and it need not wait for the profiles that lose the
//! record.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use datafusion::error::DataFusionError;

use super::Status;
use super::feed::{Feed, Inputs};
use super::learnt::Learnt;
use crate::catalog::{Body, Kind, Published, Source};
use crate::error::Result;
use crate::ingest::gone_rows;
use crate::query::relations::Relation;
use crate::tables;

/// The column of the ledger for what else is known of an answer, a JSON object.
const DETAILS: &str = "details";

/// How the details of an answer of a record that is gone begin. A column of a feed is a text there.
const MARK: &str = "{\"record_deleted\":true";

/// The columns that say whose answer it is and what for.
const ASKED: [&str; 3] = ["identifier_kind", "identifier", "purpose"];

/// Returns the sources that tell of deletions of those whose current rows a feed reads, by name.
pub(super) fn deleting<'a>(
    published: &'a Published,
    inputs: &Inputs,
) -> Vec<(&'a str, &'a Source)> {
    let sources = published.state.of_kind(Kind::Source).filter_map(|definition| {
        let Body::Source(source) = &definition.body else { return None };
        let is_read = inputs.relations.contains_key(&format!("sources.{}", definition.name));
        (is_read && source.deleted_when.is_some()).then_some((definition.name.as_str(), source))
    });
    sources.collect()
}

/// Returns the versions of the histories of sources that have rows.
pub(super) fn histories(
    published: &Published,
    sources: &[(&str, &Source)],
) -> BTreeMap<String, u64> {
    let paths = sources.iter().map(|(name, _)| tables::superseded_path(name));
    let has_rows =
        |path: &String| published.table(path).is_some_and(|table| !table.files.is_empty());
    paths.filter(has_rows).map(|path| (path.clone(), published.version(&path))).collect()
}

impl Feed<'_> {
    /// Adds to the answers of a feed the refusals of records that are gone. `before` are rows of the ledger whose place
    /// they take, as far as this feed gave them.
    pub(super) async fn with_refusals(
        &self,
        answers: RecordBatch,
        inputs: &Inputs,
        sources: &[(&str, &Source)],
        before: &[RecordBatch],
        now: i64,
    ) -> Result<RecordBatch> {
        let relations = self.relations_of_gone(inputs, sources).await?;
        let of_gone = match relations.is_empty() {
            true => None,
            false => Some(self.run(now, relations).await?),
        };
        let mut known = Learnt::of(std::slice::from_ref(&answers))?;
        let mut all = vec![];
        if let Some(rows) = of_gone {
            let refusals = refusals(&rows)?;
            all.push(marked(&filtered(&refusals, &known.note(&refusals)?)?)?);
        }
        let granted = granted(&answers)?;
        for rows in before {
            let kept = filtered(rows, &stays(rows, &granted)?)?;
            all.push(filtered(&kept, &known.note(&kept)?)?);
        }
        all.insert(0, answers);
        Ok(concat_batches(&tables::CONSENT_LEDGER.schema(), &all).map_err(DataFusionError::from)?)
    }

    /// Returns the relations over which a feed gives the answers of records that are gone; none if no record is.
    async fn relations_of_gone(
        &self,
        inputs: &Inputs,
        sources: &[(&str, &Source)],
    ) -> Result<Vec<Relation>> {
        let (lake, planner) = (self.engine.catalog().lake(), self.engine.planner());
        let mut relations = vec![];
        for &(name, source) in sources {
            let rows = gone_rows(lake, planner, self.published, (name, source)).await?;
            if rows.iter().all(|batch| batch.num_rows() == 0) {
                continue;
            }
            relations.extend(match inputs.row_wise {
                true => Relation::history_of_source(self.published, name, &rows)?,
                false => Relation::source_with_history(self.published, name, &rows)?,
            });
        }
        Ok(relations)
    }
}

fn filtered(rows: &RecordBatch, chosen: &BooleanArray) -> Result<RecordBatch> {
    Ok(filter_record_batch(rows, chosen).map_err(DataFusionError::from)?)
}

/// Returns the rows that refuse something. What a row lacks is no answer, and a word that nobody defined is none that allows.
fn refusals(rows: &RecordBatch) -> Result<RecordBatch> {
    let asked = texts(rows)?;
    let words = tables::texts(tables::column(rows, "status")?)?;
    let captured = tables::column(rows, "captured_at")?;
    let refuses = |row: usize| {
        let is_whole = words.is_valid(row)
            && captured.is_valid(row)
            && asked.iter().all(|column| column.is_valid(row));
        Some(is_whole && Status::of(words.value(row)) != Some(Status::Granted))
    };
    filtered(rows, &(0..rows.num_rows()).map(refuses).collect())
}

/// Marks rows as answers of records that are gone.
fn marked(rows: &RecordBatch) -> Result<RecordBatch> {
    let at = rows.schema().index_of(DETAILS).map_err(DataFusionError::from)?;
    let details = tables::texts(rows.column(at))?;
    let marked =
        details.iter().map(|details| match details.and_then(|details| details.strip_prefix('{')) {
            Some(rest) => format!("{MARK},{rest}"),
            None => format!("{MARK}}}"),
        });
    let mut columns = rows.columns().to_vec();
    columns[at] = Arc::new(StringArray::from_iter_values(marked)) as ArrayRef;
    tables::CONSENT_LEDGER.batch(columns)
}

/// Tells of each row whether it is marked and is not `granted` since.
fn stays(rows: &RecordBatch, granted: &HashSet<[String; 3]>) -> Result<BooleanArray> {
    let (asked, details) = (texts(rows)?, tables::texts(tables::column(rows, DETAILS)?)?);
    let stays = |row: usize| {
        let is_marked = details.is_valid(row) && details.value(row).starts_with(MARK);
        Some(is_marked && (granted.is_empty() || !granted.contains(&owned(&asked, row))))
    };
    Ok((0..rows.num_rows()).map(stays).collect())
}

/// Returns to whom rows grant what.
fn granted(rows: &RecordBatch) -> Result<HashSet<[String; 3]>> {
    let (asked, words) = (texts(rows)?, tables::texts(tables::column(rows, "status")?)?);
    let grants = |row: &usize| {
        words.is_valid(*row) && Status::of(words.value(*row)) == Some(Status::Granted)
    };
    Ok((0..rows.num_rows()).filter(grants).map(|row| owned(&asked, row)).collect())
}

fn texts(rows: &RecordBatch) -> Result<[StringArray; 3]> {
    let [kind, identifier, purpose] = ASKED;
    let text = |name: &str| tables::texts(tables::column(rows, name)?);
    Ok([text(kind)?, text(identifier)?, text(purpose)?])
}

fn owned(columns: &[StringArray; 3], row: usize) -> [String; 3] {
    columns.each_ref().map(|column| column.value(row).to_owned())
}

#[cfg(test)]
mod tests {
    use arrow::array::TimestampMicrosecondArray;

    use super::*;

    /// Identifier, status and details.
    type Row<'a> = (Option<&'a str>, &'a str, Option<&'a str>);

    fn ledger(rows: &[Row<'_>]) -> RecordBatch {
        let all = |text: &str| Arc::new(StringArray::from(vec![text; rows.len()])) as ArrayRef;
        let texts = |of: &dyn Fn(&Row<'_>) -> Option<String>| {
            Arc::new(rows.iter().map(of).collect::<StringArray>()) as ArrayRef
        };
        let times = TimestampMicrosecondArray::from(vec![7; rows.len()]).with_timezone("UTC");
        let times = Arc::new(times) as ArrayRef;
        let columns = vec![
            all("feed"),
            all("email"),
            texts(&|row| row.0.map(str::to_owned)),
            all("mail"),
            texts(&|row| Some(row.1.to_owned())),
            Arc::clone(&times),
            times,
            texts(&|_| None),
            texts(&|row| row.2.map(str::to_owned)),
        ];
        tables::CONSENT_LEDGER.batch(columns).unwrap()
    }

    fn told(rows: &RecordBatch) -> Vec<String> {
        let columns = ["identifier", "status", DETAILS];
        let columns =
            columns.map(|name| tables::texts(tables::column(rows, name).unwrap()).unwrap());
        let text = |column: &StringArray, row: usize| match column.is_valid(row) {
            true => column.value(row).to_owned(),
            false => "~".to_owned(),
        };
        let row = |row: usize| columns.each_ref().map(|column| text(column, row)).join(" ");
        (0..rows.num_rows()).map(row).collect()
    }

    #[test]
    fn what_refuses_is_marked() {
        let rows = ledger(&[
            (Some("a@x"), "granted", None),
            (Some("b@x"), "denied", None),
            (None, "denied", None),
            (Some("c@x"), "perhaps", Some("{\"channel\":\"web\"}")),
        ]);
        let expected = [
            "b@x denied {\"record_deleted\":true}",
            "c@x perhaps {\"record_deleted\":true,\"channel\":\"web\"}",
        ];
        assert_eq!(told(&marked(&refusals(&rows).unwrap()).unwrap()), expected);
    }

    #[test]
    fn what_is_marked_stays_until_the_same_is_granted() {
        let before = ledger(&[
            (Some("a@x"), "denied", Some("{\"record_deleted\":true}")),
            (Some("b@x"), "denied", Some("{\"record_deleted\":true}")),
            (Some("c@x"), "denied", Some("{\"record_deleted\":\"true\"}")),
            (Some("d@x"), "denied", None),
        ]);
        let now = ledger(&[(Some("a@x"), "denied", None), (Some("b@x"), "granted", None)]);
        let stay = stays(&before, &granted(&now).unwrap()).unwrap();
        let kept = told(&filtered(&before, &stay).unwrap());
        assert_eq!(kept, ["a@x denied {\"record_deleted\":true}"]);
    }
}
