//! A row of a service's status.

use plan::{Health, MemberStatus};
use protocol::facts::UnitFact;
use types::HostName;

/// The row of a process: healthy, without a role, and running since its unit was started, where that is known. Its kind says
/// what is otherwise.
pub fn process_status(host: &HostName, process: impl Into<String>, unit: Option<&UnitFact>) -> MemberStatus {
    let started = unit.filter(|unit| unit.is_active()).map(|unit| unit.started_us);
    MemberStatus {
        host: host.clone(),
        process: process.into(),
        role: String::new(),
        health: Health::Healthy,
        lag: String::new(),
        since_us: started.filter(|&started| started > 0),
        detail: String::new(),
    }
}
