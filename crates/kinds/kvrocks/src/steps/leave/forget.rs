//! The members' sentinels forget an address, one at a time.

use protocol::facts::RespCommand;

use crate::checks;
use crate::observe::{Instance, Member};
use crate::rules::commands::to_sentinel;
use crate::rules::preconditions::same_master;
use crate::rules::rollout::Rollout;
use kit::StepPlan;

pub(super) fn plan(rollout: &Rollout<'_, '_, '_>, address: &str, all: &mut StepPlan) {
    let Rollout { cx, view, master, .. } = rollout;
    let settings = view.settings;
    let is_master = view.at(address).is_some_and(|other| other.host == *master);
    for member in view.on(cx).filter(|member| knows(rollout, member, address)) {
        let host = member.host;
        let same_master = same_master(view, master, host, member).filter(|_| !is_master);
        let reset = RespCommand::new(["SENTINEL", "RESET", &settings.sentinel.master_name]);
        let title = format!("let the sentinel forget {address}");
        let reason = "a majority is counted among all sentinels that it ever met";
        let task = to_sentinel(settings, host, title, reason, vec![reset])
            .part(format!("forget-{address}"))
            .only_if(same_master)
            .before(checks::found(view, cx))
            .gate(checks::forgotten(view, cx, host, address));
        all.tasks.push(task);
    }
}

/// Whether a member's sentinel knows an address, or will: one that is started by this plan hears of it.
fn knows(rollout: &Rollout<'_, '_, '_>, member: &Member<'_>, address: &str) -> bool {
    let view = rollout.view;
    let Some(watch) = view.watch(member) else {
        return true;
    };
    let is_it = |known: &Instance| match view.at(address) {
        Some(other) => other.is_at(known.ip()),
        None => known.ip() == address,
    };
    watch
        .sentinel
        .masters
        .iter()
        .chain(watch.sentinel.peers())
        .any(is_it)
}
