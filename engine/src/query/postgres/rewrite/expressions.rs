//! Expressions that only PostgreSQL writes.

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, LambdaFunction,
    LambdaFunctionParameter, LambdaSyntax, ObjectName, OneOrManyWithParens, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::{arguments, call, function_name, normal, parts};
use crate::query::postgres::functions::REG_TYPES;

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

pub(super) fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, null())
}

/// Rewrites that must come before the parts of an expression are visited.
pub(super) fn before(expr: &mut Expr) {
    match expr {
        // There is one collation: that of bytes.
        Expr::Collate { expr: inner, .. } => {
            *expr = take(inner);
            before(expr);
        }
        Expr::Function(function) => {
            if let FunctionArguments::Subquery(query) = &mut function.args
                && function_name(&function.name).as_deref() == Some("array")
            {
                *expr = array_of(std::mem::replace(query.as_mut(), select(vec![])));
            }
        }
        Expr::Cast { expr: inner, data_type: DataType::Array(_), .. } => array_literal(inner),
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => array_literal(right),
        _ => {}
    }
}

/// Rewrites that come after the parts of an expression were visited.
pub(super) fn after(expr: &mut Expr) {
    match expr {
        Expr::Identifier(ident) if ident.quote_style.is_none() => {
            if let Some(replaced) = niladic(&normal(ident)) {
                *expr = replaced;
            }
        }
        Expr::Function(function) => {
            super::literals::widen_frame(function);
            let Some(name) = function_name(&function.name) else { return };
            if let Some(replaced) =
                niladic(&name).filter(|_| matches!(function.args, FunctionArguments::None))
            {
                *expr = replaced;
            } else if name == "generate_subscripts" {
                *expr = call("unnest", vec![call("array_subscripts", arguments(&function.args))]);
            } else {
                function.name = ObjectName::from(vec![Ident::new(other_name(&name))]);
            }
        }
        // DataFusion knows the backslash alone.
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            if let Some(escape) = escape_char.take() {
                let old = take(pattern);
                **pattern = call("like_escape", vec![old, Expr::Value(escape)]);
            }
        }
        Expr::BinaryOp { left, op, right } => {
            if let Some(known) = operator(op) {
                *op = known;
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
            } else if let Some(length) = character_length(data_type) {
                // A cast to varchar(n) cuts; the type alone would only promise that.
                let text = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(take(inner)),
                    data_type: DataType::Text,
                    array: false,
                    format: None,
                };
                **inner = call("left", vec![text, number(length)]);
            }
        }
        _ => {}
    }
}

fn number(value: u64) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

/// Functions that SQL writes without parentheses.
fn niladic(name: &str) -> Option<Expr> {
    Some(match name {
        "current_user" | "session_user" | "current_role" | "current_catalog" | "current_schema" => {
            call(name, vec![])
        }
        "user" => call("current_user", vec![]),
        "current_timestamp" => call("now", vec![]),
        "current_date" => call("current_date", vec![]),
        "localtimestamp" => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(call("now", vec![])),
            data_type: DataType::Timestamp(
                None,
                datafusion::sql::sqlparser::ast::TimezoneInfo::None,
            ),
            array: false,
            format: None,
        },
        _ => return None,
    })
}

/// Functions that DataFusion has by another name.
fn other_name(name: &str) -> &str {
    match name {
        "every" => "bool_and",
        "char_length" => "character_length",
        "gen_random_uuid" => "uuid",
        "ceiling" => "ceil",
        "array_cat" => "array_concat",
        "stddev_samp" => "stddev",
        "variance" => "var_samp",
        "sign" => "signum",
        other => other,
    }
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
        _ => return None,
    })
}

fn json_function(op: &BinaryOperator) -> Option<&'static str> {
    match op {
        BinaryOperator::Arrow => Some("json_get"),
        BinaryOperator::LongArrow => Some("json_get_text"),
        _ => None,
    }
}

/// The function for a cast to a type whose values are shown as names.
fn reg_type(data_type: &DataType) -> Option<&'static str> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_string(),
        DataType::Custom(name, _) => function_name(name)?,
        _ => return None,
    };
    REG_TYPES.into_iter().find(|known| *known == name)
}

fn character_length(data_type: &DataType) -> Option<u64> {
    use datafusion::sql::sqlparser::ast::CharacterLength;
    match data_type {
        DataType::Varchar(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::CharacterVarying(Some(CharacterLength::IntegerLength { length, .. })) => {
            Some(*length)
        }
        _ => None,
    }
}

/// `'{a,b}'` where an array is expected, as an array of its elements.
fn array_literal(expr: &mut Expr) {
    let literal = match &*expr {
        Expr::Nested(inner) => inner.as_ref(),
        other => other,
    };
    let Expr::Value(value) = literal else { return };
    let Value::SingleQuotedString(text) = &value.value else { return };
    let Some(elements) = elements(text) else { return };
    let whole =
        |element: &Option<String>| element.as_ref().is_none_or(|text| text.parse::<i64>().is_ok());
    let numbers = elements.iter().all(whole);
    let value = |element: Option<String>| match element {
        None => null(),
        Some(text) if numbers => Expr::Value(Value::Number(text, false).into()),
        Some(text) => Expr::Value(Value::SingleQuotedString(text).into()),
    };
    *expr = Expr::Array(Array { elem: elements.into_iter().map(value).collect(), named: true });
}

/// Splits the text of an array of one dimension; `None` when it is none.
pub(in crate::query::postgres) fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let (mut found, mut current, mut quoted, mut was_quoted) =
        (Vec::new(), String::new(), false, false);
    let mut letters = inner.chars();
    let end = |current: &mut String, was_quoted: &mut bool| {
        let text = std::mem::take(current);
        let text = if *was_quoted { text } else { text.trim().to_string() };
        let is_null = !std::mem::take(was_quoted) && text.eq_ignore_ascii_case("null");
        (!is_null).then_some(text)
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' => (quoted, was_quoted) = (!quoted, true),
            '\\' => current.extend(letters.next()),
            ',' if !quoted => found.push(end(&mut current, &mut was_quoted)),
            '{' | '}' if !quoted => return None,
            other => current.push(other),
        }
    }
    found.push(end(&mut current, &mut was_quoted));
    Some(found)
}

