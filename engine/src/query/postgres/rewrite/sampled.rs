//! `FROM t TABLESAMPLE BERNOULLI (10)`: a condition on chance, row by row. DataFusion reads all rows of it.
//!
//! `SYSTEM` is the same: how rows lie in files says something of rows that nobody may see.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, SelectItem, SetExpr, TableAlias, TableFactor, TableSample,
    TableSampleKind, TableSampleMethod, TableWithJoins, UnaryOperator, Value,
    WildcardAdditionalOptions,
};

use super::call;
use super::expressions::{number, select};
use crate::error::{Error, Result};

/// Makes a query of a relation of which a sample is taken.
///
/// # Errors
/// SQLSTATE 42601 and 42704 for what PostgreSQL does not know, 2202H for a share that is none, and 0A000 for a sample that
/// is to come again.
pub(super) fn rewrite(factor: &mut TableFactor) -> Result<()> {
    let sample = match factor {
        TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } => sample.take(),
        _ => None,
    };
    let sample = match sample {
        Some(
            TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample),
        ) => *sample,
        None => return Ok(()),
    };
    let share = share(sample)?;
    let TableFactor::Table { name, alias, args: None, .. } = factor else {
        return Err(misplaced());
    };
    let Some(ident) = name.0.last().and_then(|part| part.as_ident()) else {
        return Err(misplaced());
    };
    let alias = alias.take().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: ident.clone(),
        columns: vec![],
        at: None,
    });
    let all = SelectItem::Wildcard(WildcardAdditionalOptions::default());
    let mut query = select(vec![all]);
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins { relation: factor.clone(), joins: vec![] }];
        let (left, op) = (Box::new(call("random", vec![])), BinaryOperator::Multiply);
        let chance = Expr::BinaryOp { left, op, right: Box::new(number(100)) };
        let (left, right) = (Box::new(chance), Box::new(Expr::Nested(Box::new(share))));
        select.selection = Some(Expr::BinaryOp { left, op: BinaryOperator::Lt, right });
    }
    let subquery = Box::new(query);
    *factor = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
    Ok(())
}

/// How many rows of a hundred a sample has.
fn share(sample: TableSample) -> Result<Expr> {
    let TableSample { name, quantity, seed, bucket, offset, .. } = sample;
    let (Some(quantity), None, None) = (quantity, bucket, offset) else { return Err(misplaced()) };
    if quantity.unit.is_some() || !quantity.parenthesized {
        return Err(misplaced());
    }
    match name {
        Some(TableSampleMethod::Bernoulli | TableSampleMethod::System) => {}
        Some(other) => {
            return Err(Error::Missing {
                kind: "tablesample method",
                name: other.to_string().to_lowercase(),
                hint: "Write BERNOULLI or SYSTEM.".into(),
            });
        }
        None => return Err(misplaced()),
    }
    if seed.is_some() {
        return Err(Error::Unsupported {
            what: "TABLESAMPLE with REPEATABLE".into(),
            hint: "Take rows by their key: WHERE abs(id) % 10 = 0.".into(),
        });
    }
    if is_none(&quantity.value) {
        return Err(Error::Standard {
            sqlstate: "2202H",
            message: "sample percentage must be between 0 and 100".into(),
            hint: "Write how many rows of a hundred the sample has.".into(),
        });
    }
    Ok(quantity.value)
}

/// Tells whether a number that is written is no share.
fn is_none(share: &Expr) -> bool {
    match share {
        Expr::UnaryOp { op: UnaryOperator::Minus, .. } => true,
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<f64>().is_ok_and(|share| share > 100.0),
            _ => false,
        },
        _ => false,
    }
}

fn misplaced() -> Error {
    Error::Standard {
        sqlstate: "42601",
        message: "syntax error at or near \"TABLESAMPLE\"".into(),
        hint: "Take a sample of a table: FROM name TABLESAMPLE BERNOULLI (10).".into(),
    }
}
