//! The view: what the facts say of each node, in the cluster's own terms.

use std::collections::BTreeSet;

use plan::{Facts, Unknown};
use protocol::facts::{ErlangFact, FileFact, UnitFact, UnitQuery};
use types::HostName;

use super::broker::Broker;
use super::{calls, queries, replies};
use crate::settings::{NodeName, Settings};
use kit::{Members, Process};

/// All hosts.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) facts: &'a Facts,
    pub(crate) hosts: Members<Member<'a>>,
}

/// A host.
pub(crate) struct Member<'a> {
    pub(crate) host: &'a HostName,
    pub(crate) name: NodeName,
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    /// The cookie's file.
    pub(crate) cookie: Result<&'a FileFact, Unknown>,
    pub(crate) node: Result<Node, Unknown>,
}

/// A node's state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// It does not run. The members of its cluster as its disk tells them, itself among them; empty where it never ran.
    Off(BTreeSet<NodeName>),
    /// It runs with another cookie than the one in the file: it was not restarted since the file was written. The members
    /// of its cluster as its disk tells them.
    OtherCookie(Result<BTreeSet<NodeName>, Unknown>),
    /// The virtual machine runs, the broker does not, as between `stop_app` and `start_app`.
    Halted {
        /// The members as it knows them.
        members: BTreeSet<NodeName>,
        /// Whether the broker stopped itself, because it sees no more than half of the members (`pause_minority`), and waits
        /// to see more. Started by hand it would make a second cluster.
        is_paused: bool,
    },
    /// The broker runs.
    Running(Box<Broker>),
}

impl<'a> View<'a> {
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let observe = |host| Member::new(settings, host, facts);
        Self {
            settings,
            facts,
            hosts: Members::observe(&settings.hosts, &settings.others, observe),
        }
    }

    /// A host, a member or one that may have been.
    pub(crate) fn member(&self, host: &HostName) -> Result<&Member<'a>, Unknown> {
        let not_asked = || Unknown::NotAsked { host: host.clone() };
        self.hosts.any(host).ok_or_else(not_asked)
    }

    /// These hosts, in this order.
    pub(crate) fn on<'v>(&'v self, hosts: &'v [HostName]) -> impl DoubleEndedIterator<Item = &'v Member<'a>> {
        hosts.iter().filter_map(|host| self.hosts.any(host))
    }
}

impl kit::Member for Member<'_> {
    fn host(&self) -> &HostName {
        self.host
    }
}

impl<'a> Member<'a> {
    fn new(settings: &Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        let is_listed = settings.hosts.contains(host);
        let cookie = if is_listed {
            queries::cookie(settings)
        } else {
            queries::former_cookie(settings)
        };
        Self {
            host,
            name: NodeName::of(host),
            unit: facts.get(host, &UnitQuery::new(&settings.unit)),
            cookie: facts.get(host, &cookie),
            node: node(settings, host, facts),
        }
    }

    /// The broker, where it runs.
    pub(crate) fn broker(&self) -> Option<&Broker> {
        match &self.node {
            Ok(Node::Running(broker)) => Some(broker),
            _ => None,
        }
    }

    /// The members of its cluster, as the node or its disk tells them; empty where nothing is known, and where the node
    /// runs with another cookie.
    pub(crate) fn cluster(&self) -> &BTreeSet<NodeName> {
        static NONE: BTreeSet<NodeName> = BTreeSet::new();
        match &self.node {
            Ok(Node::Running(broker)) => &broker.members,
            Ok(Node::Halted { members, .. } | Node::Off(members)) => members,
            Ok(Node::OtherCookie(_)) | Err(_) => &NONE,
        }
    }

    /// Whether it is a member of a cluster with others. Of a node with another cookie the disk tells.
    pub(crate) fn is_clustered(&self) -> bool {
        match &self.node {
            Ok(Node::OtherCookie(Ok(members))) => members.len() > 1,
            _ => self.cluster().len() > 1,
        }
    }

    /// The process of its unit.
    pub(crate) fn process(&self, settings: &'a Settings) -> Process<'a> {
        Process {
            host: self.host,
            unit: &settings.unit,
            package: &settings.package,
        }
    }

    /// Whether its broker paused.
    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.node, Ok(Node::Halted { is_paused: true, .. }))
    }
}

fn node(settings: &Settings, host: &HostName, facts: &Facts) -> Result<Node, Unknown> {
    let on_disk = || {
        let file = facts.get(host, &queries::members(settings, host))?;
        let members = file.text().map(|text| replies::members_on_disk(text.as_str()));
        Ok(members.unwrap_or_default())
    };
    Ok(match facts.get(host, &calls::node(settings, host))? {
        ErlangFact::Denied(_) => Node::OtherCookie(on_disk()),
        ErlangFact::Down(_) => Node::Off(on_disk()?),
        ErlangFact::Results(results) => {
            let broker = replies::broker(results);
            if replies::is_running(results) {
                Node::Running(Box::new(broker))
            } else {
                Node::Halted {
                    members: broker.members,
                    is_paused: replies::is_paused(results),
                }
            }
        }
    })
}
