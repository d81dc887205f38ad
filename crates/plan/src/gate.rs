//! Gates: conditions that must hold before the run continues.
//!
//! After a member was restarted, only its service can say whether it is healthy again. A gate therefore names a
//! check of its service and the facts to watch; the executor gathers those facts until the [`Judge`], which knows
//! the services, passes it. So the executor knows no service, and a gate can be stored in a plan.

use std::collections::BTreeMap;

use protocol::FactQuery;
use serde::{Deserialize, Serialize};
use types::{HostName, ServiceName};

use crate::Facts;

/// A condition on facts that must come true within a time limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The service whose check it is; `None` for a check of the generic steps, which belong to no service.
    pub service: Option<ServiceName>,
    /// The check's name, e.g. `member-healthy`, or `generic.tcp`.
    pub check: String,
    /// The member in question; `None` for the service as a whole.
    pub host: Option<HostName>,
    /// In words: `db2 is running and sees all members`.
    pub title: String,
    /// The facts that the check needs, host by host.
    pub watch: BTreeMap<HostName, Vec<FactQuery>>,
    /// Time limit in milliseconds.
    pub limit_ms: u64,
}

/// What a check says of the facts at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The condition holds.
    Pass,
    /// Not yet, and what was seen: shown while waiting, and in the report when the limit passes.
    Wait(String),
    /// It will never hold, and why.
    Fail(String),
}

/// Decides whether a gate passes. The binary gives the executor one that asks the services.
pub trait Judge: Send + Sync {
    /// Judges a gate by facts that hold an answer to each query of [`Gate::watch`].
    fn judge(&self, gate: &Gate, facts: &Facts) -> Verdict;
}
