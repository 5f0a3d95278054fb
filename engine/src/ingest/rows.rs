//! What becomes of each row of a chunk, and whose it is.

use std::collections::HashMap;

use arrow::array::{Array, StringArray};
use connectors::Rejection;

use super::chunk::{self, Chunk, ChunkPart, Outcome};
use super::deleted::Deletions;
use super::known::{Known, Order, Taken, Version};
use super::subjects::{IdentifierColumns, PERSON_FIELDS};
use super::{ORIGIN, Refresh, hash_content, hash_key, message_key};
use crate::catalog::{OnError, Shape};
use crate::error::{Error, Result};
use crate::tables;

impl Refresh<'_> {
    /// Returns the subject of each row of `chunk`, all of which are taken.
    pub(super) async fn subjects_of(&mut self, chunk: &Chunk) -> Result<Vec<Option<i64>>> {
        let rows = chunk.rows.num_rows();
        let person: Vec<Option<&String>> =
            PERSON_FIELDS.iter().map(|field| self.source.person.get(*field)).collect();
        let mut expressions: Vec<String> = self
            .source
            .identifiers
            .iter()
            .map(|identifier| identifier.expression.clone())
            .collect();
        expressions.extend(person.iter().flatten().map(|expression| (*expression).clone()));
        let logical = chunk.logical()?;
        let values = self.intake.planner.evaluate(&logical, &expressions).await?;
        let mut values =
            values.iter().map(tables::texts).collect::<Result<Vec<StringArray>>>()?.into_iter();
        let identifiers = self
            .source
            .identifiers
            .iter()
            .map(|identifier| identifier.kind.as_str())
            .zip(values.by_ref())
            .collect::<Vec<_>>();
        let record_keys = match (&self.source.shape, self.source.person.is_empty()) {
            (Shape::Records { key, .. }, false) => {
                Some(chunk::key_texts(&chunk.rows, key)?.into_iter().collect())
            }
            _ => None,
        };
        let person =
            person.iter().map(|expression| expression.and_then(|_| values.next())).collect();
        let observed_at = super::times(&logical, &self.source)?;
        let columns = IdentifierColumns { identifiers, record_keys, person, observed_at };
        let subjects = self.memory.subjects.as_mut().ok_or_else(not_loaded)?;
        subjects.assign(self.name, &columns, rows, &mut self.new_subjects)
    }

    /// Tells what becomes of each row of `chunk`.
    pub(super) async fn outcomes(&mut self, chunk: &Chunk) -> Result<Vec<Outcome>> {
        match self.source.shape.clone() {
            Shape::Records { key, version_by } => {
                let orders = chunk::orders(&chunk.rows, version_by.as_deref())?;
                let undated = self.undated_deletions(chunk, &orders).await?;
                self.record_outcomes(chunk, &key, &orders, &undated)
            }
            Shape::Events { .. } if message_key(&self.source).is_empty() => {
                self.line_outcomes(chunk).await
            }
            Shape::Events { .. } => self.message_outcomes(chunk),
        }
    }

    fn record_outcomes(
        &mut self,
        chunk: &Chunk,
        key: &[String],
        orders: &[Order],
        undated: &Deletions,
    ) -> Result<Vec<Outcome>> {
        let texts = chunk::key_texts(&chunk.rows, key)?;
        let hasher = self.memory.hasher;
        let (keys, contents) =
            (hash_key(&hasher, &chunk.rows, key)?, hash_content(&hasher, &chunk.rows)?);
        let mut outcomes = Vec::with_capacity(texts.len());
        let mut here: HashMap<u128, u32> = HashMap::new();
        for (row, text) in texts.iter().enumerate() {
            if text.is_none() {
                self.reject(
                    chunk,
                    row,
                    "missing_key",
                    format!("Every row needs a value of the key ({}).", key.join(", ")),
                )?;
                outcomes.push(Outcome::Rejected);
                continue;
            }
            if undated.is_one(row) {
                let hint = "A row that says that its record is gone needs a value of the column that VERSION BY names.";
                self.reject(chunk, row, "missing_version", hint.into())?;
                outcomes.push(Outcome::Rejected);
                continue;
            }
            let Some((_, Known::Records(known))) = self.memory.known.get_mut(self.name) else {
                return Err(not_loaded());
            };
            let outcome = match known.take(keys[row], orders[row], contents[row]) {
                Taken::New => Outcome::Current,
                Taken::Older => Outcome::History,
                Taken::Duplicate => Outcome::Duplicate,
                Taken::Replaces(replaced) if replaced.file == Version::INCOMING => {
                    if let Some(earlier) = here.get(&keys[row]) {
                        outcomes[*earlier as usize] = Outcome::History;
                    }
                    Outcome::Current
                }
                Taken::Replaces(replaced) => {
                    self.note_stale(keys[row], replaced);
                    Outcome::Current
                }
            };
            outcomes.push(outcome);
            if outcome == Outcome::Current {
                here.insert(keys[row], row as u32);
            }
        }
        Ok(outcomes)
    }

    fn message_outcomes(&mut self, chunk: &Chunk) -> Result<Vec<Outcome>> {
        let key = message_key(&self.source);
        let texts = chunk::key_texts(&chunk.rows, &key)?;
        let hashes = hash_key(&self.memory.hasher, &chunk.rows, &key)?;
        let mut outcomes = Vec::with_capacity(hashes.len());
        for (row, hash) in hashes.into_iter().enumerate() {
            if texts[row].is_none() {
                self.reject(
                    chunk,
                    row,
                    "missing_message_id",
                    format!("Every event needs a value of ({}).", key.join(", ")),
                )?;
                outcomes.push(Outcome::Rejected);
                continue;
            }
            let Some((_, Known::Messages(messages))) = self.memory.known.get_mut(self.name) else {
                return Err(not_loaded());
            };
            outcomes.push(if messages.insert(hash, ()).is_none() {
                Outcome::Current
            } else {
                Outcome::Duplicate
            });
        }
        Ok(outcomes)
    }

    /// A log without message ids: each line is an event, also an equal one. Only a file that is read again from
    /// before the last position that was taken gives lines that are there already; the n-th of equal lines is the n-th.
    /// A line that takes the place of a withdrawn one is not there already.
    async fn line_outcomes(&mut self, chunk: &Chunk) -> Result<Vec<Outcome>> {
        let contents = hash_content(&self.memory.hasher, &chunk.rows)?;
        let mut outcomes = Vec::with_capacity(contents.len());
        for ChunkPart { origin, rows, withdrawn, .. } in &chunk.parts {
            let from = outcomes.len();
            if withdrawn.is_some() {
                self.state.positions.remove(origin);
            }
            let last = self.state.positions.get(origin).copied().unwrap_or(0);
            let again = *rows > 0 && chunk.positions.value(from) <= last;
            if again && !self.read_again.contains_key(origin) {
                let had = self.lines_of(origin).await?;
                self.read_again.insert(origin.clone(), had);
            }
            for content in &contents[from..from + rows] {
                let had = self
                    .read_again
                    .get_mut(origin)
                    .and_then(|lines| lines.get_mut(content))
                    .filter(|count| **count > 0);
                outcomes.push(match had {
                    Some(count) => {
                        *count -= 1;
                        Outcome::Duplicate
                    }
                    None => Outcome::Current,
                });
            }
            if let Some(reached) = (*rows > 0).then(|| chunk.positions.value(from + rows - 1)) {
                self.reached.insert(origin.clone(), reached);
            }
        }
        Ok(outcomes)
    }

    /// Counts the lines that the table holds of the file `origin`.
    async fn lines_of(&self, origin: &str) -> Result<HashMap<u128, u32>> {
        let origin = chunk::origin(origin);
        let mut lines = HashMap::new();
        for entry in self.before.files.iter() {
            for batch in crate::table_read::read_file(
                self.intake.catalog.lake(),
                self.current.path(),
                entry,
                &self.before.schema,
            )
            .await?
            {
                let hashes = hash_content(&self.memory.hasher, &batch)?;
                let origins = batch.column_by_name(ORIGIN).and_then(|column| {
                    use arrow::array::AsArray;
                    column.as_primitive_opt::<arrow::datatypes::Int64Type>().cloned()
                });
                let Some(origins) = origins else { return Err(not_loaded()) };
                for (row, hash) in hashes.into_iter().enumerate() {
                    if origins.is_valid(row) && origins.value(row) == origin {
                        *lines.entry(hash).or_default() += 1;
                    }
                }
            }
        }
        Ok(lines)
    }

    fn reject(
        &mut self,
        chunk: &Chunk,
        row: usize,
        reason: &'static str,
        hint: String,
    ) -> Result<()> {
        let mut before = 0;
        let part = chunk.parts.iter().find(|part| {
            before += part.rows;
            row < before
        });
        let file = part.map(|part| part.file.clone()).unwrap_or_default();
        let position = chunk.positions.value(row);
        if self.source.on_error == OnError::Fail {
            return Err(Error::Invalid {
                message: format!("{file} {position}: row cannot be taken: {reason}"),
                hint,
            });
        }
        let raw = row_as_text(chunk, row)?;
        self.rejected.push(Rejection { file, position, reason, hint, raw });
        Ok(())
    }
}

/// Writes a row as `column=value` pairs, as much of it as is kept of a rejected row.
fn row_as_text(chunk: &Chunk, row: usize) -> Result<String> {
    let one = chunk.rows.slice(row, 1);
    let mut text = String::new();
    for (field, column) in one.schema().fields().iter().zip(one.columns()) {
        let value = tables::texts(column)?;
        if value.is_valid(0) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(&format!("{}={}", field.name(), value.value(0)));
        }
    }
    let end = (0..=text.len().min(Rejection::RAW_BYTES_MAX))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text.truncate(end);
    Ok(text)
}

pub(super) fn not_loaded() -> Error {
    Error::Corrupt { message: "what ingest remembers does not fit the source".into(), source: None }
}
