//! Personal tables as a session sees them: the only way from a query to a person's rows.
//!
//! A [`GovernedTable`] shows `profile_id` and the columns of a table, of profiles their household as well, and scans into a
//! [`GovernedScanExec`], a leaf without children, statistics or pushed-down limits. Below it lies a plain Parquet scan that
//! nothing outside can see, which is told by a [`Selection`] which rows to read: those of visible people, or also the small
//! gaps between them, which the leaf drops.
//! Of a query's filters only leakproof ones reach the leaf, which applies them whole before it cuts batches. Parquet
//! applies them first where that spares it columns; where there are none to spare, reading the gaps is cheaper. What the
//! log says of a file decides whether it is read, and nothing else: it moves no row that is returned.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::datasource::TableType;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::reassign_expr_columns;
use datafusion::physical_plan::ExecutionPlan;

use super::access::{Access, Visible};
use super::blooms::Wanted;
use super::leakproof::{
    decidable_on_profile, evaluate_on_profile, leakproof, leakproof_with_values, profiles_named,
    unqualified,
};
use super::runs::Runs;
use super::scan::{GovernedScanExec, OutputColumn, Picks};
use super::selection::{Asked, BATCH_ROWS, Piece, Selection};
use crate::lake::{FileEntry, TableSnapshot, may_hold};

pub use store::ScanStore;

/// The system column that holds the subject of a row; queries see `profile_id` in its place.
pub const SUBJECT: &str = "_subject";

/// The column of every personal relation that names the profile.
pub const PROFILE_ID: &str = "profile_id";

/// The column of profiles that names the household, as the people make it who may be seen.
pub const HOUSEHOLD_ID: &str = "household_id";

/// Whose the rows of a table are, and so for whom they exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Each is of a person, and exists for purposes that the person allows.
    Persons,
    /// They were made of what one purpose allows to see, and exist for that purpose.
    Purpose,
    /// They tell of nobody.
    Nobody,
}

/// A file of a governed table.
#[derive(Debug, Clone)]
struct ScannedFile {
    path: String,
    size: u64,
    rows: u64,
    /// Keeps the file from being deleted, for as long as a plan may read it.
    entry: FileEntry,
}

/// A personal table: its rows exist for an [`Access`] or they do not.
#[derive(Debug)]
pub struct GovernedTable {
    name: String,
    /// The paths of the tables whose rows it shows.
    paths: Vec<String>,
    files: Vec<ScannedFile>,
    /// The runs of its files, once they are known.
    runs: OnceLock<Vec<Arc<Runs>>>,
    /// The columns in the files, texts as views.
    physical: SchemaRef,
    /// The columns that queries see.
    shown: SchemaRef,
    /// Whether one of them is the household: no file has it.
    has_household: bool,
    whose: Whose,
    /// Whether one purpose alone may read it.
    bound: bool,
    store: ScanStore,
}

impl GovernedTable {
    /// Returns its qualified name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the paths of the tables in the lake whose rows it shows.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Builds the relation `name` over the rows of `snapshots`, each with its table's path; they share the columns of
    /// the first.
    ///
    /// Of the columns those of `columns` are shown; system columns, whose names start with an underscore, never are. If
    /// they name the household and no column that is stored is called so, it is made of whom each row is.
    pub fn new(
        name: impl Into<String>,
        snapshots: &[(String, Arc<TableSnapshot>)],
        columns: &Schema,
        store: ScanStore,
    ) -> Self {
        let files = snapshots.iter().flat_map(|(table, snapshot)| {
            let scanned = move |file: &FileEntry| ScannedFile {
                path: format!("{table}/{}", file.path),
                size: file.size,
                rows: file.rows,
                entry: file.clone(),
            };
            // Files of a table that is sorted as a whole in its order, however they came into the log.
            snapshot.files_in_order().iter().map(scanned).collect::<Vec<_>>()
        });
        let files = files.collect();
        let paths = snapshots.iter().map(|(table, _)| table.clone()).collect();
        let base = snapshots.first().map_or_else(
            || Arc::new(Schema::empty()),
            |(_, snapshot)| Arc::clone(&snapshot.schema),
        );
        let physical =
            Arc::new(Schema::new(base.fields().iter().map(with_views).collect::<Vec<_>>()));
        let has_household = columns.field_with_name(HOUSEHOLD_ID).is_ok()
            && physical.field_with_name(HOUSEHOLD_ID).is_err();
        let mut shown = vec![Arc::new(Field::new(PROFILE_ID, DataType::Int64, true))];
        if has_household {
            shown.push(Arc::new(Field::new(HOUSEHOLD_ID, DataType::Int64, true)));
        }
        shown.extend(
            physical
                .fields()
                .iter()
                .filter(|field| !field.name().starts_with('_') && field.name() != PROFILE_ID)
                .filter(|field| columns.field_with_name(field.name()).is_ok())
                .map(|field| crate::lake::logical_field(field)),
        );
        let shown = Arc::new(Schema::new(shown));
        let (whose, bound) = (Whose::Persons, false);
        let (name, runs) = (name.into(), OnceLock::new());
        Self { name, paths, files, runs, physical, shown, has_household, whose, bound, store }
    }

