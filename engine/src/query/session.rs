//! One connection's view of the lake: its role, its purpose, and the statements that it plans and runs.
//!
//! Each statement takes the newest live state when it is run, not when it was planned: who may be seen is always decided
//! by the consent that is in force when the statement begins. A plan is kept only as long as the catalog, the role's
//! definition and the purpose are those it was made for; otherwise it is made anew from the text.

mod explained;
mod held;
pub(crate) mod isolation;
mod parts;
mod running;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;

use super::access::Access;
use super::generic;
use super::kept::{Context, Kept};
use super::parameters::{self, Numerics};
use super::planned::{Planned, Stamp, columns_of};
use super::planner::plan;
use super::postgres::{self, Reachable, SessionFacts};
use super::relations::{Relations, Viewer};
use super::stop::{Running, during};
use crate::analytics::Staged;
use crate::catalog::{Body, Capability, Kind, LegalBasis, Role};
use crate::engine::{Engine, Live};
use crate::error::{Error, Result};

/// One connection.
pub struct QuerySession {
    engine: Engine,
    role: String,
    purpose: parking_lot::RwLock<Option<String>>,
    facts: Arc<SessionFacts>,
    /// What runs in this session.
    running: Arc<Running>,
    /// What the session has changed and not committed.
    staged: parking_lot::Mutex<Staged>,
    /// The part of it that the end of a transaction leaves: temporary tables.
    temporary: parking_lot::Mutex<Staged>,
    /// For which catalog version and purpose the facts describe relations.
    described: parking_lot::Mutex<Option<Stamp>>,
    /// What plans were made for the last time that somebody asked, and the count of changes of its facts then.
    stamped: parking_lot::Mutex<Option<(u64, Arc<Stamp>)>>,
    /// What its transaction reads.
    reading: parking_lot::Mutex<isolation::Reading>,
    kept: Arc<Kept>,
}

