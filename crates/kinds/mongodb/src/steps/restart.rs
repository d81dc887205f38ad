//! The step `restart`: members of the set that run with other options than their files say are started anew, so that
//! the set keeps its majority and its primary all the while.
//!
//! Secondaries first, one at a time, each until it is back and has caught up; then the primary steps down, and is
//! restarted last, as a secondary. Whoever is the primary at that moment is asked again: a plan whose primary changed
//! stops there, and the next one is right.

use plan::{Level, Preview, Refusal};
use protocol::facts::{Bson, Login, MongoCommand, MongoFact, Query};
use protocol::{Action, Fact, Operation, Precondition, UnitVerb};
use types::HostName;

use crate::checks::gates;
use crate::observe::queries::{HERE, ask_as_nobody};
use crate::observe::view::{Node, Place, Up, View};
use crate::rules::member_removal::config_by_then;
use crate::settings::Settings;
use crate::status::{duration, unavailable};
use crate::steps::leave::out_of_office;
use crate::steps::start::{pending, starts};
use crate::steps::users::is_primary;
use formats::replset::{Member, host_of};
use kit::UNIT;
use kit::{Cx, StepPlan, Task};

/// How long the old primary does not stand for election, in seconds: its restart comes at once.
const STAND_BACK_S: i64 = 120;
/// How long it waits for a secondary to catch up before it steps down, in seconds.
const CATCH_UP_S: i64 = 60;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let mut needs: Vec<(&Node<'_>, String)> = cx
        .hosts
        .iter()
        .filter_map(|host| view.node(host))
        .filter(|node| node.place(settings) == Some(Place::Member))
        .filter_map(|node| Some((node, pending(settings, node, cx)?)))
        .collect();
    if needs.is_empty() {
        return all;
    }
    let Some((primary, up)) = view.primary() else {
        for (node, reason) in needs {
            let why = format!("it must be restarted ({reason}), and the set has no primary");
            all.unplanned.push((node.host.clone(), why));
        }
        return all;
    };
    if let Some(refusal) = no_majority(&view, &needs, cx) {
        all.refusals.push(refusal);
        return all;
    }
    if let Some(seconds) = up.window_s() {
        let text = format!(
            "members are stopped one at a time, and none may be away longer than the oplog of {} goes back ({})",
            primary.host,
            duration(seconds)
        );
        all.note(Level::Info, None, text);
    }
    // Who does not serve goes first: it takes nothing from the set, and may be mended by it.
    let away = unavailable(settings, cx.facts);
    needs.sort_by_key(|(node, _)| !away.contains(node.host));
    let last = needs.iter().position(|(node, _)| node.host == primary.host);
    let last = last.map(|at| needs.remove(at));
    for (node, reason) in needs {
        let state = node.server.up().map(|up| {
            if up.is_arbiter() {
                "arbiterOnly"
            } else {
                "secondary"
            }
        });
        let serves = state.filter(|_| node.server.up().is_some_and(Up::serves));
        let port = node.server.up().map_or(settings.port, |up| up.port);
        let only_if = match serves {
            Some(state) => is_still(settings, node, state),
            None => out_of_office(node.host, port),
        };
        all.tasks.push(restart(&view, node, &reason, only_if));
    }
    if let Some((node, reason)) = last {
        plan_primary(&view, node, &reason, cx, &mut all);
    }
    all
}

fn plan_primary(view: &View<'_>, node: &Node<'_>, reason: &str, cx: &Cx<'_>, all: &mut StepPlan) {
    let (settings, host) = (view.settings, node.host);
    let can_lead = |other: &&Node<'_>| {
        let name = settings.member_name(other.host);
        let member = view.config().and_then(|config| config.member(&name));
        let is_up = other.server.up().is_some_and(Up::is_secondary) || starts(view, other, cx);
        other.host != host && is_up && member.is_some_and(|member| member.priority() > 0.0)
    };
    if !view.nodes.iter().any(|other| can_lead(&other)) {
        let text = "no other member could take over: nobody can write until it is back";
        all.note(Level::Warning, Some(host), text);
        all.tasks
            .push(restart(view, node, reason, is_primary(settings, host)));
        return;
    }
    let why = format!("{host} is the primary, and must be restarted: {reason}");
    all.tasks.push(step_down(view, host, why));
    all.tasks
        .push(restart(view, node, reason, is_still(settings, node, "secondary")));
}

