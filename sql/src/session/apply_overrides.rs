//! `APPLY IDENTITY OVERRIDES AS query`: decisions about pairs of records from the rows of a query, all of them or none.
//!
//! The query is planned and run as any other one of the session: it reads what the session may read, for its purpose, and the
//! audit log tells so.

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use engine::catalog::Capability;
use engine::overrides::{Answer, COLUMNS, Decision, PAIRS_MAX, REASON};
use engine::tables::texts;
use engine::{Error, Result, lanes};
use futures::TryStreamExt;

use super::backend::Outcome;
use super::engine_backend::{EngineSession, done};
use super::read::parse;

impl EngineSession {
    /// Takes the decisions that the rows of a query are.
    pub(super) async fn apply_overrides(&self, query: &str) -> Result<Outcome> {
        self.session.require(Capability::Define, "decide about records")?;
        let planned = self.session.plan(&parse(query)?, &[]).await?;
        if !planned.parameters.is_empty() {
            return Err(Error::Standard {
                sqlstate: "42P02",
                message: "there is no parameter $1".into(),
                hint: "Write values into the query, or put them into a table that it reads.".into(),
            });
        }
        let places = Places::of(&planned.schema)?;
        lanes::go_heavy().await;
        let mut rows = self.session.execute(&planned, vec![]).await?;
        let mut answers: Vec<Answer> = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            if answers.len() + batch.num_rows() > PAIRS_MAX {
                return Err(Error::Limit {
                    sqlstate: "54000",
                    message: format!("the query has more than {PAIRS_MAX} rows to decide about"),
                    hint: "Apply them in several statements.".into(),
                });
            }
            places.read(&batch, &mut answers)?;
        }
        let mut added = 0;
        if !answers.is_empty() {
            let decision = Decision::Answer(answers);
            added = self.session.engine().decide(&self.session, &decision, "").await?.added;
        }
        Ok(done(format!("APPLY IDENTITY OVERRIDES {added}")))
    }
}

/// Where the columns stand.
struct Places {
    columns: [usize; COLUMNS.len()],
    reason: Option<usize>,
}

impl Places {
    fn of(schema: &Schema) -> Result<Self> {
        let mut columns = [0; COLUMNS.len()];
        for (place, name) in columns.iter_mut().zip(COLUMNS) {
            let (at, _) = schema.column_with_name(name).ok_or_else(|| Error::Invalid {
                message: format!("the query has no column \"{name}\""),
                hint: format!("It needs {} and may have {REASON}.", COLUMNS.join(", ")),
            })?;
            *place = at;
        }
        Ok(Self { columns, reason: schema.column_with_name(REASON).map(|(at, _)| at) })
    }

    /// Adds the answers that rows are.
    fn read(&self, batch: &RecordBatch, answers: &mut Vec<Answer>) -> Result<()> {
        let texts = |at: usize| texts(batch.column(at));
        let columns: Vec<StringArray> =
            self.columns.into_iter().map(texts).collect::<Result<_>>()?;
        let reasons = self.reason.map(texts).transpose()?;
        for row in 0..batch.num_rows() {
            let number = answers.len() + 1;
            if let Some(at) = columns.iter().position(|column| column.is_null(row)) {
                return Err(Error::Standard {
                    sqlstate: "22004",
                    message: format!("row {number} has no {}", COLUMNS[at]),
                    hint: "Leave rows out that decide nothing.".into(),
                });
            }
            let [source, key, other_source, other_key, decision] =
                [0, 1, 2, 3, 4].map(|at| columns[at].value(row));
            let reason = reasons.as_ref().filter(|reasons| reasons.is_valid(row));
            let reason = reason.map_or("", |reasons| reasons.value(row));
            let records = [(source, key), (other_source, other_key)];
            answers.push(Answer::about_records(records, decision, reason)?);
        }
        Ok(())
    }
}
