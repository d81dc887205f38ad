//! The step `leave`: hosts that are no members any more are let go.
//!
//! It comes after the applications have learned the other members. One host goes after another, replicas first; the master
//! hands its role over before it goes. When all members serve and have caught up, and their sentinels elect without it, its
//! sentinel and its engine are stopped and do not start at boot again; its data stay where they are. Then the members'
//! sentinels forget it, one at a time and 30 s apart, for Sentinel counts a majority among all whom it ever met
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Adding or removing Sentinels"). A sentinel
//! that forgot everybody tells when that was: `role-reported-time` begins anew (`sentinelResetMaster` in `sentinel.c`).

use plan::{Consent, Level, Preview, Refusal};
use protocol::facts::{RespCommand, UnitFact, UnitQuery};
use protocol::{Action, Operation, Precondition, UnitVerb};
use types::HostName;

use crate::checks;
use crate::observe::replies::{Talk, field, is_flagged_down};
use crate::observe::view::{Member, View};
use crate::rules::member_removal::LEAVE;
use crate::rules::preconditions::{Role, has_role, same_master};
use crate::rules::roles::Roles;
use crate::rules::rollout::Rollout;
use crate::settings::Settings;
use crate::steps::failover;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, UNIT, action};

const REASON: &str = "it is no host of this service any more";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    let (mut leaving, strangers) = (view.former(), allowed_strangers(&view, cx));
    let (Some(master), true) = (roles.master().cloned(), roles.are_sentinels()) else {
        let why = "no sentinel names a master";
        let left = leaving.iter().map(|former| (former.host.clone(), why.to_owned()));
        all.unplanned.extend(left);
        return all;
    };
    leaving.sort_by_key(|former| *former.host == master);
    let run = Rollout {
        settings,
        cx,
        view: &view,
        roles: &roles,
        master: &master,
    };
    let mut total = settings.hosts.len() + leaving.len() + strangers.len();
    let is_there = |former: &&Member<'_>| cx.others.contains(former.host);
    let mut staying = cx.hosts.len() + leaving.iter().copied().filter(is_there).count();
    for former in leaving {
        let host = former.host;
        staying -= usize::from(is_there(&former));
        match (unproven(&run, former, staying, total), cx.is_allowed(LEAVE, host)) {
            (Some(why), false) => {
                all.refusals.push(refusal(host, why));
                continue;
            }
            (Some(why), true) => {
                let text = format!("it goes without the proof that it can be spared: {why}");
                all.note(Level::Warning, Some(host), text);
                go(&run, former, false, &mut all);
            }
            (None, _) => go(&run, former, true, &mut all),
        }
        total -= 1;
        forget(&run, former.address().unwrap_or(host.as_str()), &mut all);
    }
    for stranger in strangers {
        forget(&run, &stranger, &mut all);
    }
    all
}

