//! The columns that relations have without listing them: `tableoid` of all, and `xmin` of the relations of the catalog, by
//! which DataGrip and its kin learn what changed since they last looked. Every row of a relation has the same.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, ObjectName, Select, SelectItem, TableFactor, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};

use super::columns::unique;
use super::relations::cast;
use super::{normal, parts};
use crate::query::postgres::catalog::{Definition, definition};
use crate::query::postgres::facts::SessionFacts;

/// The columns of the catalog that hold numbers of transactions.
const TRANSACTIONS: [&str; 7] = [
    "xmin",
    "xmax",
    "relfrozenxid",
    "datfrozenxid",
    "backend_xid",
    "backend_xmin",
    "transactionid",
];

/// Replaces the columns by what they are.
pub(super) fn replace(select: &mut Select, facts: &SessionFacts) {
    if Visit::visit(&*select, &mut Mentions).is_continue() {
        return;
    }
    let mut relations = Vec::new();
    let snapshot = facts.snapshot();
    let factors = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation))
    });
    for factor in factors {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { continue };
        let names = parts(name);
        let (known, oid) = match names.as_slice() {
            [.., schema, table] => {
                let known = definition(schema, table);
                let own = || snapshot.named(schema, table).map(|relation| relation.oid);
                (known, known.map(|known| known.oid).or_else(own))
            }
            [table] => {
                let known = definition("pg_catalog", table);
                let named = |schema: String| Some(snapshot.named(&schema, table)?.oid);
                let own = || facts.search_path().into_iter().find_map(named);
                (known, known.map(|known| known.oid).or_else(own))
            }
            [] => continue,
        };
        if let (Some(oid), Some(table)) = (oid, names.last()) {
            let name = alias.as_ref().map_or_else(|| table.clone(), |alias| normal(&alias.name));
            // One that lists such a column of its own means that one.
            let lists = |known: &Definition| known.columns.iter().any(|own| own.name == "xmin");
            let has_transaction = known.is_some_and(|known| !lists(known));
            relations.push(Relation { name, oid, has_transaction });
        }
    }
    if relations.is_empty() {
        return;
    }
    let changed_at = snapshot.changed_at(facts.started_at_us);
    let mut columns = Columns { relations, changed_at };
    let mut named = 0;
    for item in &mut select.projection {
        // What is shown has the name and the type of the column.
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some((column, value)) = columns.value(expr)
        {
            let (expr, alias) = (of_type(value, column), Ident::new(unique(column, named)));
            *item = SelectItem::ExprWithAlias { expr, alias };
            named += 1;
        }
    }
    let _ = VisitMut::visit(select, &mut columns);
}

/// Tells whether an expression is the number of a transaction, by its type or by the name of its column.
pub(super) fn is_transaction(expr: &Expr) -> bool {
    let column = match expr {
        Expr::Nested(inner) => return is_transaction(inner),
        Expr::Cast { data_type: DataType::Custom(name, _), .. } => {
            return parts(name).last().is_some_and(|name| name == "xid");
        }
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::Identifier(column) => Some(column),
        _ => None,
    };
    column.is_some_and(|column| TRANSACTIONS.contains(&normal(column).as_str()))
}

/// Breaks off at what is called like a system column.
struct Mentions;

impl Visitor for Mentions {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let column = match expr {
            Expr::Identifier(column) => Some(column),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        let is_one = |column: &Ident| {
            ["tableoid", "xmin"].iter().any(|name| column.value.eq_ignore_ascii_case(name))
        };
        match column.is_some_and(is_one) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// A relation by the name that its columns can be named with.
struct Relation {
    name: String,
    oid: u32,
    /// Whether it is one of the catalog, whose rows have an `xmin`.
    has_transaction: bool,
}

struct Columns {
    relations: Vec<Relation>,
    /// The number of the transaction that changed the catalog last.
    changed_at: u32,
}

impl Columns {
    /// The name and the value of a system column.
    fn value(&self, expr: &Expr) -> Option<(&'static str, u32)> {
        let (relation, column) = match expr {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., relation, column] => (Some(normal(relation)), normal(column)),
                _ => return None,
            },
            Expr::Identifier(column) => (None, normal(column)),
            _ => return None,
        };
        let relation = match (relation, self.relations.as_slice()) {
            (Some(name), relations) => relations.iter().find(|known| known.name == name)?,
            (None, [only]) => only,
            (None, _) => return None,
        };
        match column.as_str() {
            "tableoid" => Some(("tableoid", relation.oid)),
            "xmin" if relation.has_transaction => Some(("xmin", self.changed_at)),
            _ => None,
        }
    }
}

impl VisitorMut for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some((column, value)) = self.value(expr) {
            *expr = of_type(value, column);
        }
        ControlFlow::Continue(())
    }
}

fn of_type(value: u32, column: &str) -> Expr {
    let name = Ident::new(if column == "tableoid" { "oid" } else { "xid" });
    let text = Expr::Value(Value::SingleQuotedString(value.to_string()).into());
    cast(text, DataType::Custom(ObjectName::from(vec![name]), vec![]))
}
