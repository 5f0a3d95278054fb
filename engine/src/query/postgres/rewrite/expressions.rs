//! Expressions that only PostgreSQL writes.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, Interval, ObjectName, Query, Select, SelectItem,
    SetExpr, TimezoneInfo, UnaryOperator, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::arrays::{array_literal, array_of};
use super::{
    arguments, arrays, call, conditions, distinct, domains, elements, empty, function_name,
    gathered, hypothetical, json, lengths, matches, normal, null, numbered, object_arrays, one_row,
    overlapping, parts, removed::removed, row_in, rows, spelled, times, true_types, unpivoted,
    windows,
};
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::functions::{EXPAND_ARRAY, REG_TYPES, TYPE_OF};
use crate::query::postgres::input::Span;

pub(super) fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, null())
}

/// Rewrites that must come before the parts of an expression are visited.
pub(super) fn before(expr: &mut Expr, facts: &SessionFacts) {
    spelled::replace(expr);
    domains::cast(expr);
    true_types::replace(expr);
    within(expr);
    conditions::within(expr);
    elements::exists(expr);
    elements::among(expr);
    distinct::tie(expr);
    name_types(expr);
    object_arrays::replace(expr);
    unpivoted::list(expr);
    overlapping::replace(expr);
    hypothetical::replace(expr);
    rows::compare(expr);
    row_in::value(expr);
    match expr {
        // There is one collation: that of bytes.
        Expr::Collate { expr: inner, .. } => {
            *expr = take(inner);
            before(expr, facts);
        }
        Expr::Function(function) => {
            if let FunctionArguments::Subquery(query) = &mut function.args
                && function_name(&function.name).as_deref() == Some("array")
            {
                elements::filter(query);
                *expr = array_of(std::mem::replace(query.as_mut(), select(vec![])), facts);
                return;
            }
            one_row::in_arguments(function);
            count_rows(function);
            gathered::sort_distinct(function);
        }
        Expr::Subquery(query) => {
            elements::filter(query);
            if let Some(value) = empty::base_type(query).or_else(|| empty::value(query, facts)) {
                *expr = value;
            }
        }
        // A sign binds more tightly than a power: `-2 ^ 2` is 4.
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner }
            if matches!(inner.as_ref(), Expr::BinaryOp { op: BinaryOperator::PGExp, .. }) =>
        {
            let mut power = take(inner);
            negate(&mut power);
            *expr = power;
        }
        // The planner has no `~`, which turns every bit round.
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: inner } => {
            let all = Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(number(1)) };
            let left = Box::new(Expr::Nested(Box::new(take(inner))));
            let (op, right) = (BinaryOperator::PGBitwiseXor, Box::new(all));
            *expr = Expr::Nested(Box::new(Expr::BinaryOp { left, op, right }));
        }
        Expr::Cast { expr: inner, data_type, array, .. } => arrays::cast(inner, data_type, array),
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
            object_arrays::replace(right);
            array_literal(right);
            arrays::flatten(right);
            matches::any_of(expr);
            matches::among(expr);
        }
        Expr::SimilarTo { .. } => matches::similar(expr),
        Expr::CompoundFieldAccess { root, access_chain } => {
            if let [AccessExpr::Dot(Expr::Identifier(field))] = access_chain.as_slice()
                && let Some(rows) = json::member(root, field)
            {
                *expr = rows;
            }
        }
        _ => {}
    }
}

/// Texts that `pg_typeof(x)` is looked for among are names of types.
fn name_types(expr: &mut Expr) {
    let is_type = |expr: &Expr| {
        matches!(expr, Expr::Function(function)
            if function_name(&function.name).as_deref() == Some(TYPE_OF))
    };
    let name = |text: &mut Expr| {
        if is_text(text) {
            *text = call("regtype", vec![take(text)]);
        }
    };
    match expr {
        Expr::InList { expr, list, .. } if is_type(expr) => list.iter_mut().for_each(name),
        Expr::Case { operand: Some(operand), conditions, .. } if is_type(operand) => {
            conditions.iter_mut().for_each(|when| name(&mut when.condition));
        }
        _ => {}
    }
}

/// Puts a minus before the base of a power.
fn negate(power: &mut Expr) {
    match power {
        Expr::BinaryOp { left, op: BinaryOperator::PGExp, .. } => negate(left),
        base => {
            let inner = Box::new(take(base));
            *base = Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner };
        }
    }
}

