//! Functions of `information_schema` with which clients ask what the type of a column is below a domain, and how many
//! characters it has: `_pg_char_max_length(_pg_truetypid(a.*, t.*), _pg_truetypmod(a.*, t.*))`.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::parts;

/// Writes a call of one of them out; the columns that it reads are those of the rows that it is given.
pub(super) fn replace(expr: &mut Expr) {
    let Expr::Function(function) = &*expr else { return };
    if let Some(written) = written(function) {
        *expr = Expr::Nested(Box::new(written));
    }
}

fn written(function: &Function) -> Option<Expr> {
    // Nearly all calls name no schema.
    if function.name.0.len() != 2 {
        return None;
    }
    let name = parts(&function.name);
    let [schema, name] = name.as_slice() else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(one), FunctionArg::Unnamed(other)] = list.args.as_slice() else {
        return None;
    };
    if schema != "information_schema" {
        return None;
    }
    let text = match (name.as_str(), one, other) {
        (
            "_pg_truetypid",
            FunctionArgExpr::QualifiedWildcard(column),
            FunctionArgExpr::QualifiedWildcard(of),
        ) => {
            format!("CASE WHEN {of}.typtype = 'd' THEN {of}.typbasetype ELSE {column}.atttypid END")
        }
        (
            "_pg_truetypmod",
            FunctionArgExpr::QualifiedWildcard(column),
            FunctionArgExpr::QualifiedWildcard(of),
        ) => {
            format!("CASE WHEN {of}.typtype = 'd' THEN {of}.typtypmod ELSE {column}.atttypmod END")
        }
        ("_pg_char_max_length", FunctionArgExpr::Expr(id), FunctionArgExpr::Expr(modifier)) => {
            format!(
                "CASE WHEN ({modifier}) = -1 THEN NULL::integer WHEN ({id}) IN (1042, 1043) THEN ({modifier}) - 4 \
                 WHEN ({id}) IN (1560, 1562) THEN ({modifier}) END"
            )
        }
        _ => return None,
    };
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&text).ok()?;
    parser.parse_expr().ok()
}
