//! The steps `leave` and `forget`: members go that are none any more.
//!
//! Both come after the applications have learned the other members. A member that leaves serves to the end; when all
//! others have what clients wrote there, it is stopped and does not start at boot again, and its data stay where they are.
//! Then the others stop to mirror it, one after another, for a server reads its masters when it starts. The proof is a
//! key that is written there and read on all members: a mirror gets the changes of a master in their order.

use std::collections::BTreeSet;

use plan::{Consent, Level, Preview, Refusal};
use protocol::facts::SsdbCommand;
use protocol::{FileState, Operation, Text, UnitVerb};
use types::HostName;

use crate::checks;
use crate::observe::queries::FAREWELL;
use crate::observe::view::{Node, View};
use crate::rules::desired_config;
use crate::rules::former_members::Leaving;
use crate::rules::need::{How, Need};
use crate::settings::Settings;
use crate::steps::canary;
use crate::steps::config::MODE;
use crate::steps::restart::{on_server, tell};
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, UNIT, action};

/// The consent to let a host go without the proof.
const LEAVE: &str = "ssdb.leave";

/// Stops the hosts that are no members any more, or says why not.
pub(crate) fn plan_leave(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for former in view.staying() {
        let host = former.host;
        match (unproven(&view, former, cx), cx.is_allowed(LEAVE, host)) {
            (None, _) => all.tasks.extend(go(&view, former, cx, true)),
            (Some(why), true) => {
                let text = format!(
                    "it goes without the proof that the members have what clients wrote there: {why}"
                );
                all.note(Level::Warning, Some(host), text);
                all.tasks.extend(go(&view, former, cx, false));
            }
            (Some(why), false) => all.refusals.push(refusal(host.as_str(), Some(host), why)),
        }
    }
    for stranger in view.strangers() {
        let host: Option<HostName> = stranger.parse().ok();
        if !host.as_ref().is_some_and(|host| cx.is_allowed(LEAVE, host)) {
            let why = "it is no host of the inventory, so nobody can look there".to_owned();
            all.refusals.push(refusal(&stranger, host.as_ref(), why));
        }
    }
    all
}

fn refusal(name: &str, host: Option<&HostName>, why: String) -> Refusal {
    let resolve = match host {
        Some(_) => {
            "bring it back as a host of the inventory that can be asked, and plan again; with consent it goes, and what \
                    only it has is lost to the others"
        }
        None => "take the lines out of the members' files by hand",
    };
    Refusal {
        service: None,
        // No host of it is stopped for that, but what is told of itself.
        host: host.cloned(),
        what: format!("{name} does not leave the mirrors"),
        why,
        resolve: resolve.to_owned(),
        consent: host.map(|host| Consent {
            action: LEAVE.to_owned(),
            host: host.clone(),
        }),
    }
}

/// Why it cannot be proven that the members have all that clients wrote on a host.
fn unproven(view: &View<'_>, former: &Node<'_>, cx: &Cx<'_>) -> Option<String> {
    let host = former.host;
    if let Some(why) = former.unreachable {
        return Some(format!("it cannot be reached: {why}"));
    }
    if !cx.others.contains(host) {
        return Some("it is not looked at in this plan".to_owned());
    }
    if former.unit.as_ref().is_ok_and(|unit| !unit.exists()) {
        return Some(format!(
            "there is no unit {} that could be stopped",
            view.settings.unit
        ));
    }
    if let Some(trouble) = former.server.trouble().filter(|_| !view.is_to_start(former)) {
        return Some(trouble);
    }
    if !view.is_source(former) {
        return Some(format!(
            "no member mirrors {host}: what clients write there stays there"
        ));
    }
    let mut lost = view.nodes.iter().filter(|member| !cx.hosts.contains(member.host));
    lost.next().map(|member| {
        format!(
            "{} cannot be looked at in this plan, and would not get what it lacks of {host}",
            member.host
        )
    })
}

/// What is done on a host that goes.
fn go(view: &View<'_>, former: &Node<'_>, cx: &Cx<'_>, is_proven: bool) -> Vec<Task> {
    let (settings, host) = (view.settings, former.host);
    if !cx.others.contains(host) || former.unit.as_ref().is_ok_and(|unit| !unit.exists()) {
        return Vec::new();
    }
    let operation = Operation::Unit {
        name: settings.unit.clone(),
        // Cut off in between, it is one that does not run and has not left.
        verbs: vec![UnitVerb::Stop, UnitVerb::Disable],
    };
    let title = format!(
        "stop {} for good; its data stay in {}",
        settings.unit.trim_end_matches(".service"),
        former.work_dir(settings)
    );
    let stop = Task::new(
        host,
        title,
        "it is no host of this service any more",
        action(operation, UNIT),
    );
    if !is_proven {
        return vec![stop];
    }
    let value = canary::value(view, host, None);
    let value = format!("{host}-{value}");
    let mut watched: Vec<&HostName> = cx.hosts.iter().collect();
    watched.push(host);
    let check = format!("{}{value}", checks::FAREWELL);
    let gate = |limit_s| checks::gate(settings, &check, host, &watched, limit_s);
    let commands = vec![SsdbCommand::new(["set", FAREWELL, &value])];
    let write = Task::new(
        host,
        format!("write a farewell on {host}"),
        "with it all that clients wrote there must be on every member",
        on_server(settings, host, commands),
    );
    let shown = Preview::Commands(vec![format!("set {FAREWELL} {value}")]);
    vec![
        write
            .part("farewell")
            .preview(shown)
            .gate(gate(settings.sync_timeout)),
        stop.before(gate(settings.canary_timeout)),
    ]
}

