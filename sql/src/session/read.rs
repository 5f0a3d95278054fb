//! Texts of statements as the engine takes them: what sqlparser makes of what it can read of them.

use engine::{Error, Result};
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{AlterTable, AlterTableOperation, ObjectName, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::dialect::{readable, refreshed_view};

/// Reads the one statement of a text.
pub(super) fn parse(sql: &str) -> Result<Statement> {
    let unreadable = |error| datafusion::error::DataFusionError::SQL(Box::new(error), None);
    if let Some(view) = refreshed_view(sql) {
        let name = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(view)
            .and_then(|mut parser| parser.parse_object_name(false));
        return Ok(refresh_of(name.map_err(unreadable)?));
    }
    let statements = engine::query::syntax::statements(&readable(sql)).map_err(unreadable)?;
    statements.into_iter().next().ok_or_else(|| Error::Invalid {
        message: "there is no statement".into(),
        hint: "Send one.".into(),
    })
}

/// `REFRESH MATERIALIZED VIEW` in the words that sqlparser has for it.
fn refresh_of(name: ObjectName) -> Statement {
    Statement::AlterTable(AlterTable {
        name,
        if_exists: false,
        only: false,
        operations: vec![AlterTableOperation::Refresh { subpath: None }],
        location: None,
        on_cluster: None,
        table_type: None,
        end_token: AttachedToken::empty(),
    })
}
