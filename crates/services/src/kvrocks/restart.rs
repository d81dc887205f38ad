//! The step `restart`: units run, and processes run with what their files say.
//!
//! A member that serves is restarted only for what it cannot take at run time. Replicas go first, each until it has
//! caught up; then Sentinel hands the master's role over, and the old master goes last, as a replica. Where nobody
//! serves yet, the master goes first, for the others copy from it.

use plan::{Level, Preview, Refusal};
use protocol::facts::{Query, RespCommand, RespQuery, RespValue};
use protocol::{Action, Operation, Precondition, UnitVerb};
use types::HostName;

use super::drift::{Drift, drifts};
use super::gates;
use super::queries;
use super::roles::{Fate, RESYNC, Roles, fate};
use super::settings::Settings;
use super::view::{Engine, Member, Talk, View, field, is_flagged_down, replies};
use crate::common::{QUICK, UNIT, verbs_to_run};
use crate::step::{Cx, StepPlan, Task};

/// What a host needs.
struct Need<'v, 'a> {
    member: &'v Member<'a>,
    verbs: Vec<UnitVerb>,
    reason: String,
    is_joining: bool,
    /// Whether it serves now, and will not for a while.
    disrupts: bool,
}

/// Plans the step.
pub(super) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    let mut needs = Vec::new();
    for host in cx.hosts {
        let Some(member) = view.member(host) else {
            continue;
        };
        match need(&view, &roles, member, cx) {
            Ok(need) => needs.extend(need),
            Err(why) => all.unplanned.push((host.clone(), why)),
        }
    }
    let Some(master) = roles.master().cloned() else {
        return all;
    };
    let is_master = |need: &Need<'_, '_>| *need.member.host == master;
    let mut last = None;
    if let Some(at) = needs.iter().position(is_master) {
        let need = needs.remove(at);
        if need.disrupts && view.members.len() > 1 {
            last = Some(need);
        } else {
            // Nobody depends on it now, and the replicas will.
            needs.insert(0, need);
        }
    }
    let run = Run {
        settings,
        cx,
        view: &view,
        roles: &roles,
        master: &master,
    };
    for need in needs {
        run.one(need, &mut all);
    }
    if let Some(need) = last {
        run.master(need, &mut all);
    }
    all
}

fn need<'v, 'a>(
    view: &'v View<'a>,
    roles: &Roles,
    member: &'v Member<'a>,
    cx: &Cx<'_>,
) -> Result<Option<Need<'v, 'a>>, String> {
    let (settings, host) = (view.settings, member.host);
    let is_joining = match fate(view, roles, member, cx) {
        Fate::Master | Fate::Replica => false,
        Fate::Joins => true,
        // The step `config` says so, and this one plans nothing there.
        Fate::Refused(_) => return Ok(None),
        Fate::Unknown(why) => return Err(why),
    };
    let with = |verbs: Vec<UnitVerb>, reason: String, disrupts: bool| {
        Ok(Some(Need {
            member,
            verbs,
            reason,
            is_joining,
            disrupts,
        }))
    };
    if cx.installs(host, &settings.package) {
        let verbs = vec![UnitVerb::Enable, UnitVerb::Restart];
        return with(
            verbs,
            format!("{} is installed by this plan", settings.package),
            false,
        );
    }
    let unit = member.unit.as_ref().map_err(ToString::to_string)?;
    if !unit.exists() {
        return Err(format!("there is no unit {} on {host}", settings.unit));
    }
    let mut verbs = verbs_to_run(host, &settings.unit, cx.facts).map_err(|unknown| unknown.to_string())?;
    if verbs.contains(&UnitVerb::Start) {
        return with(verbs, "it does not run".to_owned(), false);
    }
    let serves = member.engine.up().is_some() && matches!(roles, Roles::Known { .. }) && !is_joining;
    if let Some(reason) = restart_reason(settings, member, is_joining, cx)? {
        verbs.push(UnitVerb::Restart);
        return with(verbs, reason, serves);
    }
    if verbs.is_empty() {
        return Ok(None);
    }
    let reason = if verbs.contains(&UnitVerb::Enable) {
        "it does not start at boot"
    } else {
        "the unit's file was changed since systemd read it"
    };
    with(verbs, reason.to_owned(), false)
}

