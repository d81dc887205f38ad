//! The step `restart`: members of the cluster are started anew, one at a time, and no queue goes away with one.
//!
//! A cluster has no leader, so the order is the inventory's from its end: queues gather where clients first made them.
//! What counts is asked of the brokers right before each: that no quorum queue would lose its quorum, nor a mirrored one
//! its last synchronised copy (as `rabbitmq-diagnostics check_if_node_is_quorum_critical` and
//! `check_if_node_is_mirror_sync_critical` do, <https://www.rabbitmq.com/docs/upgrade>). It is asked only where a member
//! is restarted, for the answer costs each node a question to all others.

use std::collections::BTreeSet;

use plan::{Level, Refusal, Unknown};
use protocol::facts::{ErlangFact, Term};
use protocol::{Action, Fact, Operation, Precondition, Query, UnitVerb};
use types::HostName;

use crate::checks;
use crate::observe::view::{self, Broker, Node};
use crate::settings::Settings;
use crate::steps::config;
use kit::UNIT;
use kit::{ASKED, Cx, StepPlan, Task};

/// The consent to stop a member although queues stop with it.
pub(crate) const CONSENT: &str = "rabbitmq.restart";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let mut due = Vec::new();
    for host in cx.hosts.iter().rev() {
        match member(settings, host, cx) {
            Ok(Some((broker, reason))) => due.push((host, broker, reason)),
            Ok(None) => {}
            Err(unknown) => plan.unplanned.push((host.clone(), unknown.to_string())),
        }
    }
    let Some((_, broker, _)) = due.first() else {
        return plan;
    };
    let away = away(settings, broker, cx);
    if !away.is_empty() {
        let is_listed = away.iter().any(|node| settings.lists(node));
        let away = away.join(", ");
        if is_listed {
            plan.refusals.push(somebody_is_away(&away));
        } else {
            // Not a refusal: that would keep them from leaving.
            let why = format!("{away} is still a member and does not run: it leaves first, plan again then");
            plan.unplanned
                .extend(due.iter().map(|(host, ..)| ((*host).clone(), why.clone())));
        }
        return plan;
    }
    if settings.hosts.len() == 2 {
        let text = "with two members, quorum queues stop while one of them restarts";
        plan.note(Level::Warning, None, text);
    }
    for (host, broker, reason) in &due {
        plan.tasks.push(restart(settings, host, broker, reason, cx));
    }
    plan
}

/// A running member of a cluster that must be restarted, and why.
fn member(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Option<(Broker, String)>, Unknown> {
    let Some(reason) = pending(settings, host, cx)? else {
        return Ok(None);
    };
    Ok(match view::node(settings, host, cx.facts)? {
        Node::Up(broker) if broker.members.len() > 1 => Some((*broker, reason)),
        // Whom nobody relies on is restarted by the step `start`.
        _ => None,
    })
}

/// Why a process must be started again; `None` where it need not.
pub(crate) fn pending(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Option<String>, Unknown> {
    if cx.writes(host, &settings.config_path) {
        return Ok(Some(format!("{} changes", settings.config_path)));
    }
    if config::is_newer(settings, host, cx.facts)? {
        return Ok(Some(format!(
            "{} is newer than its process",
            settings.config_path
        )));
    }
    Ok(cx.asks_restart(host, &settings.unit).then(|| ASKED.to_owned()))
}

/// The members that do not run, and that no earlier step of this plan starts.
fn away(settings: &Settings, broker: &Broker, cx: &Cx<'_>) -> Vec<String> {
    let is_started = |host: &HostName| {
        let is_off = |node| matches!(node, Node::Off(_) | Node::Halted(_) | Node::OtherCookie);
        let is_paused = view::is_paused(settings, host, cx.facts);
        cx.hosts.contains(host) && !is_paused && view::node(settings, host, cx.facts).is_ok_and(is_off)
    };
    let started: BTreeSet<String> = settings
        .hosts
        .iter()
        .filter(|host| is_started(host))
        .map(Settings::node)
        .collect();
    let away = broker.members.difference(&broker.running);
    away.filter(|node| !started.contains(*node)).cloned().collect()
}

fn somebody_is_away(away: &str) -> Refusal {
    Refusal {
        service: None,
        host: None,
        what: "no member is restarted".to_owned(),
        why: format!("{away} does not run, or is not seen by the others"),
        way_out: "bring it back first, or take it off the service's hosts, and plan again".to_owned(),
        consent: None,
    }
}

fn restart(settings: &Settings, host: &HostName, broker: &Broker, reason: &str, cx: &Cx<'_>) -> Task {
    let mut verbs = vec![UnitVerb::Restart];
    if view::unit(settings, host, cx.facts).is_ok_and(|unit| unit.stale) {
        verbs.insert(0, UnitVerb::DaemonReload);
    }
    let is_allowed = cx.is_allowed(CONSENT, host);
    let operation = Operation::Unit {
        name: settings.unit.clone(),
        verbs,
    };
    let has_mirrors = broker.has_mirrors();
    let proof = (!is_allowed).then(|| is_dispensable(settings, host, has_mirrors));
    let action = Action {
        only_if: proof.into_iter().collect(),
        operation,
        limit_ms: UNIT,
    };
    let title = format!("{host} runs, sees all members, and mirrors are synchronised");
    let task = Task::new(host, format!("restart {}", settings.unit), reason, action)
        .disrupting(true)
        .gate(checks::cluster_gate(
            settings,
            checks::BACK,
            host,
            title,
            has_mirrors,
        ));
    if is_allowed {
        return task;
    }
    let title = format!("no queue would go away with {host}");
    task.before(checks::cluster_gate(
        settings,
        checks::DISPENSABLE,
        host,
        title,
        has_mirrors,
    ))
}

/// The precondition of a stop: no queue would lose its quorum or its last synchronised mirror.
fn is_dispensable(settings: &Settings, host: &HostName, has_mirrors: bool) -> Precondition {
    let query = view::critical_query(settings, host, has_mirrors);
    let nothing = query.calls.iter().map(|_| Ok(Term::List(Vec::new()))).collect();
    Precondition {
        what: format!("no queue would lose its quorum or its last synchronised mirror without {host}"),
        query: query.wrap(),
        fact: Fact::Erlang(ErlangFact::Results(nothing)),
    }
}
