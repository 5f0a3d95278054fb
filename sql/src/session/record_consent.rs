//! `SELECT cdp.record_consent(kind, value, purpose, status)`: the one call that changes the lake.
//!
//! It looks like a function, so that any driver can call it with parameters, but it is a statement: alone in its SELECT, its
//! arguments literals or parameters.

use datafusion::common::ScalarValue;
use engine::{Error, Result};
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr, Statement, Value,
};

/// The names of the arguments, in order.
const ARGUMENTS: [&str; 4] = ["kind", "value", "purpose", "status"];

/// A call of `cdp.record_consent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordConsent {
    arguments: [Argument; 4],
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Literal(String),
    /// The parameter of this number, from 0.
    Parameter(usize),
}

impl RecordConsent {
    /// Returns the call that `statement` is, if it is one.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the call is part of a larger query, [`Error::Invalid`] if its arguments are none.
    pub(crate) fn of(statement: &Statement) -> Result<Option<Self>> {
        let Some(function) = single_call(statement) else {
            let nested = statement.to_string().to_ascii_lowercase().contains("record_consent(");
            return if nested { Err(not_alone()) } else { Ok(None) };
        };
        let FunctionArguments::List(list) = &function.args else { return Err(arguments()) };
        let mut found: [Option<Argument>; 4] = [const { None }; 4];
        for (at, argument) in list.args.iter().enumerate() {
            let (place, value) = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (at, value),
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }
                | FunctionArg::ExprNamed {
                    name: Expr::Identifier(name),
                    arg: FunctionArgExpr::Expr(value),
                    ..
                } => {
                    let named = |known: &&str| name.value.eq_ignore_ascii_case(known);
                    (ARGUMENTS.iter().position(named).ok_or_else(arguments)?, value)
                }
                _ => return Err(arguments()),
            };
            let slot = found.get_mut(place).ok_or_else(arguments)?;
            if slot.replace(argument_of(value)?).is_some() {
                return Err(arguments());
            }
        }
        let [Some(kind), Some(value), Some(purpose), Some(status)] = found else {
            return Err(arguments());
        };
        Ok(Some(Self { arguments: [kind, value, purpose, status] }))
    }

    /// Returns how many parameters it has.
    pub(crate) fn parameters(&self) -> usize {
        let numbers = self.arguments.iter().filter_map(|argument| match argument {
            Argument::Parameter(number) => Some(number + 1),
            Argument::Literal(_) => None,
        });
        numbers.max().unwrap_or(0)
    }

    /// Returns the values of the arguments.
    pub(crate) fn arguments(&self, parameters: &[ScalarValue]) -> Result<[String; 4]> {
        let value = |argument: &Argument| match argument {
            Argument::Literal(text) => Ok(text.clone()),
            Argument::Parameter(number) => {
                let value = parameters.get(*number).and_then(|value| value.try_as_str().flatten());
                value.map(str::to_owned).ok_or_else(arguments)
            }
        };
        let [kind, identifier, purpose, status] = &self.arguments;
        Ok([value(kind)?, value(identifier)?, value(purpose)?, value(status)?])
    }
}

/// Returns the call, if the statement is `SELECT cdp.record_consent(...)` and nothing else.
fn single_call(statement: &Statement) -> Option<&sqlparser::ast::Function> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. },
    ] = select.projection.as_slice()
    else {
        return None;
    };
    let name = function.name.to_string().to_ascii_lowercase();
    let alone = select.from.is_empty() && select.selection.is_none() && query.with.is_none();
    (name == "cdp.record_consent" && alone).then_some(function)
}

fn argument_of(value: &Expr) -> Result<Argument> {
    match value {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => argument_of(expr),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                Ok(Argument::Literal(text.clone()))
            }
            Value::Placeholder(number) => {
                let number = number
                    .trim_start_matches('$')
                    .parse::<usize>()
                    .ok()
                    .and_then(|number| number.checked_sub(1));
                number.map(Argument::Parameter).ok_or_else(arguments)
            }
            _ => Err(arguments()),
        },
        _ => Err(arguments()),
    }
}

fn arguments() -> Error {
    Error::Invalid {
        message: "cdp.record_consent takes four texts".into(),
        hint:
            "SELECT cdp.record_consent('email', 'ada@example.com', 'email_marketing', 'withdrawn')"
                .into(),
    }
}

fn not_alone() -> Error {
    Error::Unsupported {
        what: "cdp.record_consent within a larger query".into(),
        hint: "Call it alone: SELECT cdp.record_consent(kind, value, purpose, status).".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    fn call(sql: &str) -> Result<Option<RecordConsent>> {
        RecordConsent::of(&Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap()[0])
    }

    #[test]
    fn literals_parameters_and_names_are_arguments() {
        let found = call(
            "SELECT cdp.record_consent('email', $1::text, status => 'withdrawn', purpose => $2)",
        )
        .unwrap()
        .unwrap();
        assert_eq!(found.parameters(), 2);
        let values = [ScalarValue::from("a@x"), ScalarValue::from("ads")];
        assert_eq!(found.arguments(&values).unwrap(), ["email", "a@x", "ads", "withdrawn"]);
    }

    #[test]
    fn other_queries_are_none_and_nested_calls_are_refused() {
        assert!(call("SELECT 1").unwrap().is_none());
        for sql in [
            "SELECT cdp.record_consent('a','b','c','d') FROM profiles",
            "SELECT 1, cdp.record_consent('a','b','c','d')",
        ] {
            assert!(matches!(call(sql), Err(Error::Unsupported { .. })), "{sql}");
        }
        for sql in [
            "SELECT cdp.record_consent('a','b','c')",
            "SELECT cdp.record_consent('a','b','c', now())",
        ] {
            assert!(matches!(call(sql), Err(Error::Invalid { .. })), "{sql}");
        }
    }
}
