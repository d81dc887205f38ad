//! The gate that a service is healthy: other services that use it wait for it where no step of the plan proves it.
//!
//! What a plan changes of a service has gates of its own. Where it changes nothing and the service was not healthy when
//! it was observed (a run was killed right after it started a member, for example), the service may be healthy by the
//! time its users are changed. So they wait for it, for a while.

use kit::Service;
use plan::{Facts, Gate, Health, Verdict};

/// The check, as saved plans spell it.
const CHECK: &str = "service-is-well";
/// How long the users of a service wait for it, in milliseconds.
const PATIENCE: u64 = 120_000;

/// The gate before the users of a service are changed.
pub(crate) fn gate(service: &dyn Service) -> Gate {
    let hosts = service.hosts().iter();
    Gate {
        service: Some(service.name().clone()),
        check: CHECK.to_owned(),
        host: None,
        title: format!("{} is healthy", service.name()),
        watch: hosts.map(|host| (host.clone(), service.queries(host))).collect(),
        limit_ms: PATIENCE,
    }
}

/// Whether a gate is a health gate.
pub(crate) fn is_gate(gate: &Gate) -> bool {
    gate.check == CHECK
}

/// Why the service is not healthy; `None` where it is.
pub(crate) fn problem(service: &dyn Service, facts: &Facts) -> Option<String> {
    let status = service.status(facts);
    (status.health != Health::Healthy).then_some(status.summary)
}

/// Judges the gate by the service's status.
pub(crate) fn judge(service: &dyn Service, facts: &Facts) -> Verdict {
    problem(service, facts).map_or(Verdict::Pass, Verdict::Wait)
}
