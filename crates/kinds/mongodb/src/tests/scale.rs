//! Hosts come to the inventory's list and go from it: that is the whole request.

use insta::assert_snapshot;
use protocol::UnitVerb;

use super::{
    AUTH, Cluster, UNIT, built, converge, converge_from_everywhere, inventory, performs, plan, plan_allowing,
    service, shown,
};
use crate::tests::rig::Rig as _;
use crate::tests::troubled::PACE;
use cases::{self, host};
use fakes::{FakeCluster as _, Fault};
use kit::Service;

/// A set of these hosts, with something in it.
fn set_of(hosts: &[&str]) -> Cluster {
    let mut cluster = built(&*of(hosts));
    assert!(cluster.write(1));
    cluster
}

fn of(hosts: &[&str]) -> Box<dyn Service> {
    crate::tests::service_with_warnings(&inventory(hosts, AUTH))
}

fn members(cluster: &Cluster) -> Vec<String> {
    let config = cluster.in_force().expect("a configuration");
    config
        .members()
        .iter()
        .map(|member| {
            let vote = if member.votes() { "" } else { " without a vote" };
            format!("{}{vote}", member.name())
        })
        .collect()
}

fn is_retired(cluster: &Cluster, name: &str) -> bool {
    let unit = cluster.node(name).machine.unit_fact(UNIT);
    !unit.is_active() && !unit.is_enabled() && cluster.node(name).disk.has_data
}

#[test]
fn the_primary_is_taken_from_the_list() {
    let mut cluster = set_of(&["db1", "db2", "db3", "db4"]);
    let service = of(&["db2", "db3", "db4"]);
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster);
    assert_eq!(members(&cluster), ["db2:27017", "db3:27017", "db4:27017"]);
    assert!(is_retired(&cluster, "db1") && cluster.has_value(1) && cluster.write(2));
}

/// As seen on 4.9: an election takes ten seconds and more, and for a heartbeat afterwards the term that the new primary
/// writes into the configuration is not committed.
#[test]
fn the_primary_is_removed_by_one_plan_while_its_successor_writes_its_term() {
    let mut cluster = set_of(&["db1", "db2", "db3", "db4"]);
    cluster.pace = PACE;
    let service = of(&["db2", "db3", "db4"]);
    let plan = plan(&*service, &cluster);
    for task in &plan.tasks {
        cluster.perform(&*service, task);
    }
    assert!(is_retired(&cluster, "db1"));
    super::assert_settled(&*service, &cluster);
}

#[test]
fn a_host_is_replaced_by_another_at_once() {
    for gone in ["db1", "db2"] {
        let mut cluster = set_of(&["db1", "db2", "db3"]);
        let kept: Vec<&str> = ["db1", "db2", "db3", "db4"]
            .into_iter()
            .filter(|name| *name != gone)
            .collect();
        let service = of(&kept);
        converge_from_everywhere(&*service, &cluster, &[]);
        converge(&*service, &mut cluster);
        assert_eq!(members(&cluster).len(), 3);
        assert!(is_retired(&cluster, gone) && cluster.has_value(1));
    }
}

