//! A cluster that was made by hand.

use insta::assert_snapshot;
use plan::Facts;
use protocol::FactQuery;
use protocol::facts::{FileQuery, UnitQuery};
use types::HostName;

use super::{assert_settled, by_hand, converge_from_everywhere, plan, service, shown};
use crate::tests::rig::Rig as _;
use cases::host;
use fakes::kvrocks::Cluster;
use kit::Service;

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
fn a_name_that_sentinel_does_not_resolve_becomes_an_address() {
    // The runbook's file. Sentinel 7.0: "Can't resolve instance hostname." at the start (ran).
    let text = "port 26379\nsentinel monitor altcraft db1 6666 2\nsentinel auth-pass altcraft PASSWORD\n\
                sentinel down-after-milliseconds altcraft 5000\n";
    let text = text.replace("PASSWORD", super::OURS);
    let service = service("redis", "");
    for running in [0, 2] {
        let mut fake = by_hand("redis");
        for name in &["db1", "db2", "db3"][running..] {
            fake.write(name, "/etc/redis/sentinel.conf", &text);
            fake.sentinel_off(name);
        }
        let found = shown(&*service, &fake);
        assert!(!found.contains("redis-server"), "{found}");
        assert!(
            found.contains("| sentinel monitor altcraft 10.0.0.1 6666 2"),
            "{found}"
        );
        assert!(
            found.contains("| sentinel down-after-milliseconds altcraft 5000"),
            "{found}"
        );
        converge_from_everywhere(&*service, &fake);
    }
}

#[test]
fn a_name_of_nobody_that_sentinel_does_not_resolve_is_refused() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    for name in ["db1", "db2", "db3"] {
        let text = "port 26379\nsentinel monitor altcraft cache.example.com 6666 2\n";
        fake.write(name, "/etc/redis/sentinel.conf", text);
        fake.sentinel_off(name);
    }
    let found = plan(&*service, &fake);
    assert!(found.tasks.is_empty(), "{}", cases::render(&found));
    assert_eq!(found.unplanned.len(), 3, "{}", cases::render(&found));
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

/// What hosts answer that have these files and units in the place of the packaged ones, and are known by other names.
fn facts_of(
    service: &dyn Service,
    fake: &Cluster,
    name_of: impl Fn(&HostName) -> String,
    packaged: impl Fn(&str) -> String,
) -> Facts {
    cases::answer_all(service, |at, query| {
        let at = host(&name_of(at));
        let query = match query {
            FactQuery::Unit(query) => FactQuery::Unit(UnitQuery::new(packaged(&query.name))),
            FactQuery::File(query) => FactQuery::File(FileQuery {
                path: packaged(&query.path),
                ..query.clone()
            }),
            query => query.clone(),
        };
        fake.tell_fact(&at, &query)?.ok()
    })
}

#[test]
fn members_that_listen_on_private_addresses_only_are_left_alone() {
    for kind in ["redis", "valkey"] {
        let mut fake = by_hand(kind);
        for at in 1..=3 {
            let name = format!("db{at}");
            fake.edit(&name, |text| {
                text.replace(
                    &format!("bind 127.0.0.1 10.0.0.{at}"),
                    &format!("bind 10.0.0.{at}"),
                )
            });
            fake.restart(&name);
        }
        fake.settle();
        assert_settled(&*service(kind, ""), &fake);
    }
}

#[test]
fn files_and_units_of_other_names_are_adopted() {
    let more = "config = \"/srv/cache/redis.conf\"\nunit = \"cache.service\"\npackage = \"none\"\n\
                sentinel = { config = \"/srv/cache/sentinel.conf\", unit = \"watch.service\", package = \"none\" }\n";
    let (service, fake) = (service("redis", more), by_hand("redis"));
    let facts = facts_of(&*service, &fake, ToString::to_string, |name| {
        name.replace("/srv/cache/", "/etc/redis/")
            .replace("cache.service", "redis-server.service")
            .replace("watch.service", "redis-sentinel.service")
    });
    let plan = cases::plan_steps(&*service, &super::STEPS, &facts);
    assert!(cases::is_settled(&plan), "{}", cases::render(&plan));
}

#[test]
fn hosts_with_full_names_are_adopted() {
    let text = super::inventory("redis", 3, "");
    let full = |text: &str| {
        (1..=3).fold(text.to_owned(), |text, at| {
            text.replace(&format!("db{at} ="), &format!("\"db{at}.example.com\" ="))
                .replace(&format!("\"db{at}\""), &format!("\"db{at}.example.com\""))
        })
    };
    let short = |at: &HostName| at.as_str().split('.').next().unwrap().to_owned();
    let service = cases::service(super::KINDS, &full(&text));
    let mut fake = by_hand("redis");
    let facts = facts_of(&*service, &fake, short, str::to_owned);
    let plan = cases::plan_steps(&*service, &super::STEPS, &facts);
    assert!(cases::is_settled(&plan), "{}", cases::render(&plan));
    // Sentinels that announce names say those.
    for node in &mut fake.nodes {
        node.sentinel.as_mut().unwrap().watched[0].ip = "db1.example.com".to_owned();
    }
    let facts = facts_of(&*service, &fake, short, str::to_owned);
    let plan = cases::plan_steps(&*service, &super::STEPS, &facts);
    assert!(plan.tasks.is_empty(), "{}", cases::render(&plan));
}
