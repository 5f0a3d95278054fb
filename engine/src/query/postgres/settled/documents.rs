//! Documents, which DataFusion takes for texts: functions of JSON would put them in quotes.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::Types;
use super::choices::{common, known};
use crate::query::postgres::types::{TYPE_KEY, array_of_documents};

/// Functions that write documents of what they are given.
pub(super) const WRITING: [&str; 11] = [
    "array_to_json",
    "json_build_array",
    "json_build_object",
    "json_item",
    "json_member",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_item",
    "jsonb_member",
    "to_json",
    "to_jsonb",
];

impl Types {
    /// Gives an array that is written with documents its type.
    pub(super) fn name_documents(&mut self, array: &mut Expr, schema: &DFSchema) -> Result<()> {
        if let Some(logical) = written_documents(array, schema) {
            let field = documents(array.get_type(schema)?, logical);
            *array = Expr::Cast(Cast { expr: Box::new(std::mem::take(array)), field });
            self.changed = true;
        }
        Ok(())
    }
}

/// The type of a choice among documents.
pub(super) fn document_of(expr: &Expr, schema: &DFSchema) -> Option<FieldRef> {
    let chosen: Vec<&Expr> = match expr {
        Expr::Case(case) => {
            let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            thens.chain(case.else_expr.as_deref()).collect()
        }
        Expr::ScalarFunction(call) if matches!(call.name(), "coalesce" | "nullif") => {
            call.args.iter().collect()
        }
        _ => return None,
    };
    let fields: Vec<FieldRef> =
        chosen.into_iter().filter_map(|value| known(value, schema)).collect();
    let field = common(fields.iter(), None)?;
    let logical = field.metadata().get(TYPE_KEY).map(String::as_str);
    matches!(logical, Some("json" | "jsonb" | "json[]" | "jsonb[]")).then(|| Arc::new(field))
}

/// The type of what a subquery shows where that is a document, or an array of them. Of a value that is worked out once for all
/// rows DataFusion tells functions the Arrow type alone.
pub(super) fn shown_document(expr: &Expr) -> Option<FieldRef> {
    let Expr::ScalarSubquery(subquery) = expr else { return None };
    let shown = subquery.subquery.schema().fields().first()?;
    let logical = shown.metadata().get(TYPE_KEY)?;
    let is_document = matches!(logical.as_str(), "json" | "jsonb" | "json[]" | "jsonb[]");
    (is_document && subquery.outer_ref_columns.is_empty())
        .then(|| documents(shown.data_type().clone(), logical))
}

/// The logical type of an array that is written with documents.
fn written_documents(array: &Expr, schema: &DFSchema) -> Option<&'static str> {
    let Expr::ScalarFunction(call) = array else { return None };
    if call.name() != "make_array" {
        return None;
    }
    call.args.iter().find_map(|element| {
        let of_arrays = written_documents(element, schema);
        of_arrays.or_else(|| array_of_documents(element.to_field(schema).ok()?.1.as_ref()))
    })
}

fn documents(data_type: DataType, logical: &str) -> FieldRef {
    let metadata = [(TYPE_KEY.to_owned(), logical.to_owned())].into();
    Arc::new(Field::new("", data_type, true).with_metadata(metadata))
}
