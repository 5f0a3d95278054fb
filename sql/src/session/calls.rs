//! The calls that change the lake: `SELECT cdp.record_consent(kind, value, purpose, status)` and
//! `SELECT cdp.decide(pair, decision [, reason])`.
//!
//! They look like functions, so that any driver can call them with parameters, but each is a statement: alone in its SELECT, its
//! arguments literals or parameters. Behind it may stand a LIMIT, or a WHERE of constants, as clients write who ask for columns:
//! where they leave no row nothing is called, as PostgreSQL calls no volatile function for a row that is not made.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, new_empty_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use engine::overrides::{Answer, Decision};
use engine::query::session::QuerySession;
use engine::{Error, Result};
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause,
    SelectItem, SetExpr, Statement, Value, visit_expressions,
};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    RecordConsent,
    Decide,
}

/// How a call is written.
#[derive(Debug, PartialEq, Eq)]
struct Form {
    action: Action,
    /// With its schema.
    name: &'static str,
    /// The names of the arguments, in order.
    arguments: &'static [&'static str],
    /// How many of them there have to be.
    required: usize,
    takes: &'static str,
    example: &'static str,
}

static FORMS: [Form; 2] = [
    Form {
        action: Action::RecordConsent,
        name: "cdp.record_consent",
        arguments: &["kind", "value", "purpose", "status"],
        required: 4,
        takes: "four texts",
        example: "SELECT cdp.record_consent('email', 'ada@example.com', 'email_marketing', 'withdrawn')",
    },
    Form {
        action: Action::Decide,
        name: "cdp.decide",
        arguments: &["pair", "decision", "reason"],
        required: 2,
        takes: "two or three texts",
        example: "SELECT cdp.decide('[\"crm\",\"C-1\",\"shop\",\"77\"]', 'same', 'called and asked')",
    },
];

/// A call that changes the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    form: &'static Form,
    /// In the order of the form's; `None` for one that was left out.
    arguments: Vec<Option<Argument>>,
    /// Whether the query has a row, for which it is called.
    has_row: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Literal(String),
    /// The parameter of this number, from 0.
    Parameter(usize),
}

/// Tells whether a statement calls what changes the lake.
pub(crate) fn calls_an_action(statement: &Statement) -> bool {
    called_in(statement).is_some()
}

impl Call {
    /// Returns the call that `statement` is, if it is one.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the call is part of a larger query, [`Error::Invalid`] if its arguments are none.
    pub(crate) fn of(statement: &Statement) -> Result<Option<Self>> {
        let Some(form) = called_in(statement) else { return Ok(None) };
        let (function, has_row) = single_call(statement, form).ok_or_else(|| form.not_alone())?;
        let FunctionArguments::List(list) = &function.args else { return Err(form.wrong()) };
        if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
            return Err(form.not_alone());
        }
        let mut given: Vec<Option<Option<Argument>>> = vec![None; form.arguments.len()];
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
                    (form.arguments.iter().position(named).ok_or_else(|| form.wrong())?, value)
                }
                _ => return Err(form.wrong()),
            };
            let slot = given.get_mut(place).ok_or_else(|| form.wrong())?;
            if slot.replace(form.argument_of(value)?).is_some() {
                return Err(form.wrong());
            }
        }
        let arguments: Vec<Option<Argument>> = given.into_iter().map(Option::flatten).collect();
        if arguments[..form.required].iter().any(Option::is_none) {
            return Err(form.wrong());
        }
        Ok(Some(Self { form, arguments, has_row }))
    }

    /// Tells whether running it changes the lake.
    pub(crate) fn changes_the_lake(&self) -> bool {
        self.has_row
    }

    /// Returns how many parameters it has.
    pub(crate) fn parameters(&self) -> usize {
        let numbers = self.arguments.iter().flatten().filter_map(|argument| match argument {
            Argument::Parameter(number) => Some(number + 1),
            Argument::Literal(_) => None,
        });
        numbers.max().unwrap_or(0)
    }

    /// Returns the column that it answers with.
    pub(crate) fn schema(&self) -> SchemaRef {
        let (name, data_type) = match self.form.action {
            Action::RecordConsent => ("record_consent", DataType::Boolean),
            Action::Decide => ("decide", DataType::Int64),
        };
        Arc::new(Schema::new(vec![Field::new(name, data_type, false)]))
    }

    /// Returns the values of the arguments, in order.
    fn values(&self, parameters: &[ScalarValue]) -> Vec<Option<String>> {
        let value = |argument: &Option<Argument>| match argument.as_ref()? {
            Argument::Literal(text) => Some(text.clone()),
            Argument::Parameter(number) => {
                let value = parameters.get(*number).and_then(|value| value.try_as_str().flatten());
                value.map(str::to_owned)
            }
        };
        self.arguments.iter().map(value).collect()
    }

    /// Does what it says, and returns the one value of the answer; none, if the query has no row.
    pub(super) async fn run(
        &self,
        session: &QuerySession,
        parameters: &[ScalarValue],
    ) -> Result<ArrayRef> {
        if !self.has_row {
            return Ok(new_empty_array(self.schema().field(0).data_type()));
        }
        let (engine, values) = (session.engine(), self.values(parameters));
        match (self.form.action, values.as_slice()) {
            (Action::RecordConsent, [Some(kind), Some(value), Some(purpose), Some(status)]) => {
                engine.record_consent(session, kind, value, purpose, status).await?;
                Ok(Arc::new(BooleanArray::from(vec![true])))
            }
            (Action::Decide, [Some(pair), Some(decision), reason]) => {
                let reason = reason.as_deref().unwrap_or_default();
                let answers = vec![Answer::about(pair, decision, reason)?];
                let made = engine.decide(session, &Decision::Answer(answers), reason).await?;
                Ok(Arc::new(Int64Array::from(vec![made.number])))
            }
            _ => Err(self.form.wrong()),
        }
    }
}

