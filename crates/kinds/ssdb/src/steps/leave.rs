//! The step `leave`: departing members stop, once all others have what clients wrote there.
//!
//! It comes after the applications have learned the other members. A departing member serves to the end; then it is
//! stopped and does not start at boot again, and its data stay where they are. The proof is a key that is written there
//! and read on all members: a mirror gets the changes of a master in their order.

use plan::{Level, Preview, Refusal};
use protocol::UnitVerb;
use protocol::facts::SsdbCommand;
use types::HostName;

use crate::checks::Check;
use crate::observe::queries::FAREWELL;
use crate::observe::{Member, View};
use crate::rules::canary_value::value;
use crate::rules::consents::LEAVE;
use crate::rules::departure::unproven;
use crate::rules::unit_tasks::on_server;
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for former in view.departing() {
        let host = former.host;
        match (unproven(&view, former, cx), cx.is_allowed(LEAVE, host)) {
            (None, _) => all.tasks.extend(leave(settings, &view, former, cx)),
            (Some(why), true) => {
                let text = format!(
                    "it leaves without the proof that the members have what clients wrote there: {why}"
                );
                all.note(Level::Warning, Some(host), text);
                all.tasks.extend(stop(settings, former, cx));
            }
            (Some(why), false) => all.refusals.push(refusal(host.as_str(), Some(host), why)),
        }
    }
    for stranger in view.strangers() {
        let host: Option<HostName> = stranger.parse().ok();
        if !host.as_ref().is_some_and(|host| cx.is_allowed(LEAVE, host)) {
            let why = "it is no host of the inventory, so nothing can be observed there".to_owned();
            all.refusals.push(refusal(&stranger, host.as_ref(), why));
        }
    }
    all
}

fn refusal(name: &str, host: Option<&HostName>, why: String) -> Refusal {
    let refuse = |resolve: &str| Refusal::new(format!("{name} does not leave the mirrors"), why, resolve);
    match host {
        Some(host) => refuse(
            "bring it back as a host of the inventory that can be asked, and plan again; with consent it leaves, and \
             writes that only it has are lost to the others",
        )
        .on(host)
        .unless_allowed(LEAVE, host),
        None => refuse("take the lines out of the members' files by hand"),
    }
}

/// Stops a departing member for good; `None` where there is nothing to stop.
fn stop(settings: &Settings, former: &Member<'_>, cx: &Cx<'_>) -> Option<Task> {
    let has_no_unit = former.unit.as_ref().is_ok_and(|unit| !unit.exists());
    if !cx.others.contains(former.host) || has_no_unit {
        return None;
    }
    let reason = format!(
        "it is a departing member; its data stay in {}",
        former.work_dir(settings)
    );
    // Cut off in between, it is one that does not run and has not left.
    let verbs = [UnitVerb::Stop, UnitVerb::Disable];
    Some(former.process(settings).tell(&verbs, reason))
}

/// The same with the proof, which is asked again right before the stop.
fn leave(settings: &Settings, view: &View<'_>, former: &Member<'_>, cx: &Cx<'_>) -> Vec<Task> {
    let host = former.host;
    let Some(stop) = stop(settings, former, cx) else {
        return Vec::new();
    };
    let value = format!("{host}-{}", value(view, host, None));
    let mut watched: Vec<&HostName> = cx.hosts.iter().collect();
    watched.push(host);
    let check = Check::Farewell(value.clone());
    let gate = |limit_s| check.gate(settings, host, &watched, limit_s);
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
