//! Members of the set as the inventory wants them.

use formats::replset::{Member, SetConfig, delay_name};
use protocol::facts::Bson;
use types::HostName;

use crate::settings::Settings;
use crate::settings::member_options::MemberOptions;

/// A newcomer: without a vote, and never the primary.
pub(crate) fn newcomer(id: i64, name: &str, options: &MemberOptions, delay: &str) -> Member {
    let mut member = Member::new(id, name);
    if options.is_arbiter {
        member.set("arbiterOnly", true);
        member.set("priority", 0);
        return member;
    }
    member.set("priority", 0);
    member.set("votes", 0);
    set_plain(&mut member, options, delay);
    member
}

/// What can be changed at any time: all but votes and priority. Values that are so already keep their form.
pub(crate) fn set_plain(member: &mut Member, options: &MemberOptions, delay: &str) {
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

/// Whether it should vote. What the inventory does not say is kept, but for a member without vote and priority that
/// is neither hidden nor delayed: that is a newcomer whose rise was cut off.
pub(crate) fn target_votes(member: &Member, options: &MemberOptions) -> bool {
    let is_described = options.hidden.is_some() || options.delay_s.is_some();
    let is_special = member.is_hidden() || member.delay() > 0;
    options
        .votes
        .unwrap_or(member.votes() || is_described || !is_special)
}

pub(crate) fn target_priority(member: &Member, options: &MemberOptions) -> f64 {
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

/// The first one of all: the seed votes and becomes the primary; the others are newcomers, which rise once they have
/// the data. So it is known beforehand who becomes the primary, on whose host the users are made, and what the seed
/// holds is never outvoted. Arbiters come last.
pub(crate) fn first_config(settings: &Settings, seed: &HostName, version: (u32, u32)) -> SetConfig {
    let delay = delay_name(version);
    let mut members = Vec::new();
    for (host, options) in settings.hosts.iter().zip(&settings.members) {
        if options.is_arbiter {
            continue;
        }
        let id = i64::try_from(members.len()).unwrap_or(0);
        let name = settings.member_name(host);
        let mut member = newcomer(id, &name, options, delay);
        if host == seed {
            member.unset("votes");
            member.unset("priority");
            member.set_priority(options.priority.unwrap_or(1.0));
        }
        members.push(member);
    }
    SetConfig::first(&settings.replica_set, members)
}
