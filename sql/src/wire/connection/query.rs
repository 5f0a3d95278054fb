//! Queries: planned, run, encoded and sent, all in one piece of work on a runtime for statements.

use datafusion::common::ScalarValue;
use futures::FutureExt;

use super::portal::same_columns;
use super::{Connection, Halt};
use crate::dialect::{Analyze, CopyOptions, ExplainFormat, Parsed, Statement};
use crate::session::backend::{Plan, QuerySession};
use crate::wire::copy::{CopyEncoder, check_forced};
use crate::wire::encode::{Format, RowEncoder};
use crate::wire::error::{WireError, sqlstate};
use crate::wire::message;
use crate::wire::output::{Framing, RowRun, Sent, WorkError};

/// What is to be run.
#[derive(Clone)]
pub(super) enum Planned {
    /// A text that was not planned yet, and must have no parameters.
    Text(String),
    /// A plan with the values of its parameters.
    Plan(Plan, Vec<ScalarValue>),
}

/// How a result is to be sent.
pub(super) struct Delivery {
    /// How its columns are written.
    pub(super) formats: Vec<Format>,
    /// What writes them so, if somebody has it.
    pub(super) encoder: Option<RowEncoder>,
    /// Whether it is described first.
    pub(super) describe: bool,
    /// Rows at most.
    pub(super) rows_max: u64,
    /// Whether other statements follow in the same text.
    pub(super) followed: bool,
}

/// Whether a query that changes the lake may run, decided before it is known to be one.
type Verdict = Result<(), WireError>;

impl Connection {
    /// Runs a query and sends its rows. If not all were wanted, the run comes back to be continued.
    pub(super) async fn send_rows(
        &mut self,
        planned: Planned,
        delivery: Delivery,
    ) -> Result<(Sent, Box<RowRun>, RowEncoder), Halt> {
        if let Some(done) = self.answer_at_once(&planned, &delivery) {
            return Ok(done);
        }
        let engine = self.session.engine.clone();
        let (zone, intervals) = (self.session.settings.zone(), self.session.settings.intervals());
        let verdict = self.verdict(delivery.followed);
        let done = self.on_cpu(move |output| {
            async move {
                let (plan, mut run) = start(engine.as_ref(), planned, verdict).await?;
                let encoder = delivery.encoder.unwrap_or_else(|| {
                    RowEncoder::new(&plan.schema, &delivery.formats, zone).with_intervals(intervals)
                });
                if delivery.describe {
                    message::row_description(&encoder, output.messages());
                }
                let mut framing = Framing::Rows(encoder.clone());
                let sent = run.send(&mut framing, delivery.rows_max, output).await?;
                Ok((sent, Box::new(run), encoder))
            }
            .boxed()
        });
        let done = done.await;
        self.adopt_settings(done.is_ok()).await?;
        done
    }

    /// Answers a query here and now, if the engine can: no other runtime is asked, since to ask takes longer than to answer.
    fn answer_at_once(
        &mut self,
        planned: &Planned,
        delivery: &Delivery,
    ) -> Option<(Sent, Box<RowRun>, RowEncoder)> {
        let engine = &self.session.engine;
        let known;
        let (plan, values) = match planned {
            Planned::Plan(plan, values) => (plan, values.as_slice()),
            Planned::Text(text) => {
                known = engine.known(text, &[]).filter(|plan| plan.parameters.is_empty())?;
                (&known, &[][..])
            }
        };
        let epoch = engine.status().epoch;
        let batch = engine.answer_at_once(plan, values)?;
        if !same_columns(&plan.schema, &batch.schema()) {
            return None;
        }
        let (zone, intervals) = (self.session.settings.zone(), self.session.settings.intervals());
        let encoder = delivery.encoder.clone().unwrap_or_else(|| {
            RowEncoder::new(&plan.schema, &delivery.formats, zone).with_intervals(intervals)
        });
        if delivery.describe {
            message::row_description(&encoder, &mut self.outbox);
        }
        let mut run = Box::new(RowRun::of(batch, epoch));
        let sent = run.write(&encoder, delivery.rows_max, &mut self.outbox);
        Some((sent, run, encoder))
    }