/// Returns the form of the first call in a statement.
fn called_in(statement: &Statement) -> Option<&'static Form> {
    let found = visit_expressions(statement, |expression| match expression {
        Expr::Function(function) => match form_of(function) {
            Some(form) => ControlFlow::Break(form),
            None => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    found.break_value()
}

fn form_of(function: &Function) -> Option<&'static Form> {
    let name = function.name.to_string().replace('"', "");
    FORMS.iter().find(|form| name.eq_ignore_ascii_case(form.name))
}

/// Returns the call, if the statement is `SELECT name(...)` and no more than a LIMIT or a WHERE of constants, and whether these
/// leave a row.
fn single_call<'a>(statement: &'a Statement, form: &Form) -> Option<(&'a Function, bool)> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [item] = select.projection.as_slice() else { return None };
    let (SelectItem::UnnamedExpr(Expr::Function(function))
    | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. }) = item
    else {
        return None;
    };
    let has_row = holds(select.selection.as_ref())? && leaves_a_row(query.limit_clause.as_ref())?;
    // Written out, a query shows every clause that it has, those of other dialects, too.
    let mut rest = query.clone();
    rest.limit_clause = None;
    if let SetExpr::Select(select) = rest.body.as_mut() {
        select.selection = None;
    }
    let is_alone = rest.to_string() == format!("SELECT {item}")
        && function.to_string() == format!("{}{}", function.name, function.args);
    (is_alone && form_of(function) == Some(form)).then_some((function, has_row))
}

/// Tells whether a condition of constants holds; nothing of any other.
fn holds(condition: Option<&Expr>) -> Option<bool> {
    match condition {
        None => Some(true),
        Some(Expr::Nested(inner)) => holds(Some(inner)),
        Some(Expr::BinaryOp { left, op: BinaryOperator::Eq, right }) => {
            Some(number(left)? == number(right)?)
        }
        Some(Expr::Value(value)) => match &value.value {
            Value::Boolean(holds) => Some(*holds),
            Value::Null => Some(false),
            _ => None,
        },
        Some(_) => None,
    }
}

/// Tells whether a LIMIT that is written as a number leaves a row; nothing of any other.
fn leaves_a_row(clause: Option<&LimitClause>) -> Option<bool> {
    let limit = match clause {
        None => return Some(true),
        Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by })
            if limit_by.is_empty() =>
        {
            limit
        }
        Some(_) => return None,
    };
    match limit {
        Expr::Value(value) if value.value == Value::Null => Some(true),
        limit => Some(number(limit)? > 0),
    }
}