#[test]
fn two_of_three_are_replaced_and_come_back() {
    let mut cluster = set_of(&["db1", "db2", "db3"]);
    let service = of(&["db3", "db4", "db5"]);
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster);
    assert!(is_retired(&cluster, "db1") && is_retired(&cluster, "db2"));
    let service = of(&["db1", "db2", "db3"]);
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_host_that_is_dead_is_replaced() {
    let mut cluster = set_of(&["db1", "db2", "db3"]);
    cluster.inject(&Fault::Down(host("db1")));
    cluster.node_mut("db1").is_reachable = false;
    let service = of(&["db2", "db3", "db4"]);
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster);
    // It comes back, and finds that it is out.
    cluster.node_mut("db1").is_reachable = true;
    cluster.inject(&Fault::Up(host("db1")));
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_host_that_is_not_in_the_inventory_any_more_leaves() {
    let mut cluster = set_of(&["db1", "db2", "db3", "db4"]);
    let text = inventory(&["db2", "db3", "db4"], AUTH).replace("db1 = \"10.0.0.1\"\n", "");
    let service = crate::tests::service_with_warnings(&text);
    // The primary cannot be told to step down.
    assert_snapshot!(shown(&*service, &cluster));
    cluster.step_down();
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_server_that_is_off_is_disabled_before_it_is_out() {
    let mut cluster = set_of(&["db1", "db2", "db3", "db4"]);
    cluster.stop("db4");
    let service = of(&["db1", "db2", "db3"]);
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn without_its_proof_a_removal_is_refused() {
    let mut cluster = set_of(&["db1", "db2", "db3", "db4"]);
    cluster.node_mut("db2").lag_s = 60;
    let service = of(&["db1", "db2", "db3"]);
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &["mongodb.remove=db4"]);
    // One that is to take its place cannot join.
    let mut cluster = set_of(&["db1", "db2", "db3"]);
    cluster.node_mut("db4").is_reachable = false;
    let service = of(&["db1", "db2", "db4"]);
    assert_snapshot!(shown(&*service, &cluster));
}

#[test]
fn the_proof_is_repeated_right_before() {
    let mut cluster = set_of(&["db1", "db2", "db3", "db4"]);
    let service = of(&["db1", "db2", "db3"]);
    let plan = plan(&*service, &cluster);
    cluster.stop("db2");
    let task = plan
        .tasks
        .iter()
        .find(|task| task.title.starts_with("remove"))
        .unwrap();
    let mut before = task.before.iter();
    let proof = before.find(|gate| gate.check == "spared:db4:27017").unwrap();
    let verdict = cluster.judge(&*service, proof);
    assert_eq!(
        format!("{verdict:?}"),
        "Wait(\"db2 does not answer: connection refused\")"
    );
}

#[test]
fn a_delayed_copy_is_not_let_go() {
    let more = format!("{AUTH}members.db4 = {{ delay_s = 3600, hidden = true }}\n");
    let cluster = built(&*crate::tests::service_with_warnings(&inventory(
        &["db1", "db2", "db3", "db4"],
        &more,
    )));
    let found = shown(&*of(&["db1", "db2", "db3"]), &cluster);
    assert!(
        found.contains("what it keeps of the past is nowhere else"),
        "{found}"
    );
}

#[test]
fn a_set_on_hosts_that_are_not_listed_is_not_initiated_twice() {
    let cluster = set_of(&["db1", "db2", "db3"]);
    let service = of(&["db4", "db5"]);
    let found = shown(&*service, &cluster);
    assert!(
        found.contains("refused: no second set is created, because db1, db2, db3 has a set"),
        "{found}"
    );
    assert!(!found.contains("initiate"), "{found}");
}

#[test]
fn servers_of_others_are_left_alone() {
    // db4 and db5 run servers of their own.
    let mut cluster = set_of(&["db1", "db2", "db3"]);
    cluster.node_mut("db5").disk.data.databases = vec!["theirs"];
    super::assert_settled(&*service(AUTH), &cluster);
}

#[test]
fn wherever_the_leadership_moves_the_next_plan_is_right() {
    let cases: [(&[&str], String); 2] = [
        (&["db2", "db3", "db4"], AUTH.to_owned()),
        (
            &["db1", "db2", "db3"],
            format!("{AUTH}config.net.maxIncomingConnections = 500\n"),
        ),
    ];
    for (hosts, more) in cases {
        let service = crate::tests::service_with_warnings(&inventory(hosts, &more));
        let before = set_of(&["db1", "db2", "db3"]);
        for moved in 0..plan(&*service, &before).tasks.len() {
            let mut cluster = before.clone();
            for task in plan(&*service, &before).tasks.iter().take(moved) {
                cluster.perform(&*service, task);
            }
            let rest = plan(&*service, &before).tasks.into_iter().skip(moved);
            cluster.inject(&Fault::Handover);
            for task in rest {
                if !performs(&*service, &mut cluster, &task) {
                    break;
                }
            }
            converge(&*service, &mut cluster);
            assert!(
                cluster.has_value(1) && cluster.violations().is_empty(),
                "{:?}",
                cluster.violations()
            );
        }
    }
}

#[test]
fn a_former_member_is_stopped_last() {
    let cluster = set_of(&["db1", "db2", "db3", "db4"]);
    let found = plan_allowing(&*of(&["db2", "db3", "db4"]), &cluster, &[]);
    let stops = |task: &kit::Task| match &task.action.as_ref()?.operation {
        protocol::Operation::Unit { verbs, .. } => {
            verbs.contains(&UnitVerb::Stop).then(|| task.host.to_string())
        }
        _ => None,
    };
    let all: Vec<Option<String>> = found.tasks.iter().map(stops).collect();
    assert_eq!(all, [None, None, Some("db1".to_owned())]);
}