    /// Runs a query and sends its rows as a COPY. Returns how many they were.
    pub(super) async fn send_copy(
        &mut self,
        planned: Planned,
        options: CopyOptions,
        followed: bool,
    ) -> Result<u64, Halt> {
        let engine = self.session.engine.clone();
        let (zone, intervals) = (self.session.settings.zone(), self.session.settings.intervals());
        let verdict = self.verdict(followed);
        let done = self.on_cpu(move |output| {
            async move {
                let (plan, mut run) = start(engine.as_ref(), planned, verdict).await?;
                check_forced(&plan.schema, &options)?;
                let encoder = CopyEncoder::new(&plan.schema, options, zone, intervals);
                let mut framing = Framing::Copy(encoder);
                if let Framing::Copy(encoder) = &framing {
                    encoder.begin(output.messages());
                }
                let sent = run.send(&mut framing, u64::MAX, output).await?;
                if let Framing::Copy(encoder) = &mut framing {
                    encoder.end(output.messages());
                }
                Ok(sent.rows)
            }
            .boxed()
        });
        let done = done.await;
        self.adopt_settings(done.is_ok()).await?;
        done
    }

    /// Starts a query without reading it, for a cursor.
    pub(super) async fn start_run(
        &mut self,
        planned: Planned,
        followed: bool,
    ) -> Result<(Plan, Box<RowRun>), Halt> {
        let engine = self.session.engine.clone();
        let verdict = self.verdict(followed);
        self.on_cpu(move |_| {
            async move {
                let (plan, run) = start(engine.as_ref(), planned, verdict).await?;
                Ok((plan, Box::new(run)))
            }
            .boxed()
        })
        .await
    }

    /// Sends more rows of a run.
    pub(super) async fn continue_rows(
        &mut self,
        mut run: Box<RowRun>,
        mut framing: Framing,
        rows_max: u64,
    ) -> Result<(Sent, Box<RowRun>), Halt> {
        let done = self.on_cpu(move |output| {
            async move {
                let sent = run.send(&mut framing, rows_max, output).await?;
                Ok((sent, run))
            }
            .boxed()
        });
        let done = done.await;
        self.adopt_settings(done.is_ok()).await?;
        done
    }

    /// Plans a text.
    pub(super) async fn plan(
        &mut self,
        text: String,
        parameters: Vec<Option<arrow::datatypes::DataType>>,
    ) -> Result<Plan, Halt> {
        if let Some(known) = self.session.engine.known(&text, &parameters) {
            return Ok(known);
        }
        let engine = self.session.engine.clone();
        self.on_cpu(move |_| {
            async move { engine.plan(&text, &parameters).await.map_err(WorkError::planning) }
                .boxed()
        })
        .await
    }

    /// Works out the values of `EXECUTE name(expression, ...)`: the engine reads them as a row.
    pub(super) async fn values_of(
        &mut self,
        expressions: &[String],
    ) -> Result<Vec<ScalarValue>, Halt> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let text = format!("SELECT ({})", expressions.join("), ("));
        let engine = self.session.engine.clone();
        // The statement itself comes behind its arguments.
        let verdict = self.verdict(true);
        self.on_cpu(move |_| {
            async move {
                let (_, mut run) = start(engine.as_ref(), Planned::Text(text), verdict).await?;
                run.first_row().await
            }
            .boxed()
        })
        .await
    }

    /// Decides whether a query that changes the lake may run now, with others behind it or not.
    fn verdict(&self, followed: bool) -> Verdict {
        self.session.transaction.admit_change("this function", self.is_read_only(), followed)
    }

    /// Refuses to continue an answer whose ground has changed since it began.
    pub(super) fn check_epoch(&self, run: &RowRun, what: &str) -> Result<(), WireError> {
        match self.session.engine.status().epoch == run.epoch {
            true => Ok(()),
            false => Err(ground_changed(what)),
        }
    }
}

