//! An answer that somebody records by a statement.

use super::{ConsentBook, LedgerRow, Status, append_recorded, normalizer};
use crate::audit::{Class, Entry};
use crate::catalog::{Capability, Kind};
use crate::engine::{Engine, Shown};
use crate::error::{Error, Result};
use crate::query::session::QuerySession;

impl Engine {
    /// Records somebody's answer; it is in force for every statement that begins after this returns.
    ///
    /// # Errors
    /// [`Error::Denied`] if the session may not, [`Error::Invalid`] if the identifier cannot be read,
    /// [`Error::Missing`] for an unknown kind or purpose.
    pub async fn record_consent(
        &self,
        session: &QuerySession,
        kind: &str,
        value: &str,
        purpose: &str,
        status: &str,
    ) -> Result<()> {
        session.require(Capability::Consent, "record consent")?;
        let parsed = Status::of(status).ok_or_else(|| Error::Invalid {
            message: format!("consent status \"{status}\" is not known"),
            hint: format!("Use one of {}.", Status::WORDS.join(", ")),
        })?;
        let _answering = self.answering().await?;
        let published = self.catalog().current();
        published.state.expect(Kind::Purpose, purpose)?;
        let normalizer = normalizer(&published)?.ok_or_else(|| Error::Missing {
            kind: "identity graph",
            name: "customer".into(),
            hint: "Create one: it says what identifiers there are and how they are normalised."
                .into(),
        })?;
        let normalized = normalizer.normalize(kind, value)?;
        let entry = Entry {
            role: session.role().to_owned(),
            purpose: purpose.to_owned(),
            class: Class::Consent,
            relations: vec!["public.consent_ledger".into()],
        };
        let _audited = self.audit().begin(entry).await?;
        let now = self.now();
        let row =
            LedgerRow { kind, value, purpose, status: status.trim(), at: now, by: session.role() };
        let change = append_recorded(self.catalog(), row).await?;
        let (kind, purpose) = (kind.to_owned(), purpose.to_owned());
        let take = move |book: &mut ConsentBook| {
            book.count_recorded();
            let identifier = book.record(&kind, &normalized, &purpose, parsed, now);
            let holders = identifier.into_iter().flat_map(|number| book.holders_of(number));
            Some(holders.map(|holder| holder.anchor).collect())
        };
        self.publish(change, Shown::Answers(Box::new(take))).await
    }
}
