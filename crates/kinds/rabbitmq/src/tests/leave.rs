//! Hosts are removed from the service, and replaced by others; nothing is lost.

use insta::assert_snapshot;
use plan::Verdict;

use super::bed::{Bed, crash};
use crate::tests::service;
use cases::host;
use fakes::{FakeCluster, Fault};

const FOUR: [&str; 4] = ["db1", "db2", "db3", "db4"];
const REST: [&str; 3] = ["db2", "db3", "db4"];
const CONFIG: &str = "config.cluster_partition_handling = \"pause_minority\"\ngrow_quorum_queues = true\n";

/// A cluster with a quorum queue and a mirrored queue that hold something; the inventory lists other hosts then.
fn in_use(hosts: &[&str], then: &[&str]) -> Bed {
    let mut bed = Bed::built(hosts, CONFIG);
    assert!((1..=9).all(|value| bed.cluster.write(value)));
    bed.say(then, CONFIG);
    bed
}

fn assert_kept(bed: &Bed) {
    assert!((1..=9).all(|value| bed.cluster.has_value(value)));
    assert_eq!(bed.cluster.violations(), [] as [String; 0]);
    let members: Vec<String> = bed.cluster.serving().iter().map(ToString::to_string).collect();
    let hosts = service(&bed.inventory).hosts().to_vec();
    assert_eq!(members, hosts.iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn a_member_that_runs_leaves_by_itself() {
    let mut bed = in_use(&FOUR, &REST);
    assert_snapshot!(bed.shown());
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
    assert!(!bed.cluster.runs("db1") && !bed.cluster.is_enabled("db1"));
}

#[test]
fn a_host_is_replaced_by_another_at_once() {
    let mut bed = in_use(&["db1", "db2", "db3"], &REST);
    assert_snapshot!(bed.order().join("\n"));
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
    // A restart of the rest works as ever.
    bed.say(&REST, &format!("{CONFIG}config.channel_max = 100\n"));
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn two_members_leave_one_after_another() {
    let mut bed = in_use(&["db1", "db2", "db3", "db4", "db5"], &["db3", "db4", "db5"]);
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn a_member_whose_broker_does_not_run_is_forgotten() {
    let mut bed = in_use(&FOUR, &REST);
    bed.inject(&crash("db1"));
    assert_snapshot!(bed.shown());
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
    assert!(!bed.cluster.is_enabled("db1"));
}

#[test]
fn a_member_of_which_nothing_is_known_is_forgotten_with_consent() {
    let mut bed = in_use(&FOUR, &REST);
    bed.inject(&Fault::Down(host("db1")));
    bed.unreachable.push(host("db1"));
    assert_snapshot!(bed.shown());
    bed.allow = vec!["rabbitmq.forget=db1"];
    bed.converge();
    assert_kept(&bed);
    // It comes back, is refused by the others, and does not try again.
    bed.unreachable.clear();
    bed.inject(&Fault::Up(host("db1")));
    bed.converge();
    assert_kept(&bed);
    assert!(!bed.cluster.runs("db1") && !bed.cluster.is_enabled("db1"));
}

#[test]
fn a_host_that_is_no_host_of_the_inventory_any_more_is_forgotten_with_consent() {
    let mut bed = in_use(&FOUR, &REST);
    bed.inject(&Fault::Down(host("db1")));
    bed.inventory = bed.inventory.replace("db1 = \"10.0.0.1\"\n", "");
    assert_snapshot!(bed.shown());
    bed.allow = vec!["rabbitmq.forget=db1"];
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn a_queue_that_only_the_departing_member_has_holds_it() {
    let mut bed = Bed::built(&FOUR, &format!("{CONFIG}policies = {{}}\n"));
    bed.cluster
        .declare_classic("mail", &["rabbit@db1".to_owned()].into());
    bed.tick();
    bed.say(&REST, &format!("{CONFIG}policies = {{}}\n"));
    assert_snapshot!(bed.shown());
    bed.allow = vec!["rabbitmq.leave=db1"];
    bed.converge();
    assert_eq!(
        bed.cluster.violations(),
        ["reset on db1 destroyed the queue mail in /"]
    );
}

#[test]
fn a_dead_member_that_has_the_only_copy_is_not_forgotten() {
    let mut bed = Bed::built(&FOUR, &format!("{CONFIG}policies = {{}}\n"));
    bed.cluster
        .declare_classic("mail", &["rabbit@db1".to_owned()].into());
    bed.inject(&crash("db1"));
    bed.say(&REST, &format!("{CONFIG}policies = {{}}\n"));
    let plan = bed.plan();
    let forget = plan
        .tasks
        .iter()
        .find(|task| task.title == "forget rabbit@db1")
        .unwrap();
    let why = bed.wait(&forget.before[0]).unwrap_err();
    assert_snapshot!(why);
    bed.allow = vec!["rabbitmq.forget=db1"];
    bed.converge();
}

#[test]
fn nobody_leaves_while_another_member_is_down() {
    let mut bed = in_use(&FOUR, &REST);
    bed.inject(&Fault::Down(host("db3")));
    bed.unreachable.push(host("db3"));
    assert_snapshot!(bed.shown());
}

#[test]
fn a_member_that_cannot_be_reached_and_runs_is_not_forgotten() {
    let mut bed = in_use(&FOUR, &REST);
    bed.unreachable.push(host("db1"));
    assert_snapshot!(bed.shown());
}

#[test]
fn a_broker_of_somebody_else_is_left_alone() {
    let mut bed = in_use(&["db1", "db2", "db3"], &["db1", "db2", "db3"]);
    // db4's package came with a broker, and a cookie of its own.
    let install = protocol::Operation::InstallPackages {
        names: vec!["rabbitmq-server".to_owned()],
    };
    assert_eq!(bed.cluster.operate(&host("db4"), &install), Some(Ok(())));
    bed.tick();
    bed.assert_settled();
    assert!(bed.cluster.runs("db4"));
}

#[test]
fn the_gates_of_a_member_that_leaves() {
    let bed = in_use(&FOUR, &REST);
    let plan = bed.plan();
    let leave = plan
        .tasks
        .iter()
        .find(|task| task.title == "leave the cluster")
        .unwrap();
    let verdict =
        |gate: &plan::Gate| service(&bed.inventory).judge(&gate.check, gate.host.as_ref(), &bed.asked(gate));
    let verdicts = [verdict(&leave.before[0]), verdict(&leave.gates[0])];
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Wait(_))));
    assert_snapshot!(verdicts.map(|verdict| format!("{verdict:?}")).join("\n"));
}

#[test]
fn new_members_that_share_no_host_with_the_old_cluster_form_none() {
    let mut bed = in_use(&["db1", "db2", "db3"], &["db4", "db5"]);
    let plan = bed.plan();
    assert_eq!(plan.refusals.len(), 1);
    assert_snapshot!(plan.refusals[0].why);
    bed.say(&["db3", "db4", "db5"], CONFIG);
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn two_members_that_do_not_run_are_forgotten_one_after_another() {
    let mut bed = in_use(&["db1", "db2", "db3", "db4", "db5"], &["db3", "db4", "db5"]);
    bed.inject(&crash("db1"));
    bed.inject(&crash("db2"));
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn a_member_that_is_down_is_forgotten_before_one_that_runs_leaves() {
    let mut bed = in_use(&["db1", "db2", "db3", "db4", "db5"], &["db3", "db4", "db5"]);
    bed.inject(&crash("db2"));
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn nobody_leaves_before_the_new_member_has_joined() {
    let mut bed = in_use(&["db1", "db2", "db3"], &REST);
    bed.unreachable.push(host("db4"));
    assert_snapshot!(bed.shown());
}

/// Three members and a new one: while one of the three is down, two of four would be no majority.
#[test]
fn nobody_joins_while_a_member_that_stays_is_down() {
    let mut bed = in_use(&["db1", "db2", "db3"], &FOUR);
    let tasks = bed.plan().tasks;
    bed.inject(&crash("db3"));
    let join = tasks.iter().find(|task| task.title.starts_with("join")).unwrap();
    let why = bed.wait(&join.before[0]).unwrap_err();
    assert_eq!(why, "does not see rabbit@db3");
    bed.inject(&Fault::Revive(host("db3")));
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn a_dead_member_is_replaced() {
    let mut bed = in_use(&["db1", "db2", "db3"], &["db1", "db2", "db4"]);
    bed.inject(&Fault::Down(host("db3")));
    bed.unreachable.push(host("db3"));
    bed.allow = vec!["rabbitmq.forget=db3"];
    assert_snapshot!(bed.order().join("\n"));
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}
