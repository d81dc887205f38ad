//! The step `canary`, and the canaries that other steps write: the proof that changes flow.
//!
//! A link can say SYNC while nothing flows (seen). So after a change a key is written on every member, read on all
//! others, and deleted again. A mirror gets the changes of a master in their order, so with the canary everything that
//! was written on the master before it has come, too. A canary that a run leaves behind is evidence for the next plan.

use std::collections::BTreeSet;

use plan::{Gate, Level, Preview};
use protocol::Operation;
use protocol::facts::SsdbCommand;
use types::HostName;

use crate::checks::Check;
use crate::observe::queries::{FAREWELL, canary_key};
use crate::observe::{Member, View};
use crate::rules::canary_value::value;
use crate::rules::unit_tasks::{on_server, starts};
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task};

/// Writes the canary of every host, to be read on all others that mirror it by now, but for the doubtful, of which nothing
/// is expected; `renewed` are those that run with their new files, and `after` is the host whose restart it follows.
pub(crate) fn write(
    view: &View<'_>,
    hosts: &[&HostName],
    doubtful: &BTreeSet<&HostName>,
    renewed: &BTreeSet<&HostName>,
    after: Option<&HostName>,
) -> Vec<Task> {
    let (part, reason) = match after {
        Some(after) => (
            format!("canary-{after}"),
            format!("after the restart of {after} changes must be seen to flow, whatever the links say"),
        ),
        None => (
            String::new(),
            "changes must be seen to flow, whatever the links say".to_owned(),
        ),
    };
    let tasks = hosts.iter().filter_map(|&host| {
        let readers = readers(view, host, hosts, renewed, doubtful);
        let is_read = doubtful.is_empty() || readers.len() > 1;
        is_read.then(|| one(view, host, &readers, after).part(&part))
    });
    let tasks = tasks.map(|task| Task {
        reason: reason.clone(),
        ..task
    });
    tasks.filter(|_| hosts.len() > 1).collect()
}

/// Writes them before the first member is restarted; of the doubtful nothing is expected.
pub(crate) fn write_first(
    view: &View<'_>,
    hosts: &[&HostName],
    renewed: &BTreeSet<&HostName>,
    doubtful: &BTreeSet<&HostName>,
) -> Vec<Task> {
    let tasks = hosts.iter().filter_map(|&host| {
        let readers = readers(view, host, hosts, renewed, doubtful);
        let task = one(view, host, &readers, None).part("canary-first");
        (readers.len() > 1).then_some(task)
    });
    tasks.collect()
}

/// Writes the last word of a host whose data are moved aside: what clients wrote there must be on those that follow it. They
/// prove it once more right before it stops, with the gate; `None` where nobody follows it.
pub(crate) fn last_word(view: &View<'_>, host: &HostName, hosts: &[&HostName]) -> Option<(Task, Gate)> {
    let follows = |other: &&&HostName| {
        let info = view.hosts.listed(other).and_then(|member| member.server.up());
        let link = info.and_then(|info| view.link(info, host));
        **other == host || link.is_some_and(|link| link.status == "SYNC")
    };
    let readers: Vec<&HostName> = hosts.iter().filter(follows).copied().collect();
    let task = one(view, host, &readers, None).part("last-word");
    let task = Task {
        reason: "what clients wrote there must be on the others before its data are moved aside".to_owned(),
        ..task
    };
    let proof = task.gates.first().cloned()?;
    (readers.len() > 1).then_some((task, proof))
}

fn readers<'h>(
    view: &View<'_>,
    host: &HostName,
    hosts: &[&'h HostName],
    renewed: &BTreeSet<&HostName>,
    doubtful: &BTreeSet<&HostName>,
) -> Vec<&'h HostName> {
    let mirrors = |other: &&&HostName| {
        let info = view.hosts.listed(other).and_then(|member| member.server.up());
        **other == host
            || renewed.contains(*other)
            || info.is_some_and(|info| view.link(info, host).is_some())
    };
    let is_expected = |other: &&&HostName| **other == host || !doubtful.contains(*other);
    let readers = hosts.iter().filter(mirrors).filter(is_expected);
    readers.copied().collect()
}

fn one(view: &View<'_>, host: &HostName, readers: &[&HostName], after: Option<&HostName>) -> Task {
    let settings = view.settings;
    let (key, value) = (canary_key(host), value(view, host, after));
    let gate = Check::Canary(value.clone()).gate(settings, host, readers, settings.canary_timeout);
    let reason = "before another member is down, all must have what clients wrote";
    let shown = format!("set {key} {value}");
    let action = on_server(settings, host, vec![SsdbCommand::new(["set", &key, &value])]);
    let task = Task::new(host, format!("write a canary on {host}"), reason, action);
    task.preview(Preview::Commands(vec![shown])).gate(gate)
}

