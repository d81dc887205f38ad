//! What starts when: dependencies, limits, budgets, failures that stop what they must and nothing else.

use plan::{Event, Failure, NotRun};
use proptest::prelude::*;

use super::fake_cluster::Trouble;
use super::graphs::{NodeExt, budget, graph, graph_with, group, host, node};
use super::setting::Setting;
use crate::Limits;

#[tokio::test(start_paused = true)]
async fn nodes_run_after_what_they_need_and_side_by_side_otherwise() {
    let nodes = vec![
        node("a", "h1", &[]).ungated(),
        node("b", "h2", &[]).ungated(),
        node("c", "h3", &["a", "b"]).ungated(),
    ];
    let setting = Setting::new(graph(nodes));
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (3, 0, 0));
    assert!(ran.outcome.is_success());
    let log = setting.cluster.log();
    let at = |what: &str| log.iter().find(|(_, happened)| happened == what).unwrap().0;
    assert_eq!((at("a begins"), at("b begins")), (0, 0));
    assert_eq!(at("c begins"), 1000);
}

#[tokio::test(start_paused = true)]
async fn an_empty_graph_starts_and_finishes() {
    let ran = Setting::new(graph(Vec::new())).run().await;
    assert_eq!(ran.events.len(), 2);
    assert!(ran.outcome.is_success());
}

