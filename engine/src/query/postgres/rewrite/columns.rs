//! Names of result columns, as PostgreSQL gives them.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, CastKind, DataType, Expr, Ident, Select, SelectItem, SetExpr,
    Subscript, TrimWhereField, Value,
};

use super::literals::{INTEGER, is_integer};
use super::{arguments, call, function_name, normal};
use crate::query::postgres::types;

/// Separates the name of a column from the number that makes it unique within a plan.
const UNIQUE: char = '\u{1}';

/// Returns the name of a result column as a client shall see it.
pub fn column_name(name: &str) -> &str {
    name.split(UNIQUE).next().unwrap_or(name)
}

/// Gives every column of a select list a name of its own.
pub(super) fn name(select: &mut Select) {
    let mut taken: Vec<String> = Vec::with_capacity(select.projection.len());
    for item in &mut select.projection {
        let (name, named) = match item {
            SelectItem::UnnamedExpr(expr) => match expr {
                Expr::Identifier(ident) => (normal(ident), true),
                // Columns of different relations may share a name.
                Expr::CompoundIdentifier(parts) => {
                    (parts.iter().map(normal).collect::<Vec<_>>().join("."), true)
                }
                other => (given(other), false),
            },
            SelectItem::ExprWithAlias { alias, .. } => (normal(alias), false),
            _ => continue,
        };
        let again = taken.iter().filter(|known| **known == name).count();
        taken.push(name.clone());
        if again == 0 && (named || matches!(item, SelectItem::ExprWithAlias { .. })) {
            continue;
        }
        let shown = if named { name.rsplit('.').next().unwrap_or(&name).to_string() } else { name };
        let unique = if again == 0 { shown } else { format!("{shown}{UNIQUE}{again}") };
        let alias = Ident::with_quote('"', unique);
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let expr = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { alias: old, .. } => *old = alias,
            _ => {}
        }
    }
}

/// The name of a column of a select list; `None` for all columns of something.
pub(super) fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(given(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
        _ => None,
    }
}

/// The name that PostgreSQL gives to an expression.
fn given(expr: &Expr) -> String {
    strong(expr).or_else(|| weak(expr)).unwrap_or_else(|| "?column?".to_string())
}

/// Names that survive a cast.
fn strong(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(normal(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => strong(inner),
        Expr::Function(function) => {
            let last = function.name.0.last().and_then(|part| part.as_ident()).map(normal);
            function_name(&function.name).or(last)
        }
        Expr::Cast { expr: inner, .. } => strong(inner),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.as_slice() {
                [SelectItem::UnnamedExpr(expr)] => Some(given(expr)),
                [SelectItem::ExprWithAlias { alias, .. }] => Some(normal(alias)),
                _ => None,
            },
            _ => None,
        },
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(ident)) => Some(normal(ident)),
                AccessExpr::Subscript(Subscript::Index { .. })
                | AccessExpr::Subscript(_)
                | AccessExpr::Dot(_) => None,
            });
            field.or_else(|| strong(root))
        }
        Expr::Extract { .. } => Some("extract".to_string()),
        Expr::Substring { .. } => Some("substring".to_string()),
        Expr::Position { .. } => Some("position".to_string()),
        Expr::Overlay { .. } => Some("overlay".to_string()),
        Expr::Ceil { .. } => Some("ceil".to_string()),
        Expr::Floor { .. } => Some("floor".to_string()),
        Expr::AtTimeZone { .. } => Some("timezone".to_string()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }
            .to_string(),
        ),
        // The last branch gives its name to the whole.
        Expr::Case { else_result: Some(last), .. } => strong(last),
        Expr::Exists { .. } => Some("exists".to_string()),
        Expr::Array(_) => Some("array".to_string()),
        _ => None,
    }
}

/// Names that a cast replaces, by that of its type.
fn weak(expr: &Expr) -> Option<String> {
    let name = match expr {
        Expr::Nested(inner) => return weak(inner),
        Expr::Cast { data_type, .. } => {
            let text = data_type.to_string();
            let name = text.split(['(', '[']).next().unwrap_or(&text).trim();
            return Some(type_name(name));
        }
        Expr::TypedString(typed) => return Some(type_name(&typed.data_type.to_string())),
        Expr::Case { .. } => "case",
        Expr::Interval(_) => "interval",
        Expr::Tuple(_) => "row",
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => "bool",
        _ => return None,
    };
    Some(name.to_string())
}

fn type_name(text: &str) -> String {
    match types::by_name(text) {
        Some(known) => known.name.clone(),
        None => text.rsplit('.').next().unwrap_or(text).to_lowercase(),
    }
}

/// Makes a series in a select list rows instead of one array.
pub(super) fn unnest_series(select: &mut Select) {
    for item in &mut select.projection {
        let expr = match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
            _ => continue,
        };
        let series = matches!(expr, Expr::Function(f) if function_name(&f.name).as_deref() == Some("generate_series"));
        if series {
            let mut inner = std::mem::replace(expr, Expr::Value(Value::Null.into()));
            // DataFusion makes bigints of whatever it counts.
            if matches!(&inner, Expr::Function(f) if arguments(&f.args).iter().all(is_integer)) {
                inner = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(inner),
                    data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(
                        Box::new(INTEGER),
                        None,
                    )),
                    array: false,
                    format: None,
                };
            }
            *expr = call("unnest", vec![inner]);
        }
    }
}
