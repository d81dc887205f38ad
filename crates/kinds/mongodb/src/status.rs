//! The state of a replica set, its budget, and the facts that a saved plan rests on.

use formats::replset::{MemberConfig, SetConfig};
use kit::{Probe, process_status};
use plan::{Basis, Budget, Facts, Health, MemberStatus, ServiceStatus};

use crate::observe::replset_status::State;
use crate::observe::{Member, Membership, Server, View};
use crate::rules::availability;
use crate::rules::drift::drift;
use crate::rules::oplog;
use crate::settings::Settings;

/// The state of the set and of its members.
pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let view = View::new(settings, facts);
    let members: Vec<MemberStatus> = view.listed().iter().map(|member| row(&view, member)).collect();
    let has = |health| members.iter().any(|member| member.health == health);
    let health = match view.primary() {
        Some(_) if members.iter().all(|member| member.health == Health::Healthy) => Health::Healthy,
        Some(_) => Health::Degraded,
        None if has(Health::Unknown) => Health::Unknown,
        None => Health::Down,
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "mongodb".to_owned(),
        health,
        summary: summary(&view),
        members,
    }
}

/// One at a time: how many may be unavailable depends on the voters, and those change while members join and leave.
pub(crate) fn budget(settings: &Settings, facts: &Facts) -> Budget {
    let unavailable = availability::unavailable(&View::new(settings, facts));
    Budget {
        members: settings.hosts.iter().chain(&unavailable).cloned().collect(),
        max_unavailable: 1,
        unavailable,
    }
}

/// The facts that a plan rests on: the primary and its term, and the configuration in force. None where there is no set.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let mut basis = Vec::new();
    if let Some((primary, _)) = view.primary() {
        basis.push(Basis::new("the primary", primary.host));
    }
    let terms = view
        .in_set()
        .filter_map(|(_, server)| server.status.as_ref()?.term);
    if let Some(term) = terms.max() {
        basis.push(Basis::new("the term of the replica set", &term));
    }
    if let Some(config) = &view.config {
        let members = config.members();
        let mut members: Vec<&str> = members.iter().map(MemberConfig::name).collect();
        members.sort_unstable();
        basis.push(Basis::new("the version of its configuration", &config.version()));
        basis.push(Basis::new("its members", &members.join(", ")));
    }
    basis
}

fn summary(view: &View<'_>) -> String {
    let set = &view.settings.replica_set;
    if !view.has_set() {
        return format!("no member of {set} answers");
    }
    let available = view.in_set().filter(|(_, server)| server.role.is_some()).count();
    let config = view.config.as_ref().map(SetConfig::members);
    let all = config.map_or(view.listed().len(), |members| members.len());
    let primary = match view.primary() {
        Some((member, _)) => format!("primary {}", member.host),
        None => "no primary".to_owned(),
    };
    let window = oplog::window(view).map_or(String::new(), |window| format!(", oplog of {window}"));
    format!("{set}: {primary}, {available} of {all} members available{window}")
}

fn row(view: &View<'_>, member: &Member<'_>) -> MemberStatus {
    let mut row = process_status(member.host, "mongod", member.unit.as_ref().ok().copied());
    let server = match (&member.server, member.unreachable) {
        (Probe::Up(server), None) => server,
        (Probe::Down(why), None) => {
            row.health = Health::Down;
            row.detail.clone_from(why);
            return row;
        }
        (probe, unreachable) => {
            row.health = Health::Unknown;
            row.detail = match probe {
                Probe::Denied(error) => error.to_string(),
                Probe::Unknown(why) => why.clone(),
                Probe::Up(_) | Probe::Down(_) => unreachable.unwrap_or_default().to_owned(),
            };
            return row;
        }
    };
    row.health = Health::Degraded;
    match &server.membership {
        Membership::Member => member_row(view, member, server, &mut row),
        Membership::Standalone => "it does not replicate".clone_into(&mut row.detail),
        Membership::Uninitiated => "it waits for the set's configuration".clone_into(&mut row.detail),
        Membership::OtherSet(set) => row.detail = format!("it is a member of {set}"),
        Membership::Removed(words) => row.detail = format!("it was removed from the set: {words}"),
        Membership::Hidden(error) => {
            if server.role.is_none() {
                row.health = Health::Unknown;
            }
            row.detail = error.to_string();
        }
    }
    row
}

fn member_row(view: &View<'_>, member: &Member<'_>, server: &Server, row: &mut MemberStatus) {
    let state = view.state_of(member.host);
    row.role = state.map_or(String::new(), |state| state.words.clone());
    if server.role.is_none() {
        row.detail = state.map_or(String::new(), |state| state.message.clone());
        return;
    }
    row.health = Health::Healthy;
    row.detail = drift(view.settings, member).unwrap_or_default();
    if state.is_some_and(|state| state.state == State::Primary) || server.is_arbiter() {
        return;
    }
    let Some(lag) = view.lag_s(member.host) else {
        return;
    };
    row.lag = format!("{lag} s");
    if lag > view.settings.max_lag_s {
        row.health = Health::Degraded;
        row.detail = format!("more than {} s behind", view.settings.max_lag_s);
    }
}