/// The answer to whoever wants more rows of what may not be continued.
pub(super) fn ground_changed(what: &str) -> WireError {
    let message =
        format!("{what} cannot be continued: consent, policies or definitions have changed");
    WireError::new(sqlstate::OBJECT_NOT_IN_STATE, message).hint("Run the query again.")
}

/// Plans what is not planned, and starts it.
async fn start(
    engine: &dyn QuerySession,
    planned: Planned,
    verdict: Verdict,
) -> Result<(Plan, RowRun), WorkError> {
    let epoch = engine.status().epoch;
    let (plan, values) = match planned {
        Planned::Plan(plan, values) => (plan, values),
        Planned::Text(text) => {
            let plan = engine.plan(&text, &[]).await.map_err(WorkError::planning)?;
            if !plan.parameters.is_empty() {
                return Err(no_parameter().into());
            }
            (plan, Vec::new())
        }
    };
    if plan.changes_the_lake {
        verdict?;
    }
    let stream = engine.execute(&plan, values).await.map_err(WorkError::running)?;
    if !same_columns(&plan.schema, &stream.schema()) {
        return Err(WireError::new(
            sqlstate::FEATURE_NOT_SUPPORTED,
            "cached plan must not change result type",
        )
        .hint("Prepare the statement again.")
        .into());
    }
    Ok((plan, RowRun::new(stream, epoch).within(engine.memory())))
}

/// The answer to parameters that nobody gives a value.
pub(super) fn no_parameter() -> WireError {
    WireError::new("42P02", "there is no parameter $1")
        .hint("Values for parameters come with the extended protocol or with EXECUTE.")
}

/// Returns the text that the engine plans a statement from; `None` for those that it does not plan.
pub(super) fn planned_text(parsed: &Parsed) -> Result<Option<String>, WireError> {
    match &parsed.statement {
        Statement::Query { .. } | Statement::Write { .. } => Ok(Some(parsed.text.clone())),
        Statement::ExplainIdentity { query } => Ok(Some(query.clone())),
        Statement::Explain { analyze, verbose, format, statement } => {
            match &statement.statement {
                Statement::Unsupported { what, hint } => return Err(unsupported(what, hint)),
                Statement::Refused { what, hint } => return Err(refused(what, hint)),
                Statement::Query { .. } => {}
                Statement::Execute { .. } => return Ok(None),
                _ => {
                    return Err(unsupported(
                        "EXPLAIN of this statement",
                        "Explain the query itself.",
                    ));
                }
            }
            Ok(Some(explain_prefix(*analyze, *verbose, *format) + &statement.text))
        }
        _ => Ok(None),
    }
}

/// Returns what stands before a statement in the text that its `EXPLAIN` is planned from.
pub(super) fn explain_prefix(
    analyze: Option<Analyze>,
    verbose: bool,
    format: ExplainFormat,
) -> String {
    let mut options = Vec::new();
    if let Some(Analyze { timing, summary }) = analyze {
        options.push("ANALYZE");
        options.extend((!timing).then_some("TIMING false"));
        options.extend((!summary).then_some("SUMMARY false"));
    }
    match format {
        ExplainFormat::Text if options.is_empty() => {
            return format!("EXPLAIN {}", if verbose { "VERBOSE " } else { "" });
        }
        ExplainFormat::Text => {}
        ExplainFormat::Json => options.push("FORMAT 'json'"),
        ExplainFormat::Xml => options.push("FORMAT 'xml'"),
    }
    options.extend(verbose.then_some("VERBOSE"));
    format!("EXPLAIN ({}) ", options.join(", "))
}

/// The answer to what is recognised and not built.
pub(super) fn unsupported(what: &str, hint: &str) -> WireError {
    let error = WireError::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"));
    if hint.is_empty() { error } else { error.hint(hint.to_owned()) }
}

/// The answer to what is never allowed.
pub(super) fn refused(what: &str, hint: &str) -> WireError {
    let error = WireError::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("{what} is not allowed"));
    if hint.is_empty() { error } else { error.hint(hint.to_owned()) }
}
