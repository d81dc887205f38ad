//! A cluster that was made by hand.

use insta::assert_snapshot;

use super::{assert_settled, by_hand, converge_from_everywhere, service, shown};
use crate::tests::rig::Rig as _;

#[test]
fn redis_as_in_the_runbook_needs_nothing() {
    assert_settled(&*service("redis", ""), &by_hand("redis"));
    assert_settled(&*service("valkey", ""), &by_hand("valkey"));
}

#[test]
fn kvrocks_needs_what_the_runbook_forgets() {
    let service = service("kvrocks", "");
    assert_snapshot!(shown(&*service, &by_hand("kvrocks")));
    converge_from_everywhere(&*service, &by_hand("kvrocks"));
}

#[test]
fn a_sentinel_that_is_told_a_name_is_left_alone() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    // Seeded and never started: the name stands for the address.
    for name in ["db1", "db2", "db3"] {
        let text = "port 26379\nsentinel resolve-hostnames yes\nsentinel monitor altcraft db1 6666 2\n";
        fake.write(name, "/etc/redis/sentinel.conf", text);
        fake.sentinel_off(name);
    }
    assert_snapshot!(shown(&*service, &fake), @r"
    db1: start redis-sentinel.service, because it does not run
        then the sentinel on db1 watches altcraft
    db2: start redis-sentinel.service, because it does not run
        then the sentinel on db2 watches altcraft
    db3: start redis-sentinel.service, because it does not run
        then the sentinel on db3 watches altcraft
    db3 [agree]: wait until the sentinels agree, because sentinels find each other and the replicas through the master
        then the sentinels see each other and all replicas, and have a quorum
    ");
}

#[test]
fn replication_without_sentinel_gets_sentinels_for_its_master() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    for name in ["db1", "db2", "db3"] {
        fake.write(name, "/etc/redis/sentinel.conf", fakes::kvrocks::SENTINEL_CONF);
        fake.restart_sentinel(name);
    }
    // The second host is the master.
    for (name, role) in [
        ("db1", "replicaof 10.0.0.2 6666\n"),
        ("db2", ""),
        ("db3", "replicaof 10.0.0.2 6666\n"),
    ] {
        fake.edit(name, |text| {
            let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("slaveof")).collect();
            lines.push(role);
            lines.join("\n")
        });
        fake.restart(name);
    }
    let found = shown(&*service, &fake);
    assert!(
        found.contains("| sentinel monitor altcraft 10.0.0.2 6666 2"),
        "{found}"
    );
    assert!(!found.contains("redis.conf"), "{found}");
    converge_from_everywhere(&*service, &fake);
}