/// `x = ANY (SELECT ...)` is `x IN (SELECT ...)`, and `x <> ALL (SELECT ...)` is `x NOT IN (SELECT ...)`.
fn within(expr: &mut Expr) {
    use BinaryOperator::{Eq, NotEq};
    let (left, query, negated) = match expr {
        Expr::AnyOp { left, compare_op: Eq, right, .. } => (left, right, false),
        Expr::AllOp { left, compare_op: NotEq, right } => (left, right, true),
        _ => return,
    };
    if let Expr::Subquery(query) = query.as_mut() {
        let subquery = Box::new(std::mem::replace(query.as_mut(), select(vec![])));
        *expr = Expr::InSubquery { expr: Box::new(take(left)), subquery, negated };
    }
}

/// `count(1)` is `count(*)`: beside it DataFusion would take the two for columns of one name.
fn count_rows(function: &mut Function) {
    if function_name(&function.name).as_deref() == Some("count")
        && let FunctionArguments::List(list) = &mut function.args
        && list.duplicate_treatment.is_none()
        && let [FunctionArg::Unnamed(argument)] = list.args.as_mut_slice()
        && let FunctionArgExpr::Expr(Expr::Value(value)) = &*argument
        && matches!(
            value.value,
            Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_)
        )
    {
        *argument = FunctionArgExpr::Wildcard;
    }
}

/// `count(*)`.
pub(super) fn count_of_rows() -> Expr {
    let mut count = call("count", vec![]);
    if let Expr::Function(function) = &mut count
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
    }
    count
}

