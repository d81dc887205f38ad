//! Nobody has a role yet.

use insta::assert_snapshot;
use protocol::Operation;

use super::{
    STEPS, assert_settled, built, converge, converge_from_everywhere, packaged, plan, service, shown,
};
use crate::tests::rig::Rig as _;
use cases::{host, plan_steps_after, render};
use fakes::kvrocks::Cluster;
use kit::Task;
use kit::{PACKAGES, action};

#[test]
fn fresh_redis_hosts() {
    let service = service("redis", "");
    assert_snapshot!(render(&plan(&*service, &packaged("redis", 3))));
}

#[test]
fn fresh_kvrocks_hosts() {
    let service = service("kvrocks", "");
    assert_snapshot!(render(&plan(&*service, &packaged("kvrocks", 3))));
}

#[test]
fn a_run_that_dies_anywhere_is_finished_by_the_next() {
    for kind in ["redis", "valkey", "kvrocks"] {
        converge_from_everywhere(&*service(kind, ""), &packaged(kind, 3));
    }
}

#[test]
fn a_built_cluster_is_left_alone() {
    for kind in ["redis", "valkey", "kvrocks"] {
        let service = service(kind, "");
        assert_settled(&*service, &built(&*service, kind));
    }
}

/// Hosts without any package.
fn bare() -> Cluster {
    let mut fake = packaged("redis", 3);
    for node in &mut fake.nodes {
        node.machine = fakes::Machine::default();
        node.has_data_files = false;
        (node.engine, node.sentinel) = (None, None);
    }
    fake
}