/// The primary hands its role over.
pub(crate) fn step_down(view: &View<'_>, host: &HostName, why: String) -> Task {
    let settings = view.settings;
    let command =
        MongoCommand::new("replSetStepDown", STAND_BACK_S).with("secondaryCatchUpPeriodSecs", CATCH_UP_S);
    let preview = Preview::Commands(vec![command.to_string()]);
    let action = Action {
        only_if: vec![is_primary(settings, host)],
        operation: Operation::Mongo {
            address: HERE.to_owned(),
            port: settings.port,
            user: settings.admin.clone(),
            commands: vec![command],
            again_on: Vec::new(),
        },
        limit_ms: UNIT,
    };
    let title = format!("let another member than {host} become the primary");
    Task::new(host, title, why, action)
        .part("step-down")
        .preview(preview)
        .gate(gates::handed_over(view, host))
}

fn restart(view: &View<'_>, node: &Node<'_>, reason: &str, only_if: Precondition) -> Task {
    let (settings, host) = (view.settings, node.host);
    let name = settings.unit.trim_end_matches(".service");
    let mut verbs = Vec::new();
    if node.unit.as_ref().is_ok_and(|unit| unit.stale) {
        verbs.push(UnitVerb::DaemonReload);
    }
    verbs.push(UnitVerb::Restart);
    let action = Action {
        only_if: vec![only_if],
        operation: Operation::Unit {
            name: settings.unit.clone(),
            verbs,
        },
        limit_ms: UNIT,
    };
    Task::new(host, format!("restart {name}"), reason, action)
        .disrupting(true)
        .gate(gates::serves(view, host))
}

/// The member is what it was: not the primary.
fn is_still(settings: &Settings, node: &Node<'_>, state: &str) -> Precondition {
    let port = node.server.up().map_or(settings.port, |up| up.port);
    let hello = MongoCommand::new("hello", 1).only(&["setName", state]);
    let reply = Bson::doc([
        ("setName", settings.replica_set.as_str().into()),
        (state, true.into()),
    ]);
    Precondition {
        what: format!("{} is no primary, but a member that serves", node.host),
        query: ask_as_nobody(port, vec![hello]).wrap(),
        fact: Fact::Mongo(MongoFact::Replies {
            login: Login::Nobody,
            replies: vec![Ok(reply)],
        }),
    }
}

/// Restarting one more would leave no majority of those that vote.
fn no_majority(view: &View<'_>, needs: &[(&Node<'_>, String)], cx: &Cx<'_>) -> Option<Refusal> {
    let config = config_by_then(view, cx)?;
    let down = unavailable(view.settings, cx.facts);
    let is_mended = |host: &HostName| {
        // One that must be restarted itself is mended by it.
        let is_restarted = needs.iter().any(|(other, _)| other.host == host);
        is_restarted || view.node(host).is_some_and(|node| starts(view, node, cx))
    };
    let voters = config.members().into_iter().filter(Member::votes);
    let away: Vec<HostName> = voters
        .filter_map(|member| host_of(member.name()))
        .filter(|host| down.contains(host) && !is_mended(host))
        .collect();
    let away: Vec<&str> = away.iter().map(HostName::as_str).collect();
    let voters = config.voters();
    // Two voters, or one, have no majority without each of them: then there is nothing to keep.
    if away.is_empty() || voters < 3 || voters.saturating_sub(away.len()) > voters / 2 + 1 {
        return None;
    }
    Some(Refusal {
        service: None,
        host: None,
        what: "no member is restarted".to_owned(),
        why: format!(
            "{} of {voters} voting members do not serve ({}), and one more would leave no majority",
            away.len(),
            away.join(", ")
        ),
        way_out: "bring them back first, and plan again".to_owned(),
        consent: None,
    })
}
