//! Arrays that only PostgreSQL writes: as text, and as the rows of a subquery.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, LambdaFunction,
    LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, OrderBy, OrderByExpr, OrderByKind,
    Query, SelectItem, SetExpr, Subscript, TableFactor, UnaryOperator, Value, ValueWithSpan,
    visit_expressions,
};

use super::array_text::ArrayText;
use super::expressions::{element_type, is_text, number, select, take};
use super::{call, function_name, json, normal, null, numbered, parts, relations, times};
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::functions::FLAT_ARRAY;

/// The one column of a query whose rows become an array: no text of a statement has such a name.
const ELEMENT: &str = "\u{1}element";

/// What is cast to an array: the type gets as many dimensions as are written, which PostgreSQL does not tell apart, and what
/// is written of it is cast element by element. `CAST(x AS integer ARRAY)` is one to `integer[]`.
pub(super) fn cast(expr: &mut Expr, data_type: &mut DataType, is_array: &mut bool) {
    if std::mem::take(is_array) {
        let element = Box::new(data_type.clone());
        *data_type = DataType::Array(ArrayElemTypeDef::SquareBracket(element, None));
    }
    if element_type(data_type).is_none() {
        return;
    }
    let mut leaf = &*data_type;
    while let Some(inner) = element_type(leaf) {
        leaf = inner;
    }
    let leaf = leaf.clone();
    if let Some(dimensions) = dimensions(expr) {
        let array = |inner| DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(inner), None));
        *data_type = (0..dimensions).fold(leaf.clone(), |inner, _| array(inner));
    }
    if let Some(is_cast) = casts_elements(&leaf) {
        cast_elements(expr, &leaf, is_cast);
    }
}

/// Tells which elements that are written are cast before the array is, if any are.
fn casts_elements(leaf: &DataType) -> Option<fn(&Expr) -> bool> {
    Some(match leaf {
        // A number has the digits that it is written with, and gets no more of them.
        DataType::JSON
        | DataType::JSONB
        | DataType::Numeric(_)
        | DataType::Decimal(_)
        | DataType::Dec(_) => is_text,
        DataType::SmallInt(_)
        | DataType::Int2(_)
        | DataType::Int(_)
        | DataType::Int4(_)
        | DataType::Integer(_)
        | DataType::BigInt(_)
        | DataType::Int8(_)
        | DataType::Real
        | DataType::Float4
        | DataType::Float(_)
        | DataType::DoublePrecision
        | DataType::Float8
        | DataType::Double(_)
        | DataType::Bool
        | DataType::Boolean
        | DataType::Date
        | DataType::Time(..)
        | DataType::Timestamp(..)
        | DataType::Interval { .. }
        | DataType::Bytea
        | DataType::Varchar(Some(_))
        | DataType::CharacterVarying(Some(_)) => is_written,
        _ => return None,
    })
}

/// Tells whether an expression is one value that is written, as it is or with a cast.
fn is_written(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_) | Value::Null),
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
            is_written(inner)
        }
        Expr::Cast { expr, data_type, .. } => element_type(data_type).is_none() && is_written(expr),
        Expr::TypedString(_) | Expr::Interval(_) => true,
        _ => false,
    }
}

/// How many dimensions an array that is written has.
fn dimensions(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Nested(inner) => dimensions(inner),
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
            ArrayText::read(text).map(|array| array.lengths.len())
        }
        Expr::Array(array) => {
            let within = array.elem.first().and_then(|element| match element {
                Expr::Array(_) | Expr::Nested(_) => dimensions(element),
                _ => None,
            });
            Some(1 + within.unwrap_or(0))
        }
        _ => None,
    }
}

/// Makes an array of several dimensions one of one, among whose elements something is looked for.
pub(super) fn flatten(array: &mut Expr) {
    if is_of_arrays(array) {
        *array = call(FLAT_ARRAY, vec![take(array)]);
    }
}

/// Makes an array that is written out of columns, such as `ARRAY[t.a, t.b]`, a call: DataFusion plans the elements of one that
/// is written without the row around it.
pub(super) fn call_for_columns(array: &mut Expr) {
    match array {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => call_for_columns(inner),
        Expr::Function(Function { args: FunctionArguments::List(list), .. }) => {
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) = arg {
                    call_for_columns(inner);
                }
            }
        }
        Expr::Array(written) if has_column(written) => {
            let mut elements = std::mem::take(&mut written.elem);
            elements.iter_mut().for_each(call_for_columns);
            *array = call("make_array", elements);
        }
        _ => {}
    }
}