#[test]
fn without_packages_nothing_is_planned() {
    assert_snapshot!(shown(&*service("redis", ""), &bare()), @r"
    not planned on db1: /etc/redis/redis.conf does not exist: install redis first, and plan again
    not planned on db2: /etc/redis/redis.conf does not exist: install redis first, and plan again
    not planned on db3: /etc/redis/redis.conf does not exist: install redis first, and plan again
    not planned on db1: there is no unit redis-server.service on db1
    not planned on db2: there is no unit redis-server.service on db2
    not planned on db3: there is no unit redis-server.service on db3
    not planned on db1: there is no unit redis-sentinel.service on db1
    not planned on db2: there is no unit redis-sentinel.service on db2
    not planned on db3: there is no unit redis-sentinel.service on db3
    ");
}

#[test]
fn packages_and_all_the_rest_in_one_plan() {
    let service = service("redis", "");
    let mut fake = bare();
    let names = vec!["redis-server".to_owned(), "redis-sentinel".to_owned()];
    let install = |at: &str| {
        let install = Operation::InstallPackages { names: names.clone() };
        Task::new(&host(at), "install", "it is missing", action(install, PACKAGES))
    };
    let earlier = ["db1", "db2", "db3"].map(install).to_vec();
    let found = plan_steps_after(&*service, earlier, &STEPS, &fake.facts(&*service), &[]);
    assert_snapshot!(render(&found));
    for task in &found.tasks {
        fake.perform(&*service, task);
    }
    assert_settled(&*service, &fake);
}

#[test]
fn engines_that_do_not_run_and_hold_nothing_are_started() {
    let service = service("redis", "");
    let mut fake = packaged("redis", 3);
    for name in ["db1", "db2", "db3"] {
        fake.stop(name);
        fake.sentinel_off(name);
        let node = fake.node_mut(name);
        node.has_data_files = false;
        for unit in node.machine.units.values_mut() {
            unit.is_enabled = false;
        }
    }
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn the_first_host_keeps_what_it_holds() {
    let service = service("redis", "");
    let mut fake = packaged("redis", 3);
    fake.fill("db1", 5);
    let found = render(&plan(&*service, &fake));
    assert!(
        found.contains("Warning db1: it is restarted, and has data"),
        "{found}"
    );
    converge(&*service, &mut fake);
    assert_eq!(fake.node("db3").data.len(), 5);
}

#[test]
fn a_cluster_without_packages_of_ours() {
    let service = service("kvrocks", "package = \"none\"\n");
    assert_eq!(service.vars()["package"], "");
    converge_from_everywhere(&*service, &packaged("kvrocks", 3));
}

#[test]
fn a_sentinel_that_watches_other_masters_keeps_them() {
    let service = service("redis", "[services.cache.sentinel]\ndown_after_ms = 5000\n");
    let mut fake = packaged("redis", 3);
    for name in ["db1", "db2", "db3"] {
        let text = "port 26379\nsentinel monitor sessions 10.0.0.9 6379 2\n";
        fake.write(name, "/etc/redis/sentinel.conf", text);
        fake.restart_sentinel(name);
    }
    let found = plan(&*service, &fake);
    let only = found.tasks.iter().filter(|task| task.host == host("db1"));
    let only: Vec<&str> = only.map(|task| task.title.as_str()).collect();
    assert_eq!(
        only,
        [
            "change /etc/redis/redis.conf",
            "restart redis-server.service",
            "have the running sentinel watch altcraft"
        ]
    );
    converge(&*service, &mut fake);
    let watched = &fake.node("db2").sentinel.as_ref().unwrap().watched;
    assert_eq!(watched.len(), 2);
}

#[test]
fn hosts_without_an_address_in_the_inventory_are_resolved() {
    let by_name = super::inventory("redis", 3, "")
        .replace("\"10.0.0.1\"", "{}")
        .replace("\"10.0.0.2\"", "{}");
    let service = cases::service(crate::tests::KINDS, &by_name);
    assert_eq!(service.names(), [host("db1"), host("db2")]);
    let mut fake = packaged("redis", 3);
    let found = render(&plan(&*service, &fake));
    assert!(found.contains("| bind 127.0.0.1 10.0.0.2"), "{found}");
    assert!(found.contains("| replicaof 10.0.0.1 6666"), "{found}");
    converge(&*service, &mut fake);
}

#[test]
fn a_master_that_its_replicas_wait_for_is_restarted_first() {
    let service = service("redis", "");
    let mut fake = packaged("redis", 3);
    let found = plan(&*service, &fake);
    let files = found
        .tasks
        .iter()
        .filter(|task| task.title.contains("redis.conf"));
    for task in files.filter(|task| task.host.as_str() != "db1") {
        fake.perform(&*service, task);
    }
    // They were started while the first host was away, whose engine listens on the loopback only.
    fake.restart("db2");
    fake.restart("db3");
    let found = plan(&*service, &fake);
    let restarts: Vec<_> = found
        .tasks
        .iter()
        .filter(|task| task.title == "restart redis-server.service")
        .map(|task| (task.host.as_str(), task.disrupts))
        .collect();
    assert_eq!(restarts, [("db1", false)]);
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_master_that_no_replica_finds_is_restarted_though_a_sentinel_watches_it() {
    let service = service("redis", "");
    let mut fake = packaged("redis", 3);
    // The master's host was cut off before its restart, and a replica was built meanwhile, with its sentinel.
    let is_first = |task: &Task| task.host == host("db1") && task.title.starts_with("restart");
    for task in plan(&*service, &fake).tasks.iter().filter(|task| !is_first(task)) {
        if let Some(action) = &task.action {
            assert_eq!(
                fake.obey(&task.host, &action.operation),
                Some(Ok(())),
                "{}",
                task.title
            );
        }
    }
    fake.pass_until(fake.now + 31_000_000);
    let found = plan(&*service, &fake);
    assert!(found.refusals.is_empty(), "{}", render(&found));
    let restarts = found
        .tasks
        .iter()
        .filter(|task| task.title == "restart redis-server.service");
    let restarts: Vec<_> = restarts.map(|task| (task.host.as_str(), task.disrupts)).collect();
    assert_eq!(restarts, [("db1", false)]);
    converge_from_everywhere(&*service, &fake);
}
