//! Gates: the conditions that steps wait for.

use std::collections::BTreeMap;

use plan::{Facts, Gate, Verdict};
use protocol::{FactQuery, Query};
use types::HostName;

use crate::observe::{
    Broker, Member, Node, Queues, Untold, View, calls, critical_queues, queries, quorum_queues,
};
use crate::rules::consents::{FORGET, LEAVE, RESTART};
use crate::rules::health::{running, trouble, unseen};
use crate::rules::last_copy::{has_quorum_member, last_copy};
use crate::settings::{NodeName, Settings};

/// How long a broker may take to start: after a full stop each member waits ten times 30 s for its peers.
const START_MS: u64 = 600_000;
/// How long mirrors may take to be filled.
const MIRRORS_MS: u64 = 3_600_000;

/// A condition on a member, or on the cluster as a member tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// The member's broker runs.
    Running,
    /// The member runs in the cluster, sees its members, and nothing is wrong.
    Joined,
    /// The member sees all members that stay: each new member raises the number that a majority takes, and with one of
    /// three down it would be out of reach of those that run (`pause_minority` counts members).
    Whole,
    /// The same of all other members than the node, which was rebuilt.
    WholeBut(NodeName),
    /// No queue would become unavailable without the member. Where queues can have no mirrors, none is asked for.
    Dispensable {
        /// Whether queues can have mirrors.
        has_mirrors: bool,
    },
    /// The member is back: it is joined, and no queue would become unavailable without any one member.
    Back {
        /// Whether queues can have mirrors.
        has_mirrors: bool,
    },
    /// Every quorum queue has a member on the node.
    Grown(NodeName),
    /// All hosts of the service run in the cluster; the node departs.
    RestRuns(NodeName),
    /// No quorum queue counts on the departing node.
    Shrunk(NodeName),
    /// The others run, and have all that the departing node has.
    Free(NodeName),
    /// The node is no member.
    Left(NodeName),
}

// Saved plans have these spellings.
kit::spell_checks!(Check {
    "running" => Running,
    "joined" => Joined,
    "whole" => Whole,
    "dispensable" => Dispensable { has_mirrors: true },
    "dispensable-without-mirrors" => Dispensable { has_mirrors: false },
    "back" => Back { has_mirrors: true },
    "back-without-mirrors" => Back { has_mirrors: false };
    "whole-but:" + WholeBut,
    "grown:" + Grown,
    "rest-runs:" + RestRuns,
    "shrunk:" + Shrunk,
    "free:" + Free,
    "left:" + Left
});

/// What is missing of a condition, for people.
enum Unmet {
    /// It may come.
    Yet(String),
    /// It does not come, however long it is waited for.
    Never(String),
}

impl From<String> for Unmet {
    fn from(why: String) -> Self {
        Self::Yet(why)
    }
}

impl From<Untold> for Unmet {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::Lacking(why) => Self::Never(format!("its version lacks what is asked: {why}")),
            Untold::Other(why) => Self::Yet(why),
        }
    }
}

impl Check {
    /// A gate on a member. It observes that member alone; for `Back`, all members tell their critical queues.
    pub(crate) fn gate(&self, settings: &Settings, host: &HostName, title: impl Into<String>) -> Gate {
        let critical = |host, has_mirrors| calls::critical_queues(settings, host, has_mirrors).wrap();
        let mut queries = match self {
            Self::Grown(_) => vec![calls::quorum_queues(settings, host).wrap()],
            Self::RestRuns(_) | Self::Left(_) => vec![calls::node(settings, host).wrap()],
            Self::Shrunk(_) | Self::Free(_) => vec![
                calls::node(settings, host).wrap(),
                calls::queues(settings, host).wrap(),
            ],
            Self::Running
            | Self::Joined
            | Self::Whole
            | Self::WholeBut(_)
            | Self::Dispensable { .. }
            | Self::Back { .. } => {
                let mut queries = queries::of_host(settings, host);
                // The package does not change while a broker starts.
                queries.retain(|query| !matches!(query, FactQuery::Package(_)));
                queries
            }
        };
        let mut watch: BTreeMap<HostName, Vec<FactQuery>> = BTreeMap::new();
        match *self {
            Self::Dispensable { has_mirrors } => queries.push(critical(host, has_mirrors)),
            Self::Back { has_mirrors } => {
                for host in &settings.hosts {
                    watch.insert(host.clone(), vec![critical(host, has_mirrors)]);
                }
            }
            _ => {}
        }
        watch.entry(host.clone()).or_default().splice(0..0, queries);
        let limit_ms = match self {
            Self::Running | Self::Joined | Self::Whole | Self::WholeBut(_) | Self::Grown(_) => START_MS,
            _ => MIRRORS_MS,
        };
        kit::checks::gate(&settings.name, self, Some(host), title, watch, limit_ms)
    }

    fn judge(&self, view: &View<'_>, member: &Member<'_>) -> Verdict {
        match (self, self.judge_member(view, member)) {
            (Self::Free(node), Ok(())) => judge_last_copy(view, member, node),
            (_, Ok(())) => Verdict::Pass,
            (_, Err(Unmet::Yet(why))) => Verdict::Wait(why),
            (_, Err(Unmet::Never(why))) => Verdict::Fail(why),
        }
    }

