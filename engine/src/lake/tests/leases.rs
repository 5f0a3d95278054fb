//! Leases and numbered documents.

use super::*;
use crate::Error;

async fn assert_refused(lake: &Lake, owner: &str) {
    match lake.acquire_lease("late").await {
        Err(Error::Conflict { message, .. }) => {
            assert!(message.contains(owner) && message.contains("since"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_local_lake_has_one_writer() {
    let directory = tempfile::tempdir().unwrap();
    let (lake, second) = (local_lake(directory.path()).await, local_lake(directory.path()).await);
    let lease = lake.acquire_lease("alpha, process 17").await.unwrap();
    lease.check().await.unwrap();
    assert_refused(&second, "alpha, process 17").await;
    // What a writer had staged when it died is cleared away by the next one.
    let staged = directory.path().join("part-1.parquet#123");
    std::fs::write(&staged, "half a file").unwrap();
    // The kernel drops the lock of a process that dies as dropping the file does.
    let epoch = lease.epoch();
    drop(lease);
    let lease = second.acquire_lease("beta, process 18").await.unwrap();
    assert!(lease.epoch() > epoch);
    assert!(!staged.try_exists().unwrap());
    assert_refused(&lake, "beta, process 18").await;
    lease.check().await.unwrap();
    lease.release().await.unwrap();
    lake.acquire_lease("gamma").await.unwrap();
}

#[tokio::test]
async fn a_remote_lake_has_one_writer_until_its_lease_expires() {
    let (store, time): (Arc<InMemory>, _) = (Arc::new(InMemory::new()), clock());
    let lake = Lake::with_store(store.clone(), time.clone());
    let second = Lake::with_store(store, time.clone());
    let lease = lake.acquire_lease("alpha").await.unwrap();
    assert_refused(&second, "alpha").await;
    // It is renewed as long as its holder lives.
    for _ in 0..10 {
        time.advance_us(8_000_000);
        lease.renew_now().await;
    }
    lease.check().await.unwrap();
    assert_refused(&second, "alpha").await;
    // A holder that was suspended finds out before it publishes.
    time.advance_us(60_000_000);
    let taken = second.acquire_lease("beta").await.unwrap();
    assert!(taken.epoch() > lease.epoch());
    assert!(matches!(lease.check().await, Err(Error::Conflict { .. })));
    taken.check().await.unwrap();
    lease.release().await.unwrap();
    taken.check().await.unwrap();
    assert_refused(&lake, "beta").await;
    taken.release().await.unwrap();
    lake.acquire_lease("gamma").await.unwrap();
}

#[tokio::test]
async fn a_holder_takes_over_nobody_elses_commits() {
    let (store, time): (Arc<InMemory>, _) = (Arc::new(InMemory::new()), clock());
    let lake = Lake::with_store(store.clone(), time.clone());
    let _lease = lake.acquire_lease("alpha").await.unwrap();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    append(&table, 0..5).await;
    let replaced = Lake::with_store(store, time.clone()).open_table(PATH).await.unwrap();
    append(&replaced, 5..9).await;
    let files = write(&table, 9..10).await;
    let refused = table.commit(Commit::append(files)).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert_eq!(table.take_back(1).await.unwrap().rows(), 5);
    assert_eq!(append(&table, 9..10).await.rows(), 6);
    // Who was cut off for longer than its lease is good for commits nothing.
    time.advance_us(60_000_000);
    let late = table.commit(Commit::append(write(&table, 10..11).await)).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
}

/// What it takes for an orphan may be what the new holder is about to commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_replaced_deletes_nothing() {
    let (store, time): (Arc<InMemory>, _) = (Arc::new(InMemory::new()), clock());
    let lake = Lake::with_store(store.clone(), time.clone());
    let _lease = lake.acquire_lease("alpha").await.unwrap();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    append(&table, 0..5).await;
    append(&table, 5..6).await;
    table.checkpoint().await.unwrap();
    time.advance_us(60_000_000);
    let second = Lake::with_store(store.clone(), time.clone());
    let _taken = second.acquire_lease("beta").await.unwrap();
    let replaced = second.open_table(PATH).await.unwrap();
    let waiting = write(&replaced, 6..9).await;
    let objects = async || -> Vec<ObjectMeta> { store.list(None).try_collect().await.unwrap() };
    let before = objects().await;
    let late = table.vacuum(std::time::Duration::ZERO).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
    let late = table.clean_log(std::time::Duration::ZERO).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
    assert_eq!(objects().await, before);
    assert_eq!(replaced.commit(Commit::append(waiting)).await.unwrap().rows(), 9);
    assert_eq!(replaced.clean_log(std::time::Duration::ZERO).await.unwrap(), 2);
}

#[tokio::test]
async fn who_gave_the_lake_back_commits_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let lake = local_lake(directory.path()).await;
    let lease = lake.acquire_lease("alpha").await.unwrap();
    let table = lake.create_table(PATH, schema()).await.unwrap();
    append(&table, 0..5).await;
    lease.release().await.unwrap();
    let late = table.commit(Commit::append(write(&table, 5..6).await)).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
}

#[tokio::test]
async fn documents_are_created_once() {
    let directory = tempfile::tempdir().unwrap();
    for lake in [memory_lake(), local_lake(directory.path()).await] {
        assert_eq!(lake.latest_document("_catalog").await.unwrap(), None);
        for number in 0..12 {
            let bytes = Bytes::from(format!("{{\"n\":{number}}}"));
            assert_eq!(
                lake.create_document("_catalog", number, bytes.clone()).await.unwrap(),
                Created::Yes
            );
            assert_eq!(
                lake.create_document("_catalog", number, bytes).await.unwrap(),
                Created::Yes
            );
        }
        let refused = lake.create_document("_catalog", 11, "other".into()).await.unwrap();
        assert_eq!(refused, Created::AlreadyExists);
        lake.prune_documents("_catalog", 3).await.unwrap();
        let (number, bytes) = lake.latest_document("_catalog").await.unwrap().unwrap();
        assert_eq!((number, &bytes[..]), (11, &b"{\"n\":11}"[..]));
        assert_eq!(lake.document("_catalog", 8).await.unwrap(), None);
        assert!(lake.document("_catalog", 9).await.unwrap().is_some());
        lake.prune_documents("_catalog", 0).await.unwrap();
        assert!(lake.latest_document("_catalog").await.unwrap().is_some());
    }
}
