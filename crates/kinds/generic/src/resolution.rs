//! Resolution of the names that a service's processes use, on each of its hosts.
//!
//! The planner asks this of every service before its own steps: a member that cannot find another does not fail at
//! once, it fails in the middle of joining a cluster.

use std::net::IpAddr;

use kit::{Cx, Service, StepPlan};
use plan::{Level, Refusal, Unknown};
use protocol::facts::ResolveQuery;
use protocol::{FactQuery, Query, Text};
use types::HostName;

use crate::files::etc_hosts;

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

/// Refuses to change a service on hosts where its names do not resolve, or to IPv6 addresses alone, and warns where a host resolves its own name to a
/// loopback address.
pub fn check(service: &dyn Service, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    for host in cx.hosts {
        match Resolved::on(host, service, cx) {
            Ok(resolved) => resolved.report(host, service, &mut plan),
            Err(unknown) => plan.unplanned.push((host.clone(), unknown.to_string())),
        }
    }
    plan
}

/// The names of a service as one host resolves them.
#[derive(Default)]
struct Resolved {
    /// Names without an address.
    unresolved: Vec<String>,
    /// Names of other hosts that resolve to this one.
    misdirected: Vec<String>,
    /// Names that resolve to IPv6 addresses only, with the first.
    only_ipv6: Vec<String>,
    /// The host's own name with the loopback address that it has there.
    own: Option<(String, IpAddr)>,
}

impl Resolved {
    fn on(host: &HostName, service: &dyn Service, cx: &Cx<'_>) -> Result<Self, Unknown> {
        let coming = cx.text_to_come(host, etc_hosts::PATH).map_or("", Text::as_str);
        let mut resolved = Self::default();
        for name in service.names() {
            let fact = cx.facts.get(host, &query(&name))?;
            let first: Option<IpAddr> = fact.addresses.first().and_then(|address| address.parse().ok());
            match first {
                Some(address) if address.is_loopback() && is_own(host, &name) => {
                    resolved.own = Some((name.to_string(), address));
                }
                Some(address) if address.is_loopback() => {
                    resolved.misdirected.push(format!("{name} to {address}"));
                }
                None if fact.addresses.is_empty() => {
                    let named = etc_hosts::entries(coming).any(|(_, given)| given == name.as_str());
                    resolved.unresolved.extend((!named).then(|| name.to_string()));
                }
                _ => {}
            }
            let to_come = etc_hosts::entries(coming).filter(|(_, given)| *given == name.as_str());
            let now = fact.addresses.iter().filter_map(|address| address.parse().ok());
            let mut addresses = now.chain(to_come.map(|(address, _)| address)).peekable();
            if let Some(first) = addresses.peek().copied()
                && !first.is_loopback()
                && addresses.all(|address: IpAddr| address.is_ipv6())
            {
                resolved.only_ipv6.push(format!("{name} to {first}"));
            }
        }
        Ok(resolved)
    }

    fn report(self, host: &HostName, service: &dyn Service, plan: &mut StepPlan) {
        if let Some((name, address)) = self.own {
            plan.note(
                Level::Warning,
                Some(host),
                format!(
                    "{host} resolves its own name {name} to {address}: what listens there by name is unreachable for others. \
                     Remove the name from that line of /etc/hosts"
                ),
            );
        }
        let mut refuse = |why: String, resolve: &str| {
            let what = format!("nothing of {} is changed on {host}", service.name());
            plan.refusals.push(Refusal {
                service: Some(service.name().clone()),
                ..Refusal::new(what, why, resolve).on(host)
            });
        };
        if !self.unresolved.is_empty() {
            let why = format!("{} cannot be resolved there", self.unresolved.join(", "));
            refuse(
                why,
                "set manage_hosts_file = true in the inventory, with numeric addresses under [hosts], or add the names \
                 to DNS",
            );
        }
        if !self.misdirected.is_empty() {
            let why = format!("it resolves {}, which is itself", self.misdirected.join(", "));
            refuse(why, "correct these lines of its /etc/hosts");
        }
        if let (false, Some(lack)) = (self.only_ipv6.is_empty(), service.lacks_ipv6()) {
            let why = format!(
                "it resolves {}, IPv6 addresses alone, and {lack}",
                self.only_ipv6.join(", ")
            );
            refuse(
                why,
                "give these hosts IPv4 addresses, under [hosts] with manage_hosts_file = true or in DNS",
            );
        }
    }
}

fn is_own(host: &HostName, name: &HostName) -> bool {
    name == host || name.as_str() == host.short() || host.as_str() == name.short()
}
