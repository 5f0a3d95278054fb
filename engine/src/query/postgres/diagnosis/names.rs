//! Names of columns, relations and functions that are not there.
//!
//! What is suggested is what the session can see: relations of its snapshot, columns that the statement may name, functions.

use std::ops::ControlFlow;

use datafusion::common::Column;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Spanned,
    Statement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span as TextSpan;

use super::Fault;
use super::calls::last_name;
use super::located::expressions;
use crate::analytics::ROW;
use crate::error::Error;
use crate::query::postgres::facts::SessionFacts;
use crate::query::postgres::rewrite::normal;
use crate::query::postgres::types::RANGE_TYPES;

/// Columns that a hint names at most.
const NAMES_MAX: usize = 12;

/// What a function is called elsewhere, or where one can be called, and what stands for it here.
const ELSEWHERE: [(&str, &str); 26] = [
    ("nvl", "Use coalesce(a, b)."),
    ("ifnull", "Use coalesce(a, b)."),
    ("isnull", "Use coalesce(a, b), or value IS NULL."),
    ("if", "Use CASE WHEN condition THEN a ELSE b END."),
    ("iif", "Use CASE WHEN condition THEN a ELSE b END."),
    ("decode", "Use CASE value WHEN a THEN b END."),
    ("dateadd", "Add an interval: created_at + interval '1 day'."),
    ("date_add", "Add an interval: created_at + interval '1 day'."),
    ("date_sub", "Subtract an interval: created_at - interval '1 day'."),
    ("datediff", "Subtract one from the other: a::date - b::date is a number of days."),
    ("date_diff", "Subtract one from the other: a::date - b::date is a number of days."),
    ("timestampdiff", "Subtract one from the other: a - b is an interval."),
    ("datepart", "Use extract(field FROM value)."),
    ("year", "Use extract(year FROM value)."),
    ("month", "Use extract(month FROM value)."),
    ("day", "Use extract(day FROM value)."),
    ("getdate", "Use now()."),
    ("sysdate", "Use now()."),
    ("curdate", "Use current_date."),
    ("len", "Use length(value)."),
    ("charindex", "Use strpos(value, part)."),
    ("instr", "Use strpos(value, part)."),
    ("group_concat", "Use string_agg(value, ',')."),
    ("listagg", "Use string_agg(value, ',')."),
    ("countif", "Use count(*) FILTER (WHERE condition)."),
    ("safe_cast", "Use CAST(value AS type)."),
];

/// The answer to a name that means two columns.
pub(in crate::query::postgres) fn ambiguous(name: &Ident) -> Error {
    let message = format!("column reference \"{}\" is ambiguous", normal(name));
    let hint = "Give one of the columns another name where they are selected: AS another_name.";
    Fault::new("42702", message, hint).at(name.span)
}

/// The answer to a name that columns of several relations have.
pub(crate) fn ambiguous_column(name: &Ident) -> Error {
    let message = format!("column reference \"{}\" is ambiguous", normal(name));
    Fault::new("42702", message, "Write it with its relation: relation.column.").at(name.span)
}

/// A column that is not there, or of a relation that is not there.
pub(super) fn column(
    field: &Column,
    valid: &[Column],
    statement: &Statement,
) -> (Fault, Option<TextSpan>) {
    let span = column_span(statement, field);
    let relation = field.relation.as_ref().map(|relation| relation.table().to_owned());
    if let Some(relation) = &relation
        && !valid.iter().any(|c| c.relation.as_ref().is_some_and(|r| r.table() == relation))
    {
        return (missing_relation(relation, statement), span);
    }
    let shown = match &relation {
        Some(relation) => format!("{relation}.{}", field.name),
        None => format!("\"{}\"", field.name),
    };
    let fault = Fault::new("42703", format!("column {shown} does not exist"), "");
    let hint = column_hint(field, valid, statement);
    (Fault { hint, ..fault }, span)
}

fn column_hint(field: &Column, valid: &[Column], statement: &Statement) -> String {
    // What a statement finds rows by is nobody's to name.
    let names = valid.iter().map(|column| column.name.as_str());
    let mut names: Vec<&str> =
        names.filter(|name| *name != ROW && !name.starts_with('\u{1}')).collect();
    if let Some(near) = crate::nearest(&field.name, names.iter().copied()) {
        return format!("Did you mean \"{near}\"?");
    }
    let quoted = expressions(statement, |expr| match expr {
        Expr::Identifier(ident) if ident.value == field.name => ident.quote_style,
        _ => None,
    });
    if !quoted.is_empty() {
        return "Double quotes are for names; texts stand in single quotes.".to_owned();
    }
    if is_alias(statement, &field.name) {
        return "It is the name of a result column: repeat its expression here, or select from a subquery.".to_owned();
    }
    names.dedup();
    match names.as_slice() {
        [] => "No relation of FROM has it: \\d name lists the columns of a relation.".to_owned(),
        all if all.len() <= NAMES_MAX => format!("The columns are {}.", all.join(", ")),
        _ => "\\d name, or information_schema.columns, lists the columns of a relation.".to_owned(),
    }
}

fn is_alias(statement: &Statement, name: &str) -> bool {
    struct Aliases<'a>(&'a str);
    impl Visitor for Aliases<'_> {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let found = select.projection.iter().any(|item| {
                matches!(item, SelectItem::ExprWithAlias { alias, .. } if normal(alias) == self.0)
            });
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Aliases(name)).is_break()
}

