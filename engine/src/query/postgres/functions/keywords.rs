//! `pg_get_keywords()`: the words of SQL, which clients quote when they are names.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::datasource::MemTable;

use crate::query::postgres::types::field;

/// The name of the function.
pub(crate) const NAME: &str = "pg_get_keywords";

/// Returns the function.
pub(super) fn keywords() -> Arc<TableFunction> {
    Arc::new(TableFunction::new(NAME.to_owned(), Arc::new(Keywords)))
}

#[derive(Debug)]
struct Keywords;

impl TableFunctionImpl for Keywords {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        if !args.exprs().is_empty() {
            return plan_err!("function {NAME} takes no arguments");
        }
        let words: Vec<(&str, &str, bool)> = include_str!("../catalog/data/keywords.tsv")
            .lines()
            .filter_map(|line| {
                let (word, rest) = line.split_once('\t')?;
                let (category, bare) = rest.split_once('\t')?;
                Some((word, category, bare == "t"))
            })
            .collect();
        let texts = |of: fn(&(&'static str, &'static str, bool)) -> &'static str| {
            Arc::new(words.iter().map(|word| Some(of(word))).collect::<StringArray>()) as ArrayRef
        };
        let columns = vec![
            texts(|(word, _, _)| *word),
            texts(|(_, category, _)| *category),
            Arc::new(words.iter().map(|(_, _, bare)| Some(*bare)).collect::<BooleanArray>()) as _,
            texts(|(_, category, _)| described(category)),
            texts(|(_, _, bare)| if *bare { "can be bare label" } else { "requires AS" }),
        ];
        let schema = Arc::new(Schema::new(vec![
            field("word", "text"),
            field("catcode", "char"),
            field("barelabel", "bool"),
            field("catdesc", "text"),
            field("baredesc", "text"),
        ]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

fn described(category: &str) -> &'static str {
    match category {
        "U" => "unreserved",
        "C" => "unreserved (cannot be function or type name)",
        "T" => "reserved (can be function or type name)",
        _ => "reserved",
    }
}