/// Returns a number that is written as such.
fn number(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

impl Form {
    /// Reads an argument; nothing for `NULL`.
    fn argument_of(&self, value: &Expr) -> Result<Option<Argument>> {
        match value {
            Expr::Cast { expr, .. } | Expr::Nested(expr) => self.argument_of(expr),
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                    Ok(Some(Argument::Literal(text.clone())))
                }
                Value::DollarQuotedString(text) => Ok(Some(Argument::Literal(text.value.clone()))),
                Value::Null => Ok(None),
                Value::Placeholder(number) => {
                    let number = number
                        .trim_start_matches('$')
                        .parse::<usize>()
                        .ok()
                        .and_then(|number| number.checked_sub(1));
                    number
                        .map(|number| Some(Argument::Parameter(number)))
                        .ok_or_else(|| self.wrong())
                }
                _ => Err(self.wrong()),
            },
            _ => Err(self.wrong()),
        }
    }

    fn wrong(&self) -> Error {
        Error::Invalid {
            message: format!("{} takes {}", self.name, self.takes),
            hint: self.example.into(),
        }
    }

    fn not_alone(&self) -> Error {
        Error::Unsupported {
            what: format!("{} within a larger query", self.name),
            hint: format!("Call it alone: SELECT {}({}).", self.name, self.arguments.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    fn call(sql: &str) -> Result<Option<Call>> {
        Call::of(&Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap()[0])
    }

    #[track_caller]
    fn check(sql: &str, parameters: &[&str], expected: &[Option<&str>]) {
        let found = call(sql).unwrap().unwrap();
        assert_eq!(found.parameters(), parameters.len());
        let values: Vec<ScalarValue> =
            parameters.iter().map(|text| ScalarValue::from(*text)).collect();
        let values = found.values(&values);
        assert_eq!(values.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{sql}");
    }

    #[test]
    fn literals_parameters_and_names_are_arguments() {
        check(
            "SELECT cdp.record_consent('email', $1::text, status => 'withdrawn', purpose => $2)",
            &["a@x", "ads"],
            &[Some("email"), Some("a@x"), Some("ads"), Some("withdrawn")],
        );
        check("select CDP.Decide('p', 'same')", &[], &[Some("p"), Some("same"), None]);
        check("SELECT cdp.decide($1, $2, NULL)", &["p", "q"], &[Some("p"), Some("q"), None]);
        check(
            "SELECT \"cdp\".decide(decision => 'different', reason => $$It's she$$, pair => $1) AS done",
            &["p"],
            &[Some("p"), Some("different"), Some("It's she")],
        );
    }

    #[test]
    fn nothing_is_called_for_a_row_that_is_not_made() {
        for (behind, has_row) in [
            ("", true),
            ("LIMIT 1", true),
            ("LIMIT 1001", true),
            ("LIMIT ALL", true),
            ("LIMIT NULL", true),
            ("WHERE true", true),
            ("WHERE 1 = 1 LIMIT 5", true),
            ("LIMIT 0", false),
            ("WHERE false", false),
            ("WHERE (NULL)", false),
            ("WHERE 1 = 0", false),
            ("WHERE (0 = 1)", false),
            ("WHERE true LIMIT 0", false),
        ] {
            for called in
                ["cdp.decide('p', 'same')", "cdp.record_consent('a', 'b', 'c', $1) AS done"]
            {
                let sql = format!("SELECT {called} {behind}");
                let found = call(&sql).unwrap().unwrap();
                assert_eq!(found.changes_the_lake(), has_row, "{sql}");
                assert_eq!(found.schema().fields().len(), 1, "{sql}");
            }
        }
        // What it is called with is looked at all the same.
        assert!(matches!(call("SELECT cdp.decide('a') LIMIT 0"), Err(Error::Invalid { .. })));
    }

    #[test]
    fn other_queries_are_none_and_nested_calls_are_refused() {
        for sql in ["SELECT 1", "SELECT 'cdp.record_consent('", "SELECT decide('a', 'b')"] {
            assert!(call(sql).unwrap().is_none(), "{sql}");
        }
        for sql in [
            "SELECT cdp.record_consent('a','b','c','d') FROM profiles",
            "SELECT 1, cdp.record_consent('a','b','c','d')",
            "SELECT cdp.decide(pair, 'same') FROM cdp.identity_review",
            "SELECT * FROM profiles WHERE cdp.decide('a', 'same') = 1",
            "SELECT DISTINCT cdp.decide('a', 'same')",
            "SELECT cdp.decide('a', 'same') OFFSET 1",
            "SELECT cdp.decide('a', 'same') LIMIT 1 OFFSET 0",
            "SELECT cdp.decide('a', 'same') LIMIT $1",
            "SELECT cdp.decide('a', 'same') LIMIT 1 - 1",
            "SELECT cdp.decide('a', 'same') FETCH FIRST 0 ROWS ONLY",
            "SELECT cdp.decide('a', 'same') WHERE now() > '2020-01-01'",
            "SELECT cdp.decide('a', 'same') WHERE EXISTS (SELECT 1)",
            "SELECT cdp.decide('a', 'same') HAVING false",
            "SELECT cdp.decide('a', 'same') GROUP BY 1",
            "SELECT cdp.decide('a', 'same') ORDER BY 1",
            "SELECT cdp.decide('a', 'same') OVER ()",
            "SELECT cdp.decide('a', 'same') FILTER (WHERE false)",
            "SELECT cdp.decide(DISTINCT 'a', 'same')",
            "SELECT cdp.decide('a', 'same') UNION ALL SELECT 1",
            "WITH w AS (SELECT 1) SELECT cdp.decide('a', 'same')",
        ] {
            assert!(matches!(call(sql), Err(Error::Unsupported { .. })), "{sql}");
        }
        for sql in [
            "SELECT cdp.record_consent('a','b','c')",
            "SELECT cdp.record_consent('a','b','c', now())",
            "SELECT cdp.decide('a')",
            "SELECT cdp.decide('a', NULL)",
            "SELECT cdp.decide('a', 'same', 'r', 'x')",
            "SELECT cdp.decide('a', 'same', why => 'r')",
        ] {
            assert!(matches!(call(sql), Err(Error::Invalid { .. })), "{sql}");
        }
    }
}
