//! Tables as they are made, and what turns rows into theirs.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;

use super::checks::Checks;
use super::constraints::ColumnRules;
use super::defaults::Defaults;
use super::generated::Generated;
use super::keys::Key;
use super::links::Links;
use super::numbers::Brought;
use super::provenance::Provenance;
use super::rows::{self, Shaper};
use super::write::{Seen, Written};
use crate::catalog::{AnalyticsBody, AnalyticsRelation, AnalyticsTable, LegalBasis};
use crate::error::{Error, Result};
use crate::lake::{FileEntry, Table};
use crate::query::postgres::zone_of;
use crate::query::relations::columns_of;
use crate::query::session::QuerySession;

impl QuerySession {
    /// `CREATE TABLE`, with the rows of a plan if there is one.
    pub(super) async fn create_table(
        &self,
        seen: &Seen,
        name: &str,
        columns: &Schema,
        rules: &ColumnRules,
        plan: Option<LogicalPlan>,
    ) -> Result<Written> {
        let viewer = self.viewer(&seen.live)?;
        let (layout, of_persons) = rows::layout(columns)?;
        let ColumnRules {
            not_null,
            numbered,
            defaults,
            primary_key,
            primary_key_name,
            unique,
            checks,
            foreign_keys,
            generated,
            comments,
        } = rules.clone();
        if of_persons && let Some(column) = numbered.keys().next() {
            return Err(Error::Unsupported {
                what: format!("numbered column \"{column}\" of rows of persons"),
                hint: "Numbers would tell of persons who are hidden: leave the column out.".into(),
            });
        }
        if of_persons && let Some(column) = primary_key.first() {
            return Err(Error::Unsupported {
                what: format!("primary key \"{column}\" of rows of persons"),
                hint: "Keys would tell of persons who are hidden: leave PRIMARY KEY out.".into(),
            });
        }
        if of_persons && let Some(constraint) = unique.first() {
            return Err(Error::Unsupported {
                what: format!("unique constraint \"{}\" of rows of persons", constraint.name),
                hint: "Keys would tell of persons who are hidden: leave UNIQUE out.".into(),
            });
        }
        for (column, default) in &defaults {
            let field = columns.field_with_name(column).map_err(DataFusionError::from)?;
            self.default_of(seen, default, field).await?;
        }
        let apart = match &plan {
            Some(plan) => Provenance::of(plan, of_persons)?.of_one_person_each,
            None => false,
        };
        let sees_everyone = matches!(viewer.purpose, Some((_, LegalBasis::Contract)));
        let bound = viewer.purpose.map(|(purpose, _)| purpose);
        let purpose = bound.filter(|_| !apart || sees_everyone);
        let (made, fresh) = self.engine().fresh_table(layout).await?;
        let path = made.path().to_owned();
        let definition = None;
        let (numbered, sequences) = self.numbered_columns(seen, name, numbered);
        let mut table = AnalyticsTable {
            path,
            purpose,
            of_persons,
            not_null,
            numbered,
            defaults,
            generated,
            primary_key: vec![],
            primary_key_name: None,
            unique,
            checks,
            foreign_keys: vec![],
            definition,
        };
        if let Some(key) = primary_key_name {
            table.set_primary_key(name, primary_key, key);
        }
        for new in foreign_keys {
            self.add_foreign_key(seen, (name, &mut table), &made.snapshot().schema, new)?;
        }
        self.check_generated(seen, (name, &table), &made.snapshot().schema).await?;
        Checks::of(self, seen, (name, &table), &made.snapshot().schema).check().await?;
        let mut files = vec![];
        let tag = match plan {
            None => {
                self.note(seen, name).await?;
                "CREATE TABLE".to_owned()
            }
            Some(plan) => {
                let names = columns.fields().iter().map(|column| column.name().clone());
                let sources = names.enumerate().map(|(at, name)| (name, at)).collect();
                let written =
                    self.write_rows(seen, name, (&table, &made), sources, None, plan).await?;
                files = written.files;
                format!("SELECT {}", written.count)
            }
        };
        let relation = AnalyticsRelation {
            owner: self.role().to_owned(),
            comment: None,
            column_comments: comments,
            body: AnalyticsBody::Table(table),
        };
        let mut staged = self.staged().lock();
        staged.add_table(made, fresh, files);
        staged.put(&seen.base.published, name, Some(relation));
        for (name, sequence) in sequences {
            staged.put(&seen.base.published, &name, Some(sequence));
        }
        Ok(Written::tagged(tag))
    }

    /// Returns what turns rows into those of the table that is kept under `name`.
    pub(super) fn shaper<'a>(
        &'a self,
        seen: &Seen,
        (name, table): (&str, &'a AnalyticsTable),
        made: &Table,
        sources: Vec<(String, usize)>,
    ) -> Result<Shaper<'a>> {
        let persons = match table.of_persons {
            true => Some(self.persons(seen)?),
            false => None,
        };
        let stored = Arc::clone(&made.snapshot().schema);
        // Far from every other statement's numbers.
        let next_row = (rand::random::<u64>() >> 2) as i64;
        let numbers = self.numbers(seen, table)?;
        let keys = Key::all(name, table, &stored)?;
        let links = Links::of(seen, (name, table), &stored)?;
        let is_given = |column: &str| sources.iter().any(|(source, _)| source == column);
        let checks = Checks::of(self, seen, (name, table), &stored);
        let generated = Generated::of(self, seen, (name, table), &stored)?;
        let columns = columns_of(&stored, table);
        let defaults = Defaults::of(self, seen, table, &columns, is_given)?;
        Ok(Shaper {
            stored,
            sources,
            defaults,
            table,
            persons,
            next_row,
            numbers,
            keys,
            links,
            generated,
            brought: Brought::default(),
            checks,
            returned: None,
            zone: zone_of(self.facts()),
        })
    }

    /// Returns the table at `path`, to write files for.
    pub(super) async fn opened(&self, path: &str) -> Result<Table> {
        let fresh = self.staged().lock().fresh_table(path);
        match fresh {
            Some(table) => Ok(table),
            None => self.engine().catalog().lake().open_table(path).await,
        }
    }

    pub(super) fn stage_rows(
        &self,
        seen: &Seen,
        made: &Table,
        adds: Vec<FileEntry>,
        removes: &[FileEntry],
    ) {
        let read = seen.base.published.table(made.path()).unwrap_or_else(|| made.snapshot());
        let mut staged = self.staged().lock();
        staged.changed(&seen.base.published, made.path());
        staged.change_table(made, &read, adds, removes);
    }
}
