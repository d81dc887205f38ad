//! The step `leave`: members that the inventory does not list any more leave, one after another.
//!
//! A member that runs leaves by itself: quorum queues are taken off it, then it stops its broker and resets, which hands
//! its leading queues to synchronised mirrors and tells the others. A member that is down is forgotten by the others.
//! Either way all others must run, and nothing may be on the departing member alone: a reset destroys it, and so does
//! forgetting (`rabbit_amqqueue:forget_all_durable`). The unit of a former member is stopped and does not start at boot: a
//! node that was forgotten would only be refused by the others. Source:
//! <https://www.rabbitmq.com/docs/clustering#removing-nodes>.

use std::collections::BTreeSet;

use plan::{Level, Refusal};
use types::HostName;

use crate::checks::Check;
use crate::observe::{Broker, Member, Node, Queues, View};
use crate::rules::commands::{ctl, queues_ctl, run};
use crate::rules::consents::{FORGET, LEAVE};
use crate::rules::last_copy::{has_quorum_member, last_copy, stay_small};
use crate::rules::membership::is_former;
use crate::rules::preconditions::is_bare;
use crate::settings::{NodeName, Settings, list};
use kit::{Cx, StepPlan, Task, UNIT};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut departing = BTreeSet::new();
    let mut plan = StepPlan::nothing();
    let running = |member| Member::broker(member).map(|broker| (member.host, broker));
    let mut clustered = view.on(cx.hosts).filter_map(running);
    if let Some((contact, broker)) = clustered.find(|(_, broker)| broker.is_clustered()) {
        let members = broker.members.iter().filter(|node| !settings.lists(node));
        let (running, down): (Vec<_>, Vec<_>) = members.partition(|node| broker.running.contains(node));
        let mut removal = Removal {
            view: &view,
            cx,
            contact,
            broker,
            forgotten: BTreeSet::new(),
            plan,
        };
        // Those that are down are first: while a member is down, no other leaves.
        for node in down.into_iter().chain(running) {
            removal.plan_node(node);
            departing.insert(node);
        }
        plan = removal.plan;
    }
    for host in view.on(cx.others) {
        if !departing.contains(&host.name) && is_former(&view, host, cx) {
            plan.tasks.extend(retire(settings, host));
        }
    }
    plan
}

/// The removal of members, as one plan makes it.
struct Removal<'a> {
    view: &'a View<'a>,
    cx: &'a Cx<'a>,
    /// The member that tells of the cluster, and that commands run on.
    contact: &'a HostName,
    broker: &'a Broker,
    /// The nodes that this plan forgets.
    forgotten: BTreeSet<&'a NodeName>,
    plan: StepPlan,
}

impl<'a> Removal<'a> {
    /// Plans the removal of one member that the inventory does not list.
    fn plan_node(&mut self, node: &'a NodeName) {
        let member = self.view.hosts.former.iter().find(|member| member.name == *node);
        let is_running = self.broker.running.contains(node);
        let host = match member {
            Some(member) => member.host.clone(),
            // No host of the inventory. One that runs is told as a warning by the step `check`.
            None if is_running => return,
            None => match node.short_host().parse() {
                Ok(host) => host,
                Err(_) => return,
            },
        };
        if let Some(refusal) = self.others_down(&host, node) {
            self.plan.refusals.push(refusal);
            return;
        }
        let Some(member) = member.filter(|_| self.cx.others.contains(&host)) else {
            return self.plan_unreachable(&host, node);
        };
        match &member.node {
            Ok(Node::Off(_) | Node::OtherCookie(_)) if is_running => self.unplanned(
                &host,
                "the others see it run, and it could not be asked: it must leave by itself while it runs",
            ),
            Ok(Node::Running(broker)) => self.plan_running(member, broker),
            Ok(Node::Halted { is_paused: true, .. }) => self.unplanned(
                &host,
                "its broker paused, for it sees no more than half of the members: it leaves once it is back",
            ),
            Ok(Node::Halted { .. }) => self.plan_reset(member, None),
            Ok(Node::Off(_)) => {
                self.plan_forget(&host, node);
                self.plan.tasks.extend(retire(self.view.settings, member));
            }
            Ok(Node::OtherCookie(_)) => self.unplanned(
                &host,
                "it runs with another cookie than its file's: restart it, and plan again",
            ),
            Err(why) => self.unplanned(&host, why),
        }
    }

    fn unplanned(&mut self, host: &HostName, why: &str) {
        self.plan.unplanned.push((host.clone(), why.to_owned()));
    }

    /// A member of whose host nothing is known.
    fn plan_unreachable(&mut self, host: &HostName, node: &'a NodeName) {
        if self.broker.running.contains(node) {
            return self.unplanned(
                host,
                "it is a departing member, and must leave by itself while it runs",
            );
        }
        if !self.cx.is_allowed(FORGET, host) {
            let refusal = Refusal::new(
                format!("{node} is not forgotten"),
                "the others do not see it, and whether it runs, cut off from them, cannot be known",
                "let it be reached, make sure that it does not run, or allow it",
            );
            let refusal = refusal.on(host).unless_allowed(FORGET, host);
            return self.plan.refusals.push(refusal);
        }
        self.plan_forget(host, node);
        let text = "if it comes back, its broker is refused by the others: stop it and disable its unit";
        let known = self.view.settings.others.contains(host).then_some(host);
        self.plan.note(Level::Info, known, text);
    }

