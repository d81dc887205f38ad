//! How the step `members` changes the set, and the configuration in force afterwards.

use std::collections::BTreeSet;

use formats::replset::{MemberConfig, SetConfig};
use kit::Cx;
use protocol::Operation;
use protocol::facts::MongoCommand;
use types::HostName;

use super::initiation::{NEWEST, initial_config, planned_set};
use super::member_blocker::member_blocker;
use super::member_removal::{DepartingMember, departing_members};
use super::process::starts;
use super::reconfig_plan::{Change, Reconfig, Situation, reconfig_plan};
use crate::observe::is_reached;
use crate::observe::queries::HERE;
use crate::observe::replset_status::State;
use crate::observe::{Member, Membership, Server, View};
use crate::settings::Settings;

/// `ConfigurationInProgress`, and the same while the last one waits for its majority.
const BUSY: [i32; 2] = [109, 308];

/// The changes that the step `members` makes.
pub(crate) struct MembershipChange<'v> {
    /// The primary, which makes them.
    pub(crate) primary: &'v HostName,
    /// The configuration before.
    pub(crate) from: SetConfig,
    /// The changes of listed members.
    pub(crate) changes: Vec<Change>,
    /// Departing members that are not available, each with its removal, or why it stays.
    pub(crate) removals: Vec<(DepartingMember, Result<Reconfig, String>)>,
}

/// The changes that the step `members` makes: none without a primary. The error is a host that cannot be planned, and why.
pub(crate) fn membership_change<'v>(
    view: &'v View<'_>,
    cx: &Cx<'_>,
) -> Result<Option<MembershipChange<'v>>, (HostName, String)> {
    if let Some(planned) = planned_set(view, cx) {
        let changes = changes(view, &planned.config, false, cx);
        return Ok(Some(MembershipChange {
            primary: planned.seed,
            from: planned.config,
            changes,
            removals: Vec::new(),
        }));
    }
    let Some((primary, server)) = view.primary().filter(|(primary, _)| is_reached(primary.host, cx)) else {
        return Ok(None);
    };
    let hidden = || {
        let why = || format!("{} does not show the set's configuration", primary.host);
        let config = hidden_config(view, primary, server);
        config.ok_or_else(|| (primary.host.clone(), why()))
    };
    let from = server.config.clone().map_or_else(hidden, Ok)?;
    // One that may have been set is not set again to something else; without any, the server refuses the arbiter. Where
    // there is no user yet, nobody set one.
    let has_write_concern = server
        .has_write_concern
        .unwrap_or(!server.has_localhost_exception);
    let changes = changes(view, &from, has_write_concern, cx);
    let last = changes.iter().rev().find_map(|change| match change {
        Change::Reconfig(reconfig) => Some(&reconfig.to),
        _ => None,
    });
    let removals = removals(view, last.unwrap_or(&from), cx);
    Ok(Some(MembershipChange {
        primary: primary.host,
        from,
        changes,
        removals,
    }))
}

/// The configuration in force once the earlier steps of this plan are done.
pub(crate) fn config_by_then(view: &View<'_>, cx: &Cx<'_>) -> Option<SetConfig> {
    let change = membership_change(view, cx).ok().flatten();
    let planned = change.and_then(|change| {
        let is_planned = |config: &SetConfig| {
            let reconfigure = reconfigure(view.settings, config);
            let mut earlier = cx.earlier_on(change.primary);
            earlier.any(|operation| *operation == reconfigure)
        };
        let changes = change.changes.into_iter().filter_map(|change| match change {
            Change::Reconfig(reconfig) => Some(reconfig.to),
            _ => None,
        });
        let removals = change
            .removals
            .into_iter()
            .filter_map(|(_, removal)| removal.ok());
        let configs: Vec<SetConfig> = changes.chain(removals.map(|removal| removal.to)).collect();
        configs.into_iter().rev().find(is_planned)
    });
    planned.or_else(|| view.config.clone())
}

/// The operation by which a primary changes its set's configuration.
pub(crate) fn reconfigure(settings: &Settings, config: &SetConfig) -> Operation {
    let command = MongoCommand::new("replSetReconfig", config.document()).with("maxTimeMS", 60_000);
    command_primary(settings, command)
}

/// The operation that sends a command to the primary, again while it is busy with a change of the configuration.
pub(crate) fn command_primary(settings: &Settings, command: MongoCommand) -> Operation {
    Operation::Mongo {
        address: HERE.to_owned(),
        port: settings.port,
        user: settings.admin.clone(),
        commands: vec![command],
        again_on: BUSY.to_vec(),
    }
}

/// Whether a host may become a member.
pub(crate) fn may_join(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> bool {
    let is_ready = match member.membership() {
        Some(Membership::Uninitiated | Membership::Removed(_)) => true,
        Some(Membership::Standalone) => starts(view, member, cx),
        None => starts(view, member, cx) && !may_be_member(view, member),
        Some(_) => false,
    };
    cx.hosts.contains(member.host) && is_ready && member_blocker(view, member, cx).is_none()
}

/// Whether a host whose server does not run may be a member already, under a name that is none of the inventory's: only its
/// server tells.
pub(crate) fn may_be_member(view: &View<'_>, member: &Member<'_>) -> bool {
    let has_stranger = || {
        view.unlisted()
            .iter()
            .any(|name| view.names.host_of(name).is_none())
    };
    !member.server.is_up() && !member.never_ran() && has_stranger()
}

fn changes(view: &View<'_>, from: &SetConfig, has_write_concern: bool, cx: &Cx<'_>) -> Vec<Change> {
    let may_join = |host: &HostName| {
        let member = view.members.listed(host);
        member.is_some_and(|member| may_join(view, member, cx))
    };
    let has_data = |host: &HostName| {
        let state = view.state_of(host);
        state.is_some_and(|state| state.state == State::Secondary && state.is_healthy)
            && view.lag_s(host).is_some_and(|lag| lag <= view.settings.max_lag_s)
    };
    let situation = Situation {
        names: &view.names,
        may_join: &may_join,
        has_data: &has_data,
        has_write_concern,
        version: view.version().unwrap_or(NEWEST),
    };
    reconfig_plan(view.settings, from, &situation)
}

/// Members that the inventory does not list and that are not available are removed at once: no client uses them, and as long
/// as their votes count, the set can do without fewer others. Available ones leave in the step `leave`.
fn removals(
    view: &View<'_>,
    config: &SetConfig,
    cx: &Cx<'_>,
) -> Vec<(DepartingMember, Result<Reconfig, String>)> {
    let mut config = config.clone();
    let departing = departing_members(view, &config, cx).into_iter();
    let departing = departing.filter(|(departing, _)| !departing.is_available);
    let removals = departing.map(|(departing, proof)| {
        let removal = proof.map(|()| {
            let reason = "the inventory does not list it, and it is not available";
            let removal = Reconfig::removal(config.clone(), &departing.name, reason);
            config = removal.to.clone();
            removal
        });
        (departing, removal)
    });
    removals.collect()
}

/// The configuration of a set whose primary hides it, for there is no user yet: the initial one, if the members
/// of the set fit it.
fn hidden_config(view: &View<'_>, primary: &Member<'_>, server: &Server) -> Option<SetConfig> {
    if !server.has_localhost_exception {
        return None;
    }
    let config = initial_config(view, primary.host);
    let expected = config.members();
    let expected: BTreeSet<&str> = expected.iter().map(MemberConfig::name).collect();
    let members = server.status.iter().flat_map(|status| &status.members);
    let found: BTreeSet<&str> = members.map(|member| member.name.as_str()).collect();
    (found == expected).then_some(config)
}