/// Lets the members stop to mirror those that go with this plan.
pub(crate) fn plan_forget(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let strangers = view.strangers();
    let leaving = leaving(&view, &strangers, cx);
    let concerned: Vec<&Node<'_>> = view
        .nodes
        .iter()
        .filter(|node| mirrors_one(&view, node, &leaving))
        .collect();
    if leaving.0.is_empty() || concerned.is_empty() {
        return all;
    }
    let lost = view.nodes.iter().find(|node| !cx.hosts.contains(node.host));
    if let Some(lost) = lost {
        let why = format!(
            "it goes on to mirror those that left: {} does not serve, and one member at a time may be missing",
            lost.host
        );
        let reached = concerned.iter().filter(|node| cx.hosts.contains(node.host));
        all.unplanned
            .extend(reached.map(|node| (node.host.clone(), why.clone())));
        return all;
    }
    let everybody: Vec<&HostName> = cx.hosts.iter().collect();
    // Whoever came back a moment ago says SYNC too, and the farewell proves the links from those that leave only.
    let mirroring = cx.hosts.iter().collect();
    let first = canary::write_first(&view, &everybody, &mirroring, &BTreeSet::new());
    all.tasks.extend(first);
    for node in concerned {
        match forget(&view, node, &leaving, &everybody, cx) {
            Ok(tasks) => all.tasks.extend(tasks),
            Err(why) => all.unplanned.push((node.host.clone(), why)),
        }
    }
    if everybody.len() > 1 {
        let delete = |&host: &&HostName| canary::delete(&view, host, &everybody, "it has done its work");
        all.tasks.extend(everybody.iter().map(delete));
    }
    all.tasks
        .extend(canary::delete_farewell(&view, &everybody, "it has done its work"));
    all
}

/// Those that the step `leave` lets go.
fn leaving<'v>(view: &'v View<'_>, strangers: &'v BTreeSet<String>, cx: &Cx<'_>) -> Leaving<'v> {
    let is_allowed = |host: &HostName| cx.is_allowed(LEAVE, host);
    let formers = view.staying().map(|former| (former.host, former));
    let formers = formers
        .filter(|(host, former)| unproven(view, former, cx).is_none() || is_allowed(host))
        .map(|(host, _)| host.as_str());
    let strangers = strangers
        .iter()
        .filter(|name| name.parse().is_ok_and(|host| is_allowed(&host)))
        .map(String::as_str);
    Leaving(formers.chain(strangers).collect())
}

/// Whether a member mirrors one of those that go, or does by the time of this step.
fn mirrors_one(view: &View<'_>, node: &Node<'_>, leaving: &Leaving<'_>) -> bool {
    let mut going = view
        .others
        .iter()
        .filter(|other| leaving.has(other.host.as_str()));
    let text = |leaving| desired_config::file(view, node, leaving).map(|wanted| wanted.text);
    going.any(|other| view.mirrors(node, other.host)) || text(&Leaving::default()) != text(leaving)
}

/// The file without those that left, and a restart with it.
fn forget(
    view: &View<'_>,
    node: &Node<'_>,
    leaving: &Leaving<'_>,
    everybody: &[&HostName],
    cx: &Cx<'_>,
) -> Result<Vec<Task>, String> {
    let (settings, host) = (view.settings, node.host);
    let fact = node.file.as_ref().map_err(ToString::to_string)?;
    let before = Text::new(desired_config::file(view, node, &Leaving::default())?.text);
    let after = Text::new(desired_config::file(view, node, leaving)?.text);
    // An earlier step of this plan, which looked at what was there, writes what this one is made from.
    let is_written_before = fact.text() != Some(&before);
    let names: Vec<&str> = leaving.0.iter().copied().collect();
    let reason = format!(
        "it mirrors {}, no host of this service any more",
        names.join(", ")
    );
    let mut tasks = Vec::new();
    if after != before {
        let operation = Operation::WriteFile {
            path: settings.config.clone(),
            text: after.clone(),
            mode: MODE,
            owner: settings.owner.clone(),
            group: settings.group.clone(),
            was: if is_written_before {
                FileState::Any
            } else {
                fact.state()
            },
        };
        let preview = Preview::File {
            path: settings.config.clone(),
            before: Some(before),
            after,
        };
        let task = Task::new(
            host,
            format!("change {}", settings.config),
            reason.clone(),
            action(operation, QUICK),
        );
        tasks.push(task.part("file").preview(preview));
    }
    let need = Need {
        how: How::Roll,
        verbs: vec![UnitVerb::Restart],
        reason,
    };
    let gate = checks::gate(settings, checks::LINKED, host, everybody, settings.sync_timeout);
    tasks.push(
        tell(settings, host, &need)
            .part("restart")
            .disrupting(true)
            .gate(gate),
    );
    let renewed = cx.hosts.iter().collect();
    tasks.extend(canary::write(view, everybody, &renewed, Some(host)));
    Ok(tasks)
}
