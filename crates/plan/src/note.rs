//! What the planner has to say beside the nodes: notes, refusals, and what it could not plan.

use serde::{Deserialize, Serialize};
use types::{HostName, ServiceName};

/// How much a note asks for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know: who leads now, which playbook is in force.
    Info,
    /// The operator should look at it.
    Warning,
}

/// Something that the operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How much it asks for attention.
    pub level: Level,
    /// The service it is about.
    pub service: Option<ServiceName>,
    /// The host it is about.
    pub host: Option<HostName>,
    /// One or two sentences.
    pub text: String,
}

/// Something dangerous or impossible that was not planned. What depends on it is not planned either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The service it protects.
    pub service: Option<ServiceName>,
    /// The host it is about.
    pub host: Option<HostName>,
    /// What is not done: `db2 does not join the cluster`.
    pub what: String,
    /// The proof that failed: `it holds the queue "orders" in the virtual host "/"`.
    pub why: String,
    /// What the operator can do.
    pub way_out: String,
    /// The consent that would allow it, where one can.
    pub consent: Option<Consent>,
}

/// The operator's consent to one destructive action on one host: `--allow rabbitmq.reset=db2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Consent {
    /// The action, `kind.verb`.
    pub action: String,
    /// The host.
    pub host: HostName,
}

/// Work that may be needed but could not be planned, because what it depends on is out of reach or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplanned {
    /// The service.
    pub service: Option<ServiceName>,
    /// The step of its playbook.
    pub step: String,
    /// The host.
    pub host: HostName,
    /// Why.
    pub why: String,
}

impl std::fmt::Display for Consent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.action, self.host)
    }
}
