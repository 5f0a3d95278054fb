//! What depends on types while a statement is planned: names of types, literals that take the type of the other side, and
//! subscripts of vectors.

mod arrays;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_nested::expr_fn::array_has_any;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr, TypePlanner,
};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, Operator, binary_expr, lit};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CharacterLength, DataType as SqlType, ExactNumberInfo, TimezoneInfo,
};

use arrays::{across_dimensions, alike, has_all, held, makes_array};

use super::diagnosis;
use super::facts::SessionFacts;
use super::functions::{
    Matching, arithmetic, bounded, cut_call, divided, extract, failure, grown, is_object,
    is_other_text, letter_of, matching, object_named, subscript, times,
};
use super::input;
use super::json_operators;
use super::moments;
use super::rewrite::{base_of_domain, element_type};
use super::types::{self, TYPE_KEY};
use super::unknown::{Meaning, with_moments};
use super::zone::Zone;
use crate::Error;
use crate::query::stop::check_current;

/// Plans the types of SQL as PostgreSQL means them.
#[derive(Debug)]
pub struct PostgresTypes;

impl TypePlanner for PostgresTypes {
    fn plan_type_field(&self, sql: &SqlType) -> Result<Option<FieldRef>> {
        if let Some(element) = element_type(sql) {
            let Some(element) = self.plan_type_field(element)? else { return Ok(None) };
            let item = Arc::new(element.as_ref().clone().with_name("item"));
            // Arrays of arrays are of the same type as arrays.
            let array = match item.metadata().get(TYPE_KEY).map(|name| format!("{name}[]")) {
                Some(logical) => typed(DataType::List(item), &logical),
                None => Field::new("", DataType::List(item), true),
            };
            return Ok(Some(Arc::new(array)));
        }
        Ok(field(sql)?.map(Arc::new))
    }
}

/// What to do without ranges.
const RANGES: &str =
    "Keep both ends in columns of their own, and compare them: low <= x AND x < high.";

/// How many characters a `char(n)` has at most: so many are written for each value, however short it is.
const PADDED_CHARS_MAX: u64 = 65_536;

/// What to do without long ones.
const PADDED_HINT: &str = "Use text, or varchar(n), which are not filled up with blanks.";

/// Types that Arrow's own say. A cast to one of them names nothing else: DataFusion then keeps in step whether its result
/// can be null.
const PLAIN: [&str; 11] = [
    "bool",
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "bytea",
    "date",
    "timestamp",
    "timestamptz",
    "interval",
];

fn typed(data_type: DataType, logical: &str) -> Field {
    // Text under a name is text and nothing else: DataFusion would let it be what it was cast from, such as `jsonb`.
    if logical == "text" {
        return Field::new("text", data_type, true);
    }
    if PLAIN.contains(&logical) {
        return Field::new("", data_type, true);
    }
    Field::new("", data_type, true)
        .with_metadata(HashMap::from([(TYPE_KEY.to_string(), logical.to_string())]))
}

/// Texts that are shown in so many characters.
fn blank_padded(length: u64) -> Result<Field> {
    let invalid = |message: String| {
        failure(Error::Standard { sqlstate: "22023", message, hint: PADDED_HINT.to_owned() })
    };
    match length {
        0 => Err(invalid("length for type char must be at least 1".to_owned())),
        1..=PADDED_CHARS_MAX => Ok(typed(DataType::Utf8, &format!("bpchar({length})"))),
        10_485_761.. => Err(invalid("length for type char cannot exceed 10485760".to_owned())),
        _ => Err(failure(Error::Unsupported {
            what: format!("char(n) of more than {PADDED_CHARS_MAX} characters"),
            hint: PADDED_HINT.to_owned(),
        })),
    }
}