impl QuerySession {
    /// Opens a session of `role`, which starts in its purpose if it has exactly one.
    pub(crate) fn new(engine: Engine, role: &str, backend_pid: i32) -> Result<Self> {
        let live = engine.live();
        let definition = role_of(&live, role)?;
        let purpose = match definition.purposes.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        };
        let snapshot = postgres::Snapshot::new(vec![], &[], &[]);
        let facts = SessionFacts::sharing(
            engine.planner().locks(),
            role.to_owned(),
            super::DATABASE.to_owned(),
            backend_pid,
            engine.started_at_us(),
            snapshot,
        );
        facts.share("cdp.purpose", purpose.as_deref().unwrap_or(""));
        facts.number_by(&engine.analytics().sequences);
        let kept = engine.all_kept().open();
        Ok(Self {
            engine,
            role: role.to_owned(),
            purpose: purpose.into(),
            facts,
            running: Arc::default(),
            staged: parking_lot::Mutex::default(),
            temporary: parking_lot::Mutex::default(),
            described: parking_lot::Mutex::new(None),
            stamped: parking_lot::Mutex::default(),
            reading: parking_lot::Mutex::default(),
            kept,
        })
    }

    /// Lets other sessions of the role reach this one through `session`.
    pub fn reached_through(&self, session: Arc<dyn Reachable>) {
        self.engine.planner().backends().enter(&self.facts, session);
    }

    /// Stops the statement that this session runs; cursors that wait, and statements that come, are not touched.
    pub fn stop(&self) {
        self.running.stop();
    }

    /// Returns the role.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns where the memory of its statements is counted, with that of all others of the process.
    pub fn memory(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(self.engine.planner().memory())
    }

    /// Returns the declared purpose.
    pub fn purpose(&self) -> Option<String> {
        self.purpose.read().clone()
    }

    /// Returns what the session's functions know of it: its settings among them.
    pub fn facts(&self) -> &Arc<SessionFacts> {
        &self.facts
    }

    /// Declares a purpose; `None` takes the declaration back.
    ///
    /// # Errors
    /// [`Error::Denied`] if it is not granted to the role; an unknown purpose is answered alike.
    pub fn set_purpose(&self, purpose: Option<&str>) -> Result<()> {
        if let Some(purpose) = purpose {
            let live = self.engine.live();
            let granted = role_of(&live, &self.role)?.purposes.clone();
            if !granted.iter().any(|granted| granted == purpose) {
                let hint = match granted.as_slice() {
                    [] => "No purpose is granted to this role.".to_owned(),
                    some => format!("Purposes granted to this role: {}.", some.join(", ")),
                };
                return Err(Error::Denied {
                    message: format!(
                        "purpose \"{purpose}\" is not granted to role \"{}\"",
                        self.role
                    ),
                    hint,
                });
            }
        }
        *self.purpose.write() = purpose.map(str::to_owned);
        self.facts.share("cdp.purpose", purpose.unwrap_or(""));
        Ok(())
    }

    /// Fails unless the role has `capability`.
    pub fn require(&self, capability: Capability, what: &str) -> Result<()> {
        let live = self.engine.live();
        if role_of(&live, &self.role)?.capabilities.contains(&capability) {
            return Ok(());
        }
        Err(Error::Denied {
            message: format!("role \"{}\" may not {what}", self.role),
            hint: format!(
                "Roles that may are made with MAY ({}).",
                format!("{capability:?}").to_lowercase()
            ),
        })
    }

    /// Plans one SELECT; `parameter_types` are those that the client declared.
    pub async fn plan(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Arc<Planned>> {
        let live = self.live();
        let context = self.context(&live)?;
        self.plan_with(&live, &context, statement, parameter_types).await.map(Arc::new)
    }

    /// Returns the plan of a text that this session has sent before, as long as it would be planned alike.
    pub fn kept_plan(
        &self,
        text: &str,
        parameter_types: &[Option<DataType>],
    ) -> Option<Arc<Planned>> {
        let live = self.live();
        self.kept.plan(&live, &self.shared_stamp(&live), text, parameter_types)
    }

    /// Keeps the plan of `text` for the next time that it is sent.
    ///
    /// A statement that reads other than tables or the catalog, or the settings of the session, is planned anew each time.
    pub fn keep_plan(
        &self,
        text: &str,
        parameter_types: &[Option<DataType>],
        planned: &Arc<Planned>,
    ) {
        if generic::lasts(&planned.plan) {
            self.kept.keep_plan(text, parameter_types, planned);
        }
    }

    /// As [`QuerySession::plan`], in `live` and with a context of it.
    pub(crate) async fn plan_with(
        &self,
        live: &Live,
        context: &Arc<Context>,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Planned> {
        let mut statement = parameters::with_declared_types(statement, parameter_types)?;
        let (mut plan, mut stamp) = self.plan_now(live, context, &statement).await?;
        let parameters = parameters::fields_of(&plan, &statement, parameter_types)?;
        if let Some(types) = parameters::told_elsewhere(&statement, parameter_types, &parameters) {
            statement = parameters::with_declared_types(&statement, &types)?;
            (plan, stamp) = self.plan_now(live, context, &statement).await?;
        }
        let schema = columns_of(&plan);
        let described = match explained::form_of(&statement, &plan) {
            Some(form) => explained::columns_of(form),
            None => postgres::with_origins(&schema, &plan, &self.facts.snapshot()),
        };
        let numerics = Numerics::of(&statement);
        Ok(Planned {
            statement,
            plan,
            stamp,
            schema,
            described,
            parameters,
            declared_types: parameter_types.to_vec(),
            numerics,
            generic: Arc::default(),
            renewed: Arc::default(),
        })
    }

    /// Returns the plan of a statement that [`QuerySession::plan_with`] has planned, with these values.
    pub(crate) fn with_values(planned: &Planned, values: Vec<ScalarValue>) -> Result<LogicalPlan> {
        match values.is_empty() {
            true => Ok(planned.plan.clone()),
            false => parameters::with_values(planned.plan.clone(), &planned.numerics, values),
        }
    }

    /// Tells whether a plan is one for what the session sees in `live`.
    pub(crate) fn is_current(&self, planned: &Planned, live: &Live) -> bool {
        planned.stamp == *self.shared_stamp(live)
    }

    async fn plan_now(
        &self,
        live: &Live,
        context: &Arc<Context>,
        statement: &Statement,
    ) -> Result<(LogicalPlan, Stamp)> {
        context.relations.begin_statement();
        // Before it is planned: a plan that was made while the purpose changed is of neither.
        let stamp = self.stamp(live);
        let state = context.state();
        let (facts, statement, stop) =
            (Arc::clone(&self.facts), explained::in_lines(statement.clone()), self.running.begin());
        let plan = self
            .engine
            .planner()
            .aside(async move {
                stop.check()?;
                during(stop, plan(&state, &facts, statement)).await
            })
            .await?;
        Ok((plan, stamp))
    }

    /// Returns what statements are planned and run with that see `live`, and shows its relations to the catalog
    /// functions, by which names are found.
    pub(crate) fn context(&self, live: &Arc<Live>) -> Result<Arc<Context>> {
        if let Some(context) = self.kept.context(live, &self.shared_stamp(live)) {
            self.describe(live, &context.relations);
            return Ok(context);
        }
        let declared = self.purpose();
        let context = self.shaped_context(live, |relations| relations)?;
        let stamp = self.stamp(live);
        // What is left of a statement that was stopped runs beside the next one, which may declare another purpose: what is
        // seen for the one is not kept for the other.
        let access = context.relations.access.as_deref().map(|access| access.purpose.as_str());
        let is_for_one = stamp.is_of(declared.as_deref(), access);
        if is_for_one && Arc::ptr_eq(live, &self.engine.live()) {
            let crowded = self.kept.keep(Arc::clone(live), stamp, Arc::clone(&context));
            if crowded {
                self.engine.all_kept().forget();
            }
            // Readers may see the next state since, and then nobody would tell this session to forget.
            if !Arc::ptr_eq(live, &self.engine.live()) {
                self.kept.forget();
            }
        }
        Ok(context)
    }

    /// As [`QuerySession::context`], with relations that `shape` has changed.
    pub(crate) fn shaped_context(
        &self,
        live: &Live,
        shape: impl FnOnce(Relations) -> Relations,
    ) -> Result<Arc<Context>> {
        let viewer = self.viewer(live)?;
        let access = self.access(live, &viewer)?;
        let relations = self.engine.relations(live, &viewer, access, &self.facts);
        self.describe(live, &relations);
        let relations = Arc::new(shape(relations));
        let state = self.engine.planner().state(&relations.scope());
        Ok(Arc::new(Context::new(relations, state)))
    }

    /// Returns what this session sees now: what is published, with what it has changed itself.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.with_changes(&self.engine.live())
    }

    /// Returns what this session sees of `live`.
    pub(crate) fn with_changes(&self, live: &Arc<Live>) -> Arc<Live> {
        let staged = self.staged.lock();
        if staged.is_empty() {
            return Arc::clone(live);
        }
        let seen = self.kept.overlay(live, staged.version, || Live {
            published: Arc::new(staged.over(&live.published)),
            people: Arc::clone(&live.people),
            visible: live.visible.clone(),
        });
        // Readers may see the next state since, and then nobody would tell this session to forget.
        if !Arc::ptr_eq(live, &self.engine.live()) {
            self.kept.forget();
        }
        seen
    }

    pub(crate) fn staged(&self) -> &parking_lot::Mutex<Staged> {
        &self.staged
    }

    pub(crate) fn temporary(&self) -> &parking_lot::Mutex<Staged> {
        &self.temporary
    }

    pub(crate) fn viewer(&self, live: &Live) -> Result<Viewer> {
        let role = role_of(live, &self.role)?;
        let purpose = match &self.purpose() {
            // Granted once and taken back since: the session goes on without a purpose.
            Some(purpose) if role.purposes.contains(purpose) => {
                basis_of(live, purpose).map(|basis| (purpose.clone(), basis))
            }
            _ => None,
        };
        Ok(Viewer { role: self.role.clone(), capabilities: role.capabilities.clone(), purpose })
    }

    pub(crate) fn access(&self, live: &Live, viewer: &Viewer) -> Result<Option<Arc<Access>>> {
        let Some((purpose, _)) = &viewer.purpose else { return Ok(None) };
        let visible = live.visible.get(purpose).cloned().ok_or_else(|| Error::Denied {
            message: format!("purpose \"{purpose}\" has no consent to go by"),
            hint: "Its definition is not in force yet: try again.".into(),
        })?;
        let access = Access {
            role: self.role.clone(),
            purpose: purpose.clone(),
            visible,
            people: Arc::clone(&live.people),
        };
        Ok(Some(Arc::new(access)))
    }

    pub(super) fn stamp(&self, live: &Live) -> Stamp {
        self.shared_stamp(live).as_ref().clone()
    }

    /// As [`QuerySession::stamp`], for who only compares it. It is put together again when something has changed.
    pub(super) fn shared_stamp(&self, live: &Live) -> Arc<Stamp> {
        let (sequence, staged) = (live.published.state.sequence, self.staged.lock().version);
        // Counted before it is read: what changes meanwhile makes this one stale.
        let changes = self.facts.changes();
        let mut stamped = self.stamped.lock();
        if let Some((known, stamp)) = stamped.as_ref()
            && (*known, stamp.sequence, stamp.staged) == (changes, sequence, staged)
        {
            return Arc::clone(stamp);
        }
        let stamp = Arc::new(Stamp {
            sequence,
            staged,
            purpose: self.purpose(),
            search_path: self.facts.search_path(),
            time_zone: self.facts.setting("TimeZone"),
            date_style: self.facts.setting("DateStyle"),
        });
        *stamped = Some((changes, Arc::clone(&stamp)));
        stamp
    }

    /// Shows the catalog functions the relations of this statement.
    fn describe(&self, live: &Live, relations: &Relations) {
        let stamp =
            Stamp { search_path: vec![], time_zone: None, date_style: None, ..self.stamp(live) };
        let mut described = self.described.lock();
        if described.as_ref() != Some(&stamp) {
            let state = &live.published.state;
            let describe = || {
                let roles = state.of_kind(Kind::Role).map(|role| role.name.clone());
                relations.describe(&roles.collect::<Vec<_>>())
            };
            // What a session has changed itself is seen by nobody else.
            let viewer = self.viewer(live).ok().filter(|_| self.staged.lock().is_empty());
            let snapshot = match viewer {
                Some(viewer) => self.engine.described().of(state.sequence, viewer, describe),
                None => describe(),
            };
            self.facts.set_snapshot(snapshot);
            *described = Some(stamp);
        }
    }
}

fn role_of<'a>(live: &'a Live, name: &str) -> Result<&'a Role> {
    match live.published.state.get(Kind::Role, name).map(|definition| &definition.body) {
        Some(Body::Role(role)) => Ok(role),
        _ => Err(Error::Denied {
            message: format!("role \"{name}\" does not exist"),
            hint: "It was dropped; connect as another role.".into(),
        }),
    }
}

/// Returns what allows a purpose.
pub(crate) fn basis_of(live: &Live, purpose: &str) -> Option<LegalBasis> {
    match live.published.state.get(Kind::Purpose, purpose).map(|definition| &definition.body) {
        Some(Body::Purpose(purpose)) => Some(purpose.basis),
        _ => None,
    }
}
