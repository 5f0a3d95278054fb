//! What is defined in a lake, and which version of each table is current.
//!
//! The catalog is a sequence of numbered documents, each a whole [`CatalogState`]: the definitions, the version of every
//! table, how far each source was read, and which inputs each derived table covers. A document is created only if its
//! number is free, so that publishing one makes several tables visible together or not at all. Readers hold a
//! [`Published`] and never wait; the newest document is the truth, and a table that ran ahead of it (a crash
//! between its commit and the publication) is rolled back when the lake is next opened for writing.

mod analytics;
mod check;
mod definition;
mod foreign_keys;
mod freshness;
mod identity;
mod order;
mod references;
mod sequences;
mod state;
mod store;

pub(crate) use analytics::reads_analytics;
pub use analytics::{
    ANALYTICS, AnalyticsBody, AnalyticsRelation, AnalyticsSchema, AnalyticsTable, AnalyticsView,
    CheckConstraint, Constraints, TEMPORARY, UniqueConstraint, is_reserved, keyed, placed,
    qualified,
};
pub use check::{check_identifiers, check_references, check_unused};
pub use definition::*;
pub use foreign_keys::{Deferral, ForeignKey, ReferenceAction};
pub use identity::*;
pub use order::SegmentOrder;
pub use references::references;
pub(crate) use references::{SegmentsRead, relations_read, segments_read};
pub use sequences::{
    AnalyticsSequence, Identity, NumberedColumn, SequenceOwner, SequenceRange, WholeNumber,
    object_name, sequence_of,
};
pub use state::{CatalogState, Coverage, GraphInForce, SourceState, TableState};
pub use store::{Catalog, Change, Published};