fn field(sql: &SqlType) -> Result<Option<Field>> {
    let of = |name: &str| Some(typed(types::arrow_type(name), name));
    let length = |length: &Option<CharacterLength>| match length {
        Some(CharacterLength::IntegerLength { length, .. }) => {
            typed(DataType::Utf8, &format!("varchar({length})"))
        }
        _ => typed(DataType::Utf8, "varchar"),
    };
    Ok(match sql {
        SqlType::Bool | SqlType::Boolean => of("bool"),
        SqlType::SmallInt(_) | SqlType::Int2(_) => of("int2"),
        SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) => of("int4"),
        SqlType::BigInt(_) | SqlType::Int8(_) => of("int8"),
        SqlType::Real | SqlType::Float4 => of("float4"),
        SqlType::Float(ExactNumberInfo::Precision(bits)) if *bits <= 24 => of("float4"),
        SqlType::Float(_) | SqlType::DoublePrecision | SqlType::Float8 | SqlType::Double(_) => {
            of("float8")
        }
        SqlType::Text | SqlType::String(_) => of("text"),
        SqlType::Varchar(n) | SqlType::CharacterVarying(n) | SqlType::CharVarying(n) => {
            Some(length(n))
        }
        SqlType::Char(n) | SqlType::Character(n) => Some(match n {
            Some(CharacterLength::IntegerLength { length, .. }) => blank_padded(*length)?,
            _ => blank_padded(1)?,
        }),
        SqlType::Bytea => of("bytea"),
        SqlType::Date => of("date"),
        SqlType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            Some(typed(DataType::Time64(TimeUnit::Microsecond), "time"))
        }
        SqlType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => of("timestamptz"),
        SqlType::Timestamp(_, _) => of("timestamp"),
        SqlType::Interval { .. } => of("interval"),
        SqlType::Uuid => of("uuid"),
        SqlType::JSON => of("json"),
        SqlType::JSONB => of("jsonb"),
        SqlType::Regclass => of("regclass"),
        SqlType::Custom(name, modifiers) => {
            let last = name.0.last().and_then(|part| part.as_ident());
            let Some(ident) = last else { return Ok(None) };
            let text = if ident.quote_style.is_some() {
                ident.value.clone()
            } else {
                ident.value.to_lowercase()
            };
            match types::by_name(&text) {
                Some(found) if found.name == "bpchar" && !modifiers.is_empty() => {
                    let length = modifiers.first().and_then(|length| length.parse().ok());
                    Some(blank_padded(length.unwrap_or(0))?)
                }
                // The modifier of numeric matters, and DataFusion reads it from its own spelling.
                Some(found) if found.name == "numeric" => return Ok(None),
                Some(found) if found.name.ends_with("range") => {
                    return Err(failure(Error::Unsupported {
                        what: format!("type {}", found.display),
                        hint: RANGES.to_owned(),
                    }));
                }
                Some(found) => Some(typed(types::arrow_type(&found.name), &found.name)),
                None => {
                    if let Some(below) = base_of_domain(sql) {
                        return Err(failure(Error::Unsupported {
                            what: format!("domain {name} but as the type of a cast"),
                            hint: format!("Use the type below it: {below}."),
                        }));
                    }
                    return Err(failure(Error::Missing {
                        kind: "type",
                        name: name.to_string(),
                        hint: "Check its spelling; there are no types of users.".to_string(),
                    }));
                }
            }
        }
        _ => None,
    })
}

/// Plans operators and subscripts whose meaning depends on types.
#[derive(Debug)]
pub struct PostgresOperators {
    facts: Arc<SessionFacts>,
}

impl PostgresOperators {
    /// Makes the planner of one session.
    pub fn new(facts: &Arc<SessionFacts>) -> PostgresOperators {
        PostgresOperators { facts: Arc::clone(facts) }
    }

    /// A literal beside the number of an object, which it names: `pg_typeof(x) = 'integer'`.
    fn object(&self, literal: &Expr, other: &Expr, schema: &DFSchema) -> Option<Expr> {
        let Expr::Literal(ScalarValue::Utf8(Some(_)), None) = literal else { return None };
        let (_, field) = other.to_field(schema).ok().filter(|(_, field)| is_object(field))?;
        object_named(field.metadata().get(TYPE_KEY)?, literal.clone(), &self.facts)
    }
}

