//! `array_remove(list, x)` with an `x` that may be null: PostgreSQL removes the nulls of the list then, and to DataFusion the
//! whole is null.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{CaseWhen, Expr};

use super::call;

/// What a call stands for; `None` for other functions, and where what is removed is written.
pub(super) fn removed(name: &str, arguments: &[Expr]) -> Option<Expr> {
    let [list, sought] = arguments else { return None };
    if name != "array_remove" || matches!(sought, Expr::Value(_)) {
        return None;
    }
    let nulls = CaseWhen {
        condition: Expr::IsNull(Box::new(Expr::Nested(Box::new(sought.clone())))),
        result: call("array_compact", vec![list.clone()]),
    };
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![nulls],
        else_result: Some(Box::new(call("array_remove_all", vec![list.clone(), sought.clone()]))),
    })
}
