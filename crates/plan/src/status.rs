//! A service's state as `clusterctl status` shows it.

use serde::{Deserialize, Serialize};
use types::{HostName, ServiceName};

/// The health of a member or a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As described.
    Healthy,
    /// It is available, and something is wrong.
    Degraded,
    /// It is not available.
    Down,
    /// It could not be asked.
    Unknown,
}

/// One member of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// The host.
    pub host: HostName,
    /// The process on the host, where a service has several: `redis`, `sentinel`.
    pub process: String,
    /// Its role: `master`, `replica`, `disc`, ...
    pub role: String,
    /// Its health.
    pub health: Health,
    /// How far it is behind, in the service's own unit: `0 B`, `3 s`; empty where it has none.
    pub lag: String,
    /// When its main process was started, microseconds since 1970; `None` where it does not run.
    pub since_us: Option<i64>,
    /// What is wrong, or another detail.
    pub detail: String,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name in the inventory.
    pub service: ServiceName,
    /// Its kind.
    pub kind: String,
    /// Its health as a whole.
    pub health: Health,
    /// One line: `3 of 3 running, policy ha-all in 1 virtual host`.
    pub summary: String,
    /// Its members, in the inventory's order.
    pub members: Vec<MemberStatus>,
}