impl ExprPlanner for PostgresOperators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        // What a long chain of operators gives is worked out from its beginning at each of them.
        check_current()?;
        let RawBinaryExpr { op, mut left, mut right } = expr;
        let json = json_operators::planned(&op, &left, &right, schema, &self.facts);
        // What is said of operators goes by what DataFusion says of types: to it a choice of documents is a text.
        if json.is_none() || op != BinaryOperator::Minus {
            diagnosis::check_operator(&op, &left, &right, schema)?;
        }
        if let Some(call) = json {
            return Ok(PlannerResult::Planned(call));
        }
        if Meaning::of(&op) == Some(Meaning::Compares) {
            if let Some(named) = self.object(&right, &left, schema) {
                right = named;
            } else if let Some(named) = self.object(&left, &right, schema) {
                left = named;
            }
        }
        if let Some(meaning) = Meaning::of(&op) {
            if let Some(typed) = meaning.take_type(&right, &left, schema)? {
                right = typed;
            } else if let Some(typed) = meaning.take_type(&left, &right, schema)? {
                left = typed;
            }
        }
        if Meaning::of(&op) == Some(Meaning::Contains) {
            (left, right) = held(&op, left, right, schema);
        }
        let is_list = |expr: &Expr| expr.get_type(schema).is_ok_and(|found| found.is_list());
        if Meaning::of(&op) == Some(Meaning::Contains) && is_list(&left) && is_list(&right) {
            let call = match op {
                BinaryOperator::PGOverlap => array_has_any(left, right),
                BinaryOperator::ArrowAt => has_all(right, left)?,
                _ => has_all(left, right)?,
            };
            return Ok(PlannerResult::Planned(call));
        }
        if let Some(compared) = across_dimensions(&op, &left, &right, schema) {
            return Ok(PlannerResult::Planned(compared));
        }
        match matching(&op, &left, &right)? {
            Some(Matching::Operator(pattern)) => right = pattern,
            Some(Matching::Call(call)) => return Ok(PlannerResult::Planned(call)),
            None => {}
        }
        if op == BinaryOperator::StringConcat {
            left = bytes_beside(left, &right, schema)?;
            right = bytes_beside(right, &left, schema)?;
        }
        if op == BinaryOperator::StringConcat && makes_text(&left, &right, schema) {
            let as_text = |side: Expr| match side.to_field(schema) {
                Ok((_, field)) if is_other_text(field.data_type()) || is_object(&field) => {
                    Expr::Cast(Cast::new(Box::new(side), DataType::Utf8))
                }
                _ => side,
            };
            let text = binary_expr(as_text(left), Operator::StringConcat, as_text(right));
            return Ok(PlannerResult::Planned(grown::bound(text)));
        }
        if op == BinaryOperator::StringConcat
            && let Some(function) = makes_array(&left, &right, schema)
        {
            let sides = alike([left.clone(), right.clone()], schema);
            if let Some(call) = bounded::call(function, sides.to_vec()) {
                return Ok(PlannerResult::Planned(call));
            }
        }
        if let Some(planned) = moments::arithmetic(&op, &left, &right, schema, &self.facts) {
            return Ok(PlannerResult::Planned(planned));
        }
        let type_of = |expr: &Expr| expr.get_type(schema).ok();
        match (&op, type_of(&left), type_of(&right)) {
            // A day and a span of time make a point in time: DataFusion would keep the day alone.
            (
                BinaryOperator::Plus | BinaryOperator::Minus,
                Some(DataType::Date32),
                Some(DataType::Interval(_)),
            ) => left = midnight(left),
            (BinaryOperator::Plus, Some(DataType::Interval(_)), Some(DataType::Date32)) => {
                right = midnight(right);
            }
            (
                BinaryOperator::Multiply | BinaryOperator::Divide,
                Some(DataType::Interval(_)),
                Some(number),
            ) if number.is_numeric() || number.is_null() => {
                let scaled = if op == BinaryOperator::Divide { divided } else { times };
                return Ok(PlannerResult::Planned(scaled(left, as_float(right))));
            }
            (BinaryOperator::Multiply, Some(number), Some(DataType::Interval(_)))
                if number.is_numeric() || number.is_null() =>
            {
                return Ok(PlannerResult::Planned(times(right, as_float(left))));
            }
            // Days between days are an integer.
            (BinaryOperator::Minus, Some(DataType::Date32), Some(DataType::Date32)) => {
                let days = Box::new(binary_expr(left, Operator::Minus, right));
                return Ok(PlannerResult::Planned(Expr::Cast(Cast::new(days, DataType::Int32))));
            }
            _ => {}
        }
        if let Some(planned) = arithmetic(&op, &mut left, &mut right, schema) {
            return Ok(PlannerResult::Planned(planned));
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(extract(args)))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(cut_call("substr", args))
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(cut_call("strpos", args))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(cut_call("overlay", args))
    }

    fn plan_aggregate(
        &self,
        mut expr: RawAggregateExpr,
    ) -> Result<PlannerResult<RawAggregateExpr>> {
        // A cast gives its expression no name, and aggregates of one name cannot be told apart: `sum(x), sum(x::real)`.
        for arg in &mut expr.args {
            if let Expr::Cast(Cast { expr: inner, field }) = &*arg
                && !matches!(inner.as_ref(), Expr::Literal(..))
            {
                let name = format!("{}::{}", inner.schema_name(), types::pg_type_of(field).0.name);
                *arg = std::mem::take(arg).alias(name);
            }
        }
        Ok(PlannerResult::Original(expr))
    }

    fn plan_array_literal(
        &self,
        elements: Vec<Expr>,
        schema: &DFSchema,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let elements = with_moments(elements, schema);
        Ok(match bounded::call("make_array", elements.clone()) {
            Some(call) => PlannerResult::Planned(call),
            None => PlannerResult::Original(elements),
        })
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = expr;
        if let Some(part) = json_operators::subscript(&field_access, &expr, schema, &self.facts)? {
            return Ok(PlannerResult::Planned(part));
        }
        if let GetFieldAccess::ListIndex { key } = &field_access
            && is_name(&expr, schema)
            && let Some(letter) = letter_of(expr.clone(), key.as_ref().clone(), &self.facts)
        {
            return Ok(PlannerResult::Planned(letter));
        }
        // Vectors of the catalog count from 0.
        let field_access = match field_access {
            GetFieldAccess::ListIndex { key } if is_vector(&expr, schema) => {
                GetFieldAccess::ListIndex { key: Box::new(*key + lit(1_i64)) }
            }
            other => other,
        };
        Ok(match subscript(&field_access, &expr, schema)? {
            Some(call) => PlannerResult::Planned(call),
            None => PlannerResult::Original(RawFieldAccessExpr { field_access, expr }),
        })
    }
}

