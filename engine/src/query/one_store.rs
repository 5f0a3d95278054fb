//! The store of the lake, which is the only one that a statement can read.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::Url;

use crate::error::Error;

/// A registry that knows the lake's store and no other, and learns none.
#[derive(Debug)]
pub(super) struct OneStore {
    pub(super) url: Url,
    pub(super) store: Arc<dyn ObjectStore>,
}

impl ObjectStoreRegistry for OneStore {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> DataFusionResult<Arc<dyn ObjectStore>> {
        if url.scheme() == self.url.scheme() && url.host_str() == self.url.host_str() {
            return Ok(Arc::clone(&self.store));
        }
        Err(DataFusionError::External(Box::new(Error::Denied {
            message: "no store but the lake's can be read".into(),
            hint: "Load files with CREATE SOURCE.".into(),
        })))
    }
}
