//! Hosts come to the inventory's list and go from it: that is the whole request.

use insta::assert_snapshot;
use protocol::UnitVerb;

use super::{
    AUTH, UNIT, World, built, converge, converge_from_everywhere, inventory, performs, plan, plan_allowing,
    service, shown,
};
use crate::tests::world::Rig as _;
use cases::{self, host};
use fakes::{FakeCluster as _, Fault};
use kit::Service;

/// A set of these hosts, with something in it.
fn set_of(hosts: &[&str]) -> World {
    let mut world = built(&*of(hosts));
    assert!(world.write(1));
    world
}

fn of(hosts: &[&str]) -> Box<dyn Service> {
    crate::tests::service_with_warnings(&inventory(hosts, AUTH))
}

fn members(world: &World) -> Vec<String> {
    let config = world.in_force().expect("a configuration");
    config
        .members()
        .iter()
        .map(|member| {
            let vote = if member.votes() { "" } else { " without a vote" };
            format!("{}{vote}", member.name())
        })
        .collect()
}

fn is_retired(world: &World, name: &str) -> bool {
    let unit = world.node(name).machine.unit_fact(UNIT);
    !unit.is_active() && !unit.is_enabled() && world.node(name).disk.has_data
}

#[test]
fn the_primary_is_taken_from_the_list() {
    let mut world = set_of(&["db1", "db2", "db3", "db4"]);
    let service = of(&["db2", "db3", "db4"]);
    assert_snapshot!(shown(&*service, &world));
    converge_from_everywhere(&*service, &world, &[]);
    converge(&*service, &mut world);
    assert_eq!(members(&world), ["db2:27017", "db3:27017", "db4:27017"]);
    assert!(is_retired(&world, "db1") && world.has_value(1) && world.write(2));
}

#[test]
fn a_host_is_replaced_by_another_at_once() {
    for gone in ["db1", "db2"] {
        let mut world = set_of(&["db1", "db2", "db3"]);
        let kept: Vec<&str> = ["db1", "db2", "db3", "db4"]
            .into_iter()
            .filter(|name| *name != gone)
            .collect();
        let service = of(&kept);
        converge_from_everywhere(&*service, &world, &[]);
        converge(&*service, &mut world);
        assert_eq!(members(&world).len(), 3);
        assert!(is_retired(&world, gone) && world.has_value(1));
    }
}

#[test]
fn two_of_three_are_replaced_and_come_back() {
    let mut world = set_of(&["db1", "db2", "db3"]);
    let service = of(&["db3", "db4", "db5"]);
    assert_snapshot!(shown(&*service, &world));
    converge_from_everywhere(&*service, &world, &[]);
    converge(&*service, &mut world);
    assert!(is_retired(&world, "db1") && is_retired(&world, "db2"));
    let service = of(&["db1", "db2", "db3"]);
    converge_from_everywhere(&*service, &world, &[]);
}

#[test]
fn a_host_that_is_dead_is_replaced() {
    let mut world = set_of(&["db1", "db2", "db3"]);
    world.inject(&Fault::Down(host("db1")));
    world.node_mut("db1").is_reachable = false;
    let service = of(&["db2", "db3", "db4"]);
    assert_snapshot!(shown(&*service, &world));
    converge_from_everywhere(&*service, &world, &[]);
    converge(&*service, &mut world);
    // It comes back, and finds that it is out.
    world.node_mut("db1").is_reachable = true;
    world.inject(&Fault::Up(host("db1")));
    assert_snapshot!(shown(&*service, &world));
    converge_from_everywhere(&*service, &world, &[]);
}

#[test]
fn a_host_that_is_not_in_the_inventory_any_more_leaves() {
    let mut world = set_of(&["db1", "db2", "db3", "db4"]);
    let text = inventory(&["db2", "db3", "db4"], AUTH).replace("db1 = \"10.0.0.1\"\n", "");
    let service = crate::tests::service_with_warnings(&text);
    // The primary cannot be told to hand over.
    assert_snapshot!(shown(&*service, &world));
    world.step_down();
    assert_snapshot!(shown(&*service, &world));
    converge_from_everywhere(&*service, &world, &[]);
}

