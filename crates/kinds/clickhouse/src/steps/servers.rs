//! The servers that the steps `start` and `restart` plan.

use types::HostName;

use crate::rules::coordination::quorum::Quorum;
use crate::rules::need;
use crate::settings::Settings;
use kit::{Cx, Need, StepPlan, Task};

/// Whether a cluster is formed: some server knows it, and there is a quorum, or was.
pub(super) fn is_formed(quorum: &Quorum<'_>) -> bool {
    quorum.is_in_use() && quorum.view.answering().any(|(_, live)| !live.cluster.is_empty())
}

/// Whether servers start only after the voters were restarted, for there is no quorum: an old server would not survive its
/// start.
pub(super) fn start_late(quorum: &Quorum<'_>) -> bool {
    quorum.view.settings.zookeeper().is_some() && !quorum.is_available() && is_formed(quorum)
}

/// Whether a host's Keeper is outside the quorum that is available.
pub(super) fn joins(quorum: &Quorum<'_>, host: &HostName) -> bool {
    quorum.view.settings.keeper().is_some() && quorum.lacks(host)
}

/// The task that starts or restarts a server: the files that are taken at run time are in force with it as well, and its gate
/// asks for them.
pub(super) fn task(settings: &Settings, host: &HostName, need: &Need) -> Task {
    let task = need::server_process(settings, host).task(need);
    task.takes(need::files_at_run_time(settings))
}

/// The servers with a need.
pub(super) fn needs<'c>(quorum: &Quorum<'_>, cx: &Cx<'c>, plan: &mut StepPlan) -> Vec<(&'c HostName, Need)> {
    need::of_each(cx.hosts.iter(), plan, |host| need::server(quorum, host, cx))
}
