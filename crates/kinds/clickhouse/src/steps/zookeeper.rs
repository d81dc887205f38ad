//! The `ZooKeepers` that steps start and restart.

use protocol::{Fact, FactQuery, Precondition};
use types::HostName;

use crate::observe::coordination::queries;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::need;
use crate::settings::{Settings, ZooKeeper};
use kit::{Cx, Need, StepPlan, Task};

/// The voters with a need.
pub(super) fn needs<'c>(
    quorum: &Quorum<'_>,
    zookeeper: &ZooKeeper,
    cx: &Cx<'c>,
    plan: &mut StepPlan,
) -> Vec<(&'c HostName, Need)> {
    let voters = cx.hosts.iter().filter(|host| quorum.membership.has(host));
    need::of_each(voters, plan, |host| need::zookeeper(quorum, zookeeper, host, cx))
}

/// Restarts a voter only while it is in the same state as when the plan was made: it may have come back by itself.
pub(super) fn only_idle(task: Task, settings: &Settings, cx: &Cx<'_>) -> Task {
    let host = task.host.clone();
    let conditions = queries::words(settings).into_iter().filter_map(|query| {
        let fact = cx.facts.get(&host, &query).ok()?;
        Some(Precondition {
            what: format!("the ZooKeeper on {host} is outside the quorum"),
            fact: Fact::Words(fact.clone()),
            query: FactQuery::Words(query),
        })
    });
    task.only_if(conditions)
}
