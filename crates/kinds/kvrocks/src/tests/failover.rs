//! Roles that Sentinel handed out stay.

use ::plan::Verdict;
use insta::assert_snapshot;

use super::{assert_settled, built, converge, converge_from_everywhere, plan, service, shown};
use crate::tests::rig::Rig as _;
use cases::render;

#[test]
fn after_a_failover_nothing_is_to_be_done() {
    for kind in ["redis", "valkey", "kvrocks"] {
        let service = service(kind, "");
        let mut fake = built(&*service, kind);
        fake.fail_over();
        assert!(fake.node("db1").engine.as_ref().unwrap().follows.is_some());
        assert_settled(&*service, &fake);
    }
}

#[test]
fn the_files_are_as_the_engines_rewrote_them() {
    let service = service("kvrocks", "");
    let mut fake = built(&*service, "kvrocks");
    fake.fail_over();
    let text = |name: &str| {
        fake.node(name)
            .machine
            .text("/etc/kvrocks/kvrocks.conf")
            .to_owned()
    };
    assert!(text("db2").contains("slaveof \"no one\""));
    assert!(text("db1").contains("slaveof \"10.0.0.2 6666\""));
}

#[test]
fn settings_change_after_a_failover_and_roles_do_not() {
    for kind in ["redis", "kvrocks"] {
        let mut fake = built(&*service(kind, ""), kind);
        fake.fail_over();
        let more = if kind == "redis" {
            "databases = 32"
        } else {
            "max-io-mb = 500"
        };
        let service = service(kind, &format!("directives = {{ {more} }}\n"));
        converge_from_everywhere(&*service, &fake);
    }
}

#[test]
fn the_master_restarts_last() {
    let mut fake = built(&*service("redis", ""), "redis");
    fake.fail_over();
    let service = service("redis", "directives = { databases = 32 }\n");
    let found = plan(&*service, &fake);
    let order: Vec<String> = found
        .tasks
        .iter()
        .filter(|task| task.title.contains("restart") || task.part == "failover")
        .map(|task| format!("{} {}", task.host, task.title))
        .collect();
    assert_eq!(
        order,
        [
            "db1 restart redis-server.service",
            "db3 restart redis-server.service",
            "db1 fail over from db2 to a replica",
            "db2 restart redis-server.service"
        ]
    );
    assert!(
        found
            .tasks
            .iter()
            .filter(|task| task.title == "restart redis-server.service")
            .all(|task| task.disrupts)
    );
}

#[test]
fn a_master_without_a_candidate_is_not_restarted() {
    let mut fake = built(&*service("redis", ""), "redis");
    fake.server_mut("db2").masterauth.clear();
    fake.settle();
    fake.server_mut("db3").masterauth.clear();
    fake.settle();
    let service = service("redis", "directives = { databases = 32 }\n");
    // The passwords are set first, so only the plan itself is looked at.
    let found = render(&plan(&*service, &fake));
    assert!(found.contains("refused for now: db1 is not restarted"), "{found}");
    assert!(found.contains("no replica can take over"), "{found}");
}

#[test]
fn without_a_quorum_no_member_is_restarted() {
    let mut fake = built(&*service("redis", ""), "redis");
    fake.node_mut("db2").is_down = true;
    fake.sentinel_off("db2");
    fake.sentinel_off("db3");
    let service = service("redis", "directives = { databases = 32 }\n");
    assert_snapshot!(shown(&*service, &fake));
}

#[test]
fn without_sentinels_the_master_restarts_last_with_a_warning() {
    let mut fake = built(&*service("redis", ""), "redis");
    for name in ["db1", "db2", "db3"] {
        fake.sentinel_off(name);
        fake.write(name, "/etc/redis/sentinel.conf", fakes::kvrocks::SENTINEL_CONF);
    }
    let service = service("redis", "directives = { databases = 32 }\n");
    let found = shown(&*service, &fake);
    assert!(
        found.contains("Warning db1: the master is restarted without a failover"),
        "{found}"
    );
    converge(&*service, &mut fake);
}

#[test]
fn a_stopped_cluster_is_started_with_the_roles_that_it_had() {
    for kind in ["redis", "kvrocks"] {
        let service = service(kind, "");
        let mut fake = built(&*service, kind);
        fake.fail_over();
        for name in ["db1", "db2", "db3"] {
            fake.sentinel_off(name);
            fake.stop(name);
        }
        if kind == "redis" {
            assert_snapshot!(shown(&*service, &fake));
        }
        converge_from_everywhere(&*service, &fake);
        converge(&*service, &mut fake);
        assert!(fake.node("db2").engine.as_ref().unwrap().follows.is_none());
    }
}

