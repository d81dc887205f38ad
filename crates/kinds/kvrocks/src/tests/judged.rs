//! Gates, status, and who is unavailable.

use insta::assert_snapshot;
use plan::Verdict;

use super::{built, service};
use crate::checks::Check;
use crate::tests::rig::Rig as _;
use cases::host;
use fakes::kvrocks::Cluster;
use kit::Service;

fn redis() -> (Box<dyn Service>, Cluster) {
    let service = service("redis", "");
    let fake = built(&*service, "redis");
    (service, fake)
}

fn judge(service: &dyn Service, fake: &Cluster, check: &str, on: &str) -> String {
    match service.judge(check, Some(&host(on)), &fake.facts(service)) {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Wait(why) => why,
        Verdict::Fail(why) => format!("never: {why}"),
    }
}

#[test]
fn a_replica_that_is_behind_is_waited_for() {
    let (service, mut fake) = redis();
    fake.server_mut("db2").lag = 2_000_000;
    assert_eq!(
        judge(&*service, &fake, "member-serving", "db2"),
        "db2 is 2000000 B behind"
    );
    assert_eq!(judge(&*service, &fake, "member-serving", "db1"), "pass");
    assert_eq!(judge(&*service, &fake, "member-serving", "db3"), "pass");
}

#[test]
fn before_a_failover_every_replica_has_all() {
    let (service, mut fake) = redis();
    assert_eq!(judge(&*service, &fake, "replicas-level", "db1"), "pass");
    fake.node_mut("db2").engine.as_mut().unwrap().lag = 1;
    let found = judge(&*service, &fake, "replicas-level", "db1");
    assert_eq!(found, "db2 is 1 B behind");
    // Sentinel does not choose one that has no link.
    fake.node_mut("db2").engine = None;
    assert_eq!(judge(&*service, &fake, "replicas-level", "db1"), "pass");
    fake.node_mut("db3").engine = None;
    let found = judge(&*service, &fake, "replicas-level", "db1");
    assert_eq!(found, "no replica has a link to db1");
}

#[test]
fn a_link_that_is_down_is_waited_for() {
    let (service, mut fake) = redis();
    fake.server_mut("db2").masterauth.clear();
    fake.settle();
    let found = judge(&*service, &fake, "member-serving", "db2");
    assert_eq!(found, "db2 has no link to 10.0.0.1:6666");
    fake.stop("db2");
    let found = judge(&*service, &fake, "member-serving", "db2");
    assert_eq!(
        found,
        "never: redis-server.service on db2 has ended: `journalctl -u redis-server.service` tells why"
    );
    fake.sentinel_off("db2");
    let found = judge(&*service, &fake, "sentinel-knows", "db2");
    assert!(
        found.starts_with("never: redis-sentinel.service on db2 has ended"),
        "{found}"
    );
}

#[test]
fn an_orphaned_replica_is_never_available() {
    let (service, mut fake) = redis();
    fake.fail_over();
    for node in &mut fake.nodes {
        node.sentinel.as_mut().unwrap().watched[0]
            .replicas
            .remove("10.0.0.3");
    }
    fake.server_mut("db3").follows = Some(("10.0.0.1".to_owned(), 6666));
    fake.settle();
    assert_eq!(
        judge(&*service, &fake, "member-serving", "db3"),
        "never: db3 follows 10.0.0.1:6666, the master is db2, and no sentinel knows db3: plan again"
    );
}

#[test]
fn a_second_master_does_not_pass() {
    let (service, mut fake) = redis();
    fake.server_mut("db2").follows = None;
    let found = judge(&*service, &fake, "member-serving", "db2");
    assert_eq!(found, "db2 reports the role master, and the master is db1");
}

#[test]
fn a_new_master_is_named_by_all_and_known_to_the_old_one() {
    let (service, mut fake) = redis();
    assert_eq!(
        judge(&*service, &fake, "new-master", "db1"),
        "the sentinels still name db1"
    );
    fake.fail_over();
    assert_eq!(judge(&*service, &fake, "new-master", "db1"), "pass");
    fake.server_mut("db1").follows = None;
    let found = judge(&*service, &fake, "new-master", "db1");
    assert_eq!(found, "db2 is the master, and db1 is not a replica yet");
    // One that does not let us ask may still be a master: its restart would make a second one.
    let denied = protocol::facts::RespFact::Denied("WRONGPASS invalid username-password pair".to_owned());
    fake.server_mut("db1").shuns = Some(denied);
    let found = judge(&*service, &fake, "new-master", "db1");
    assert!(
        found.starts_with("db1 may still report the role master"),
        "{found}"
    );
    assert_eq!(judge(&*service, &fake, "promoted", "db1"), "pass");
}

#[test]
fn sentinels_agree_or_do_not() {
    let (service, mut fake) = redis();
    assert_eq!(judge(&*service, &fake, "sentinel-agrees", "db1"), "pass");
    fake.node_mut("db2").sentinel.as_mut().unwrap().watched[0].quorum = 4;
    let found = judge(&*service, &fake, "sentinel-agrees", "db1");
    assert!(found.contains("NOQUORUM"), "{found}");
    fake.node_mut("db2").sentinel.as_mut().unwrap().watched.clear();
    let found = judge(&*service, &fake, "sentinel-agrees", "db1");
    assert_eq!(found, "2 of 3 sentinels watch the master");
    let found = judge(&*service, &fake, "sentinel-knows", "db2");
    assert_eq!(found, "the sentinel on db2 does not watch altcraft");
}

#[test]
fn an_unknown_check_never_passes() {
    let (service, fake) = redis();
    let found = judge(&*service, &fake, "member-happy", "db1");
    assert_eq!(found, "never: there is no check \"member-happy\"; plan again");
}

#[test]
fn a_check_about_a_host_of_others_never_passes() {
    let (service, fake) = redis();
    let found = judge(&*service, &fake, "member-serving", "db9");
    assert_eq!(
        found,
        "never: the check member-serving is about a host that cache does not have"
    );
}

#[test]
fn every_spelling_of_saved_plans_is_read() {
    for spelling in [
        "member-serving",
        "master-serving",
        "replicas-level",
        "promoted",
        "new-master",
        "followers",
        "sentinel-knows",
        "sentinel-agrees",
        "staying",
        "found",
        "forgotten=10.0.0.3",
    ] {
        let check: Check = spelling.parse().unwrap();
        assert_eq!(check.to_string(), spelling);
    }
    for unknown in ["", "serving", "forgotten", "staying=db1", "Found"] {
        assert!(unknown.parse::<Check>().is_err(), "{unknown}");
    }
}

#[test]
fn status_of_a_healthy_cluster_and_of_a_lame_one() {
    let (service, mut fake) = redis();
    assert_snapshot!(status(&*service, &fake));
    fake.server_mut("db2").masterauth.clear();
    fake.settle();
    fake.node_mut("db3").is_down = true;
    assert_snapshot!(status(&*service, &fake));
    let unavailable = service.unavailable(&fake.facts(&*service));
    assert_eq!(unavailable, [host("db2"), host("db3")].into());
}

fn status(service: &dyn Service, fake: &Cluster) -> String {
    let status = service.status(&fake.facts(service));
    let mut lines = vec![format!("{:?}: {}", status.health, status.summary)];
    lines.extend(status.members.iter().map(|row| {
        let since = row.since_us.is_some();
        format!(
            "{} {} {} {:?} lag={} since={since} {}",
            row.host, row.process, row.role, row.health, row.lag, row.detail
        )
    }));
    lines.join("\n")
}
