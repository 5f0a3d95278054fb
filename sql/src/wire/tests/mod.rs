//! The front as clients meet it: over a socket, with a small engine behind it that queries tables in memory.

mod auth;
mod before_login;
mod client;
mod extended;
mod listening;
mod simple;
mod stopping;
mod tls;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf, BufMut, BytesMut};
use client::*;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::ScalarValue;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{Front, Limits, Tls, serve};
use crate::dialect::{RefreshTarget, Statement};
use crate::session::backend::{Backend, Client, Outcome, Plan, QuerySession, Status};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the tests ask about the engine afterwards.
#[derive(Debug, Default)]
struct Facts {
    planned: AtomicUsize,
    streams: AtomicUsize,
    epoch: AtomicU64,
    /// Whether all purposes were taken from the role.
    has_no_purpose: AtomicBool,
    /// The settings that it was told.
    told: Mutex<Vec<(String, String)>>,
}

impl Facts {
    /// Waits until no stream is open any more.
    async fn wait_for_no_stream(&self) {
        let gone = async {
            while self.streams.load(Ordering::SeqCst) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("the stream must be dropped");
    }

    async fn wait_for_a_stream(&self) {
        let there = async {
            while self.streams.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.expect("a stream must be opened");
    }
}

/// A role `ada` with the password `secret`, and a role `mute` that may not log in.
struct TestBackend {
    verifier: String,
    facts: Arc<Facts>,
}

#[async_trait]
impl Backend for TestBackend {
    async fn verifier(&self, role: &str) -> Option<String> {
        (role == "ada").then(|| self.verifier.clone())
    }

    async fn open(&self, _: &str, _: Client) -> engine::Result<Arc<dyn QuerySession>> {
        let context = SessionContext::new();
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=10));
        let names: ArrayRef =
            Arc::new(StringArray::from_iter_values((1..=10).map(|id| format!("name {id}"))));
        context.register_batch(
            "t",
            RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap(),
        )?;
        for (name, pace) in
            [("endless", Pace::Endless), ("stuck", Pace::Stuck), ("wide", Pace::Wide)]
        {
            let partition =
                Arc::new(Partition { schema: pace.schema(), pace, facts: self.facts.clone() });
            context.register_table(
                name,
                Arc::new(StreamingTable::try_new(pace.schema(), vec![partition])?),
            )?;
        }
        Ok(Arc::new(TestSession { context, facts: self.facts.clone() }))
    }
}

struct TestSession {
    context: SessionContext,
    facts: Arc<Facts>,
}

#[async_trait]
impl QuerySession for TestSession {
    fn status(&self) -> Status {
        Status { purpose: None, epoch: self.facts.epoch.load(Ordering::SeqCst) }
    }