fn as_float(number: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(number), DataType::Float64))
}

/// The beginning of a day as a point in time.
fn midnight(day: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(day), DataType::Timestamp(TimeUnit::Microsecond, None)))
}

/// Tells whether `||` makes a text of two expressions: of arrays it makes an array.
fn makes_text(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let type_of = |expr: &Expr| expr.get_type(schema).ok();
    let (left, right) = (type_of(left), type_of(right));
    let text = |found: &Option<DataType>| found.as_ref().is_some_and(DataType::is_string);
    let plain = |found: &Option<DataType>| found.as_ref().is_some_and(|found| !found.is_nested());
    (text(&left) && plain(&right)) || (plain(&left) && text(&right))
}

/// A literal beside bytes, which are what it says: `data || '\\x00'`.
fn bytes_beside(literal: Expr, other: &Expr, schema: &DFSchema) -> Result<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = &literal else { return Ok(literal) };
    if !other.get_type(schema).is_ok_and(|found| found == DataType::Binary) {
        return Ok(literal);
    }
    match input::read(text, "bytea", &Zone::utc()) {
        Some(Ok(bytes)) => Ok(Expr::Literal(bytes, None)),
        Some(Err(refusal)) => Err(failure(refusal.error("bytea"))),
        None => Ok(literal),
    }
}

/// Vectors of the catalog count from 0.
fn is_vector(expr: &Expr, schema: &DFSchema) -> bool {
    is_of(expr, schema, |name| name.ends_with("vector"))
}

/// A name is an array of letters, which counts from 0, too.
fn is_name(expr: &Expr, schema: &DFSchema) -> bool {
    is_of(expr, schema, |name| name == "name")
}

/// Tells whether the logical type of an expression is one of those that are asked for.
fn is_of(expr: &Expr, schema: &DFSchema, asked: fn(&str) -> bool) -> bool {
    let field = expr.to_field(schema).map(|(_, field)| field);
    field.is_ok_and(|field| field.metadata().get(TYPE_KEY).is_some_and(|name| asked(name)))
}
