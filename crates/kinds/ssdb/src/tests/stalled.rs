//! Links that bring nothing, or the changes of another host, and say SYNC: what both ends tell of them.

use protocol::FactQuery;

use super::{STEPS, apply, built, converge, plan, service};
use crate::tests::hosts::Rig as _;
use cases::{host, render};
use fakes::ssdb::{Cluster, OURS};
use fakes::{FakeCluster as _, Fault};
use plan::Health;

fn restarted(planned: &kit::StepPlan) -> Vec<&str> {
    let restarted = planned.tasks.iter().filter(|task| task.disrupts);
    restarted.map(|task| task.host.as_str()).collect()
}

/// A host that lost its power does not know of the connections that it had; its mirrors say SYNC until `recv_timeout`. The
/// master's `info` has no `client` row for them (seen). One apply heals all of them.
#[test]
fn one_apply_heals_all_that_a_power_loss_stalled() {
    let service = service(4, "");
    let mut cluster = built(&*service);
    cluster.inject(&Fault::Down(host("db2")));
    cluster.inject(&Fault::Up(host("db2")));
    cluster.set("db2", "late", Some("x"));
    assert_eq!(cluster.get("db1", "late"), None);
    let status = service.status(&cluster.facts(&*service));
    let told = &status.members[0].detail;
    assert_eq!(
        told,
        "the link of db1 to db2 says SYNC, and db2 has no such connection"
    );
    assert_eq!(status.health, Health::Degraded);
    let planned = plan(&*service, &cluster, &[]);
    assert_eq!(restarted(&planned), ["db1", "db3", "db4"], "{}", render(&planned));
    // Before the second restarts the first has what all wrote, those with stalled links too.
    let proofs = planned.tasks.iter().filter(|task| task.part == "canary-db1");
    let proofs: Vec<String> = proofs.map(|task| task.host.to_string()).collect();
    assert_eq!(proofs, ["db1", "db2", "db3", "db4"], "{}", render(&planned));
    converge(&*service, &mut cluster, &[]);
    for name in ["db1", "db3", "db4"] {
        assert_eq!(cluster.get(name, "late").as_deref(), Some("x"), "{name}");
    }
}

/// The canaries of an earlier run prove two stalled links: the canary after the first restart does not wait for the second.
#[test]
fn one_apply_heals_two_links_that_canaries_prove_to_stall() {
    let changed = service(3, "capacity = 5000\n");
    let mut cluster = built(&*service(3, ""));
    cluster.stall("db1", "db2");
    cluster.stall("db3", "db2");
    apply(&*changed, &mut cluster, &[]).unwrap_err();
    converge(&*changed, &mut cluster, &[]);
}

/// A row of a mirror at an address that we do not know may be that of any.
#[test]
fn a_mirror_that_connects_from_an_address_of_its_own_is_not_restarted() {
    let service = service(3, "");
    let mut cluster = built(&*service);
    cluster.node("db3").comes_from = Some("192.168.0.3".to_owned());
    assert_eq!(render(&plan(&*service, &cluster, &[])), "");
}

/// The links of these members show another password: they stay at INIT.
fn kept_out(members: &[&str]) -> Cluster {
    let mut cluster = built(&*service(3, ""));
    for name in members {
        let wrong = format!("auth: {}\n\t\trecv_timeout", "w".repeat(32));
        let text = cluster
            .text(name)
            .replacen(&format!("auth: {OURS}\n\t\trecv_timeout"), &wrong, 1);
        cluster.put_file(name, &text);
        cluster.start(name);
    }
    for name in ["db1", "db2", "db3"] {
        cluster.set(name, &format!("of-{name}"), Some("x"));
    }
    cluster
}

#[test]
fn a_wrong_password_of_one_link_is_repaired() {
    for members in [&["db3"][..], &["db1", "db3"], &["db1", "db2", "db3"]] {
        let mut cluster = kept_out(members);
        let service = service(3, "");
        let planned = plan(&*service, &cluster, &[]);
        assert_eq!(restarted(&planned), members, "{}", render(&planned));
        super::converge_from_everywhere(&*service, &cluster, &[]);
        converge(&*service, &mut cluster, &[]);
        for name in ["db1", "db2", "db3"] {
            for of in ["db1", "db2", "db3"] {
                assert_eq!(
                    cluster.get(name, &format!("of-{of}")).as_deref(),
                    Some("x"),
                    "{name}"
                );
            }
        }
    }
}

