//! Rows of JSON whose columns a statement names: `jsonb_to_recordset(items) AS item(sku text, price numeric)`.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, Value,
};

use super::relations::LISTS;
use super::{call, expressions, json, normal};

/// The column with the elements of an array.
const VALUE: &str = "value";

/// Tells whether a function gives records whose columns stand behind it.
pub(super) fn is_one(function: &str) -> bool {
    is_set(function).is_some()
}

/// Whether a function gives a row for each element of an array, or one for an object.
fn is_set(function: &str) -> Option<bool> {
    match function {
        "json_to_record" | "jsonb_to_record" => Some(false),
        "json_to_recordset" | "jsonb_to_recordset" => Some(true),
        _ => None,
    }
}

/// The relation of a call with its columns; `None` for other functions, and where the types of columns are missing.
pub(super) fn relation(
    function: &str,
    values: &[Expr],
    alias: &mut Option<TableAlias>,
) -> Option<TableFactor> {
    let is_set = is_set(function)?;
    let [document] = values else { return None };
    let columns = &alias.as_ref()?.columns;
    if columns.is_empty() || columns.iter().any(|column| column.data_type.is_none()) {
        return None;
    }
    let mut alias = alias.take()?;
    let columns = std::mem::take(&mut alias.columns);
    let record = match is_set {
        true => Expr::Identifier(Ident::new(VALUE)),
        false => document.clone(),
    };
    let shown = columns.into_iter().map(|TableAliasColumnDef { name, data_type }| {
        SelectItem::ExprWithAlias { expr: member(&record, &name, data_type), alias: name }
    });
    let mut query = expressions::select(shown.collect());
    if let (true, SetExpr::Select(select)) = (is_set, query.body.as_mut()) {
        select.from = vec![TableWithJoins { relation: elements(document.clone()), joins: vec![] }];
    }
    let subquery = Box::new(query);
    Some(TableFactor::Derived { lateral: true, subquery, alias: Some(alias), sample: None })
}

fn elements(document: Expr) -> TableFactor {
    let column = TableAliasColumnDef { name: Ident::new(VALUE), data_type: None };
    let name = Ident::new(LISTS);
    TableFactor::UNNEST {
        alias: Some(TableAlias { explicit: true, name, columns: vec![column], at: None }),
        array_exprs: vec![call("json_elements", vec![document])],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    }
}

/// The member of a record as a value of a type; null is null in every type.
fn member(record: &Expr, name: &Ident, data_type: Option<DataType>) -> Expr {
    let text = |text: String| Expr::Value(Value::SingleQuotedString(text).into());
    let arguments = vec![record.clone(), text(normal(name))];
    let value = match &data_type {
        Some(DataType::JSON | DataType::JSONB) => {
            let part = json::of_type(call("json_get", arguments), Some(DataType::Text));
            call("nullif", vec![part, text("null".to_owned())])
        }
        _ => call("json_get_text", arguments),
    };
    json::of_type(value, data_type)
}
