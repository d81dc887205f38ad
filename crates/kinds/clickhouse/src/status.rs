//! The state that `clusterctl status` shows, and what a plan rests on.

use std::collections::BTreeSet;

use plan::{Basis, Health, MemberStatus, ServiceStatus};

use crate::observe::coordination::voter::{Voter, VoterState};
use crate::observe::server::replies::Denial;
use crate::observe::view::{Member, View};
use crate::rules::coordination::quorum::Quorum;
use crate::rules::server::health::{lacks, missing_table, table_trouble};
use kit::{Probe, process_status};

/// The leader and the members of the quorum, as far as the voters tell; nothing where there is no quorum yet.
pub(crate) fn basis(quorum: &Quorum<'_>) -> Vec<Basis> {
    let mut basis = Vec::new();
    if let Some(leader) = quorum.leader() {
        basis.push(Basis::new("the leader of the quorum", &leader.name));
    }
    if let Some(mut names) = quorum.current.clone() {
        names.sort_unstable();
        basis.push(Basis::new("the members of the quorum", &names.join(", ")));
    }
    basis
}

/// The state of the cluster.
pub(crate) fn status(quorum: &Quorum<'_>) -> ServiceStatus {
    let view = quorum.view;
    let mut members = Vec::new();
    for member in &view.members.listed {
        members.push(server_status(view, member));
        if let Some(voter) = quorum.on(member.host) {
            members.push(voter_status(view, member, voter));
        }
    }
    let answering = view.answering().count();
    let all_healthy = members.iter().all(|member| member.health == Health::Healthy);
    let health = if all_healthy && quorum.trouble().is_none() {
        Health::Healthy
    } else if answering == 0 {
        let worst = members.iter().map(|member| member.health).max();
        worst.unwrap_or(Health::Unknown)
    } else {
        Health::Degraded
    };
    ServiceStatus {
        service: view.settings.name.clone(),
        kind: "clickhouse".to_owned(),
        health,
        summary: summary(quorum, answering),
        members,
    }
}

fn summary(quorum: &Quorum<'_>, answering: usize) -> String {
    let view = quorum.view;
    let tables = view
        .answering()
        .flat_map(|(_, live)| live.replicas.iter().flatten());
    let tables = match tables
        .map(|replica| &replica.table)
        .collect::<BTreeSet<_>>()
        .len()
    {
        1 => "1 replicated table".to_owned(),
        many => format!("{many} replicated tables"),
    };
    let state = match (quorum.leader(), quorum.trouble()) {
        _ if quorum.voters.is_empty() => "no quorum".to_owned(),
        (Some(leader), None) => format!("quorum of {} led by {}", quorum.voters.len(), leader.name),
        (_, Some(trouble)) => format!("quorum: {trouble}"),
        (None, None) => "quorum of one".to_owned(),
    };
    let all = view.settings.hosts.len();
    format!("{answering} of {all} answer, {tables}, {state}")
}

fn server_status(view: &View<'_>, member: &Member<'_>) -> MemberStatus {
    let settings = view.settings;
    let mut row = MemberStatus {
        health: Health::Down,
        ..process_status(member.host, "clickhouse", member.unit.as_ref().ok().copied())
    };
    match &member.server {
        Probe::Up(live) => {
            "replica".clone_into(&mut row.role);
            let delays = live.replicas.iter().flatten().map(|replica| replica.delay);
            if let Some(delay) = delays.max() {
                row.lag = format!("{delay} s");
            }
            let trouble = lacks(settings, member.host, live)
                .or_else(|| table_trouble(settings, live))
                .or_else(|| missing_table(view, live));
            row.health = match trouble {
                Some(_) => Health::Degraded,
                None => Health::Healthy,
            };
            row.detail = trouble.unwrap_or_else(|| live.version.clone());
        }
        Probe::Denied(Denial::Refused(why)) => (row.health, row.detail) = (Health::Degraded, why.clone()),
        Probe::Denied(Denial::Foreign(why)) | Probe::Unknown(why) => {
            (row.health, row.detail) = (Health::Unknown, why.clone());
        }
        Probe::Down(why) => row.detail.clone_from(why),
    }
    row
}

fn voter_status(view: &View<'_>, member: &Member<'_>, voter: &Voter) -> MemberStatus {
    let (role, health) = match voter.state {
        VoterState::Leader(_) => ("leader", Health::Healthy),
        VoterState::Follower => ("follower", Health::Healthy),
        VoterState::Standalone(_) if view.settings.members().len() == 1 => ("standalone", Health::Healthy),
        VoterState::Standalone(_) | VoterState::Looking => ("", Health::Degraded),
        VoterState::Down(_) => ("", Health::Down),
        VoterState::Silent(_) | VoterState::Unknown(_) => ("", Health::Unknown),
    };
    let unit = member.voter_unit.as_ref().ok().copied();
    MemberStatus {
        role: role.to_owned(),
        health,
        detail: match &voter.state {
            VoterState::Follower => String::new(),
            state => state.describe(),
        },
        ..process_status(member.host, view.settings.coordinator(), unit)
    }
}