#[test]
fn a_server_that_is_off_is_disabled_before_it_is_out() {
    let mut world = set_of(&["db1", "db2", "db3", "db4"]);
    world.stop("db4");
    let service = of(&["db1", "db2", "db3"]);
    assert_snapshot!(shown(&*service, &world));
    converge_from_everywhere(&*service, &world, &[]);
}

#[test]
fn without_its_proof_a_removal_is_refused() {
    let mut world = set_of(&["db1", "db2", "db3", "db4"]);
    world.node_mut("db2").lag_s = 60;
    let service = of(&["db1", "db2", "db3"]);
    assert_snapshot!(shown(&*service, &world));
    converge_from_everywhere(&*service, &world, &["mongodb.remove=db4"]);
    // One that is to take its place cannot join.
    let mut world = set_of(&["db1", "db2", "db3"]);
    world.node_mut("db4").is_reachable = false;
    let service = of(&["db1", "db2", "db4"]);
    assert_snapshot!(shown(&*service, &world));
}

#[test]
fn the_proof_is_asked_for_again_right_before() {
    let mut world = set_of(&["db1", "db2", "db3", "db4"]);
    let service = of(&["db1", "db2", "db3"]);
    let plan = plan(&*service, &world);
    world.stop("db2");
    let task = plan
        .tasks
        .iter()
        .find(|task| task.title.starts_with("remove"))
        .unwrap();
    let verdict = world.judge(&*service, &task.before[0]);
    assert_eq!(
        format!("{verdict:?}"),
        "Wait(\"db2 does not answer: connection refused\")"
    );
}

#[test]
fn a_delayed_copy_is_not_let_go() {
    let more = format!("{AUTH}members.db4 = {{ delay_s = 3600, hidden = true }}\n");
    let world = built(&*crate::tests::service_with_warnings(&inventory(
        &["db1", "db2", "db3", "db4"],
        &more,
    )));
    let found = shown(&*of(&["db1", "db2", "db3"]), &world);
    assert!(
        found.contains("what it keeps of the past is nowhere else"),
        "{found}"
    );
}

#[test]
fn a_set_that_nobody_listed_is_in_is_not_made_twice() {
    let world = set_of(&["db1", "db2", "db3"]);
    let service = of(&["db4", "db5"]);
    let found = shown(&*service, &world);
    assert!(
        found.contains("refused: no second set is created, because db1, db2, db3 has a set"),
        "{found}"
    );
    assert!(!found.contains("initiate"), "{found}");
}

#[test]
fn servers_of_others_are_left_alone() {
    // db4 and db5 run servers of their own.
    let mut world = set_of(&["db1", "db2", "db3"]);
    world.node_mut("db5").disk.data.databases = vec!["theirs"];
    super::assert_settled(&*service(AUTH), &world);
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
            let mut world = before.clone();
            for task in plan(&*service, &before).tasks.iter().take(moved) {
                world.perform(&*service, task);
            }
            let rest = plan(&*service, &before).tasks.into_iter().skip(moved);
            world.inject(&Fault::Handover);
            for task in rest {
                if !performs(&*service, &mut world, &task) {
                    break;
                }
            }
            converge(&*service, &mut world);
            assert!(
                world.has_value(1) && world.violations().is_empty(),
                "{:?}",
                world.violations()
            );
        }
    }
}

#[test]
fn a_former_member_is_stopped_last() {
    let world = set_of(&["db1", "db2", "db3", "db4"]);
    let found = plan_allowing(&*of(&["db2", "db3", "db4"]), &world, &[]);
    let stops = |task: &kit::Task| match &task.action.as_ref()?.operation {
        protocol::Operation::Unit { verbs, .. } => {
            verbs.contains(&UnitVerb::Stop).then(|| task.host.to_string())
        }
        _ => None,
    };
    let all: Vec<Option<String>> = found.tasks.iter().map(stops).collect();
    assert_eq!(all, [None, None, Some("db1".to_owned())]);
}
