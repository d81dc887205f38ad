//! Members come and go; one of the quorum at a time, and numbers are never given twice.

use insta::assert_snapshot;

use super::*;
use crate::tests::rig::Rig as _;
use fakes::Fault;
use fakes::clickhouse::{CONFIG_D, ZOO_CFG};

const FOUR: [&str; 4] = ["db1", "db2", "db3", "db4"];
const QUIET: &str = "coordination = \"zookeeper\"\n";

/// The cluster of three, with a fourth host beside it.
fn with_fourth(service: &dyn Service, version: &'static str) -> Cluster {
    let mut cluster = built(service, version);
    let mut fourth = Cluster::new(&["db4"], version);
    fourth.install_both("db4");
    cluster.nodes.extend(fourth.nodes);
    cluster
}

#[test]
fn a_replica_joins_without_the_quorum() {
    let cluster = with_fourth(&*zookeeper(""), DEBIAN);
    let service = service_on(
        &FOUR,
        &format!("{QUIET}coordination_hosts = [\"db1\", \"db2\", \"db3\"]"),
    );
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster);
}

#[test]
fn a_member_joins_the_quorum_before_the_others_learn_of_it() {
    let three = format!("{QUIET}coordination_hosts = [\"db1\", \"db2\"]");
    let service = testing_quietly(&DB, &three);
    let cluster = built(&*service, DEBIAN);
    let service = zookeeper("");
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster);
}

#[test]
fn a_member_leaves_the_quorum_and_its_number_is_not_given_again() {
    let mut cluster = built(&*zookeeper(""), DEBIAN);
    let service = testing_quietly(&DB, &format!("{QUIET}coordination_hosts = [\"db1\", \"db2\"]"));
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster);
    converge(&*service, &mut cluster);
    assert!(
        cluster
            .node("db1")
            .machine
            .text(ZOO_CFG)
            .contains("# highest server number ever given: 3")
    );
    assert!(cluster.node("db3").zookeeper.is_none());

    // A host of another name gets the next number.
    let mut fourth = Cluster::new(&["db4"], DEBIAN);
    fourth.install_both("db4");
    cluster.nodes.extend(fourth.nodes);
    cluster.nodes.retain(|node| node.name() != "db3");
    cluster.forget("db3");
    let service = service_on(&["db1", "db2", "db4"], QUIET);
    converge(&*service, &mut cluster);
    assert!(
        cluster
            .node("db4")
            .machine
            .text(ZOO_CFG)
            .contains("server.4=db4:2888:3888")
    );
    assert!(
        !cluster
            .node("db4")
            .machine
            .text(ZOO_CFG)
            .contains("highest server number")
    );
}

#[test]
fn a_member_joins_keeper() {
    let three = "coordination_hosts = [\"db1\", \"db2\"]";
    let cluster = built(&*testing_quietly(&DB, three), MODERN);
    let service = keeper("");
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster);
}

#[test]
fn a_host_of_the_highest_number_that_left_keeper_is_remembered() {
    let mut cluster = built(&*keeper(""), MODERN);
    let service = testing_quietly(&DB, "coordination_hosts = [\"db1\", \"db2\"]");
    converge_from_everywhere(&*service, &cluster);
    converge(&*service, &mut cluster);
    let text = cluster
        .node("db1")
        .machine
        .text(&format!("{CONFIG_D}/keeper.xml"));
    assert!(
        text.contains("<!-- highest server number ever given: 3 -->"),
        "{text}"
    );
}

#[test]
fn a_leader_that_the_inventory_does_not_name_is_stopped_by_hand() {
    let mut cluster = built(&*zookeeper(""), DEBIAN);
    cluster.inject(&Fault::Handover);
    let service = testing_quietly(&["db1", "db2"], QUIET);
    assert_snapshot!(shown(&*service, &cluster));
}

#[test]
fn a_replica_that_is_gone_is_reported() {
    let mut cluster = built(&*zookeeper(""), DEBIAN);
    cluster.register("db9");
    assert_snapshot!(shown(&*zookeeper(""), &cluster));
}

/// Seen: a former member that could not be reached got a new number in the others' files, and had the old one in its own; from
/// then on nothing could be changed any more.
#[test]
fn a_former_member_that_cannot_be_asked_gets_no_number() {
    for (more, version) in [(ZOO, DEBIAN), ("", MODERN)] {
        let mut cluster = built_among(&ALL, more, version);
        converge(&*among(&["db2", "db3", "db4"], more), &mut cluster);
        let db1 = cases::host("db1");
        cluster.inject(&Fault::Down(db1.clone()));
        cluster.tick();
        let service = among(&ALL, more);
        let found = plan(&*service, &cluster);
        assert_snapshot!(render(&found));
        assert!(found.refusals.iter().all(|refusal| refusal.passing));
        // The first step refuses, and no other says that it would write a file with a number of its own.
        let files = ["zoo.cfg", "keeper"];
        assert!(!found.tasks.iter().any(|task| files.contains(&task.part.as_str())));
        cluster.inject(&Fault::Up(db1));
        cluster.tick();
        if version == MODERN {
            cluster.node_mut("db1").table = None;
        }
        converge(&*service, &mut cluster);
    }
}

/// A service whose inventory gives a warning (an even quorum).
fn testing_quietly(hosts: &[&str], more: &str) -> Box<dyn Service> {
    crate::tests::service_with_warnings(&inventory(hosts, more))
}
