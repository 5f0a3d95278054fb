//! Rows of `VALUES`: literals have the type that another row of their column is cast to, and where there are subqueries each
//! row becomes a select, since constant rows hold none.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, Ident, ObjectName, Query, SelectItem, SetExpr, SetOperator,
    SetQuantifier, UnaryOperator, Value, ValueWithSpan, Values, VisitMut, VisitorMut,
};

use super::{expressions, literals, null, relations};

/// Gives literals the type of their column, and turns lists of rows with subqueries into selects.
pub(super) fn unfold(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            unfold(left);
            unfold(right);
        }
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            for column in 0..width {
                let cells = values.rows.iter_mut().filter_map(|row| row.content.get_mut(column));
                cast_alike(cells.collect());
            }
            // Rows of different lengths are refused where they are planned.
            if values.rows.iter().any(|row| row.content.len() != width)
                || !values.rows.iter_mut().any(|row| has_subquery(&mut row.content))
            {
                return;
            }
            if let Some(all) = selects(values) {
                *body = all;
            }
        }
        _ => {}
    }
}

/// Turns rows into selects; `None` where there is no row.
pub(super) fn selects(values: &Values) -> Option<SetExpr> {
    union(values.rows.iter().map(|row| select(&row.content)).collect())
}

/// Casts texts without a type and nulls, and numbers beside floats, to the type that the first cast of a column names.
fn cast_alike(cells: Vec<&mut Expr>) {
    let cast = cells.iter().find_map(|cell| match &**cell {
        // A length is that of its own value, and so is the one letter of a `char`.
        cast @ Expr::Cast { data_type, .. }
            if !data_type.to_string().contains('(')
                && !matches!(data_type, DataType::Char(_) | DataType::Character(_)) =>
        {
            Some(cast.clone())
        }
        Expr::TypedString(typed) if !typed.data_type.to_string().contains('(') => {
            Some(relations::cast(null(), typed.data_type.clone()))
        }
        Expr::Interval(_) => {
            let interval = DataType::Interval { fields: None, precision: None };
            Some(relations::cast(null(), interval))
        }
        _ => None,
    });
    let array = || cells.iter().find_map(|cell| array_of(cell));
    let Some(cast) = cast.or_else(|| array().map(|array| relations::cast(null(), array))) else {
        return without_lengths(cells);
    };
    // Beside floats decimals are floats.
    let float = matches!(&cast, Expr::Cast { data_type, .. } if is_float(data_type));
    for cell in cells {
        let taken = match without_sign(cell) {
            Expr::Value(value) => match value.value {
                Value::SingleQuotedString(_) | Value::Null => matches!(cell, Expr::Value(_)),
                Value::Number(..) => float,
                _ => false,
            },
            _ => false,
        };
        if taken {
            let literal = expressions::take(cell);
            *cell = cast.clone();
            if let Expr::Cast { expr, .. } = cell {
                **expr = literal;
            }
        }
    }
}

/// Casts texts of other lengths, and texts without a type, to the type without a length that the casts of a column have in common.
fn without_lengths(cells: Vec<&mut Expr>) {
    let kind = |cell: &Expr| match cell {
        Expr::Cast { data_type: DataType::Varchar(_) | DataType::CharacterVarying(_), .. } => {
            Some(DataType::Varchar(None))
        }
        Expr::Cast { data_type: DataType::Char(_) | DataType::Character(_), .. } => {
            Some(DataType::Custom(ObjectName::from(vec![Ident::new("bpchar")]), vec![]))
        }
        _ => None,
    };
    let is_open = |cell: &Expr| {
        matches!(cell, Expr::Value(value)
            if matches!(value.value, Value::SingleQuotedString(_) | Value::Null))
    };
    let is_null =
        |cell: &Expr| matches!(cell, Expr::Value(value) if matches!(value.value, Value::Null));
    let Some(common) = cells.iter().find_map(|cell| kind(cell)) else { return };
    let fits = cells.iter().all(|cell| is_open(cell) || kind(cell).as_ref() == Some(&common));
    let type_of = |cell: &Expr| match cell {
        Expr::Cast { data_type, .. } => Some(data_type.clone()),
        _ => None,
    };
    let first = cells.iter().find_map(|cell| type_of(cell));
    let is_one = cells.iter().all(|cell| is_null(cell) || type_of(cell) == first);
    if !fits || is_one {
        return;
    }
    for cell in cells {
        *cell = relations::cast(expressions::take(cell), common.clone());
    }
}

/// The type of an array that is written, of as many dimensions as it has; `None` where its elements do not say it.
fn array_of(expr: &Expr) -> Option<DataType> {
    let Expr::Array(array) = expr else { return None };
    let element = array.elem.iter().find_map(|element| match element {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_), .. }) => {
            Some(DataType::Text)
        }
        number if literals::is_integer(number) => Some(literals::INTEGER),
        inner => array_of(inner),
    })?;
    Some(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None)))
}

/// What stands behind a sign.
fn without_sign(expr: &Expr) -> &Expr {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => expr,
        other => other,
    }
}

fn is_float(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::DoublePrecision
            | DataType::Double(_)
            | DataType::Float8
            | DataType::Float4
            | DataType::Float(_)
            | DataType::Real
    )
}

fn has_subquery(row: &mut Vec<Expr>) -> bool {
    row.visit(&mut Find).is_break()
}

struct Find;

impl VisitorMut for Find {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Selects one row, its columns named as those of `VALUES`.
fn select(row: &[Expr]) -> SetExpr {
    let item = |(number, expr): (usize, &Expr)| SelectItem::ExprWithAlias {
        expr: expr.clone(),
        alias: Ident::new(format!("column{number}")),
    };
    *expressions::select((1..).zip(row).map(item).collect()).body
}

/// Puts rows one behind the other, without nesting them deeply.
fn union(mut rows: Vec<SetExpr>) -> Option<SetExpr> {
    if rows.len() < 2 {
        return rows.pop();
    }
    let right = rows.split_off(rows.len() / 2);
    Some(SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        left: Box::new(union(rows)?),
        right: Box::new(union(right)?),
    })
}
