//! The context in which arguments are read.

use std::collections::BTreeMap;

use config::{Findings, Inventory};
use kit::{Kinds, Service};
use types::{HostName, SourceId, Sources};

/// The context in which the arguments of a step are read.
#[derive(Clone, Copy)]
pub struct BuildCx<'a> {
    /// The inventory: its variables, and the addresses of its hosts.
    pub inventory: &'a Inventory,
    /// The service of the playbook, where it has one.
    pub service: Option<&'a dyn Service>,
    /// Every kind: a step may be of another one.
    pub kinds: Kinds,
    /// The hosts of the step; its arguments are rendered for each of them.
    pub hosts: &'a [HostName],
    /// The texts of templates, by the names that `templates` finds in a playbook.
    pub templates: &'a BTreeMap<String, SourceId>,
    /// Where those texts are.
    pub sources: &'a Sources,
    /// Where errors go.
    pub findings: &'a Findings,
}
