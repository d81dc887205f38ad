//! From nothing to a cluster, with each way of coordination.

use insta::assert_snapshot;

use super::*;
use crate::tests::rig::Rig as _;
use fakes::clickhouse::{CONFIG_D, SERVER, ZK, ZOO_CFG};

#[test]
fn bare_hosts_get_packages_zookeeper_and_then_servers() {
    let service = zookeeper("zookeeper = { heap = \"512m\" }");
    assert_snapshot!(shown(&*service, &Cluster::new(&DB, DEBIAN)));
    converge_from_everywhere(&*service, &Cluster::new(&DB, DEBIAN));
}

#[test]
fn installed_packages_become_a_cluster_from_wherever_a_run_died() {
    let service = zookeeper("password = { file = \"pw\" }\nrestrict_default_user = true");
    let cluster = packaged(&DB, DEBIAN);
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster);
}

#[test]
fn packages_that_start_their_services_are_taken_over() {
    let service = zookeeper("");
    let mut cluster = packaged(&DB, DEBIAN);
    for host in DB {
        cluster.restart(host, SERVER);
        cluster.restart(host, ZK);
        cluster.node_mut(host).machine.unit(SERVER).is_enabled = true;
        cluster.node_mut(host).machine.unit(ZK).is_enabled = true;
    }
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster);
}

#[test]
fn a_quorum_of_keeper_comes_up_together() {
    let service = keeper("password = { file = \"pw\" }");
    let mut cluster = packaged(&DB, MODERN);
    for host in DB {
        cluster.restart(host, SERVER);
        cluster.node_mut(host).machine.unit(SERVER).is_enabled = true;
    }
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster);
    converge_from_everywhere(&*service, &Cluster::new(&DB, MODERN));
}

#[test]
fn a_single_host_is_a_cluster_of_one() {
    for (more, version) in [("coordination = \"zookeeper\"", DEBIAN), ("", MODERN)] {
        let service = service_on(&["db1"], more);
        converge_from_everywhere(&*service, &Cluster::new(&["db1"], version));
    }
}

#[test]
fn a_cluster_made_by_hand_from_the_runbook_is_adopted() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    for host in DB {
        for unit in [SERVER, ZK] {
            // Nobody noted what it was started with.
            let unit = cluster.node_mut(host).machine.unit(unit);
            let started_us = unit.started_us.unwrap();
            unit.start(started_us);
        }
        for name in ["clusters", "macros", "keeper", "settings"] {
            let path = format!("{CONFIG_D}/{name}.xml");
            let node = cluster.node_mut(host);
            let file = node.machine.files.get_mut(&path).unwrap();
            // As the runbook writes it: no indentation, no blank lines.
            let lines: Vec<&str> = file
                .text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .collect();
            file.text = lines.join("\n") + "\n";
        }
        let node = cluster.node_mut(host);
        let zoo = node.machine.files.get_mut(ZOO_CFG).unwrap();
        zoo.text = zoo.text.replace(
            "4lw.commands.whitelist=conf,mntr,ruok,srvr",
            "4lw.commands.whitelist = *",
        );
    }
    let left = plan(&*service, &cluster);
    assert!(is_settled(&left), "{}", render(&left));
}
