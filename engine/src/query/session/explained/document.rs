//! The documents of `EXPLAIN (FORMAT JSON)` and `FORMAT XML`: the operators of the plan that is run, in the shape of
//! PostgreSQL's and, where it has such a node, with its words, by which clients choose a picture. What they tell of an operator
//! is the line that the text has for it, and nothing more.

use std::sync::Arc;

use datafusion::common::display::{PlanType, StringifiedPlan};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Explain;
use datafusion::physical_plan::explain::ExplainExec;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use serde_json::{Map, Value, json};

use super::analysis::Measure;
use super::{Document, MARK, Markup};
use crate::error::Result;
use crate::query::planner::physical;

/// The namespace of the elements of a document.
const NAMESPACE: &str = "http://www.postgresql.org/2009/explain";

/// Returns a plan whose one row is the document of what is explained.
pub(super) async fn explain(
    state: &SessionState,
    explain: &Explain,
    document: Document,
) -> Result<Arc<dyn ExecutionPlan>> {
    let run = physical(state, &explain.plan).await?;
    let document = written(document, &run, &mut std::iter::empty::<Measure>(), vec![]);
    let text = StringifiedPlan::new(PlanType::FinalPhysicalPlan, document);
    Ok(Arc::new(ExplainExec::new(Arc::clone(explain.schema.inner()), vec![text], false)))
}

/// Writes the document of a plan; `measures` are those of its nodes from the first line of its text to the last, if it was
/// run, and `totals` what is told besides of the whole.
pub(super) fn written(
    Document { markup, verbose }: Document,
    plan: &Arc<dyn ExecutionPlan>,
    measures: &mut dyn Iterator<Item = Measure>,
    totals: Vec<(&str, Value)>,
) -> String {
    let mut told = Map::new();
    told.insert("Plan".to_owned(), node(plan, verbose, None, measures));
    told.extend(totals.into_iter().map(|(name, value)| (name.to_owned(), value)));
    match markup {
        Markup::Json => format!("{:#}", json!([told])),
        Markup::Xml => {
            let mut document = format!("<explain xmlns=\"{NAMESPACE}\">\n  <Query>\n");
            for (name, value) in &told {
                write_xml(name, value, 4, &mut document);
            }
            document + "  </Query>\n</explain>"
        }
    }
}

/// Returns the line that the text of a plan has for a node.
pub(super) fn line_of(plan: &Arc<dyn ExecutionPlan>) -> String {
    let line = displayable(plan.as_ref()).one_line().to_string();
    line.replace(MARK, "").trim_end().to_owned()
}

/// Returns the columns of a node that may be part of an answer: those of the system are none.
pub(super) fn columns_of(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let schema = plan.schema();
    let columns = schema.fields().iter().map(|field| field.name().as_str());
    let columns = columns.filter(|column| !column.starts_with('_'));
    columns.map(|column| column.replace(MARK, "")).collect()
}

/// Writes a value as the element `name`, as PostgreSQL writes those of its JSON.
fn write_xml(name: &str, value: &Value, indent: usize, document: &mut String) {
    let (margin, tag) = (" ".repeat(indent), name.replace(' ', "-"));
    let parts: Vec<(&str, &Value)> = match value {
        Value::Object(parts) => parts.iter().map(|(name, part)| (name.as_str(), part)).collect(),
        Value::Array(parts) => {
            let of = if name == "Plans" { "Plan" } else { "Item" };
            parts.iter().map(|part| (of, part)).collect()
        }
        _ => {
            let text = value.as_str().map_or_else(|| value.to_string(), escaped);
            document.push_str(&format!("{margin}<{tag}>{text}</{tag}>\n"));
            return;
        }
    };
    document.push_str(&format!("{margin}<{tag}>\n"));
    for (name, part) in parts {
        write_xml(name, part, indent + 2, document);
    }
    document.push_str(&format!("{margin}</{tag}>\n"));
}

/// Writes a text as XML has it, which has no other control characters than white space.
fn escaped(text: &str) -> String {
    let text = text.replace(|letter: char| letter.is_control() && !"\t\n\r".contains(letter), "");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#x0d;")
}

/// Returns an operator and those below it.
fn node(
    plan: &Arc<dyn ExecutionPlan>,
    verbose: bool,
    relationship: Option<&str>,
    measures: &mut dyn Iterator<Item = Measure>,
) -> Value {
    let (name, line) = (plan.name(), line_of(plan));
    let line = line.as_str();
    let detail = line.strip_prefix(name).map_or(line, |rest| rest.trim_start_matches([':', ' ']));
    let mut node = Map::new();
    let mut tell = |key: &str, value: Value| drop(node.insert(key.to_owned(), value));
    tell("Node Type", json!(kind(name)));
    if let Some(relationship) = relationship {
        tell("Parent Relationship", json!(relationship));
    }
    for (key, value) in facts(name, detail) {
        tell(key, json!(value));
    }
    if let Some(measure) = measures.next() {
        measure.facts().into_iter().for_each(|(key, value)| tell(key, value));
    }
    tell("Operator", json!(name));
    if !detail.is_empty() {
        tell("Detail", json!(detail));
    }
    if verbose {
        tell("Output", json!(columns_of(plan)));
    }
    let below = plan.children();
    if !below.is_empty() {
        let mut plans = Vec::with_capacity(below.len());
        for (at, child) in below.into_iter().enumerate() {
            plans.push(self::node(child, verbose, Some(place(name, at)), measures));
        }
        tell("Plans", Value::Array(plans));
    }
    Value::Object(node)
}