/// Where a column is named; the first place, since parts are planned in order.
fn column_span(statement: &Statement, field: &Column) -> Option<TextSpan> {
    let found = expressions(statement, |expr| match (expr, &field.relation) {
        (Expr::Identifier(ident), None) if normal(ident) == field.name => Some(ident.span),
        (Expr::CompoundIdentifier(parts), Some(relation)) => {
            let last = parts.last().is_some_and(|ident| normal(ident) == field.name);
            let before = parts.len().checked_sub(2).and_then(|at| parts.get(at));
            let relation = before.is_some_and(|ident| normal(ident) == relation.table());
            (last && relation).then(|| expr.span())
        }
        _ => None,
    });
    found.into_iter().next()
}

/// A relation that a column or a star names and that is not in `FROM` here.
pub(super) fn missing_relation(name: &str, statement: &Statement) -> Fault {
    let mut entries = Entries::default();
    let _ = statement.visit(&mut entries);
    if let Some((_, alias)) = entries.renamed.iter().find(|(relation, _)| relation == name) {
        let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
        let hint = format!("Perhaps you meant to reference the table alias \"{alias}\".");
        return Fault::new("42P01", message, hint);
    }
    if entries.names.iter().any(|entry| entry == name) {
        let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
        let hint = format!(
            "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
        );
        return Fault::new("42P01", message, hint);
    }
    let hint = match crate::nearest(name, entries.names.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None if entries.names.is_empty() => "Name the relation in FROM.".to_owned(),
        None => format!("Relations of FROM here: {}.", entries.names.join(", ")),
    };
    Fault::new("42P01", format!("missing FROM-clause entry for table \"{name}\""), hint)
}

/// What the relations of `FROM` are called, everywhere in a statement.
#[derive(Default)]
struct Entries {
    names: Vec<String>,
    /// Relations that have another name, and this name.
    renamed: Vec<(String, String)>,
}

impl Visitor for Entries {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, alias: Some(alias), .. } => {
                self.renamed.push((last_name(name), normal(&alias.name)));
                self.names.push(normal(&alias.name));
            }
            TableFactor::Table { name, alias: None, .. } => self.names.push(last_name(name)),
            TableFactor::Derived { alias: Some(alias), .. } => self.names.push(normal(&alias.name)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Where the star of a relation stands.
pub(super) fn star_span(statement: &Statement, name: &str) -> Option<TextSpan> {
    struct Stars<'a>(&'a str);
    impl Visitor for Stars<'_> {
        type Break = TextSpan;

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<TextSpan> {
            for item in &select.projection {
                if let SelectItem::QualifiedWildcard(kind, _) = item
                    && let SelectItemQualifiedWildcardKind::ObjectName(relation) = kind
                    && last_name(relation) == self.0
                {
                    return ControlFlow::Break(kind.span());
                }
            }
            ControlFlow::Continue(())
        }
    }
    match statement.visit(&mut Stars(name)) {
        ControlFlow::Break(span) => Some(span),
        ControlFlow::Continue(()) => None,
    }
}

/// A relation that is not there, as the planner names it.
pub(super) fn relation(
    full: &str,
    statement: &Statement,
    facts: &SessionFacts,
) -> (Fault, Option<TextSpan>) {
    // Catalog, schema and name; the catalog is always the same, and the schema mostly.
    let name = match full.matches('.').count() {
        2 => full.split_once('.').map_or(full, |(_, rest)| rest),
        _ => full,
    };
    let name = name.strip_prefix("public.").unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    let mut found = Relations { last, span: None, itself: false };
    let _ = statement.visit(&mut found);
    let snapshot = facts.snapshot();
    let seen = snapshot.relations.iter().map(|numbered| &numbered.relation);
    let path = facts.search_path();
    let mut names: Vec<String> = Vec::new();
    for relation in seen {
        if path.contains(&relation.schema) {
            names.push(relation.name.clone());
        }
        names.push(format!("{}.{}", relation.schema, relation.name));
    }
    let elsewhere = names.iter().find(|candidate| candidate.rsplit('.').next() == Some(last));
    let hint = if found.itself {
        "Use WITH RECURSIVE for a query that names itself, or put the queries into another order."
            .to_owned()
    } else if let Some(near) = crate::nearest(name, names.iter().map(String::as_str)) {
        format!("Did you mean \"{near}\"?")
    } else if let Some(other) = elsewhere {
        format!("Did you mean \"{other}\"?")
    } else {
        "\\d or information_schema.tables lists the relations that you can read.".to_owned()
    };
    (Fault::new("42P01", format!("relation \"{name}\" does not exist"), hint), found.span)
}

/// Where a relation is named, and whether a common table expression has the name.
struct Relations<'a> {
    last: &'a str,
    span: Option<TextSpan>,
    itself: bool,
}

impl Visitor for Relations<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.itself |= tables.into_iter().any(|table| normal(&table.alias.name) == self.last);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        if self.span.is_none() && last_name(name) == self.last {
            self.span = Some(name.span());
        }
        ControlFlow::Continue(())
    }
}

/// Functions of ranges besides those that are called like their types.
const OF_RANGES: [&str; 9] = [
    "isempty",
    "lower_inc",
    "lower_inf",
    "multirange",
    "range_agg",
    "range_intersect_agg",
    "range_merge",
    "upper_inc",
    "upper_inf",
];

/// A function that is not there.
pub(super) fn function(name: &str, call: &str, near: Option<&str>) -> Fault {
    if RANGE_TYPES.contains(&name) || OF_RANGES.contains(&name) {
        let hint =
            "Keep both ends in columns of their own, and compare them: low <= x AND x < high.";
        return Fault::new("0A000", format!("function {call} is not supported"), hint);
    }
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name);
    let hint = match (elsewhere, near) {
        (Some((_, hint)), _) => (*hint).to_owned(),
        (None, Some(near)) => format!("Did you mean \"{near}\"?"),
        (None, None) => "SELECT proname FROM pg_proc lists the functions there are.".to_owned(),
    };
    Fault::new("42883", format!("function {call} does not exist"), hint)
}
