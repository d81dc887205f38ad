//! The step `leave`: members that the inventory does not list any more go, one after another.
//!
//! One that runs leaves itself: quorum queues are taken off it, then it stops its broker and resets, which hands what it
//! led to synchronised mirrors and tells the others. One that does not run is forgotten by them. Either way all others must
//! run, and nothing may be on the leaver alone: a reset destroys what is, and so does forgetting
//! (`rabbit_amqqueue:forget_all_durable`). What is left of a former member is stopped and does not start at boot: a
//! node that was forgotten would only be refused by the others. Source:
//! <https://www.rabbitmq.com/docs/clustering#removing-nodes>.

use plan::{Consent, Level, Preview, Refusal};
use protocol::facts::{ErlangFact, Term};
use protocol::{Action, Command, Fact, Operation, Precondition, Query};
use types::HostName;

use crate::observe::view::{self, Broker, Node};
use crate::rules::departing::{self, Leaver};
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task};
use kit::{UNIT, action, verbs_to_retire};

/// The consent to lose what only a member that runs has.
const LEAVE: &str = "rabbitmq.leave";
/// The consent to forget a member of which nothing is known, or that has what nobody else has.
pub(crate) const FORGET: &str = "rabbitmq.forget";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let member = cx
        .hosts
        .iter()
        .find_map(|host| match view::node(settings, host, cx.facts) {
            Ok(Node::Up(broker)) if broker.members.len() > 1 => Some((host, broker)),
            _ => None,
        });
    let mut leaving = Vec::new();
    if let Some((teller, broker)) = &member {
        let step = Step {
            settings,
            cx,
            teller,
            broker,
        };
        let leavers = broker.members.iter().filter(|node| !settings.lists(node));
        let (running, gone): (Vec<&String>, Vec<&String>) =
            leavers.partition(|node| broker.running.contains(*node));
        // Those that do not run go first: while a member is away, no other leaves.
        for node in gone.into_iter().chain(running) {
            leaving.push(node.clone());
            step.plan(node, &mut plan);
        }
    }
    for host in cx
        .others
        .iter()
        .filter(|host| !leaving.contains(&Settings::node(host)))
    {
        if departing::is_former(settings, host, cx) {
            plan.tasks.extend(retire(settings, host, cx));
        }
    }
    plan
}

/// One plan's look at the cluster: who tells of it, and what it says.
struct Step<'a> {
    settings: &'a Settings,
    cx: &'a Cx<'a>,
    teller: &'a HostName,
    broker: &'a Broker,
}