/// Returns what PostgreSQL calls a node that does what an operator does; its own name where there is none.
fn kind(operator: &str) -> &str {
    match operator {
        "GovernedScanExec" => "Seq Scan",
        "DataSourceExec" => "Values Scan",
        "LazyMemoryExec" => "Function Scan",
        "WorkTableExec" => "WorkTable Scan",
        "PlaceholderRowExec" | "EmptyExec" | "ProjectionExec" | "FilterExec" => "Result",
        "UnnestExec" => "ProjectSet",
        "AggregateExec" => "Aggregate",
        "WindowAggExec" | "BoundedWindowAggExec" => "WindowAgg",
        "SortExec" | "PartialSortExec" => "Sort",
        "GlobalLimitExec" | "LocalLimitExec" => "Limit",
        "HashJoinExec" => "Hash Join",
        "SortMergeJoinExec" => "Merge Join",
        "NestedLoopJoinExec" | "CrossJoinExec" => "Nested Loop",
        "UnionExec" | "InterleaveExec" => "Append",
        "RecursiveQueryExec" => "Recursive Union",
        "CoalescePartitionsExec" => "Gather",
        "SortPreservingMergeExec" => "Gather Merge",
        other => other.strip_suffix("Exec").unwrap_or(other),
    }
}

/// Returns what a node is to the one above it.
fn place(above: &str, at: usize) -> &'static str {
    match kind(above) {
        "Append" => "Member",
        _ if at == 1 => "Inner",
        _ => "Outer",
    }
}

/// Returns what the line of an operator says under PostgreSQL's keys.
fn facts(operator: &str, detail: &str) -> Vec<(&'static str, String)> {
    match kind(operator) {
        "Seq Scan" => {
            let Some(table) = value_of(detail, "table") else { return vec![] };
            match table.split_once('.') {
                Some((schema, name)) => {
                    vec![("Relation Name", name.to_owned()), ("Schema", schema.to_owned())]
                }
                None => vec![("Relation Name", table.to_owned())],
            }
        }
        "Aggregate" => {
            let strategy = match value_of(detail, "gby") {
                Some("[]") => "Plain",
                _ if detail.contains("ordering_mode=Sorted") => "Sorted",
                _ => "Hashed",
            };
            let mode = match value_of(detail, "mode") {
                Some("Partial" | "PartialReduce") => "Partial",
                Some("Final" | "FinalPartitioned") => "Finalize",
                _ => "Simple",
            };
            vec![("Strategy", strategy.to_owned()), ("Partial Mode", mode.to_owned())]
        }
        "Hash Join" | "Merge Join" | "Nested Loop" => {
            let side = match value_of(detail, "join_type") {
                Some("LeftSemi" | "RightSemi") => "Semi",
                Some("LeftAnti" | "RightAnti") => "Anti",
                Some(side) => side,
                None => "Inner",
            };
            vec![("Join Type", side.to_owned())]
        }
        _ if operator == "FilterExec" => vec![("Filter", detail.to_owned())],
        _ => vec![],
    }
}

/// Returns what stands behind `key=` in a line, up to the next comma.
fn value_of<'a>(detail: &'a str, key: &str) -> Option<&'a str> {
    detail.split(", ").find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_in_xml_has_the_elements_of_postgresql() {
        let plan = json!({
            "Node Type": "Sort",
            "Output": ["a", "b"],
            "Plans": [{ "Node Type": "Result", "Filter": "a < 'x&\u{2}y'" }],
        });
        let mut document = String::new();
        write_xml("Plan", &plan, 0, &mut document);
        let expected = [
            "<Plan>",
            "  <Node-Type>Sort</Node-Type>",
            "  <Output>",
            "    <Item>a</Item>",
            "    <Item>b</Item>",
            "  </Output>",
            "  <Plans>",
            "    <Plan>",
            "      <Node-Type>Result</Node-Type>",
            "      <Filter>a &lt; 'x&amp;y'</Filter>",
            "    </Plan>",
            "  </Plans>",
            "</Plan>",
        ];
        assert_eq!(document.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_line_of_an_operator_is_told_in_the_words_of_postgresql() {
        for (operator, detail, node, told) in [
            (
                "GovernedScanExec",
                "table=sources.crm, purpose=shop, columns=[a, b]",
                "Seq Scan",
                &[("Relation Name", "crm"), ("Schema", "sources")][..],
            ),
            (
                "AggregateExec",
                "mode=FinalPartitioned, gby=[a@0 as a], aggr=[count(*)]",
                "Aggregate",
                &[("Strategy", "Hashed"), ("Partial Mode", "Finalize")][..],
            ),
            (
                "AggregateExec",
                "mode=Single, gby=[], aggr=[count(*)]",
                "Aggregate",
                &[("Strategy", "Plain"), ("Partial Mode", "Simple")][..],
            ),
            (
                "HashJoinExec",
                "mode=CollectLeft, join_type=LeftAnti, on=[(a@0, a@0)]",
                "Hash Join",
                &[("Join Type", "Anti")][..],
            ),
            ("FilterExec", "a@0 > 1", "Result", &[("Filter", "a@0 > 1")][..]),
            ("CrossJoinExec", "", "Nested Loop", &[("Join Type", "Inner")][..]),
            ("PairScoringExec", "", "PairScoring", &[][..]),
        ] {
            assert_eq!(kind(operator), node);
            let facts = facts(operator, detail);
            let facts: Vec<(&str, &str)> =
                facts.iter().map(|(key, value)| (*key, value.as_str())).collect();
            assert_eq!(facts, told, "{operator}: {detail}");
        }
    }
}
