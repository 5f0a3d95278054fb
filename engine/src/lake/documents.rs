//! Numbered documents: small objects `folder/00000000000000000017.json`, each created once and never changed.
//!
//! They carry the catalog: whoever creates number `n + 1` has published, and everybody else learns of it by the refusal.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use super::Lake;
use super::store::unavailable;
use crate::Result;

/// How often [`Lake::latest_document`] looks again when the one it found was pruned meanwhile.
const LOOKS_MAX: usize = 8;

/// Whether a document was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// This call, or a lost attempt of it, created the document.
    Yes,
    /// Another document has the number.
    AlreadyExists,
}

impl Lake {
    /// Returns the document with the highest number in `folder`, if there is any.
    pub async fn latest_document(&self, folder: &str) -> Result<Option<(u64, Bytes)>> {
        for _ in 0..LOOKS_MAX {
            let Some(number) = numbers(&*self.0.store, folder, None).await?.pop() else {
                return Ok(None);
            };
            if let Some(bytes) = self.document(folder, number).await? {
                return Ok(Some((number, bytes)));
            }
        }
        Err(crate::Error::Conflict {
            message: format!("documents in \"{folder}\" are replaced faster than they can be read"),
            hint: "Try again.".into(),
        })
    }

    /// Returns the document with this number, unless there is none or it was pruned.
    pub async fn document(&self, folder: &str, number: u64) -> Result<Option<Bytes>> {
        let location = location(folder, number);
        let failed = |source| unavailable(format_args!("read \"{location}\""), source);
        match self.0.store.get(&location).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    /// Creates the document `number`, unless it exists. When this returns, the document is durable. `bytes` must be
    /// unique to the caller (by an epoch or a nonce): equal bytes count as a lost attempt of the same call.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] if it is not known whether it was created.
    pub async fn create_document(
        &self,
        folder: &str,
        number: u64,
        bytes: Bytes,
    ) -> Result<Created> {
        let location = location(folder, number);
        match self.0.store.put_opts(&location, bytes.clone().into(), PutMode::Create.into()).await {
            Ok(_) => Ok(Created::Yes),
            Err(object_store::Error::AlreadyExists { .. }) => {
                match self.document(folder, number).await? {
                    Some(found) if found == bytes => Ok(Created::Yes),
                    _ => Ok(Created::AlreadyExists),
                }
            }
            // A failure may be that of the answer alone.
            Err(source) => match self.document(folder, number).await {
                Ok(Some(found)) if found == bytes => Ok(Created::Yes),
                Ok(Some(_)) => Ok(Created::AlreadyExists),
                _ => Err(unavailable(format_args!("create \"{location}\""), source)),
            },
        }
    }

    /// Tells whether no document of `folder` has a greater number. Whoever has created one and finds this true knows that
    /// nobody had created one of its number before, and removed it since.
    pub async fn is_newest(&self, folder: &str, number: u64) -> Result<bool> {
        Ok(numbers(&*self.0.store, folder, Some(number)).await?.is_empty())
    }

    /// Deletes all documents of `folder` but the `keep` newest ones; the newest is always kept.
    pub async fn prune_documents(&self, folder: &str, keep: usize) -> Result<()> {
        let mut numbers = numbers(&*self.0.store, folder, None).await?;
        numbers.truncate(numbers.len().saturating_sub(keep.max(1)));
        let old: Vec<_> = numbers.into_iter().map(|number| Ok(location(folder, number))).collect();
        let deleted = self.0.store.delete_stream(futures::stream::iter(old).boxed());
        let deleted: Result<Vec<_>, _> = deleted.try_collect().await;
        deleted.map_err(|source| unavailable(format_args!("prune \"{folder}\""), source))?;
        Ok(())
    }
}

/// Returns the numbers of the documents in `folder` that are greater than `after`, ascending.
pub(super) async fn numbers(
    store: &dyn ObjectStore,
    folder: &str,
    after: Option<u64>,
) -> Result<Vec<u64>> {
    let prefix = Path::from(folder);
    let listing = match after {
        Some(number) => store.list_with_offset(Some(&prefix), &location(folder, number)),
        None => store.list(Some(&prefix)),
    };
    let objects: Vec<_> = listing
        .try_collect()
        .await
        .map_err(|source| unavailable(format_args!("list \"{folder}\""), source))?;
    let mut numbers: Vec<u64> =
        objects.iter().filter_map(|object| number(&object.location)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn location(folder: &str, number: u64) -> Path {
    Path::from(format!("{folder}/{number:020}.json"))
}

fn number(location: &Path) -> Option<u64> {
    location.filename()?.strip_suffix(".json")?.parse().ok()
}
