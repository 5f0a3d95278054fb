//! Who may write what: roles with the right to, to what is theirs, and rows only where their readers may see them.

use super::objects::definition_over;
use super::rows::Persons;
use super::write::{Seen, Written};
use crate::catalog::{
    AnalyticsBody, AnalyticsRelation, AnalyticsTable, Capability, LegalBasis, placed, qualified,
};
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
        let what = format!("{} {}", relation.word(), placed(name).1);
        self.require_owner_of(&what, &relation.owner)
    }

    /// Fails unless the role may change `what`, which `owner` made.
    pub(super) fn require_owner_of(&self, what: &str, owner: &str) -> Result<()> {
        if owner == self.role() || self.require(Capability::Define, "").is_ok() {
            return Ok(());
        }
        Err(Error::Denied {
            message: format!("must be owner of {what}"),
            hint: format!("Role \"{owner}\" made it. Roles with MAY (define) may change it, too."),
        })
    }

    /// Fails unless rows of this provenance may be put into a table by this session. Returns the purpose that the table is
    /// to be bound to with them, if they are the first that are not of one person each.
    pub(super) fn may_fill(
        &self,
        seen: &Seen,
        name: &str,
        personal: bool,
        apart: bool,
    ) -> Result<Option<String>> {
        let (relation, table) = seen.stored(name, "INSERT")?;
        let purpose = self.viewer(&seen.live)?.purpose;
        let own = purpose.as_ref().map(|(purpose, _)| purpose);
        match &table.purpose {
            Some(bound) if own == Some(bound) => Ok(None),
            Some(bound) => Err(Error::Denied {
                message: format!("\"{}\" is filled for purpose \"{bound}\" alone", qualified(name)),
                hint: format!("SET cdp.purpose = '{bound}', if that is granted to your role."),
            }),
            None if !personal => Ok(None),
            None if apart && !matches!(purpose, Some((_, LegalBasis::Contract))) => Ok(None),
            None => {
                let purpose = own.cloned().ok_or_else(no_purpose)?;
                // Others read it for other purposes: that is its owner's to end.
                if relation.owner != self.role() {
                    return Err(Error::Denied {
                        message: format!(
                            "\"{}\" is open to every purpose, and these rows are not of one person each",
                            qualified(name)
                        ),
                        hint: "Put them into a table of your own: it is bound to your purpose."
                            .into(),
                    });
                }
                match definition_over(&seen.live.published.state, name) {
                    Some(user) => Err(Error::Denied {
                        message: format!(
                            "\"{}\" is open to every purpose as {} \"{}\" reads it, and these rows are not of one person each",
                            qualified(name),
                            user.body.kind().word(),
                            user.name
                        ),
                        hint: "Put them into a table of their own: it is bound to your purpose."
                            .into(),
                    }),
                    None => Ok(Some(purpose)),
                }
            }
        }
    }

    /// Binds a table to a purpose, if [`QuerySession::may_fill`] said so: nobody else reads it from then on.
    pub(super) fn bind(
        &self,
        seen: &Seen,
        name: &str,
        purpose: Option<String>,
        written: Written,
    ) -> Result<Written> {
        let Some(purpose) = purpose else { return Ok(written) };
        let (relation, table) = seen.stored(name, "INSERT")?;
        let notice = format!(
            "\"{}\" is read for purpose \"{purpose}\" alone from now on: rows of several people meet in it",
            qualified(name)
        );
        let table = AnalyticsTable { purpose: Some(purpose), ..table.clone() };
        let bound = AnalyticsRelation { body: AnalyticsBody::Table(table), ..relation.clone() };
        self.staged().lock().put(&seen.base.published, name, Some(bound));
        Ok(written.noticed(notice))
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