    /// Shows `columns` in their order, of rows that are `whose`; `bound` if one purpose alone may read them.
    pub fn showing(mut self, columns: &Schema, whose: Whose, bound: bool) -> Self {
        let shown = columns.fields().iter().filter_map(|column| match column.name().as_str() {
            PROFILE_ID => Some(Arc::new(Field::new(PROFILE_ID, DataType::Int64, true))),
            name => self.physical.field_with_name(name).ok().map(crate::lake::logical_field),
        });
        self.shown = Arc::new(Schema::new(shown.collect::<Vec<_>>()));
        (self.whose, self.bound) = (whose, bound);
        self
    }

    /// Returns whose its rows are.
    pub fn whose(&self) -> Whose {
        self.whose
    }

    /// Tells whether one purpose alone may read it.
    pub fn is_bound(&self) -> bool {
        self.bound
    }

    /// Returns what a column is made of that is not read as it is stored.
    fn made(&self, column: &str) -> Option<OutputColumn> {
        match column {
            PROFILE_ID => Some(OutputColumn::ProfileId),
            HOUSEHOLD_ID if self.has_household => Some(OutputColumn::HouseholdId),
            _ => None,
        }
    }

    /// Returns what decides which rows exist for a statement with this access.
    fn access(&self, statement: DataFusionResult<Arc<Access>>) -> DataFusionResult<Arc<Access>> {
        match (self.whose, statement) {
            (Whose::Persons, access) => access,
            (Whose::Purpose, access) => {
                let access = access?.as_ref().clone();
                Ok(Arc::new(Access { visible: Visible::Everyone, ..access }))
            }
            (Whose::Nobody, access) => {
                let purpose = access.map(|access| access.purpose.clone()).unwrap_or_default();
                let (role, people) = (String::new(), Arc::default());
                Ok(Arc::new(Access { role, purpose, visible: Visible::Everyone, people }))
            }
        }
    }

    /// Returns the runs of its files, in their order.
    async fn runs(&self) -> DataFusionResult<&[Arc<Runs>]> {
        if let Some(runs) = self.runs.get() {
            return Ok(runs);
        }
        let mut runs = Vec::with_capacity(self.files.len());
        for file in &self.files {
            runs.push(self.store.runs(file).await?);
        }
        Ok(self.runs.get_or_init(|| runs))
    }

    /// Splits the filters that reach the leaf: those over `profile_id` select runs, the others rows.
    fn split_filters<'a>(&self, filters: &'a [Expr]) -> (Vec<&'a Expr>, Vec<&'a Expr>) {
        filters
            .iter()
            .filter(|filter| leakproof(filter))
            .partition(|filter| filter.column_refs().iter().all(|column| column.name == PROFILE_ID))
    }

    /// Tells whether `filter` can be applied to what is read as it is: its columns are stored as they are shown.
    fn holds_as_stored(&self, filter: &Expr) -> bool {
        filter.column_refs().iter().all(|column| {
            match (
                self.physical.field_with_name(&column.name),
                self.shown.field_with_name(&column.name),
            ) {
                (Ok(physical), Ok(shown)) => physical.data_type() == shown.data_type(),
                _ => false,
            }
        })
    }

    /// Takes those files out of `is_read` whose bloom filters let them hold no row that passes `filters`.
    async fn ask_blooms(&self, filters: &[Expr], is_read: &mut [bool]) -> DataFusionResult<()> {
        let (store, blooms) = (&self.store.store, &self.store.blooms);
        for wanted in filters.iter().filter_map(Wanted::of) {
            for (file, is_read) in self.files.iter().zip(&mut *is_read) {
                *is_read =
                    *is_read && blooms.may_hold(store, &file.path, file.size, &wanted).await?;
            }
        }
        Ok(())
    }

    /// Tells which files may hold rows that pass `filters`.
    ///
    /// Rows of files that cannot are not read, but they keep their places: a partition is cut where it would be if they
    /// were, whatever hidden rows make of a file's bounds.
    async fn may_hold(
        &self,
        filters: &[Expr],
        predicate: Option<&Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Vec<bool>> {
        let Some(predicate) = predicate else { return Ok(vec![true; self.files.len()]) };
        let entries: Vec<&FileEntry> = self.files.iter().map(|file| &file.entry).collect();
        let mut is_read = may_hold(&entries, &self.physical, predicate);
        self.ask_blooms(filters, &mut is_read).await?;
        Ok(is_read)
    }

    /// Tells whether there is little besides what `filters` ask for in `columns`, so that Parquet, which reads the other
    /// columns of rows that pass only, would spare nothing by applying them.
    fn spares_nothing(&self, columns: &[usize], filters: &[Expr]) -> bool {
        let named: HashSet<&str> =
            filters.iter().flat_map(Expr::column_refs).map(|column| column.name.as_str()).collect();
        let read =
            |name: &&str| columns.iter().any(|column| self.physical.field(*column).name() == *name);
        named.is_empty() || named.iter().all(read) && columns.len() <= 2 * named.len()
    }
}

