//! Whether the names that a service's processes use resolve on its hosts, and to what.
//!
//! The planner asks this of every service before its own steps: a member that cannot find another does not fail at
//! once, it fails in the middle of joining a cluster.

use std::net::IpAddr;

use plan::{Level, Refusal, Unknown};
use protocol::facts::ResolveQuery;
use protocol::{FactQuery, Operation, Query};
use types::HostName;

use super::hosts_file;
use kit::Service;
use kit::{Cx, StepPlan};

/// The facts that [`check`] needs of each host of a service.
pub fn queries(service: &dyn Service) -> Vec<FactQuery> {
    let names = service.names().into_iter();
    names.map(|name| query(&name).wrap()).collect()
}

fn query(name: &HostName) -> ResolveQuery {
    ResolveQuery {
        name: name.to_string(),
    }
}

/// Refuses to touch a service on hosts where its names do not resolve, and warns where a host takes its own name
/// for a loopback address.
pub fn check(service: &dyn Service, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    for host in cx.hosts {
        match Resolved::on(host, service, cx) {
            Ok(resolved) => resolved.tell(host, service, &mut plan),
            Err(unknown) => plan.unplanned.push((host.clone(), unknown.to_string())),
        }
    }
    plan
}

/// What became of a service's names on one host.
#[derive(Default)]
struct Resolved {
    /// Names that have no address.
    unknown: Vec<String>,
    /// Names of other hosts that lead back to this one.
    misled: Vec<String>,
    /// The host's own name with the loopback address that it has there.
    own: Option<(String, IpAddr)>,
}

impl Resolved {
    fn on(host: &HostName, service: &dyn Service, cx: &Cx<'_>) -> Result<Self, Unknown> {
        let coming = cx.earlier_on(host).rev().find_map(|operation| match operation {
            Operation::WriteFile { path, text, .. } if path == hosts_file::PATH => Some(text.as_str()),
            _ => None,
        });
        let coming = coming.unwrap_or_default();
        let mut resolved = Self::default();
        for name in service.names() {
            let fact = cx.facts.get(host, &query(&name))?;
            let first: Option<IpAddr> = fact.addresses.first().and_then(|address| address.parse().ok());
            match first {
                Some(address) if address.is_loopback() && is_own(host, &name) => {
                    resolved.own = Some((name.to_string(), address));
                }
                Some(address) if address.is_loopback() => {
                    resolved.misled.push(format!("{name} to {address}"));
                }
                None if fact.addresses.is_empty() => {
                    let named = hosts_file::entries(coming).any(|(_, given)| given == name.as_str());
                    resolved.unknown.extend((!named).then(|| name.to_string()));
                }
                _ => {}
            }
        }
        Ok(resolved)
    }

    fn tell(self, host: &HostName, service: &dyn Service, plan: &mut StepPlan) {
        if let Some((name, address)) = self.own {
            plan.note(
                Level::Warning,
                Some(host),
                format!(
                    "{host} takes its own name {name} for {address}: what listens there by name is out of others' reach. \
                     Take the name off that line of /etc/hosts"
                ),
            );
        }
        let mut refuse = |why: String, way_out: &str| {
            plan.refusals.push(Refusal {
                service: Some(service.name().clone()),
                host: Some(host.clone()),
                what: format!("nothing of {} is changed on {host}", service.name()),
                why,
                way_out: way_out.to_owned(),
                consent: None,
            });
        };
        if !self.unknown.is_empty() {
            let why = format!("{} cannot be resolved there", self.unknown.join(", "));
            refuse(
                why,
                "set manage_hosts_file = true in the inventory, with numeric addresses under [hosts], or add the names \
                 to DNS",
            );
        }
        if !self.misled.is_empty() {
            let why = format!("it resolves {}, which is itself", self.misled.join(", "));
            refuse(why, "correct these lines of its /etc/hosts");
        }
    }
}

fn is_own(host: &HostName, name: &HostName) -> bool {
    name == host || name.as_str() == host.short() || host.as_str() == name.short()
}