/// `ARRAY(SELECT x ...)`: the rows of a subquery as an array, empty where there are none.
fn array_of(mut query: Query) -> Expr {
    // What follows turns the select list into an aggregate: this is the last moment to see that it has no rows.
    if let SetExpr::Select(select) = query.body.as_mut() {
        super::empty::prune(select);
    }
    if let Some(transformed) = transformed(&query) {
        return call("array_or_empty", vec![transformed]);
    }
    let aggregate = |expr: Expr, order: Vec<OrderByExpr>| {
        let mut expr = call("array_agg", vec![expr]);
        if let Expr::Function(function) = &mut expr
            && let FunctionArguments::List(list) = &mut function.args
            && !order.is_empty()
        {
            list.clauses = vec![FunctionArgumentClause::OrderBy(order)];
        }
        expr
    };
    let inner = match simple(query) {
        Ok((mut query, expr, order)) => {
            if let SetExpr::Select(select) = query.body.as_mut() {
                select.projection = vec![SelectItem::UnnamedExpr(aggregate(expr, order))];
            }
            query
        }
        Err(query) => {
            let column = Ident::new("element");
            let mut outer = select(vec![SelectItem::UnnamedExpr(aggregate(
                Expr::Identifier(column.clone()),
                vec![],
            ))]);
            let alias = datafusion::sql::sqlparser::ast::TableAlias {
                explicit: true,
                name: Ident::new("elements"),
                columns: vec![datafusion::sql::sqlparser::ast::TableAliasColumnDef {
                    name: column,
                    data_type: None,
                }],
                at: None,
            };
            if let SetExpr::Select(select) = outer.body.as_mut() {
                select.from = vec![datafusion::sql::sqlparser::ast::TableWithJoins {
                    relation: TableFactor::Derived {
                        lateral: false,
                        subquery: query,
                        alias: Some(alias),
                        sample: None,
                    },
                    joins: vec![],
                }];
            }
            Box::new(outer)
        }
    };
    call("array_or_empty", vec![Expr::Subquery(inner)])
}

/// A query without grouping or limits: its one expression and its order can move into an aggregate.
fn simple(mut query: Query) -> Result<(Box<Query>, Expr, Vec<OrderByExpr>), Box<Query>> {
    let order = match query.order_by.as_ref().map(|order| &order.kind) {
        None => Vec::new(),
        Some(OrderByKind::Expressions(order)) => order.clone(),
        Some(OrderByKind::All(_)) => return Err(Box::new(query)),
    };
    let SetExpr::Select(select) = query.body.as_ref() else { return Err(Box::new(query)) };
    let plain = query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.distinct.is_none()
        && select.having.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let expr = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] | [SelectItem::ExprWithAlias { expr, .. }] => expr.clone(),
        _ => return Err(Box::new(query)),
    };
    if !plain || matches!(&expr, Expr::Function(f) if f.over.is_some()) {
        return Err(Box::new(query));
    }
    // `ORDER BY 1` means the one column.
    let by_position = |mut by: OrderByExpr| {
        if matches!(&by.expr, Expr::Value(value) if matches!(&value.value, Value::Number(n, _) if n == "1"))
        {
            by.expr = expr.clone();
        }
        by
    };
    let order = order.into_iter().map(by_position).collect();
    query.order_by = None;
    Ok((Box::new(query), expr, order))
}

/// `SELECT f(x) FROM unnest(a) x` needs no subquery: it is a function over the elements of `a`.
fn transformed(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [from] = select.from.as_slice() else { return None };
    let (array, alias) = match &from.relation {
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset: false,
            with_ordinality: false,
            ..
        } => match array_exprs.as_slice() {
            [array] => (array.clone(), alias.as_ref()?),
            _ => return None,
        },
        TableFactor::Table { name, args: Some(args), alias, .. }
            if parts(name).last()? == "unnest" =>
        {
            match args.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] => {
                    (array.clone(), alias.as_ref()?)
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    let element = alias.columns.first().map_or(&alias.name, |column| &column.name).clone();
    let plain = from.joins.is_empty()
        && select.selection.is_none()
        && select.distinct.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none();
    let body = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] | [SelectItem::ExprWithAlias { expr, .. }] if plain => {
            expr.clone()
        }
        _ => return None,
    };
    if matches!(&body, Expr::Identifier(ident) if normal(ident) == normal(&element)) {
        return Some(array);
    }
    let lambda = Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::One(LambdaFunctionParameter {
            name: element,
            data_type: None,
        }),
        body: Box::new(body),
        syntax: LambdaSyntax::Arrow,
    });
    Some(call("array_transform", vec![array, lambda]))
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