/// Why the process must be started again; `None` where it need not.
fn restart_reason(
    settings: &Settings,
    member: &Member<'_>,
    is_joining: bool,
    cx: &Cx<'_>,
) -> Result<Option<String>, String> {
    // What a process does not run with although it was started after its file was written, another start will not
    // change: that is a note of the step `check`.
    let is_pending = cx.writes(member.host, &settings.config) || member.has_newer_file();
    match &member.engine {
        Talk::Up(_) if is_joining => Ok(Some("it runs as a master, and becomes a replica".to_owned())),
        Talk::Up(engine) if is_pending => {
            let found = drifts(settings, member, engine)?;
            let reasons: Vec<String> = found
                .iter()
                .filter(|drift| !drift.is_settable)
                .map(Drift::describe)
                .collect();
            Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
        }
        Talk::Down(why) if is_pending => Ok(Some(format!(
            "it does not answer on port {} ({why}), and its file is newer than its process",
            settings.port
        ))),
        Talk::Denied(_) if is_pending => Ok(Some(
            "it asks for another password, and its file is newer than its process".to_owned(),
        )),
        _ => Ok(None),
    }
}

/// One run of the step.
struct Run<'v, 'a, 'c> {
    settings: &'v Settings,
    cx: &'v Cx<'c>,
    view: &'v View<'a>,
    roles: &'v Roles,
    master: &'v HostName,
}

impl Run<'_, '_, '_> {
    /// A member that is not a serving master.
    fn one(&self, need: Need<'_, '_>, all: &mut StepPlan) {
        let host = need.member.host;
        if host != self.master && (need.disrupts || need.is_joining) {
            if let Some(why) = self.master_is_out_of_reach() {
                all.unplanned.push((host.clone(), why));
                return;
            }
            if let Err(why) = self.quorum().filter(|_| need.disrupts).transpose() {
                all.refusals.push(no_quorum(host, &why));
                return;
            }
        }
        let mut only_if = Vec::new();
        if need.disrupts && self.roles.are_sentinels() {
            only_if.extend(self.same_master(need.member));
        }
        if need.is_joining && !self.cx.is_allowed(RESYNC, host) {
            only_if.extend(
                need.member
                    .engine
                    .up()
                    .map(|engine| still_empty(self.settings, host, engine)),
            );
        }
        all.tasks.push(self.task(&need, only_if));
    }

    /// A master that serves: another takes over first.
    fn master(&self, need: Need<'_, '_>, all: &mut StepPlan) {
        let host = need.member.host;
        if !self.roles.are_sentinels() {
            all.note(
                Level::Warning,
                Some(host),
                "the master is restarted without a failover, for no sentinel watches it yet: clients lose it for a moment",
            );
            all.tasks.push(self.task(&need, Vec::new()));
            return;
        }
        if let Some(Err(why)) = self.quorum() {
            all.refusals.push(no_quorum(host, &why));
            return;
        }
        let Some(sentinel) = self.sentinel_to_ask() else {
            return;
        };
        if !self.has_candidate() {
            all.refusals.push(Refusal {
                service: None,
                host: Some(host.clone()),
                what: format!("{host} is not restarted ({})", need.reason),
                why: "it is the master, and no replica could take over: none is up, linked and eligible"
                    .to_owned(),
                way_out: "bring a replica up first, and see to it that its priority is not 0".to_owned(),
                consent: None,
            });
            return;
        }
        let name = &self.settings.sentinel.master_name;
        let operation = Operation::Resp {
            address: "127.0.0.1".to_owned(),
            port: self.settings.sentinel.port,
            password: None,
            commands: vec![RespCommand::new(["SENTINEL", "FAILOVER", name])],
        };
        let failover = Action {
            only_if: self.same_master(sentinel).into_iter().collect(),
            operation,
            limit_ms: QUICK,
        };
        let reason = format!("{host} is the master, and must be restarted: {}", need.reason);
        let title = format!("let Sentinel hand the master's role of {host} to a replica");
        all.tasks.push(
            Task::new(sentinel.host, title, reason, failover)
                .part("failover")
                .preview(Preview::Commands(vec![format!("SENTINEL FAILOVER {name}")]))
                .gate(gates::new_master(self.settings, self.cx, host)),
        );
        let only_if = need.member.engine.up().filter(|engine| engine.tells_role);
        let only_if = only_if.map(|engine| is_replica(self.settings, host, engine));
        all.tasks.push(self.task(&need, only_if.into_iter().collect()));
    }

    fn task(&self, need: &Need<'_, '_>, only_if: Vec<Precondition>) -> Task {
        let host = need.member.host;
        let name = self.settings.unit.trim_end_matches(".service");
        let words = if need.verbs.contains(&UnitVerb::Restart) {
            "restart"
        } else if need.verbs.contains(&UnitVerb::Start) {
            "start"
        } else if need.verbs.contains(&UnitVerb::Enable) {
            "enable"
        } else {
            "reload systemd for"
        };
        let action = Action {
            only_if,
            operation: Operation::Unit {
                name: self.settings.unit.clone(),
                verbs: need.verbs.clone(),
            },
            limit_ms: UNIT,
        };
        let is_master = host == self.master && !need.disrupts;
        Task::new(host, format!("{words} {name}"), need.reason.clone(), action)
            .disrupting(need.disrupts)
            .gate(gates::member_serving(self.settings, self.cx, host, is_master))
    }

    fn master_is_out_of_reach(&self) -> Option<String> {
        let member = self.view.member(self.master)?;
        let is_starting = member.unreachable.is_none()
            && (!member.is_active() || matches!(self.roles, Roles::First(_)) || member.has_newer_file());
        match (&member.engine, member.unreachable) {
            (_, Some(why)) => Some(format!("its master {} cannot be reached: {why}", self.master)),
            (Talk::Up(_), None) => None,
            _ if is_starting || self.cx.writes(self.master, &self.settings.config) => None,
            (Talk::Down(why) | Talk::Denied(why), None) => {
                Some(format!("its master {} does not serve: {why}", self.master))
            }
        }
    }

    /// What CKQUORUM says on a sentinel; `None` where no sentinel watches.
    fn quorum(&self) -> Option<Result<(), String>> {
        let watching = self.view.watching();
        let mut verdicts = watching
            .iter()
            .map(|(member, sentinel, _)| match &sentinel.quorum {
                Ok(_) => Ok(()),
                Err(words) => Err(format!("the sentinel on {} says {words}", member.host)),
            });
        let first = verdicts.next()?;
        Some(verdicts.fold(first, |all, one| all.and(one)))
    }

    /// The sentinel that is told to fail over: not the old master's, where there is another.
    fn sentinel_to_ask(&self) -> Option<&Member<'_>> {
        let watching = self.view.watching();
        let hosts: Vec<&HostName> = watching.iter().map(|(member, ..)| member.host).collect();
        let other = hosts
            .iter()
            .find(|host| **host != self.master)
            .or(hosts.first())?;
        self.view.member(other)
    }

    /// Whether a replica could become the master as Sentinel sees it: up, linked, with a priority that is not 0
    /// (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Replica selection and priority").
    fn has_candidate(&self) -> bool {
        let watching = self.view.watching();
        watching.iter().any(|(_, sentinel, _)| {
            sentinel.replicas.iter().any(|row| {
                !is_flagged_down(row)
                    && field(row, "master-link-status") == "ok"
                    && field(row, "slave-priority") != "0"
            })
        })
    }

    /// The member's sentinel still names the master that the plan is about.
    fn same_master(&self, member: &Member<'_>) -> Option<Precondition> {
        let master = self.view.watched(member.sentinel.up()?)?;
        let address = ["ip", "port"].map(|name| RespValue::Str(field(master, name).into()));
        Some(Precondition {
            what: format!("{} is still the master", self.master),
            query: queries::master_address(self.settings).wrap(),
            fact: replies(false, vec![RespValue::List(address.to_vec())]),
        })
    }
}

