//! Which subjects the rows of records say that stand: of several versions of a record the newest.
//!
//! Ingest decides which version stands, and a row that comes back has the subject that it had. So it follows from the current
//! rows and from nothing else. Each file is read once, and one that was rewritten anew.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::Memory;
use crate::catalog::{Body, Coverage, Kind, Published, Shape};
use crate::error::Result;
use crate::lake::{FileEntry, Lake, TableSnapshot};
use crate::query::governed::SUBJECT;
use crate::tables;

impl Memory {
    /// Tells the resolver which versions of records stand, now or at `covered`, and when its subjects were last seen, if it
    /// asks for that.
    pub(super) async fn see(
        &mut self,
        lake: &Lake,
        published: &Published,
        covered: Option<&Coverage>,
    ) -> Result<()> {
        let standing = self.standing.read(lake, published, covered).await?;
        let deleting = deleting(published);
        self.resolver.set_deleting(|source| deleting.contains(source));
        self.resolver.set_standing(standing);
        if let Some(sightings) = &mut self.sightings {
            self.resolver.set_last_seen(&sightings.last(lake, published).await?);
        }
        Ok(())
    }
}

/// The subjects of the rows of each file that was read.
#[derive(Default)]
pub(super) struct Standing {
    files: HashMap<String, Vec<u32>>,
}

impl Standing {
    /// Tells of each subject whether a row says it, as they are published or as they were at `covered`; those that are left
    /// out are said by none.
    pub(super) async fn read(
        &mut self,
        lake: &Lake,
        published: &Published,
        covered: Option<&Coverage>,
    ) -> Result<Vec<bool>> {
        let paths: Vec<String> = record_tables(published).collect();
        if let Some(covered) = covered {
            let mut tables = Vec::new();
            for path in &paths {
                tables.extend(at_covered(published, covered, path).await);
            }
            // Files of then may be gone by now: then what is made of those of now is told apart from what was there.
            if let Ok(standing) = self.of(lake, tables).await {
                return Ok(standing);
            }
        }
        let tables = paths.into_iter().filter_map(|path| {
            let table = published.table(&path)?;
            Some((path, table))
        });
        self.of(lake, tables.collect()).await
    }

    /// Tells whether rows of these tables say the same subjects as at `covered`, though they were written anew; not if that is
    /// not known any more.
    pub(super) async fn is_as_covered(
        &mut self,
        lake: &Lake,
        published: &Published,
        covered: &Coverage,
        paths: &[String],
    ) -> bool {
        for path in paths {
            let table = published.tables().find(|table| table.path() == path.as_str());
            let (Some(table), Some(version), Some(now)) =
                (table, covered.inputs.get(path), published.table(path))
            else {
                return false;
            };
            let Ok(then) = table.snapshot_at(*version).await else { return false };
            let gone = self.only_in(lake, path, &then, &now).await;
            let new = self.only_in(lake, path, &now, &then).await;
            if gone.is_none() || gone != new {
                return false;
            }
        }
        true
    }

    /// Returns the subjects of the files that one version of a table has and another has not, each once and ascending; `None`
    /// if one cannot be read any more.
    async fn only_in(
        &mut self,
        lake: &Lake,
        path: &str,
        one: &TableSnapshot,
        other: &TableSnapshot,
    ) -> Option<Vec<u32>> {
        let others: HashSet<&str> = other.files.iter().map(|file| &*file.path).collect();
        let mut only: Vec<u32> = Vec::new();
        for file in one.files.iter().filter(|file| !others.contains(&*file.path)) {
            let name = format!("{path}/{}", file.path);
            let subjects = match self.files.remove(&name) {
                Some(subjects) => subjects,
                None => subjects_of(lake, path, one, file).await.ok()?,
            };
            only.extend(&subjects);
            self.files.insert(name, subjects);
        }
        only.sort_unstable();
        only.dedup();
        Some(only)
    }

    async fn of(
        &mut self,
        lake: &Lake,
        tables: Vec<(String, Arc<TableSnapshot>)>,
    ) -> Result<Vec<bool>> {
        let mut standing = Vec::new();
        let mut known = std::mem::take(&mut self.files);
        for (path, table) in tables {
            for file in table.files.iter() {
                let name = format!("{path}/{}", file.path);
                let subjects = match known.remove(&name) {
                    Some(subjects) => subjects,
                    None => subjects_of(lake, &path, &table, file).await?,
                };
                for &subject in &subjects {
                    let at = subject as usize;
                    if standing.len() <= at {
                        standing.resize(at + 1, false);
                    }
                    standing[at] = true;
                }
                self.files.insert(name, subjects);
            }
        }
        Ok(standing)
    }
}

/// Returns the paths of the current rows of all sources with a record of a person in each row.
pub(super) fn record_tables(published: &Published) -> impl Iterator<Item = String> {
    published.state.of_kind(Kind::Source).filter_map(|definition| match &definition.body {
        Body::Source(source)
            if matches!(source.shape, Shape::Records { .. }) && !source.person.is_empty() =>
        {
            Some(tables::source_path(&definition.name))
        }
        _ => None,
    })
}

/// Returns the sources that tell of deletions. Of one that was not read since it was defined nobody knows which records are
/// gone: until it is read, all of them are.
fn deleting(published: &Published) -> BTreeSet<&str> {
    let sources = published.state.of_kind(Kind::Source);
    let sources = sources.filter(|definition| deletes(&definition.body));
    sources.map(|definition| definition.name.as_str()).collect()
}

/// Tells whether a definition is of a source that tells of deletions.
pub(super) fn deletes(body: &Body) -> bool {
    matches!(body, Body::Source(source) if source.deleted_when.is_some())
}

/// Returns a table as it was at `covered`; as it is if that is not known any more.
async fn at_covered(
    published: &Published,
    covered: &Coverage,
    path: &str,
) -> Option<(String, Arc<TableSnapshot>)> {
    let now = published.table(path)?;
    let version = covered.inputs.get(path).copied().unwrap_or(now.version);
    if version == now.version {
        return Some((path.to_owned(), now));
    }
    let table = published.tables().find(|table| table.path() == path)?;
    let then = table.snapshot_at(version).await.unwrap_or(now);
    Some((path.to_owned(), then))
}

async fn subjects_of(
    lake: &Lake,
    path: &str,
    table: &TableSnapshot,
    file: &FileEntry,
) -> Result<Vec<u32>> {
    // Rows that were read before the source had persons have no subjects.
    if table.schema.column_with_name(SUBJECT).is_none() {
        return Ok(vec![]);
    }
    let schema = crate::table_read::project(&table.schema, &[SUBJECT])?;
    let mut subjects = Vec::new();
    for batch in crate::table_read::read_file(lake, path, file, &schema).await? {
        let of_rows = batch.column(0).as_primitive::<Int64Type>();
        subjects.extend(of_rows.iter().flatten().map(|subject| subject as u32));
    }
    Ok(subjects)
}
