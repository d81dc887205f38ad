//! What the operator asks for: which part of the project, and what is added to the inventory for one plan.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use plan::{Consent, Facts, RunningUnits};
use serde::{Deserialize, Serialize};
use types::{HostName, ServiceName};

use crate::pauses::Pauses;

/// Which part of a project is planned; an empty set means all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// These services.
    pub services: BTreeSet<ServiceName>,
    /// These hosts.
    pub hosts: BTreeSet<HostName>,
}

/// What the operator adds to the inventory for one plan. A saved plan has it, so that the same plan can be made again:
/// what is added here gets a default by its type, and what is taken away stops old files from being read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Destructive actions that are consented to.
    pub consents: BTreeSet<Consent>,
    /// What ran when the operator requested a restart of the services in scope.
    pub restart: Option<RunningUnits>,
    /// How many members of each service may be unavailable at once, instead of what its kind says.
    pub max_unavailable: Option<NonZeroUsize>,
}

/// What a plan is made from, beside the rollouts.
pub(crate) struct PlanCx<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) scope: &'a Scope,
    /// The hosts of the services in scope; `None` where the scope names no service.
    pub(crate) scoped_hosts: Option<BTreeSet<HostName>>,
    pub(crate) options: &'a Options,
    pub(crate) pauses: &'a Pauses,
}

impl Scope {
    pub(crate) fn has_service(&self, name: &ServiceName) -> bool {
        self.services.is_empty() || self.services.contains(name)
    }

    pub(crate) fn has_host(&self, name: &HostName) -> bool {
        self.hosts.is_empty() || self.hosts.contains(name)
    }
}
