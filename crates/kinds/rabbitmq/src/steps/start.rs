//! Stopping and starting: the unit runs, and runs with the cookie that its file holds.
//!
//! Whether a restart is due is never remembered. A node that refuses the cookie of its own file was not restarted
//! since that was written; so a run that died between writing and restarting is finished by the next one.

use plan::Unknown;
use protocol::facts::{ErlangFact, Term};
use protocol::{Action, Command, Fact, Operation, Precondition, Query, UnitVerb};
use types::HostName;

use crate::checks;
use crate::observe::view::{self, Node};
use crate::settings::Settings;
use crate::steps::cookie::{changes_for_all, is_clustered, text_differs};
use crate::steps::restart;
use kit::{Cx, StepPlan, Task};
use kit::{UNIT, action, each_host, verbs_to_run};

/// Stops every member of a formed cluster whose cookie changes: first in, last out, because the member that stopped
/// last has the latest state and must be there when the others start.
pub(crate) fn plan_stop(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let any_changes = cx.hosts.iter().any(|host| changes_for_all(settings, host, cx));
    let mut plan = each_host(cx, |host| {
        let runs = view::unit(settings, host, cx.facts)?.is_active();
        if !(runs && any_changes && is_clustered(settings, host, cx)) {
            return Ok(Vec::new());
        }
        let operation = Operation::Unit {
            name: settings.unit.clone(),
            verbs: vec![UnitVerb::Stop],
        };
        let reason = "a new cookie takes effect on all members at once, and this was consented to";
        Ok(vec![Task::new(
            host,
            format!("stop {}", settings.unit),
            reason,
            action(operation, UNIT),
        )])
    });
    plan.tasks.reverse();
    plan
}

/// Why a running node does not run with the cookie that its file holds, or will hold; `None` where it does.
fn new_cookie(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Option<&'static str>, Unknown> {
    if !view::unit(settings, host, cx.facts)?.is_active() {
        return Ok(None);
    }
    if view::node(settings, host, cx.facts)? == Node::OtherCookie {
        return Ok(Some("it runs with another cookie than its file's"));
    }
    // Writing the same text again, to close its access, changes nothing for the node.
    let changes = cx.writes(host, &settings.cookie_path()) && text_differs(settings, host, cx);
    Ok(changes.then_some("its cookie changes"))
}

/// Why a running node that is alone must be started anew: nobody relies on it, so it need not wait for its turn.
fn outside(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Option<String>, Unknown> {
    match view::node(settings, host, cx.facts)? {
        Node::Up(broker) if broker.members.len() <= 1 => restart::pending(settings, host, cx),
        _ => Ok(None),
    }
}

/// Starts what does not run and restarts what runs with another cookie.
pub(crate) fn plan_start(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = plan_each(settings, cx);
    for host in cx
        .hosts
        .iter()
        .filter(|host| view::is_paused(settings, host, cx.facts))
    {
        let why = "its broker paused, for it sees no more than half of the members; it comes back by itself once it \
                   sees more";
        plan.unplanned.push((host.clone(), why.to_owned()));
    }
    plan
}

fn plan_each(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    each_host(cx, |host| {
        let mut verbs = verbs_to_run(host, &settings.unit, cx.facts)?;
        let outside = outside(settings, host, cx)?;
        let reason = if cx.tells(host, &settings.unit, UnitVerb::Stop) {
            verbs.push(UnitVerb::Start);
            "it was stopped for a new cookie"
        } else if cx.installs(host, &settings.package) && !is_clustered(settings, host, cx) {
            // Debian's package starts what it installs, with a cookie that it makes up.
            verbs = vec![UnitVerb::Enable, UnitVerb::Restart];
            "its package is installed by this plan"
        } else if let Some(reason) = new_cookie(settings, host, cx)? {
            verbs.push(UnitVerb::Restart);
            reason
        } else if let Some(reason) = &outside {
            verbs.push(UnitVerb::Restart);
            reason
        } else if verbs.contains(&UnitVerb::Start) {
            "it does not run"
        } else if verbs.contains(&UnitVerb::Enable) {
            "it does not start at boot"
        } else if !verbs.is_empty() {
            "its unit file was changed"
        } else {
            return Ok(start_app(settings, host, cx)?.into_iter().collect());
        };
        let words: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
        let title = format!("{} {}", words.join(" and "), settings.unit);
        let operation = Operation::Unit {
            name: settings.unit.clone(),
            verbs,
        };
        let gate = checks::gate(settings, checks::RUNNING, host, format!("{host} is running"));
        Ok(vec![
            Task::new(host, title, reason, action(operation, UNIT)).gate(gate),
        ])
    })
}

/// Starts a broker that was left halted: somebody, or a run that died, got as far as `stop_app`. One that paused starts
/// by itself.
fn start_app(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, Unknown> {
    let is_halted = matches!(view::node(settings, host, cx.facts)?, Node::Halted(_));
    if !is_halted || view::is_paused(settings, host, cx.facts) {
        return Ok(None);
    }
    let operation = Operation::Run {
        commands: vec![Command::new(["rabbitmqctl", "-q", "start_app"])],
    };
    let gate = checks::gate(settings, checks::RUNNING, host, format!("{host} is running"));
    let reason = "the node runs without its broker";
    let query = view::pause_query(settings, host);
    let is_not = Precondition {
        what: format!("the broker of {host} did not pause"),
        query: query.wrap(),
        fact: Fact::Erlang(ErlangFact::Results(vec![Ok(Term::atom("undefined"))])),
    };
    let act = Action {
        only_if: vec![is_not],
        operation,
        limit_ms: UNIT,
    };
    Ok(Some(
        Task::new(host, "rabbitmqctl start_app", reason, act)
            .part("app")
            .gate(gate),
    ))
}
