//! One thing differs: only that is changed, in the least disruptive way.

use insta::assert_snapshot;

use super::*;
use crate::tests::rig::Rig as _;
use fakes::clickhouse::{CONFIG_D, ENVIRONMENT, MYID, SERVER, USERS, ZK, ZOO_CFG};

fn assert_drift(service: &dyn Service, cluster: &Cluster) -> String {
    let shown = shown(service, cluster);
    converge_from_everywhere(service, cluster);
    shown
}

#[test]
fn clusters_and_macros_are_reloaded() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.write_file(
        "db2",
        &format!("{CONFIG_D}/macros.xml"),
        "<yandex><macros><shard>02</shard></macros></yandex>",
    );
    cluster.write_file("db3", &format!("{CONFIG_D}/clusters.xml"), "<yandex></yandex>");
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn a_server_that_has_not_read_its_files_is_told_to() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.unread("db1", &format!("{CONFIG_D}/clusters.xml"));
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn another_listen_host_restarts_one_server_after_another() {
    let service = zookeeper("");
    let cluster = built(&*service, DEBIAN);
    let service = zookeeper("listen = [\"127.0.0.1\", \"address\"]");
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn a_file_newer_than_its_server_restarts_it() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    let path = format!("{CONFIG_D}/keeper.xml");
    let text = cluster.node("db2").machine.text(&path).to_owned();
    // Nobody noted what it was started with.
    cluster.restart("db2", SERVER);
    cluster.write_file("db2", &path, &text);
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn a_file_that_is_written_again_as_it_was_restarts_nothing() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    let path = format!("{CONFIG_D}/keeper.xml");
    let text = cluster.node("db2").machine.text(&path).to_owned();
    cluster.write_file("db2", &path, &text);
    let left = plan(&*service, &cluster);
    assert!(is_settled(&left), "{}", render(&left));
}

#[test]
fn a_file_from_the_future_restarts_its_server_once_and_says_why() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.restart("db2", SERVER);
    let path = format!("{CONFIG_D}/keeper.xml");
    let file = cluster.node_mut("db2").machine.files.get_mut(&path).unwrap();
    file.modified_us += 3_600_000_000;
    file.changed_us += 3_600_000_000;
    file.ahead_us = 3_000_000_000;
    let drift = assert_drift(&*service, &cluster);
    let why = format!("because {path} has a time that lies 50 min ahead of the host's clock");
    assert!(
        drift.starts_with("db2: restart clickhouse-server.service") && drift.contains(&why),
        "{drift}"
    );
}

#[test]
fn a_changed_file_with_an_old_time_restarts_its_server_once() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.restart("db2", SERVER);
    let path = format!("{CONFIG_D}/keeper.xml");
    let file = cluster.node_mut("db2").machine.files.get_mut(&path).unwrap();
    file.changed_us += 3_600_000_000;
    let drift = assert_drift(&*service, &cluster);
    let why = format!("because {path} was changed after its process started, though its time is older");
    assert!(
        drift.starts_with("db2: restart clickhouse-server.service") && drift.contains(&why),
        "{drift}"
    );
}

