//! What is published after failures: commits that came to nothing, answers that were lost, clean-ups that failed.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::*;
use crate::lake::tests::{Fault, WatchedStore, append, clock, schema};

const PATH: &str = "sources/crm_contacts";

async fn open(store: &Arc<WatchedStore>) -> Catalog {
    let lake = Lake::with_store(Arc::clone(store) as _, clock());
    let lease = lake.acquire_lease("a test").await.unwrap();
    Catalog::open(lake, Some(lease), clock()).await.unwrap()
}

/// Commits rows with these numbers and publishes them.
async fn add(catalog: &Catalog, ids: Range<i64>) -> Result<Arc<Published>> {
    let table = catalog.table(PATH, schema).await?;
    let mut change = Change::default();
    change.table(&table, append(&table, ids).await);
    catalog.publish(change).await
}

fn rows(catalog: &Catalog) -> u64 {
    catalog.current().table(PATH).unwrap().rows()
}

#[tokio::test]
async fn what_was_never_published_is_taken_back() {
    let store = Arc::new(WatchedStore::default());
    let catalog = open(&store).await;
    // A first commit that comes to nothing, and one to a table that is published.
    let table = catalog.table(PATH, schema).await.unwrap();
    append(&table, 0..7).await;
    add(&catalog, 0..5).await.unwrap();
    assert_eq!(rows(&catalog), 5);
    append(&table, 5..9).await;
    add(&catalog, 9..10).await.unwrap();
    assert_eq!(rows(&catalog), 6);
    catalog.release().await.unwrap();
    assert_eq!(rows(&open(&store).await), 6);
}

#[tokio::test]
async fn a_publication_that_seems_to_fail_counts_when_it_was_made() {
    let store = Arc::new(WatchedStore::default());
    let catalog = open(&store).await;
    *store.fault.lock() = Some(("_catalog", Fault::AnswerLost));
    add(&catalog, 0..5).await.unwrap();
    assert_eq!(rows(&catalog), 5);
    // Nobody can tell at first.
    *store.fault.lock() = Some(("_catalog", Fault::AnswerLost));
    *store.unreadable.lock() = Some("_catalog");
    assert!(matches!(add(&catalog, 5..9).await, Err(Error::Unavailable { .. })));
    assert_eq!(rows(&catalog), 5);
    *store.unreadable.lock() = None;
    assert!(catalog.settle().await.unwrap(), "it was made");
    assert_eq!(rows(&catalog), 9);
    add(&catalog, 9..10).await.unwrap();
    assert_eq!(rows(&catalog), 10);
}

#[tokio::test]
async fn a_publication_that_failed_is_made_by_the_next_attempt() {
    let store = Arc::new(WatchedStore::default());
    let catalog = open(&store).await;
    add(&catalog, 0..5).await.unwrap();
    *store.fault.lock() = Some(("_catalog", Fault::Refused));
    assert!(matches!(add(&catalog, 5..9).await, Err(Error::Unavailable { .. })));
    assert!(!catalog.settle().await.unwrap(), "it was not made");
    add(&catalog, 5..9).await.unwrap();
    assert_eq!(rows(&catalog), 9);
}

#[tokio::test]
async fn old_documents_that_stay_fail_no_publication() {
    let store = Arc::new(WatchedStore::default());
    let catalog = open(&store).await;
    store.deny_deletes.store(true, Ordering::SeqCst);
    for _ in 0..DOCUMENTS_KEPT as u64 + 2 * PRUNE_EVERY {
        catalog.publish(Change::default()).await.unwrap();
    }
}

#[tokio::test]
async fn two_first_users_of_a_table_share_it() {
    let store = Arc::new(WatchedStore::default());
    let catalog = open(&store).await;
    let (one, other) = tokio::join!(catalog.table(PATH, schema), catalog.table(PATH, schema));
    append(&one.unwrap(), 0..5).await;
    assert_eq!(append(&other.unwrap(), 5..9).await.rows(), 9);
}

#[tokio::test]
async fn a_dropped_table_is_remembered_until_its_name_is_used_again() {
    let store = Arc::new(WatchedStore::default());
    let catalog = open(&store).await;
    add(&catalog, 0..5).await.unwrap();
    let mut change = Change::default();
    change.drop_table(PATH);
    let published = catalog.publish(change).await.unwrap();
    assert!(published.state.dropped.contains_key(PATH));
    let published = add(&catalog, 5..6).await.unwrap();
    assert!(published.state.dropped.is_empty());
    assert_eq!(rows(&catalog), 1);
}
