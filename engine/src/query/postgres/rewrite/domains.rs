//! Casts to the domains of `information_schema`: to the types that they are made of, with their conditions.

use datafusion::sql::sqlparser::ast::{
    CastKind, CharacterLength, DataType, Expr, Ident, ObjectName, TimezoneInfo, Value,
};

use super::expressions::take;
use super::{call, parts};
use crate::query::postgres::functions::OF_DOMAIN;

/// The type below a domain, as a cast is written to it; `None` for other types.
pub(in crate::query::postgres) fn base(data_type: &DataType) -> Option<DataType> {
    let DataType::Custom(name, modifiers) = data_type else { return None };
    let parts = parts(name);
    let [schema, domain] = parts.as_slice() else { return None };
    if schema != "information_schema" || !modifiers.is_empty() {
        return None;
    }
    Some(match domain.as_str() {
        "sql_identifier" => DataType::Custom(ObjectName::from(vec![Ident::new("name")]), vec![]),
        "cardinal_number" => DataType::Int4(None),
        "character_data" => DataType::Varchar(None),
        "yes_or_no" => {
            DataType::Varchar(Some(CharacterLength::IntegerLength { length: 3, unit: None }))
        }
        "time_stamp" => DataType::Timestamp(Some(2), TimezoneInfo::WithTimeZone),
        _ => return None,
    })
}

/// Casts to the type below, before other casts are looked at.
pub(super) fn cast(expr: &mut Expr) {
    let Expr::Cast {
        data_type, kind: CastKind::Cast | CastKind::DoubleColon, array: false, ..
    } = expr
    else {
        return;
    };
    let Some(below) = base(data_type) else { return };
    let domain = std::mem::replace(data_type, below);
    let DataType::Custom(name, _) = domain else { return };
    let domain = parts(&name).pop().unwrap_or_default();
    if matches!(domain.as_str(), "cardinal_number" | "yes_or_no") {
        let name = Expr::Value(Value::SingleQuotedString(domain).into());
        *expr = call(OF_DOMAIN, vec![take(expr), name]);
    }
}
