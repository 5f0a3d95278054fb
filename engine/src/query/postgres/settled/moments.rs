//! Points in time in the session's zone, and the texts of values that Arrow writes otherwise.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::Types;
use crate::query::postgres::functions::{in_zone, is_other_text, text_of};

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
            (Timestamp(_, None) | Date32, Timestamp(_, Some(_))) if self.is_local => {
                in_zone(self.zone.name(), inner)
            }
            _ => inner,
        };
        Expr::Cast(Cast { expr: Box::new(inner), field })
    }

    /// Functions of points in time, which are of the session's zone, and those that make texts of their arguments.
    pub(super) fn function(&self, function: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
        let ScalarFunction { func, mut args } = function;
        let name = func.name();
        let type_of = |expr: &Expr| expr.get_type(schema).ok();
        let zone = self.zone.name();
        match name {
            "date_trunc" | "date_part" | "extract" if self.is_local && args.len() == 2 => {
                let is_moment = matches!(type_of(&args[1]), Some(DataType::Timestamp(_, Some(_))));
                // The seconds since 1970 are the same everywhere.
                let is_epoch = matches!(&args[0], Expr::Literal(ScalarValue::Utf8(Some(part)), _)
                    if part.eq_ignore_ascii_case("epoch"));
                if is_moment && !is_epoch {
                    let is_moment_again = name == "date_trunc";
                    args[1] = in_zone(zone, std::mem::take(&mut args[1]));
                    let local = Expr::ScalarFunction(ScalarFunction::new_udf(func, args));
                    return Ok(if is_moment_again { in_zone(zone, local) } else { local });
                }
            }
            "concat" | "concat_ws" | "format" => {
                for arg in &mut args {
                    if type_of(arg).is_some_and(|found| is_other_text(&found)) {
                        *arg = text_of(zone, std::mem::take(arg));
                    }
                }
            }
            _ => {}
        }
        Ok(Expr::ScalarFunction(ScalarFunction::new_udf(func, args)))
    }
}
