//! Hosts come and go: the service's list is the whole request.

use insta::assert_snapshot;

use super::{assert_settled, converge, converge_from_everywhere, packaged, plan, plan_allowing, shown};
use crate::tests::rig::Rig as _;
use cases::{self, render};
use fakes::FakeCluster;
use fakes::kvrocks::Cluster;
use kit::Service;

/// A service on some of four hosts.
fn on(kind: &str, members: &[&str]) -> Box<dyn Service> {
    let hosts = [1, 2, 3, 4]
        .map(|at| format!("db{at} = \"10.0.0.{at}\"\n"))
        .concat();
    crate::tests::service_with_warnings(&format!(
        "[hosts]\n{hosts}\n[services.cache]\nkind = \"kvrocks\"\nengine = \"{kind}\"\nhosts = {members:?}\n\
         password = {{ file = \"pw\" }}\n"
    ))
}

/// A cluster on the first so many of four hosts, of which the others have the packages only.
fn cluster(kind: &str, members: usize) -> Cluster {
    let names = ["db1", "db2", "db3", "db4"];
    let mut fake = packaged(kind, 4);
    converge(&*on(kind, &names[..members]), &mut fake);
    fake.fill("db1", 100);
    fake
}

/// No data were lost, no other host is known, and the removed member is off for good.
fn assert_moved(fake: &Cluster, members: &[&str], left: &[&str]) {
    assert_eq!(fake.violations(), [""; 0]);
    for name in members {
        let node = fake.node(name);
        assert_eq!(node.data.len(), 100, "{name}");
        let watched = &node.sentinel.as_ref().unwrap().watched[0];
        assert_eq!(watched.voters(), members.len(), "{name}");
        assert_eq!(watched.replicas.len(), members.len() - 1, "{name}");
        assert_eq!(watched.quorum, members.len() / 2 + 1, "{name}");
    }
    for name in left {
        let node = fake.node(name);
        assert!(node.engine.is_none() && node.sentinel.is_none(), "{name}");
        assert!(node.machine.units.values().all(|unit| !unit.is_enabled), "{name}");
        assert_eq!(node.data.len(), 100, "its data stay: {name}");
    }
}

fn moves(kind: &str, fake: &Cluster, members: &[&str], left: &[&str]) {
    let service = on(kind, members);
    converge_from_everywhere(&*service, fake);
    let mut fake = fake.clone();
    converge(&*service, &mut fake);
    assert_settled(&*service, &fake);
    assert_moved(&fake, members, left);
}

#[test]
fn a_fourth_member_joins_and_the_quorum_follows() {
    for kind in ["redis", "kvrocks"] {
        let fake = cluster(kind, 3);
        if kind == "redis" {
            assert_snapshot!(shown(&*on(kind, &["db1", "db2", "db3", "db4"]), &fake));
        }
        moves(kind, &fake, &["db1", "db2", "db3", "db4"], &[]);
    }
}

#[test]
fn the_master_leaves() {
    for kind in ["redis", "kvrocks"] {
        let fake = cluster(kind, 4);
        if kind == "redis" {
            assert_snapshot!(shown(&*on(kind, &["db2", "db3", "db4"]), &fake));
        }
        moves(kind, &fake, &["db2", "db3", "db4"], &["db1"]);
    }
}

#[test]
fn a_replica_leaves() {
    let fake = cluster("redis", 4);
    moves("redis", &fake, &["db1", "db2", "db4"], &["db3"]);
    moves("redis", &cluster("redis", 3), &["db1", "db2"], &["db3"]);
}

#[test]
fn one_host_takes_the_place_of_another() {
    for kind in ["redis", "kvrocks"] {
        let fake = cluster(kind, 3);
        if kind == "redis" {
            assert_snapshot!(shown(&*on(kind, &["db2", "db3", "db4"]), &fake));
        }
        moves(kind, &fake, &["db2", "db3", "db4"], &["db1"]);
    }
}

#[test]
fn two_leave_one_after_the_other() {
    let fake = cluster("redis", 4);
    moves("redis", &fake, &["db3", "db4"], &["db1", "db2"]);
}

#[test]
fn a_host_that_is_dead_is_forgotten_with_consent() {
    let mut fake = cluster("redis", 4);
    fake.sentinel_off("db2");
    fake.stop("db2");
    fake.node_mut("db2").is_down = true;
    fake.settle();
    let service = on("redis", &["db1", "db3", "db4"]);
    assert_snapshot!(shown(&*service, &fake));
    let allowed = plan_allowing(&*service, &fake, &["kvrocks.leave=db2"]);
    assert!(allowed.refusals.is_empty(), "{}", render(&allowed));
    for task in &allowed.tasks {
        fake.perform(&*service, task);
    }
    assert_settled(&*service, &fake);
    assert_moved(&fake, &["db1", "db3", "db4"], &[]);
}

