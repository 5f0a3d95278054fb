//! `EXPLAIN` as PostgreSQL answers it: one column, with a row for each line, or one row with a document.

mod analysis;
mod document;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{AnalyzeFormat, AnalyzeFormatKind, Statement, UtilityOption};
use futures::StreamExt;

use self::analysis::Analysis;
use crate::lake::LOGICAL_TYPE;
use crate::query::planner::physical;

/// What DataFusion calls the plan that is run.
const PHYSICAL: &str = "physical_plan";

/// What names begin with that the planner gives and no text of a statement has: no terminal shows it.
const MARK: char = '\u{1}';

/// How an `EXPLAIN` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With a row for each line.
    Lines,
    /// With a document.
    Document(Document),
    /// With what running it came to.
    Analysis(Analysis),
}

impl Form {
    /// Returns the document that it is answered with, if it is one.
    fn document(self) -> Option<Document> {
        match self {
            Form::Lines => None,
            Form::Document(document) => Some(document),
            Form::Analysis(analysis) => analysis.document,
        }
    }
}

/// What a document of a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document {
    markup: Markup,
    /// Whether it tells the columns of each node, too.
    verbose: bool,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Markup {
    Json,
    Xml,
}

impl Document {
    /// Returns what document an `EXPLAIN` asks for, if it asks for one.
    fn of(statement: &Statement) -> Option<Self> {
        let Statement::Explain { format, options, .. } = statement else { return None };
        let markup = match (format, said(options.as_deref(), "format").as_deref()) {
            (_, Some("json")) | (Some(AnalyzeFormatKind::Keyword(AnalyzeFormat::JSON)), _) => {
                Markup::Json
            }
            (_, Some("xml")) => Markup::Xml,
            _ => return None,
        };
        Some(Self { markup, verbose: is_verbose(statement) })
    }
}

/// Returns what the options of an `EXPLAIN` say of `name`, nothing if it stands alone.
fn said(options: Option<&[UtilityOption]>, name: &str) -> Option<String> {
    let mut options = options.into_iter().flatten();
    let option = options.find(|option| option.name.value.eq_ignore_ascii_case(name))?;
    let arg = option.arg.as_ref().map(ToString::to_string).unwrap_or_default();
    Some(arg.trim_matches(['\'', '"']).to_lowercase())
}

/// Tells whether what is said of an option, if anything is, turns it on.
fn is_on(said: Option<String>, otherwise: bool) -> bool {
    said.map_or(otherwise, |text| ["", "true", "on", "1"].contains(&text.as_str()))
}

/// Tells whether an `EXPLAIN` asks for every detail.
fn is_verbose(statement: &Statement) -> bool {
    match statement {
        Statement::Explain { verbose, options, .. } => {
            *verbose || is_on(said(options.as_deref(), "verbose"), false)
        }
        _ => false,
    }
}

/// Returns how a statement is answered whose plan is `plan`, if it is an `EXPLAIN`.
pub(super) fn form_of(statement: &Statement, plan: &LogicalPlan) -> Option<Form> {
    let LogicalPlan::Explain(_) = plan else { return None };
    if let Some(analysis) = Analysis::of(statement) {
        return Some(Form::Analysis(analysis));
    }
    Some(Document::of(statement).map_or(Form::Lines, Form::Document))
}

/// Returns the statement that DataFusion is to plan for `statement`: documents it knows of plans as they were understood
/// alone, and not of those that are run, and what it measures of a plan tells of rows that are hidden.
pub(super) fn in_lines(mut statement: Statement) -> Statement {
    if Document::of(&statement).is_none() && Analysis::of(&statement).is_none() {
        return statement;
    }
    if let Statement::Explain { analyze, verbose, format, options, .. } = &mut statement {
        *analyze = false;
        *verbose = false;
        *format = None;
        *options = None;
    }
    statement
}

/// Returns the column of an answer.
pub(super) fn columns_of(form: Form) -> SchemaRef {
    let logical = form.document().map(|document| match document.markup {
        Markup::Json => "json",
        Markup::Xml => "xml",
    });
    let metadata = logical.map(|name| (LOGICAL_TYPE.to_owned(), name.to_owned()));
    let column = Field::new("QUERY PLAN", DataType::Utf8, true);
    Arc::new(Schema::new(vec![column.with_metadata(metadata.into_iter().collect())]))
}

/// Returns a plan whose rows [`answer`] makes the answer to `plan` of, which is an `EXPLAIN`.
pub(super) async fn explain(
    state: &SessionState,
    plan: &LogicalPlan,
    form: Form,
) -> crate::error::Result<Arc<dyn ExecutionPlan>> {
    let LogicalPlan::Explain(explain) = plan else {
        return Err(DataFusionError::Internal("EXPLAIN has another plan".into()).into());
    };
    match form {
        Form::Lines => physical(state, plan).await,
        Form::Document(document) => document::explain(state, explain, document).await,
        Form::Analysis(analysis) => analysis::explain(state, explain, analysis).await,
    }
}

/// Makes the answer of the rows of DataFusion's `EXPLAIN`, each of which is a kind of plan and its text.
pub(super) fn answer(rows: SendableRecordBatchStream, form: Form) -> SendableRecordBatchStream {
    let answer = rows.map(move |batch| batch.and_then(|batch| answer_of(&batch, form)));
    Box::pin(RecordBatchStreamAdapter::new(columns_of(form), answer))
}

/// Writes the plan that is run, and behind it how the query was understood.
fn answer_of(batch: &RecordBatch, form: Form) -> Result<RecordBatch> {
    let (Some(kinds), Some(texts)) = (
        batch.column(0).as_string_opt::<i32>(),
        batch.columns().get(1).and_then(|texts| texts.as_string_opt::<i32>()),
    ) else {
        return Err(DataFusionError::Internal("EXPLAIN has another form".into()));
    };
    let (mut run, mut understood) = (Vec::new(), Vec::new());
    for row in 0..batch.num_rows() {
        let text = if texts.is_null(row) { "" } else { texts.value(row) };
        let text = text.replace(MARK, "");
        match (kinds.value(row), form.document()) {
            (PHYSICAL, Some(_)) => run.push(text),
            (PHYSICAL, None) => run.extend(text.lines().map(str::to_owned)),
            _ => understood.extend(text.lines().map(|line| format!("  {line}"))),
        }
    }
    if !understood.is_empty() {
        run.push("Logical Plan:".to_owned());
        run.extend(understood);
    }
    let lines: ArrayRef = Arc::new(StringArray::from(run));
    Ok(RecordBatch::try_new(columns_of(form), vec![lines])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_that_is_run_comes_first_and_every_letter_can_be_shown() {
        let texts = |texts: [&str; 2]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let rows = RecordBatch::try_from_iter([
            ("plan_type", texts(["logical_plan", PHYSICAL])),
            ("plan", texts(["Alias: \u{1}pairs\n  Scan", "ScanExec: \u{1}pairs@0"])),
        ]);
        let lines = answer_of(&rows.unwrap(), Form::Lines).unwrap();
        let lines: Vec<&str> = lines.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(lines, ["ScanExec: pairs@0", "Logical Plan:", "  Alias: pairs", "    Scan"]);
    }
}
