//! Which members are available: up, in the set and at most a few seconds behind.

use std::collections::BTreeSet;

use formats::replset::{MemberConfig, SetConfig};
use kit::Probe;
use types::HostName;

use crate::observe::replset_status::MemberState;
use crate::observe::{Member, Server, View};

/// The server of a member; or why it does not answer.
pub(crate) fn answering<'m>(member: &'m Member<'_>) -> Result<&'m Server, String> {
    let host = member.host;
    match &member.server {
        Probe::Up(server) => Ok(server),
        Probe::Down(why) | Probe::Unknown(why) => Err(format!("{host} does not answer: {why}")),
        Probe::Denied(error) => Err(format!("{host} refuses the admin: {error}")),
    }
}

/// Passes where a member is available; else the error says why it is not.
pub(crate) fn available(view: &View<'_>, member: &Member<'_>) -> Result<(), String> {
    let (host, server) = (member.host, answering(member)?);
    if !view.has_primary() {
        return Err("there is no primary".to_owned());
    }
    let state = view.state_of(host);
    if server.role.is_none() {
        let state = state.map_or("not seen in the set yet", |state| &state.words);
        return Err(format!("{host} is {state}"));
    }
    // It may report a role, and be cut off from the others.
    if !state.is_some_and(MemberState::is_available) {
        return Err(format!("the primary does not see {host} back yet"));
    }
    if server.is_arbiter() {
        return Ok(());
    }
    match view.lag_s(host) {
        Some(lag) if lag > view.settings.max_lag_s => Err(format!("{host} is {lag} s behind")),
        Some(_) if !view.replicates(member) => {
            Err(format!("{host} has replicated nothing since it was started"))
        }
        Some(_) => Ok(()),
        None => Err(format!("how far {host} is behind is not known yet")),
    }
}

/// Whether the set sees a member as available, listed or not.
pub(crate) fn is_seen_available(view: &View<'_>, name: &str) -> bool {
    view.state_of_member(name).is_some_and(MemberState::is_available)
}

/// The voting members that are not available, whether the inventory lists them or not; without a primary, all of them. A
/// member without a vote takes nothing from the set.
pub(crate) fn unavailable(view: &View<'_>) -> BTreeSet<HostName> {
    let Some(config) = &view.config else {
        // No server tells of a set, so nothing tells that it can do without a member.
        let members = view.listed().iter().filter(|member| !member.has_role());
        return members.map(|member| member.host.clone()).collect();
    };
    let unavailable = voters(config).filter_map(|voter| {
        let Some(host) = view.listed_host(voter.name()) else {
            return view
                .host_of(voter.name())
                .filter(|_| !is_seen_available(view, voter.name()));
        };
        let member = view.members.listed(host)?;
        available(view, member).is_err().then(|| host.clone())
    });
    unavailable.collect()
}

/// The members of a configuration that vote.
pub(crate) fn voters(config: &SetConfig) -> impl Iterator<Item = MemberConfig> {
    config.members().into_iter().filter(MemberConfig::votes)
}
