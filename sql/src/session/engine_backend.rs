//! The engine behind the front: sessions, queries and onefold's own statements.
//!
//! Each of our statements is one call of the engine; what a role may do is asked here, before anything is done.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use engine::analytics::{CopyFailure, CopyTarget, Notice, PlannedWrite, Staged};
use engine::catalog::{Body, Capability, Definition, Kind};
use engine::identity_refresh::impact_columns;
use engine::jobs::{Target, Trigger};
use engine::lanes;
use engine::query::planned::Planned;
use engine::query::postgres::{Configured, OpenCursor, PreparedStatement, Reachable, Said};
use engine::{Engine, Error, FirstMembers, Put, Result};
use futures::{FutureExt, stream};

use super::backend::{Backend, Changes, Client, Outcome, Plan, QuerySession, Status};
use super::calls::Call;
use super::read::parse;
use super::secrets::Secrets;
use crate::dialect::{CreateMode, RefreshTarget, Statement};

/// The engine as a backend.
pub(crate) struct EngineBackend {
    engine: Engine,
    secrets: Secrets,
}

impl EngineBackend {
    /// Makes a backend of an open lake.
    pub(crate) fn new(engine: Engine) -> EngineBackend {
        EngineBackend { engine, secrets: Secrets::default() }
    }
}

#[async_trait]
impl Backend for EngineBackend {
    async fn verifier(&self, role: &str) -> Option<String> {
        let role = self.engine.role(role)?;
        match (role.verifier, role.password_secret) {
            (Some(verifier), _) => Some(verifier),
            (None, Some(secret)) => self.secrets.verifier(&self.engine, &secret).await,
            (None, None) => None,
        }
    }

    async fn open(&self, role: &str, client: Client) -> Result<Arc<dyn QuerySession>> {
        let session = self.engine.session(role, client.pid)?;
        session.facts().check_settings_by(super::setting::check);
        Ok(Arc::new(EngineSession { session }))
    }
}

/// A session of the engine.
pub(crate) struct EngineSession {
    pub(crate) session: engine::query::session::QuerySession,
}

/// What a plan is made of.
enum Inner {
    Query(Arc<Planned>),
    Call(Call),
    Write(Box<PlannedWrite>),
}

#[async_trait]
impl QuerySession for EngineSession {
    fn status(&self) -> Status {
        Status { purpose: self.session.purpose(), epoch: self.session.engine().epoch() }
    }

    fn memory(&self) -> Option<Arc<dyn MemoryPool>> {
        Some(self.session.memory())
    }

    fn reached_through(&self, session: Arc<dyn Reachable>) {
        self.session.reached_through(session);
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        if name == "cdp.purpose" {
            return self.session.set_purpose(Some(value).filter(|value| !value.is_empty()));
        }
        if name == "transaction_isolation" {
            self.session.set_isolation(value)?;
        }
        // The front has checked the value; a setting that functions do not read is the front's alone.
        if !self.session.facts().set(name, Some(value)) {
            self.session.facts().share(name, value);
        }
        Ok(())
    }

    fn configured(&self) -> Vec<Configured> {
        self.session.facts().take_configured()
    }

    fn said(&self) -> Vec<Said> {
        self.session.facts().take_said()
    }

    fn show_prepared(&self, statement: PreparedStatement) -> Arc<PreparedStatement> {
        self.session.show_prepared(statement)
    }

    fn show_cursor(&self, cursor: OpenCursor) -> Arc<OpenCursor> {
        self.session.show_cursor(cursor)
    }

    fn begin_transaction(&self) {
        self.session.begin_transaction();
    }

    fn has_read(&self) -> bool {
        self.session.has_read()
    }

    fn end_transaction(&self) {
        self.session.facts().end_transaction();
        self.session.end_reading();
    }

    fn unlock(&self) {
        self.session.facts().unlock();
    }

