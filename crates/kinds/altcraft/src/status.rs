//! The state that `clusterctl status` shows, the budget, and the basis of a plan.

use std::collections::BTreeSet;

use kit::process_status;
use plan::{Basis, Budget, Facts, Health, MemberStatus, ServiceStatus};
use types::HostName;

use crate::observe::{Member, Run, View};
use crate::rules::startup::{difference, is_master};
use crate::settings::{Program, Settings};

/// The hosts that do not serve.
pub(crate) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let view = View::new(settings, facts);
    let down = view.members.listed.iter().filter(|member| !member.is_available());
    down.map(|member| member.host.clone()).collect()
}

/// One host at a time. A host that merely does not run does not count: it is started first, and restarts come after that,
/// behind its gates.
pub(crate) fn budget(settings: &Settings, facts: &Facts) -> Budget {
    let lost = settings
        .hosts
        .iter()
        .filter(|host| facts.unreachable(host).is_some());
    Budget {
        members: settings.hosts.iter().cloned().collect(),
        max_unavailable: 1,
        unavailable: lost.cloned().collect(),
    }
}

/// Its state.
pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let view = View::new(settings, facts);
    let hosts = || view.members.listed.iter();
    let runs = hosts().flat_map(|member| member.runs.iter().map(move |run| (member, run)));
    let members: Vec<MemberStatus> = runs.map(|(member, run)| process(settings, member, run)).collect();
    let serving = hosts().filter(|member| member.serves()).count();
    let masters = Program::ALL.map(|program| {
        let masters = hosts().filter(|member| is_master(member, program));
        let masters: Vec<&str> = masters.map(|member| member.host.as_str()).collect();
        let masters = if masters.is_empty() {
            "none".to_owned()
        } else {
            masters.join(", ")
        };
        format!("{program} master {masters}")
    });
    let worst = members.iter().map(|member| member.health).max();
    let health = match worst.unwrap_or(Health::Unknown) {
        Health::Healthy => Health::Healthy,
        _ if serving > 0 => Health::Degraded,
        worst => worst,
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "altcraft".to_owned(),
        health,
        summary: format!(
            "{serving} of {} serve, {}",
            settings.hosts.len(),
            masters.join(", ")
        ),
        members,
    }
}

fn process(settings: &Settings, member: &Member<'_>, run: &Run<'_>) -> MemberStatus {
    let (health, detail) = health(settings, member, run);
    let role = match (run.is_active(), is_master(member, run.process.program)) {
        (false, _) => "",
        (true, true) => "master",
        (true, false) => "slave",
    };
    let unit = run.unit.as_ref().ok().copied();
    MemberStatus {
        role: role.to_owned(),
        health,
        detail,
        ..process_status(member.host, run.process.program.to_string(), unit)
    }
}

fn health(settings: &Settings, member: &Member<'_>, run: &Run<'_>) -> (Health, String) {
    let unit = match (member.unreachable, &run.unit) {
        (Some(why), _) => return (Health::Unknown, why.to_owned()),
        (None, Err(unknown)) => return (Health::Unknown, unknown.to_string()),
        (None, Ok(unit)) => unit,
    };
    if !unit.is_active() {
        return (Health::Down, format!("{} is {}", run.process.unit, unit.active));
    }
    if let Some(why) = run.closed() {
        return (Health::Degraded, format!("port {}: {why}", run.process.port));
    }
    if let Some(difference) = difference(settings, run, member.host) {
        return (Health::Degraded, difference);
    }
    if let Some(newer) = member.newer_than(settings, run) {
        return (Health::Degraded, format!("main.json {newer}"));
    }
    let version = run.start.as_ref().map(|start| start.version.clone());
    (Health::Healthy, version.unwrap_or_default())
}

/// The basis of a plan: where the masters run, as far as the processes logged it.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let masters = Program::ALL.map(|program| {
        let members = view.members.listed.iter();
        let masters = members.filter(|member| member.run(program).logged_master() == Some(true));
        let masters: Vec<&str> = masters.map(|member| member.host.as_str()).collect();
        (program, masters.join(", "))
    });
    let known = masters.into_iter().filter(|(_, masters)| !masters.is_empty());
    known
        .map(|(program, masters)| Basis::new(format!("where {program} is the master"), &masters))
        .collect()
}
