//! The step `members`: the set's configuration becomes the inventory's, one safe change after another.

use std::collections::BTreeSet;

use plan::{Gate, Preview, Refusal};
use protocol::facts::{Bson, Login, MongoCommand, MongoFact, Query};
use protocol::{Action, Fact, Operation, Precondition};
use types::HostName;

use crate::checks::gates;
use crate::observe::queries::{HERE, ask};
use crate::observe::view::{Node, Place, SECONDARY, Server, Up, View, is_reached};
use crate::rules::desired_members::first_config;
use crate::rules::member_removal::{self, departures};
use crate::rules::reconfig_plan::{Situation, Stage, way, without};
use crate::rules::stored_data::{DISCARD, Holding};
use crate::settings::Settings;
use crate::steps::check::obstacle;
use crate::steps::initiate;
use crate::steps::leave;
use crate::steps::start::starts;
use crate::steps::users::is_primary;
use formats::replset::SetConfig;
use kit::QUICK;
use kit::{Cx, StepPlan, Task};

/// `ConfigurationInProgress`, and the same while the last one waits for its majority.
const BUSY: [i32; 2] = [109, 308];
/// Time limit of a change: the primary waits for a majority.
const LIMIT: u64 = 180_000;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let planned = initiate::planned(cx);
    let is_there = planned.is_none();
    let (host, from, up) = match (planned, view.primary()) {
        (Some(planned), _) => (planned.seed, planned.config, None),
        (None, Some((node, up))) if is_reached(node.host, cx) => match up.config() {
            Some(config) => (node.host, config, Some(up)),
            // Under the localhost exception nobody shows it: it is what this tool initiated, and this plan makes the
            // admin who may ask.
            None => match hidden_config(&view, node, up) {
                Ok(config) => (node.host, config, None),
                Err(why) => {
                    all.unplanned.push((node.host.clone(), why));
                    return all;
                }
            },
        },
        // Without a primary nothing can be changed; the step `check` says so.
        (None, _) => return all,
    };
    let may_join = |host: &HostName| view.node(host).is_some_and(|node| may_join(&view, node, cx));
    let has_data = |host: &HostName| {
        let seen = view.seen(host);
        seen.is_some_and(|seen| seen.state == SECONDARY && seen.is_healthy)
            && view.lag_s(host).is_some_and(|lag| lag <= settings.max_lag_s)
    };
    let situation = Situation {
        may_join: &may_join,
        has_data: &has_data,
        has_write_concern: up.and_then(Up::has_write_concern).unwrap_or(false),
        version: view.version().unwrap_or((5, 0)),
    };
    let stages = way(settings, &from, &situation);
    if let Some(refusal) = unseats(settings, host, &stages) {
        all.refusals.push(refusal);
        return all;
    }
    for node in cx.hosts.iter().filter_map(|host| view.node(host)) {
        all.unplanned.extend(stays_out(&view, node, &from, cx));
    }
    let by_then = stages.iter().rev().find_map(|stage| match stage {
        Stage::Reconfig { to, .. } => Some(to.clone()),
        _ => None,
    });
    let run = Run { view: &view, host };
    for stage in stages {
        let gates: Vec<Gate> = only_their_start_tells(&view, &stage, cx)
            .map(|host| gates::nothing_to_lose(&view, host))
            .collect();
        let task = run.task(stage);
        all.tasks.push(gates.into_iter().fold(task, Task::before));
    }
    if is_there {
        drop_idle(&run, by_then.unwrap_or(from), cx, &mut all);
    }
    all
}

