//! A member whose host was built again, or whose database was deleted: it is forgotten while it is off, and joins.

use super::bed::Bed;
use super::*;
use fakes::FakeCluster;

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

/// Its database may be elsewhere (`RABBITMQ_MNESIA_DIR`): its start tells.
#[test]
fn a_member_that_seems_rebuilt_is_started_and_reset_only_with_the_proof_that_it_is_unused() {
    let survivor = || up(|broker| broker.running = vec!["rabbit@db1", "rabbit@db2"]);
    let blank = Host {
        node: Node::Off { members: None },
        ..member()
    };
    let plan = plan_steps(
        &*service(INVENTORY),
        &KIND.steps(),
        &facts([survivor(), survivor(), blank]),
    );
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
