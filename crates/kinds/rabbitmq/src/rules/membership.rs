//! The cluster that each host's node belongs to, and the node that others join.

use std::collections::BTreeSet;

use protocol::facts::FileFact;
use types::HostName;

use crate::observe::{Broker, Member, Node, View};
use crate::settings::{NodeName, list};
use kit::Cx;

/// The cluster that a host's node belongs to.
pub(crate) enum Membership<'v> {
    /// That of the inventory.
    Member,
    /// None, and its broker tells what it holds; `None` where only its start will tell.
    Alone(Option<&'v Broker>),
    /// One with none of the inventory's other hosts.
    Foreign(&'v BTreeSet<NodeName>),
}

/// The cluster that a member belongs to. Of one whose broker does not run the brokers that run know it; where none does, its
/// own disk tells.
pub(crate) fn membership<'v>(view: &View<'_>, member: &'v Member<'_>) -> Result<Membership<'v>, String> {
    let told = match &member.node {
        Ok(Node::Running(broker)) => return Ok(of(view, member, &broker.members, Some(broker))),
        Ok(Node::Halted { members: told, .. } | Node::Off(told) | Node::OtherCookie(told)) => told,
        Err(why) => return Err(why.clone()),
    };
    // A host that was rebuilt has no database, or that of a node that is alone; whether it has another, its start tells.
    let seems_rebuilt = matches!(&member.node, Ok(Node::Off(Ok(members))) if members.len() <= 1);
    match (is_counted(view, member), told) {
        (Some(true), _) if !seems_rebuilt => Ok(Membership::Member),
        (Some(_), Err(_)) => Ok(Membership::Alone(None)),
        (None, Err(why)) => Err(why.clone()),
        (counted, Ok(members)) => match of(view, member, members, None) {
            Membership::Member if counted == Some(false) => Err(format!(
                "its disk makes it a member of a cluster of {}, and the brokers that run do not count it as one: take it out \
                 by hand (rabbitmqctl reset), and plan again",
                list(members)
            )),
            membership => Ok(membership),
        },
    }
}

/// Whether the brokers that run in a cluster count a node as a member of it; `None` where none runs.
fn is_counted(view: &View<'_>, member: &Member<'_>) -> Option<bool> {
    let brokers = view.hosts.listed.iter().filter_map(Member::broker);
    let mut clustered = brokers.filter(|broker| broker.is_clustered()).peekable();
    clustered.peek()?;
    Some(clustered.any(|broker| broker.members.contains(&member.name)))
}

fn of<'v>(
    view: &View<'_>,
    member: &Member<'_>,
    members: &'v BTreeSet<NodeName>,
    broker: Option<&'v Broker>,
) -> Membership<'v> {
    if members.len() <= 1 {
        return Membership::Alone(broker);
    }
    let has = |hosts: &[Member<'_>]| {
        let mut others = hosts.iter().filter(|other| other.name != member.name);
        others.any(|other| members.contains(&other.name))
    };
    // The last of its cluster's members that the inventory still lists.
    let is_last = || has(&view.hosts.former) && !any_two_are_clustered(view);
    if has(&view.hosts.listed) || is_last() {
        Membership::Member
    } else {
        Membership::Foreign(members)
    }
}

/// Whether two hosts of the service are members of one cluster.
fn any_two_are_clustered(view: &View<'_>) -> bool {
    let hosts = &view.hosts.listed;
    hosts.iter().any(|member| {
        let cluster = member.cluster();
        hosts.iter().filter(|other| cluster.contains(&other.name)).count() > 1
    })
}

/// The member that the others join: one of the cluster that exists, or else the first host; `None` where the state of
/// that one is not known.
pub(crate) fn seed<'v>(
    view: &'v View<'_>,
    memberships: &[(&'v Member<'v>, Membership<'_>)],
) -> Option<&'v Member<'v>> {
    let members = || {
        let members = memberships.iter();
        let members = members.filter(|(_, membership)| matches!(membership, Membership::Member));
        members.map(|(member, _)| *member)
    };
    let running = members().find(|member| member.broker().is_some());
    running.or_else(|| members().next()).or_else(|| {
        let first = view.hosts.listed.first()?;
        let mut alone = memberships.iter();
        let alone = alone.find(|(member, membership)| {
            member.host == first.host && matches!(membership, Membership::Alone(_))
        });
        alone.map(|(member, _)| *member)
    })
}

/// Hosts whose brokers run in a cluster that no host of the service is in: new members would begin another cluster, and
/// the data of this one would not be in it.
pub(crate) fn replaced_cluster<'v>(view: &'v View<'_>, cx: &'v Cx<'_>) -> Vec<&'v HostName> {
    let is_clustered = |member: &&Member<'_>| member.cluster().len() > 1;
    if view.hosts.listed.iter().any(|member| is_clustered(&member)) {
        return Vec::new();
    }
    let old = view.on(cx.others).filter(is_clustered);
    let old = old.filter(|member| member.broker().is_some());
    old.map(|member| member.host).collect()
}

/// Whether a host that the service does not list is a former member: it is alone and holds nothing, with our members'
/// cookie.
pub(crate) fn is_former(view: &View<'_>, host: &Member<'_>, cx: &Cx<'_>) -> bool {
    let hash = |file: &FileFact| file.meta().map(|meta| meta.sha256.clone());
    let cookie = |member: &Member<'_>| member.cookie.as_ref().ok().and_then(|file| hash(file));
    let own = cookie(host);
    let is_bare = match &host.node {
        Ok(Node::Running(broker)) => !broker.is_clustered() && broker.possession().is_none(),
        Ok(Node::Halted {
            members: Ok(members), ..
        }) => members.len() <= 1,
        // Its disk may name those that forgot it; one that names none of them belongs to others.
        Ok(Node::Off(Ok(members))) => {
            members.len() <= 1
                || view
                    .hosts
                    .listed
                    .iter()
                    .any(|listed| members.contains(&listed.name))
        }
        Ok(Node::Halted { .. } | Node::Off(_) | Node::OtherCookie(_)) | Err(_) => false,
    };
    is_bare && own.is_some() && view.on(cx.hosts).any(|member| cookie(member) == own)
}
