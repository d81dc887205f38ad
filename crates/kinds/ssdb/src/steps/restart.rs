//! The step `restart`: servers run with what their files say.
//!
//! A server that serves is restarted in its turn, while all others serve, and only when its links and the canaries have
//! told that everything flows again is the next one touched. Before all mirrors are linked no application may write, for
//! what one of them copies then it may get a second time (queues double).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use plan::Level;
use protocol::facts::{Query, SsdbFact, SsdbReply};
use protocol::{Fact, Precondition};
use types::HostName;

use super::canary;
use super::overtake::overtake;
use crate::checks::Check;
use crate::observe::{Member, View, queries};
use crate::rules::need::{How, Need, hosts_with, need, stalled, stalls};
use crate::rules::unit_tasks::{refill, started, starts};
use crate::settings::Settings;
use kit::{Cx, Probe, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut rollout = Rollout {
        view: &view,
        cx,
        everybody: cx.hosts.iter().collect(),
        doubtful: hosts_with(&view, cx, &[How::Reconnect, How::Refill]),
        all: StepPlan::nothing(),
    };
    let stalled_now = hosts_with(&view, cx, &[How::Reconnect]);
    let refilled = hosts_with(&view, cx, &[How::Refill]);
    // Those that lack data first: until they have them, nobody else may be restarted; then those whose links stall. The
    // one that holds all the data last.
    for how in [How::Start, How::StartEmpty] {
        rollout.plan(how, |_| true);
    }
    // What clients wrote on one whose data are moved aside comes to all others before.
    let lacks_of_refilled =
        |member: &Member<'_>| stalls(&view, member).any(|(master, _)| refilled.contains(&master));
    rollout.plan(How::Reconnect, lacks_of_refilled);
    for how in [How::Refill, How::Overtake] {
        rollout.plan(how, |_| true);
    }
    let begun = rollout.all.tasks.len();
    rollout.plan(How::Reconnect, |member| !lacks_of_refilled(member));
    for how in [How::Roll, How::Last] {
        rollout.plan(how, |_| true);
    }
    let Rollout {
        everybody, mut all, ..
    } = rollout;
    if all.tasks[begun..].iter().any(|task| task.disrupts) {
        // Before the first restart all others must have what clients wrote: a member that came back a moment ago says SYNC
        // too. Of those whose links stall it is known that they have not.
        let started = started(settings, cx.earlier.iter().chain(&all.tasks[..begun]));
        let first = canary::write_first(&view, &everybody, &started, &stalled_now);
        all.tasks.splice(begun..begun, first);
    }
    all
}

/// The restarts, as one plan makes them.
struct Rollout<'a> {
    view: &'a View<'a>,
    cx: &'a Cx<'a>,
    everybody: Vec<&'a HostName>,
    /// Those whose links stall, were never let in or are out of sync, until their turn has come: of them nothing is expected.
    doubtful: BTreeSet<&'a HostName>,
    all: StepPlan,
}

