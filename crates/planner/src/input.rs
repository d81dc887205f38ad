//! What a project is read from.

use std::collections::BTreeMap;

use types::{SourceId, Sources};

/// The texts of a project, and when it is read.
pub struct Input<'a> {
    /// Where the texts are.
    pub sources: &'a Sources,
    /// The inventory.
    pub inventory: SourceId,
    /// What is laid over it, in order.
    pub overlays: Vec<SourceId>,
    /// The playbooks: the built-in ones or those that take their place.
    pub playbooks: Vec<PlaybookText>,
    /// The playbook that is run instead of all others.
    pub only: Option<PlaybookText>,
    /// The templates that playbooks name.
    pub templates: BTreeMap<String, SourceId>,
    /// The time, in microseconds since 1970: pauses before it are over.
    pub now_us: i64,
}

/// A playbook's text.
#[derive(Debug, Clone)]
pub struct PlaybookText {
    /// Its name: the file's, without the ending.
    pub name: String,
    /// Its text.
    pub source: SourceId,
    /// Whether it takes the place of a built-in one.
    pub overrides: bool,
}
