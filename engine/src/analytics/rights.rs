//! Who may write what: roles with the right to, to what is theirs, and rows only where their readers may see them.

use super::rows::Persons;
use super::write::Seen;
use crate::catalog::{AnalyticsRelation, AnalyticsTable, Capability, LegalBasis, qualified};
use crate::error::{Error, Result};
use crate::identity::ProfileIds;
use crate::query::access::no_purpose;
use crate::query::session::QuerySession;

impl QuerySession {
    /// Fails unless the role may write at all.
    pub(super) fn require_write(&self) -> Result<()> {
        match self.require(Capability::Define, "") {
            Ok(()) => Ok(()),
            Err(_) => self.require(Capability::Write, "write to schema \"analytics\""),
        }
    }

    /// Fails unless the role may change a relation: it is its own, or the role may define everything.
    pub(super) fn require_owner(&self, name: &str, relation: &AnalyticsRelation) -> Result<()> {
        if relation.owner == self.role() || self.require(Capability::Define, "").is_ok() {
            return Ok(());
        }
        Err(Error::Denied {
            message: format!("must be owner of {} {name}", relation.word()),
            hint: format!(
                "Role \"{}\" made it. Roles with MAY (define) may change it, too.",
                relation.owner
            ),
        })
    }

    /// Fails unless rows of this provenance may be put into a table by this session.
    pub(super) fn may_fill(
        &self,
        seen: &Seen,
        name: &str,
        table: &AnalyticsTable,
        personal: bool,
        apart: bool,
    ) -> Result<()> {
        let purpose = self.viewer(&seen.live)?.purpose;
        let own = purpose.as_ref().map(|(purpose, _)| purpose);
        match &table.purpose {
            Some(bound) if own == Some(bound) => Ok(()),
            Some(bound) => Err(Error::Denied {
                message: format!(
                    "\"{}\" is filled for purpose \"{bound}\" alone",
                    qualified(name)
                ),
                hint: format!("SET cdp.purpose = '{bound}', if that is granted to your role."),
            }),
            None if !personal => Ok(()),
            None if apart && !matches!(purpose, Some((_, LegalBasis::Contract))) => Ok(()),
            None => Err(Error::Denied {
                message: format!(
                    "\"{}\" is open to every purpose, and these rows are not of one person each",
                    qualified(name)
                ),
                hint: "Put them into a table of their own, made with your purpose declared: it is bound to that purpose.".into(),
            }),
        }
    }

    /// Returns whom rows that this session writes may belong to.
    pub(super) fn persons(&self, seen: &Seen) -> Result<Persons> {
        let viewer = self.viewer(&seen.live)?;
        let access = self.access(&seen.live, &viewer)?;
        let access = access.ok_or_else(no_purpose)?;
        let ids = ProfileIds::new(seen.live.published.state.profile_key()?);
        let nobody = matches!(viewer.purpose, Some((_, LegalBasis::Contract)));
        Ok(Persons { access, ids, nobody })
    }
}
