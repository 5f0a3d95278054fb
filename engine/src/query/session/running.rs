//! Running what was planned: at once where that is possible, on a lane of its weight, and on record.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, StreamExt, stream};

use super::QuerySession;
use super::explained::{self, Form};
use super::parts;
use crate::audit::{Class, Entry};
use crate::engine::Live;
use crate::error::{Error, Result};
use crate::lanes;
use crate::query::access::{Access, no_purpose};
use crate::query::kept::Context;
use crate::query::parameters;
use crate::query::planned::{Planned, Stamp, columns_of};
use crate::query::planner::{checked_physical, physical};
use crate::query::quick::Quick;
use crate::query::reads::Reads;
use crate::query::stop::{during, stoppable};
use crate::query::weight;

/// How the physical plan of a statement is made, and where it runs.
#[derive(Debug, Clone, Copy, Default)]
struct Manner {
    /// Whether it reads what is in memory and nothing else.
    in_memory: bool,
    /// Whether so little is left to plan that to ask another thread would take longer.
    here: bool,
}

/// With what a statement goes the short way.
struct Admitted {
    access: Option<Arc<Access>>,
    /// What is noted before its rows leave, if it reads of persons.
    entry: Option<Arc<Entry>>,
}

impl QuerySession {
    /// Answers a planned statement at once, without waiting for anything, as [`QuerySession::execute`] would: if it was
    /// run before, is small, and all that it needs is in memory. `None` otherwise.
    pub fn answer_at_once(&self, planned: &Planned, values: &[ScalarValue]) -> Option<RecordBatch> {
        let live = self.live();
        // What is refused is refused by `execute`.
        self.admit_reading(&live).ok()?;
        let stamp = self.shared_stamp(&live);
        let renewed;
        let planned = if planned.stamp == *stamp {
            planned
        } else {
            renewed = planned.renewed(&stamp)?;
            renewed.as_ref()
        };
        let quick = planned.generic.quick()?;
        let Admitted { access, entry } = self.admitted(&live, &stamp, quick)?;
        let batch = quick.answer_at_once(access.as_ref(), values)?;
        if let Some(entry) = entry {
            self.engine.audit().begin_covered(&entry)?.rows(batch.num_rows() as u64);
        }
        Some(batch)
    }

