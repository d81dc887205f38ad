//! Random graphs on hosts that fail, dawdle, fall silent and go away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plan::{Event, Node, NodeOutcome, NotRun, StepGraph};
use proptest::prelude::*;
use tokio::time::sleep;

use super::fake_cluster::{Script, Trouble};
use super::graphs::{NodeExt, budget, graph_with, host, node};
use super::setting::{Ran, Setting};
use crate::Limits;

const HOSTS: [&str; 4] = ["h0", "h1", "h2", "h3"];
const GROUPS: [&str; 2] = ["mq", "kv"];

#[derive(Debug, Clone)]
struct Case {
    nodes: Vec<NodeCase>,
    max_unavailable: [usize; 2],
    /// The member of each group that was down before, and when it is back by itself.
    down_before: [Option<(usize, Option<u64>)>; 2],
    limits: (usize, usize, bool),
    /// Hosts that go away and come back: which, when, for how long.
    outages: Vec<(usize, u64, u64)>,
    stop_at: Option<u64>,
}

#[derive(Debug, Clone)]
struct NodeCase {
    host: usize,
    service: Option<usize>,
    disrupts: bool,
    /// Whether it asks for members that were down before, right before it acts.
    asks: bool,
    needs: Vec<prop::sample::Index>,
    has_action: bool,
    script: Script,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        12 => Just(Trouble::None),
        1 => Just(Trouble::Fails),
        1 => Just(Trouble::Changed),
        1 => (1u32..5).prop_map(Trouble::CutBefore),
        1 => Just(Trouble::CutAfter),
        1 => Just(Trouble::AgentDies),
        1 => Just(Trouble::HostRestarts),
        1 => Just(Trouble::Silent),
        1 => Just(Trouble::GateFails),
    ]
}

fn node_case() -> impl Strategy<Value = NodeCase> {
    let script = (0u64..9000, prop::option::weighted(0.9, 0u64..70_000), trouble());
    let script = script.prop_map(|(takes, back_after, trouble)| Script {
        takes,
        back_after,
        trouble,
    });
    (
        0..HOSTS.len(),
        prop::option::weighted(0.8, 0..GROUPS.len()),
        prop::bool::weighted(0.6),
        prop::bool::weighted(0.7),
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        prop::bool::weighted(0.9),
        script,
    )
        .prop_map(
            |(host, service, disrupts, asks, needs, has_action, script)| NodeCase {
                host,
                service,
                disrupts,
                asks,
                needs,
                has_action,
                script,
            },
        )
}

fn down_before() -> impl Strategy<Value = Option<(usize, Option<u64>)>> {
    prop::option::weighted(0.3, (0..HOSTS.len(), prop::option::of(0u64..200_000)))
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec(node_case(), 1..14),
        [1usize..3, 1..3],
        [down_before(), down_before()],
        (1usize..5, 1usize..4, prop::bool::weighted(0.2)),
        prop::collection::vec((0..HOSTS.len(), 0u64..60_000, 1u64..30_000), 0..3),
        prop::option::weighted(0.2, 0u64..30_000),
    )
        .prop_map(
            |(nodes, max_unavailable, down_before, limits, outages, stop_at)| Case {
                nodes,
                max_unavailable,
                down_before,
                limits,
                outages,
                stop_at,
            },
        )
}

impl Case {
    fn graph(&self) -> StepGraph {
        let nodes = self.nodes.iter().enumerate().map(|(at, case)| {
            let needs: Vec<String> = case
                .needs
                .iter()
                .filter(|_| at > 0)
                .map(|index| format!("n{}", index.index(at)))
                .collect();
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            let mut node = node(&format!("n{at}"), HOSTS[case.host], &needs);
            if let Some(service) = case.service {
                node = node.of(GROUPS[service]);
                if case.disrupts && case.has_action {
                    node = node.disrupting(&[GROUPS[service]]);
                    let down = self.down_before[service].map(|(at, _)| HOSTS[at]);
                    if let Some(down) = down.filter(|down| case.asks && *down != HOSTS[case.host]) {
                        node = node.asking(&[down]);
                    }
                }
            }
            if !case.has_action {
                // Nothing brings it about: it waits for what never was.
                node.action = None;
                node = node.gate_limit(5000);
            }
            node
        });
        let budgets = [0, 1].map(|group| {
            let down = self.down_before[group].map(|(at, _)| HOSTS[at]);
            let down: Vec<&str> = down.into_iter().collect();
            (GROUPS[group], budget(&HOSTS, self.max_unavailable[group], &down))
        });
        graph_with(nodes.collect(), &budgets)
    }

    fn run(&self) -> (Setting, Ran) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut setting = Setting::new(self.graph());
            let (hosts, actions_per_host, fail_fast) = self.limits;
            setting.limits = Limits {
                hosts,
                actions_per_host,
                fail_fast,
                ..Limits::default()
            };
            for (at, case) in self.nodes.iter().enumerate() {
                setting.cluster.script(&format!("n{at}"), case.script.clone());
            }
            for (at, heals) in self.down_before.into_iter().flatten() {
                if let Some(after) = heals {
                    setting.cluster.heals(HOSTS[at], after);
                }
            }
            for (at, from, lasts) in self.outages.clone() {
                let fake = setting.fake.clone();
                tokio::spawn(async move {
                    sleep(Duration::from_millis(from)).await;
                    fake.set_down(&host(HOSTS[at]), true);
                    sleep(Duration::from_millis(lasts)).await;
                    fake.set_down(&host(HOSTS[at]), false);
                });
            }
            let ran = match self.stop_at {
                // The run may end before the stop is asked for.
                Some(at) => setting.run_and(at, Setting::stop).await,
                None => setting.run().await,
            };
            (setting, ran)
        })
    }
}