    async fn plan(&self, sql: &str, parameters: &[Option<DataType>]) -> Result<Plan> {
        if let Some(known) = self.known(sql, parameters) {
            return Ok(known);
        }
        let statement = parse(sql)?;
        if let Some(call) = Call::of(&statement)? {
            let text = |_: usize| Arc::new(Field::new("", DataType::Utf8, true));
            let parameters = (0..call.parameters()).map(text).collect();
            return Ok(Plan {
                schema: call.schema(),
                parameters,
                changes_the_lake: call.changes_the_lake(),
                inner: Arc::new(Inner::Call(call)),
            });
        }
        if let Some(write) = self.session.plan_write(&statement, parameters).boxed().await? {
            return Ok(Plan {
                schema: Arc::clone(&write.returns),
                parameters: write.parameters.clone(),
                changes_the_lake: true,
                inner: Arc::new(Inner::Write(Box::new(write))),
            });
        }
        let planned = self.session.plan(&statement, parameters).await?;
        self.session.keep_plan(sql, parameters, &planned);
        Ok(plan_of(planned))
    }

    fn known(&self, sql: &str, parameters: &[Option<DataType>]) -> Option<Plan> {
        self.session.kept_plan(sql, parameters).map(plan_of)
    }

    fn answer_at_once(&self, plan: &Plan, parameters: &[ScalarValue]) -> Option<RecordBatch> {
        match plan.inner.downcast_ref::<Inner>() {
            Some(Inner::Query(planned)) => self.session.answer_at_once(planned, parameters),
            _ => None,
        }
    }