#[test]
fn engines_alone_were_stopped() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    for name in ["db1", "db2", "db3"] {
        fake.stop(name);
    }
    let found = plan(&*service, &fake);
    assert_eq!(found.tasks.len(), 3, "{}", render(&found));
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn an_old_master_that_was_down_during_the_failover_comes_back_as_a_replica() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    fake.stop("db1");
    fake.fail_over();
    assert_snapshot!(shown(&*service, &fake));
}

#[test]
fn lines_that_redis_splits_are_the_same() {
    let service = service("redis", "directives = { save = \"3600 1 300 100\" }\n");
    let mut fake = built(&*service, "redis");
    fake.edit("db1", |text| {
        text.replace("save 3600 1 300 100\n", "save 3600 1\nsave 300 100\n")
    });
    assert_settled(&*service, &fake);
}

/// Valkey writes `masterauth` as `primaryauth`, and both write the newer names of other directives (ran: Valkey 8.1.1,
/// Redis 8.0.2): that is no change, and no value of a password is shown for it.
#[test]
fn names_that_config_rewrite_changes_are_no_change() {
    let old =
        "directives = { lua-time-limit = 7000, slowlog-max-len = 256, hash-max-ziplist-entries = 64 }\n";
    for kind in ["redis", "valkey"] {
        let service = service(kind, old);
        let mut fake = built(&*service, kind);
        fake.fail_over();
        fake.pass_until(fake.now + 31_000_000);
        let file = fake.node("db1").machine.text(fake.config()).to_owned();
        assert!(file.contains("busy-reply-threshold 7000"), "{file}");
        assert_eq!(kind == "valkey", file.contains("primaryauth"), "{file}");
        assert_settled(&*service, &fake);
    }
}

/// A rolling change under a client that keeps its connection loses nothing that the servers acknowledged.
///
/// Kvrocks 2.6 lost 11,040 of 30,077 writes with a failover that Sentinel alone carried out, and 6 of 7,184 where the old
/// master was told of the new one at the promotion; Redis 7.0 one of 9,858, which had waited for the end of the pause (ran).
#[test]
fn a_rolling_change_loses_no_acknowledged_write() {
    for (kind, more) in [
        ("redis", "databases = 32"),
        ("valkey", "databases = 32"),
        ("kvrocks", "workers = 4"),
    ] {
        let mut fake = built(&*service(kind, ""), kind);
        fake.tempo = fakes::kvrocks::Tempo {
            start: 200_000,
            copy: 500_000,
            hello: 2_000_000,
            info: 10_000_000,
            down: 30_000_000,
            elect: i64::MAX / 4,
        };
        let service = service(kind, &format!("directives = {{ {more} }}\n"));
        let mut writes = 1_000..;
        let mut write = |fake: &mut fakes::kvrocks::Cluster| {
            fake.write_connected(writes.next().expect("a number"));
            fake.pass_until(fake.now + 50_000);
        };
        for task in &plan(&*service, &fake).tasks {
            write(&mut fake);
            if let Some(action) = &task.action {
                assert_eq!(
                    fake.obey(&task.host, &action.operation),
                    Some(Ok(())),
                    "{kind}: {}",
                    task.title
                );
            }
            for gate in &task.gates {
                for _ in 0..10_000 {
                    write(&mut fake);
                    if fake.judge(&*service, gate) == Verdict::Pass {
                        break;
                    }
                }
                assert_eq!(
                    fake.judge(&*service, gate),
                    Verdict::Pass,
                    "{kind}: {}",
                    gate.title
                );
            }
        }
        fake.pass_until(fake.now + 60_000_000);
        let master = fake.named_masters()[0];
        assert_ne!(fake.nodes[master].name, "db1");
        let acknowledged = &fake.client.acknowledged;
        assert!(acknowledged.len() > 30, "{kind}: {}", acknowledged.len());
        let lost: Vec<&u64> = acknowledged.difference(&fake.nodes[master].data).collect();
        assert!(
            lost.is_empty(),
            "{kind} lost {} of {}",
            lost.len(),
            acknowledged.len()
        );
    }
}
