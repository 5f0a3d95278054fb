//! Parameters in whole plans: their types and their values.

use arrow::util::display::array_value_to_string;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as ParsedStatement;

use super::*;
use crate::query::planner::parse_one;

#[test]
fn counts_the_parameters_that_are_written() {
    let check = |sql: &str, last: usize| {
        assert_eq!(last_parameter(&parse_one(sql).unwrap()), last, "{sql}");
    };
    check("SELECT 1", 0);
    check("SELECT $2::int FROM t WHERE a IN (SELECT $11)", 11);
}

/// Plans a text for parameters of these types, and returns the types that are found and the first value of its answer.
async fn answer(
    sql: &str,
    declared: &[Option<DataType>],
    values: Vec<ScalarValue>,
) -> (Vec<DataType>, String) {
    let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
    let statement = with_declared_types(&statement, declared).unwrap();
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let context = SessionContext::new_with_config(config);
    let parsed = ParsedStatement::Statement(Box::new(statement.clone()));
    let plan = context.state().statement_to_plan(parsed).await.unwrap();
    let numerics = Numerics::of(&statement);
    let fields = fields_of(&plan, &statement, declared).unwrap();
    let types = fields.iter().map(|field| field.data_type().clone()).collect();
    let plan = with_values(plan, &numerics, values).unwrap();
    let batches = context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    (types, array_value_to_string(batches[0].column(0), 0).unwrap())
}

#[tokio::test]
async fn a_numeric_keeps_the_digits_that_it_comes_with() {
    let numeric = arrow_type("numeric");
    let value = ScalarValue::Decimal128(Some(123_456_789_012), 12, 12);
    for (sql, expected) in [
        ("SELECT $1::numeric", "0.123456789012"),
        ("SELECT CAST(($1) AS decimal)", "0.123456789012"),
        ("SELECT $1::numeric + 1", "1.123456789012"),
        ("SELECT x FROM (SELECT $1::numeric AS x) WHERE x = 0.123456789012", "0.123456789012"),
        ("SELECT max($1::numeric) FROM (VALUES (1), (2)) GROUP BY $1::numeric", "0.123456789012"),
        // The answer does not have the column that the parameter is added to.
        ("SELECT x + $1::numeric FROM (VALUES (1)) AS t (x)", "1.123456789012"),
        // With a precision it is another type.
        ("SELECT $1::numeric(12,2)", "0.12"),
        ("SELECT $1::numeric::numeric(12,2)", "0.12"),
    ] {
        for declared in [vec![], vec![Some(numeric.clone())]] {
            let (_, found) = answer(sql, &declared, vec![value.clone()]).await;
            assert_eq!(found, expected, "{sql}, {declared:?}");
        }
    }
    let (types, _) = answer("SELECT $1::numeric", &[], vec![value.clone()]).await;
    assert_eq!(types, std::slice::from_ref(&numeric), "the cast tells the type");
    let list = DataType::new_list(numeric, true);
    let values = ScalarValue::List(ScalarValue::new_list(
        std::slice::from_ref(&value),
        &value.data_type(),
        true,
    ));
    for sql in ["SELECT $1", "SELECT $1::numeric[]", "SELECT ($1::numeric[])[1]"] {
        let (_, found) = answer(sql, &[Some(list.clone())], vec![values.clone()]).await;
        assert_eq!(found.trim_matches(['[', ']']), "0.123456789012", "{sql}");
    }
}

#[tokio::test]
async fn a_parameter_is_of_the_type_that_it_was_declared_with() {
    let wide = ScalarValue::Int64(Some(10_000_000_000));
    let half = ScalarValue::Float64(Some(2.5));
    for (sql, value, expected) in [
        ("SELECT $1", &wide, "10000000000"),
        ("SELECT 1::int + $1", &wide, "10000000001"),
        ("SELECT coalesce(NULL::int, $1)", &wide, "10000000000"),
        ("SELECT CASE WHEN false THEN 1::int ELSE $1 END", &wide, "10000000000"),
        ("SELECT 1 + $1", &half, "3.5"),
        ("SELECT 1 LIMIT ($1 - 9999999999)", &wide, "1"),
    ] {
        let (_, found) = answer(sql, &[Some(value.data_type())], vec![value.clone()]).await;
        assert_eq!(found, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_parameter_is_what_it_is_compared_with() {
    let long = || ScalarValue::Int64(Some(2));
    for (sql, value, found) in [
        ("SELECT $1 IN (1, 2)", long(), DataType::Int64),
        ("SELECT $1 BETWEEN 1 AND 3", long(), DataType::Int64),
        ("SELECT CASE WHEN $1 THEN true END", ScalarValue::Boolean(Some(true)), DataType::Boolean),
        ("SELECT $1 IN ('2', '3')", ScalarValue::Utf8(Some("2".into())), DataType::Utf8),
    ] {
        let (types, answered) = answer(sql, &[], vec![value]).await;
        assert_eq!((types, answered.as_str()), (vec![found], "true"), "{sql}");
    }
}

#[tokio::test]
async fn the_parameters_of_a_list_are_what_one_of_them_is_compared_with() {
    let count = 2000;
    let list: Vec<String> = (2..=count).map(|at| format!("${at}")).collect();
    let sql = format!("SELECT $1 IN ({}, 3)", list.join(", "));
    let values = vec![ScalarValue::Int64(Some(2)); count];
    let (types, answered) = answer(&sql, &[], values).await;
    assert_eq!((types, answered.as_str()), (vec![DataType::Int64; count], "true"));
}
