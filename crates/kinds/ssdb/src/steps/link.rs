//! The step `link`: waits until started servers are linked with all that serve, and until servers that copy still have
//! everything. No gate of it passes before every link of every member is in sync, for what is written before that may be
//! doubled.

use types::HostName;

use crate::checks::Check;
use crate::observe::{Member, View};
use crate::rules::need::{How, hosts_with, need};
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let started = hosts_with(&view, cx, &[How::Start, How::StartEmpty]);
    let is_linked = |member: &&Member<'_>| started.contains(member.host) || view.serves(member);
    let members = view.on(cx.hosts).filter(is_linked);
    // What clients wrote on a departing host is copied before it leaves.
    let departing = view.departing().filter(|former| view.is_source(former));
    let watched: Vec<&HostName> = members.chain(departing).map(|member| member.host).collect();
    for member in view.on(cx.hosts) {
        match need(&view, member, cx) {
            Ok(Some(need)) if started.contains(member.host) && watched.len() > 1 => {
                let check = Check::after_start(need.forgotten(&view, member));
                all.tasks
                    .push(wait(settings, member.host, "it was started", &check, &watched));
            }
            Ok(None) => {
                let masters = view.copied(member);
                if !masters.is_empty() {
                    let reason = "it copies still, and does not serve before it has all";
                    all.tasks
                        .push(wait(settings, member.host, reason, &Check::Filled, &masters));
                }
            }
            _ => {}
        }
    }
    all
}

fn wait(settings: &Settings, host: &HostName, reason: &str, check: &Check, watched: &[&HostName]) -> Task {
    let gate = check.gate(settings, host, watched, settings.sync_timeout);
    Task::wait(host, format!("wait for the links of {host}"), reason, gate)
}