#[tokio::test(start_paused = true)]
async fn a_serial_chain_goes_on_only_when_the_gate_has_passed() {
    let nodes = vec![
        node("r1", "h1", &[]),
        node("r2", "h2", &["r1"]),
        node("r3", "h3", &["r2"]),
    ];
    let setting = Setting::new(graph(nodes));
    assert_eq!(setting.run().await.figures(), (3, 0, 0));
    let begins: Vec<u64> = setting
        .cluster
        .log()
        .into_iter()
        .filter(|(_, what)| what.ends_with("begins"))
        .map(|(at, _)| at)
        .collect();
    // Each takes a second and is back another second later.
    assert!(begins[1] >= 2000 && begins[2] >= begins[1] + 2000, "{begins:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_action_stops_what_depends_on_it_and_nothing_else() {
    let nodes = vec![
        node("a", "h1", &[]).of("mq"),
        node("b", "h1", &["a"]).of("mq"),
        node("c", "h1", &["b"]).of("mq"),
        node("d", "h2", &[]).of("mq"),
        node("e", "h2", &["d"]).of("mq"),
    ];
    let setting = Setting::new(graph(nodes));
    setting.cluster.trouble("a", Trouble::Fails);
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (2, 1, 2));
    assert_eq!(
        ran.failure("a"),
        Failure::Action {
            message: "a is broken".into()
        }
    );
    let on = |id: &str| NotRun::Dependency {
        on: id.parse().unwrap(),
    };
    assert_eq!(ran.not_run("b"), on("a"));
    assert_eq!(ran.not_run("c"), on("b"));
    assert!(ran.is_done("e"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_gate_stops_the_rollout_of_its_service_and_leaves_others_alone() {
    let nodes = vec![
        node("mq/a", "h1", &[]).of("mq"),
        node("mq/slow", "h2", &[]).of("mq"),
        node("mq/late", "h2", &["mq/slow"]).of("mq"),
        node("kv/a", "h1", &[]).of("kv"),
        node("kv/late", "h2", &["kv/a"]).of("kv"),
        node("bare", "h3", &["kv/a"]),
    ];
    let setting = Setting::new(graph(nodes));
    setting.cluster.trouble("mq/a", Trouble::GateFails);
    setting.cluster.takes("mq/slow", 5000);
    let ran = setting.run().await;
    assert!(ran.is_done("mq/slow"), "what runs is not stopped");
    let stopped = NotRun::RolloutStopped {
        by: "mq/a".parse().unwrap(),
    };
    assert_eq!(ran.not_run("mq/late"), stopped);
    assert_eq!(ran.figures(), (4, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn with_fail_fast_nothing_new_starts() {
    let nodes = vec![
        node("a", "h1", &[]),
        node("slow", "h2", &[]),
        node("later", "h2", &["slow"]),
        node("dependant", "h1", &["a"]),
    ];
    let mut setting = Setting::new(graph(nodes));
    setting.limits.fail_fast = true;
    setting.cluster.trouble("a", Trouble::Fails);
    setting.cluster.takes("slow", 9000);
    let ran = setting.run().await;
    assert!(ran.is_done("slow"));
    assert_eq!(ran.not_run("later"), NotRun::FailFast);
    assert_eq!(ran.figures(), (1, 1, 2));
    assert!(!ran.outcome.interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_budget_lets_one_after_the_other_down() {
    let names = ["h1", "h2", "h3"];
    let nodes = names.map(|name| {
        node(&format!("restart@{name}"), name, &[])
            .of("mq")
            .disrupting(&["mq"])
    });
    let setting = Setting::new(graph_with(nodes.to_vec(), &[("mq", budget(&names, 1, &[]))]));
    assert_eq!(setting.run().await.figures(), (3, 0, 0));
    assert_eq!(setting.cluster.violations(), Vec::<String>::new());
    let log = setting.cluster.happenings();
    assert_eq!(log[0], "restart@h1 begins");
    assert_eq!(log[2], "restart@h2 begins");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_down_takes_from_both_its_services() {
    let nodes = vec![
        node("mq@h1", "h1", &[]).of("mq").disrupting(&["mq", "kv"]),
        node("kv@h2", "h2", &[]).of("kv").disrupting(&["kv"]),
    ];
    let members = ["h1", "h2"];
    let budgets = [("mq", budget(&members, 1, &[])), ("kv", budget(&members, 1, &[]))];
    let setting = Setting::new(graph_with(nodes, &budgets));
    assert_eq!(setting.run().await.figures(), (2, 0, 0));
    assert_eq!(setting.cluster.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn two_actions_on_one_member_hold_its_budget_until_both_have_passed() {
    let nodes = vec![
        node("quick@h1", "h1", &[]).of("mq").disrupting(&["mq"]),
        node("slow@h1", "h1", &[]).of("mq").disrupting(&["mq"]),
        node("restart@h2", "h2", &[]).of("mq").disrupting(&["mq"]),
    ];
    let setting = Setting::new(graph_with(nodes, &[("mq", budget(&["h1", "h2"], 1, &[]))]));
    setting.cluster.takes("slow@h1", 9000);
    let ran = setting.run().await;
    assert_eq!(setting.cluster.violations(), Vec::<String>::new());
    assert_eq!(ran.figures(), (3, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_failed_half_way_stays_in_the_books_when_another_action_on_it_ends_well() {
    let nodes = vec![
        node("fails@h1", "h1", &[]).of("mq").disrupting(&["mq"]),
        node("slow@h1", "h1", &[]).of("mq").disrupting(&["mq"]),
        node("restart@h2", "h2", &["slow@h1"])
            .of("mq")
            .disrupting(&["mq"]),
    ];
    let setting = Setting::new(graph_with(nodes, &[("mq", budget(&["h1", "h2"], 1, &[]))]));
    setting.cluster.trouble("fails@h1", Trouble::Fails);
    setting.cluster.takes("slow@h1", 9000);
    let ran = setting.run().await;
    assert_eq!(setting.cluster.violations(), Vec::<String>::new());
    assert_eq!(ran.figures(), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_down_already_uses_the_budget_and_is_named() {
    let members = ["h1", "h2", "h3"];
    let nodes = vec![
        node("restart@h1", "h1", &[]).of("mq").disrupting(&["mq"]),
        node("restart@h2", "h2", &[]).of("mq").disrupting(&["mq"]),
        node("verify@h2", "h2", &["restart@h2"]).of("mq").ungated(),
    ];
    let setting = Setting::new(graph_with(nodes, &[("mq", budget(&members, 1, &["h3"]))]));
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (0, 0, 3));
    assert_eq!(
        ran.not_run("restart@h1"),
        NotRun::Budget {
            group: group("mq"),
            unavailable: vec![host("h3")]
        }
    );
    assert_eq!(
        ran.not_run("verify@h2"),
        NotRun::Dependency {
            on: "restart@h2".parse().unwrap()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn the_member_that_is_down_already_is_the_one_that_may_be_acted_on() {
    let members = ["h1", "h2", "h3"];
    let nodes = vec![
        node("restart@h1", "h1", &[]).of("mq").disrupting(&["mq"]),
        node("restart@h3", "h3", &[]).of("mq").disrupting(&["mq"]),
    ];
    let setting = Setting::new(graph_with(nodes, &[("mq", budget(&members, 1, &["h3"]))]));
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (2, 0, 0));
    assert_eq!(setting.cluster.violations(), Vec::<String>::new());
    assert_eq!(setting.cluster.happenings()[0], "restart@h3 begins");
}

#[tokio::test(start_paused = true)]
async fn an_action_that_a_precondition_stopped_took_nobody_down() {
    let members = ["h1", "h2"];
    let nodes = vec![
        node("restart@h1", "h1", &[]).of("mq").disrupting(&["mq"]),
        node("restart@h2", "h2", &[]).of("mq").disrupting(&["mq"]),
    ];
    let setting = Setting::new(graph_with(nodes, &[("mq", budget(&members, 1, &[]))]));
    setting.cluster.trouble("restart@h1", Trouble::Changed);
    let ran = setting.run().await;
    assert!(matches!(ran.failure("restart@h1"), Failure::Changed { .. }));
    assert!(ran.is_done("restart@h2"), "{:?}", ran.of("restart@h2"));
}

/// How many nodes ran at once, on a host and in all hosts.
fn widths(setting: &Setting, events: &[Event]) -> (usize, usize) {
    let mut running: Vec<&plan::Node> = Vec::new();
    let (mut per_host, mut hosts) = (0, 0);
    let find = |id: &types::NodeId| setting.graph.nodes().iter().find(|node| node.id == *id).unwrap();
    for event in events {
        match event {
            Event::NodeStarted { node, .. } => {
                let node = find(node);
                running.push(node);
                per_host = per_host.max(running.iter().filter(|other| other.host == node.host).count());
                let distinct: std::collections::BTreeSet<_> = running.iter().map(|node| &node.host).collect();
                hosts = hosts.max(distinct.len());
            }
            Event::NodeFinished { node, .. } => running.retain(|other| other.id != *node),
            _ => {}
        }
    }
    (per_host, hosts)
}

#[tokio::test(start_paused = true)]
async fn hosts_and_actions_on_a_host_are_limited() {
    let nodes = (0..24).map(|at| node(&format!("n{at}"), &format!("h{}", at % 6), &[]));
    let mut setting = Setting::new(graph(nodes.collect()));
    setting.limits = Limits {
        hosts: 3,
        actions_per_host: 2,
        ..Limits::default()
    };
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (24, 0, 0));
    assert_eq!(widths(&setting, &ran.events), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn limits_of_nothing_let_one_through() {
    let mut setting = Setting::new(graph(vec![node("a", "h1", &[]), node("b", "h2", &[])]));
    setting.limits = Limits {
        hosts: 0,
        actions_per_host: 0,
        ..Limits::default()
    };
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (2, 0, 0));
    assert_eq!(widths(&setting, &ran.events), (1, 1));
}

proptest! {
    #[test]
    fn a_schedule_comes_to_an_end_whatever_ends_how(ends in proptest::collection::vec(0u8..3, 1..20), width in 1usize..4) {
        use crate::schedule::{End, Schedule};
        let nodes = ends.iter().enumerate().map(|(at, end)| {
            let needs = (at > 2 && end % 2 == 0).then(|| format!("n{}", at / 2));
            node(&format!("n{at}"), &format!("h{}", at % 4), &needs.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let graph = graph(nodes.collect());
        let limits = Limits { hosts: width, actions_per_host: width, fail_fast: false, ..Limits::default() };
        let mut schedule = Schedule::new(&graph, limits);
        let mut ended = 0;
        let mut running = schedule.start();
        while let Some(at) = running.pop() {
            let end = [End::Done, End::Failed, End::RolloutStopped][usize::from(ends[at])];
            ended += 1 + schedule.finish(at, end).len();
            running.extend(schedule.start());
        }
        ended += schedule.give_up().len();
        prop_assert_eq!(ended, ends.len());
        prop_assert!(!schedule.is_running());
    }
}

#[test]
fn a_thousand_hosts_are_scheduled_without_looking_at_each_for_each() {
    use crate::schedule::{End, Schedule};
    let hosts = 1000;
    let id = |step: usize, at: usize| format!("s{step}@h{at}");
    let mut nodes = Vec::new();
    for step in 0..4 {
        for at in 0..hosts {
            // The third step is behind a barrier.
            let needs: Vec<String> = match step {
                0 => Vec::new(),
                2 => (0..hosts).map(|at| id(1, at)).collect(),
                _ => vec![id(step - 1, at)],
            };
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            nodes.push(node(&id(step, at), &format!("h{at}"), &needs).ungated());
        }
    }
    let graph = graph(nodes);
    let mut schedule = Schedule::new(&graph, Limits::default());
    let mut running = std::collections::VecDeque::from(schedule.start());
    let mut done = 0;
    while let Some(at) = running.pop_front() {
        assert!(running.len() < Limits::default().hosts);
        schedule.finish(at, End::Done);
        done += 1;
        running.extend(schedule.start());
    }
    assert_eq!(done, 4 * hosts);
}
