//! A member whose host was built again, or whose database was deleted: it is forgotten while it is off, and joins.

use super::bed::Bed;
use super::*;
use fakes::FakeCluster;
use protocol::Operation;

const THREE: [&str; 3] = ["db1", "db2", "db3"];

/// A cluster with a quorum queue and a mirrored one that hold something, whose third host was built again.
fn rebuilt(more: &str) -> Bed {
    let mut bed = Bed::built(&THREE, more);
    assert!((1..=9).all(|value| bed.cluster.write(value)));
    bed.cluster.rebuild("db3");
    bed.tick();
    bed
}

fn assert_kept(bed: &Bed) {
    assert!((1..=9).all(|value| bed.cluster.has_value(value)));
    assert_eq!(bed.cluster.violations(), [] as [String; 0]);
}

/// 4.0.5 refuses to forget a member whose broker runs: `RabbitMQ on node rabbit@db3 must be stopped with 'rabbitmqctl -n
/// rabbit@db3 stop_app' before it can be removed`. One whose node can be reached stays a member of Khepri.
#[test]
fn a_rebuilt_member_is_forgotten_while_it_is_off_and_joins_again() {
    let mut bed = rebuilt("");
    assert_snapshot!(bed.shown());
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn quorum_queues_are_grown_again_after_a_rebuilt_member_was_forgotten() {
    let mut bed = rebuilt("grow_quorum_queues = true\n");
    let order = bed.order();
    assert_eq!(order.last().unwrap(), "db1 give quorum queues a member on db3");
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}

/// Its database may be elsewhere (`RABBITMQ_MNESIA_DIR`): its start tells. The second disk is that of a node that was started
/// and stopped again, where the run that rejoined it was killed.
#[test]
fn a_stopped_member_that_the_others_count_is_started_and_reset_only_with_proof_whatever_its_disk_says() {
    let survivor = || up(|broker| broker.running = vec!["rabbit@db1", "rabbit@db2"]);
    for members in [None, Some("{[rabbit@db3],[rabbit@db3]}.")] {
        let off = Host {
            node: Node::Off { members },
            ..member()
        };
        let hosts = facts([survivor(), survivor(), off]);
        let plan = plan_steps(&*service(INVENTORY), &KIND.steps(), &hosts);
        let [start, join] = plan.tasks.as_slice() else {
            panic!("{}", render(&plan));
        };
        assert_eq!(start.title, "start rabbitmq-server.service");
        assert!(join.title.starts_with("join"));
        let proofs = &join.action.as_ref().unwrap().only_if;
        assert!(
            proofs[0].what.contains("is alone and holds no queue"),
            "{proofs:?}"
        );
    }
}

#[test]
fn a_run_that_was_killed_while_the_rebuilt_node_was_off_is_finished_by_one_more() {
    let mut bed = rebuilt("");
    let tasks = bed.plan().tasks;
    bed.perform(&tasks[0]);
    let Some(Operation::Run { commands }) = tasks[1].action.as_ref().map(|action| &action.operation) else {
        panic!("{tasks:?}");
    };
    for ran in 1..commands.len() {
        let mut bed = bed.clone();
        let commands = commands[..ran].to_vec();
        let done = bed.cluster.operate(&host("db3"), &Operation::Run { commands });
        assert_eq!(done, Some(Ok(())));
        bed.tick();
        bed.converge();
        assert_kept(&bed);
    }
}
