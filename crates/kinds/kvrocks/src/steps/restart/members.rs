//! Restarting members one after another, so that the cluster serves on.

use plan::{Gate, Level, Refusal};
use protocol::{Action, Operation, Precondition, UnitVerb};
use types::HostName;

use super::need::Need;
use crate::checks;
use crate::observe::replies::{Engine, Talk};
use crate::rules::drift::drifts;
use crate::rules::preconditions::{Role, has_role, same_master, still_empty, still_silent};
use crate::rules::role_assignment::RESYNC;
use crate::rules::roles::Roles;
use crate::rules::rollout::Rollout;
use crate::steps::failover;
use crate::steps::reapply_config;
use kit::UNIT;
use kit::{StepPlan, Task};

impl Rollout<'_, '_, '_> {
    /// A member that is not a serving master.
    pub(crate) fn one(&self, need: &Need<'_, '_>, all: &mut StepPlan) {
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
        if self.was_master(need) {
            let gate = checks::new_master(self.view, self.cx, host);
            self.old_master(need, Some(&gate), all);
            return;
        }
        let mut only_if = Vec::new();
        if self.roles.are_sentinels() && need.starts() {
            let asked = if host == self.master {
                // A host that is cut off has a sentinel that knows of no election.
                self.other_sentinel(host).or(Some(need.member))
            } else {
                Some(need.member)
            };
            only_if.extend(asked.and_then(|asked| same_master(self.view, self.master, host, asked)));
        }
        let is_silent = need.member.engine.up().is_none() && !self.cx.installs(host, &self.settings.package);
        if self.roles.are_sentinels() && need.verbs.contains(&UnitVerb::Restart) && is_silent {
            only_if.extend(still_silent(self.settings, host, self.cx.facts));
        }
        if let Some(replica) = self.replica(need) {
            // One that was elected meanwhile would come back as a master, whoever is the master by then.
            only_if.push(has_role(self.settings, host, replica, Role::Replica));
        }
        if need.is_joining && !self.cx.is_allowed(RESYNC, host) {
            only_if.extend(
                need.member
                    .engine
                    .up()
                    .map(|engine| still_empty(self.settings, host, engine)),
            );
        }
        all.tasks.push(self.task(need, only_if));
    }

    /// A master that serves: another takes over first.
    pub(crate) fn master(&self, need: &Need<'_, '_>, all: &mut StepPlan) {
        let host = need.member.host;
        if !self.roles.are_sentinels() {
            all.note(
                Level::Warning,
                Some(host),
                "the master is restarted without a failover, for no sentinel watches it yet: clients lose it for a moment",
            );
            all.tasks.push(self.task(need, Vec::new()));
            return;
        }
        if let Some(Err(why)) = self.quorum() {
            all.refusals.push(no_quorum(host, &why));
            return;
        }
        let Some(sentinel) = self.sentinel_to_ask() else {
            let why = "no sentinel can be asked for a failover".to_owned();
            all.unplanned.push((host.clone(), why));
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
        let reason = format!("{host} is the master, and must be restarted: {}", need.reason);
        failover::plan(self.view, self.cx, need.member, sentinel, &reason, all);
        self.old_master(need, None, all);
    }

    /// A member that was the master, and takes itself for one until Sentinel has turned it into a replica.
    fn old_master(&self, need: &Need<'_, '_>, before: Option<&Gate>, all: &mut StepPlan) {
        let host = need.member.host;
        let engine = need.member.engine.up();
        let only_if = engine.filter(|engine| engine.tells_role);
        let only_if: Vec<Precondition> = only_if
            .map(|engine| has_role(self.settings, host, engine, Role::Replica))
            .into_iter()
            .collect();
        let drifts = engine.map(|engine| drifts(self.settings, need.member, engine));
        let mut waiting = drifts.and_then(Result::ok).unwrap_or_default();
        waiting.retain(|drift| !drift.is_settable && drift.wanted.key != "requirepass");
        let mut tasks: Vec<Task> =
            reapply_config::plan(self.settings, need.member, &waiting, only_if.clone())
                .into_iter()
                .collect();
        tasks.push(self.task(need, only_if));
        if let (Some(task), Some(gate)) = (tasks.first_mut(), before) {
            task.before.push(gate.clone());
        }
        all.tasks.extend(tasks);
    }

    /// Whether another was elected, and this one does not know it yet.
    fn was_master(&self, need: &Need<'_, '_>) -> bool {
        let engine = need.member.engine.up();
        need.disrupts
            && self.roles.are_sentinels()
            && need.member.host != self.master
            && engine.is_some_and(Engine::is_master)
    }

    /// The engine of a replica that is started again, where it can be asked for its role.
    fn replica<'n>(&self, need: &'n Need<'_, '_>) -> Option<&'n Engine> {
        let engine = need.member.engine.up().filter(|engine| !engine.is_master())?;
        (self.roles.are_sentinels() && need.starts() && engine.authenticated && engine.tells_role)
            .then_some(engine)
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
        let task = Task::new(host, format!("{words} {name}"), need.reason.clone(), action);
        if !need.starts() {
            return task;
        }
        // A master that disrupts has handed its role over, or keeps it where no sentinel watches.
        let is_master = host == self.master && !(need.disrupts && self.roles.are_sentinels());
        task.disrupting(need.disrupts)
            .gate(checks::member_serving(self.view, self.cx, host, is_master))
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
}

pub(crate) fn no_quorum(host: &HostName, why: &str) -> Refusal {
    Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("{host} is not restarted"),
        why: format!("no master could be elected while it is down: {why}"),
        way_out: "bring the missing sentinels back first".to_owned(),
        consent: None,
    }
}
