//! Casts to texts of a length: `varchar(n)` cuts a text, and so do `char(n)` and `bpchar`, of which blanks at the end are no part.

use datafusion::sql::sqlparser::ast::{CastKind, CharacterLength, DataType, Expr, Value};

use super::expressions::{number, take};
use super::{call, function_name};

/// Cuts what is cast to a type of texts: the type alone would only promise that.
pub(super) fn cut(inner: &mut Expr, data_type: &DataType) {
    let (length, is_padded) = (length(data_type), is_blank_padded(data_type));
    if length.is_none() && !is_padded {
        return;
    }
    *inner = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(take(inner)),
        data_type: DataType::Text,
        array: false,
        format: None,
    };
    if let Some(length) = length {
        *inner = call("left", vec![take(inner), number(length)]);
    }
    if is_padded {
        let blank = Expr::Value(Value::SingleQuotedString(" ".to_owned()).into());
        *inner = call("rtrim", vec![take(inner), blank]);
    }
}

fn length(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Varchar(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::CharacterVarying(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::Char(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::Character(Some(CharacterLength::IntegerLength { length, .. })) => Some(*length),
        DataType::Char(None) | DataType::Character(None) => Some(1),
        DataType::Custom(_, modifiers) if is_blank_padded(data_type) => {
            modifiers.first().and_then(|length| length.parse().ok())
        }
        _ => None,
    }
}

/// Tells whether the values of a type are shown with blanks at their end, and held without them.
fn is_blank_padded(data_type: &DataType) -> bool {
    match data_type {
        DataType::Char(_) | DataType::Character(_) => true,
        DataType::Custom(name, _) => function_name(name).is_some_and(|name| name == "bpchar"),
        _ => false,
    }
}
