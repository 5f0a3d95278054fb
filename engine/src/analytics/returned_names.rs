//! Names behind `RETURNING` of an `UPDATE` or a `DELETE` that reads other relations: `*` is the columns of the table and those
//! of the others behind them, and a name without its relation may be a column of any of them.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
};

use super::returning::Returning;
use super::statement::{Write, normal, parts, unsupported};
use super::write::Seen;
use crate::error::{Error, Result};
use crate::query::postgres::{ambiguous_column, column_name};
use crate::query::session::QuerySession;

/// Tells whether an item has a name without its relation, outside of its queries.
pub(super) fn has_bare_name(item: &SelectItem) -> bool {
    Visit::visit(item, &mut BareNames { depth: 0 }).is_break()
}

struct BareNames {
    /// How many queries within the item are open: names there may mean something else.
    depth: usize,
}

impl Visitor for BareNames {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(_) if self.depth == 0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The columns that a statement may name.
struct Columns {
    /// Each with its relation, those of the table that changes first.
    all: Vec<(String, String)>,
    /// Whether others have columns that no name leads to.
    hidden: bool,
}

impl Columns {
    /// Writes each item of a list out with its relation.
    fn write_out(&self, list: Vec<SelectItem>) -> Result<Vec<SelectItem>> {
        let mut written = Vec::with_capacity(list.len());
        for mut item in list {
            match &item {
                SelectItem::Wildcard(_) if self.hidden => {
                    let hint = "Name the columns, those of the table that changes and of others.";
                    return Err(unsupported("\"*\" in RETURNING beside such a relation", hint));
                }
                SelectItem::Wildcard(_) => {
                    written.extend(self.all.iter().map(|(relation, name)| named(relation, name)));
                    continue;
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(relation),
                    _,
                ) => {
                    let relation = parts(relation).pop().unwrap_or_default();
                    let own = self.all.iter().filter(|(of, _)| *of == relation);
                    let own: Vec<SelectItem> = own.map(|(of, name)| named(of, name)).collect();
                    if own.is_empty() {
                        return Err(no_relation(&relation));
                    }
                    written.extend(own);
                    continue;
                }
                _ => {}
            }
            let mut relations = Relations { of: self, depth: 0 };
            if let ControlFlow::Break(error) = VisitMut::visit(&mut item, &mut relations) {
                return Err(error);
            }
            written.push(item);
        }
        Ok(written)
    }

    fn has_relation(&self, name: &Ident) -> bool {
        let wanted = normal(name);
        self.all.iter().any(|(relation, _)| *relation == wanted)
    }

    /// Returns the one column of a name with its relation; `None` if there is none.
    fn find(&self, name: &Ident) -> Result<Option<Expr>> {
        let wanted = normal(name);
        let mut found = self.all.iter().filter(|(_, known)| column_name(known) == wanted);
        match (found.next(), found.next()) {
            (Some((relation, known)), None) => Ok(Some(column(relation, known))),
            (Some(_), Some(_)) => Err(ambiguous_column(name)),
            (None, _) => Ok(None),
        }
    }
}

/// Gives names their relations.
struct Relations<'a> {
    of: &'a Columns,
    /// How many queries within the item are open.
    depth: usize,
}

