//! Names and functions in `FROM`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Select, SelectItem,
    SetExpr, TableAlias, TableAliasColumnDef, TableFactor, TableFunctionArgs, TableWithJoins,
    Value, VisitMut, VisitorMut,
};

use super::{call, expressions, function_name, literals, normal, parts};
use crate::query::postgres::catalog::definition;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::functions::KEYWORDS;

/// The schema that DataFusion looks in for names without one.
const DEFAULT_SCHEMA: &str = "public";

/// Resolves a relation's name, and makes a function in `FROM` a relation.
pub(super) fn rewrite(factor: &mut TableFactor, facts: &SessionFacts, ctes: &[Vec<String>]) {
    if let Some(series) = integers(factor) {
        *factor = series;
        return;
    }
    match factor {
        TableFactor::Table { name, args: None, .. } => resolve(name, facts, ctes),
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } => {
            let Some(function) = function_name(name) else { return };
            let explains = explains(&function, facts);
            if !explains && let Some(relation) = relation(&function, args, alias) {
                *factor = relation;
            } else if function == KEYWORDS || explains {
                // Its columns have names of their own.
                *name = ObjectName::from(vec![Ident::new(function.as_str())]);
                let same = || TableAlias {
                    explicit: true,
                    name: Ident::new(function.as_str()),
                    columns: vec![],
                    at: None,
                };
                alias.get_or_insert_with(same);
            } else {
                *name = ObjectName::from(vec![Ident::new(function.as_str())]);
                *alias = Some(with_column(alias.take(), &function));
            }
        }
        TableFactor::UNNEST { alias, array_exprs, .. } if array_exprs.len() == 1 => {
            *alias = Some(with_column(alias.take(), "unnest"));
        }
        _ => {}
    }
}

/// Tells whether a function explains profiles, and there are some to explain.
fn explains(function: &str, facts: &SessionFacts) -> bool {
    crate::explain::NAMES.contains(&function)
        && facts.snapshot().named(DEFAULT_SCHEMA, "profiles").is_some()
}

/// Gives a name without schema the schema that the search path finds it in.
fn resolve(name: &mut ObjectName, facts: &SessionFacts, ctes: &[Vec<String>]) {
    let names = parts(name);
    let [table] = names.as_slice() else { return };
    if ctes.iter().flatten().any(|cte| cte == table) {
        return;
    }
    let snapshot = facts.snapshot();
    let has = |schema: &String| {
        definition(schema, table).is_some() || snapshot.named(schema, table).is_some()
    };
    match facts.search_path().into_iter().find(has) {
        Some(schema) if schema != DEFAULT_SCHEMA => {
            let quoted = |part: &str| Ident::with_quote('"', part);
            *name = ObjectName::from(vec![quoted(&schema), quoted(table)]);
        }
        _ => {}
    }
}

/// The relation for a function in `FROM`; `None` for functions that DataFusion knows as relations.
fn relation(
    function: &str,
    args: &TableFunctionArgs,
    alias: &mut Option<TableAlias>,
) -> Option<TableFactor> {
    let values: Vec<Expr> = args
        .args
        .iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect();
    let unnest = |array: Expr, alias: Option<TableAlias>| TableFactor::UNNEST {
        alias: Some(with_column(alias, function)),
        array_exprs: vec![array],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    match function {
        "unnest" if values.len() == 1 => Some(unnest(values.into_iter().next()?, alias.take())),
        "regexp_split_to_table" => {
            Some(unnest(call("regexp_split_to_array", values), alias.take()))
        }
        "generate_subscripts" => Some(unnest(call("array_subscripts", values), alias.take())),
        // With constant bounds a series is a stream, otherwise an array.
        "generate_series" | "range" if values.iter().all(is_constant) => None,
        KEYWORDS => None,
        "generate_series" | "range" => Some(unnest(call(function, values), alias.take())),
        // Any other function is one row.
        _ => {
            let name = Ident::new(function);
            let query = expressions::select(vec![SelectItem::ExprWithAlias {
                expr: call(function, values),
                alias: name,
            }]);
            let alias = with_column(alias.take(), function);
            Some(TableFactor::Derived {
                lateral: false,
                subquery: Box::new(query),
                alias: Some(alias),
                sample: None,
            })
        }
    }
}

/// A series of integers: DataFusion's are of bigints.
fn integers(factor: &TableFactor) -> Option<TableFactor> {
    if !matches!(factor, TableFactor::Table { args: Some(_), .. }) {
        return None;
    }
    let mut bigints = factor.clone();
    let TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } =
        &mut bigints
    else {
        return None;
    };
    let function = function_name(name).filter(|name| name == "generate_series")?;
    for arg in &mut args.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { return None };
        if !literals::is_integer(expr) {
            return None;
        }
        *expr = cast(expr.clone(), DataType::BigInt(None));
    }
    let alias = with_column(alias.take(), &function);
    let column = Ident::new(function.as_str());
    let mut query = expressions::select(vec![SelectItem::ExprWithAlias {
        expr: cast(Expr::Identifier(column.clone()), literals::INTEGER),
        alias: column,
    }]);
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins { relation: bigints, joins: vec![] }];
    }
    let subquery = Box::new(query);
    Some(TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None })
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    let (kind, expr) = (CastKind::Cast, Box::new(expr));
    Expr::Cast { kind, expr, data_type, array: false, format: None }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::UnaryOp { expr, .. } | Expr::Cast { expr, .. } | Expr::Nested(expr) => {
            is_constant(expr)
        }
        _ => false,
    }
}

/// The one column of a function is named like its alias, or like the function.
fn with_column(alias: Option<TableAlias>, function: &str) -> TableAlias {
    let mut alias = alias.unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(function),
        columns: vec![],
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns = vec![TableAliasColumnDef { name: alias.name.clone(), data_type: None }];
    }
    alias
}

/// Replaces `t.tableoid` by the oid of the relation: every row of a relation has the same.
pub(super) fn replace_table_oids(select: &mut Select, facts: &SessionFacts) {
    let mut oids: Vec<(String, u32)> = Vec::new();
    let snapshot = facts.snapshot();
    let factors = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation))
    });
    for factor in factors {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { continue };
        let names = parts(name);
        let found = match names.as_slice() {
            [.., schema, table] => definition(schema, table)
                .map(|known| known.oid)
                .or_else(|| snapshot.named(schema, table).map(|relation| relation.oid)),
            [table] => definition("pg_catalog", table).map(|known| known.oid),
            [] => None,
        };
        if let (Some(oid), Some(table)) = (found, names.last()) {
            oids.push((
                alias.as_ref().map_or_else(|| table.clone(), |alias| normal(&alias.name)),
                oid,
            ));
        }
    }
    if !oids.is_empty() {
        let _ = select.visit(&mut TableOids { oids });
    }
}

struct TableOids {
    oids: Vec<(String, u32)>,
}

impl VisitorMut for TableOids {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let found = match expr {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., alias, column] if normal(column) == "tableoid" => {
                    let alias = normal(alias);
                    self.oids.iter().find(|(known, _)| *known == alias)
                }
                _ => None,
            },
            Expr::Identifier(column) if normal(column) == "tableoid" => {
                self.oids.first().filter(|_| self.oids.len() == 1)
            }
            _ => None,
        };
        if let Some((_, oid)) = found {
            *expr = Expr::Value(Value::Number(oid.to_string(), false).into());
        }
        ControlFlow::Continue(())
    }
}
