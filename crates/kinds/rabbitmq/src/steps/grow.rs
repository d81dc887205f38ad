//! The step `grow`: every quorum queue has a member on every host, where the inventory says so.
//!
//! A quorum queue keeps the members that it was made with. Where hosts come and go, it would stay on the old ones and
//! get smaller with each that leaves; `rabbitmq-queues grow` gives it a member on a node
//! (<https://www.rabbitmq.com/docs/quorum-queues#member-management>).

use plan::{Facts, Gate, Preview, Verdict};
use protocol::{Command, Operation, Query};
use types::HostName;

use crate::checks;
use crate::observe::view::{self, Node};
use crate::settings::Settings;
use crate::steps::policies::spokesman;
use kit::{Cx, StepPlan, Task};
use kit::{UNIT, action};

/// Begins the name of a check; a node's name follows.
const GROWN: &str = "grown:";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    if !settings.grow_quorum_queues {
        return plan;
    }
    let Some((teller, _)) = spokesman(settings, cx, &mut StepPlan::nothing()) else {
        return plan;
    };
    let is_up = |host: &HostName| matches!(view::node(settings, host, cx.facts), Ok(Node::Up(_)));
    if !is_up(teller) {
        // A cluster that this plan begins has no queues.
        return plan;
    }
    let queues = match view::quorum_queues(settings, teller, cx.facts) {
        Ok(queues) => queues,
        Err(why) => {
            plan.unplanned.push((teller.clone(), why));
            return plan;
        }
    };
    for host in cx.hosts {
        let node = Settings::node(host);
        let lacks = queues.iter().find(|queue| !queue.is_on(&node));
        let is_coming = || cx.earlier_on(host).any(starts);
        let Some(queue) = lacks.filter(|_| is_up(host) || is_coming()) else {
            continue;
        };
        let words = ["rabbitmq-queues", "-q", "grow", &node, "all"];
        let operation = Operation::Run {
            commands: vec![Command::new(words)],
        };
        let reason = format!("the {} has no member there", queue.name);
        let task = Task::new(
            teller,
            format!("give quorum queues a member on {host}"),
            reason,
            action(operation, UNIT),
        );
        plan.tasks.push(
            task.part(format!("grow-{host}"))
                .preview(Preview::Commands(vec![words.join(" ")]))
                .gate(gate(settings, teller, &node)),
        );
    }
    plan
}

/// Whether an operation leaves a broker running that may not have been.
fn starts(operation: &Operation) -> bool {
    let is_start = |command: &Command| command.argv.iter().any(|word| word == "start_app");
    match operation {
        Operation::Run { commands } => commands.iter().any(is_start),
        Operation::Unit { .. } => true,
        _ => false,
    }
}

fn gate(settings: &Settings, teller: &HostName, node: &str) -> Gate {
    let title = format!("every quorum queue has a member on {node}");
    let mut gate = checks::gate(settings, &format!("{GROWN}{node}"), teller, title);
    let query = view::quorum_query(settings, teller).wrap();
    gate.watch.insert(teller.clone(), vec![query]);
    gate
}

/// Judges this step's gate; `None` for the check of another.
pub(crate) fn judge(settings: &Settings, check: &str, host: &HostName, facts: &Facts) -> Option<Verdict> {
    let node = check.strip_prefix(GROWN)?;
    Some(match view::quorum_queues(settings, host, facts) {
        Ok(queues) => match queues.iter().find(|queue| !queue.is_on(node)) {
            Some(queue) => Verdict::Wait(format!("the {} has none", queue.name)),
            None => Verdict::Pass,
        },
        Err(why) => Verdict::Wait(why),
    })
}
