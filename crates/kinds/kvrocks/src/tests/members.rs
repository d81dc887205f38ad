//! Members come, and come back.

use insta::assert_snapshot;

use super::{built, converge_from_everywhere, inventory, packaged, plan_allowing, service, shown};
use crate::tests::rig::Rig as _;
use cases::{self, render};
use fakes::kvrocks::Cluster;
use kit::Service;

/// A cluster of three, after a failover, whose inventory names a fourth host.
fn four(kind: &str) -> (Box<dyn Service>, Cluster) {
    let mut fake = built(&*service(kind, ""), kind);
    fake.fail_over();
    let fourth = packaged(kind, 4).nodes.remove(3);
    fake.nodes.push(fourth);
    (cases::service(crate::tests::KINDS, &inventory(kind, 4, "")), fake)
}

#[test]
fn a_new_member_follows_the_master_that_sentinel_names() {
    let (service, fake) = four("redis");
    assert_snapshot!(shown(&*service, &fake));
    converge_from_everywhere(&*service, &fake);
    let (service, fake) = four("kvrocks");
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_new_member_with_data_is_refused() {
    let (service, mut fake) = four("redis");
    fake.fill("db4", 7);
    assert_snapshot!(shown(&*service, &fake));
    let allowed = plan_allowing(&*service, &fake, &["kvrocks.resync=db4"]);
    assert!(allowed.refusals.is_empty(), "{}", render(&allowed));
}

#[test]
fn a_member_that_was_rebuilt_joins_again() {
    for kind in ["redis", "kvrocks"] {
        let service = service(kind, "");
        let mut fake = built(&*service, kind);
        fake.fail_over();
        // db1 comes back as it was installed, and the others remember it.
        fake.install("db1");
        fake.fill("db1", 0);
        let found = shown(&*service, &fake);
        let role = if kind == "redis" { "replicaof" } else { "slaveof" };
        assert!(found.contains(&format!("| {role} 10.0.0.2 6666")), "{found}");
        converge_from_everywhere(&*service, &fake);
    }
}

#[test]
fn a_lone_master_with_data_beside_the_master_is_refused() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    fake.edit("db3", |text| text.replace("replicaof 10.0.0.1 6666\n", ""));
    fake.stop("db3");
    for name in ["db1", "db2", "db3"] {
        let sentinel = fake.node_mut(name).sentinel.as_mut().unwrap();
        sentinel.watched[0].replicas.remove("10.0.0.3");
    }
    fake.restart("db3");
    fake.fill("db3", 12);
    assert_snapshot!(shown(&*service, &fake));
}

#[test]
fn a_kvrocks_with_namespaces_is_not_known_to_be_empty() {
    let (service, mut fake) = four("kvrocks");
    fake.edit("db4", |text| format!("{text}namespace.tenant ⟪kept:200+32⟫\n"));
    let found = shown(&*service, &fake);
    assert!(
        found.contains("it has namespaces, whose keys cannot be counted"),
        "{found}"
    );
}

#[test]
fn a_member_that_is_out_of_reach_does_not_stop_the_others() {
    let mut fake = built(&*service("redis", ""), "redis");
    fake.node_mut("db3").is_down = true;
    let service = service("redis", "directives = { maxmemory = \"1gb\" }\n");
    assert_snapshot!(shown(&*service, &fake));
}

#[test]
fn a_master_that_lost_its_data_is_not_helped_to_serve() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    fake.install("db1");
    fake.fill("db1", 0);
    let found = shown(&*service, &fake);
    assert!(
        found.contains("the master is db1, but it is empty, and its replica db2 is not"),
        "{found}"
    );
    // The same with a disk that is empty and an engine that does not run.
    fake.stop("db1");
    fake.node_mut("db1").has_data_files = false;
    let found = shown(&*service, &fake);
    assert!(
        found.contains("the master is db1, but it has no data on disk, and db2 has"),
        "{found}"
    );
}

#[test]
fn a_member_that_was_rebuilt_and_does_not_run_never_starts_as_a_master() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    fake.install("db3");
    fake.fill("db3", 0);
    fake.sentinel_off("db3");
    fake.stop("db3");
    fake.node_mut("db3").has_data_files = false;
    let found = shown(&*service, &fake);
    assert!(found.contains("| replicaof 10.0.0.1 6666"), "{found}");
}
