//! The facade: one open lake, and everything that can be asked of it.
//!
//! Readers take a [`Live`] state: what is published, who is whose, and who may be seen for which purpose, all of one moment.
//! Writers publish through the catalog and then make the next `Live`; a withdrawal of consent makes one, too, before it
//! is acknowledged.

mod publishing;
mod turns;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::analytics::Analytics;
use crate::audit::AuditLog;
use crate::catalog::{Body, Catalog, Change, Definition, Kind, LegalBasis, Published, Role};
use crate::consent::ConsentBook;
use crate::error::{Error, Result};
use crate::functions::SessionFunctions;
use crate::ingest::IngestMemory;
use crate::lake::Lake;
use crate::options::{EngineOptions, Mode};
use crate::query::access::{Access, People, Visible};
use crate::query::governed::ScanStore;
use crate::query::kept::{AllKept, Described};
use crate::query::planner::Planner;
use crate::query::postgres::{SessionFacts, Snapshot};
use crate::query::relations::{Relations, Viewer};
use crate::query::session::QuerySession;

pub(crate) use publishing::Shown;
use turns::Turns;

/// The name under which onefold's own queries run.
const INTERNAL: &str = "onefold";

/// One consistent state for readers.
pub struct Live {
    /// What is published.
    pub published: Arc<Published>,
    /// Which profile each subject belongs to.
    pub people: Arc<People>,
    /// By purpose: who may be seen.
    pub visible: HashMap<String, Visible>,
}

/// How a definition is put into the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It must not be there.
    Create,
    /// In place of the one that is there.
    Replace,
    /// Only if it is not there.
    IfAbsent,
}

/// An open lake. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    options: EngineOptions,
    catalog: Catalog,
    planner: Planner,
    store: ScanStore,
    audit: Arc<AuditLog>,
    live: ArcSwap<Live>,
    book: RwLock<ConsentBook>,
    /// Held while definitions or derived tables change.
    writing: Mutex<Writing>,
    /// Held while answers are added to the consent ledger, and while rows leave: a withdrawal does not wait for a refresh.
    answering: Arc<Mutex<()>>,
    /// Held while it is noted how a run goes: refreshes and syncs run beside each other.
    noting: Arc<Mutex<()>>,
    /// Syncs that run.
    turns: Turns,
    /// What sessions have made in the schema `analytics` and not committed.
    analytics: Analytics,
    /// Held from a publication until readers see it, so that they see publications in their order.
    showing: Arc<Mutex<()>>,
    started_at_us: i64,
    /// Counts the times that what somebody may see became other than before.
    epoch: AtomicU64,
    /// What sessions keep of the newest state.
    kept: AllKept,
    /// How sessions see the newest catalog.
    described: Described,
}

/// Of the memory that operators may hold, the part that columns may take besides which are kept decoded.
const DECODED_SHARE: usize = 8;

/// What the one writer keeps between changes.
#[derive(Default)]
pub(crate) struct Writing {
    pub(crate) ingest: IngestMemory,
    pub(crate) identity: Option<crate::identity_refresh::Memory>,
}

impl Engine {
    /// Opens a lake, and makes it if there is none.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process writes to it and this one wants to.
    pub async fn open(options: EngineOptions) -> Result<Self> {
        let lake = Lake::open(&options.location, Arc::clone(&options.clock)).await?;
        let lease = match options.mode {
            Mode::Write => Some(lake.acquire_lease(&options.owner).await?),
            Mode::Read => None,
        };
        let catalog = Catalog::open(lake.clone(), lease, Arc::clone(&options.clock)).await?;
        let planner = Planner::new(&lake, options.target_partitions, options.memory_bytes_max)?;
        let decoded_bytes_max = options.memory_bytes_max / DECODED_SHARE;
        let store = ScanStore::new(lake.store(), lake.object_store_url(), decoded_bytes_max);
        let analytics = Analytics::new(lake.clone());
        let audit = AuditLog::new(lake, Arc::clone(&options.clock));
        let live =
            Live { published: catalog.current(), people: Arc::default(), visible: HashMap::new() };
        let started_at_us = options.clock.now_us();
        let engine = Self(Arc::new(Inner {
            options,
            catalog,
            planner,
            store,
            audit,
            live: ArcSwap::from_pointee(live),
            book: RwLock::default(),
            writing: Mutex::default(),
            answering: Arc::default(),
            noting: Arc::default(),
            turns: Turns::default(),
            analytics,
            showing: Arc::default(),
            started_at_us,
            epoch: AtomicU64::new(1),
            kept: AllKept::default(),
            described: Described::default(),
        }));
        if let Err(error) = engine.begin().await {
            // Whoever comes next need not wait for a lake that could not be opened.
            if let Err(error) = engine.close().await {
                tracing::warn!(error = error.without_values(), "the lake could not be given back");
            }
            return Err(error);
        }
        Ok(engine)
    }