impl Step<'_> {
    /// What is done about one member that the inventory does not list.
    fn plan(&self, node: &str, plan: &mut StepPlan) {
        let (settings, cx) = (self.settings, self.cx);
        let Some(host) = settings.others.iter().find(|host| Settings::node(host) == node) else {
            return self.plan_stranger(node, plan);
        };
        let leaver = Leaver {
            host: host.clone(),
            node: node.to_owned(),
            runs: self.broker.running.contains(node),
        };
        if let Some(refusal) = self.somebody_is_away(&leaver, plan) {
            plan.refusals.push(refusal);
            return;
        }
        if !cx.others.contains(host) {
            return self.plan_unreachable(&leaver, plan);
        }
        match view::node(settings, host, cx.facts) {
            Ok(Node::Up(broker)) => self.plan_running(&leaver, &broker, plan),
            Ok(Node::Halted(_)) if view::is_paused(settings, host, cx.facts) => {
                let why = "its broker paused, for it sees no more than half of the members: it leaves once it is back";
                plan.unplanned.push((host.clone(), why.to_owned()));
            }
            Ok(Node::Halted(_)) => self.plan_reset(&leaver, None, plan),
            Ok(Node::Off(_)) => self.plan_forget(&leaver, true, plan),
            Ok(Node::OtherCookie) => {
                let why = "it runs with another cookie than its file's: restart it, and plan again";
                plan.unplanned.push((host.clone(), why.to_owned()));
            }
            Err(unknown) => plan.unplanned.push((host.clone(), unknown.to_string())),
        }
    }

    /// A member that is no host of the inventory: nobody can look at it.
    fn plan_stranger(&self, node: &str, plan: &mut StepPlan) {
        let name = node
            .rsplit('@')
            .next()
            .and_then(|name| name.parse::<HostName>().ok());
        let Some(host) = name.filter(|_| !self.broker.running.contains(node)) else {
            // One that runs is told as a warning by the step `check`.
            return;
        };
        let leaver = Leaver {
            host,
            node: node.to_owned(),
            runs: false,
        };
        match self.somebody_is_away(&leaver, plan) {
            Some(refusal) => plan.refusals.push(refusal),
            None => self.plan_unreachable(&leaver, plan),
        }
    }

    fn plan_unreachable(&self, leaver: &Leaver, plan: &mut StepPlan) {
        if leaver.runs {
            let why = "it is a member that leaves, and must do that itself while it runs".to_owned();
            plan.unplanned.push((leaver.host.clone(), why));
            return;
        }
        if self.cx.is_allowed(FORGET, &leaver.host) {
            return self.plan_forget(leaver, false, plan);
        }
        plan.refusals.push(Refusal {
            service: None,
            host: Some(leaver.host.clone()),
            what: format!("{} is not forgotten", leaver.node),
            why: "the others do not see it, and whether it runs, cut off from them, cannot be known"
                .to_owned(),
            way_out: "let it be reached, make sure that it does not run, or allow it".to_owned(),
            consent: Some(consent(FORGET, leaver)),
        });
    }

    /// While another member is away, a queue's majority may depend on the one that is to leave.
    fn somebody_is_away(&self, leaver: &Leaver, plan: &StepPlan) -> Option<Refusal> {
        let is_forgotten = |node: &str| {
            let title = format!("forget {node}");
            plan.tasks.iter().any(|task| task.title == title)
        };
        let away = self
            .broker
            .members
            .difference(&self.broker.running)
            .map(String::as_str);
        // One of several that do not run and leave is forgotten while the rest of them is away too.
        let counts = |node: &&str| {
            if leaver.runs {
                !is_forgotten(node)
            } else {
                self.settings.lists(node)
            }
        };
        let away: Vec<&str> = away.filter(|node| *node != leaver.node).filter(counts).collect();
        // One that can be reached joins first.
        let newcomers = self
            .settings
            .hosts
            .iter()
            .filter(|host| !self.cx.hosts.contains(host));
        let newcomers = newcomers
            .map(Settings::node)
            .filter(|node| !self.broker.members.contains(node));
        let away: Vec<String> = away.into_iter().map(str::to_owned).chain(newcomers).collect();
        (!away.is_empty()).then(|| Refusal {
            service: None,
            host: Some(leaver.host.clone()),
            what: format!("{} does not leave the cluster", leaver.node),
            why: format!(
                "{} does not run in it, or is not seen by the others",
                away.join(", ")
            ),
            way_out: "bring it back first, or take it off the service's hosts too, and plan again".to_owned(),
            consent: None,
        })
    }

    fn plan_running(&self, leaver: &Leaver, broker: &Broker, plan: &mut StepPlan) {
        let (settings, cx) = (self.settings, self.cx);
        let is_allowed = cx.is_allowed(LEAVE, &leaver.host);
        let kept = match departing::Kept::of(settings, &leaver.host, cx.facts) {
            Ok(kept) => kept,
            Err(why) => {
                plan.unplanned.push((leaver.host.clone(), why));
                return;
            }
        };
        if let Some(queue) = kept
            .only_on(leaver, settings.grow_quorum_queues)
            .filter(|_| !is_allowed)
        {
            plan.refusals.push(Refusal {
                service: None,
                host: Some(leaver.host.clone()),
                what: format!("{} does not leave the cluster", leaver.node),
                why: format!("the {queue} would be lost with it"),
                way_out: "give it a copy elsewhere (a policy with ha-mode, `rabbitmq-queues grow`), empty and delete \
                          it, or allow the loss"
                    .to_owned(),
                consent: Some(consent(LEAVE, leaver)),
            });
            return;
        }
        if kept.has_quorum(leaver) {
            plan.tasks.push(self.shrink(leaver));
        }
        self.plan_reset(leaver, Some(broker), plan);
    }

    /// Takes quorum queues off a member. The command says nothing of those that it could not; the gate does.
    fn shrink(&self, leaver: &Leaver) -> Task {
        let words = ["rabbitmq-queues", "-q", "shrink", &leaver.node];
        let title = format!("take quorum queues off {}", leaver.host);
        let reason = format!("the inventory does not list {}", leaver.host);
        let gate = |check: &str, title: String| {
            departing::gate(self.settings, self.teller, check, &leaver.node, title)
        };
        Task::new(self.teller, title, reason, action(run(&[&words]), UNIT))
            .part(format!("shrink-{}", leaver.host))
            .preview(preview(&[&words]))
            .before(gate(
                departing::REST,
                "all hosts of the service run in the cluster".to_owned(),
            ))
            .gate(gate(
                departing::SHRUNK,
                format!("no quorum queue counts on {}", leaver.node),
            ))
    }

    /// The member leaves; `broker` is `None` where its broker stopped already.
    fn plan_reset(&self, leaver: &Leaver, broker: Option<&Broker>, plan: &mut StepPlan) {
        let (settings, host) = (self.settings, &leaver.host);
        let is_allowed = self.cx.is_allowed(LEAVE, host);
        let words: [&[&str]; 2] = [
            &["rabbitmqctl", "-q", "stop_app"],
            &["rabbitmqctl", "-q", "reset"],
        ];
        let proof = broker
            .filter(|_| !is_allowed)
            .map(|broker| is_bare(settings, leaver, broker));
        let act = Action {
            only_if: proof.into_iter().collect(),
            operation: run(&words),
            limit_ms: UNIT,
        };
        let check = if is_allowed {
            departing::REST
        } else {
            departing::FREE
        };
        let title = format!(
            "all members but {host} run, and have all that {} has",
            leaver.node
        );
        let before = departing::gate(settings, self.teller, check, &leaver.node, title);
        let title = format!("{} is no member", leaver.node);
        let after = departing::gate(settings, self.teller, departing::LEFT, &leaver.node, title);
        let reason = match broker {
            Some(_) if is_allowed => "the inventory does not list it; what only it has is lost, with consent",
            Some(_) => "the inventory does not list it",
            None => "the inventory does not list it, and it stopped on its way out",
        };
        let task = Task::new(host, "leave the cluster", reason, act);
        plan.tasks
            .push(task.preview(preview(&words)).before(before).gate(after));
        plan.tasks.extend(retire(settings, host, self.cx));
    }

    /// The others forget a member that does not run.
    fn plan_forget(&self, leaver: &Leaver, is_reached: bool, plan: &mut StepPlan) {
        let settings = self.settings;
        let is_allowed = self.cx.is_allowed(FORGET, &leaver.host);
        plan.tasks.push(self.shrink(leaver));
        let words = ["rabbitmqctl", "-q", "forget_cluster_node", &leaver.node];
        let check = if is_allowed {
            departing::REST
        } else {
            departing::FREE
        };
        let title = format!(
            "all hosts of the service run in the cluster, and have all that {} has",
            leaver.node
        );
        let before = departing::gate(settings, self.teller, check, &leaver.node, title);
        let title = format!("{} is no member", leaver.node);
        let after = departing::gate(settings, self.teller, departing::LEFT, &leaver.node, title);
        let reason = format!("the inventory does not list {}, and it does not run", leaver.host);
        let task = Task::new(
            self.teller,
            format!("forget {}", leaver.node),
            reason,
            action(run(&[&words]), UNIT),
        );
        plan.tasks.push(
            task.part(format!("forget-{}", leaver.host))
                .preview(preview(&[&words]))
                .before(before)
                .gate(after),
        );
        if is_reached {
            plan.tasks.extend(retire(settings, &leaver.host, self.cx));
        } else {
            let text = "if it comes back, its broker is refused by the others: stop it and disable its unit";
            let known = self
                .settings
                .others
                .contains(&leaver.host)
                .then_some(&leaver.host);
            plan.note(Level::Info, known, text);
        }
    }
}

