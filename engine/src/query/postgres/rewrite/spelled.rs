//! Casts that are spelled as calls, `date(x)`, calls that are spelled as operators, `|/ x` and `a ^@ b`, and arguments that are
//! given by name.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, TimezoneInfo, UnaryOperator, Value,
};

use super::expressions::take;
use super::{call, function_name, normal};

/// Writes an expression as it is planned.
pub(super) fn replace(expr: &mut Expr) {
    match expr {
        Expr::Function(function) => {
            by_place(function);
            if let Some(cast) = cast(function) {
                *expr = cast;
            }
        }
        Expr::UnaryOp { op: UnaryOperator::PGSquareRoot, expr: inner } => {
            *expr = call("sqrt", vec![as_type(take(inner), DataType::Float8)]);
        }
        Expr::UnaryOp { op: UnaryOperator::PGCubeRoot, expr: inner } => {
            *expr = call("cbrt", vec![as_type(take(inner), DataType::Float8)]);
        }
        Expr::BinaryOp { left, op: BinaryOperator::PGStartsWith, right } => {
            *expr = call("starts_with", vec![take(left), take(right)]);
        }
        _ => {}
    }
}

fn as_type(expr: Expr, data_type: DataType) -> Expr {
    let (kind, expr) = (CastKind::Cast, Box::new(expr));
    Expr::Cast { kind, expr, data_type, array: false, format: None }
}

/// The cast that a call by the name of a type is; `None` for other calls. PostgreSQL has functions for such casts, and takes the
/// call of any other type for one. Names that its grammar keeps for types, such as `timestamp`, cannot be called.
fn cast(function: &Function) -> Option<Expr> {
    let name = function_name(&function.name)?;
    let data_type = match name.as_str() {
        "date" => DataType::Date,
        "text" => DataType::Text,
        "bytea" => DataType::Bytea,
        "bool" => DataType::Boolean,
        "int2" => DataType::SmallInt(None),
        "int4" => DataType::Integer(None),
        "int8" => DataType::BigInt(None),
        "float4" => DataType::Float4,
        "float8" => DataType::Float8,
        "json" => DataType::JSON,
        "jsonb" => DataType::JSONB,
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::Tz),
        "uuid" => DataType::Uuid,
        "bpchar" | "name" | "oid" => {
            DataType::Custom(ObjectName::from(vec![Ident::new(name.as_str())]), vec![])
        }
        _ => return None,
    };
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_plain = function.over.is_none()
        && function.filter.is_none()
        && function.within_group.is_empty()
        && list.duplicate_treatment.is_none()
        && list.clauses.is_empty();
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] if is_plain => {
            Some(as_type(value.clone(), data_type))
        }
        _ => None,
    }
}

/// The parameters of a function whose arguments may be given by name, in order.
fn parameters(function: &str) -> Option<&'static [&'static str]> {
    const MOMENT: &[&str] = &["year", "month", "mday", "hour", "min", "sec", "timezone"];
    Some(match function {
        "jsonb_path_exists"
        | "jsonb_path_match"
        | "jsonb_path_query"
        | "jsonb_path_query_array"
        | "jsonb_path_query_first"
        | "jsonb_path_exists_tz"
        | "jsonb_path_match_tz"
        | "jsonb_path_query_array_tz"
        | "jsonb_path_query_first_tz" => &["target", "path", "vars", "silent"],
        "jsonb_set" => &["jsonb_in", "path", "replacement", "create_if_missing"],
        "jsonb_set_lax" => {
            &["jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"]
        }
        "jsonb_insert" => &["jsonb_in", "path", "replacement", "insert_after"],
        "make_date" => &["year", "month", "day"],
        "make_time" => &["hour", "min", "sec"],
        "make_timestamp" => &MOMENT[..6],
        "make_timestamptz" => MOMENT,
        "parse_ident" => &["str", "strict"],
        _ => return None,
    })
}

/// What a parameter is where others behind it are given.
fn default(parameter: &str) -> Option<Expr> {
    let value = match parameter {
        "vars" => Value::SingleQuotedString("{}".to_owned()),
        "create_if_missing" => Value::Boolean(true),
        _ => return None,
    };
    Some(Expr::Value(value.into()))
}

/// Puts arguments that are given by name at their place. What has no such place stays, and is refused when it is planned.
fn by_place(function: &mut Function) {
    let Some(names) = function_name(&function.name).and_then(|name| parameters(&name)) else {
        return;
    };
    let FunctionArguments::List(list) = &mut function.args else { return };
    let is_placed = |argument: &FunctionArg| matches!(argument, FunctionArg::Unnamed(_));
    if !list.args.iter().all(is_placed)
        && let Some(placed) = filled(names, &list.args)
    {
        let unnamed = |value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value));
        list.args = placed.into_iter().map(unnamed).collect();
    }
}

/// The arguments of a call up to the last that is given, those that are left out between them as they are without it.
fn filled(names: &[&str], given: &[FunctionArg]) -> Option<Vec<Expr>> {
    let values = placed(names, given)?;
    let count = values.iter().rposition(Option::is_some)? + 1;
    let values = values.into_iter().zip(names).take(count);
    values.map(|(value, name)| value.or_else(|| default(name))).collect()
}

/// The values of parameters, given by place or by name; `None` if one has no such place, or is given twice.
pub(super) fn placed(names: &[&str], given: &[FunctionArg]) -> Option<Vec<Option<Expr>>> {
    let mut values: Vec<Option<Expr>> = names.iter().map(|_| None).collect();
    for (at, argument) in given.iter().enumerate() {
        let (at, value) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (at, value),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                let name = normal(name);
                (names.iter().position(|known| *known == name)?, value)
            }
            _ => return None,
        };
        if values.get_mut(at)?.replace(value.clone()).is_some() {
            return None;
        }
    }
    Some(values)
}