/// Both links of db1 went to db3 (seen: 4,619 acknowledged writes of the other were lacking, and the service was healthy).
fn misled() -> Cluster {
    let mut cluster = super::fresh::built_by_hand("\t\tcapacity: 100000000\n");
    for at in 0..3 {
        cluster.set("db2", &format!("early-{at}"), Some("x"));
    }
    cluster.stop("db1");
    cluster.start("db1");
    let links = &mut cluster.node("db1").process.as_mut().unwrap().links;
    let link = links.iter_mut().find(|link| link.id == "db2").unwrap();
    link.went_to = Some("db3".to_owned());
    for at in 0..20 {
        cluster.set("db3", &format!("other-{at}"), Some("x"));
    }
    cluster.set("db2", "late", Some("x"));
    assert_eq!(cluster.get("db1", "late"), None);
    cluster
}

#[test]
fn a_link_that_went_to_another_host_is_seen_and_its_mirror_filled_again() {
    let service = service(3, "");
    let mut cluster = misled();
    let status = service.status(&cluster.facts(&*service));
    assert_eq!(
        status.members[0].health,
        Health::Degraded,
        "{:?}",
        status.members[0]
    );
    let planned = plan(&*service, &cluster, &[]);
    let told = render(&planned);
    assert!(
        told.contains("its link to db2 went to db3, so it lacks changes of db2"),
        "{told}"
    );
    // Neither the healthy master nor anybody else is restarted for it.
    assert_eq!(restarted(&planned), Vec::<&str>::new(), "{told}");
    converge(&*service, &mut cluster, &["ssdb.wipe=db1"]);
    assert_eq!(cluster.get("db1", "late").as_deref(), Some("x"));
    let data = |name: &str| {
        cluster.nodes[cluster.at(name)]
            .disk
            .as_ref()
            .unwrap()
            .data
            .clone()
    };
    assert_eq!([data("db1"), data("db3")], [data("db2"), data("db2")]);
}

/// Its position of db2 is db3's: with the next start it is out of sync with a master that was never rebuilt.
#[test]
fn a_healthy_master_is_not_restarted_for_a_position_that_is_another_masters() {
    let service = service(3, "");
    let mut cluster = misled();
    // db3 has made more changes than db2.
    let disk = cluster.node("db1").disk.as_mut().unwrap();
    disk.positions.insert("db2".to_owned(), 1_000);
    cluster.start("db1");
    let planned = plan(&*service, &cluster, &[]);
    let told = render(&planned);
    assert!(!told.contains("make changes on db2"), "{told}");
    assert!(told.contains("[--allow ssdb.wipe=db1]"), "{told}");
    converge(&*service, &mut cluster, &["ssdb.wipe=db1"]);
    assert_eq!(cluster.get("db1", "late").as_deref(), Some("x"));
}

/// The data of a mirror are not moved aside before all that clients wrote there is on the others.
#[test]
fn what_clients_wrote_on_a_mirror_is_on_the_others_before_its_data_are_moved_aside() {
    let service = service(3, "capacity = 20\n");
    let mut cluster = super::trouble::fallen_behind();
    cluster.stall("db1", "db3");
    cluster.set("db3", "late", Some("x"));
    let stopped = apply(&*service, &mut cluster, &["ssdb.wipe=db3"]).unwrap_err();
    assert!(
        stopped.contains("db1 does not see the canary of db3"),
        "{stopped}"
    );
    assert!(cluster.node("db3").aside.is_empty());
    let _ = apply(&*service, &mut cluster, &["ssdb.wipe=db3"]);
    converge(&*service, &mut cluster, &["ssdb.wipe=db3"]);
    for name in ["db1", "db2", "db3"] {
        assert_eq!(cluster.get(name, "late").as_deref(), Some("x"), "{name}");
    }
}

/// What the host holds that nothing is planned on cannot be proven to have come to one that was restarted.
#[test]
fn nobody_is_restarted_where_one_gets_no_canary() {
    let changed = service(4, "capacity = 5000\n");
    let cluster = built(&*service(4, ""));
    let is_unit = |query: &FactQuery| matches!(query, FactQuery::Unit(_));
    let facts = cases::failing(&cluster.facts(&*changed), "db4", is_unit, "systemctl: timed out");
    let planned = cases::plan_steps(&*changed, &STEPS, &facts);
    let disrupts = planned.tasks.iter().any(|task| task.disrupts);
    assert!(!disrupts, "{}", render(&planned));
    let whys: Vec<&str> = planned.unplanned.iter().map(|(_, why)| why.as_str()).collect();
    assert!(
        whys.iter().any(|why| why.contains("nothing is planned on db4")),
        "{whys:?}"
    );
}
