//! What is not done, with its proof and its way out.

use insta::assert_snapshot;
use protocol::FactQuery;

use super::*;
use crate::tests::rig::Rig as _;
use fakes::Fault;
use fakes::clickhouse::{CONFIG, CONFIG_D, EPOCH, KEEPER_LOG, MYID, SERVER, ZK, ZOO_CFG};

#[test]
fn a_lost_quorum_stops_everything() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    for host in ["db2", "db3"] {
        cluster.inject(&Fault::Down(cases::host(host)));
    }
    cluster.stop("db1", SERVER);
    assert_snapshot!(shown(&*service, &cluster));
}

#[test]
fn one_lost_host_stops_nothing_and_is_not_planned() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.inject(&Fault::Down(cases::host("db3")));
    cluster.stop("db1", SERVER);
    assert_snapshot!(shown(&*service, &cluster));
}

#[test]
fn members_that_run_and_do_not_agree_are_not_touched() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    for host in DB {
        // As if each saw nobody: a firewall between them.
        cluster.inject(&Fault::Cut(cases::host(host)));
    }
    assert_snapshot!(shown(&*service, &cluster));
}

#[test]
fn blank_members_do_not_outvote_the_one_that_knows() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    for host in ["db1", "db2"] {
        cluster.stop(host, ZK);
        cluster.node_mut(host).machine.files.remove(EPOCH);
    }
    assert_snapshot!(shown(&*service, &cluster));
    let allowed = ["clickhouse.new-quorum=db1", "clickhouse.new-quorum=db2"];
    converge_allowing(&*service, &mut cluster, &allowed);
}

#[test]
fn a_keeper_that_lost_most_of_its_members_is_not_begun_anew() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    for host in ["db1", "db2"] {
        cluster.stop(host, SERVER);
        cluster.node_mut(host).machine.files.remove(KEEPER_LOG);
    }
    assert_snapshot!(shown(&*service, &cluster));
}

/// Where the only member that knows something was stopped, its tables were not asked for, and two blank ones began with nothing.
#[test]
fn blank_keepers_do_not_outvote_one_that_is_stopped() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    for host in DB {
        cluster.stop(host, SERVER);
    }
    for host in ["db1", "db2"] {
        cluster.node_mut(host).machine.files.remove(KEEPER_LOG);
        cluster.node_mut(host).table = None;
    }
    let found = plan(&*service, &cluster);
    assert!(found.tasks.is_empty(), "{}", render(&found));
    let shown = render(&found);
    assert!(
        shown.contains("only db3 of 3 members knows what was agreed upon"),
        "{shown}"
    );
    // Nor where its disk does not tell.
    let facts = cluster.facts(&*service);
    let is_command = |query: &FactQuery| matches!(query, FactQuery::Command(_));
    let facts = cases::failing(&facts, "db3", is_command, "it cannot be asked");
    let found = cases::plan_steps(&*service, &STEPS, &facts);
    assert!(found.tasks.is_empty(), "{}", render(&found));
    // A first start that died has no tables anywhere.
    cluster.node_mut("db3").table = None;
    let found = plan(&*service, &cluster);
    assert!(found.refusals.is_empty(), "{}", render(&found));
}

#[test]
fn one_number_for_two_members_is_a_conflict() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    let text = cluster
        .node("db2")
        .machine
        .text(ZOO_CFG)
        .replace("server.2=db2", "server.1=db2");
    cluster.write_file("db2", ZOO_CFG, &text);
    assert_snapshot!(shown(&*service, &cluster));
    let service = zookeeper("server_ids = { db1 = 3 }");
    assert_snapshot!(shown(&*service, &built(&*zookeeper(""), DEBIAN)));
}

#[test]
fn numbers_that_were_prepared_by_hand_are_kept() {
    let service = zookeeper("");
    let mut cluster = packaged(&DB, DEBIAN);
    for (host, id) in [("db1", "30\n"), ("db2", "10\n")] {
        cluster.write_file(host, MYID, id);
    }
    converge(&*service, &mut cluster);
    let text = cluster.node("db3").machine.text(ZOO_CFG);
    assert!(
        text.contains("server.30=db1") && text.contains("server.10=db2") && text.contains("server.31=db3"),
        "{text}"
    );
}

#[test]
fn a_config_that_is_missing_or_broken_stops_its_host() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.node_mut("db1").machine.files.remove(CONFIG);
    cluster.write_file("db2", CONFIG, "<yandex>\n<logger>\n</yandex>\n");
    cluster.write_file("db3", CONFIG, "<html></html>");
    for host in DB {
        cluster
            .node_mut(host)
            .machine
            .files
            .remove(&format!("{CONFIG_D}/macros.xml"));
    }
    assert_snapshot!(shown(&*service, &cluster));
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
    let cluster = built(&*three, DEBIAN);
    let all = service_on(&five, "coordination = \"zookeeper\"");
    assert_snapshot!(shown(&*all, &cluster));
    let swapped = service_on(
        &five,
        "coordination = \"zookeeper\"\ncoordination_hosts = [\"db1\", \"db2\", \"db4\"]",
    );
    assert_snapshot!(shown(&*swapped, &cluster));
    let one = service_on(
        &five,
        "coordination = \"zookeeper\"\ncoordination_hosts = [\"db1\"]",
    );
    assert_snapshot!(shown(&*one, &cluster));
}

#[test]
fn a_zookeeper_with_data_that_runs_alone_is_not_forgotten() {
    let service = zookeeper("");
    let mut cluster = packaged(&DB, DEBIAN);
    cluster.restart("db1", ZK);
    cluster.register("elsewhere");
    assert_snapshot!(shown(&*service, &cluster));
    let allowed = ["clickhouse.forget-zookeeper=db1"];
    assert!(plan_allowing(&*service, &cluster, &allowed).refusals.is_empty());
}

#[test]
fn a_replica_that_lost_its_table_needs_consent_to_be_registered_anew() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    cluster.node_mut("db2").table = None;
    assert_snapshot!(shown(&*service, &cluster));
    assert_snapshot!(shown_allowing(
        &*service,
        &cluster,
        &["clickhouse.drop-replica=db2"]
    ));
    converge_allowing(&*service, &mut cluster, &["clickhouse.drop-replica=db2"]);

    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.node_mut("db2").table = None;
    assert_snapshot!(shown_allowing(
        &*service,
        &cluster,
        &["clickhouse.drop-replica=db2"]
    ));
}

#[test]
fn a_keeper_is_not_restarted_where_the_quorum_would_be_lost() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    cluster.inject(&Fault::Down(cases::host("db3")));
    let service = keeper("ddl_path = \"/clickhouse/other/ddl\"");
    assert_snapshot!(shown(&*service, &cluster));
}

#[test]
fn a_file_of_the_package_that_nests_without_a_bound_is_refused_by_name() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    let nested = ["<a>".repeat(100_000), "</a>".repeat(100_000)].concat();
    cluster.write_file("db2", CONFIG, &nested);
    let shown = shown(&*service, &cluster);
    let why = "/etc/clickhouse-server/config.xml is not XML, line 1: elements nest deeper than 64 levels";
    assert!(shown.contains(why), "{shown}");
}