impl VisitorMut for Relations<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::CompoundFieldAccess { root, access_chain } = expr {
            // In `t.column[1]` it is the relation of a column.
            if let Expr::Identifier(relation) = root.as_ref()
                && self.of.has_relation(relation)
                && let Some(AccessExpr::Dot(Expr::Identifier(column))) = access_chain.first()
            {
                **root = Expr::CompoundIdentifier(vec![relation.clone(), column.clone()]);
                access_chain.remove(0);
            }
            // In `(record).name` it is that of a field.
            for field in fields(access_chain) {
                if let Expr::Identifier(name) = field {
                    *field = Expr::CompoundIdentifier(vec![name.clone()]);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            for field in fields(access_chain) {
                if let Expr::CompoundIdentifier(parts) = field
                    && let [name] = parts.as_slice()
                {
                    *field = Expr::Identifier(name.clone());
                }
            }
        }
        if let Expr::Identifier(name) = &*expr
            && self.depth == 0
        {
            match self.of.find(name) {
                Ok(Some(found)) => *expr = found,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

/// The fields that are taken of a value.
fn fields(accesses: &mut [AccessExpr]) -> impl Iterator<Item = &mut Expr> {
    accesses.iter_mut().filter_map(|access| match access {
        AccessExpr::Dot(field) => Some(field),
        AccessExpr::Subscript(_) => None,
    })
}

fn column(relation: &str, name: &str) -> Expr {
    Expr::CompoundIdentifier([relation, name].map(|part| Ident::with_quote('"', part)).to_vec())
}

fn named(relation: &str, name: &str) -> SelectItem {
    SelectItem::UnnamedExpr(column(relation, name))
}

fn no_relation(name: &str) -> Error {
    Error::Standard {
        sqlstate: "42P01",
        message: format!("missing FROM-clause entry for table \"{name}\""),
        hint: "Name the table that changes, or a relation of FROM or USING.".into(),
    }
}

/// Returns a query with all columns of its relations.
fn all_columns(query: &Statement) -> Statement {
    let mut query = query.clone();
    if let Statement::Query(query) = &mut query
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    }
    query
}

impl QuerySession {
    /// Finds out whose columns the names are that a statement gives back, if it does not say so itself.
    pub(super) async fn name_returned(
        &self,
        seen: &Seen,
        write: &mut Write,
        types: &[Option<DataType>],
    ) -> Result<()> {
        let Write::Change { name, alias, verb, returning: Some(returning), query, .. } = write
        else {
            return Ok(());
        };
        let Some(list) = returning.open.take() else { return Ok(()) };
        let (_, table) = seen.table(name, verb)?;
        let own = seen.columns(table).into_iter();
        let mut all: Vec<(String, String)> =
            own.map(|column| (alias.value.clone(), column.name().clone())).collect();
        let mut hidden = false;
        let context = self.context_of_change(seen, name)?;
        let planned = self.plan_with(&seen.live, &context, &all_columns(query), types).await?;
        for (relation, field) in planned.plan().schema().iter() {
            match relation.map(|relation| relation.table()) {
                Some(relation) if relation == alias.value => {}
                Some(relation) => all.push((relation.to_owned(), field.name().clone())),
                None => hidden = true,
            }
        }
        let list = Columns { all, hidden }.write_out(list)?;
        *returning = Returning::of_list(&list, &alias.value, true)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::planner::parse_one;

    /// Writes a list out where `t` changes and `o` is read.
    fn written(list: &str) -> String {
        let columns = [("t", "id"), ("t", "n"), ("o", "id"), ("o", "note")];
        let all = columns.map(|(relation, name)| (relation.to_owned(), name.to_owned())).to_vec();
        let Statement::Query(query) = parse_one(&format!("SELECT {list}")).unwrap() else {
            panic!("{list}")
        };
        let SetExpr::Select(select) = *query.body else { panic!("{list}") };
        match (Columns { all, hidden: false }).write_out(select.projection) {
            Ok(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Err(error) => error.sqlstate().to_owned(),
        }
    }

    #[test]
    fn names_get_their_relations() {
        for (list, expected) in [
            ("*", r#""t"."id", "t"."n", "o"."id", "o"."note""#),
            ("o.*, n + 1", r#""o"."id", "o"."note", "t"."n" + 1"#),
            ("upper(NOTE) AS note, t.id", r#"upper("o"."note") AS note, t.id"#),
            ("(SELECT id FROM x), absent", "(SELECT id FROM x), absent"),
            ("o.note[1], n[2]", r#"o.note[1], "t"."n"[2]"#),
            ("id", "42702"),
            ("x.*", "42P01"),
        ] {
            assert_eq!(written(list), expected);
        }
    }
}
