//! Points in time in the session's zone, and the texts of values that Arrow writes otherwise.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::{Case, Cast, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, Operator, binary_expr, lit};

use super::Types;
use super::literals::cast_literal;
use crate::Error;
use crate::query::postgres::functions::{
    EXTRACT, WHOLE_PRECISION, ZonePart, bounded, failure, in_zone, is_object, is_other_text, now,
    numeric_call, offset_part, text_of, zone_part,
};
use crate::query::postgres::moments::{
    WALL_CLOCK, beside, is_clock, is_moment, midnight, moment, moment_type,
};
use crate::query::postgres::types::{by_name, of_values, shown_chars};

impl Types {
    /// A cast between points in time and days or wall clocks, which are those of the session's zone; and one to text.
    pub(super) fn cast_moment(&self, cast: Cast, schema: &DFSchema) -> Expr {
        use DataType::{Date32, Time64, Timestamp};
        let Ok(from) = cast.expr.get_type(schema) else { return Expr::Cast(cast) };
        let (inner, field) = (*cast.expr, cast.field);
        let inner = match (&from, field.data_type()) {
            (from, to) if to.is_string() && is_other_text(from) => text_of(self.zone.name(), inner),
            (Timestamp(_, Some(_)), Date32 | Time64(_) | Timestamp(_, None)) if self.is_local => {
                in_zone(self.zone.name(), inner)
            }
            (Timestamp(_, None), Timestamp(_, Some(_))) if self.is_local => {
                in_zone(self.zone.name(), inner)
            }
            (Date32, Timestamp(_, Some(_))) if self.is_local => {
                in_zone(self.zone.name(), midnight(inner))
            }
            _ => inner,
        };
        Expr::Cast(Cast { expr: Box::new(inner), field })
    }

    /// `now`, `today`, `tomorrow` or `yesterday` as a value of a type: as of `now()`, whenever it is planned.
    pub(super) fn said(&self, text: &str, pg_type: &str) -> Option<Expr> {
        if !matches!(pg_type, "date" | "timestamp" | "timestamptz") {
            return None;
        }
        let days = match text.trim().to_ascii_lowercase().as_str() {
            "now" => None,
            "today" => Some(0),
            "tomorrow" => Some(1),
            "yesterday" => Some(-1),
            _ => return None,
        };
        let cast = |expr: Expr, to: DataType| Expr::Cast(Cast::new(Box::new(expr), to));
        let local = match self.is_local {
            true => in_zone(self.zone.name(), now(&self.facts)),
            false => cast(now(&self.facts), WALL_CLOCK),
        };
        let Some(days) = days else {
            return Some(match pg_type {
                "timestamptz" => now(&self.facts),
                "timestamp" => local,
                _ => cast(local, DataType::Date32),
            });
        };
        let today = midnight(cast(local, DataType::Date32));
        let day = match days {
            0 => today,
            days => {
                binary_expr(today, Operator::Plus, lit(ScalarValue::new_interval_mdn(0, days, 0)))
            }
        };
        Some(match pg_type {
            "timestamptz" => moment(day, &self.zone),
            "timestamp" => day,
            _ => cast(day, DataType::Date32),
        })
    }

    /// How far the session's zone is from UTC at a point in time, as `extract` or `date_part` gives it.
    fn offset(&self, function: &str, mut args: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
        let to = match function == EXTRACT {
            true => DataType::Decimal128(WHOLE_PRECISION, 0),
            false => DataType::Float64,
        };
        let (time, field) = (args.pop(), args.pop());
        let (Some(time), Some((part, field))) = (time, field.as_ref().and_then(field_of_zone))
        else {
            return internal_err!("{function} takes a field and a time");
        };
        let of = time.get_type(schema)?;
        if is_moment(&of) {
            return Ok(offset_part(part, self.zone.name(), to, time));
        }
        let of = of_values(&of);
        let of = by_name(of).map_or(of, |known| known.display.as_str());
        Err(failure(Error::Standard {
            sqlstate: "0A000",
            message: format!("unit \"{}\" not supported for type {of}", field.to_lowercase()),
            hint: "Only a timestamp with time zone is of a zone.".to_owned(),
        }))
    }

    /// What DataFusion made of an expression to bring it to the type of others.
    pub(super) fn coerced(&mut self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        let cast = match cast_literal(expr) {
            Expr::Cast(cast) => cast,
            other => return Ok(other),
        };
        if let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = cast.expr.as_ref()
            && cast.field.data_type().is_temporal()
            && let Some(literal) = self.read(text, &cast.field)?
        {
            return Ok(literal);
        }
        Ok(match self.is_local {
            true => self.cast_moment(cast, schema),
            false => Expr::Cast(cast),
        })
    }