/// Plans the conjunction of `filters` over `schema`, if there are any.
fn physical_filter(
    session: &dyn Session,
    filters: &[Expr],
    schema: &SchemaRef,
) -> DataFusionResult<Option<Arc<dyn PhysicalExpr>>> {
    let Some(filter) = conjunction(filters.to_vec()) else { return Ok(None) };
    let schema = DFSchema::try_from(Arc::clone(schema))?;
    session.create_physical_expr(filter, &schema).map(Some)
}

/// Selects the visible rows of the profiles that all of `filters` take.
fn select(runs: &[Arc<Runs>], access: &Access, partitions: usize, filters: &[&Expr]) -> Selection {
    let takes = |id| filters.iter().all(|filter| evaluate_on_profile(filter, id) == Some(true));
    let named = filters.iter().find_map(|filter| profiles_named(filter));
    let asked = Asked { takes: &takes, subjects: named.map(|ids| access.people.subjects(&ids)) };
    Selection::new(runs, access, partitions, (!filters.is_empty()).then_some(&asked))
}

/// Reads texts and bytes as views, which share their buffers with the page.
fn with_views(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type).with_nullable(true))
}

#[async_trait]
impl TableProvider for GovernedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shown)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        // Inexact, also where the leaf is exact: a filter of the plan that the leaf repeats costs little, and one
        // that the leaf alone applied would be lost with any mistake here.
        Ok(filters
            .iter()
            .map(|filter| {
                if leakproof_with_values(filter) {
                    TableProviderFilterPushDown::Inexact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let access = self.access(Access::of(session))?;
        let all: Vec<usize> = (0..self.shown.fields().len()).collect();
        let shown: &[usize] = projection.map_or(&all, |projection| projection);
        let output = Arc::new(self.shown.project(shown)?);

        let (on_profile, on_rows) = self.split_filters(filters);
        let on_profile: Vec<&Expr> =
            on_profile.into_iter().filter(|filter| decidable_on_profile(filter)).collect();
        let runs = self.runs().await?.to_vec();
        let partitions = session.config().target_partitions();
        let selection = select(&runs, &access, partitions, &on_profile);

        let mut columns = Vec::new();
        let mut plan = Vec::with_capacity(shown.len());
        for field in output.fields() {
            let made = self.made(field.name());
            let source = if made.is_some() { SUBJECT } else { field.name() };
            let physical = self.physical.index_of(source)?;
            let at = columns.iter().position(|column| *column == physical).unwrap_or_else(|| {
                columns.push(physical);
                columns.len() - 1
            });
            plan.push(made.unwrap_or(OutputColumn::Stored(at)));
        }
        let (as_stored, as_shown): (Vec<&Expr>, Vec<&Expr>) =
            on_rows.into_iter().partition(|filter| self.holds_as_stored(filter));
        let as_stored: Vec<Expr> =
            as_stored.into_iter().map(|filter| unqualified(filter.clone())).collect();
        let predicate = physical_filter(session, &as_stored, &self.physical)?;
        let is_read = self.may_hold(&as_stored, predicate.as_ref()).await?;
        let picks = selection.is_riddled() && self.spares_nothing(&columns, &as_stored);
        let only_profile_ids = plan.iter().all(|column| matches!(column, OutputColumn::ProfileId));
        let (inner, rows_read) = if only_profile_ids {
            let rows = selection.partitions.iter().flatten().map(Piece::rows).sum::<u64>();
            // Without a column they are counted, and not made.
            (None, if plan.is_empty() { rows / BATCH_ROWS as u64 } else { rows })
        } else {
            let (columns, predicate) = (columns.clone(), predicate.clone());
            let (inner, rows) =
                self.inner_scan(session, &selection, columns, predicate, &is_read, picks)?;
            (Some(inner), rows)
        };
        let picks = if picks {
            let read = self.physical.project(&columns)?;
            let passes =
                predicate.map(|filter| reassign_expr_columns(filter, &read)).transpose()?;
            Some(Picks { is_read, passes })
        } else {
            None
        };
        // What Parquet was asked to apply it may leave undone.
        let repeated = as_stored.iter().filter(|_| picks.is_none()).cloned();
        let filters: Vec<Expr> = as_shown
            .into_iter()
            .map(|filter| unqualified(filter.clone()))
            .chain(repeated)
            .filter(|filter| {
                filter.column_refs().iter().all(|column| output.index_of(&column.name).is_ok())
            })
            .collect();
        let filter = physical_filter(session, &filters, &output)?;
        let subject_at =
            columns.iter().position(|column| self.physical.field(*column).name() == SUBJECT);
        Ok(Arc::new(GovernedScanExec::new(
            self.name.clone(),
            output,
            plan,
            subject_at,
            selection,
            runs,
            inner,
            picks,
            filter,
            access,
            rows_read,
        )))
    }
}

mod below;
pub(super) mod seek;
mod store;
#[cfg(test)]
mod tests;