/// Stops the unit of a former member for good; `None` where it is stopped.
fn retire(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Option<Task> {
    let unit = view::unit(settings, host, cx.facts).ok()?;
    let verbs = verbs_to_retire(unit);
    let words: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
    let title = format!("{} {}", words.join(" and "), settings.unit);
    let operation = Operation::Unit {
        name: settings.unit.clone(),
        verbs: verbs.clone(),
    };
    let reason = format!(
        "it is no member any more; what stands in {} stays",
        settings.data_dir
    );
    let task = Task::new(host, title, reason, action(operation, UNIT));
    (!verbs.is_empty()).then(|| task.part("retire"))
}

/// The precondition of a reset: the member leads no mirrored queue that only it has, and no quorum queue counts on it.
fn is_bare(settings: &Settings, leaver: &Leaver, broker: &Broker) -> Precondition {
    let mirrored = (
        "rabbit_amqqueue",
        "list_local_mirrored_classic_without_synchronised_mirrors_for_cli",
    );
    let quorum = ("rabbit_amqqueue", "list_local_quorum_queue_names");
    let calls: Vec<_> = broker
        .has_mirrors()
        .then_some(mirrored)
        .into_iter()
        .chain([quorum])
        .collect();
    let nothing = calls.iter().map(|_| Ok(Term::List(Vec::new()))).collect();
    Precondition {
        what: format!(
            "no quorum queue is on {}, and no mirrored queue is there alone",
            leaver.host
        ),
        query: view::erlang_query(settings, &leaver.host, &calls).wrap(),
        fact: Fact::Erlang(ErlangFact::Results(nothing)),
    }
}

fn consent(action: &str, leaver: &Leaver) -> Consent {
    Consent {
        action: action.to_owned(),
        host: leaver.host.clone(),
    }
}

fn run(commands: &[&[&str]]) -> Operation {
    Operation::Run {
        commands: commands
            .iter()
            .map(|words| Command::new(words.iter().copied()))
            .collect(),
    }
}

fn preview(commands: &[&[&str]]) -> Preview {
    Preview::Commands(commands.iter().map(|words| words.join(" ")).collect())
}