#[test]
fn a_password_that_others_can_read_is_closed() {
    let service = zookeeper("password = { file = \"pw\" }");
    let mut cluster = built(&*service, DEBIAN);
    cluster.node_mut("db1").machine.files.get_mut(USERS).unwrap().mode = 0o644;
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn a_user_is_added_without_a_restart() {
    let cluster = built(&*zookeeper(""), DEBIAN);
    let service = zookeeper("password = { file = \"pw\" }");
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn a_stopped_server_is_started() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.stop("db3", SERVER);
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn a_stopped_zookeeper_is_started_and_a_disabled_one_enabled() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.stop("db3", ZK);
    cluster.node_mut("db1").machine.unit(ZK).is_enabled = false;
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn after_a_power_cut_the_quorum_comes_before_the_servers() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    for host in DB {
        cluster.stop(host, SERVER);
        cluster.stop(host, ZK);
    }
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn another_heap_restarts_zookeeper_leader_last() {
    let cluster = built(&*zookeeper(""), DEBIAN);
    let service = zookeeper("zookeeper = { heap = \"512m\", options = { maxClientCnxns = 200 } }");
    assert!(!cluster.node("db1").machine.text(ENVIRONMENT).contains("512m"));
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn a_wrong_number_on_disk_is_put_right() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.write_file("db2", MYID, "7\n");
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn an_operators_settings_in_zoo_cfg_stay() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    let text = cluster
        .node("db1")
        .machine
        .text(ZOO_CFG)
        .replace("syncLimit=5", "syncLimit=20");
    cluster.write_file("db1", ZOO_CFG, &(text + "autopurge.purgeInterval=1\n"));
    cluster.restart("db1", ZK);
    let left = plan(&*service, &cluster);
    assert!(is_settled(&left), "{}", render(&left));
}

#[test]
fn keeper_restarts_with_its_server_leader_last() {
    let cluster = built(&*keeper(""), MODERN);
    let service = keeper("ddl_path = \"/clickhouse/other/ddl\"");
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn the_table_of_a_round_trip_that_died_is_dropped() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.node_mut("db2").has_check_table = true;
    assert_snapshot!(assert_drift(&*service, &cluster));
}

#[test]
fn the_order_of_hosts_means_nothing_to_numbers() {
    let cluster = built(&*zookeeper(""), DEBIAN);
    let service = service_on(&["db3", "db1", "db2"], "coordination = \"zookeeper\"");
    let found = plan(&*service, &cluster);
    let texts: Vec<String> = found
        .tasks
        .iter()
        .filter_map(|task| match &task.action.as_ref()?.operation {
            Operation::WriteFile { path, .. } => Some(path.clone()),
            _ => None,
        })
        .collect();
    assert!(
        !texts
            .iter()
            .any(|path| path.contains("zoo") || path.contains("myid")),
        "{texts:?}"
    );
}

/// Seen on 18.16: distributed DDL right after the leader's restart failed with "Session expired".
#[test]
fn after_a_restart_of_zookeeper_the_servers_have_their_sessions_again() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.write_file("db1", MYID, "7\n");
    let found = plan(&*service, &cluster);
    let gates = found
        .tasks
        .iter()
        .find(|task| task.title.contains("restart zookeeper"))
        .map(|task| &task.gates);
    let gate = &gates.expect("a restart")[0];
    cluster.node_mut("db2").has_lost_session = true;
    let verdict = service.judge(&gate.check, gate.host.as_ref(), &cluster.facts(&*service));
    assert!(
        matches!(&verdict, Verdict::Wait(why) if why.contains("db2: it does not reach the quorum")),
        "{verdict:?}"
    );
    let status = service.status(&cluster.facts(&*service));
    assert_eq!(status.health, ::plan::Health::Degraded);
    // A server that reaches none beforehand is what a later step mends: nothing waits for it.
    let found = plan(&*service, &cluster);
    let gates = found
        .tasks
        .iter()
        .find(|task| task.title.contains("restart zookeeper"))
        .map(|task| &task.gates);
    assert_eq!(gates.expect("a restart")[0].check, "quorum");
}

#[test]
fn a_file_of_ours_that_nests_without_a_bound_is_written_anew() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    let nested = ["<a>".repeat(100_000), "</a>".repeat(100_000)].concat();
    cluster.write_file("db2", &format!("{CONFIG_D}/macros.xml"), &nested);
    let shown = assert_drift(&*service, &cluster);
    assert!(
        shown.contains("db2 [macros]: change /etc/clickhouse-server/config.d/macros.xml"),
        "{shown}"
    );
}

/// Replicas that reach the quorum and not each other were taken for healthy: a table in memory proves no replication.
#[test]
fn a_row_goes_to_every_replica_before_the_cluster_counts_as_proven() {
    for (service, version, sync) in [(zookeeper(""), DEBIAN, ""), (keeper(""), MODERN, " SYNC")] {
        let mut cluster = built(&*service, version);
        cluster.stop("db2", SERVER);
        let found = plan(&*service, &cluster);
        let mut operations = found
            .tasks
            .iter()
            .filter_map(|task| Some(&task.action.as_ref()?.operation));
        let sent = operations.find_map(|operation| match operation {
            Operation::Http { requests, .. } => Some(requests),
            _ => None,
        });
        let [create, insert, drop] = sent.expect("a round trip").as_slice() else {
            panic!("{sent:?}");
        };
        assert!(
            create.body.as_str().contains("ENGINE = ReplicatedMergeTree("),
            "{create:?}"
        );
        assert_eq!(insert.path, "/?insert_quorum=3&insert_quorum_timeout=60000");
        let table = "default.clusterctl_check ON CLUSTER altcraft";
        assert_eq!(drop.body.as_str(), format!("DROP TABLE IF EXISTS {table}{sync}"));
    }
}

#[test]
fn a_member_without_a_table_of_the_others_is_degraded() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    cluster.node_mut("db2").table = None;
    let status = service.status(&cluster.facts(&*service));
    assert_eq!(status.health, ::plan::Health::Degraded);
    let details: Vec<&str> = status
        .members
        .iter()
        .map(|member| member.detail.as_str())
        .collect();
    assert!(
        details.contains(&"it lacks the replicated table default.events"),
        "{details:?}"
    );
}

/// The application restarted for another first host.
#[test]
fn clients_are_told_the_hosts_in_an_order_of_their_own() {
    let places = |hosts: &[&str]| {
        let offer = service_on(hosts, "").offer().expect("an offer");
        offer
            .endpoints
            .iter()
            .map(|at| at.host.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(places(&["db3", "db1", "db2"]), places(&DB));
}