fn has_column(array: &Array) -> bool {
    let named = visit_expressions(array, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    named.is_break()
}

/// As [`flatten`], of an array of whose elements there are rows. How many dimensions a parameter has is known when its value
/// is there.
pub(super) fn flatten_rows(array: &mut Expr) {
    if is_of_arrays(array) || is_given(array) {
        *array = call(FLAT_ARRAY, vec![take(array)]);
    }
}

/// Tells whether an array is a parameter.
fn is_given(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_given(inner),
        Expr::Cast { expr, data_type: DataType::Array(_), .. } => {
            numbered::is_parameter(expr) || is_given(expr)
        }
        _ => times::rounded(expr).is_some_and(is_given),
    }
}

fn is_of_arrays(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_of_arrays(inner),
        Expr::Cast { data_type, .. } => element_type(data_type).and_then(element_type).is_some(),
        Expr::Array(_) => dimensions(expr).is_some_and(|dimensions| dimensions > 1),
        _ => times::rounded(expr).is_some_and(is_of_arrays),
    }
}

fn cast_elements(expr: &mut Expr, to: &DataType, is_cast: fn(&Expr) -> bool) {
    match expr {
        Expr::Nested(inner) => cast_elements(inner, to, is_cast),
        Expr::Array(array) => {
            for item in &mut array.elem {
                match is_cast(item) {
                    true => *item = relations::cast(take(item), to.clone()),
                    false => cast_elements(item, to, is_cast),
                }
            }
        }
        _ => {}
    }
}

/// `'{a,b}'` where an array is expected, as an array of its elements.
pub(super) fn array_literal(expr: &mut Expr) {
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
pub(crate) fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let ArrayText { lengths, elements } = ArrayText::read(text)?;
    (lengths.len() == 1).then_some(elements)
}

/// Keeps subscripts apart: those of `(a[2:3])[1]` are of a part, and those of `a[2:3][1]` of one array.
pub(super) fn keep_apart(root: &mut Expr, access_chain: &[AccessExpr]) {
    let is_subscript =
        |access: Option<&AccessExpr>| matches!(access, Some(AccessExpr::Subscript(_)));
    let is_part = match &*root {
        Expr::Nested(inner) => match inner.as_ref() {
            Expr::CompoundFieldAccess { access_chain, .. } => is_subscript(access_chain.last()),
            _ => false,
        },
        _ => false,
    };
    if is_part && is_subscript(access_chain.first()) {
        *root = call("array_whole", vec![take(root)]);
    }
}

/// Writes the bounds of `a[:2]` and `a[2:]`, which DataFusion demands. No array has more elements than the upper one.
pub(super) fn bound_slice(access: &mut AccessExpr) {
    let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) = access else {
        return;
    };
    lower_bound.get_or_insert_with(|| number(1));
    upper_bound.get_or_insert_with(|| number(u64::from(i32::MAX.unsigned_abs())));
    // An array begins at 1; what is lower counts from its end in DataFusion.
    if lower_bound.as_ref().is_some_and(lies_before) {
        *lower_bound = Some(number(1));
    }
}

/// Tells whether a number that is written is none of an element.
fn lies_before(bound: &Expr) -> bool {
    match bound {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => lies_before(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => matches!(**expr, Expr::Value(_)),
        Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits == "0"),
        _ => false,
    }
}

/// `array_fill(x, ARRAY[3, 2])`, the inner dimensions first, `array_remove(a, NULL)`, and `array_cat(a, b)`.
pub(super) fn filled(name: &str, arguments: &[Expr]) -> Option<Expr> {
    match arguments {
        // Null is what nothing equals, and it is removed all the same.
        [array, Expr::Value(value)] if name == "array_remove" && value.value == Value::Null => {
            Some(call("array_compact", vec![array.clone()]))
        }
        [value, Expr::Array(dimensions)] if name == "array_fill" => {
            let repeated =
                |value: Expr, length: &Expr| call("array_repeat", vec![value, length.clone()]);
            let lengths = dimensions.elem.iter().rev();
            (!dimensions.elem.is_empty()).then(|| lengths.fold(value.clone(), repeated))
        }
        // A text or a null beside an array is one, too, as it is beside the operator.
        [left, right] if name == "array_cat" => {
            let nested = |side: &Expr| Box::new(Expr::Nested(Box::new(side.clone())));
            let (left, right) = (nested(left), nested(right));
            let joined = Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right };
            Some(Expr::Nested(Box::new(joined)))
        }
        _ => None,
    }
}

