//! Publishing: a change becomes the next document, and readers see it.
//!
//! Whoever changes the lake holds one of four locks, for derived tables, for answers, for the notes on runs or for what
//! analysts make, from reading what is published until it has published. A statement that is cancelled gives its lock back
//! at once, but what it publishes goes on to its end, and whoever takes a lock next waits for that and starts from what
//! came of it. So a change that was broken off before its publication never was, and one that was broken off during it is
//! made and seen.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{MutexGuard, OwnedMutexGuard};

use super::{Engine, Live, Writing};
use crate::catalog::{Body, Change, Kind, LegalBasis, Published, Purpose};
use crate::consent::{self, Answers, ConsentBook, answered, revised};
use crate::error::Result;
use crate::query::access::{People, Visible};

/// Takes what was published into the book, and returns the anchors of the people whom it concerns, or `None` for everybody.
pub(crate) type Take = Box<dyn FnOnce(&mut ConsentBook) -> Option<BTreeSet<u32>> + Send>;

/// Decides who may be seen for a purpose, where only some may be others than before.
type Revise = fn(&ConsentBook, &People, &str, LegalBasis, &Visible, &BTreeSet<u32>) -> Visible;

/// What a publication means for who may be seen.
pub(crate) enum Shown {
    /// Nothing.
    AsBefore,
    /// Purposes may be others.
    Definitions,
    /// There are new answers.
    Answers(Take),
    /// Subjects belong to other profiles, or profiles have other identifiers.
    People(Arc<People>, Take),
}

impl Engine {
    /// Waits until nobody else adds answers to the consent ledger or lets rows leave.
    ///
    /// Whoever lets rows leave holds this until they are there, also when nobody waits for that any more.
    pub(crate) async fn answering(&self) -> Result<OwnedMutexGuard<()>> {
        let answering = Arc::clone(&self.0.answering).lock_owned().await;
        self.settle().await?;
        Ok(answering)
    }

    /// Waits until nobody else notes how a run goes.
    pub(crate) async fn noting(&self) -> Result<OwnedMutexGuard<()>> {
        let noting = Arc::clone(&self.0.noting).lock_owned().await;
        self.settle().await?;
        Ok(noting)
    }

    /// Waits until nobody else changes what is published of the schema `analytics`.
    pub(crate) async fn analyzing(&self) -> Result<OwnedMutexGuard<()>> {
        let analyzing = Arc::clone(&self.0.analytics.turn).lock_owned().await;
        self.settle().await?;
        Ok(analyzing)
    }

    /// Waits until nobody else writes.
    pub(crate) async fn writing(&self) -> Result<MutexGuard<'_, Writing>> {
        let writing = self.0.writing.lock().await;
        self.settle().await?;
        Ok(writing)
    }

    /// Waits for a publication that goes on, and finds out about one that may have been made although it failed.
    async fn settle(&self) -> Result<()> {
        let showing = Arc::clone(&self.0.showing).lock_owned().await;
        let engine = self.clone();
        let settle = async move {
            let _showing = showing;
            if engine.0.catalog.settle().await? {
                engine.load_people().await?;
            }
            Ok(())
        };
        self.0.catalog.lake().complete(settle).await
    }

    /// Publishes `change` and makes it visible to readers, together with what it means for who may be seen. Once it has
    /// begun, it is done whether anybody waits for it or not.
    pub(crate) async fn publish(&self, change: Change, shown: Shown) -> Result<()> {
        let showing = Arc::clone(&self.0.showing).lock_owned().await;
        let engine = self.clone();
        let publish = async move {
            let _showing = showing;
            let published = engine.0.catalog.publish(change).await?;
            engine.show(published, shown);
            Ok(())
        };
        self.0.catalog.lake().complete(publish).await
    }

    fn show(&self, published: Arc<Published>, shown: Shown) {
        let before = self.live();
        let changes = !matches!(shown, Shown::AsBefore);
        let (people, visible) = match shown {
            Shown::AsBefore => (Arc::clone(&before.people), before.visible.clone()),
            Shown::Definitions => {
                let people = Arc::clone(&before.people);
                let nobody = BTreeSet::new();
                let visible = self.visible(&published, &people, &before, Some(&nobody), revised);
                (people, visible)
            }
            Shown::Answers(take) => {
                let anchors = take(&mut self.0.book.write());
                let people = Arc::clone(&before.people);
                let visible =
                    self.visible(&published, &people, &before, anchors.as_ref(), answered);
                (people, visible)
            }
            Shown::People(people, take) => {
                let anchors = take(&mut self.0.book.write());
                let visible = self.visible(&published, &people, &before, anchors.as_ref(), revised);
                (people, visible)
            }
        };
        self.0.live.store(Arc::new(Live { published, people, visible }));
        self.0.kept.forget();
        if changes {
            self.0.epoch.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Decides who may be seen for each purpose: anew by `revise` for the people with the anchors `changed`, or for all; the
    /// others as in `before`, unless the purpose is new or another one.
    fn visible(
        &self,
        published: &Published,
        people: &People,
        before: &Live,
        changed: Option<&BTreeSet<u32>>,
        revise: Revise,
    ) -> HashMap<String, Visible> {
        let book = self.0.book.read();
        let decide = |name: &str, purpose: &Purpose| {
            let was = purpose_of(&before.published, name).filter(|was| was.basis == purpose.basis);
            match (changed, was.and_then(|_| before.visible.get(name))) {
                (Some(changed), Some(before)) => {
                    revise(&book, people, name, purpose.basis, before, changed)
                }
                _ => consent::visible(&book, people, name, purpose.basis),
            }
        };
        let purposes = published.state.of_kind(Kind::Purpose).filter_map(|definition| {
            let purpose = purpose_of(published, &definition.name)?;
            Some((definition.name.clone(), decide(&definition.name, purpose)))
        });
        purposes.collect()
    }

    /// Reads people and consent from the lake, as a process does that has just opened it.
    pub(super) async fn load_people(&self) -> Result<()> {
        let (published, lake) = (self.0.catalog.current(), self.0.catalog.lake());
        let people = Arc::new(crate::identity_refresh::load_people(lake, &published).await?);
        let mut loaded = ConsentBook::default();
        crate::identity_refresh::load_identifiers(lake, &published, &mut loaded).await?;
        let normalizer = consent::normalizer(&published)?;
        Answers::read(lake, &published, normalizer).await?.replace_in(&mut loaded);
        let take = move |book: &mut ConsentBook| {
            *book = loaded;
            None
        };
        self.show(published, Shown::People(people, Box::new(take)));
        Ok(())
    }
}

fn purpose_of<'a>(published: &'a Published, name: &str) -> Option<&'a Purpose> {
    match published.state.get(Kind::Purpose, name).map(|definition| &definition.body) {
        Some(Body::Purpose(purpose)) => Some(purpose),
        _ => None,
    }
}
