//! The step `start`: the unit runs, and runs with the cookie that its file holds.
//!
//! Whether a restart is due is never remembered. A node that refuses the cookie of its own file was not restarted
//! since that was written; so a run that died between writing and restarting is finished by the next one.

use protocol::{Operation, UnitVerb};

use crate::checks::Check;
use crate::observe::{Member, Node, View};
use crate::rules::commands::ctl;
use crate::rules::cookie;
use crate::rules::preconditions::is_not_paused;
use crate::rules::stale_config::stale_config;
use crate::settings::Settings;
use kit::{Cx, Need, Reason, StepPlan, Task, UNIT, Undecided, action, verbs_to_run};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut plan = StepPlan::nothing();
    for member in view.on(cx.hosts) {
        match start(&view, member, cx) {
            Ok(task) => plan.tasks.extend(task),
            Err(why) => plan.unplanned.push((member.host.clone(), why)),
        }
    }
    for member in view.on(cx.hosts).filter(|member| member.is_paused()) {
        let why = "its broker paused, for it sees no more than half of the members; it comes back by itself once it \
                   sees more";
        plan.not_yet.push((member.host.clone(), why.to_owned()));
    }
    plan
}

fn start(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<Option<Task>, String> {
    let (settings, host) = (view.settings, member.host);
    // One that this plan stops is started again, whatever is known of it.
    let node = match &member.node {
        Err(why) if !cx.tells(host, &settings.unit, UnitVerb::Stop) => return Err(why.clone()),
        node => node,
    };
    let need = need(view, member, cx).map_err(|undecided| undecided.to_string())?;
    let task = match need {
        Some(need) => member.process(settings).task(&need),
        None if matches!(node, Ok(Node::Halted { is_paused: false, .. })) => start_app(settings, member),
        None => return Ok(None),
    };
    let gate = Check::Running.gate(settings, host, format!("{host} is running"));
    Ok(Some(task.gate(gate)))
}

fn need(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<Option<Need>, Undecided> {
    let (settings, host) = (view.settings, member.host);
    let unit = member.unit.clone()?;
    if cx.tells(host, &settings.unit, UnitVerb::Stop) {
        let mut verbs = verbs_to_run(host, &settings.unit, cx.facts)?;
        verbs.push(UnitVerb::Start);
        let reason = Reason::Restart("it was stopped for a new cookie".to_owned());
        return Ok(Some(Need { verbs, reason }));
    }
    // Nobody relies on a broker that is alone. A member of a cluster is restarted by the step `restart`, in its turn.
    let is_alone = member.broker().is_some_and(|broker| !broker.is_clustered());
    let cx = Cx {
        restart: cx.restart.filter(|_| is_alone),
        ..*cx
    };
    let mut process = member.process(settings);
    if unit.is_active() && member.is_clustered() {
        // It runs, wherever its program came from.
        process.package = "";
    }
    process.need(&cx, || match new_cookie(view, member, &cx) {
        Some(why) => Ok(Some(why.to_owned())),
        None if is_alone => Ok(stale_config(view, member, &cx)?),
        None => Ok(None),
    })
}

/// Why a running node does not run with the cookie that its file holds, or will hold; `None` where it does.
fn new_cookie(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Option<&'static str> {
    if matches!(member.node, Ok(Node::OtherCookie(_))) {
        return Some("it runs with another cookie than its file's");
    }
    // Writing the same text again, to close its access, changes nothing for the node.
    let changes = cx.writes(member.host, &view.settings.cookie_path()) && cookie::differs(view, member);
    changes.then_some("its cookie changes")
}

/// Starts a broker that was left halted: somebody, or a run that died, got as far as `stop_app`. One that paused starts
/// by itself.
fn start_app(settings: &Settings, member: &Member<'_>) -> Task {
    let commands = vec![ctl(&["start_app"])];
    let action = action(Operation::Run { commands }, UNIT);
    let reason = "the node runs without its broker";
    Task::new(member.host, "rabbitmqctl start_app", reason, action)
        .part("app")
        .only_if([is_not_paused(settings, member.host)])
}