/// Hosts that join with this change, whose servers this plan starts and that have run before: what they hold is seen only
/// then.
fn only_their_start_tells<'v>(
    view: &'v View<'_>,
    stage: &'v Stage,
    cx: &'v Cx<'_>,
) -> impl Iterator<Item = &'v HostName> {
    let joins = move |node: &&Node<'_>| match stage {
        Stage::Reconfig { from, to, .. } => {
            let name = view.settings.member_name(node.host);
            from.member(&name).is_none() && to.member(&name).is_some()
        }
        Stage::Sync(_) | Stage::WriteConcern => false,
    };
    let is_unknown = |node: &&Node<'_>| {
        let is_down = node.server.up().is_none();
        is_down && node.holding(view.settings) != Holding::Nothing && !cx.is_allowed(DISCARD, node.host)
    };
    let nodes = view.nodes.iter().filter(joins).filter(is_unknown);
    nodes.map(|node| node.host)
}

/// Members that the inventory does not list and that take no part in the set leave at once: nobody uses them, and as
/// long as their votes count, the set can do without fewer others. Who serves leaves in the step `leave`.
fn drop_idle(run: &Run<'_>, mut config: SetConfig, cx: &Cx<'_>, all: &mut StepPlan) {
    let view = run.view;
    let going = departures(view, &config, cx).into_iter();
    for (departure, proof) in going.filter(|(departure, _)| !departure.serves) {
        if let Err(why) = proof {
            all.refusals.push(member_removal::refusal(&departure, &why));
            continue;
        }
        member_removal::note_out_of_reach(view, &departure, cx, all);
        // Once it is out, a server that is off is like any other: it is disabled before.
        let mut nodes = view.others.iter();
        let node = nodes.find(|node| *node.host == departure.host && cx.others.contains(node.host));
        let off = node.filter(|node| matches!(node.server, Server::Down(_)));
        all.tasks.extend(
            off.and_then(|node| leave::stop(view.settings, node, "leaves the set, and must not come back")),
        );
        let to = without(&config, &departure.name);
        let stage = Stage::Reconfig {
            from: config,
            to: to.clone(),
            title: format!("remove {} from the set", departure.name),
            reason: "the inventory does not list it, and it takes no part in the set".to_owned(),
        };
        all.tasks.push(leave::spare(view, &departure, run.task(stage)));
        config = to;
    }
}

/// The configuration of a set whose primary shows it to nobody yet: the one that the step `initiate` makes, if what the
/// members say of each other fits it.
fn hidden_config(view: &View<'_>, node: &Node<'_>, up: &Up) -> Result<SetConfig, String> {
    let unknown = || format!("{} does not show the set's configuration", node.host);
    if !up.has_localhost_exception() {
        return Err(unknown());
    }
    let version = up.version().unwrap_or((5, 0));
    let config = first_config(view.settings, node.host, version);
    let members = up.status().ok().and_then(|status| status.get("members"));
    let names: BTreeSet<&str> = members
        .map(Bson::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|member| member.get("name")?.as_str())
        .collect();
    let fits = config
        .members()
        .iter()
        .all(|member| names.contains(member.name()));
    if fits && names.len() == config.members().len() {
        return Ok(config);
    }
    Err(unknown())
}

/// Whether a host may become a member.
fn may_join(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> bool {
    let is_ready = match node.place(view.settings) {
        Some(Place::Blank | Place::Removed(_)) => true,
        Some(Place::Standalone) | None => starts(view, node, cx),
        Some(_) => false,
    };
    cx.hosts.contains(node.host) && is_ready && obstacle(view, node, cx).is_none()
}

/// A host that should be a member and cannot be made one by this plan.
fn stays_out(view: &View<'_>, node: &Node<'_>, from: &SetConfig, cx: &Cx<'_>) -> Option<(HostName, String)> {
    let is_member = from.member(&view.settings.member_name(node.host)).is_some();
    // What stands in the way is refused by the step `check`.
    if is_member || may_join(view, node, cx) || obstacle(view, node, cx).is_some() {
        return None;
    }
    let why = "it does not join the set: its server does not answer as one that could";
    Some((node.host.clone(), why.to_owned()))
}

/// A primary cannot be taken out of its own set, nor lose its right to be one, by its own hand.
fn unseats(settings: &Settings, host: &HostName, stages: &[Stage]) -> Option<Refusal> {
    let name = settings.member_name(host);
    let keeps = |stage: &Stage| match stage {
        Stage::Reconfig { to, .. } => to.member(&name).is_some_and(|member| member.priority() > 0.0),
        _ => true,
    };
    if stages.iter().all(keeps) {
        return None;
    }
    Some(Refusal {
        service: None,
        host: None,
        what: "the set's configuration is not changed".to_owned(),
        why: format!("{host} is the primary, and could not be it any more"),
        way_out: "let another member take over first: rs.stepDown() in the shell, and plan again".to_owned(),
        consent: None,
    })
}

/// Changes that the primary makes.
pub(crate) struct Run<'a> {
    pub(crate) view: &'a View<'a>,
    /// The primary's host.
    pub(crate) host: &'a HostName,
}