/// Rewrites that come after the parts of an expression were visited.
pub(super) fn after(expr: &mut Expr) {
    if let Some(time) = times::replaced(expr) {
        *expr = time;
        return;
    }
    match expr {
        Expr::Identifier(ident) if ident.quote_style.is_none() => {
            if let Some(replaced) = niladic(&normal(ident)) {
                *expr = replaced;
            }
        }
        Expr::Function(function) => {
            super::literals::widen_frame(function);
            if let [schema, name] = parts(&function.name).as_slice()
                && schema == "information_schema"
                && name == EXPAND_ARRAY
            {
                let expanded = call(EXPAND_ARRAY, arguments(&function.args));
                *expr = call("unnest", vec![expanded]);
                return;
            }
            let Some(name) = function_name(&function.name) else { return };
            if name == "unnest"
                && let FunctionArguments::List(list) = &mut function.args
                && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] =
                    list.args.as_mut_slice()
            {
                arrays::flatten_rows(array);
            }
            if let Some(gathered) = json::gathered(&name, function) {
                *expr = gathered;
                return;
            }
            if let Some(record) = rows::record(expr) {
                *expr = record;
                return;
            }
            let Expr::Function(function) = expr else { return };
            if function.over.is_some() {
                if let Some(chosen) = windows::or_of_row(&name, function) {
                    *expr = chosen;
                    return;
                }
                function.name = ObjectName::from(vec![Ident::new(other_name(&name))]);
                *expr = of_type_of_postgres(&name, take(expr));
                return;
            }
            if let Some(replaced) =
                niladic(&name).filter(|_| matches!(function.args, FunctionArguments::None))
            {
                *expr = replaced;
            } else if let Some(filled) = arrays::filled(&name, &arguments(&function.args)) {
                *expr = filled;
            } else if let Some(rest) = removed(&name, &arguments(&function.args)) {
                *expr = rest;
            } else if let Some(each) = arrays::of_fractions(&name, function) {
                *expr = each;
            } else if let Some(list) = numbered::rows_of(&name) {
                *expr = call("unnest", vec![call(list, arguments(&function.args))]);
            } else if name == "mod"
                && let [left, right] = arguments(&function.args).as_slice()
            {
                let nested = |side: &Expr| Box::new(Expr::Nested(Box::new(side.clone())));
                let (left, right) = (nested(left), nested(right));
                let remainder = Expr::BinaryOp { left, op: BinaryOperator::Modulo, right };
                *expr = Expr::Nested(Box::new(remainder));
            } else if name == "substring"
                && let [text, pattern] = arguments(&function.args).as_slice()
                && is_text(pattern)
            {
                *expr = matches::first(text.clone(), pattern.clone());
            } else if json::parts_of(&name).is_some()
                && let Some(rows) = json::rows(&name, &arguments(&function.args))
            {
                *expr = rows;
            } else {
                function.name = ObjectName::from(vec![Ident::new(other_name(&name))]);
                *expr = of_type_of_postgres(&name, take(expr));
            }
        }
        Expr::Tuple(_) => {
            if let Some(record) = rows::record(expr) {
                *expr = record;
            }
        }
        // From a pattern, and not from a place, if that is a text: its first group, or all that it finds.
        Expr::Substring { expr: text, substring_from: Some(from), substring_for: None, .. }
            if is_text(from) =>
        {
            *expr = matches::first(take(text), take(from));
        }
        Expr::Interval(interval) => written_out(interval),
        Expr::AtTimeZone { timestamp, time_zone } => {
            *expr = call("timezone", vec![take(time_zone), take(timestamp)]);
        }
        // `(record).field`, which DataFusion takes of columns alone.
        Expr::CompoundFieldAccess { root, access_chain } => {
            access_chain.iter_mut().for_each(arrays::bound_slice);
            arrays::keep_apart(root, access_chain);
            if let ([AccessExpr::Dot(Expr::Identifier(field))], Expr::Nested(_)) =
                (access_chain.as_slice(), root.as_ref())
            {
                let field = Expr::Value(Value::SingleQuotedString(normal(field)).into());
                *expr = call("get_field", vec![take(root), field]);
            }
        }
        // DataFusion knows the backslash alone.
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            if let Some(escape) = escape_char.take() {
                let old = take(pattern);
                **pattern = call("like_escape", vec![old, Expr::Value(escape)]);
            }
        }
        // DataFusion gives a minus before a literal to its first number alone.
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner }
            if matches!(inner.as_ref(), Expr::Interval(_)) =>
        {
            **inner = Expr::Nested(Box::new(take(inner)));
        }
        // `@ value` is its absolute value.
        Expr::UnaryOp { op: UnaryOperator::PGAbs, expr: inner } => {
            *expr = call("abs", vec![take(inner)]);
        }
        Expr::BinaryOp { left, op, right } => {
            if let Some(known) = operator(op) {
                *op = known;
            } else if let Some(known) = before_sign(op) {
                *op = known;
                let expr = Box::new(take(right));
                **right = Expr::UnaryOp { op: UnaryOperator::Minus, expr };
            }
            if let Some(function) = json_function(op) {
                *expr = call(function, vec![take(left), take(right)]);
            }
        }
        Expr::Cast {
            expr: inner, data_type, kind: CastKind::Cast | CastKind::DoubleColon, ..
        } => {
            if let Some(reg) = reg_type(data_type) {
                *expr = call(reg, vec![take(inner)]);
            } else {
                lengths::cut(inner, data_type);
            }
        }
        _ => {}
    }
}

/// Writes an interval in the units that DataFusion reads, whatever PostgreSQL reads it in.
fn written_out(interval: &mut Interval) {
    if let (Expr::Value(value), None, None) =
        (interval.value.as_mut(), &interval.leading_field, &interval.last_field)
        && let Value::SingleQuotedString(text) = &mut value.value
        && let Some(Span { months, days, micros }) = Span::parse(text)
    {
        *text = format!("{months} months {days} days {micros} microseconds");
    }
}

pub(super) fn number(value: u64) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

/// Functions that SQL writes without parentheses.
pub(super) fn niladic(name: &str) -> Option<Expr> {
    Some(match name {
        "current_user" | "session_user" | "current_role" | "current_catalog" | "current_schema" => {
            call(name, vec![])
        }
        "user" => call("current_user", vec![]),
        "current_timestamp" => call("now", vec![]),
        "current_date" => times::now_as(DataType::Date),
        "localtimestamp" => times::now_as(DataType::Timestamp(None, TimezoneInfo::None)),
        "localtime" => times::now_as(DataType::Time(None, TimezoneInfo::None)),
        _ => return None,
    })
}