impl<'a> Rollout<'a> {
    /// Plans the members that are restarted in this way.
    fn plan(&mut self, how: How, is_meant: impl Fn(&Member<'_>) -> bool) {
        let members = self.view.on(self.cx.hosts).filter(|member| is_meant(member));
        let mut members: Vec<&Member<'_>> = members.collect();
        // Of those whose links stall first the one that lacks most: it may not serve yet since its start, although its links
        // say SYNC, and then nobody else may be away.
        members.sort_by_key(|member| Reverse(stalled(self.view, member).map(|(_, missing)| missing)));
        for member in members {
            // The step `start` says what cannot be told.
            if let Ok(Some(need)) = need(self.view, member, self.cx)
                && need.how == how
            {
                self.plan_member(member, &need);
            }
        }
    }

    fn plan_member(&mut self, member: &Member<'_>, need: &Need) {
        let (view, host) = (self.view, member.host);
        // A member that lacks data serves nobody whom it could leave alone, and none of the others waits for another.
        let is_needed = matches!(need.how, How::Roll | How::Reconnect | How::Overtake);
        if is_needed && let Some(why) = self.missing(host) {
            let why = format!("it is not restarted ({}): {why}", need.unit.reason);
            self.all.unplanned.push((host.clone(), why));
            return;
        }
        let forgotten = match need.how {
            How::Overtake => view.is_overtaken(member).unwrap_or_default(),
            _ => need.forgotten(view, member),
        };
        self.doubtful.remove(host);
        let settled = self.settled();
        let is_restarted = matches!(need.how, How::Refill | How::Roll | How::Reconnect | How::Last);
        if is_restarted {
            self.restart(member, need, forgotten, is_needed);
        }
        if forgotten > 0 || need.how == How::Overtake {
            let tasks = overtake(view.settings, member, forgotten, &settled);
            self.all.tasks.extend(tasks);
        }
        if is_restarted || need.how == How::Overtake {
            // The servers that run with their new files by now.
            let renewed = started(view.settings, self.cx.earlier.iter().chain(&self.all.tasks));
            let canaries = canary::write(view, &self.everybody, &self.doubtful, &renewed, Some(host));
            self.all.tasks.extend(canaries);
        }
    }

    fn restart(&mut self, member: &Member<'_>, need: &Need, forgotten: u64, is_needed: bool) {
        let (view, settings, host) = (self.view, self.view.settings, member.host);
        let gate =
            |check: Check, watched: &[&HostName]| check.gate(settings, host, watched, settings.sync_timeout);
        let settled = self.settled();
        // Whatever the links of the doubtful say: before the next one restarts it has what they hold.
        let filled = (settled.len() < self.everybody.len()).then(|| gate(Check::Filled, &self.everybody));
        let gates = filled
            .into_iter()
            .chain([gate(Check::after_start(forgotten), &settled)]);
        let task = match need.how {
            How::Refill => match canary::last_word(view, host, &self.everybody) {
                Some((word, proof)) => {
                    self.all.tasks.push(word);
                    refill(settings, member, need).before(proof)
                }
                None => refill(settings, member, need),
            },
            _ => member.process(settings).task(&need.unit),
        };
        if need.how == How::Last {
            let text = "it holds the data that the others copy, and is restarted: its clients are interrupted; let nobody \
                        write before all mirrors are linked, for the items of queues would be doubled";
            self.all.note(Level::Warning, Some(host), text);
        }
        let task = task.only_if(still_stalled(settings, member, need));
        // One that refuses our password serves those who know its own.
        let is_used = view.serves(member) || matches!(member.server, Probe::Denied(_));
        let disrupts = is_needed && is_used;
        self.all
            .tasks
            .push(gates.fold(task.disrupting(disrupts), Task::gate));
    }

    /// All but the doubtful.
    fn settled(&self) -> Vec<&'a HostName> {
        let all = self.everybody.iter().copied();
        all.filter(|host| !self.doubtful.contains(host)).collect()
    }

    /// Why the others could not do without a host now; `None` where they could.
    fn missing(&self, host: &HostName) -> Option<String> {
        let (view, settings) = (self.view, self.view.settings);
        settings.peers(host).find_map(|peer| {
            let member = view.hosts.listed(peer)?;
            // What clients wrote there is proven to come by a canary, which is not planned either.
            if self.cx.stopped.contains(peer) {
                return Some(format!(
                    "nothing is planned on {peer}, so that what it holds cannot be proven to come to the others"
                ));
            }
            let is_started = self
                .cx
                .earlier_on(peer)
                .any(|operation| starts(settings, operation));
            if view.serves(member) || is_started || self.is_refilled(member) {
                return None;
            }
            let why = match (member.unreachable, member.trouble()) {
                (Some(why), _) => format!("it cannot be reached: {why}"),
                (None, Some(why)) => why,
                (None, None) => "it lacks data".to_owned(),
            };
            Some(format!(
                "{peer} does not serve, and one member at a time may be missing; {why}"
            ))
        })
    }

    /// Whether this plan fills a member again before another one's turn comes.
    fn is_refilled(&self, member: &Member<'_>) -> bool {
        let need = need(self.view, member, self.cx).ok().flatten();
        need.is_some_and(|need| need.how == How::Refill) && self.cx.hosts.contains(member.host)
    }
}

/// A restart that heals a link is not due any more where the canary has come meanwhile. One that is due for another reason,
/// too, stays due.
fn still_stalled(settings: &Settings, member: &Member<'_>, need: &Need) -> Option<Precondition> {
    let (info, from) = (member.server.up()?, need.stalled.as_ref()?);
    let (status, items) = match info.canaries.get(from) {
        Some(value) => ("ok", vec![value.as_str().into()]),
        None => ("not_found", Vec::new()),
    };
    let status = status.to_owned();
    Some(Precondition {
        what: format!("the canary of {from} has not come to {} yet", member.host),
        query: queries::canary(settings, &info.address, from).wrap(),
        fact: Fact::Ssdb(SsdbFact::Replies {
            asks_password: info.asks_password,
            replies: vec![SsdbReply { status, items }],
        }),
    })
}
