//! Notes on sentinels, and on instances that they see down; sentinels that systemd would not enable.

use plan::{Level, Refusal};
use protocol::UnitVerb;

use crate::observe::{Instance, Member, View, Watch};
use crate::rules::member_removal::LEAVE;
use kit::{Cx, Probe, StepPlan};

/// systemd enables one unit of an alias.
pub(super) fn enabled(member: &Member<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let (settings, host) = (member.settings, member.host);
    let (rival, own) = (settings.rival_sentinel()?, settings.sentinel.unit.as_str());
    let is_rival = member.has_rival_sentinel() || cx.tells(host, rival, UnitVerb::Enable);
    let is_enabled = member.sentinel_unit.as_ref().is_ok_and(|unit| unit.is_enabled());
    let refusal = Refusal::new(
        format!("nothing is changed on {host}"),
        format!(
            "{rival} is enabled there, and {own} has the same alias, sentinel.service: systemd would not enable it"
        ),
        format!("disable {rival} there, if nothing needs it, or give the services different hosts"),
    );
    (is_rival && !is_enabled).then(|| refusal.on(host))
}

pub(super) fn check(view: &View<'_>, all: &mut StepPlan) {
    let watching = view.watching();
    let hosts = view.members.listed.len();
    let (all_watch, known) = (watching.len() == hosts, hosts + view.former().len());
    for watch in &watching {
        let mut warn = |text: String| all.note(Level::Warning, Some(watch.member.host), text);
        let Watch { sentinel, master, .. } = watch;
        if master.is_down() {
            warn(format!("its sentinel says that the master is {}", master.flags()));
        }
        for replica in sentinel.replicas.iter().filter(|replica| replica.is_down()) {
            warn(down(view, replica));
        }
        if let (Err(words), true) = (&sentinel.quorum, all_watch) {
            warn(format!("its sentinel sees no quorum: {words}"));
        }
        let others = sentinel.others.len();
        if others + 1 > known {
            warn(format!(
                "its sentinel knows {others} others, and the service has {hosts} hosts: a majority is counted among all of \
                 them"
            ));
        }
    }
    for member in &view.members.listed {
        if let Probe::Denied(words) = &member.sentinel {
            let text = format!(
                "its sentinel does not let us ask, and passwords of sentinels are not supported: {words}"
            );
            all.note(Level::Warning, Some(member.host), text);
        }
    }
}

fn down(view: &View<'_>, replica: &Instance) -> String {
    let address = replica.ip();
    match view.at(address) {
        Some(member) => format!("its sentinel says that {} is {}", member.host, replica.flags()),
        None => format!(
            "its sentinel remembers a replica {} that is no host of this service; once it is gone for good, \
             --allow {LEAVE}={address} lets the sentinels forget it",
            replica.endpoint()
        ),
    }
}