/// `percentile_cont(ARRAY[0.25, 0.5])`: the percentile of each fraction.
pub(super) fn of_fractions(name: &str, function: &Function) -> Option<Expr> {
    if !matches!(name, "percentile_cont" | "percentile_disc") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(fractions))] = list.args.as_slice() else {
        return None;
    };
    let mut fractions = match fractions {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => expr.as_ref().clone(),
        other => other.clone(),
    };
    array_literal(&mut fractions);
    let Expr::Array(Array { elem, .. }) = fractions else { return None };
    let one = |fraction: Expr| {
        let fraction = match fraction {
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) => {
                Expr::Value(ValueWithSpan { value: Value::Number(text, false), span })
            }
            other => other,
        };
        let mut one = function.clone();
        if let FunctionArguments::List(list) = &mut one.args {
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(fraction))];
        }
        Expr::Function(one)
    };
    Some(Expr::Array(Array { elem: elem.into_iter().map(one).collect(), named: true }))
}

/// `ARRAY(SELECT x ...)`: the rows of a subquery as an array, empty where there are none.
pub(super) fn array_of(mut query: Query, facts: &SessionFacts) -> Expr {
    // What follows turns the select list into an aggregate: this is the last moment to see that it has no rows.
    if let SetExpr::Select(select) = query.body.as_mut() {
        super::empty::prune(select, facts);
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
        Err(mut query) => {
            let column = Ident::with_quote('"', ELEMENT);
            let mut outer = select(vec![SelectItem::UnnamedExpr(aggregate(
                Expr::Identifier(column.clone()),
                vec![],
            ))]);
            let columns = match name_element(&mut query, &column) {
                true => vec![],
                false => vec![datafusion::sql::sqlparser::ast::TableAliasColumnDef {
                    name: column,
                    data_type: None,
                }],
            };
            let alias = datafusion::sql::sqlparser::ast::TableAlias {
                explicit: true,
                name: Ident::new("elements"),
                columns,
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

/// Gives the one column of a select its name, and to what the rows are sorted by, so that they are gathered in their order.
fn name_element(query: &mut Query, name: &Ident) -> bool {
    let Query { body, order_by, .. } = query;
    let SetExpr::Select(select) = body.as_mut() else { return false };
    let [item] = select.projection.as_mut_slice() else { return false };
    let SelectItem::UnnamedExpr(expr) = item else { return false };
    let expr = take(expr);
    if let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = order_by {
        for key in keys.iter_mut().filter(|key| means(&key.expr, &expr)) {
            key.expr = Expr::Identifier(name.clone());
        }
    }
    *item = SelectItem::ExprWithAlias { expr, alias: name.clone() };
    true
}

/// Tells whether rows are sorted by their one column.
fn means(key: &Expr, column: &Expr) -> bool {
    match (key, column) {
        (Expr::Value(key), _) => matches!(&key.value, Value::Number(digits, _) if digits == "1"),
        (Expr::Identifier(key), Expr::CompoundIdentifier(names)) => {
            names.last().is_some_and(|name| normal(name) == normal(key))
        }
        _ => key == column,
    }
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
    if !plain || gives_rows(&expr) || matches!(&expr, Expr::Function(f) if f.over.is_some()) {
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

/// Tells whether an expression gives several rows, of which an aggregate would know nothing.
fn gives_rows(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => gives_rows(inner),
        Expr::CompoundFieldAccess { root, .. } => gives_rows(root),
        Expr::Function(function) => function_name(&function.name).is_some_and(|name| {
            ["unnest", "generate_series"].contains(&name.as_str())
                || numbered::rows_of(&name).is_some()
                || json::parts_of(&name).is_some()
        }),
        _ => false,
    }
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
    let mut array = array;
    flatten_rows(&mut array);
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