    /// The error says what is missing, for people.
    fn judge_member(&self, view: &View<'_>, member: &Member<'_>) -> Result<(), Unmet> {
        if matches!(self, Self::Running | Self::Joined | Self::Back { .. }) {
            still_runs(view, member)?;
        }
        match self {
            Self::Running => Ok(running(member).map(|_| ())?),
            Self::Joined => Ok(is_joined(view, running(member)?)?),
            // Departing members are not waited for.
            Self::Whole => Ok(none(unseen(running(member)?, |node| view.settings.lists(node)))?),
            Self::WholeBut(rebuilt) => {
                let counts = |node: &NodeName| node != rebuilt && view.settings.lists(node);
                Ok(none(unseen(running(member)?, counts))?)
            }
            Self::Dispensable { has_mirrors } => {
                running(member)?;
                let host = member.host;
                let queues = critical_queues(view, host, *has_mirrors)?;
                none(
                    would_go(host, &queues)
                        .map(|why| format!("{why} (give them more members, or --allow {RESTART}={host})")),
                )?;
                Ok(())
            }
            Self::Back { has_mirrors } => {
                is_joined(view, running(member)?)?;
                let mut hosts = view.settings.hosts.iter();
                hosts.try_for_each(|host| is_dispensable(view, host, *has_mirrors))
            }
            // Its gate asks for queues only.
            Self::Grown(node) => {
                let queues = quorum_queues(view, member.host)?;
                let lacking = queues.iter().find(|queue| !queue.is_on(node));
                none(lacking.map(|queue| format!("the {} has none", queue.name)))?;
                Ok(())
            }
            Self::RestRuns(_) => Ok(rest_runs(view, running(member)?)?),
            Self::Shrunk(node) => {
                running(member)?;
                is_shrunk(view, member, node)
            }
            Self::Free(node) => {
                rest_runs(view, running(member)?)?;
                is_shrunk(view, member, node)
            }
            Self::Left(node) => {
                let is_member = running(member)?.members.contains(node);
                none(is_member.then(|| "it is a member".to_owned()))?;
                Ok(())
            }
        }
    }
}

/// Judges a gate's check by its spelling.
pub(crate) fn judge(settings: &Settings, spelling: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    kit::checks::judge(spelling, |check: Check| {
        let Some(host) = host else {
            return Verdict::Fail(format!("the check {check} is about a host"));
        };
        let view = View::new(settings, facts);
        match view.member(host) {
            Ok(member) => check.judge(&view, member),
            Err(unknown) => Verdict::Wait(unknown.to_string()),
        }
    })
}

fn none(wrong: Option<String>) -> Result<(), String> {
    wrong.map_or(Ok(()), Err)
}

fn is_joined(view: &View<'_>, broker: &Broker) -> Result<(), String> {
    let alone = || (!broker.is_clustered()).then(|| "it is alone".to_owned());
    none(trouble(broker, |node| view.settings.lists(node)).or_else(alone))
}

fn is_dispensable(view: &View<'_>, host: &HostName, has_mirrors: bool) -> Result<(), Unmet> {
    let queues = critical_queues(view, host, has_mirrors)?;
    none(would_go(host, &queues))?;
    Ok(())
}

fn would_go(host: &HostName, queues: &[String]) -> Option<String> {
    (!queues.is_empty()).then(|| format!("would go away with {host}: {}", queues.join(", ")))
}

/// A unit that ended does not come back by itself.
fn still_runs(view: &View<'_>, member: &Member<'_>) -> Result<(), Unmet> {
    if !matches!(member.node, Ok(Node::Off(_))) {
        return Ok(());
    }
    let why = kit::checks::has_ended(&view.settings.unit, member.host);
    Err(Unmet::Never(why))
}

/// Other departing members may be down: they are forgotten one after another.
fn rest_runs(view: &View<'_>, broker: &Broker) -> Result<(), String> {
    let mut listed = view.hosts.listed.iter();
    let missing = listed.find(|member| !broker.running.contains(&member.name));
    none(missing.map(|member| format!("{} does not run in the cluster", member.name)))
}

fn is_shrunk(view: &View<'_>, member: &Member<'_>, node: &NodeName) -> Result<(), Unmet> {
    let has_quorum_member = has_quorum_member(&Queues::of_member(view, member.host)?, node);
    none(has_quorum_member.then(|| "quorum queues count on it".to_owned()))?;
    Ok(())
}

/// A mirror of a node that runs may be filled yet; a queue that one that is down has alone stays so.
fn judge_last_copy(view: &View<'_>, member: &Member<'_>, node: &NodeName) -> Verdict {
    let queues = match Queues::of_member(view, member.host) {
        Ok(queues) => queues,
        Err(why) => return Verdict::Wait(why.to_string()),
    };
    let Some(queue) = last_copy(&queues, node, false) else {
        return Verdict::Pass;
    };
    let text = format!("the {queue} is on {node} alone");
    if member
        .broker()
        .is_some_and(|broker| broker.running.contains(node))
    {
        return Verdict::Wait(text);
    }
    let host = node.short_host();
    Verdict::Fail(format!(
        "{text}: start it there, or lose it with --allow {FORGET}={host} or {LEAVE}={host}"
    ))
}