    async fn execute(
        &self,
        plan: &Plan,
        parameters: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream> {
        match plan.inner.downcast_ref::<Inner>() {
            Some(Inner::Query(planned)) => self.session.execute(planned, parameters).await,
            Some(Inner::Call(call)) => {
                let answer = call.run(&self.session, &parameters).boxed().await?;
                rows(&plan.schema, vec![answer])
            }
            Some(Inner::Write(_)) => Err(Error::Unsupported {
                what: "a statement that writes in the place of a query".into(),
                hint: "Send it as a statement of its own.".into(),
            }),
            None => Err(foreign_plan()),
        }
    }

    async fn write(&self, plan: &Plan, parameters: Vec<ScalarValue>) -> Result<Outcome> {
        let Some(Inner::Write(write)) = plan.inner.downcast_ref::<Inner>() else {
            return Err(foreign_plan());
        };
        let written = self.session.write(write, parameters).boxed().await?;
        Ok(match written.returned {
            None => Outcome::Done { tag: written.tag, notices: written.notices },
            Some((schema, batches)) => {
                let rows = stream::iter(batches.into_iter().map(Ok));
                let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
                Outcome::Rows { tag: written.tag, rows }
            }
        })
    }

    async fn copy_target(&self, relation: &str, columns: &[String]) -> Result<CopyTarget> {
        self.session.copy_target(relation, columns).boxed().await
    }

    async fn copy_rows(
        &self,
        target: &CopyTarget,
        columns: Vec<ArrayRef>,
    ) -> Result<u64, CopyFailure> {
        lanes::go_heavy().await;
        self.session.copy_rows(target, columns).boxed().await
    }

    async fn end_copy(&self) -> Result<()> {
        self.session.end_copy().boxed().await
    }

    async fn set_constraints(
        &self,
        names: Option<&[(Option<String>, String)]>,
        deferred: bool,
    ) -> Result<()> {
        self.session.set_constraints(names, deferred).boxed().await
    }

    fn has_changes(&self) -> bool {
        self.session.has_changes()
    }

    async fn commit(&self) -> Result<()> {
        self.session.commit().boxed().await
    }

    fn rollback(&self) {
        self.session.rollback();
    }

    fn discard_temporary(&self) {
        self.session.discard_temporary();
    }

    fn forget_numbers(&self) {
        self.session.facts().forget_numbers();
    }

    fn changes(&self) -> Changes {
        Arc::new(self.session.changes())
    }

    fn back_to(&self, changes: &Changes) {
        if let Some(changes) = changes.downcast_ref::<Staged>() {
            self.session.back_to(changes);
        }
    }

    fn columns(&self, statement: &Statement) -> Option<SchemaRef> {
        let names: &[&str] = match statement {
            Statement::ShowObjects { .. } => &["name", "comment"],
            Statement::ShowCreate { .. } => &["name", "definition"],
            Statement::RunSync { .. } => &["run", "rows", "held_back", "location"],
            Statement::Decide { .. } => return Some(super::decide::columns()),
            Statement::ExplainImpact { .. } | Statement::ExplainAlteration(_) => {
                return Some(impact_columns());
            }
            _ => return None,
        };
        let columns = names.iter().map(|name| Field::new(*name, DataType::Utf8, true));
        Some(Arc::new(Schema::new(columns.collect::<Vec<_>>())))
    }

    fn stop(&self) {
        self.session.stop();
    }

    async fn run(&self, statement: &Statement) -> Result<Outcome> {
        let engine = self.session.engine();
        match statement {
            Statement::Create { definition, mode, .. } => {
                self.create(definition, *mode).boxed().await
            }
            Statement::AlterGraph(alteration) => self.alter_graph(alteration).boxed().await,
            Statement::Drop { kind, name, if_exists } => {
                self.may_define(*kind, name)?;
                engine.remove(*kind, name, *if_exists).boxed().await?;
                Ok(done(format!("DROP {}", words(*kind))))
            }
            Statement::Comment { kind, name, comment } => {
                self.may_define(*kind, name)?;
                engine.comment(*kind, name, comment.clone()).boxed().await?;
                Ok(done("COMMENT".into()))
            }
            Statement::Refresh { target, full } => self.refresh(target, *full).boxed().await,
            Statement::Decide { decision, reason } => self.decide(decision, reason).boxed().await,
            Statement::ApplyOverrides { query } => self.apply_overrides(query).boxed().await,
            Statement::ExplainImpact { definition, mode } => {
                self.explain_impact(definition, *mode).boxed().await
            }
            Statement::ExplainAlteration(alteration) => {
                self.explain_alteration(alteration).boxed().await
            }
            Statement::RunSync { name, dry_run } => {
                self.run_sync(statement, name, *dry_run).boxed().await
            }
            Statement::ShowObjects { kind, like } => {
                self.show_objects(statement, *kind, like.as_deref())
            }
            Statement::ShowCreate { kind, name } => self.show_create(statement, *kind, name),
            _ => Err(Error::Unsupported {
                what: "this statement here".into(),
                hint: "Send it as a statement of its own.".into(),
            }),
        }
    }
}

/// Returns the plan of a query.
fn plan_of(planned: Arc<Planned>) -> Plan {
    Plan {
        schema: Arc::clone(&planned.described),
        parameters: planned.parameters.clone(),
        changes_the_lake: false,
        inner: Arc::new(Inner::Query(planned)),
    }
}

impl EngineSession {
    /// Fails unless the role may define objects of this kind: everything, or segments for its own purposes.
    pub(super) fn may_define(&self, kind: Kind, name: &str) -> Result<()> {
        if kind == Kind::Segment {
            let live = self.session.engine().live();
            let own = match live.published.state.get(kind, name).map(|found| &found.body) {
                Some(Body::Segment(segment)) => self.owns(&segment.purpose),
                _ => true,
            };
            if own && self.session.require(Capability::Segment, "define segments").is_ok() {
                return Ok(());
            }
        }
        self.session.require(Capability::Define, &format!("define {}", kind.words()))
    }

    pub(super) fn owns(&self, purpose: &str) -> bool {
        self.session
            .engine()
            .role(self.session.role())
            .is_some_and(|role| role.purposes.iter().any(|own| own == purpose))
    }

    async fn create(&self, definition: &Definition, mode: CreateMode) -> Result<Outcome> {
        let kind = definition.body.kind();
        self.may_define(kind, &definition.name)?;
        if let Body::Segment(segment) = &definition.body
            && !self.owns(&segment.purpose)
        {
            self.session.require(
                Capability::Define,
                &format!("define a segment for purpose \"{}\"", segment.purpose),
            )?;
        }
        let put = put_of(mode);
        let engine = self.session.engine();
        if kind == Kind::IdentityOverrides {
            engine.expect_everyone(&self.session)?;
        }
        engine.check_query(definition).await?;
        let tag = format!("CREATE {}", words(kind));
        if kind != Kind::Segment {
            engine.define(vec![(definition.clone(), put)]).await?;
            return Ok(done(tag));
        }
        lanes::go_heavy().await;
        let notice = match engine.define_segment(definition.clone(), put).await? {
            FirstMembers::None => Some(format!(
                "segment \"{}\" is empty until the first refresh: there are no profiles yet",
                definition.name
            )),
            FirstMembers::Kept => {
                Some(format!("segment \"{}\" already exists, skipping", definition.name))
            }
            FirstMembers::Computed => None,
        };
        let notices = notice.into_iter().map(Notice::from).collect();
        Ok(Outcome::Done { tag, notices })
    }

