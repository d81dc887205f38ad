//! Members of the set's configuration as the inventory wants them.

use formats::replset::{MemberConfig, SetConfig, delay_name};
use protocol::facts::Bson;
use types::HostName;

use crate::settings::{MemberOptions, Settings};

/// A joining member: without a vote, and never the primary. Arbiters have nothing to copy, and vote at once.
pub(crate) fn joining_member(id: i64, name: &str, options: &MemberOptions, delay: &str) -> MemberConfig {
    let mut member = MemberConfig::new(id, name);
    if options.is_arbiter {
        member.set("arbiterOnly", true);
        member.set("priority", 0);
        return member;
    }
    member.set("priority", 0);
    member.set("votes", 0);
    set_options(&mut member, options, delay);
    member
}

/// Sets what can be changed at any time: all but votes and priority. A value that is right keeps its form.
pub(crate) fn set_options(member: &mut MemberConfig, options: &MemberOptions, delay: &str) {
    if let Some(hidden) = options.hidden
        && hidden != member.is_hidden()
    {
        member.set("hidden", hidden);
    }
    if let Some(seconds) = options.delay_s
        && seconds != member.delay()
    {
        member.set(delay, seconds);
    }
    if let Some(tags) = &options.tags
        && !member.has_tags(tags)
    {
        let tags = tags
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()));
        member.set("tags", Bson::Doc(tags.collect()));
    }
}

/// Whether a member should vote. What the inventory does not say is kept, but for a member without vote and priority that
/// is neither hidden nor delayed: it joined, and its vote was not granted before the run ended.
pub(crate) fn should_vote(member: &MemberConfig, options: &MemberOptions) -> bool {
    let is_described = options.hidden.is_some() || options.delay_s.is_some();
    let is_special = member.is_hidden() || member.delay() > 0;
    options
        .votes
        .unwrap_or(member.votes() || is_described || !is_special)
}

/// The priority that a member should have once it votes.
pub(crate) fn desired_priority(member: &MemberConfig, options: &MemberOptions) -> f64 {
    let is_passive = MemberOptions {
        priority: None,
        ..options.clone()
    }
    .is_passive();
    if is_passive || member.is_hidden() || member.delay() > 0 {
        return 0.0;
    }
    // A member that had no vote could have no priority.
    let kept = if member.votes() { member.priority() } else { 1.0 };
    options.priority.unwrap_or(kept)
}

/// The first configuration of a set: the seed alone votes and becomes the primary; the others get their votes once they
/// have its data. So the primary, on whose host the users are made, is known beforehand, and the seed's data are never
/// outvoted. Arbiters come last.
pub(crate) fn first_config(settings: &Settings, seed: &HostName, version: (u32, u32)) -> SetConfig {
    let delay = delay_name(version);
    let mut members = Vec::new();
    for (host, options) in settings.hosts.iter().zip(&settings.members) {
        if options.is_arbiter {
            continue;
        }
        let id = i64::try_from(members.len()).unwrap_or(0);
        let name = settings.member_name(host);
        let mut member = joining_member(id, &name, options, delay);
        if host == seed {
            member.unset("votes");
            member.unset("priority");
            member.set_priority(options.priority.unwrap_or(1.0));
        }
        members.push(member);
    }
    SetConfig::first(&settings.replica_set, members)
}
