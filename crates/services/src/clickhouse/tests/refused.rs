//! What is not done, with its proof and its way out.

use insta::assert_snapshot;

use super::world::{CONFIG, CONFIG_D, MYID, ZOO_CFG};
use super::*;

#[test]
fn a_lost_quorum_stops_everything() {
    let service = zookeeper("");
    let mut world = built(&*service, DEBIAN);
    for host in ["db2", "db3"] {
        world.node_mut(host).is_reachable = false;
    }
    world.node_mut("db1").server.runs = false;
    assert_snapshot!(shown(&*service, &world));
}

#[test]
fn one_lost_host_stops_nothing_and_is_not_planned() {
    let service = zookeeper("");
    let mut world = built(&*service, DEBIAN);
    world.node_mut("db3").is_reachable = false;
    world.node_mut("db1").server.runs = false;
    assert_snapshot!(shown(&*service, &world));
}

#[test]
fn members_that_run_and_do_not_agree_are_not_touched() {
    let service = zookeeper("");
    let mut world = built(&*service, DEBIAN);
    for host in DB {
        // As if each saw nobody: a firewall between them.
        world.node_mut(host).zoo_cfg = "server.1=x1:1:1\nserver.2=x2:1:1\nserver.3=x3:1:1\n".to_owned();
    }
    assert_snapshot!(shown(&*service, &world));
}

#[test]
fn blank_members_do_not_outvote_the_one_that_knows() {
    let service = zookeeper("");
    let mut world = built(&*service, DEBIAN);
    for host in ["db1", "db2"] {
        let node = world.node_mut(host);
        node.files.remove("/var/lib/zookeeper/version-2/currentEpoch");
        node.zookeeper.runs = false;
    }
    assert_snapshot!(shown(&*service, &world));
    let allowed = ["clickhouse.new-quorum=db1", "clickhouse.new-quorum=db2"];
    converge_allowing(&*service, &mut world, &allowed);
}

#[test]
fn a_keeper_that_lost_most_of_its_members_is_not_begun_anew() {
    let service = keeper("");
    let mut world = built(&*service, MODERN);
    for host in ["db1", "db2"] {
        let node = world.node_mut(host);
        node.files.remove("/var/lib/clickhouse/coordination/log");
        node.server.runs = false;
    }
    assert_snapshot!(shown(&*service, &world));
}

#[test]
fn one_number_for_two_members_is_a_conflict() {
    let service = zookeeper("");
    let mut world = built(&*service, DEBIAN);
    let text = world.node("db2").files[ZOO_CFG]
        .text
        .replace("server.2=db2", "server.1=db2");
    world.write("db2", ZOO_CFG, &text);
    assert_snapshot!(shown(&*service, &world));
    let service = zookeeper("server_ids = { db1 = 3 }");
    assert_snapshot!(shown(&*service, &built(&*zookeeper(""), DEBIAN)));
}

#[test]
fn numbers_that_were_prepared_by_hand_are_kept() {
    let service = zookeeper("");
    let mut world = packaged(&DB, DEBIAN);
    for (host, id) in [("db1", "30\n"), ("db2", "10\n")] {
        world.write(host, MYID, id);
    }
    converge(&*service, &mut world);
    let text = &world.node("db3").files[ZOO_CFG].text;
    assert!(
        text.contains("server.30=db1") && text.contains("server.10=db2") && text.contains("server.31=db3"),
        "{text}"
    );
}

#[test]
fn a_config_that_is_missing_or_broken_stops_its_host() {
    let service = zookeeper("");
    let mut world = built(&*service, DEBIAN);
    world.node_mut("db1").files.remove(CONFIG);
    world.write("db2", CONFIG, "<yandex>\n<logger>\n</yandex>\n");
    world.write("db3", CONFIG, "<html></html>");
    for host in DB {
        world
            .node_mut(host)
            .files
            .remove(&format!("{CONFIG_D}/macros.xml"));
    }
    assert_snapshot!(shown(&*service, &world));
}

#[test]
fn a_server_without_keeper_is_told_so() {
    assert_snapshot!(shown(&*keeper(""), &packaged(&DB, DEBIAN)));
}

#[test]
fn the_quorum_changes_by_one_member_at_a_time() {
    let five = ["db1", "db2", "db3", "db4", "db5"];
    let three = service_on(
        &five,
        "coordination = \"zookeeper\"\ncoordination_hosts = [\"db1\", \"db2\", \"db3\"]",
    );
    let world = built(&*three, DEBIAN);
    let all = service_on(&five, "coordination = \"zookeeper\"");
    assert_snapshot!(shown(&*all, &world));
    let swapped = service_on(
        &five,
        "coordination = \"zookeeper\"\ncoordination_hosts = [\"db1\", \"db2\", \"db4\"]",
    );
    assert_snapshot!(shown(&*swapped, &world));
    let one = service_on(
        &five,
        "coordination = \"zookeeper\"\ncoordination_hosts = [\"db1\"]",
    );
    assert_snapshot!(shown(&*one, &world));
}

#[test]
fn a_zookeeper_with_data_that_runs_alone_is_not_forgotten() {
    let service = zookeeper("");
    let mut world = packaged(&DB, DEBIAN);
    world.start_zookeeper("db1");
    world.registered = vec!["elsewhere".to_owned()];
    assert_snapshot!(shown(&*service, &world));
    world.nodes.iter_mut().for_each(|node| node.has_table = false);
    let allowed = ["clickhouse.forget-zookeeper=db1"];
    assert!(plan_allowing(&*service, &world, &allowed).refusals.is_empty());
}

#[test]
fn a_replica_that_lost_its_table_needs_consent_to_be_registered_anew() {
    let service = keeper("");
    let mut world = built(&*service, MODERN);
    world.node_mut("db2").has_table = false;
    assert_snapshot!(shown(&*service, &world));
    assert_snapshot!(shown_allowing(
        &*service,
        &world,
        &["clickhouse.drop-replica=db2"]
    ));
    converge_allowing(&*service, &mut world, &["clickhouse.drop-replica=db2"]);

    let service = zookeeper("");
    let mut world = built(&*service, DEBIAN);
    world.node_mut("db2").has_table = false;
    assert_snapshot!(shown_allowing(
        &*service,
        &world,
        &["clickhouse.drop-replica=db2"]
    ));
}

#[test]
fn a_keeper_is_not_restarted_where_the_quorum_would_be_lost() {
    let service = keeper("");
    let mut world = built(&*service, MODERN);
    world.node_mut("db3").is_reachable = false;
    let service = keeper("ddl_path = \"/clickhouse/other/ddl\"");
    assert_snapshot!(shown(&*service, &world));
}