/// Addresses that only sentinels know, all of which miss it, and that the operator allows them to forget.
fn allowed_strangers(view: &View<'_>, cx: &Cx<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, sentinel, _) in view.watching() {
        for row in sentinel.replicas.iter().chain(&sentinel.others) {
            let address = field(row, "ip");
            let host: Option<HostName> = address.parse().ok();
            let is_allowed = host.is_some_and(|host| cx.is_allowed(LEAVE, &host));
            if is_allowed && is_flagged_down(row) && view.at(address).is_none() {
                found.push(address.to_owned());
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Why it cannot be proven that a host can be spared, when so many of `total` sentinels go on to vote.
fn unproven(run: &Rollout<'_, '_, '_>, former: &Member<'_>, staying: usize, total: usize) -> Option<String> {
    let host = former.host;
    if let Some(why) = former.unreachable {
        return Some(format!(
            "it cannot be reached, so nobody knows that its processes are off for good: {why}"
        ));
    }
    if !run.cx.others.contains(host) {
        return Some("it is not looked at in this plan".to_owned());
    }
    if let Talk::Denied(words) = &former.engine {
        return Some(format!("its engine refuses the password: {words}"));
    }
    let is_master = former
        .engine
        .up()
        .is_some_and(crate::observe::replies::Engine::is_master);
    if host == run.master {
        if former.engine.up().is_none() {
            return Some("it is the master, and does not answer: Sentinel elects another first".to_owned());
        }
        if !run.has_candidate() || run.sentinel_to_ask().is_none() {
            return Some("it is the master, and no replica could take over".to_owned());
        }
    } else if is_master {
        return Some(format!(
            "it takes itself for a master, and the master is {}: what was written there is there only",
            run.master
        ));
    }
    let needed = run.settings.sentinel.quorum.max(total / 2 + 1);
    (staying < needed).then(|| {
        format!(
            "without it {staying} of {total} sentinels are left, and {needed} must agree on a master until it is forgotten"
        )
    })
}

fn refusal(host: &HostName, why: String) -> Refusal {
    Refusal {
        service: None,
        // Nothing of the members is stopped for that.
        host: Some(host.clone()),
        what: format!("{host} does not leave"),
        why,
        way_out: format!(
            "see to it that {host} can be reached and follows the master, and plan again; with consent it goes as it is. If \
             it cannot be reached, its engine and its sentinel must never start again: they would come back"
        ),
        consent: Some(Consent {
            action: LEAVE.to_owned(),
            host: host.clone(),
        }),
    }
}

/// What is done on a host that goes.
fn go(run: &Rollout<'_, '_, '_>, former: &Member<'_>, is_proven: bool, all: &mut StepPlan) {
    let (settings, host) = (run.settings, former.host);
    if !run.cx.others.contains(host) || former.unreachable.is_some() {
        return;
    }
    let is_master = host == run.master;
    if let (Some(sentinel), true) = (run.sentinel_to_ask(), is_master && former.engine.up().is_some()) {
        let reason = format!("{host} is the master, and no host of this service any more");
        failover::plan(run.view, run.cx, former, sentinel, &reason, all);
    }
    let stop = |unit: &str, part: &str, data: &str| {
        let fact = run.cx.facts.get(host, &UnitQuery::new(unit)).ok()?;
        let verbs = verbs(fact);
        let name = unit.trim_end_matches(".service");
        let operation = Operation::Unit {
            name: unit.to_owned(),
            verbs: verbs.clone(),
        };
        let title = format!("stop {name} for good{data}");
        let task = Task::new(host, title, REASON, action(operation, UNIT)).part(part);
        (!verbs.is_empty()).then_some(task)
    };
    let data = format!("; its data stay in {}", settings.engine.defaults().data_dir);
    let sentinel = stop(&settings.sentinel.unit, "sentinel", "");
    let mut engine = stop(&settings.unit, "", &data);
    if let (Some(task), Some(up)) = (&mut engine, former.engine.up().filter(|up| up.tells_role))
        && let Some(action) = &mut task.action
        && (is_proven || !up.is_master())
    {
        action.only_if.push(has_role(settings, host, up, Role::Replica));
    }
    for mut task in sentinel.into_iter().chain(engine) {
        if is_proven {
            task.before.push(checks::staying(run.view, run.cx, host));
        }
        all.tasks.push(task);
    }
}

/// What turns a unit off; disabled first, so that one that is cut off in between is seen to run.
fn verbs(unit: &UnitFact) -> Vec<UnitVerb> {
    let mut verbs = Vec::new();
    if unit.exists() && unit.is_enabled() {
        verbs.push(UnitVerb::Disable);
    }
    if unit.exists() && (unit.is_active() || unit.active == "activating") {
        verbs.push(UnitVerb::Stop);
    }
    verbs
}

/// The members' sentinels forget an address, one at a time.
fn forget(run: &Rollout<'_, '_, '_>, address: &str, all: &mut StepPlan) {
    let (settings, cx) = (run.settings, run.cx);
    let name = &settings.sentinel.master_name;
    for host in cx.hosts {
        let Some(member) = run.view.member(host) else {
            continue;
        };
        // One that is started by this plan will have heard of it.
        let knows = member.sentinel.up().is_none_or(|sentinel| {
            let rows = sentinel.masters.iter().chain(&sentinel.replicas);
            let mut rows = rows.chain(&sentinel.others);
            let is_it = |row: &crate::observe::replies::Fields| match run.view.at(address) {
                Some(other) => other.is_at(field(row, "ip")),
                None => field(row, "ip") == address,
            };
            run.view.watched(sentinel).is_none() || rows.any(is_it)
        });
        if !knows {
            continue;
        }
        let is_known = run.view.at(address).is_some_and(|other| other.host == run.master);
        let only_if: Vec<Precondition> = same_master(run.view, run.master, host, member)
            .into_iter()
            .filter(|_| !is_known)
            .collect();
        let reset = Action {
            only_if,
            operation: Operation::Resp {
                address: "127.0.0.1".to_owned(),
                port: settings.sentinel.port,
                password: None,
                commands: vec![RespCommand::new(["SENTINEL", "RESET", name])],
            },
            limit_ms: QUICK,
        };
        let reason = "a majority is counted among all sentinels that it ever met";
        all.tasks.push(
            Task::new(host, format!("let the sentinel forget {address}"), reason, reset)
                .part(format!("forget-{address}"))
                .preview(Preview::Commands(vec![format!("SENTINEL RESET {name}")]))
                .before(checks::found(run.view, cx))
                .gate(checks::forgotten(run.view, cx, host, address)),
        );
    }
}
