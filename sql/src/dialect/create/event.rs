//! `CREATE EVENT name (property type, ...)`, and the column lists that sources declare in the same way.

use std::collections::BTreeMap;

use engine::catalog::{Column, Event};
use sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;
use super::super::error::{DUPLICATE_OBJECT, FEATURE_NOT_SUPPORTED, ParseError};
use super::super::types::sql_type;

/// Reads `(property type, ...)`; an event may have none.
pub(crate) fn event(cursor: &mut Cursor<'_>) -> Result<Event, ParseError> {
    if cursor.at_end() {
        return Ok(Event { properties: Vec::new(), logical_types: BTreeMap::new() });
    }
    let (properties, logical_types) = declared_columns(cursor)?;
    Ok(Event { properties, logical_types })
}

/// Reads `(name type, ...)` and the logical types that the Arrow types do not say.
pub(crate) fn declared_columns(
    cursor: &mut Cursor<'_>,
) -> Result<(Vec<Column>, BTreeMap<String, String>), ParseError> {
    let mut columns: Vec<Column> = Vec::new();
    let mut logical_types = BTreeMap::new();
    cursor.list(|cursor| {
        let byte = cursor.start();
        let name = cursor.identifier("the name of a column")?;
        if columns.iter().any(|column| column.name == name) {
            let message = format!("column \"{name}\" is declared twice");
            return Err(cursor.error_at(byte, message).sqlstate(DUPLICATE_OBJECT));
        }
        let found = sql_type(cursor)?;
        if !matches!(cursor.peek(), Some(Token::Comma | Token::RParen))
            && (cursor.is("not") || cursor.is("primary"))
        {
            return Err(cursor
                .error("constraints of columns are not supported")
                .sqlstate(FEATURE_NOT_SUPPORTED)
                .hint("Name the key with KEY (...); rows without one go where ON ERROR says."));
        }
        if let Some(logical) = found.logical {
            logical_types.insert(name.clone(), logical);
        }
        columns.push(Column { name, data_type: found.data_type });
        Ok(())
    })?;
    Ok((columns, logical_types))
}
