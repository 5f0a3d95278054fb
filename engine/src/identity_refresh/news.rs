//! Whether there is anything new for the graph, before anything is done for it.
//!
//! A row of a record that changed in what says nothing of its person is written anew with the subject that it had. Then the
//! subjects that stand are the same, and the graph is, too: what that costs grows with the files that were written, not with
//! the people.

use std::collections::BTreeSet;

use super::inputs::expires;
use super::standing::{Standing, record_tables};
use super::{IDENTITY, Memory};
use crate::catalog::{Catalog, Change, Coverage, IdentityGraph, Published};

/// Tells whether the graph of `covered` is that of `now`, with rows that were written anew or without. Of those `change` then
/// takes note, so that they are not looked at again.
pub(super) async fn is_current(
    published: &Published,
    graph: &IdentityGraph,
    (covered, now): (&Coverage, &Coverage),
    memory: &mut Option<Memory>,
    catalog: &Catalog,
    change: &mut Change,
) -> bool {
    if covered.inputs == now.inputs {
        return true;
    }
    let Some(tables) = other_rows(published, graph, covered, now) else { return false };
    let mut unread = Standing::default();
    let standing = memory.as_mut().map_or(&mut unread, |memory| &mut memory.standing);
    let is_same = standing.is_as_covered(catalog.lake(), published, covered, &tables).await;
    if is_same {
        let now = now.clone();
        change.edit(move |state| {
            state.coverage.insert(IDENTITY.to_owned(), now);
            Ok(())
        });
    }
    is_same
}

/// Returns the tables of current rows that are others than at `covered`, if nothing else is by which the graph is made. Where
/// identifiers expire, rows say more than which subjects stand.
fn other_rows(
    published: &Published,
    graph: &IdentityGraph,
    covered: &Coverage,
    now: &Coverage,
) -> Option<Vec<String>> {
    if expires(graph) {
        return None;
    }
    let inputs: BTreeSet<&String> = covered.inputs.keys().chain(now.inputs.keys()).collect();
    let is_other = |input: &&String| covered.inputs.get(*input) != now.inputs.get(*input);
    let others: Vec<String> = inputs.into_iter().filter(is_other).cloned().collect();
    let tables: BTreeSet<String> = record_tables(published).collect();
    others.iter().all(|input| tables.contains(input)).then_some(others)
}