    async fn begin(&self) -> Result<()> {
        self.load_people().await?;
        self.find_abandoned().await?;
        self.open_sequences().await?;
        self.record_file_root().await
    }

    /// Notes in the lake which folder its files are read from.
    async fn record_file_root(&self) -> Result<()> {
        let Some(root) = self.0.options.file_root.as_ref().filter(|_| self.0.catalog.writable())
        else {
            return Ok(());
        };
        let root = root.display().to_string();
        if self.live().published.state.file_root.as_ref() == Some(&root) {
            return Ok(());
        }
        let mut change = Change::default();
        change.edit(move |state| {
            state.file_root = Some(root);
            Ok(())
        });
        self.publish(change, Shown::AsBefore).await
    }

    /// Returns the folder that file sources read from and destinations write to.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not known, since no project was applied to the lake.
    pub fn file_root(&self) -> Result<PathBuf> {
        let recorded = self.0.catalog.current().state.file_root.clone().map(PathBuf::from);
        self.0.options.file_root.clone().or(recorded).ok_or_else(|| Error::Invalid {
            message: "it is not known which folder files are read from".into(),
            hint: "Apply a project to this lake: its folder is noted then.".into(),
        })
    }

    /// Lets what is being changed come to its end, writes what waits and gives the lake back.
    pub async fn close(&self) -> Result<()> {
        self.0.catalog.lake().settled().await;
        self.close_sequences().await;
        let flushed = self.0.audit.flush().await;
        let released = self.0.catalog.release().await;
        flushed.and(released)
    }

    /// Tells whether another process has published since this one opened the lake for reading: it shows the lake as it
    /// was then.
    pub async fn is_behind(&self) -> Result<bool> {
        self.0.catalog.is_behind().await
    }

    /// Returns the newest state for readers.
    pub fn live(&self) -> Arc<Live> {
        self.0.live.load_full()
    }

    /// Returns the role named `name`.
    pub fn role(&self, name: &str) -> Option<Role> {
        match self
            .live()
            .published
            .state
            .get(Kind::Role, name)
            .map(|definition| definition.body.clone())
        {
            Some(Body::Role(role)) => Some(role),
            _ => None,
        }
    }

    /// Opens a session of `role`, which its client knows by the number `pid`.
    pub fn session(&self, role: &str, pid: i32) -> Result<QuerySession> {
        QuerySession::new(self.clone(), role, pid)
    }

    /// Returns a secret of the lake that outlives the process: what is made of it for strangers stays the same.
    pub fn secret(&self) -> Result<[u8; 32]> {
        use sha2::{Digest, Sha256};
        let key = self.live().published.state.profile_key()?;
        Ok(Sha256::new_with_prefix(b"onefold mock authentication")
            .chain_update(key)
            .finalize()
            .into())
    }

    /// Returns when this process opened the lake, in microseconds since 1970.
    pub fn started_at_us(&self) -> i64 {
        self.0.started_at_us
    }

