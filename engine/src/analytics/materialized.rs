//! Materialized views: tables that keep the query which fills them. They are governed like tables that were made of the same
//! query, and refreshed for the purpose of whoever refreshes them, if that may fill them.

use arrow::datatypes::Schema;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;

use super::constraints::ColumnRules;
use super::insert;
use super::places::Places;
use super::provenance::Provenance;
use super::write::{Seen, Written, missing};
use crate::catalog::{AnalyticsBody, placed};
use crate::error::{Error, Result};
use crate::query::planner::parse_one;
use crate::query::session::QuerySession;

const REFRESH: &str = "REFRESH MATERIALIZED VIEW";

/// Returns the query of a materialized view.
pub(super) fn query(seen: &Seen, name: &str) -> Result<Statement> {
    let relation = seen.find(name).ok_or_else(|| missing(name))?;
    let definition = relation.table().and_then(|table| table.definition.as_deref());
    parse_one(definition.ok_or_else(|| Error::Standard {
        sqlstate: "42809",
        message: format!("\"{}\" is not a materialized view", placed(name).1),
        hint: format!("It is a {}.", relation.word()),
    })?)
}

/// Fails unless rows with the columns `given` are those of a materialized view still: the relations that it reads may have
/// others since.
pub(super) fn check(seen: &Seen, name: &str, given: &Schema) -> Result<()> {
    let (_, table) = seen.stored(name, REFRESH)?;
    let columns = seen.columns(table);
    let same = columns.iter().map(|column| column.name());
    if same.eq(given.fields().iter().map(|column| column.name())) {
        return insert::check(given.fields(), &columns, true, &Places::NONE);
    }
    Err(Error::Standard {
        sqlstate: "42P16",
        message: format!(
            "the query of materialized view \"{}\" has other columns now",
            placed(name).1
        ),
        hint: "Drop it, and make it anew.".into(),
    })
}

impl QuerySession {
    /// `CREATE MATERIALIZED VIEW`: a table of the rows of `query`, which it keeps.
    pub(super) async fn create_materialized(
        &self,
        seen: &Seen,
        name: &str,
        (query, columns): (&Statement, &Schema),
        plan: LogicalPlan,
    ) -> Result<Written> {
        let definition = self.definition_of(name, query)?;
        let rules = ColumnRules::default();
        let written = self.create_table(seen, name, columns, &rules, Some(plan)).await?;
        let mut relation = self.seen().find(name).cloned().ok_or_else(|| missing(name))?;
        if let AnalyticsBody::Table(table) = &mut relation.body {
            table.definition = Some(definition.clone());
        }
        let mut staged = self.staged().lock();
        staged.found.reads(&seen.base.published.state, &definition);
        staged.put(&seen.base.published, name, Some(relation));
        Ok(written)
    }

    /// `REFRESH MATERIALIZED VIEW`: the rows of its query in the place of those that are there.
    pub(super) async fn refresh_view(
        &self,
        seen: &Seen,
        name: &str,
        plan: LogicalPlan,
    ) -> Result<Written> {
        let (relation, table) = seen.stored(name, REFRESH)?;
        self.require_owner(name, relation)?;
        let provenance = Provenance::of(&plan, table.of_persons)?;
        let (personal, apart) = (provenance.personal, provenance.of_one_person_each);
        let purpose = self.may_fill(seen, name, personal, apart)?;
        let made = self.opened(&table.path).await?;
        let snapshot = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;
        let columns = seen.columns(table).into_iter().enumerate();
        let sources = columns.map(|(at, column)| (column.name().clone(), at)).collect();
        let rows = self.write_rows(seen, name, (table, &made), sources, None, plan).await?;
        // That there are no rows any more would tell of those who are counted, too.
        let changes = !rows.files.is_empty() || !snapshot.files.is_empty();
        if changes {
            self.stage_rows(seen, &made, rows.files, &snapshot.files);
        }
        self.bind(seen, name, purpose.filter(|_| changes), Written::tagged(REFRESH))
    }
}
