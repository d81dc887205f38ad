//! The step `leave`: members that the inventory does not list any more leave the set, and their servers stop.
//!
//! It comes after the services that use the set, which have other addresses by then. One member leaves after the other,
//! each configuration committed before the next; a primary that leaves hands over first. A server that is out is stopped
//! and disabled, so that nobody takes it for a member; its data stay where they are.

use plan::{Preview, Refusal};
use protocol::facts::{Bson, Login, MongoCommand, MongoFact, Query};
use protocol::{Action, Fact, Operation, Precondition};
use types::HostName;

use crate::checks::gates;
use crate::observe::queries::ask_as_nobody;
use crate::observe::view::{Node, View};
use crate::rules::member_removal::{self, Departure, config_by_then, departures};
use crate::rules::reconfig_plan::{Stage, without};
use crate::settings::Settings;
use crate::steps::initiate;
use crate::steps::members::Run;
use crate::steps::restart::step_down;
use formats::replset::SetConfig;
use kit::{Cx, StepPlan, Task};
use kit::{UNIT, action, verbs_to_retire};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    // Without a primary nobody leaves; the step `check` says so.
    let config = config_by_then(&view, cx).filter(|_| view.primary().is_some());
    let Some(config) = config else {
        return all;
    };
    let mut going = Vec::new();
    let departures = departures(&view, &config, cx).into_iter();
    // Of those that take no part, the step `members` lets go.
    for (departure, proof) in departures.filter(|(departure, _)| departure.serves) {
        match proof {
            Ok(()) => {
                member_removal::note_out_of_reach(&view, &departure, cx, &mut all);
                going.push(departure);
            }
            Err(why) => all.refusals.push(member_removal::refusal(&departure, &why)),
        }
    }
    let mut left: Vec<String> = going.iter().map(|departure| departure.name.clone()).collect();
    if let Err(refusal) = let_go(&view, config.clone(), &going, cx, &mut all) {
        left.clear();
        all.refusals.push(*refusal);
    }
    for node in view.formers().filter(|node| cx.others.contains(node.host)) {
        let name = settings.member_name(node.host);
        if config.member(&name).is_none() || left.contains(&name) {
            all.tasks.extend(retire(settings, node));
        }
    }
    all
}

/// Takes them out of the configuration, the primary last.
fn let_go(
    view: &View<'_>,
    mut config: SetConfig,
    going: &[Departure],
    cx: &Cx<'_>,
    all: &mut StepPlan,
) -> Result<(), Box<Refusal>> {
    let Some((primary, _)) = view.primary().filter(|_| !going.is_empty()) else {
        return Ok(());
    };
    let mut leads = primary.host.clone();
    // Where an earlier step of this plan lets another member lead, nobody knows which.
    let moves = |task: &Task| initiate::first_command(task).is_some_and(|it| it.name() == "replSetStepDown");
    if cx.earlier.iter().any(moves) {
        config = config.in_any_term();
        leads = heir(view, &config, &leads).unwrap_or(leads);
    }
    let (last, first): (Vec<&Departure>, Vec<&Departure>) = going.iter().partition(|it| it.host == leads);
    for departure in first.into_iter().chain(last) {
        if departure.host == leads {
            let others = without(&config, &departure.name);
            let heir = heir(view, &others, &leads).ok_or_else(|| {
                Box::new(member_removal::refusal(
                    departure,
                    "it is the primary, and nobody that stays could take over",
                ))
            })?;
            let reason = format!("{leads} is the primary, and leaves the set");
            let task = step_down(view, &leads, reason);
            all.tasks.push(spare(view, departure, task));
            config = config.in_any_term();
            leads = heir;
        }
        let next = without(&config, &departure.name);
        let reason = if departure.is_allowed {
            "the inventory does not list it, and its removal is allowed"
        } else {
            "the inventory does not list it, and the others have all that it has"
        };
        let stage = Stage::Reconfig {
            from: config,
            to: next.clone(),
            title: format!("remove {} from the set", departure.name),
            reason: reason.to_owned(),
        };
        let task = Run { view, host: &leads }.task(stage);
        all.tasks.push(spare(view, departure, task));
        config = next;
    }
    Ok(())
}

/// What is proven now is proven again right before.
pub(crate) fn spare(view: &View<'_>, departure: &Departure, task: Task) -> Task {
    if departure.is_allowed {
        return task;
    }
    task.before(gates::spared(view, &departure.name))
}

/// Who takes over from a primary: the server asks the one with the most weight among those that have everything, and of
/// several the first. Where another was elected, the tasks that rely on it find that out, and a new plan is made.
fn heir(view: &View<'_>, config: &SetConfig, primary: &HostName) -> Option<HostName> {
    let now = view.config();
    let mut best: Option<(f64, HostName)> = None;
    for member in config.members() {
        let Some(host) = formats::replset::host_of(member.name()).filter(|host| host != primary) else {
            continue;
        };
        let rises = now
            .as_ref()
            .is_none_or(|now| now.member(member.name()).is_none_or(|it| !it.votes()));
        let serves = view.seen_as(member.name()).is_some_and(|seen| seen.serves());
        let can = member.priority() > 0.0 && !member.is_arbiter() && (rises || serves);
        if can
            && best
                .as_ref()
                .is_none_or(|(weight, _)| member.priority() > *weight)
        {
            best = Some((member.priority(), host));
        }
    }
    best.map(|(_, host)| host)
}

/// A server that is out of the set is stopped and does not come back.
fn retire(settings: &Settings, node: &Node<'_>) -> Option<Task> {
    let host = node.host;
    let task = stop(settings, node, "is no member of the set any more")?;
    let only_if = out_of_office(host, settings.port);
    let action = task.action.map(|action| Action {
        only_if: vec![only_if],
        ..action
    });
    Some(Task { action, ..task })
}

/// Stops and disables a server, as far as it is neither.
pub(crate) fn stop(settings: &Settings, node: &Node<'_>, why: &str) -> Option<Task> {
    let unit = node.unit.as_ref().ok().filter(|unit| unit.exists())?;
    let verbs = verbs_to_retire(unit);
    if verbs.is_empty() {
        return None;
    }
    let words: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
    let name = settings.unit.trim_end_matches(".service");
    let reason = format!("{} {why}; its data stay where they are", node.host);
    let preview = format!("systemctl {} {}", words.join(" and "), settings.unit);
    let operation = Operation::Unit {
        name: settings.unit.clone(),
        verbs,
    };
    let title = format!("{} {name}", words.join(" and "));
    let task = Task::new(node.host, title, reason, action(operation, UNIT));
    Some(task.part("stop").preview(Preview::Commands(vec![preview])))
}

/// The host's server is the primary of nothing.
pub(crate) fn out_of_office(host: &HostName, port: u16) -> Precondition {
    let hello = MongoCommand::new("hello", 1).only(&["isWritablePrimary"]);
    Precondition {
        what: format!("{host} is not the primary"),
        query: ask_as_nobody(port, vec![hello]).wrap(),
        fact: Fact::Mongo(MongoFact::Replies {
            login: Login::Nobody,
            replies: vec![Ok(Bson::doc([("isWritablePrimary", false.into())]))],
        }),
    }
}
