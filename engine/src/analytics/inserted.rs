//! The rows that an `INSERT` or a `CREATE TABLE AS` puts in.

use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt;

use super::insert;
use super::links::Doubts;
use super::provenance::Provenance;
use super::returning::{Item, Returned};
use super::rows::{FileWriter, Shaper};
use super::write::{Seen, Written};
use crate::catalog::{AnalyticsTable, qualified};
use crate::error::Result;
use crate::lake::{FileEntry, Table};
use crate::query::governed::PROFILE_ID;
use crate::query::session::QuerySession;

/// Rows that were written to files.
pub(super) struct NewRows {
    pub(super) files: Vec<FileEntry>,
    pub(super) count: u64,
    returned: Option<Returned>,
    doubts: Doubts,
}

impl QuerySession {
    /// `INSERT`: puts the rows of a plan in.
    pub(super) async fn insert(
        &self,
        seen: &Seen,
        name: &str,
        columns: Option<&[String]>,
        returning: Option<&[Item]>,
        plan: LogicalPlan,
    ) -> Result<Written> {
        let (relation, table) = seen.table(name, "INSERT")?;
        self.require_owner(name, relation)?;
        let shown = seen.columns(table);
        let returned = returning.map(|items| Returned::new(items, &shown)).transpose()?;
        let targets = insert::targets(name, &shown, columns)?;
        let provenance = Provenance::of(&plan, table.of_persons)?;
        let given = plan.schema().fields();
        let named = targets.iter().position(|target| target.name() == PROFILE_ID);
        let keeps =
            named.and_then(|at| given.get(at)).is_some_and(|field| field.name() == PROFILE_ID);
        let apart = provenance.of_one_person_each && keeps;
        let purpose = self.may_fill(seen, name, provenance.personal, apart)?;
        let sources = targets.iter().take(given.len()).enumerate();
        let sources = sources.map(|(at, target)| (target.name().clone(), at)).collect();
        let made = self.opened(&table.path).await?;
        let rows = self.write_rows(seen, name, (table, &made), sources, returned, plan).await?;
        self.stage_and_follow(seen, (name, &made), rows.files, &[], rows.doubts).await?;
        let written = Written::tagged(format!("INSERT 0 {}", rows.count));
        let written = Written { returned: rows.returned.map(Returned::into_rows), ..written };
        self.bind(seen, name, purpose.filter(|_| rows.count > 0), written)
    }

    /// Runs a plan and writes its rows to files of a table. What `returned` wants of them comes back.
    pub(super) async fn write_rows(
        &self,
        seen: &Seen,
        name: &str,
        (table, made): (&AnalyticsTable, &Table),
        sources: Vec<(String, usize)>,
        returned: Option<Returned>,
        plan: LogicalPlan,
    ) -> Result<NewRows> {
        let mut shaper = Shaper { returned, ..self.shaper(seen, (name, table), made, sources)? };
        let target = qualified(name);
        let mut stream = self.run(&seen.live, plan, Some(&target)).await?;
        let mut writer = FileWriter::new(made);
        let mut count = 0;
        while let Some(batch) = stream.try_next().await? {
            count += batch.num_rows() as u64;
            writer.push(shaper.shape(&batch).await?).await?;
        }
        let Shaper { numbers, brought, returned, .. } = shaper;
        let doubts = self.settle_rows(seen, (name, table), &numbers, brought, &[]).await?;
        Ok(NewRows { files: writer.finish().await?, count, returned, doubts })
    }
}