    async fn set(&self, name: &str, value: &str) -> engine::Result<()> {
        let is_refused = match value {
            "" => false,
            "forbidden" => true,
            _ => self.facts.has_no_purpose.load(Ordering::SeqCst),
        };
        if name == "cdp.purpose" && is_refused {
            let message = format!("purpose \"{value}\" is not granted");
            return Err(engine::Error::Denied { message, hint: "Ask the privacy officer.".into() });
        }
        self.facts.told.lock().unwrap().push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    async fn plan(&self, sql: &str, _: &[Option<DataType>]) -> engine::Result<Plan> {
        self.facts.planned.fetch_add(1, Ordering::SeqCst);
        if sql.contains("panic") {
            panic!("asked to");
        }
        let plan = self.context.state().create_logical_plan(sql).await?;
        let mut parameters: Vec<_> = plan.get_parameter_fields()?.into_iter().collect();
        parameters
            .sort_by_key(|(name, _)| name.trim_start_matches('$').parse::<usize>().unwrap_or(0));
        let text = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
        Ok(Plan {
            schema: Arc::new(plan.schema().as_arrow().clone()),
            parameters: parameters
                .into_iter()
                .map(|(name, field)| field.unwrap_or_else(|| text(&name)))
                .collect(),
            changes_the_lake: sql.contains("record_consent"),
            inner: Arc::new(plan),
        })
    }

    async fn execute(
        &self,
        plan: &Plan,
        values: Vec<ScalarValue>,
    ) -> engine::Result<SendableRecordBatchStream> {
        let plan = plan.inner.downcast_ref::<LogicalPlan>().unwrap().clone();
        let plan = if values.is_empty() { plan } else { plan.with_param_values(values)? };
        Ok(self.context.execute_logical_plan(plan).await?.execute_stream().await?)
    }

    fn columns(&self, statement: &Statement) -> Option<SchemaRef> {
        matches!(statement, Statement::ShowObjects { .. })
            .then(|| Arc::new(Schema::new(vec![Field::new("name", DataType::Utf8, false)])))
    }

    fn stop(&self) {}

    async fn run(&self, statement: &Statement) -> engine::Result<Outcome> {
        match statement {
            Statement::ShowObjects { .. } => {
                let rows = self
                    .context
                    .sql("SELECT name FROM t WHERE id < 3")
                    .await?
                    .execute_stream()
                    .await?;
                Ok(Outcome::Rows { tag: "SHOW".into(), rows })
            }
            Statement::Refresh { target: RefreshTarget::Object(_, name), .. }
                if name == "stuck" =>
            {
                std::future::pending().await
            }
            Statement::Refresh { .. } => {
                Ok(Outcome::Done { tag: "REFRESH".into(), notices: vec!["nothing was new".into()] })
            }
            _ => Ok(Outcome::Done { tag: "DONE".into(), notices: Vec::new() }),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Pace {
    /// Batches without end, at once.
    Endless,
    /// One batch, then nothing for ever.
    Stuck,
    /// Many wide rows, then an end.
    Wide,
}

impl Pace {
    fn schema(self) -> SchemaRef {
        let data_type = if matches!(self, Pace::Wide) { DataType::Utf8 } else { DataType::Int64 };
        Arc::new(Schema::new(vec![Field::new("n", data_type, false)]))
    }
}

#[derive(Debug)]
struct Partition {
    schema: SchemaRef,
    pace: Pace,
    facts: Arc<Facts>,
}

struct Open(Arc<Facts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::SeqCst);
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.facts.streams.fetch_add(1, Ordering::SeqCst);
        let open = Open(self.facts.clone());
        let values: ArrayRef = match self.pace {
            Pace::Wide => {
                Arc::new(StringArray::from_iter_values((0..1000).map(|_| "x".repeat(100))))
            }
            _ => Arc::new(Int64Array::from_iter_values(0..1000)),
        };
        let batch = RecordBatch::try_new(self.schema.clone(), vec![values]).unwrap();
        let one = move |_| {
            let _ = &open;
            Ok(batch.clone())
        };
        let stream = match self.pace {
            Pace::Endless => futures::stream::repeat(()).map(one).boxed(),
            Pace::Stuck => {
                futures::stream::once(async {}).chain(futures::stream::pending()).map(one).boxed()
            }
            Pace::Wide => futures::stream::iter(0..100).map(|_| ()).map(one).boxed(),
        };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream))
    }
}

/// A running front.
struct Harness {
    address: SocketAddr,
    facts: Arc<Facts>,
    shutdown: CancellationToken,
    server: tokio::task::JoinSet<()>,
}

impl Harness {
    async fn start() -> Harness {
        Harness::start_with(None, Limits::default()).await
    }

    async fn start_with(tls: Option<Tls>, limits: Limits) -> Harness {
        let facts = Arc::new(Facts::default());
        let verifier = verifier_of("secret");
        let backend = Arc::new(TestBackend { verifier, facts: facts.clone() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (light, heavy) = (tokio::runtime::Handle::current(), tokio::runtime::Handle::current());
        let front = Front { backend, light, heavy, tls, limits, secret: [7; 32] };
        let mut server = tokio::task::JoinSet::new();
        server.spawn(serve(listener, front, shutdown.clone()));
        Harness { address, facts, shutdown, server }
    }

    fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.address.port())
            .user("ada")
            .password("secret")
            .dbname("onefold");
        config
    }

    /// Connects with a real driver; its connection runs in the harness.
    async fn driver(&mut self) -> tokio_postgres::Client {
        let (client, connection) = self.config().connect(tokio_postgres::NoTls).await.unwrap();
        self.server.spawn(async move { drop(connection.await) });
        client
    }

    async fn socket(&self) -> Wire {
        Wire { stream: TcpStream::connect(self.address).await.unwrap(), key: (0, 0) }
    }

    /// Connects and logs in by hand.
    async fn wire(&self) -> Wire {
        let mut wire = self.socket().await;
        wire.log_in("secret", &[]).await;
        wire
    }
}
