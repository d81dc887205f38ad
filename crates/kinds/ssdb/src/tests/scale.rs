//! Hosts that come and go.

use insta::assert_snapshot;

use super::{apply, converge, converge_from_everywhere, plan, service_on};
use crate::tests::hosts::{Files as _, Rig as _};
use cases::{host, render};
use fakes::ssdb::Cluster;
use fakes::{FakeCluster as _, Fault};
use kit::StepPlan;

const THREE: [&str; 3] = ["db1", "db2", "db3"];

/// Mirrors on the first three hosts, with a value of each; the fourth is bare.
fn three() -> Cluster {
    let mut cluster = Cluster::bare(4);
    converge(&*service_on(&THREE), &mut cluster, &[]);
    for name in THREE {
        cluster.set(name, &format!("of-{name}"), Some("x"));
    }
    cluster
}

fn assert_data(cluster: &mut Cluster, names: &[&str]) {
    for name in names {
        for of in THREE {
            assert_eq!(
                cluster.get(name, &format!("of-{of}")).as_deref(),
                Some("x"),
                "{name}"
            );
        }
    }
}

/// The plan without the text of the files.
fn outline(plan: &StepPlan) -> String {
    let text = render(plan);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("    |")).collect();
    lines.join("\n")
}

fn change(to: &[&str], allow: &[&str]) -> (Cluster, String) {
    let (service, cluster) = (service_on(to), three());
    let planned = outline(&plan(&*service, &cluster, allow));
    converge_from_everywhere(&*service, &cluster, allow);
    let mut cluster = cluster;
    converge(&*service, &mut cluster, allow);
    assert_data(&mut cluster, to);
    assert!(cluster.violations().is_empty(), "{:?}", cluster.violations());
    (cluster, planned)
}

#[test]
fn a_former_member_leaves_with_proof_and_is_forgotten() {
    let (mut cluster, planned) = change(&["db2", "db3"], &[]);
    assert_snapshot!(planned);
    assert!(cluster.node("db1").process.is_none() && !cluster.node("db1").unit().is_enabled);
    assert_data(&mut cluster, &["db1"]);
}

#[test]
fn a_member_is_added_and_copies_before_anybody_is_restarted() {
    let (_, planned) = change(&["db1", "db2", "db3", "db4"], &[]);
    assert!(planned.find("wait for the links of db4").unwrap() < planned.find("db1: restart").unwrap());
}

#[test]
fn a_member_that_is_replaced_leaves_after_the_new_one_has_its_data() {
    let (_, planned) = change(&["db2", "db3", "db4"], &[]);
    assert_snapshot!(planned);
}

#[test]
fn all_members_are_replaced_by_one() {
    let (_, planned) = change(&["db4"], &[]);
    assert_snapshot!(planned);
}

#[test]
fn a_member_comes_back_after_it_has_left() {
    let (mut cluster, _) = change(&["db2", "db3", "db4"], &[]);
    cluster.set("db4", "later", Some("x"));
    let all = service_on(&["db1", "db2", "db3", "db4"]);
    converge_from_everywhere(&*all, &cluster, &[]);
    converge(&*all, &mut cluster, &[]);
    assert_eq!(cluster.get("db1", "later").as_deref(), Some("x"));
}

#[test]
fn a_member_that_cannot_be_asked_leaves_with_consent_only() {
    let service = service_on(&["db2", "db3"]);
    let mut cluster = three();
    cluster.inject(&Fault::Down(host("db1")));
    assert_snapshot!(outline(&plan(&*service, &cluster, &[])));
    let allow = ["ssdb.leave=db1"];
    assert_snapshot!(outline(&plan(&*service, &cluster, &allow)));
    converge_from_everywhere(&*service, &cluster, &allow);
    converge(&*service, &mut cluster, &allow);
    // It comes back, and nobody mirrors it.
    cluster.inject(&Fault::Up(host("db1")));
    let again = plan(&*service, &cluster, &[]);
    assert!(again.tasks.is_empty());
    assert_snapshot!(outline(&again));
    converge(&*service, &mut cluster, &allow);
    assert!(!cluster.node("db1").unit().is_enabled);
}

#[test]
fn a_member_that_is_down_is_started_to_hand_over_what_it_has() {
    let service = service_on(&["db2", "db3", "db4"]);
    let mut cluster = three();
    cluster.inject(&Fault::Cut(host("db1")));
    cluster.set("db1", "late", Some("x"));
    cluster.inject(&Fault::Crash(host("db1")));
    cluster.inject(&Fault::Heal(host("db1")));
    let planned = outline(&plan(&*service, &cluster, &[]));
    assert!(
        planned.contains("db1: start ssdb-sessions.service, because it is to leave and does not run"),
        "{planned}"
    );
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster, &[]);
    for name in ["db2", "db3", "db4"] {
        assert_eq!(cluster.get(name, "late").as_deref(), Some("x"), "{name}");
    }
}

#[test]
fn nobody_leaves_while_a_member_cannot_be_asked() {
    let service = service_on(&["db2", "db3"]);
    let mut cluster = three();
    cluster.inject(&Fault::Cut(host("db3")));
    let refused = plan(&*service, &cluster, &[]);
    assert!(refused.tasks.is_empty(), "{}", outline(&refused));
    assert_snapshot!(outline(&refused));
    cluster.inject(&Fault::Heal(host("db3")));
    converge(&*service, &mut cluster, &[]);
}

#[test]
fn a_write_that_has_not_come_to_all_stops_the_leave() {
    let service = service_on(&["db2", "db3"]);
    let mut cluster = three();
    cluster.stall("db3", "db1");
    cluster.set("db1", "late", Some("x"));
    let stopped = apply(&*service, &mut cluster, &[]).unwrap_err();
    assert_eq!(
        stopped,
        "db2, db3 have all that clients wrote on db1: db3 has not yet got what was written last on db1"
    );
    assert!(cluster.node("db1").process.is_some());
    // The link is not healed by a plan without a doubt; somebody restarts it.
    cluster.start("db3");
    converge(&*service, &mut cluster, &[]);
    assert_eq!(cluster.get("db3", "late").as_deref(), Some("x"));
}

#[test]
fn a_master_that_is_no_host_of_the_inventory_is_kept_until_somebody_says_that_it_is_gone() {
    let mut cluster = three();
    let service = service_on(&["db1", "db2", "db3"]);
    let text = cluster.text("db1").replace(
        "\nlogger:",
        "\n\tslaveof:\n\t\ttype: mirror\n\t\thost: old\n\t\tport: 4420\n\nlogger:",
    );
    assert!(text.contains("host: old"));
    let text = text.replace("900\n\n\tslaveof", "900\n\tslaveof");
    cluster.put_file("db1", &text);
    cluster.start("db1");
    assert_snapshot!(outline(&plan(&*service, &cluster, &[])));
    converge_from_everywhere(&*service, &cluster, &["ssdb.leave=old"]);
    converge(&*service, &mut cluster, &["ssdb.leave=old"]);
}