    /// While another member is down, a queue's majority may depend on the one that is to leave.
    fn others_down(&self, host: &HostName, node: &NodeName) -> Option<Refusal> {
        let settings = self.view.settings;
        let Broker { members, running, .. } = self.broker;
        // Of several departing members that are down one is forgotten while the rest of them is down too.
        let counts = |other: &&NodeName| {
            if running.contains(node) {
                !self.forgotten.contains(*other)
            } else {
                settings.lists(other)
            }
        };
        let down = members.difference(running).filter(|other| *other != node);
        // One that can be reached joins first.
        let joining = self.view.hosts.listed.iter();
        let joining = joining.filter(|other| !self.cx.hosts.contains(other.host));
        let joining = joining
            .map(|other| &other.name)
            .filter(|other| !members.contains(other));
        let down: Vec<&NodeName> = down.filter(counts).chain(joining).collect();
        let refusal = || {
            Refusal::new(
                format!("{node} does not leave the cluster"),
                format!(
                    "{} does not run in it, or is not seen by the others",
                    list(down.iter().copied())
                ),
                "bring it back first, or take it off the service's hosts too, and plan again",
            )
        };
        (!down.is_empty()).then(|| refusal().on(host))
    }

    fn plan_running(&mut self, member: &'a Member<'a>, broker: &Broker) {
        let (settings, host, node) = (self.view.settings, member.host, &member.name);
        let queues = match Queues::of_former(self.view, host) {
            Ok(queues) => queues,
            Err(why) => return self.unplanned(host, &why.to_string()),
        };
        let lost = last_copy(&queues, node, settings.grow_quorum_queues);
        if let Some(queue) = lost.filter(|_| !self.cx.is_allowed(LEAVE, host)) {
            let refusal = Refusal::new(
                format!("{node} does not leave the cluster"),
                format!("the {queue} would be lost with it"),
                "give it a copy elsewhere (a policy with ha-mode, `rabbitmq-queues grow`), empty and delete it, or allow \
                 the loss",
            );
            let refusal = refusal.on(host).unless_allowed(LEAVE, host);
            return self.plan.refusals.push(refusal);
        }
        if has_quorum_member(&queues, node) {
            self.plan_shrink(host, node);
        }
        self.plan_reset(member, Some(broker));
    }

    /// Takes quorum queues off a member. The command says nothing of those that it could not; the gate does.
    fn plan_shrink(&mut self, host: &HostName, node: &NodeName) {
        let (settings, contact) = (self.view.settings, self.contact);
        let commands = vec![queues_ctl(&["shrink", node.as_str()])];
        let title = format!("take quorum queues off {host}");
        let reason = format!("the inventory does not list {host}");
        let rest = "all hosts of the service run in the cluster";
        let shrunk = format!("no quorum queue counts on {node}");
        let task = run(contact, title, reason, commands, UNIT)
            .part(format!("shrink-{host}"))
            .before(Check::RestRuns(node.clone()).gate(settings, contact, rest))
            .gate(Check::Shrunk(node.clone()).gate(settings, contact, shrunk));
        if let Some(text) = stay_small(settings, self.broker, host) {
            self.plan.note(Level::Warning, None, text);
        }
        self.plan.tasks.push(task);
    }

    /// The member leaves by itself; `broker` is `None` where its broker stopped already.
    fn plan_reset(&mut self, member: &Member<'_>, broker: Option<&Broker>) {
        let (settings, host, node) = (self.view.settings, member.host, &member.name);
        let is_allowed = self.cx.is_allowed(LEAVE, host);
        let reason = match broker {
            Some(_) if is_allowed => {
                "the inventory does not list it; queues that only it has are lost, with consent"
            }
            Some(_) => "the inventory does not list it",
            None => "the inventory does not list it, and it stopped while it was removed",
        };
        let proof = broker.filter(|_| !is_allowed);
        let proof = proof.map(|broker| is_bare(settings, host, broker));
        let commands = vec![ctl(&["stop_app"]), ctl(&["reset"])];
        let title = format!("all members but {host} run, and have all that {node} has");
        let task = run(host, "leave the cluster", reason, commands, UNIT).only_if(proof);
        let task = self.between_gates(task, node, is_allowed, title);
        self.plan.tasks.push(task);
        self.plan.tasks.extend(retire(settings, member));
    }

    /// The others forget a member that is down.
    fn plan_forget(&mut self, host: &HostName, node: &'a NodeName) {
        self.plan_shrink(host, node);
        let commands = vec![ctl(&["forget_cluster_node", node.as_str()])];
        let reason = format!("the inventory does not list {host}, and it does not run");
        let title = format!("all hosts of the service run in the cluster, and have all that {node} has");
        let task = run(self.contact, format!("forget {node}"), reason, commands, UNIT);
        let task = task.part(format!("forget-{host}"));
        let task = self.between_gates(task, node, self.cx.is_allowed(FORGET, host), title);
        self.plan.tasks.push(task);
        self.forgotten.insert(node);
    }

    /// Before it, the others have all that the node has, unless its loss is allowed; after it, the node is no member.
    fn between_gates(&self, task: Task, node: &NodeName, is_allowed: bool, before: String) -> Task {
        let (settings, contact) = (self.view.settings, self.contact);
        let check = if is_allowed {
            Check::RestRuns(node.clone())
        } else {
            Check::Free(node.clone())
        };
        let left = format!("{node} is no member");
        task.before(check.gate(settings, contact, before))
            .gate(Check::Left(node.clone()).gate(settings, contact, left))
    }
}

/// Stops the unit of a former member for good; `None` where it is stopped.
fn retire(settings: &Settings, host: &Member<'_>) -> Option<Task> {
    let reason = format!("it is a former member; the files in {} stay", settings.data_dir);
    let unit = host.unit.as_ref().ok()?;
    let task = host.process(settings).retire(unit, reason)?;
    Some(task.part("retire"))
}
