//! Whether a service that others use is well: what they wait for where nothing that is planned proves it.
//!
//! What a plan changes of a service has gates of its own. Where it changes nothing, and the service is not well at the
//! moment of the look (a run was killed right after it started a member, say), it may be by the time that those who use it
//! have their turn; so they wait for it, for a while.

use plan::{Facts, Gate, Health, Verdict};
use services::Service;

/// The check.
const CHECK: &str = "service-is-well";
/// How long somebody waits for a service that he uses, in milliseconds.
const PATIENCE: u64 = 120_000;

/// What must be so before somebody who uses the service is touched.
pub(crate) fn gate(service: &dyn Service) -> Gate {
    let hosts = service.hosts().iter();
    Gate {
        service: Some(service.name().clone()),
        check: CHECK.to_owned(),
        host: None,
        title: format!("{} is well", service.name()),
        watch: hosts.map(|host| (host.clone(), service.queries(host))).collect(),
        limit_ms: PATIENCE,
    }
}

/// Whether a gate is such a one.
pub(crate) fn is_gate(gate: &Gate) -> bool {
    gate.check == CHECK
}

/// Why the service is not well; `None` where it is.
pub(crate) fn trouble(service: &dyn Service, facts: &Facts) -> Option<String> {
    let status = service.status(facts);
    (status.health != Health::Healthy).then_some(status.summary)
}

/// What the service says now.
pub(crate) fn judge(service: &dyn Service, facts: &Facts) -> Verdict {
    trouble(service, facts).map_or(Verdict::Pass, Verdict::Wait)
}