    /// Runs a planned statement; its rows are those of people who allow the purpose when this is called.
    ///
    /// # Errors
    /// [`Error::Denied`] if it reads persons without a purpose, and all that running can meet.
    pub async fn execute(
        &self,
        planned: &Planned,
        values: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream> {
        let live = self.live();
        self.admit_reading(&live)?;
        let stamp = self.shared_stamp(&live);
        let renewed;
        let planned = if planned.stamp == *stamp {
            planned
        } else {
            renewed = match planned.renewed(&stamp) {
                Some(renewed) => renewed,
                None => self.renew(&live, planned).await?,
            };
            renewed.as_ref()
        };
        let rows = match self.answer(&live, planned, &values).await? {
            Some(answer) => answer,
            None => self.run_again(&live, planned, values).await?,
        };
        match explained::form_of(&planned.statement, &planned.plan) {
            Some(form) => Ok(explained::answer(rows, form)),
            None => Ok(rows),
        }
    }

    /// Plans a statement anew whose ground has changed since, for this run and for those that follow.
    async fn renew(&self, live: &Arc<Live>, planned: &Planned) -> Result<Arc<Planned>> {
        let context = self.context(live)?;
        let (plan, stamp) = self.plan_now(live, &context, &planned.statement).await?;
        if columns_of(&plan).fields() != planned.schema.fields() {
            return Err(Error::Invalid {
                message: "cached plan must not change result type".into(),
                hint: "Prepare the statement again.".into(),
            });
        }
        Ok(planned.renew(plan, stamp))
    }

    /// Answers a statement the short way, if it has one.
    async fn answer(
        &self,
        live: &Live,
        planned: &Planned,
        values: &[ScalarValue],
    ) -> Result<Option<SendableRecordBatchStream>> {
        let Some(quick) = planned.generic.quick() else { return Ok(None) };
        let admitted = self.admitted(live, &self.shared_stamp(live), quick);
        let Some(Admitted { access, entry }) = admitted else { return Ok(None) };
        let Some(batch) = quick.answer(access.as_ref(), values).await else { return Ok(None) };
        if let Some(entry) = entry {
            let mut statement = self.engine.audit().begin(entry.as_ref().clone()).await?;
            statement.rows(batch.num_rows() as u64);
        }
        let schema = batch.schema();
        let batches = stream::iter([Ok(batch)]);
        Ok(Some(Box::pin(RecordBatchStreamAdapter::new(schema, batches))))
    }

    /// Lets a statement go the short way with what this session may see in `live`, which `stamp` stands for; `None` if it is
    /// to be refused, which the long way does.
    fn admitted(&self, live: &Live, stamp: &Stamp, quick: &Quick) -> Option<Admitted> {
        if quick.reads.relations.is_empty() && !quick.reads.personal {
            return Some(Admitted { access: None, entry: None });
        }
        let access = match self.kept.context(live, stamp) {
            // What it plans with in this state has the same access.
            Some(context) => context.relations.access.clone(),
            None => self.access(live, &self.viewer(live).ok()?).ok()?,
        };
        if quick.reads.personal && access.is_none() {
            return None;
        }
        let purpose = stamp.purpose.as_deref().unwrap_or_default();
        let is_noted = !quick.reads.relations.is_empty();
        let entry = is_noted.then(|| quick.entry(&self.role, purpose));
        Some(Admitted { access, entry })
    }

    /// Runs a statement whose plan is still right.
    async fn run_again(
        &self,
        live: &Arc<Live>,
        planned: &Planned,
        values: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream> {
        let reads = Reads::of(&planned.plan)?;
        let in_memory = weight::reads_memory_alone(&planned.plan);
        let manner = Manner { in_memory, here: in_memory && planned.generic.is_optimized() };
        let form = explained::form_of(&planned.statement, &planned.plan);
        let planned = planned.clone();
        self.run_reading(live, reads, None, manner, move |context| async move {
            if let Some(form) = form.filter(|form| *form != Form::Lines) {
                let plan = Self::with_values(&planned, values)?;
                let mut state = context.state();
                // As the text has it.
                if in_memory {
                    state.config_mut().options_mut().execution.target_partitions = 1;
                }
                return explained::explain(&state, &plan, form).await;
            }
            let Planned { plan, parameters, declared_types, numerics, generic, .. } = planned;
            // What is in memory is not worth dealing out, which binds it to the runtime that it began on, too.
            let state = match in_memory {
                true => context.narrow_state(),
                false => context.timeless_state(),
            };
            if let Some(plan) = generic.with_values(state, &plan, &parameters, &values)? {
                return checked_physical(state, &plan).await;
            }
            let plan = match declared_types.is_empty() && values.is_empty() {
                true => plan,
                false => parameters::with_values(plan, &numerics, values)?,
            };
            let mut state = context.state();
            if in_memory {
                state.config_mut().options_mut().execution.target_partitions = 1;
            }
            physical(&state, &plan).await
        })
        .await
    }

    /// Runs a plan; `target` is the relation that its rows are written to, if they are.
    pub(crate) async fn run(
        &self,
        live: &Arc<Live>,
        plan: LogicalPlan,
        target: Option<&str>,
    ) -> Result<SendableRecordBatchStream> {
        let reads = Reads::of(&plan)?;
        // Several threads would hand rows on as they are done with them.
        let in_order = weight::comes_in_order(&plan);
        let make = move |context: Arc<Context>| async move {
            let mut state = context.state();
            if in_order {
                state.config_mut().options_mut().execution.target_partitions = 1;
            }
            physical(&state, &plan).await
        };
        self.run_reading(live, reads, target, Manner::default(), make).await
    }

    /// Runs what `make` makes, which reads `reads`.
    async fn run_reading<F>(
        &self,
        live: &Arc<Live>,
        mut reads: Reads,
        target: Option<&str>,
        manner: Manner,
        make: impl FnOnce(Arc<Context>) -> F + Send + 'static,
    ) -> Result<SendableRecordBatchStream>
    where
        F: Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send,
    {
        let context = self.context(live)?;
        let task = context.task();
        let class = if target.is_some() { Class::Write } else { Class::Read };
        reads.check_counts()?;
        let written = target.filter(|target| !reads.relations.iter().any(|read| read == target));
        reads.relations.extend(written.map(str::to_owned));
        let purpose = self.purpose();
        if reads.personal && purpose.is_none() {
            return Err(no_purpose());
        }
        let stop = self.running.begin();
        let asked = Arc::clone(&stop);
        let make = async move {
            asked.check()?;
            let made = during(Arc::clone(&asked), make(context)).await?;
            let parts = parts::of(&made)?;
            let in_parts = parts.is_some();
            Ok::<_, Error>((stoppable(parts.unwrap_or(made), &asked)?, in_parts))
        };
        let (physical, in_parts) = match manner.here {
            true => make.boxed().await?,
            false => self.engine.planner().aside(make).await?,
        };
        if weight::is_heavy(&physical, manner.in_memory) {
            lanes::go_heavy().await;
        }
        let stream = self.running.rows(parts::rows(physical, in_parts, task)?, stop);
        if reads.relations.is_empty() {
            return Ok(stream);
        }
        let entry = Entry {
            role: self.role.clone(),
            purpose: purpose.unwrap_or_default(),
            class,
            relations: reads.relations,
        };
        let statement = self.engine.audit().begin(entry).await?;
        let schema = stream.schema();
        let counted = stream.scan((statement, 0u64), |(statement, rows), batch| {
            match &batch {
                Ok(batch) => {
                    *rows += batch.num_rows() as u64;
                    statement.rows(*rows);
                }
                Err(_) => statement.failed(),
            }
            futures::future::ready(Some(batch))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }
}
