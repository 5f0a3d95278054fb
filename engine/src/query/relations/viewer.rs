//! Who names relations, and what that role may do.

use crate::catalog::{Capability, LegalBasis};

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Viewer {
    /// The role.
    pub role: String,
    /// What it may do.
    pub capabilities: Vec<Capability>,
    /// The declared purpose and what allows it.
    pub purpose: Option<(String, LegalBasis)>,
}

impl Viewer {
    /// Tells whether the role has `capability`.
    pub fn may(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Tells whether the role looks after the lake: sources, refreshes, rows set aside.
    pub fn operates(&self) -> bool {
        [Capability::Define, Capability::Refresh, Capability::Audit]
            .iter()
            .any(|capability| self.may(*capability))
    }
}