fn no_quorum(host: &HostName, why: &str) -> Refusal {
    Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("{host} is not restarted"),
        why: format!("no master could be elected while it is down: {why}"),
        way_out: "bring the missing sentinels back first".to_owned(),
        consent: None,
    }
}

fn still_empty(settings: &Settings, host: &HostName, engine: &Engine) -> Precondition {
    let (address, port) = engine.at.clone();
    let commands = vec![
        RespCommand::new(["DBSIZE"]),
        RespCommand::new(["SCAN", "0", "COUNT", "1"]).sensitive([]),
    ];
    let nothing = RespValue::List(vec![RespValue::Str("0".into()), RespValue::List(Vec::new())]);
    Precondition {
        what: format!("{host} holds no keys"),
        query: RespQuery {
            address,
            port,
            password: Some(settings.password.clone()),
            commands,
        }
        .wrap(),
        fact: replies(engine.authenticated, vec![RespValue::Int(0), nothing]),
    }
}

/// The engine takes itself for a replica: the failover before this has reached it.
fn is_replica(settings: &Settings, host: &HostName, engine: &Engine) -> Precondition {
    let (address, port) = engine.at.clone();
    Precondition {
        what: format!("{host} is a replica now"),
        query: RespQuery {
            address,
            port,
            password: Some(settings.password.clone()),
            commands: vec![RespCommand::new([
                settings.engine.eval(),
                queries::ROLE_SCRIPT,
                "0",
            ])],
        }
        .wrap(),
        // The step `set` has made it ask for our password by now.
        fact: replies(true, vec![RespValue::Str("slave".into())]),
    }
}