    /// The sides of a comparison, of which one may be a day or a wall clock and the other a point in time.
    pub(super) fn facing(&self, left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
        match (left.get_type(schema), right.get_type(schema)) {
            (Ok(one), Ok(other)) if one.is_temporal() && other.is_temporal() => {
                (beside(left, &one, &other, &self.zone), beside(right, &other, &one, &self.zone))
            }
            _ => (left, right),
        }
    }

    /// An expression in the type of what it is compared with.
    pub(super) fn turned(&self, expr: Expr, other: Option<&DataType>, schema: &DFSchema) -> Expr {
        match (expr.get_type(schema), other) {
            (Ok(of), Some(other)) => beside(expr, &of, other, &self.zone),
            _ => expr,
        }
    }

    /// A join, whose columns may be days on one side and points in time on the other.
    pub(super) fn join(&self, mut join: Join) -> Join {
        for (left, right) in &mut join.on {
            let types = (left.get_type(join.left.schema()), right.get_type(join.right.schema()));
            if let (Ok(one), Ok(other)) = types
                && one.is_temporal()
                && one != other
            {
                *left = beside(std::mem::take(left), &one, &other, &self.zone);
                *right = beside(std::mem::take(right), &other, &one, &self.zone);
            }
        }
        join
    }

    /// Functions of points in time, which are of the session's zone, and those that make texts of their arguments.
    pub(super) fn function(&mut self, function: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
        let ScalarFunction { func, mut args } = function;
        if let Some(number) = numeric_call(&func, &args) {
            self.changed = true;
            return Ok(number);
        }
        let name = func.name();
        let type_of = |expr: &Expr| expr.get_type(schema).ok();
        let is_small = |arg: &Expr| matches!(type_of(arg), Some(DataType::Int16 | DataType::Int32));
        let width_of = |arg: &Expr| {
            type_of(arg).filter(DataType::is_signed_integer).and_then(|of| of.primitive_width())
        };
        let is_wider = |one: &Expr, other: &Expr| {
            width_of(other).is_some_and(|width| width_of(one).is_some_and(|wider| wider > width))
        };
        let zone = self.zone.name();
        match name {
            // The first moment of the month of a day is a point in time.
            "date_trunc" if args.len() == 2 && type_of(&args[1]) == Some(DataType::Date32) => {
                let day = midnight(std::mem::take(&mut args[1]));
                args[1] = day;
                let local = Expr::ScalarFunction(ScalarFunction::new_udf(func, args));
                self.changed = true;
                return Ok(moment(local, &self.zone));
            }
            "date_trunc"
                if args.len() == 3 && type_of(&args[1]).is_some_and(|of| is_clock(&of)) =>
            {
                args[1] = self.turned(std::mem::take(&mut args[1]), Some(&moment_type()), schema);
            }
            // A day begins as the session's zone has it.
            "timezone" if args.len() == 2 && type_of(&args[1]) == Some(DataType::Date32) => {
                let day = midnight(std::mem::take(&mut args[1]));
                args[1] = moment(day, &self.zone);
                self.changed = true;
            }
            "date_part" | "extract" if args.len() == 2 && field_of_zone(&args[0]).is_some() => {
                self.changed = true;
                return self.offset(name, args, schema);
            }
            "date_trunc" | "date_part" | "extract" if self.is_local && args.len() == 2 => {
                let is_moment = matches!(type_of(&args[1]), Some(DataType::Timestamp(_, Some(_))));
                if is_moment && name == "date_trunc" {
                    args.push(lit(zone));
                    return Ok(Expr::ScalarFunction(ScalarFunction::new_udf(func, args)));
                }
                // The seconds since 1970 are the same everywhere.
                let is_epoch = matches!(&args[0], Expr::Literal(ScalarValue::Utf8(Some(part)), _)
                    if part.eq_ignore_ascii_case("epoch"));
                if is_moment && !is_epoch {
                    args[1] = in_zone(zone, std::mem::take(&mut args[1]));
                    let local = Expr::ScalarFunction(ScalarFunction::new_udf(func, args));
                    return Ok(local);
                }
            }
            // Beside a wider integer it is the first one all the same.
            "nullif" if args.len() == 2 && is_wider(&args[1], &args[0]) => {
                let first = type_of(&args[0]).unwrap_or(DataType::Int64);
                let chosen = Expr::ScalarFunction(ScalarFunction::new_udf(func, args));
                self.changed = true;
                return Ok(Expr::Cast(Cast::new(Box::new(chosen), first)));
            }
            "coalesce" | "greatest" | "least" | "nullif" if self.is_local => {
                let types: Vec<_> = args.iter().map(type_of).collect();
                if let Some(Some(moment)) =
                    types.iter().find(|found| found.as_ref().is_some_and(is_moment))
                {
                    for (arg, of) in args.iter_mut().zip(&types) {
                        if let Some(of) = of {
                            *arg = beside(std::mem::take(arg), of, moment, &self.zone);
                        }
                    }
                }
            }
            "age" | "date_bin" => {
                // A text beside a time is one.
                let times = |found: &DataType| is_moment(found) || is_clock(found);
                if let Some(of) = args.iter().filter_map(type_of).find(times) {
                    let field = Field::new("", of, true);
                    for arg in &mut args[usize::from(name == "date_bin")..] {
                        if let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = arg
                            && let Some(literal) = self.read(text, &field)?
                        {
                            *arg = literal;
                        }
                    }
                }
                // Years, months and days are those that the clock on the wall shows.
                if name == "age" && self.is_local {
                    for arg in &mut args {
                        if arg.get_type(schema).is_ok_and(|found| is_moment(&found)) {
                            *arg = in_zone(self.zone.name(), std::mem::take(arg));
                        }
                    }
                }
            }
            // How many digits they leave is a literal only now.
            "round" | "trunc" if args.len() == 2 => self.changed = true,
            // DataFusion works them out in bigints.
            "gcd" | "lcm" if args.iter().all(is_small) => {
                let bigint = Expr::ScalarFunction(ScalarFunction::new_udf(func, args));
                self.changed = true;
                return Ok(Expr::Cast(Cast::new(Box::new(bigint), DataType::Int32)));
            }
            "concat" | "concat_ws" | "format" => {
                for arg in &mut args {
                    if type_of(arg) == Some(DataType::Boolean) {
                        *arg = letter(std::mem::take(arg));
                    } else if type_of(arg).is_some_and(|found| is_other_text(&found)) {
                        *arg = text_of(zone, std::mem::take(arg));
                    } else {
                        show(arg, schema);
                    }
                }
            }
            "quote_literal" | "quote_nullable" => {
                for arg in &mut args {
                    match type_of(arg).is_some_and(|found| is_other_text(&found)) {
                        true => *arg = text_of(zone, std::mem::take(arg)),
                        false => show(arg, schema),
                    }
                }
            }
            "to_json" | "to_jsonb" | "json_build_array" | "jsonb_build_array"
            | "json_build_object" | "jsonb_build_object" => {
                args.iter_mut().for_each(|arg| show(arg, schema));
            }
            "octet_length" => args.iter_mut().for_each(|arg| fill_up(arg, schema)),
            _ => {}
        }
        Ok(Expr::ScalarFunction(ScalarFunction::new_udf(func, args)))
    }
}

