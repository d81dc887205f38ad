//! Each way for a plan to grow old.

use std::collections::{BTreeMap, BTreeSet};

use protocol::facts::{Query, SsdbCommand, UnitFact, UnitQuery};
use protocol::{Action, Command, Fact, FileState, Operation, Precondition, Text, UnitVerb};

use super::{Aspect, Comparison, Difference, compare};
use crate::{Basis, Budget, Gate, Node, Preview, Refusal, SkippedSteps, StepGraph, Unplanned};

fn node(id: &str, operation: Operation) -> Node {
    let host = id.split('@').nth(1).unwrap();
    Node {
        id: id.parse().unwrap(),
        service: Some("set".parse().unwrap()),
        host: host.parse().unwrap(),
        title: format!("do {id}"),
        reason: "it is not done".to_owned(),
        action: Some(Action {
            only_if: Vec::new(),
            operation,
            limit_ms: 1000,
        }),
        preview: None,
        disrupts: BTreeSet::new(),
        before: Vec::new(),
        gates: Vec::new(),
        needs: BTreeSet::new(),
        rollback: None,
    }
}

fn file(host: &str, text: &str, was: &str) -> Node {
    let operation = Operation::WriteFile {
        path: "/etc/x".to_owned(),
        text: Text::new(text),
        mode: 0o600,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        was: FileState::Hash(was.to_owned()),
        trial: None,
    };
    node(&format!("set/config@{host}"), operation)
}

fn restart(host: &str, needs: &[&str]) -> Node {
    let operation = Operation::Unit {
        name: "mongod".to_owned(),
        verbs: vec![UnitVerb::Restart],
        reads: Vec::new(),
    };
    let gate = Gate {
        service: Some("set".parse().unwrap()),
        check: "serves".to_owned(),
        host: Some(host.parse().unwrap()),
        title: format!("{host} serves"),
        watch: BTreeMap::new(),
        limit_ms: 1000,
    };
    Node {
        disrupts: BTreeSet::from(["set".parse().unwrap()]),
        gates: vec![gate],
        needs: needs.iter().map(|id| id.parse().unwrap()).collect(),
        ..node(&format!("set/restart@{host}"), operation)
    }
}

fn graph(nodes: Vec<Node>, bases: &[(&str, &str)]) -> StepGraph {
    let budget = Budget {
        members: ["db1", "db2", "db3"].map(|host| host.parse().unwrap()).into(),
        max_unavailable: 1,
        unavailable: BTreeSet::new(),
    };
    let mut graph = StepGraph::new(nodes, BTreeMap::from([("set".parse().unwrap(), budget)])).unwrap();
    let bases = bases.iter().map(|(what, value)| Basis::new(*what, *value));
    graph.basis.insert("set".parse().unwrap(), bases.collect());
    graph
}

/// A file and a restart on two hosts, the second after the first.
fn plan() -> StepGraph {
    let nodes = vec![
        file("db1", "new", "00"),
        file("db2", "new", "00"),
        restart("db1", &["set/config@db1"]),
        restart("db2", &["set/config@db2", "set/restart@db1"]),
    ];
    graph(nodes, &[("the term", "3")])
}

/// The plan with one node changed.
fn with(change: impl Fn(&mut Node)) -> StepGraph {
    let mut nodes = plan().nodes().to_vec();
    change(nodes.last_mut().unwrap());
    graph(nodes, &[("the term", "3")])
}

fn changed(now: &StepGraph) -> Vec<Difference> {
    match compare(&plan(), now) {
        Comparison::Changed(differences) => differences,
        other => panic!("{other:?}"),
    }
}

