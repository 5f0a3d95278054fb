//! `EXPLAIN` as PostgreSQL answers it: one column, with a row for each line, or one row with a document.

mod document;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{AnalyzeFormat, AnalyzeFormatKind, Statement, UtilityOption};
use futures::StreamExt;

use crate::lake::LOGICAL_TYPE;
pub(super) use document::explain;

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
        let Statement::Explain { verbose, format, options, .. } = statement else { return None };
        let option = |name: &str| {
            let mut options = options.iter().flatten();
            options.find(|option| option.name.value.eq_ignore_ascii_case(name))
        };
        let said = |option: &UtilityOption| {
            let arg = option.arg.as_ref().map(ToString::to_string).unwrap_or_default();
            arg.trim_matches(['\'', '"']).to_lowercase()
        };
        let markup = match (format, option("format").map(said).as_deref()) {
            (_, Some("json")) | (Some(AnalyzeFormatKind::Keyword(AnalyzeFormat::JSON)), _) => {
                Markup::Json
            }
            (_, Some("xml")) => Markup::Xml,
            _ => return None,
        };
        let is_on = |text: String| ["", "true", "on", "1"].contains(&text.as_str());
        let verbose = *verbose || option("verbose").map(said).is_some_and(is_on);
        Some(Self { markup, verbose })
    }
}

/// Returns how a statement is answered whose plan is `plan`, if it is an `EXPLAIN`.
pub(super) fn form_of(statement: &Statement, plan: &LogicalPlan) -> Option<Form> {
    let LogicalPlan::Explain(_) = plan else { return None };
    Some(Document::of(statement).map_or(Form::Lines, Form::Document))
}

/// Returns the statement that DataFusion is to plan for `statement`: documents it knows of plans as they were understood
/// alone, and not of those that are run.
pub(super) fn in_lines(mut statement: Statement) -> Statement {
    if Document::of(&statement).is_some()
        && let Statement::Explain { verbose, format, options, .. } = &mut statement
    {
        *verbose = false;
        *format = None;
        *options = None;
    }
    statement
}

/// Returns the column of an answer.
pub(super) fn columns_of(form: Form) -> SchemaRef {
    let logical = match form {
        Form::Lines => None,
        Form::Document(Document { markup: Markup::Json, .. }) => Some("json"),
        Form::Document(Document { markup: Markup::Xml, .. }) => Some("xml"),
    };
    let metadata = logical.map(|name| (LOGICAL_TYPE.to_owned(), name.to_owned()));
    let column = Field::new("QUERY PLAN", DataType::Utf8, true);
    Arc::new(Schema::new(vec![column.with_metadata(metadata.into_iter().collect())]))
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
        match (kinds.value(row), form) {
            (PHYSICAL, Form::Document(_)) => run.push(text),
            (PHYSICAL, Form::Lines) => run.extend(text.lines().map(str::to_owned)),
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