    async fn refresh(&self, target: &RefreshTarget, full: bool) -> Result<Outcome> {
        let target = match target {
            RefreshTarget::All => Target::All,
            RefreshTarget::Object(Kind::Source, name) => Target::Source(name.clone()),
            RefreshTarget::Object(Kind::Segment, name) => Target::Segment(name.clone()),
            RefreshTarget::Object(
                Kind::IdentityGraph | Kind::IdentityOverrides | Kind::Trait | Kind::Attribute,
                _,
            )
            | RefreshTarget::Kind(
                Kind::IdentityGraph | Kind::IdentityOverrides | Kind::Trait | Kind::Attribute,
            ) => Target::Profiles,
            RefreshTarget::Kind(_) => Target::All,
            RefreshTarget::Object(kind, _) => {
                return Err(Error::Unsupported {
                    what: format!("REFRESH {}", words(*kind)),
                    hint: "REFRESH ALL brings everything up to date.".into(),
                });
            }
        };
        let refused = self.session.require(Capability::Refresh, "refresh");
        let target = match (refused, target) {
            (Ok(()), target) => target,
            // Who may define a segment may fill it; what it depends on is brought up to date by others.
            (Err(refused), Target::Segment(name)) => {
                self.may_define(Kind::Segment, &name).map_err(|_| refused)?;
                Target::Members(name)
            }
            (Err(refused), _) => return Err(refused),
        };
        let engine = self.session.engine();
        lanes::go_heavy().await;
        let refreshed = engine.refresh(&target, full, Trigger::Demand, &|_, _| {}).await?;
        let steps = refreshed.into_result()?;
        let worked = steps.iter().filter(|step| step.worked).count();
        Ok(done(format!("REFRESH {worked}")))
    }

    async fn run_sync(&self, statement: &Statement, name: &str, dry_run: bool) -> Result<Outcome> {
        self.session.require(Capability::Sync, "run syncs")?;
        let engine = self.session.engine();
        let state = engine.live();
        if let Body::Sync(sync) = &state.published.state.expect(Kind::Sync, name)?.body
            && !self.owns(&sync.purpose)
        {
            return Err(Error::Denied {
                message: format!(
                    "sync \"{name}\" is for purpose \"{}\", which is not granted to role \"{}\"",
                    sync.purpose,
                    self.session.role()
                ),
                hint: "Run it as a role with that purpose.".into(),
            });
        }
        lanes::go_heavy().await;
        let report =
            engine::activation::run_sync(engine, name, self.session.role(), dry_run).await?;
        let texts = [report.run, report.rows.to_string(), report.held_back.to_string()].map(Some);
        self.texts(
            statement,
            format!("RUN SYNC {}", report.rows),
            vec![texts.into_iter().chain([report.location]).collect()],
        )
    }
}

fn foreign_plan() -> Error {
    Error::Invalid {
        message: "the plan is not of this server".into(),
        hint: "Prepare the statement again.".into(),
    }
}

pub(super) fn done(tag: String) -> Outcome {
    Outcome::Done { tag, notices: vec![] }
}

/// Returns how a definition is put into the catalog.
pub(super) fn put_of(mode: CreateMode) -> Put {
    match mode {
        CreateMode::Create => Put::Create,
        CreateMode::OrReplace => Put::Replace,
        CreateMode::IfNotExists => Put::IfAbsent,
    }
}

fn words(kind: Kind) -> String {
    kind.word().to_uppercase()
}

pub(super) fn rows(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
) -> Result<SendableRecordBatchStream> {
    let batch = RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(datafusion::error::DataFusionError::from)?;
    Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), stream::iter([Ok(batch)]))))
}
