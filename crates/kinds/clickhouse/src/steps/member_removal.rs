//! The second round of a change of the quorum: the voters do without the departing one, now that all others are in it.
//!
//! Each learns of it by itself: its file is written, its process restarted, and the quorum complete again before the next.
//! The departing voter votes until the last has learned; it is stopped then.

use types::HostName;

use crate::checks;
use crate::rules::coordination::election;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::file_change::Stop;
use crate::steps::{departing_voter, voter_list};
use kit::{Cx, StepPlan, Task};

/// Plans the round.
pub(super) fn plan(quorum: &Quorum<'_>, cx: &Cx<'_>, plan: &mut StepPlan) {
    let settings = quorum.view.settings;
    let is_small = settings.zookeeper().is_some() && quorum.membership.is_small();
    let stopped = departing_voter::stop(quorum, cx);
    if is_small {
        plan.tasks.extend(stopped.clone());
    } else {
        plan.tasks.extend(departing_voter::step_down(quorum, cx));
    }
    // A host that stays a replica, and votes no more, has a file of Keeper's nodes as well.
    let replicas = cx.hosts.iter().filter(|host| !quorum.membership.has(host));
    let replicas = replicas.filter(|_| settings.keeper().is_some());
    let mut voters: Vec<&HostName> = cx
        .hosts
        .iter()
        .filter(|host| quorum.membership.has(host))
        .collect();
    let turn = election::turn(quorum, cx);
    voters.sort_by_key(|host| turn(host));
    for host in voters.into_iter().chain(replicas) {
        plan.add(host, relearn(quorum, host, cx));
    }
    if !is_small {
        let stays = |task: &Task| cx.hosts.contains(&task.host);
        plan.tasks.extend(stopped.into_iter().filter(stays));
    }
}

/// A voter's file is written, and it restarts.
fn relearn(quorum: &Quorum<'_>, host: &HostName, cx: &Cx<'_>) -> Result<Vec<Task>, Stop> {
    let settings = quorum.view.settings;
    let Some(write) = voter_list::write(quorum, host, cx)? else {
        return Ok(Vec::new());
    };
    let reason = "it reads its members at its start only, and one of them leaves";
    let restart = voter_list::restart(quorum, host, reason, cx).part("second");
    let restart = match settings.zookeeper() {
        Some(_) => restart.gate(checks::reached(settings, cx)),
        None => restart
            .before(checks::quorum(settings, cx))
            .gate(checks::serving(settings, cx, host)),
    };
    Ok(vec![write, restart])
}