fn aspects(now: &StepGraph) -> Vec<Aspect> {
    match changed(now).as_slice() {
        [Difference::Modified { aspects, .. }] => aspects.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_plan_for_other_reasons_stands() {
    assert_eq!(compare(&plan(), &plan()), Comparison::Same);
    let reworded = with(|node| {
        node.reason = "it lags 7 s behind".to_owned();
    });
    assert_eq!(compare(&plan(), &reworded), Comparison::Same);
    assert_eq!(
        compare(&StepGraph::default(), &StepGraph::default()),
        Comparison::Same
    );
}

#[test]
fn a_plan_of_which_nothing_is_left_was_done() {
    assert_eq!(compare(&plan(), &StepGraph::default()), Comparison::Done);
}

#[test]
fn a_file_that_somebody_edited_is_named_with_both_hashes() {
    let mut nodes = plan().nodes().to_vec();
    nodes[1] = file("db2", "another merge", "77");
    insta::assert_debug_snapshot!(changed(&graph(nodes, &[("the term", "3")])));
}

#[test]
fn what_a_service_says_of_itself_counts() {
    let nodes = plan().nodes().to_vec();
    let now = graph(nodes, &[("the term", "4"), ("the primary", "db2")]);
    insta::assert_debug_snapshot!(changed(&now));
}

#[test]
fn steps_that_come_and_go_are_named_and_leave_the_order_alone() {
    let nodes = vec![
        file("db2", "new", "00"),
        file("db3", "new", "00"),
        restart("db1", &[]),
        restart("db2", &["set/config@db2"]),
    ];
    insta::assert_debug_snapshot!(changed(&graph(nodes, &[("the term", "3")])));
}

#[test]
fn whatever_is_different_about_a_step_counts() {
    let verbs = |node: &mut Node| {
        if let Some(Action {
            operation: Operation::Unit { verbs, .. },
            ..
        }) = &mut node.action
        {
            verbs.push(UnitVerb::Enable);
        }
    };
    assert_eq!(aspects(&with(verbs)), [Aspect::Action]);
    assert_eq!(
        aspects(&with(|node| node.action = None)),
        [Aspect::Action, Aspect::Precondition]
    );
    let relies = |node: &mut Node| {
        node.action.as_mut().unwrap().only_if.push(Precondition {
            what: "it was not restarted".to_owned(),
            query: UnitQuery::new("mongod").wrap(),
            fact: Fact::Unit(UnitFact {
                load: "loaded".to_owned(),
                active: "active".to_owned(),
                sub: "running".to_owned(),
                enabled: "enabled".to_owned(),
                main_pid: 7,
                started_us: 1,
                invocation: "aa".to_owned(),
                stale: false,
                started_with: Vec::new(),
            }),
        });
    };
    assert_eq!(aspects(&with(relies)), [Aspect::Precondition]);
    assert_eq!(
        aspects(&with(|node| node.gates[0].limit_ms += 1)),
        [Aspect::GatesAfter]
    );
    assert_eq!(aspects(&with(|node| node.disrupts.clear())), [Aspect::Disruption]);
    let guard = |node: &mut Node| node.before = node.gates.clone();
    assert_eq!(aspects(&with(guard)), [Aspect::GatesBefore]);
    let order = |node: &mut Node| {
        node.needs.remove(&"set/restart@db1".parse().unwrap());
    };
    assert_eq!(aspects(&with(order)), [Aspect::Order]);
    let title = |node: &mut Node| node.title = "another title".to_owned();
    assert_eq!(aspects(&with(title)), [Aspect::Title]);
    let gate = |node: &mut Node| node.gates[0].title = "another".to_owned();
    assert_eq!(aspects(&with(gate)), [Aspect::GatesAfter]);
    let shown = |node: &mut Node| node.preview = Some(Preview::Commands(vec!["true".to_owned()]));
    assert_eq!(aspects(&with(shown)), [Aspect::Preview]);
}

#[test]
fn a_member_that_is_down_by_now_counts() {
    let mut budgets = plan().budgets().clone();
    for budget in budgets.values_mut() {
        budget.unavailable.insert("db3".parse().unwrap());
    }
    let mut now = StepGraph::new(plan().nodes().to_vec(), budgets).unwrap();
    now.basis = plan().basis;
    insta::assert_debug_snapshot!(changed(&now));
}

#[test]
fn what_is_refused_or_out_of_reach_by_now_explains_the_steps_that_are_gone() {
    let nodes = plan().nodes().to_vec();
    let mut now = graph(vec![nodes[0].clone()], &[("the term", "3")]);
    now.unplanned.push(Unplanned {
        service: Some("set".parse().unwrap()),
        steps: SkippedSteps::All,
        host: "db2".parse().unwrap(),
        why: "db2 cannot be reached".to_owned(),
        passing: false,
    });
    let refusal = Refusal {
        service: Some("set".parse().unwrap()),
        host: Some("db1".parse().unwrap()),
        what: "db1 is not restarted".to_owned(),
        why: "no majority would be left".to_owned(),
        resolve: "start db2".to_owned(),
        consent: None,
        passing: false,
    };
    now.refusals.push(refusal.clone());
    assert!(matches!(
        changed(&now).as_slice(),
        [Difference::Refused(_), Difference::Unplanned(_)]
    ));
    // What was refused before, with other figures, is no news.
    let mut saved = plan();
    saved.refusals.push(Refusal {
        why: "another proof".to_owned(),
        ..refusal.clone()
    });
    let mut now = plan();
    now.refusals.push(refusal.passing());
    assert_eq!(compare(&saved, &now), Comparison::Same);
}

/// A canary that carries a number which moves: in the command, in what is shown and in what is waited for.
fn canary(seq: &str, args: &[&str]) -> StepGraph {
    let operation = Operation::Ssdb {
        address: "db1".to_owned(),
        port: 8888,
        password: None,
        commands: vec![SsdbCommand::new(args.iter().copied())],
        until: None,
    };
    let check = format!("canary {}", args.last().unwrap());
    let gate = Gate {
        check,
        ..restart("db1", &[]).gates[0].clone()
    };
    let node = Node {
        preview: Some(Preview::Commands(vec![args.join(" ")])),
        gates: vec![gate],
        ..node("set/canary@db1", operation)
    };
    let mut graph = graph(vec![node], &[]);
    let bases = vec![Basis::volatile("the last change of db1", seq)];
    graph.basis.insert("set".parse().unwrap(), bases);
    graph
}

#[test]
fn what_moves_by_itself_does_not_count_where_it_is_said_to_and_counts_elsewhere() {
    let saved = canary("41-ab-", &["set", "canary", "41-ab-all"]);
    let same = canary("97-ab-", &["set", "canary", "97-ab-all"]);
    assert_eq!(compare(&saved, &same), Comparison::Same);
    for other in [
        canary("97-ab-", &["set", "canary", "97-ab-db2"]),
        canary("97-ab-", &["set", "canary", "98-ab-all"]),
        canary("97-ab-", &["set", "canary 97-ab-", "97-ab-all"]),
        canary("97-ab-", &["del", "canary", "97-ab-all"]),
    ] {
        assert_ne!(compare(&saved, &other), Comparison::Same, "{other:?}");
    }
}

/// The file of a saved plan says itself what moves; it must not say so of what an operator is to see.
#[test]
fn a_command_cannot_hide_behind_a_value_that_is_said_to_move() {
    let run = |argv: &[&str], bases: &[(&str, &str)]| {
        let operation = Operation::Run {
            commands: vec![Command::new(argv.iter().copied())],
        };
        let mut graph = graph(vec![node("set/x@db1", operation)], &[]);
        let bases = bases.iter().map(|(what, value)| Basis::volatile(*what, *value));
        graph.basis.insert("set".parse().unwrap(), bases.collect());
        graph
    };
    let harmful = run(&["rm", "/data"], &[("the last change", "rm")]);
    let shown = run(&["ls", "/data"], &[("the last change", "ls")]);
    assert_ne!(compare(&shown, &harmful), Comparison::Same);
    // Nor in a server's command: its name does not move, and no value has spaces in it.
    let saved = canary("get", &["get", "x", "get"]);
    assert_ne!(
        compare(&saved, &canary("del", &["del", "x", "del"])),
        Comparison::Same
    );
    let saved = canary("a b", &["set", "x", "a b"]);
    assert_ne!(
        compare(&saved, &canary("c d", &["set", "x", "c d"])),
        Comparison::Same
    );
    // What moves by one of the plans only does not move.
    let mut saved = canary("41-ab-", &["set", "canary", "41-ab-all"]);
    for basis in saved.basis.values_mut().flatten() {
        basis.is_volatile = false;
    }
    let now = canary("97-ab-", &["set", "canary", "97-ab-all"]);
    assert_ne!(compare(&saved, &now), Comparison::Same);
}

#[test]
fn what_is_possible_by_now_counts_too() {
    let refusal = Refusal {
        service: Some("set".parse().unwrap()),
        host: None,
        what: "db1 is not restarted".to_owned(),
        why: "no majority would be left".to_owned(),
        resolve: "start db2".to_owned(),
        consent: None,
        passing: false,
    };
    let mut saved = plan();
    saved.refusals.push(refusal);
    assert!(matches!(
        compare(&saved, &plan()),
        Comparison::Changed(found) if matches!(found[..], [Difference::NoLongerRefused(_)])
    ));
}

#[test]
fn the_order_of_what_is_listed_counts() {
    let mut nodes = plan().nodes().to_vec();
    nodes.swap(0, 1);
    let now = graph(nodes, &[("the term", "3")]);
    assert_eq!(changed(&now), [Difference::Structure]);
}