/// A call with a cast where DataFusion counts in numbers without a sign, which PostgreSQL does not have.
fn of_type_of_postgres(name: &str, function: Expr) -> Expr {
    let data_type = match name {
        "row_number" | "rank" | "dense_rank" | "approx_distinct" | "regr_count" => {
            DataType::BigInt(None)
        }
        "ntile" | "array_ndims" | "array_position" | "cardinality" => DataType::Integer(None),
        "array_positions" => {
            let integer = Box::new(DataType::Integer(None));
            DataType::Array(ArrayElemTypeDef::SquareBracket(integer, None))
        }
        _ => return function,
    };
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(function),
        data_type,
        array: false,
        format: None,
    }
}

/// Functions that DataFusion has by another name.
fn other_name(name: &str) -> &str {
    match name {
        "every" => "bool_and",
        "char_length" => "character_length",
        "gen_random_uuid" => "uuid",
        "ceiling" => "ceil",
        // DataFusion's own of these names change the first one alone.
        "array_remove" => "array_remove_all",
        "array_replace" => "array_replace_all",
        "stddev_samp" => "stddev",
        "variance" => "var_samp",
        "sign" => "signum",
        other => other,
    }
}

pub(super) fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// `OPERATOR(pg_catalog.~)` as the operator itself.
fn operator(op: &BinaryOperator) -> Option<BinaryOperator> {
    let BinaryOperator::PGCustomBinaryOperator(parts) = op else { return None };
    let symbol = match parts.as_slice() {
        [symbol] => symbol,
        [schema, symbol] if schema.eq_ignore_ascii_case("pg_catalog") => symbol,
        _ => return None,
    };
    Some(match symbol.as_str() {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        "->" => BinaryOperator::Arrow,
        "->>" => BinaryOperator::LongArrow,
        "#>" => BinaryOperator::HashArrow,
        "#>>" => BinaryOperator::HashLongArrow,
        "#-" => BinaryOperator::HashMinus,
        "@>" => BinaryOperator::AtArrow,
        "<@" => BinaryOperator::ArrowAt,
        "@?" => BinaryOperator::AtQuestion,
        "@@" => BinaryOperator::AtAt,
        "?" => BinaryOperator::Question,
        "?|" => BinaryOperator::QuestionPipe,
        "?&" => BinaryOperator::QuestionAnd,
        _ => return None,
    })
}

/// The operator before a sign that is written without a blank: `j->-1`.
fn before_sign(op: &BinaryOperator) -> Option<BinaryOperator> {
    let BinaryOperator::Custom(text) = op else { return None };
    match text.as_str() {
        "->-" => Some(BinaryOperator::Arrow),
        "->>-" => Some(BinaryOperator::LongArrow),
        _ => None,
    }
}

fn json_function(op: &BinaryOperator) -> Option<&'static str> {
    match op {
        BinaryOperator::Arrow => Some("json_get"),
        BinaryOperator::LongArrow => Some("json_get_text"),
        BinaryOperator::HashArrow => Some("json_get_path"),
        BinaryOperator::HashLongArrow => Some("json_get_path_text"),
        BinaryOperator::HashMinus => Some("jsonb_delete_path"),
        BinaryOperator::AtQuestion => Some("jsonb_path_exists_opr"),
        BinaryOperator::AtAt => Some("jsonb_path_match_opr"),
        BinaryOperator::Question => Some("jsonb_exists"),
        BinaryOperator::QuestionPipe => Some("jsonb_exists_any"),
        BinaryOperator::QuestionAnd => Some("jsonb_exists_all"),
        _ => None,
    }
}

/// The function for a cast to a type whose values are shown as names.
pub(super) fn reg_type(data_type: &DataType) -> Option<&'static str> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_string(),
        DataType::Custom(name, _) => function_name(name)?,
        _ => return None,
    };
    REG_TYPES.into_iter().find(|known| *known == name)
}

/// A query of a select list alone.
pub(super) fn select(projection: Vec<SelectItem>) -> Query {
    let parsed = Parser::new(&PostgreSqlDialect {})
        .try_with_sql("SELECT 1")
        .and_then(|mut parser| parser.parse_query());
    let mut query = *parsed.expect("the text is a constant and parses");
    if let SetExpr::Select(select) = query.body.as_mut() {
        let select: &mut Select = select;
        select.projection = projection;
    }
    query
}

/// The element type of an array type.
pub(in crate::query::postgres) fn element_type(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(inner, _) | ArrayElemTypeDef::AngleBracket(inner),
        ) => Some(inner),
        _ => None,
    }
}