/// What the events must keep, whatever happened.
fn check_events(graph: &StepGraph, limits: Limits, ran: &Ran) -> Result<(), TestCaseError> {
    let nodes: BTreeMap<&str, &Node> = graph
        .nodes()
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let count = nodes.len();
    prop_assert_eq!(ran.events.first(), Some(&Event::RunStarted { nodes: count }));
    let finished = Event::RunFinished { outcome: ran.outcome };
    prop_assert_eq!(ran.events.last(), Some(&finished));
    let mut running: BTreeSet<&str> = BTreeSet::new();
    let mut ended: BTreeMap<&str, &NodeOutcome> = BTreeMap::new();
    let mut was_interrupted = false;
    let mut was_failed = false;
    for event in &ran.events {
        match event {
            Event::NodeStarted { node: id, host } => {
                let node = nodes[id.as_str()];
                prop_assert_eq!(&node.host, host);
                prop_assert!(!was_interrupted, "{} starts after the stop", id);
                prop_assert!(!(was_failed && limits.fail_fast), "{} starts after a failure", id);
                prop_assert!(!ended.contains_key(id.as_str()));
                prop_assert!(running.insert(id.as_str()), "{} starts twice", id);
                for needs in &node.needs {
                    let end = ended.get(needs.as_str());
                    prop_assert!(
                        matches!(end, Some(NodeOutcome::Done { .. })),
                        "{} starts before {}",
                        id,
                        needs
                    );
                }
                let here = running.iter().filter(|id| nodes[**id].host == node.host).count();
                let hosts: BTreeSet<_> = running.iter().map(|id| &nodes[*id].host).collect();
                prop_assert!(here <= limits.actions_per_host && hosts.len() <= limits.hosts);
            }
            Event::NodeWaiting { node, .. } => prop_assert!(running.contains(node.as_str())),
            Event::NodeFinished { node, outcome } => {
                let ran = running.remove(node.as_str());
                prop_assert_eq!(ran, !matches!(outcome, NodeOutcome::NotRun { .. }));
                was_failed |= matches!(outcome, NodeOutcome::Failed { .. });
                prop_assert!(
                    ended.insert(node.as_str(), outcome).is_none(),
                    "{} ends twice",
                    node
                );
            }
            Event::Interrupted => was_interrupted = true,
            Event::RunStarted { .. } | Event::RunFinished { .. } => {}
        }
    }
    prop_assert_eq!(ended.len(), count);
    let of = |test: fn(&NodeOutcome) -> bool| ended.values().filter(|outcome| test(outcome)).count();
    prop_assert_eq!(
        ran.outcome.done,
        of(|outcome| matches!(outcome, NodeOutcome::Done { .. }))
    );
    prop_assert_eq!(
        ran.outcome.failed,
        of(|outcome| matches!(outcome, NodeOutcome::Failed { .. }))
    );
    prop_assert_eq!(
        ran.outcome.not_run,
        of(|outcome| matches!(outcome, NodeOutcome::NotRun { .. }))
    );
    prop_assert_eq!(ran.outcome.interrupted, was_interrupted);
    for (id, outcome) in &ended {
        let NodeOutcome::NotRun { why } = outcome else {
            continue;
        };
        match why {
            NotRun::Dependency { on } => {
                prop_assert!(nodes[id].needs.contains(on));
                let is_done = matches!(ended[on.as_str()], NodeOutcome::Done { .. });
                prop_assert!(!is_done);
            }
            NotRun::RolloutStopped { by } => prop_assert_eq!(&nodes[by.as_str()].service, &nodes[id].service),
            NotRun::Budget { group, unavailable } => {
                prop_assert!(unavailable.len() >= graph.budgets()[group].max_unavailable);
                prop_assert!(!unavailable.contains(&nodes[id].host));
            }
            NotRun::FailFast => prop_assert!(limits.fail_fast && was_failed),
            NotRun::Interrupted => prop_assert!(was_interrupted),
        }
    }
    Ok(())
}

/// What is told must be what happened on the hosts.
fn check_hosts(setting: &Setting, ran: &Ran) -> Result<(), TestCaseError> {
    for node in setting.graph.nodes() {
        let (id, cluster) = (node.id.as_str(), &setting.cluster);
        match ran.of(id) {
            NodeOutcome::Done { change } => {
                prop_assert_eq!(change.is_some(), node.action.is_some());
                prop_assert_eq!(cluster.is_done(id), node.action.is_some());
            }
            NodeOutcome::NotRun { .. } => prop_assert_eq!(cluster.calls(id), 0),
            NodeOutcome::Failed { .. } => {}
        }
    }
    prop_assert_eq!(setting.cluster.violations(), Vec::<String>::new());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_budgets_dependencies_and_limits_hold_and_what_is_told_is_true(case in case()) {
        let (setting, ran) = case.run();
        check_events(&setting.graph, setting.limits, &ran)?;
        check_hosts(&setting, &ran)?;
    }

    #[test]
    fn the_same_run_twice_is_the_same_to_the_instant(case in case()) {
        let (once, ran_once) = case.run();
        let (twice, ran_twice) = case.run();
        prop_assert_eq!(ran_once.events, ran_twice.events);
        prop_assert_eq!(once.cluster.log(), twice.cluster.log());
    }
}
