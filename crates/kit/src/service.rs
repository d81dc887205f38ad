//! One service of the inventory: what a kind made of its settings, and all that the planner asks of it.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Basis, Budget, Facts, ServiceStatus, Verdict};
use protocol::FactQuery;
use types::{HostName, ServiceName};

use crate::offer::Offer;
use crate::step::{Cx, StepPlan};

/// One service of the inventory: its settings, and what follows from them.
pub trait Service: Send + Sync {
    /// Its name.
    fn name(&self) -> &ServiceName;

    /// Its kind's name.
    fn kind(&self) -> &'static str;

    /// Its hosts, in the inventory's order.
    fn hosts(&self) -> &[HostName];

    /// Hosts of the inventory that are no members, and may have been: they are asked [`Service::queries`] too, so that a
    /// former member is seen and can be told to leave.
    fn others(&self) -> Vec<HostName> {
        Vec::new()
    }

    /// Values for `{{ name }}` in its playbook: what its generic steps need to know, such as the package's name.
    fn vars(&self) -> BTreeMap<String, String>;

    /// The names of hosts that the service's processes resolve; they must resolve on every host of the service.
    fn names(&self) -> Vec<HostName>;

    /// What keeps it from serving on hosts with IPv6 addresses only: SSH would work there, and the service silently not.
    /// `None` where it serves.
    fn lacks_ipv6(&self) -> Option<&'static str> {
        Some(IPV4_ONLY)
    }

    /// The facts that it needs of a host, a member or one of the [`Service::others`].
    fn queries(&self, host: &HostName) -> Vec<FactQuery>;

    /// The tasks of one step, from the facts.
    fn plan_step(&self, step: &str, cx: &Cx<'_>) -> StepPlan;

    /// What a gate's check says of the facts.
    fn judge(&self, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict;

    /// The members that do not serve now; they count against the disruption budget.
    fn unavailable(&self, facts: &Facts) -> BTreeSet<HostName>;

    /// Its state.
    fn status(&self, facts: &Facts) -> ServiceStatus;

    /// The services that it uses: they are made healthy first.
    fn uses(&self) -> Vec<ServiceName> {
        Vec::new()
    }

    /// What clients need to know of it; `None` where no other service is to use it.
    fn offer(&self) -> Option<Offer> {
        None
    }

    /// How many members may be away at once while the service goes on serving: all but a majority, unless a kind knows
    /// better. An operator who asks for a wider budget than that is asked for consent.
    fn tolerates(&self) -> usize {
        minority(self.hosts())
    }

    /// What its part of a plan rests on: a plan that was saved is not run where that changed.
    fn basis(&self, _facts: &Facts) -> Vec<Basis> {
        Vec::new()
    }

    /// How many members may be unavailable at once, and which are. One, unless a kind knows better. No member that serves
    /// is disrupted while it is used up, so members that are down come first in a step: see [`Turn`](crate::Turn).
    fn budget(&self, facts: &Facts) -> Budget {
        one_at_a_time(self, facts)
    }
}

/// What services lack for IPv6, unless their kind knows better.
pub const IPV4_ONLY: &str = "its processes are set up for IPv4";

/// All but a majority.
pub(crate) fn minority(hosts: &[HostName]) -> usize {
    hosts.len().saturating_sub(1) / 2
}

/// The budget of a service that can lose one member at a time.
pub(crate) fn one_at_a_time<S: Service + ?Sized>(service: &S, facts: &Facts) -> Budget {
    Budget {
        members: service.hosts().iter().cloned().collect(),
        max_unavailable: 1,
        unavailable: service.unavailable(facts),
    }
}
