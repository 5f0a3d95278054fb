//! `MERGE` as a query: the rows of the source, each with the row of the target that it meets, what is done with the two,
//! and the values for it.
//!
//! Like that of `UPDATE` the query is planned through the leaf that shows the rows of people who may be seen. A row of
//! somebody hidden meets nothing, and is not changed.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, CaseWhen, Expr, Ident, Join, JoinConstraint,
    JoinOperator, Merge, MergeAction, MergeClause, MergeClauseKind, MergeInsertKind, SelectItem,
    SetExpr, Statement, TableFactor, TableWithJoins, Value, visit_expressions,
    visit_expressions_mut,
};

use super::changes::{Target, pairs};
use super::defaults::Declared;
use super::rows::ROW;
use super::statement::{Write, parts, unsupported};
use crate::error::{Error, Result};
use crate::query::governed::PROFILE_ID;
use crate::query::postgres::{SessionFacts, refuse_unseen};
use crate::query::syntax::NOTHING;

/// The first columns of the query: the number of the row of the target, and which clause is followed.
pub(super) const ACTION: usize = 1;
/// Values begin at this column.
const VALUES: usize = 2;

/// What a clause of `MERGE` does. Values are columns of the query.
#[derive(Debug, Clone)]
pub(crate) enum MergeStep {
    /// `UPDATE SET column = value, ...`; if `profile_id` is among them, its value and the one that the row has. The columns
    /// `numbered` become the next number of their sequence.
    Update { assigned: Vec<(String, usize)>, numbered: Vec<String>, person: Option<(usize, usize)> },
    /// `DELETE`.
    Delete,
    /// `DO NOTHING`.
    Nothing,
    /// `INSERT [(columns)] VALUES (...)`.
    Insert { columns: Option<Vec<String>>, values: std::ops::Range<usize> },
}

/// Reads a `MERGE`.
pub(super) fn merge(merge: &Merge, facts: &SessionFacts) -> Result<Write> {
    if merge.output.is_some() {
        return Err(unsupported("RETURNING", "Read the rows with a SELECT afterwards."));
    }
    let table = TableWithJoins { relation: merge.table.clone(), joins: vec![] };
    let target = Target::of(&table, "MERGE", facts)?;
    refuse_unseen(merge, &[ROW], &[target.alias.value.as_str()])?;
    refuse_unreachable(&merge.clauses)?;
    let mut query = target.query(&[], None, None)?;
    let of_target = |column| Expr::CompoundIdentifier(vec![target.alias.clone(), column]);
    let row = || of_target(Ident::new(ROW));
    let person = of_target(Ident::new(PROFILE_ID));
    let mut chosen = Vec::with_capacity(merge.clauses.len());
    for (number, clause) in merge.clauses.iter().enumerate() {
        chosen.push(CaseWhen { condition: condition(clause, row())?, result: literal(number) });
    }
    let chosen = case(None, chosen);
    let source = source_name(&merge.source);
    let declared = Declared::shown(&target.name, facts)?;
    let mut values = Vec::new();
    let mut steps = Vec::with_capacity(merge.clauses.len());
    for (number, clause) in merge.clauses.iter().enumerate() {
        let mut add = |value: &Expr| {
            values.push(match value {
                // A column is there whatever is done.
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => value.clone(),
                _ => case(
                    Some(chosen.clone()),
                    vec![CaseWhen { condition: literal(number), result: value.clone() }],
                ),
            });
            VALUES + values.len() - 1
        };
        steps.push(step(clause, &person, source.as_ref(), &declared, &mut add)?);
    }
    let Statement::Query(query_of) = &mut query else { return Err(not_read()) };
    let SetExpr::Select(select) = query_of.body.as_mut() else { return Err(not_read()) };
    let Some(TableWithJoins { relation: target_table, .. }) = select.from.pop() else {
        return Err(not_read());
    };
    let met = JoinOperator::LeftOuter(JoinConstraint::On(merge.on.as_ref().clone()));
    let joins = vec![Join { relation: target_table, global: false, join_operator: met }];
    select.from = vec![TableWithJoins { relation: merge.source.clone(), joins }];
    let named = |(at, expr): (usize, Expr)| SelectItem::ExprWithAlias {
        expr,
        alias: Ident::new(format!("value_{at}")),
    };
    select.projection.extend(std::iter::once(chosen).chain(values).enumerate().map(named));
    Ok(Write::Merge { name: target.name, steps, query: Box::new(query) })
}

fn not_read() -> crate::Error {
    unsupported("this form of MERGE", "Use UPDATE and INSERT in one transaction.")
}

/// Fails if a clause is never followed, since one before it always is.
fn refuse_unreachable(clauses: &[MergeClause]) -> Result<()> {
    for (at, clause) in clauses.iter().enumerate() {
        let always = |before: &MergeClause| {
            before.predicate.is_none() && before.clause_kind == clause.clause_kind
        };
        if clauses[..at].iter().any(always) {
            return Err(Error::Standard {
                sqlstate: "42601",
                message: "unreachable WHEN clause specified after unconditional WHEN clause".into(),
                hint: "Give the clause before it a condition, or leave this one out.".into(),
            });
        }
    }
    Ok(())
}

