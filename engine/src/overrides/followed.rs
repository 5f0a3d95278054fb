//! What the rows of identity overrides that are followed said last, as the lake keeps it.
//!
//! A row is kept as the query gave it, so that one that cannot be understood is shown for what it is. It says something of
//! two records if it names both and its decision is one; what it says counts while the sources of both are defined. Each file
//! of the table holds the rows of one definition.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::ScalarValue;

use super::REASON_BYTES_MAX;
use super::answers::Answer;
use crate::catalog::{CatalogState, Coverage, Kind, Published};
use crate::error::Result;
use crate::identity::{Origin, Override};
use crate::lake::{FileEntry, Lake, TableSnapshot};
use crate::tables;

/// What a row says: source, key, source and key of two records, the decision, why, and who decided.
pub(super) type Said = [Option<String>; 7];

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    /// The definition whose row it is.
    pub(super) definition: String,
    pub(super) said: Said,
    /// When it was seen first since it was not there.
    pub(super) at: i64,
}

impl Followed {
    /// Returns what the row says of two records, if it can be understood.
    pub(super) fn says(&self) -> Option<Override> {
        if self.said.iter().flatten().any(|text| text.len() > REASON_BYTES_MAX) {
            return None;
        }
        let [source, key, other_source, other_key, decision, reason, _] =
            self.said.each_ref().map(Option::as_deref);
        let records = [(source?, key?), (other_source?, other_key?)];
        let answer = Answer::about_records(records, decision?, reason.unwrap_or_default()).ok()?;
        let [left, right] = answer.pair.records().clone();
        let origin = Origin::Followed(self.definition.clone());
        Some(Override { origin, decided: answer.decided, left, right })
    }
}

/// Tells whether the sources of both records are defined.
pub(super) fn knows_sources(pair: &Override, state: &CatalogState) -> bool {
    [&pair.left, &pair.right]
        .into_iter()
        .all(|record| state.get(Kind::Source, &record.source).is_some())
}

/// Returns what the graph is to be made with: of rows that say the same one.
pub(super) fn overrides(rows: &[Followed], state: &CatalogState) -> Vec<Override> {
    let said = rows.iter().filter_map(Followed::says);
    let mut said: Vec<Override> = said.filter(|pair| knows_sources(pair, state)).collect();
    said.sort_unstable();
    said.dedup();
    said
}

/// Reads the rows of all definitions as they are published.
pub(super) async fn read(lake: &Lake, published: &Published) -> Result<Vec<Followed>> {
    match published.table(tables::FOLLOWED_OVERRIDES.path) {
        Some(table) => read_files(lake, &table.files).await,
        None => Ok(vec![]),
    }
}

/// Reads the rows as they were when `covered` was computed; as they are if that is not known any more.
pub(super) async fn read_covered(
    lake: &Lake,
    published: &Published,
    covered: &Coverage,
) -> Result<Vec<Followed>> {
    let path = tables::FOLLOWED_OVERRIDES.path;
    let Some(version) = covered.inputs.get(path) else { return Ok(vec![]) };
    if *version != published.version(path)
        && let Some(table) = published.tables().find(|table| table.path() == path)
        && let Ok(then) = table.snapshot_at(*version).await
        && let Ok(rows) = read_files(lake, &then.files).await
    {
        return Ok(rows);
    }
    read(lake, published).await
}

/// Reads the rows of these files.
pub(super) async fn read_files(lake: &Lake, files: &[FileEntry]) -> Result<Vec<Followed>> {
    let layout = &tables::FOLLOWED_OVERRIDES;
    let schema = layout.schema();
    let mut rows = Vec::new();
    for file in files {
        for batch in crate::table_read::read_file(lake, layout.path, file, &schema).await? {
            take(&batch, &mut rows)?;
        }
    }
    Ok(rows)
}

fn take(batch: &RecordBatch, rows: &mut Vec<Followed>) -> Result<()> {
    let texts = (0..8).map(|column| tables::texts(batch.column(column)));
    let texts: Vec<StringArray> = texts.collect::<Result<_>>()?;
    let times = batch.column(8).as_primitive::<TimestampMicrosecondType>();
    for row in 0..batch.num_rows() {
        let text = |column: usize| {
            texts[column].is_valid(row).then(|| texts[column].value(row).to_owned())
        };
        rows.push(Followed {
            definition: text(0).unwrap_or_default(),
            said: std::array::from_fn(|at| text(at + 1)),
            at: times.value(row),
        });
    }
    Ok(())
}

/// Returns the rows as a batch of their table.
pub(super) fn batch(rows: &[Followed]) -> Result<RecordBatch> {
    let names = rows.iter().map(|row| row.definition.as_str());
    let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from_iter_values(names))];
    for at in 0..7 {
        let texts = rows.iter().map(|row| row.said[at].as_deref());
        columns.push(Arc::new(texts.collect::<StringArray>()));
    }
    let times = rows.iter().map(|row| row.at);
    columns.push(Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")));
    tables::FOLLOWED_OVERRIDES.batch(columns)
}

/// Returns the files with the rows of one definition.
pub(super) fn files_of(table: &TableSnapshot, definition: &str) -> Vec<FileEntry> {
    let of = |file: &&FileEntry| definition_of(file).as_deref() == Some(definition);
    table.files.iter().filter(of).cloned().collect()
}

/// Returns the definition whose rows a file holds.
pub(super) fn definition_of(file: &FileEntry) -> Option<String> {
    match file.bounds.first()?.min.as_ref()? {
        ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name)) => Some(name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Decided;

    fn row(said: [&str; 7]) -> Followed {
        let said = said.map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
        Followed { definition: "desk".into(), said, at: 7 }
    }

    #[test]
    fn a_row_says_something_if_it_names_two_records_and_a_decision() {
        let said = row(["shop", "7", "crm", "C-1", " Same ", "they called", "ada"]).says().unwrap();
        let names = [&said.left, &said.right].map(|record| (&*record.source, &*record.key));
        assert_eq!((said.decided, names), (Decided::MustLink, [("crm", "C-1"), ("shop", "7")]));
        assert_eq!(said.origin.to_string(), "desk");
        let turned = row(["crm", "C-1", "shop", "7", "same", "", ""]).says().unwrap();
        assert_eq!(turned, said, "which is left and why it is said makes no other override");
        let long = "x".repeat(REASON_BYTES_MAX + 1);
        for nothing in [
            ["", "7", "crm", "C-1", "same", "", ""],
            ["shop", "7", "crm", "", "same", "", ""],
            ["shop", "7", "crm", "C-1", "", "", ""],
            ["shop", "7", "crm", "C-1", "perhaps", "", ""],
            ["shop", "7", "shop", "7", "different", "", ""],
            ["shop", long.as_str(), "crm", "C-1", "same", "", ""],
            ["shop", "7", "crm", "C-1", "same", long.as_str(), ""],
            ["shop", "7", "crm", "C-1", "same", "", long.as_str()],
        ] {
            assert_eq!(row(nothing).says(), None, "{nothing:?}");
        }
    }

    #[test]
    fn rows_are_kept_as_they_are() {
        let rows = [
            row(["shop", "7", "crm", "C-1", "same", "they called", "ada"]),
            row(["", "", "", "", "perhaps", "", ""]),
        ];
        let mut read = Vec::new();
        take(&batch(&rows).unwrap(), &mut read).unwrap();
        let kept = |rows: &[Followed]| -> Vec<(String, Said, i64)> {
            rows.iter().map(|row| (row.definition.clone(), row.said.clone(), row.at)).collect()
        };
        assert_eq!(kept(&read), kept(&rows));
    }
}
