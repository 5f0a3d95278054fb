//! Windows with names: `OVER w`, `OVER (w ORDER BY x)` and `WINDOW o AS (w ORDER BY x)`, written out where they are used.
//!
//! DataFusion knows names in the select list alone, and passes over the one that a window begins with. Nor does it know a value
//! of the row in the place of what `lag` and `lead` do not find.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, Function, Ident, NamedWindowExpr, OrderBy, Select, WindowSpec, WindowType,
};

use super::expressions::number;
use super::{arguments, call, normal, relations};
use crate::error::{Error, Result};
use crate::query::syntax::outside;

/// Writes out the windows of a select, and of the order that its rows are in.
///
/// # Errors
/// SQLSTATE 42704 for a window that is not there, and 42P20 for one that is there twice or cannot be copied so.
pub(super) fn write_out(select: &mut Select, order: Option<&mut OrderBy>) -> Result<()> {
    let mut windows = Windows { known: Vec::new() };
    for definition in std::mem::take(&mut select.named_window) {
        let name = normal(&definition.0);
        if windows.known.iter().any(|(known, _)| *known == name) {
            return Err(refused(format!("window \"{name}\" is already defined")));
        }
        let window = match definition.1 {
            NamedWindowExpr::NamedWindow(name) => windows.named(&name)?.clone(),
            NamedWindowExpr::WindowSpec(window) => windows.written_out(&window)?,
        };
        windows.known.push((name, window));
    }
    let write = |expr: &mut Expr| windows.write(expr);
    let mut visited = outside::change(&mut select.projection, write);
    if let (true, Some(order)) = (visited.is_continue(), order) {
        visited = outside::change(order, write);
    }
    match visited {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The windows of a select by their names.
struct Windows {
    known: Vec<(String, WindowSpec)>,
}

impl Windows {
    fn named(&self, name: &Ident) -> Result<&WindowSpec> {
        let name = normal(name);
        let found = self.known.iter().find(|(known, _)| *known == name);
        found.map(|(_, window)| window).ok_or_else(|| Error::Missing {
            kind: "window",
            name,
            hint: "Define it behind WINDOW: WINDOW w AS (ORDER BY column).".into(),
        })
    }

    /// A window that may begin with the name of another.
    fn written_out(&self, window: &WindowSpec) -> Result<WindowSpec> {
        let Some(name) = &window.window_name else { return Ok(window.clone()) };
        let (base, name) = (self.named(name)?, normal(name));
        let overridden = match (base.order_by.is_empty(), window.order_by.is_empty()) {
            _ if !window.partition_by.is_empty() => Some("PARTITION BY"),
            (false, false) => Some("ORDER BY"),
            _ => None,
        };
        if let Some(clause) = overridden {
            return Err(refused(format!("cannot override {clause} clause of window \"{name}\"")));
        }
        if base.window_frame.is_some() {
            return Err(refused(format!(
                "cannot copy window \"{name}\" because it has a frame clause"
            )));
        }
        let order_by = match window.order_by.is_empty() {
            true => base.order_by.clone(),
            false => window.order_by.clone(),
        };
        Ok(WindowSpec {
            window_name: None,
            partition_by: base.partition_by.clone(),
            order_by,
            window_frame: window.window_frame.clone(),
        })
    }

    /// Writes out the window of a call.
    fn write(&self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let written = match &function.over {
            Some(WindowType::NamedWindow(name)) => self.named(name).cloned(),
            Some(WindowType::WindowSpec(window)) if window.window_name.is_some() => {
                self.written_out(window)
            }
            _ => return ControlFlow::Continue(()),
        };
        match written {
            Ok(window) => {
                function.over = Some(WindowType::WindowSpec(window));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// `lag(x, n, y)` where `y` is of the row: what the row that many places away has, and `y` where there is none. `None` for all
/// other calls.
pub(super) fn or_of_row(name: &str, function: &Function) -> Option<Expr> {
    if !matches!(name, "lag" | "lead") || function.null_treatment.is_some() {
        return None;
    }
    let args = arguments(&function.args);
    let [value, places, other] = args.as_slice() else { return None };
    if relations::is_constant(other) || !relations::is_constant(places) {
        return None;
    }
    let away = |value: &Expr| {
        let mut away = call(name, vec![value.clone(), places.clone()]);
        if let Expr::Function(away) = &mut away {
            away.filter.clone_from(&function.filter);
            away.over.clone_from(&function.over);
        }
        Box::new(away)
    };
    // The number one is null where there is no row.
    let condition = Expr::IsNull(away(&number(1)));
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result: other.clone() }],
        else_result: Some(away(value)),
    })
}

fn refused(message: String) -> Error {
    Error::Standard {
        sqlstate: "42P20",
        message,
        hint: "Write the window out where it is used: OVER (PARTITION BY ... ORDER BY ...).".into(),
    }
}