/// Plans the step: canaries prove the links of started members, and those that are in doubt, and no canary stays.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let ready: Vec<&HostName> = cx
        .hosts
        .iter()
        .filter(|host| will_answer(&view, host, cx))
        .collect();
    let touched = |kinds: &dyn Fn(&Operation) -> bool| {
        cx.earlier.iter().rposition(|task| {
            task.action
                .as_ref()
                .is_some_and(|action| kinds(&action.operation))
        })
    };
    let last_start = touched(&|operation| starts(settings, operation));
    let last_canary =
        touched(&|operation| matches!(operation, Operation::Ssdb { port, .. } if *port == settings.port));
    let doubt = doubt(&view);
    let is_due = last_start.is_some() && last_canary < last_start;
    if is_due || (last_start.is_none() && doubt.is_some()) {
        all.tasks = write(
            &view,
            &ready,
            &BTreeSet::new(),
            &ready.iter().copied().collect(),
            None,
        );
        if let (None, Some(doubt)) = (last_start, doubt) {
            for task in &mut all.tasks {
                task.reason.clone_from(&doubt);
            }
        }
    }
    let is_written = last_canary.is_some() || !all.tasks.is_empty();
    for &host in &ready {
        let is_left = view
            .hosts
            .listed
            .iter()
            .filter_map(|member| member.server.up())
            .any(|info| info.canaries.contains_key(host));
        if is_written || is_left {
            let reason = if is_written {
                "it has done its work"
            } else {
                "an earlier run left it"
            };
            all.tasks.push(delete(&view, host, &ready, reason));
        }
    }
    let has_farewell = |member: &Member<'_>| member.server.up().is_some_and(|info| info.farewell.is_some());
    if view.hosts.listed.iter().any(has_farewell) && view.departing().next().is_none() {
        all.tasks
            .extend(delete_farewell(&view, &ready, "an earlier run left it"));
    }
    if ready.len() < settings.hosts.len() && is_written {
        let text = "not all members could be asked: the canaries prove the links of the others only";
        all.note(Level::Warning, None, text);
    }
    all
}

/// Whether a host answers by the time of this step.
fn will_answer(view: &View<'_>, host: &HostName, cx: &Cx<'_>) -> bool {
    let is_started = cx
        .earlier_on(host)
        .any(|operation| starts(view.settings, operation));
    is_started || view.hosts.listed(host).is_some_and(|member| view.serves(member))
}

pub(crate) fn delete(view: &View<'_>, host: &HostName, hosts: &[&HostName], reason: &str) -> Task {
    let (settings, key) = (view.settings, canary_key(host));
    let gate = Check::NoCanary.gate(settings, host, hosts, settings.canary_timeout);
    let action = on_server(settings, host, vec![SsdbCommand::new(["del", &key])]);
    let task = Task::new(host, format!("delete the canary of {host}"), reason, action).part("delete");
    task.preview(Preview::Commands(vec![format!("del {key}")]))
        .gate(gate)
}

/// Deletes the farewell of hosts that have left.
pub(crate) fn delete_farewell(view: &View<'_>, hosts: &[&HostName], reason: &str) -> Option<Task> {
    let (&first, settings) = (hosts.first()?, view.settings);
    let gate = Check::NoFarewell.gate(settings, first, hosts, settings.canary_timeout);
    let action = on_server(settings, first, vec![SsdbCommand::new(["del", FAREWELL])]);
    let task = Task::new(first, "delete the farewell", reason, action).part("farewell");
    let shown = Preview::Commands(vec![format!("del {FAREWELL}")]);
    Some(task.preview(shown).gate(gate))
}

/// Why it should be tried whether changes flow although nothing is changed: a link that says SYNC without ever having
/// brought anything, or one that is far behind.
fn doubt(view: &View<'_>) -> Option<String> {
    view.hosts.listed.iter().find_map(|member| {
        let info = member.server.up()?;
        view.settings.peers(member.host).find_map(|peer| {
            let master = view.hosts.listed(peer)?.server.up()?;
            let link = view.link(info, peer).filter(|link| link.status == "SYNC")?;
            let lag = master.max_seq.saturating_sub(link.last_seq);
            let max_lag = view.settings.max_lag;
            if link.last_seq > master.max_seq.saturating_add(max_lag) {
                return Some(format!(
                    "{} has the change {} of {peer}, which has made {}",
                    member.host, link.last_seq, master.max_seq
                ));
            }
            let is_doubtful = lag > max_lag || (link.last_seq == 0 && master.max_seq > 0);
            is_doubtful.then(|| {
                format!(
                    "{} is {lag} changes behind {peer}, and its link says SYNC",
                    member.host
                )
            })
        })
    })
}
