//! The rows that a `MERGE` changes, removes and adds.

use arrow::array::{AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{CaseWhen, Expr, SelectItem, SetExpr, Statement};

use super::changed::{Changed, new_values, with_next_numbers};
use super::insert;
use super::keys::{Key, refuse_changed};
use super::merge::{ACTION, MergeStep};
use super::numbers::{Brought, refuse_numbered};
use super::places::Places;
use super::provenance::{Provenance, names_persons};
use super::rows::{FileWriter, Shaper};
use super::write::{Seen, Written, missing};
use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;
use crate::query::postgres::zone_of;
use crate::query::session::QuerySession;

/// Fails unless the values of each step can be put into the columns that it names. `columns` are those of the table,
/// `given` those of the query.
pub(super) fn check(
    name: &str,
    columns: &[Field],
    given: &Schema,
    steps: &[MergeStep],
) -> Result<()> {
    for step in steps {
        match step {
            MergeStep::Delete | MergeStep::Nothing => {}
            MergeStep::Update { assigned, .. } => {
                let names: Vec<String> = assigned.iter().map(|(name, _)| name.clone()).collect();
                let targets = insert::targets(name, columns, Some(&names))?;
                let given: Vec<_> =
                    assigned.iter().map(|(_, at)| given.fields()[*at].clone()).collect();
                insert::check(&given, &targets, true, &Places::NONE)?;
            }
            MergeStep::Insert { columns: named, values } => {
                let targets = insert::targets(name, columns, named.as_deref())?;
                let given = &given.fields()[values.clone()];
                insert::check(given, &targets, named.is_some(), &Places::NONE)?;
            }
        }
    }
    Ok(())
}

/// Gives literals and parameters that a step puts into a column the type of that column.
pub(super) fn with_types(
    name: &str,
    columns: &[Field],
    query: &Statement,
    steps: &[MergeStep],
) -> Result<Statement> {
    let mut query = query.clone();
    let Statement::Query(typed) = &mut query else { return Ok(query) };
    let SetExpr::Select(select) = typed.body.as_mut() else { return Ok(query) };
    for step in steps {
        let (targets, places): (Vec<Field>, Vec<usize>) = match step {
            MergeStep::Delete | MergeStep::Nothing => continue,
            MergeStep::Update { assigned, .. } => {
                let (names, places): (Vec<String>, Vec<usize>) = assigned.iter().cloned().unzip();
                (insert::targets(name, columns, Some(&names))?, places)
            }
            MergeStep::Insert { columns: named, values } => {
                (insert::targets(name, columns, named.as_deref())?, values.clone().collect())
            }
        };
        for (target, place) in targets.iter().zip(places) {
            if let Some(SelectItem::ExprWithAlias { expr: Expr::Case { conditions, .. }, .. }) =
                select.projection.get_mut(place)
            {
                for CaseWhen { result, .. } in conditions {
                    *result = insert::typed(result.clone(), target);
                }
            }
        }
    }
    Ok(query)
}

impl QuerySession {
    /// Follows the steps of a `MERGE` for the rows that its query gives.
    pub(super) async fn merge_rows(
        &self,
        seen: &Seen,
        name: &str,
        steps: &[MergeStep],
        plan: LogicalPlan,
    ) -> Result<Written> {
        let (relation, table) = seen.table(name, "MERGE")?;
        self.require_owner(name, relation)?;
        let columns = seen.columns(table);
        let provenance = Provenance::of_change(&plan, table.of_persons)?;
        let mut apart = provenance.of_one_person_each;
        for step in steps {
            let MergeStep::Insert { columns: named, values } = step else { continue };
            let targets = insert::targets(name, &columns, named.as_deref())?;
            let id = targets.iter().position(|target| target.name() == PROFILE_ID);
            // Nobody else's rows come in under a person's id.
            apart &= match id.filter(|at| *at < values.len()) {
                Some(at) => names_persons(&plan, values.start + at)?,
                None => false,
            };
        }
        let purpose = self.may_fill(seen, name, provenance.personal, apart)?;
        let found = self.found(seen, name, plan).await?;
        let actions =
            cast(found.column(ACTION), &DataType::Int64).map_err(DataFusionError::from)?;
        let actions = actions.as_primitive::<Int64Type>();
        let made = self.opened(&table.path).await?;
        let snapshot = seen.live.published.table(&table.path).ok_or_else(|| missing(name))?;
        let numbers = self.numbers(seen, table)?;
        let mut changes = Vec::new();
        let mut count = 0;
        let mut writer = FileWriter::new(&made);
        let mut brought = Brought::default();
        for (number, step) in steps.iter().enumerate() {
            let rows = of_step(&found, actions, number)?;
            let followed = rows.num_rows();
            match step {
                MergeStep::Nothing => continue,
                MergeStep::Delete => changes.push(Changed::new(&row_numbers(&rows), None)),
                MergeStep::Update { assigned, numbered, person } => {
                    let is_assigned =
                        |column: &&Field| assigned.iter().any(|(name, _)| name == column.name());
                    refuse_changed(table, columns.iter().filter(is_assigned), numbered)?;
                    person.map_or(Ok(()), |(new, old)| check_person(&rows, new, old))?;
                    let assigned: Vec<(&String, usize)> =
                        assigned.iter().map(|(column, at)| (column, *at)).collect();
                    let rows = with_next_numbers(rows, &assigned, numbered, &numbers).await?;
                    let zone = zone_of(self.facts());
                    let values = new_values(&snapshot.schema, &assigned, &rows, &zone)?;
                    for (column, array) in &values {
                        if table.numbered.contains_key(column) && !numbered.contains(column) {
                            brought.take(column, array)?;
                        }
                    }
                    changes.push(Changed::new(&row_numbers(&rows), Some(values)));
                }
                MergeStep::Insert { columns: named, values } => {
                    let targets = insert::targets(name, &columns, named.as_deref())?;
                    refuse_numbered(table, targets.iter().take(values.len()))?;
                    insert::refuse_given(table, &targets, values.len(), None)?;
                    let sources = targets.iter().zip(values.clone());
                    let sources = sources.map(|(target, at)| (target.name().clone(), at)).collect();
                    let shaper = self.shaper(seen, (name, table), &made, sources)?;
                    let mut shaper = Shaper { numbers: numbers.clone(), brought, ..shaper };
                    writer.push(shaper.shape(&rows).await?).await?;
                    brought = shaper.brought;
                }
            }
            count += followed;
        }
        check_once(&row_numbers(&found), actions, steps)?;
        let mut adds = writer.finish().await?;
        let keys = Key::all(name, table, &snapshot.schema)?;
        let of_table = (name, &made, snapshot.as_ref(), table);
        let anew = self.written_anew(seen, of_table, &changes, &keys, &mut brought);
        let (anew, removes) = anew.await?;
        let doubts = self.settle_rows(seen, (name, table), &numbers, brought, &changes).await?;
        adds.extend(anew);
        if !adds.is_empty() || !removes.is_empty() {
            self.stage_and_follow(seen, (name, &made), adds, &removes, doubts).await?;
        }
        let written = Written::tagged(format!("MERGE {count}"));
        self.bind(seen, name, purpose.filter(|_| count > 0), written)
    }
}

/// Returns the rows that a step is followed for.
fn of_step(found: &RecordBatch, actions: &Int64Array, step: usize) -> Result<RecordBatch> {
    let wanted = i64::try_from(step).ok();
    let mask: BooleanArray =
        actions.iter().map(|action| Some(action.is_some() && action == wanted)).collect();
    Ok(filter_record_batch(found, &mask).map_err(DataFusionError::from)?)
}

/// Fails if a row would become another person's.
fn check_person(rows: &RecordBatch, new: usize, old: usize) -> Result<()> {
    let new = cast(rows.column(new), &DataType::Int64).map_err(DataFusionError::from)?;
    let old = rows.column(old).as_primitive::<Int64Type>();
    if new.as_primitive::<Int64Type>().iter().eq(old.iter()) {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: format!("assigning another \"{PROFILE_ID}\""),
        hint: "A row stays with its person: delete it, and insert another.".into(),
    })
}

fn row_numbers(rows: &RecordBatch) -> Int64Array {
    rows.column(0).as_primitive::<Int64Type>().clone()
}

/// Fails if a row of the target is changed or removed twice.
fn check_once(numbers: &Int64Array, actions: &Int64Array, steps: &[MergeStep]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for (row, action) in numbers.iter().zip(actions) {
        let step = action.and_then(|action| steps.get(usize::try_from(action).ok()?));
        let changes = matches!(step, Some(MergeStep::Update { .. } | MergeStep::Delete));
        if let Some(row) = row.filter(|_| changes)
            && !seen.insert(row)
        {
            return Err(Error::Standard {
                sqlstate: "21000",
                message: "MERGE command cannot affect row a second time".into(),
                hint: "Ensure that not more than one source row matches any one target row.".into(),
            });
        }
    }
    Ok(())
}