impl Run<'_> {
    pub(crate) fn task(&self, stage: Stage) -> Task {
        let settings = self.view.settings;
        match stage {
            Stage::Sync(newcomer) => {
                let title = format!("wait until {newcomer} has the data");
                let reason = "a member without the data must not vote";
                let gate = gates::has_data(self.view, &newcomer);
                Task::wait(&newcomer, title, reason, gate).part(format!("sync-{newcomer}"))
            }
            Stage::WriteConcern => {
                let majority = Bson::doc([("w", "majority".into())]);
                let command =
                    MongoCommand::new("setDefaultRWConcern", 1).with("defaultWriteConcern", majority);
                let reason = "an arbiter would weaken the default, and the server wants one that is set";
                let preview = Preview::Commands(vec![command.to_string()]);
                let action = self.action(command, vec![is_primary(settings, self.host)], QUICK);
                Task::new(self.host, "set the default write concern", reason, action)
                    .part("write-concern")
                    .preview(preview)
            }
            Stage::Reconfig {
                from,
                to,
                title,
                reason,
            } => {
                let command = MongoCommand::new("replSetReconfig", to.document()).with("maxTimeMS", 60_000);
                let preview = Preview::Commands(vec![command.to_string()]);
                let action = self.action(command, vec![self.is_committed(&from)], LIMIT);
                Task::new(self.host, title, reason, action)
                    .part(format!("version-{}", to.version()))
                    .preview(preview)
                    .gate(gates::committed(self.view, to.version()))
            }
        }
    }

    fn action(&self, command: MongoCommand, only_if: Vec<Precondition>, limit_ms: u64) -> Action {
        Action {
            only_if,
            operation: Operation::Mongo {
                address: HERE.to_owned(),
                port: self.view.settings.port,
                user: self.view.settings.admin.clone(),
                commands: vec![command],
                again_on: BUSY.to_vec(),
            },
            limit_ms,
        }
    }

    /// The configuration in force is still the one that this one follows, and a majority has it. Only a primary tells, so
    /// the host is still the primary as well; where the term is known, it is the primary of the same term.
    fn is_committed(&self, from: &SetConfig) -> Precondition {
        let mut only = vec!["config.version"];
        let mut config = vec![("version", Bson::from(from.version()))];
        if let Some(term) = from.term() {
            only.push("config.term");
            config.push(("term", term.into()));
        }
        only.push("commitmentStatus");
        let command = MongoCommand::new("replSetGetConfig", 1)
            .with("commitmentStatus", true)
            .only(&only);
        let login = match &self.view.settings.admin {
            Some(_) => Login::Accepted,
            None => Login::Nobody,
        };
        let reply = Bson::doc([("config", Bson::doc(config)), ("commitmentStatus", true.into())]);
        Precondition {
            what: format!(
                "{} is the primary, and a majority has version {} of the configuration",
                self.host,
                from.version()
            ),
            query: ask(self.view.settings, self.view.settings.port, vec![command]).wrap(),
            fact: Fact::Mongo(MongoFact::Replies {
                login,
                replies: vec![Ok(reply)],
            }),
        }
    }
}
