//! The values of all groups, each within the bound of one value.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::Bound;
use super::measure::overhead;
use crate::query::postgres::functions::sizes::weights;
use crate::query::postgres::functions::sum::passes;
use crate::query::stop::check_current;

/// What a value takes beside its bytes: where it is, and of which group.
const ENTRY_BYTES: usize = 8;
/// What a group takes beside its values.
const GROUP_BYTES: usize = 64;

/// What was given for a group.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    bytes: usize,
    values: usize,
}

/// What holds the values of all groups.
pub(super) struct BoundedGroups {
    bound: Bound,
    inner: Box<dyn GroupsAccumulator>,
    groups: Vec<Held>,
    total: Held,
}

impl BoundedGroups {
    pub(super) fn new(bound: Bound, inner: Box<dyn GroupsAccumulator>) -> Self {
        Self { bound, inner, groups: Vec::new(), total: Held::default() }
    }

    /// Makes room for groups, now that there are so many.
    fn begin(&mut self, groups: usize) -> Result<()> {
        check_current()?;
        self.groups.resize(groups.max(self.groups.len()), Held::default());
        Ok(())
    }

    /// Counts what comes for a group, and fails if that is too much.
    fn take(&mut self, group: usize, bytes: usize, values: usize) -> Result<()> {
        let held = &mut self.groups[group];
        held.bytes += bytes;
        held.values += values;
        self.total.bytes += bytes;
        self.total.values += values;
        self.bound.check(held.bytes)
    }

    /// Forgets the groups that were handed on.
    fn forget(&mut self, emitted: EmitTo) {
        for held in emitted.take_needed(&mut self.groups) {
            self.total.bytes -= held.bytes;
            self.total.values -= held.values;
        }
    }
}

impl GroupsAccumulator for BoundedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.begin(total_num_groups)?;
        let (given, each) = (&values[0], self.bound.between + overhead(values[0].data_type()));
        for (row, (group, bytes)) in group_indices.iter().zip(weights(given)).enumerate() {
            let is_valid = given.is_valid(row);
            // A null is an element of an array, and nothing of a text.
            if passes(opt_filter, row) && (is_valid || self.bound.of_arrays) {
                let bytes = if is_valid { bytes as usize } else { 0 };
                self.take(*group, bytes + each, 1)?;
            }
        }
        let values = self.bound.to_hold(values);
        self.inner.update_batch(&values, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.begin(total_num_groups)?;
        let states = &values[0];
        let lists = states.as_list_opt::<i32>();
        let data_type =
            lists.map_or_else(|| states.data_type(), |lists| lists.values().data_type());
        let each = self.bound.between + overhead(data_type);
        for (row, (group, bytes)) in group_indices.iter().zip(weights(states)).enumerate() {
            if states.is_valid(row) {
                let length = |lists: &ListArray| usize::try_from(lists.value_length(row));
                let values = lists.map_or(1, |lists| length(lists).unwrap_or(0));
                self.take(*group, bytes as usize + values * each, values)?;
            }
        }
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        check_current()?;
        let values = self.inner.evaluate(emit_to)?;
        self.forget(emit_to);
        self.bound.check_made(&values)?;
        Ok(values)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        check_current()?;
        let states = self.inner.state(emit_to)?;
        self.forget(emit_to);
        Ok(states)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        check_current()?;
        self.inner.convert_to_state(&self.bound.to_hold(values), opt_filter)
    }

    /// Counts every value twice: when they are asked for, all of them are there once more as what is made of them.
    fn size(&self) -> usize {
        2 * self.total.bytes
            + self.total.values * ENTRY_BYTES
            + self.groups.len() * GROUP_BYTES
            + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::{DataFusionError, ScalarValue};
    use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::query::postgres::functions::held::functions;

    /// A session with so much memory and no disk.
    fn context(memory_bytes: usize) -> SessionContext {
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(memory_bytes, 1.0)
            .with_disk_manager_builder(disk)
            .build_arc()
            .unwrap();
        let config = SessionConfig::new().with_target_partitions(2).with_batch_size(1_000);
        let context = SessionContext::new_with_config_rt(config, runtime);
        functions().into_iter().for_each(|function| context.register_udaf(function));
        context
    }

    async fn outcome(context: &SessionContext, sql: &str) -> Result<String> {
        let batches = context.sql(sql).await?.collect().await?;
        Ok(ScalarValue::try_from_array(batches[0].column(0), 0)?.to_string())
    }

    #[tokio::test]
    async fn groups_answer_as_without_a_bound() {
        let context = context(1 << 30);
        let rows = "FROM (SELECT value % 7 AS g, value AS n, 't' || value AS t FROM generate_series(1, 100))";
        for (sql, expected) in [
            (
                format!(
                    "SELECT max(cardinality(a)) FROM (SELECT array_agg(n) AS a {rows} GROUP BY g)"
                ),
                "15",
            ),
            (
                format!(
                    "SELECT max(cardinality(a)) FROM (SELECT array_agg(n) FILTER (WHERE n > 93) AS a {rows} GROUP BY g)"
                ),
                "1",
            ),
            (
                format!(
                    "SELECT sum(length(s)) FROM (SELECT string_agg(t, ', ') AS s {rows} GROUP BY g)"
                ),
                // A letter and the digits of each, and two letters between them.
                "478",
            ),
            (
                format!(
                    "SELECT max(s) FROM (SELECT string_agg(t, ',' ORDER BY n) AS s {rows} WHERE n > 90 GROUP BY g)"
                ),
                "t97",
            ),
        ] {
            assert_eq!(outcome(&context, &sql).await.unwrap(), expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn what_is_held_for_one_group_has_a_bound() {
        let context = context(4 << 30);
        let all = "FROM generate_series(1, 400000) GROUP BY value % 2";
        let some = "FROM generate_series(1, 60000) GROUP BY value % 2";
        for sql in [
            format!("SELECT array_agg(repeat('x', 1000) || value) {all}"),
            format!("SELECT string_agg(repeat('x', 1000) || value, ',') {all}"),
            format!("SELECT array_agg(repeat('x', 1000) || value ORDER BY value) {all}"),
            format!("SELECT string_agg('x', repeat('y', 5000)) {some}"),
        ] {
            let failed = outcome(&context, &sql).await.unwrap_err().to_string();
            assert!(failed.contains("would hold more than"), "{sql}: {failed}");
        }
    }

    #[tokio::test]
    async fn what_is_held_for_many_groups_counts_towards_the_memory() {
        let context = context(32 << 20);
        let all = "FROM generate_series(1, 200000) GROUP BY value % 20000";
        for value in
            ["array_agg(repeat('x', 1000) || value)", "string_agg(repeat('x', 1000) || value, ',')"]
        {
            let failed = outcome(&context, &format!("SELECT {value} {all}")).await.unwrap_err();
            let root = failed.find_root();
            assert!(matches!(root, DataFusionError::ResourcesExhausted(_)), "{value}: {failed}");
        }
    }
}