#[test]
fn one_of_two_leaves_with_consent_only() {
    let mut fake = cluster("redis", 2);
    let service = crate::tests::service_with_warnings(
        "[hosts]\ndb1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\n[services.cache]\nkind = \"kvrocks\"\nengine = \"redis\"\n\
         hosts = [\"db1\"]\npassword = { file = \"pw\" }\n",
    );
    let found = shown(&*service, &fake);
    assert!(
        found.contains(
            "without it 1 of 2 sentinels are left, and 2 must agree on a master until it is forgotten"
        ),
        "{found}"
    );
    let allowed = plan_allowing(&*service, &fake, &["kvrocks.leave=db2"]);
    for task in &allowed.tasks {
        fake.perform(&*service, task);
    }
    assert_settled(&*service, &fake);
}

#[test]
fn two_of_four_that_are_lost_leave_with_consent() {
    let mut fake = cluster("redis", 4);
    for name in ["db3", "db4"] {
        fake.node_mut(name).is_down = true;
    }
    fake.pass_until(fake.now + 60_000_000);
    let service = on("redis", &["db1", "db2"]);
    let allowed = plan_allowing(&*service, &fake, &["kvrocks.leave=db3", "kvrocks.leave=db4"]);
    for task in &allowed.tasks {
        fake.perform(&*service, task);
    }
    for name in ["db1", "db2"] {
        let watched = &fake.node(name).sentinel.as_ref().unwrap().watched[0];
        assert_eq!(watched.voters(), 2, "{name}");
    }
}

#[test]
fn all_hosts_are_never_replaced_at_once() {
    let fake = cluster("redis", 3);
    let service = crate::tests::service_with_warnings(
        "[hosts]\ndb1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\ndb3 = \"10.0.0.3\"\ndb4 = \"10.0.0.4\"\n[services.cache]\n\
         kind = \"kvrocks\"\nengine = \"redis\"\nhosts = [\"db4\"]\npassword = { file = \"pw\" }\n",
    );
    let found = shown(&*service, &fake);
    assert!(
        found.contains(
            "no member has a role yet, and the sentinels on db1, db2, db3, which are no hosts of this service"
        ),
        "{found}"
    );
    assert!(!found.contains("change /etc"), "{found}");
}

#[test]
fn a_host_of_the_inventory_that_was_never_a_member_is_left_alone() {
    let fake = cluster("redis", 3);
    assert!(fake.node("db4").engine.is_some());
    assert_settled(&*on("redis", &["db1", "db2", "db3"]), &fake);
}

/// A cluster of three that a fourth joins, as far as its plan comes before a task.
fn joining(kind: &str, service: &dyn Service, until: &str) -> Cluster {
    let mut fake = cluster(kind, 3);
    let found = plan(service, &fake);
    for task in found.tasks.iter().take_while(|task| !task.title.contains(until)) {
        fake.perform(service, task);
    }
    fake
}

#[test]
fn an_orphaned_replica_is_reconfigured() {
    let all = ["db1", "db2", "db3", "db4"];
    for kind in ["redis", "kvrocks"] {
        let service = on(kind, &all);
        let mut fake = joining(kind, &*service, "start");
        // Its file names the master that was.
        fake.fail_over();
        let mut off = fake.clone();
        off.stop("db4");
        moves(kind, &off, &all, &[]);
        fake.restart("db4");
        if kind == "redis" {
            assert_snapshot!(shown(&*service, &fake));
        }
        moves(kind, &fake, &all, &[]);
    }
}

#[test]
fn the_quorum_grows_when_the_new_member_votes() {
    let service = on("redis", &["db1", "db2", "db3", "db4"]);
    let found = plan(&*service, &cluster("redis", 3));
    let place = |words: &str| found.tasks.iter().position(|task| task.title.contains(words));
    assert_eq!(
        place("set options of the running sentinel"),
        None,
        "{}",
        render(&found)
    );
    assert!(
        place("restart redis-sentinel.service") < place("set the quorum"),
        "{}",
        render(&found)
    );
}

#[test]
fn an_isolated_sentinel_watches_the_master_again() {
    let members = ["db2", "db3", "db4"];
    for kind in ["redis", "kvrocks"] {
        let service = on(kind, &members);
        let mut fake = joining(kind, &*service, "restart redis-sentinel.service");
        // It starts when the only engine that it could hear the others on is gone.
        fake.stop("db1");
        fake.fail_over();
        fake.restart_sentinel("db4");
        if kind == "redis" {
            assert_snapshot!(shown(&*service, &fake));
        }
        moves(kind, &fake, &members, &["db1"]);
    }
}

#[test]
fn a_new_member_counts_in_the_quorum_once_it_answers() {
    let service = on("redis", &["db1", "db2", "db3", "db4"]);
    let mut fake = joining("redis", &*service, "restart redis-sentinel.service");
    fake.tempo.start = 3_000_000;
    fake.restart_sentinel("db4");
    assert_eq!(FakeCluster::needed(&fake), 2);
    fake.pass_until(fake.now + 3_000_000);
    assert_eq!(
        (FakeCluster::needed(&fake), FakeCluster::serving(&fake).len()),
        (3, 4)
    );
}