    /// Returns the definitions in the catalog.
    pub fn definitions(&self) -> Vec<Definition> {
        self.live().published.state.all().cloned().collect()
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    pub(crate) fn analytics(&self) -> &Analytics {
        &self.0.analytics
    }

    pub(crate) fn planner(&self) -> &Planner {
        &self.0.planner
    }

    pub(crate) fn all_kept(&self) -> &AllKept {
        &self.0.kept
    }

    pub(crate) fn described(&self) -> &Described {
        &self.0.described
    }

    pub(crate) fn audit(&self) -> &Arc<AuditLog> {
        &self.0.audit
    }

    /// Waits until no other run of `object` goes on.
    pub(crate) async fn turn(&self, object: &str) -> OwnedMutexGuard<()> {
        self.0.turns.take(object).await
    }

    /// Returns the time, which is later than that of every publication: what happens next is told from what was.
    pub(crate) fn now(&self) -> i64 {
        self.0.options.clock.now_us().max(self.0.catalog.current().state.published_at + 1)
    }

    pub(crate) fn book(&self) -> &RwLock<ConsentBook> {
        &self.0.book
    }

    /// Builds what `viewer` may name in `live`.
    pub(crate) fn relations(
        &self,
        live: &Live,
        viewer: &Viewer,
        access: Option<Arc<Access>>,
        facts: &Arc<SessionFacts>,
    ) -> Relations {
        let functions = crate::functions::session_functions(self, access.as_ref(), live);
        let system = crate::observe::relations(self, live, viewer, access.as_ref());
        let (planner, store) = (self.0.planner.clone(), self.0.store.clone());
        Relations::new(
            &live.published,
            viewer,
            access,
            planner,
            store,
            Arc::clone(facts),
            functions,
            system,
        )
    }

    /// Returns a number that changes when what somebody may see becomes other than before.
    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::SeqCst)
    }

    /// Builds what onefold's own queries may name: everything, as far as `visible` goes.
    pub(crate) fn internal(
        &self,
        published: &Arc<Published>,
        people: &Arc<People>,
        visible: Visible,
    ) -> Relations {
        let purpose = "service".to_owned();
        let viewer = Viewer {
            role: INTERNAL.into(),
            capabilities: vec![],
            purpose: Some((purpose.clone(), LegalBasis::Contract)),
        };
        let access = Access { role: INTERNAL.into(), purpose, visible, people: Arc::clone(people) };
        let facts = SessionFacts::new(
            INTERNAL.into(),
            crate::query::DATABASE.into(),
            0,
            self.0.started_at_us,
            Snapshot::new(vec![], &[], &[]),
        );
        let (planner, store) = (self.0.planner.clone(), self.0.store.clone());
        Relations::new(
            published,
            &viewer,
            Some(Arc::new(access)),
            planner,
            store,
            facts,
            SessionFunctions::default(),
            vec![],
        )
    }

    /// As [`Engine::internal`], ready to be planned with.
    pub(crate) fn internal_relations(
        &self,
        published: &Arc<Published>,
        people: &Arc<People>,
        visible: Visible,
    ) -> Arc<Relations> {
        Arc::new(self.internal(published, people, visible))
    }

    /// As [`Engine::relations_for`], ready to be planned with.
    pub(crate) fn purpose_relations(&self, live: &Live, purpose: &str) -> Result<Arc<Relations>> {
        self.relations_for(live, purpose).map(Arc::new)
    }

    /// Builds what a query of onefold's own may name for `purpose`: what anybody sees for it, and no more.
    pub(crate) fn relations_for(&self, live: &Live, purpose: &str) -> Result<Relations> {
        let basis = crate::query::session::basis_of(live, purpose);
        let (Some(basis), Some(visible)) = (basis, live.visible.get(purpose).cloned()) else {
            return Err(Error::Missing {
                kind: "purpose",
                name: purpose.into(),
                hint: "SHOW PURPOSES lists what there is.".into(),
            });
        };
        let viewer = Viewer {
            role: INTERNAL.into(),
            capabilities: vec![],
            purpose: Some((purpose.to_owned(), basis)),
        };
        let access = Arc::new(Access {
            role: INTERNAL.into(),
            purpose: purpose.to_owned(),
            visible,
            people: Arc::clone(&live.people),
        });
        let facts = SessionFacts::new(
            INTERNAL.into(),
            crate::query::DATABASE.into(),
            0,
            self.0.started_at_us,
            Snapshot::new(vec![], &[], &[]),
        );
        Ok(self.relations(live, &viewer, Some(access), &facts))
    }
}
