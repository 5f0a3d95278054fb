//! Explanations: why records are one person, why others are not, and what a profile is made of.
//!
//! `why_merged(a, b)`, `why_not_merged(a, b)` and `match_waterfall(a, b)` are functions in `FROM`; `EXPLAIN MERGE a, b` and
//! `EXPLAIN PROFILE id` print the same as text; the operator of `scored_pairs` weighs with what is here. All of them read the
//! relations that anybody can read, `identity_edges` and `identity_violations` among them, through the governed leaf and with
//! the access of the statement: who is hidden from it is in no explanation. What tells of two persons at a time is for
//! purposes that see everyone.
//!
//! ```text
//!  arguments -> ends: records, or profiles that are or were      ends
//!            -> the edges of the profile that has both            evidence
//!            -> what two records say of each other by themselves       compared
//!            -> strongest way, cheapest cut                       links
//!            -> the weight of a pair, step by step                waterfall
//!            -> the weights of many pairs                         pairs
//!            -> rows                                              merged, not_merged
//!            -> lines                                             text
//! ```

mod compared;
mod ends;
mod evidence;
mod links;
mod merged;
mod not_merged;
mod pairs;
mod text;
mod waterfall;

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_plan::collect;

use crate::catalog::Published;
use crate::engine::{Engine, Live};
use crate::error::{Error, Result, failure};
use crate::query::access::{Access, Visible};
use crate::query::planner::{parse_one, physical, plan};
use crate::query::system::{Rows, SystemTable};
use ends::Arguments;
pub(crate) use ends::may_have;
pub(crate) use pairs::{PairWeigher, Wanted};

/// The functions, which stand in `FROM` alone.
pub(crate) const NAMES: [&str; 5] =
    ["why_merged", "why_not_merged", "match_waterfall", "explain_merge", "explain_profile"];

/// Returns the functions of a statement with this access.
pub(crate) fn functions(
    engine: &Engine,
    access: &Arc<Access>,
    live: &Live,
) -> Vec<Arc<TableFunction>> {
    let ground = Arc::new(Ground::of(engine, access, live));
    let function = |(name, what): (&str, What)| {
        let function = Explaining { what, ground: Arc::clone(&ground) };
        Arc::new(TableFunction::new(String::from(name), Arc::new(function)))
    };
    NAMES.into_iter().zip(What::ALL).map(function).collect()
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Merged,
    NotMerged,
    Waterfall,
    MergeText,
    ProfileText,
}

impl What {
    /// In the order of [`NAMES`].
    const ALL: [What; 5] =
        [What::Merged, What::NotMerged, What::Waterfall, What::MergeText, What::ProfileText];

    fn columns(self) -> SchemaRef {
        match self {
            What::Merged => merged::columns(),
            What::NotMerged => not_merged::columns(),
            What::Waterfall => waterfall::columns(),
            What::MergeText | What::ProfileText => text::columns(),
        }
    }

    /// The relations that the audit log notes.
    fn reads(self, ground: &Ground) -> Vec<&'static str> {
        let everyone = ground.sees_everyone();
        let edges = ["public.identity_edges", "public.profile_identifiers"];
        let refused = [
            "public.identity_overrides",
            "public.identity_violations",
            "public.profile_identifiers",
            "public.profile_records",
        ];
        let profile =
            ["public.attribute_sources", "public.profile_identifiers", "public.profile_records"];
        let households: &[&'static str] = match (ground.has_households(), everyone) {
            (true, true) => &["public.household_pairs", "public.profiles"],
            (true, false) => &["public.profiles"],
            (false, _) => &[],
        };
        let profile = profile.iter().chain(households);
        let (edges, refused) = (edges.iter(), refused.iter());
        match self {
            What::Merged => edges.copied().collect(),
            What::NotMerged => refused.copied().collect(),
            What::Waterfall => vec!["public.profile_identifiers", "public.profile_records"],
            What::MergeText => edges.chain(refused).copied().collect(),
            What::ProfileText if everyone => profile.chain(edges).chain(refused).copied().collect(),
            What::ProfileText => profile.copied().collect(),
        }
    }
}

