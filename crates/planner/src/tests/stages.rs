//! Stages of the site: what comes later waits for what came before, or is held by it.

use plan::{Facts, HostFacts, Judge, StepGraph, Verdict};
use types::NodeId;

use super::{INVENTORY, answer, command, host, line, read, unplanned};
use crate::{Options, Project, Scope};

/// Two stages: a playbook, and after it another, each with its name; one host may be out of reach.
fn stages(inventory: &str, playbooks: [(&str, &str); 2], unreachable: Option<&str>) -> (Project, StepGraph) {
    let stage = |name: &str| format!("[[stages]]\nplaybooks = [{name:?}]\n");
    let site = playbooks.map(|(name, _)| stage(name)).concat();
    let texts = [&[("site", site.as_str())], &playbooks[..]].concat();
    let (project, diagnostics, _) = read(inventory, &texts, None);
    assert_eq!(diagnostics, []);
    let mut facts = answer(&project, |_, _| 1);
    if let Some(name) = unreachable {
        facts.add(host(name), HostFacts::Unreachable("no route".to_owned()));
    }
    let graph = project.plan(&facts, &Scope::default(), &Options::default());
    (project, graph.unwrap())
}

/// A playbook of all hosts, and after it rabbitmq's.
fn staged(first: &str) -> StepGraph {
    let go = command("go", "");
    stages(INVENTORY, [("first", first), ("rabbitmq", &go)], None).1
}

/// Two services of which nothing is planned and nothing known, and a later one.
fn after_rabbitmq(unreachable: Option<&str>) -> (Project, StepGraph) {
    let later =
        "[services.cache]\nkind = \"ssdb\"\nhosts = [\"web\"]\npassword = { file = \"secrets/cache\" }\n";
    let go = command("go", "");
    let playbooks = [("rabbitmq", "steps = []"), ("ssdb", go.as_str())];
    stages(&format!("{INVENTORY}{later}"), playbooks, unreachable)
}

#[test]
fn an_unhealthy_service_without_changes_is_waited_for() {
    let (project, graph) = after_rabbitmq(None);
    let [go] = graph.nodes() else {
        panic!("{:?}", unplanned(&graph));
    };
    let titles: Vec<&str> = go.before.iter().map(|gate| gate.title.as_str()).collect();
    assert_eq!(titles, ["mq is healthy", "jobs is healthy"]);
    let verdict = project.judge(&go.before[0], &Facts::default());
    assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?}");
}

#[test]
fn an_unhealthy_service_with_an_unreachable_host_blocks_its_users() {
    let (_, graph) = after_rabbitmq(Some("db1"));
    assert_eq!(graph.nodes(), []);
    assert!(
        unplanned(&graph)
            .iter()
            .any(|left| left.contains("a service that it uses is not healthy (mq: ")),
        "{:?}",
        unplanned(&graph)
    );
}

#[test]
fn a_later_stage_waits_for_all_of_an_earlier_one() {
    let graph = staged(&command("begin", ""));
    let go = graph
        .nodes()
        .iter()
        .find(|node| node.id.as_str() == "jobs/go@db3")
        .unwrap();
    let needs: Vec<&str> = go.needs.iter().map(NodeId::as_str).collect();
    assert_eq!(
        needs,
        [
            "first/begin@db1",
            "first/begin@db2",
            "first/begin@db3",
            "first/begin@web"
        ]
    );
}

#[test]
fn a_later_stage_is_blocked_by_what_an_earlier_one_refuses() {
    let graph = staged(&line("begin"));
    assert_eq!(graph.nodes(), []);
    assert!(!graph.refusals.is_empty());
    let blocked: Vec<String> = graph
        .unplanned
        .iter()
        .filter(|left| left.service.is_some())
        .map(|left| String::from(left.steps.clone()))
        .collect();
    assert_eq!(blocked, ["mq/go@db2", "mq/go@db1", "jobs/go@db3"]);
}
