//! The view: what the facts say of each node, in the cluster's own terms.

use std::collections::BTreeSet;

use plan::{Facts, Unknown};
use protocol::facts::{ErlangFact, FileFact, UnitFact, UnitQuery};
use types::HostName;

use super::broker::{Broker, Told};
use super::replies::State;
use super::{calls, queries, replies};
use crate::settings::{NodeName, Settings};
use kit::{Members, Probe, Process};

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
    /// The error says why its state is not known: it runs, or may run, and could not be asked.
    pub(crate) node: Result<Node, String>,
}

/// A node's state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// It does not run, and neither does its unit. The members as its disk tells them.
    Off(Told),
    /// It runs with another cookie than the one in the file: it was not restarted since the file was written. The members
    /// as its disk tells them.
    OtherCookie(Told),
    /// The virtual machine runs, the broker does not, as between `stop_app` and `start_app`.
    Halted {
        /// The members as it knows them.
        members: Told,
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

    /// The version of a member: what its broker says, its package, or the one that would be installed; empty where none of
    /// them is known.
    pub(crate) fn version(&self, member: &Member<'_>) -> String {
        if let Some(broker) = member.broker() {
            return broker.version.clone();
        }
        let (host, settings) = (member.host, self.settings);
        let package = self.facts.get(host, &queries::package(settings)).ok();
        let candidate = || self.facts.get(host, &queries::candidate(settings)).ok();
        let version = package.and_then(|package| package.version.clone());
        version
            .or_else(|| candidate()?.version.clone())
            .unwrap_or_default()
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
        let unit = facts.get(host, &UnitQuery::new(&settings.unit));
        Self {
            host,
            name: NodeName::of(host),
            cookie: facts.get(host, &cookie),
            node: node(settings, host, &unit, facts),
            unit,
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
            Ok(
                Node::Halted {
                    members: Ok(members), ..
                }
                | Node::Off(Ok(members)),
            ) => members,
            Ok(Node::Halted { .. } | Node::Off(_) | Node::OtherCookie(_)) | Err(_) => &NONE,
        }
    }

    /// Whether it is, or may be, a member of a cluster with others. Of a node with another cookie the disk tells.
    pub(crate) fn is_clustered(&self) -> bool {
        match &self.node {
            Ok(Node::Running(broker)) => broker.is_clustered(),
            Ok(Node::Halted { members: told, .. } | Node::Off(told) | Node::OtherCookie(told)) => {
                told.as_ref().is_ok_and(|members| members.len() > 1) || told.is_err()
            }
            Err(_) => true,
        }
    }

    /// The process of its unit.
    pub(crate) fn process(&self, settings: &'a Settings) -> Process<'a> {
        Process {
            host: self.host,
            unit: &settings.unit,
            package: &settings.package,
            reads: vec![settings.config_path.clone()],
        }
    }

    /// Whether its broker paused.
    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.node, Ok(Node::Halted { is_paused: true, .. }))
    }
}

fn node(
    settings: &Settings,
    host: &HostName,
    unit: &Result<&UnitFact, Unknown>,
    facts: &Facts,
) -> Result<Node, String> {
    let answer = facts.get(host, &calls::node(settings, host));
    let results = match answer.map_err(|unknown| unknown.to_string())? {
        // Where it keeps its database elsewhere, nothing is known of it.
        ErlangFact::Denied(_) => {
            let told = on_disk(settings, host, facts);
            let told = told.and_then(|members| {
                let path = settings.database_path(host);
                if members.is_empty() {
                    Err(format!("there is no {path}"))
                } else {
                    Ok(members)
                }
            });
            return Ok(Node::OtherCookie(told));
        }
        ErlangFact::Down(silence) => {
            return match Probe::<(), ()>::silent(unit, silence) {
                Probe::Unknown(why) => Err(why),
                _ => Ok(Node::Off(on_disk(settings, host, facts))),
            };
        }
        ErlangFact::Results(results) => results,
    };
    let broker = replies::broker(results);
    match replies::state(results)? {
        State::Running if broker.members.is_empty() => Err(format!(
            "it does not tell the members of its cluster: {}",
            replies::why_untold(results, &broker.version)
        )),
        State::Running => Ok(Node::Running(Box::new(broker))),
        State::Stopped => Ok(Node::Halted {
            members: replies::members_of_stopped(&broker),
            is_paused: replies::is_paused(results),
        }),
    }
}

/// The members of its cluster, as a node's disk tells them; with Khepri no file of it does.
fn on_disk(settings: &Settings, host: &HostName, facts: &Facts) -> Told {
    let file = |query| facts.get(host, &query).map_err(|unknown| unknown.to_string());
    let members = file(queries::members(settings, host))?;
    let flags = file(queries::flags(settings, host))?;
    let database = file(queries::database(settings, host))?;
    let flags = flags.meta().map(|meta| meta.text.as_ref());
    let may_have_khepri =
        flags.is_some_and(|text| text.is_none_or(|text| replies::is_khepri_enabled(text.as_str())));
    match members.text() {
        Some(text) if !may_have_khepri => return Ok(replies::members_on_disk(text.as_str())),
        None if database.meta().is_none() => return Ok(BTreeSet::new()),
        _ => {}
    }
    let path = settings.database_path(host);
    Err(format!(
        "its database in {path} does not tell its members while it is off"
    ))
}