/// A function in `FROM`.
struct Explaining {
    what: What,
    ground: Arc<Ground>,
}

impl fmt::Debug for Explaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl TableFunctionImpl for Explaining {
    fn call_with_args(
        &self,
        args: TableFunctionArgs<'_, '_>,
    ) -> DataFusionResult<Arc<dyn TableProvider>> {
        let what = self.what;
        let name = NAMES[What::ALL.iter().position(|known| *known == what).unwrap_or(0)];
        let read = match what {
            What::ProfileText => Arguments::one(name, args.exprs()),
            _ => Arguments::two(name, args.exprs()),
        };
        let arguments = read.map_err(failure)?;
        let ground = Arc::clone(&self.ground);
        let rows: Rows = Arc::new(move || {
            let (ground, arguments) = (Arc::clone(&ground), arguments.clone());
            Box::pin(async move { Ok(vec![ground.rows(what, &arguments).await?]) })
        });
        let reads = what.reads(&self.ground);
        Ok(Arc::new(SystemTable::new(name, what.columns(), rows).made_of(&reads)))
    }
}

/// Fails unless the statement sees everyone.
pub(crate) fn expect_everyone(access: &Access) -> Result<()> {
    if matches!(access.visible, Visible::Everyone) {
        return Ok(());
    }
    Err(Error::Denied {
        message: format!(
            "purpose \"{}\" does not explain merges, which tell of two persons at a time",
            access.purpose
        ),
        hint: "A purpose with LEGAL BASIS contract does.".into(),
    })
}

/// What explanations are made from: one published state, as a statement sees it.
struct Ground {
    engine: Engine,
    published: Arc<Published>,
    access: Arc<Access>,
}

impl Ground {
    fn of(engine: &Engine, access: &Arc<Access>, live: &Live) -> Self {
        let (engine, published) = (engine.clone(), Arc::clone(&live.published));
        Self { engine, published, access: Arc::clone(access) }
    }

    async fn rows(&self, what: What, arguments: &Arguments) -> Result<RecordBatch> {
        match (what, arguments) {
            (_, Arguments::Nothing) => Ok(RecordBatch::new_empty(what.columns())),
            (What::Merged, Arguments::Two(left, right)) => {
                self.expect_everyone()?;
                self.merged(left, right).await?.batch()
            }
            (What::NotMerged, Arguments::Two(left, right)) => {
                self.expect_everyone()?;
                not_merged::batch(&self.not_merged(left, right).await?)
            }
            (What::Waterfall, Arguments::Two(left, right)) => {
                self.expect_everyone()?;
                self.waterfall(left, right).await
            }
            (What::MergeText, Arguments::Two(left, right)) => {
                self.expect_everyone()?;
                text::batch(self.merge_lines(left, right).await?)
            }
            (What::ProfileText, Arguments::One(profile)) => {
                text::batch(self.profile_lines(*profile).await?)
            }
            _ => Ok(RecordBatch::new_empty(what.columns())),
        }
    }

    fn sees_everyone(&self) -> bool {
        matches!(self.access.visible, Visible::Everyone)
    }

    fn has_households(&self) -> bool {
        let in_force = self.published.state.graph_in_force.as_ref();
        in_force.is_some_and(|in_force| in_force.graph.has_households())
    }

    fn expect_everyone(&self) -> Result<()> {
        expect_everyone(&self.access)
    }

    /// Runs a query of onefold's own over what the statement sees.
    async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let people = &self.access.people;
        let visible = self.access.visible.clone();
        let relations = self.engine.internal_relations(&self.published, people, visible);
        let state = self.engine.planner().state(&relations.scope());
        let planned = plan(&state, relations.facts(), parse_one(sql)?).await?;
        let physical = physical(&state, &planned).await?;
        Ok(collect(physical, state.task_ctx()).await?)
    }
}
