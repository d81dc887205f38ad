//! The state of a cluster: its health, the members that are unavailable, and the facts that a saved plan rests on.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kit::process_status;
use plan::{Basis, Facts, Health, MemberStatus, ServiceStatus};
use types::HostName;

use crate::observe::{Broker, Member, Node, View};
use crate::rules::health::{running, trouble};
use crate::rules::stale_config::newer_config;
use crate::settings::{Settings, list};

/// The clusters that there are, as their nodes tell: one where all belong together.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let clusters = view.hosts.listed.iter().map(Member::cluster);
    let clusters = clusters.filter(|members| !members.is_empty());
    let clusters: BTreeSet<String> = clusters.map(list).collect();
    if clusters.is_empty() {
        return Vec::new();
    }
    let clusters: Vec<String> = clusters.into_iter().collect();
    vec![Basis::new(
        "the members of the cluster",
        &clusters.join("; and apart "),
    )]
}

/// The members that are unavailable: their broker does not run, the others do not see it, or it is in maintenance mode.
///
/// A host that is not in the cluster yet is no member, and nobody relies on it; where no cluster is seen, any host may be
/// one.
pub(crate) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let view = View::new(settings, facts);
    let clustered = |member: &'_ &Member<'_>| member.broker().is_some_and(Broker::is_clustered);
    let brokers = view.hosts.listed.iter().filter(clustered);
    let brokers: Vec<&Broker> = brokers.filter_map(Member::broker).collect();
    let is_drained = |member: &Member<'_>| member.broker().is_some_and(|broker| broker.is_drained);
    let is_available = |member: &&Member<'_>| {
        if brokers.is_empty() {
            return member.broker().is_some();
        }
        let mut knowing = brokers
            .iter()
            .filter(|broker| broker.members.contains(&member.name))
            .peekable();
        knowing.peek().is_none()
            || clustered(member)
                && !is_drained(member)
                && knowing.all(|broker| broker.running.contains(&member.name))
    };
    let members = view.hosts.listed.iter();
    let unavailable = members.filter(|member| !is_available(member));
    unavailable.map(|member| member.host.clone()).collect()
}

/// The status of the service.
pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let view = View::new(settings, facts);
    let members: Vec<MemberStatus> = view.hosts.listed.iter().map(|host| member(&view, host)).collect();
    let brokers: Vec<&Broker> = view.hosts.listed.iter().filter_map(Member::broker).collect();
    // A cluster is what all of its running members see.
    let runs = |member: &&Member<'_>| brokers.iter().all(|broker| broker.running.contains(&member.name));
    let running = match brokers.as_slice() {
        [] => 0,
        _ => view.hosts.listed.iter().filter(runs).count(),
    };
    let worst = members.iter().map(|member| member.health).max();
    let health = match worst.unwrap_or(Health::Unknown) {
        Health::Healthy => Health::Healthy,
        _ if running > 0 => Health::Degraded,
        worst => worst,
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "rabbitmq".to_owned(),
        health,
        summary: summary(settings, running, &brokers),
        members,
    }
}

fn summary(settings: &Settings, running: usize, brokers: &[&Broker]) -> String {
    let mut summary = format!("{running} of {} running in one cluster", settings.hosts.len());
    let alone = Broker::default();
    let mut largest = &alone;
    for broker in brokers {
        if broker.members.len() > largest.members.len() {
            largest = broker;
        }
    }
    for policy in &settings.policies(largest.has_mirrors()) {
        let with = largest.policies.iter().filter(|seen| seen.name == policy.name);
        // Writing to a string does not fail.
        let _ = write!(
            summary,
            ", policy {} in {} of {} virtual hosts",
            policy.name,
            with.count(),
            largest.vhosts.len()
        );
    }
    let versions: BTreeSet<&str> = brokers.iter().map(|broker| broker.version.as_str()).collect();
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.into_iter().collect();
        let _ = write!(summary, ", mixed versions {}", versions.join(", "));
    }
    if !largest.disabled_flags.is_empty() {
        let flags = largest.disabled_flags.join(", ");
        let _ = write!(summary, ", feature flags disabled: {flags}");
    }
    summary
}

fn member(view: &View<'_>, member: &Member<'_>) -> MemberStatus {
    let (health, detail) = match (running(member), &member.node) {
        (Ok(broker), _) => match trouble(broker, |_| true) {
            Some(trouble) => (Health::Degraded, trouble),
            None if !broker.is_clustered() && view.settings.hosts.len() > 1 => {
                (Health::Degraded, "it is alone".to_owned())
            }
            None if broker.is_drained => (
                Health::Degraded,
                "in maintenance mode: it takes no clients until `rabbitmq-upgrade revive`".to_owned(),
            ),
            None => {
                let newer = newer_config(view, member).ok().flatten();
                let newer = newer.map_or_else(String::new, |newer| format!(", {newer}"));
                let queues = broker.queues.len();
                (
                    Health::Healthy,
                    format!("{}, {queues} queues{newer}", broker.version),
                )
            }
        },
        (Err(why), Ok(Node::OtherCookie(_)) | Err(_)) => (Health::Unknown, why),
        (Err(why), Ok(_)) => (Health::Down, why),
    };
    let role = if member.broker().is_some() { "disc" } else { "" };
    MemberStatus {
        role: role.to_owned(),
        health,
        detail,
        ..process_status(member.host, "rabbitmq", member.unit.as_ref().ok().copied())
    }
}
