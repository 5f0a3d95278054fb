//! Aggregates of JSON, and functions that give its parts as rows, or those of privileges and options.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, Select, SelectItem, TableFactor, Value, VisitMut, VisitorMut,
};

use super::{arguments, call, function_name, normal};
use crate::query::postgres::functions::RECORDS_OF;

/// The column of the functions that give elements.
const VALUE: &str = "value";

/// `json_agg(x)` as one value of the elements that `array_agg` gathers, and `json_object_agg(name, value)` of members:
/// what `DISTINCT`, `ORDER BY`, `FILTER` and `OVER` say is said to `array_agg`.
pub(super) fn gathered(name: &str, function: &mut Function) -> Option<Expr> {
    let (part, whole, count) = match name {
        "json_agg" => ("json_item", "json_of_items", 1),
        "jsonb_agg" => ("jsonb_item", "jsonb_of_items", 1),
        "json_object_agg" => ("json_member", "json_of_members", 2),
        "jsonb_object_agg" => ("jsonb_member", "jsonb_of_members", 2),
        _ => return None,
    };
    let values = arguments(&function.args);
    let FunctionArguments::List(list) = &mut function.args else { return None };
    if values.len() != count || list.args.len() != count {
        return None;
    }
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(call(part, values)))];
    function.name = ObjectName::from(vec![Ident::new("array_agg")]);
    Some(call(whole, vec![Expr::Function(function.clone())]))
}

/// A column of the rows that a function gives.
pub(super) struct Part {
    /// Its name, if it is not the function's.
    pub(super) column: Option<&'static str>,
    /// The function that gives it as a list.
    pub(super) list: &'static str,
    /// Its type, where it is not text.
    pub(super) of: Option<DataType>,
}

/// The columns of the rows that a function gives; `None` for other functions.
pub(super) fn parts_of(name: &str) -> Option<Vec<Part>> {
    let part = |column, list, of| Part { column, list, of };
    let (key, value) = (Some("key"), Some(VALUE));
    Some(match name {
        "json_array_elements" => vec![part(value, "json_elements", Some(DataType::JSON))],
        "jsonb_array_elements" => vec![part(value, "jsonb_elements", Some(DataType::JSONB))],
        "json_array_elements_text" | "jsonb_array_elements_text" => {
            vec![part(value, "json_elements_text", None)]
        }
        "json_object_keys" => vec![part(None, "json_keys", None)],
        "jsonb_object_keys" => vec![part(None, "jsonb_keys", None)],
        "jsonb_path_query" => vec![part(None, "jsonb_path_items", Some(DataType::JSONB))],
        "json_each" => {
            vec![part(key, "json_keys", None), part(value, "json_values", Some(DataType::JSON))]
        }
        "jsonb_each" => {
            vec![part(key, "jsonb_keys", None), part(value, "jsonb_values", Some(DataType::JSONB))]
        }
        "json_each_text" => {
            vec![part(key, "json_keys", None), part(value, "json_values_text", None)]
        }
        "jsonb_each_text" => {
            vec![part(key, "jsonb_keys", None), part(value, "jsonb_values_text", None)]
        }
        "aclexplode" => vec![
            part(Some("grantor"), "acl_grantors", Some(oid())),
            part(Some("grantee"), "acl_grantees", Some(oid())),
            part(Some("privilege_type"), "acl_privileges", None),
            part(Some("is_grantable"), "acl_grantable", Some(DataType::Boolean)),
        ],
        "pg_options_to_table" => vec![
            part(Some("option_name"), "option_names", None),
            part(Some("option_value"), "option_values", None),
        ],
        _ => return None,
    })
}

fn oid() -> DataType {
    DataType::Custom(ObjectName::from(vec![Ident::new("oid")]), vec![])
}

/// `(aclexplode(acl)).grantee`: one column of the rows of a function that gives several; `None` for all else.
pub(super) fn member(root: &Expr, field: &Ident) -> Option<Expr> {
    let Expr::Nested(inner) = root else { return None };
    let Expr::Function(function) = inner.as_ref() else { return None };
    let (parts, field) = (parts_of(&function_name(&function.name)?)?, normal(field));
    let part = parts.into_iter().find(|part| part.column == Some(field.as_str()))?;
    let rows = call("unnest", vec![call(part.list, arguments(&function.args))]);
    Some(of_type(rows, part.of))
}

/// The rows of a function in a select list, which are records where they have several columns; `None` for other functions.
pub(super) fn rows(name: &str, arguments: &[Expr]) -> Option<Expr> {
    let parts = parts_of(name)?;
    if let [part] = parts.as_slice() {
        let rows = call("unnest", vec![call(part.list, arguments.to_vec())]);
        return Some(of_type(rows, part.of.clone()));
    }
    let columns = parts.iter().flat_map(|part| {
        let column = part.column.unwrap_or(name).to_owned();
        let column = Expr::Value(Value::SingleQuotedString(column).into());
        [column, call(part.list, arguments.to_vec())]
    });
    Some(call("unnest", vec![call(RECORDS_OF, columns.collect())]))
}

/// An expression with the type that it has, which is lost where lists become rows.
pub(super) fn of_type(expr: Expr, of: Option<DataType>) -> Expr {
    let Some(data_type) = of else { return expr };
    let (kind, expr) = (CastKind::Cast, Box::new(expr));
    Expr::Cast { kind, expr, data_type, array: false, format: None }
}

/// The one column of a function in `FROM` whose parameter has a name that is not the function's.
fn column_of(name: &str) -> Option<&'static str> {
    match parts_of(name)?.as_slice() {
        [part] => part.column,
        _ => None,
    }
}

/// In `FROM jsonb_array_elements(...) AS item` the name `item` stands for the value: here it becomes `item.value`.
pub(super) fn name_values(select: &mut Select) {
    let factors = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
    });
    let aliases = factors.filter_map(|factor| match factor {
        TableFactor::Table { name, alias: Some(alias), args: Some(_), .. }
        | TableFactor::Function { name, alias: Some(alias), .. }
            if alias.columns.is_empty() =>
        {
            column_of(&function_name(name)?).map(|_| normal(&alias.name))
        }
        _ => None,
    });
    let mut named = Named(aliases.collect());
    if named.0.is_empty() {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
            && named.0.contains(&normal(ident))
        {
            let (alias, expr) = (ident.clone(), Expr::Identifier(ident.clone()));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
    // The visitor never breaks off.
    let _ = select.visit(&mut named);
}

/// The aliases that stand for values.
struct Named(Vec<String>);

impl VisitorMut for Named {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expr
            && self.0.contains(&normal(ident))
        {
            *expr = Expr::CompoundIdentifier(vec![ident.clone(), Ident::new(VALUE)]);
        }
        ControlFlow::Continue(())
    }
}
