//! Tests of the lake: concurrency, crashes, privacy of the log, upkeep, leases.

mod commits;
mod leases;
mod privacy;
mod scans;
mod upkeep;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::prelude::SessionContext;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};

use super::*;
use crate::clock::ManualClock;

pub(super) const PATH: &str = "sources/crm_contacts";

/// Stores date their objects by the wall clock, so the tests start there too.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(chrono::Utc::now().timestamp_micros()))
}

pub(super) fn memory_lake() -> Lake {
    Lake::with_store(Arc::new(InMemory::new()), clock())
}

pub(super) async fn local_lake(directory: &std::path::Path) -> Lake {
    Lake::open(&LakeLocation::Directory(directory.to_owned()), clock()).await.unwrap()
}

/// A table of persons: `id` and `at` are system columns, `email` and `amount` are personal.
pub(crate) fn schema() -> TableSchema {
    let fields = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("email", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
    ]);
    TableSchema {
        stats_columns: vec!["id".into(), "at".into()],
        bloom_columns: vec!["email".into()],
        sort: vec!["id".into()],
        ..TableSchema::new(Arc::new(fields))
    }
}

pub(super) fn rows(ids: Range<i64>) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids.clone())),
        Arc::new(TimestampMicrosecondArray::from_iter_values(ids.clone().map(|id| id * 1_000_000))),
        Arc::new(StringArray::from_iter_values(
            ids.clone().map(|id| format!("person{id}@example.org")),
        )),
        Arc::new(
            Decimal128Array::from_iter_values(ids.map(i128::from))
                .with_precision_and_scale(12, 2)
                .unwrap(),
        ),
    ];
    RecordBatch::try_new(schema().fields, columns).unwrap()
}

pub(crate) async fn write(table: &Table, ids: Range<i64>) -> Vec<FileEntry> {
    write_files(table, vec![rows(ids)], &WriteOptions::default()).await.unwrap()
}

pub(crate) async fn append(table: &Table, ids: Range<i64>) -> Arc<TableSnapshot> {
    table.commit(Commit::append(write(table, ids).await)).await.unwrap()
}

/// Answers one number from a table named `t`.
pub(super) async fn ask(lake: &Lake, table: &Table, sql: &str) -> i64 {
    let session = SessionContext::new();
    lake.register(&session.runtime_env());
    session.register_table("t", Arc::new(LakeTable::new(table, table.snapshot()))).unwrap();
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    arrow::compute::cast(batches[0].column(0), &DataType::Int64)
        .unwrap()
        .as_any()
        .downcast_ref::<Int64Array>()
        .unwrap()
        .value(0)
}

/// A store that counts what is asked of it, and can lie about a write.
#[derive(Debug, Default)]
pub(crate) struct WatchedStore {
    pub(super) inner: InMemory,
    pub(super) calls: AtomicUsize,
    /// The next creation happens, and is then said to have been refused.
    pub(super) deny_next_create: AtomicBool,
    /// Refused creations are called failed preconditions.
    pub(super) says_precondition: AtomicBool,
    /// What becomes of the next write to an object that has this in its path.
    pub(crate) fault: Mutex<Option<(&'static str, Fault)>>,
    /// Objects that have this in their path cannot be read.
    pub(crate) unreadable: Mutex<Option<&'static str>>,
    /// Nothing can be deleted.
    pub(crate) deny_deletes: AtomicBool,
}

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not happen.
    Refused,
    /// It happens, and nobody is told.
    AnswerLost,
}

fn out_of_order() -> object_store::Error {
    object_store::Error::Generic { store: "watched", source: "out of order".into() }
}

impl fmt::Display for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "watched")
    }
}

#[async_trait]
impl ObjectStore for WatchedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let create = opts.mode == PutMode::Create;
        let meant = |(part, _): &mut (&str, Fault)| location.as_ref().contains(*part);
        let fault = self.fault.lock().take_if(meant).map(|(_, fault)| fault);
        if fault == Some(Fault::Refused) {
            return Err(out_of_order());
        }
        let done = self.inner.put_opts(location, payload, opts).await;
        let refused = |source| match self.says_precondition.load(Ordering::SeqCst) {
            true => object_store::Error::Precondition { path: location.to_string(), source },
            false => object_store::Error::AlreadyExists { path: location.to_string(), source },
        };
        match done {
            Ok(_) if fault == Some(Fault::AnswerLost) => Err(out_of_order()),
            Ok(_) if create && self.deny_next_create.swap(false, Ordering::SeqCst) => {
                Err(refused("denied".into()))
            }
            Err(object_store::Error::AlreadyExists { source, .. }) => Err(refused(source)),
            other => other,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.unreadable.lock().is_some_and(|part| location.as_ref().contains(part)) {
            return Err(out_of_order());
        }
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        match self.deny_deletes.load(Ordering::SeqCst) {
            true => locations.map(|_| Err(out_of_order())).boxed(),
            false => self.inner.delete_stream(locations),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