/// The part of the offset of a zone that a field of `extract` names, and the field.
fn field_of_zone(field: &Expr) -> Option<(ZonePart, &str)> {
    let Expr::Literal(field, _) = field else { return None };
    let field = field.try_as_str().flatten()?;
    zone_part(field).map(|part| (part, field))
}

/// Shows an object by its name, of which the value is a number, and characters with the blanks behind them.
fn show(arg: &mut Expr, schema: &DFSchema) {
    fill_up(arg, schema);
    if arg.to_field(schema).is_ok_and(|(_, field)| is_object(&field)) {
        let object = Box::new(std::mem::take(arg));
        *arg = Expr::Cast(Cast::new(object, DataType::Utf8));
    }
}

/// Gives a text as many characters as its type says that it is shown in.
pub(super) fn fill_up(arg: &mut Expr, schema: &DFSchema) {
    let chars = arg.to_field(schema).ok().and_then(|(_, field)| shown_chars(&field));
    if let Some(chars) = chars
        && let Some(filled) = bounded::call("rpad", vec![arg.clone(), lit(chars)])
    {
        *arg = filled;
    }
}

/// A boolean as PostgreSQL sends it: a cast to text writes it out, and functions over values of any type do not.
fn letter(flag: Expr) -> Expr {
    let letters = [(true, "t"), (false, "f")];
    let letters = letters.map(|(flag, letter)| (Box::new(lit(flag)), Box::new(lit(letter))));
    Expr::Case(Case::new(Some(Box::new(flag)), letters.into(), None))
}