/// Returns when a clause is followed, if none before it is.
fn condition(clause: &MergeClause, row: Expr) -> Result<Expr> {
    let row = Box::new(row);
    let meets = match clause.clause_kind {
        MergeClauseKind::Matched => Expr::IsNotNull(row),
        MergeClauseKind::NotMatched => Expr::IsNull(row),
        MergeClauseKind::NotMatchedByTarget | MergeClauseKind::NotMatchedBySource => {
            let hint = "Write WHEN MATCHED or WHEN NOT MATCHED; rows that the source lacks go with a DELETE in the same transaction.";
            return Err(unsupported(format!("WHEN {}", clause.clause_kind), hint));
        }
    };
    Ok(match &clause.predicate {
        None => meets,
        Some(predicate) => Expr::BinaryOp {
            left: Box::new(meets),
            op: BinaryOperator::And,
            right: Box::new(Expr::Nested(Box::new(predicate.clone()))),
        },
    })
}

/// Returns what the rows of the source go by.
fn source_name(source: &TableFactor) -> Option<Ident> {
    match source {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => name.0.last().and_then(|part| part.as_ident().cloned()),
        _ => None,
    }
}

/// Qualifies the names in a value of a new row: they are the source's alone. A query in it has names of its own.
fn of_source(mut value: Expr, source: Option<&Ident>) -> Expr {
    let Some(source) = source else { return value };
    let has_query = visit_expressions(&value, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if has_query.is_continue() {
        // The visitor never breaks off.
        let _: ControlFlow<()> = visit_expressions_mut(&mut value, |expr| {
            if let Expr::Identifier(name) = expr {
                *expr = Expr::CompoundIdentifier(vec![source.clone(), name.clone()]);
            }
            ControlFlow::Continue(())
        });
    }
    value
}

/// Reads what a clause does; `person` is whose the row of the target is, `source` is what the rows of the source go by,
/// `declared` are the defaults of the target, and `add` adds a value to the query and returns its column.
fn step(
    clause: &MergeClause,
    person: &Expr,
    source: Option<&Ident>,
    declared: &Declared,
    add: &mut impl FnMut(&Expr) -> usize,
) -> Result<MergeStep> {
    if does_nothing(&clause.action) {
        return Ok(MergeStep::Nothing);
    }
    match &clause.action {
        MergeAction::Delete { .. } => Ok(MergeStep::Delete),
        MergeAction::Update(update) => {
            if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                return Err(unsupported("WHERE of UPDATE in MERGE", "Write WHEN MATCHED AND ..."));
            }
            if !declared.followers().are_none() {
                let what = "UPDATE in MERGE of a table with generated columns";
                return Err(unsupported(what, "Use UPDATE ... FROM in the same transaction."));
            }
            let mut assigned = Vec::with_capacity(update.assignments.len());
            let mut numbered: Vec<String> = vec![];
            let mut whose = None;
            for (column, value) in pairs(&update.assignments)? {
                let column = parts(column).pop().unwrap_or_default();
                numbered.extend(declared.is_numbered_by(&column, &value).then(|| column.clone()));
                let value = declared.value(&column, &value);
                if column == PROFILE_ID {
                    whose = Some((add(&value), add(person)));
                    continue;
                }
                assigned.push((column, add(&value)));
            }
            Ok(MergeStep::Update { assigned, numbered, person: whose })
        }
        MergeAction::Insert(insert) => {
            if insert.insert_predicate.is_some() {
                let hint = "Write WHEN NOT MATCHED AND ...";
                return Err(unsupported("WHERE of INSERT in MERGE", hint));
            }
            let MergeInsertKind::Values(rows) = &insert.kind else {
                return Err(unsupported("INSERT ROW", "Write INSERT (columns) VALUES (...)."));
            };
            let [row] = rows.rows.as_slice() else {
                return Err(unsupported("INSERT of several rows in MERGE", "Write one row."));
            };
            let names = insert.columns.iter().filter_map(|column| parts(column).pop());
            let columns: Vec<String> = names.collect();
            let mut places = Vec::with_capacity(row.content.len());
            let (mut given, mut is_short): (Vec<String>, bool) = (vec![], false);
            for (at, value) in row.content.iter().enumerate() {
                let column = match columns.is_empty() {
                    true => declared.name_at(at),
                    false => columns.get(at).map(String::as_str),
                };
                // It is numbered as any that is left out.
                if column.is_some_and(|column| declared.is_numbered_by(column, value)) {
                    is_short = true;
                    continue;
                }
                given.extend(column.map(str::to_owned));
                let value = declared.value(column.unwrap_or_default(), value);
                places.push(add(&of_source(value, source)));
            }
            let first = places.first().copied().unwrap_or(VALUES);
            let columns = match is_short {
                true => {
                    // Names without a value are refused all the same.
                    given.extend(columns.into_iter().skip(row.content.len()));
                    Some(given)
                }
                false => (!columns.is_empty()).then_some(columns),
            };
            Ok(MergeStep::Insert { columns, values: first..first + places.len() })
        }
    }
}

/// Tells whether an action is what `DO NOTHING` is read as.
fn does_nothing(action: &MergeAction) -> bool {
    let column = match action {
        MergeAction::Update(update) => match update.assignments.first() {
            Some(Assignment { target: AssignmentTarget::ColumnName(column), .. }) => Some(column),
            _ => None,
        },
        MergeAction::Insert(insert) => insert.columns.first(),
        MergeAction::Delete { .. } => None,
    };
    column.is_some_and(|column| parts(column) == [NOTHING])
}

fn case(operand: Option<Expr>, conditions: Vec<CaseWhen>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: operand.map(Box::new),
        conditions,
        else_result: None,
    }
}

fn literal(number: usize) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).into())
}
