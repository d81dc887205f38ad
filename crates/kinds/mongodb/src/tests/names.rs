//! Sets whose members are not known by the inventory's names.

use super::{Cluster, by_hand_as, converge_from_everywhere, inventory, plan, service, shown};
use crate::tests::rig::Rig as _;
use cases::host;
use fakes::{FakeCluster as _, Fault};

/// `10.0.0.1` for db1.
fn address(name: &str) -> String {
    name.replace("db", "10.0.0.")
}

fn full_name(name: &str) -> String {
    format!("{name}.example.com")
}

/// `[fd00::1]` for db1, as `host:port` has an IPv6 address.
fn address_6(name: &str) -> String {
    name.replace("db", "[fd00::") + "]"
}

fn alike() -> [Cluster; 3] {
    [address as fn(&str) -> String, full_name, address_6].map(by_hand_as)
}

fn tells(service: &dyn kit::Service, cluster: &Cluster, what: &str) -> bool {
    let found = shown(service, cluster);
    found.contains(what)
}

#[test]
fn members_that_are_known_by_address_or_full_name_are_the_inventorys() {
    for cluster in alike() {
        super::assert_settled(&*service(""), &cluster);
    }
}

#[test]
fn a_member_that_is_off_is_started_and_neither_removed_nor_added_again() {
    for mut cluster in alike() {
        cluster.inject(&Fault::Crash(host("db3")));
        let found = shown(&*service(""), &cluster);
        assert!(found.contains("db3: start mongod.service"), "{found}");
        assert!(!found.contains("set\n") && !found.contains("vote"), "{found}");
        converge_from_everywhere(&*service(""), &cluster, &[]);
        cluster.node_mut("db3").is_reachable = false;
        let found = plan(&*service(""), &cluster);
        assert!(found.tasks.is_empty() && found.refusals.is_empty(), "{found:?}");
    }
}

#[test]
fn they_are_restarted_in_turns_and_change_their_options_under_their_own_names() {
    for cluster in alike() {
        let rolled = service("config.net.maxIncomingConnections = 500\nmembers.db3.priority = 2\n");
        assert!(tells(&*rolled, &cluster, "step down the primary db1"));
        converge_from_everywhere(&*rolled, &cluster, &[]);
    }
}

#[test]
fn members_come_and_go_beside_them() {
    for cluster in alike() {
        let larger = cases::service(super::KINDS, &inventory(&["db1", "db2", "db3", "db4", "db5"], ""));
        converge_from_everywhere(&*larger, &cluster, &[]);
        // The primary is among those that leave.
        let other = crate::tests::service_with_warnings(&inventory(&["db2", "db3", "db4"], ""));
        assert!(tells(&*other, &cluster, "step down the primary db1"));
        converge_from_everywhere(&*other, &cluster, &[]);
    }
}

#[test]
fn a_host_whose_name_in_the_set_is_not_known_is_not_added_before_its_server_tells() {
    let mut cluster = by_hand_as(|name| name.replace("db", "mongo-"));
    super::assert_settled(&*service(""), &cluster);
    cluster.stop("db3");
    let found = shown(&*service(""), &cluster);
    assert!(found.contains("db3: start mongod.service"), "{found}");
    assert!(
        !found.contains("add db3") && !found.contains("remove mongo-3"),
        "{found}"
    );
    converge_from_everywhere(&*service(""), &cluster, &[]);
    // Nor is what it is known as removed while it cannot be asked.
    cluster.node_mut("db3").is_reachable = false;
    let found = shown(&*service(""), &cluster);
    assert!(
        !found.contains("add db3") && found.contains("refused: mongo-3:27017 is not removed"),
        "{found}"
    );
}

#[test]
fn another_port_of_a_member_that_is_known_by_address() {
    for cluster in alike() {
        let found = shown(&*service("port = 27018\n"), &cluster);
        assert!(found.contains("and the inventory says port 27018"), "{found}");
        assert!(!found.contains("remove "), "{found}");
    }
}
