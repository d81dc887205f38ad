//! The cluster itself, where things take time: what the kind and the simulation rely on.

use insta::assert_snapshot;
use protocol::{Operation, UnitVerb};

use crate::tests::hosts::{Files as _, Rig as _};
use cases::{host, render};
use fakes::ssdb::{Cluster, UNIT};
use fakes::{FakeCluster as _, Fault, Pace};

const SECOND: i64 = 1_000_000;
const PACE: Pace = Pace {
    start_us: 2 * SECOND,
    elect_us: 0,
    copy_us: 3 * SECOND,
    quiesce_us: 0,
};

/// Mirrors as our plan builds them, just started in a cluster in which things take time.
fn started() -> Cluster {
    let quick = super::built(&*super::service(3, ""));
    let mut cluster = Cluster::new(&["db1", "db2", "db3"], PACE);
    for (node, built) in cluster.nodes.iter_mut().zip(&quick.nodes) {
        node.machine.files.clone_from(&built.machine.files);
        node.unit().is_enabled = true;
    }
    cluster.advance(SECOND);
    for name in ["db1", "db2", "db3"] {
        cluster.start(name);
    }
    cluster
}

/// The same, linked.
fn paced() -> Cluster {
    let mut cluster = started();
    cluster.advance(60 * SECOND);
    cluster
}

fn serving(cluster: &Cluster) -> Vec<String> {
    cluster.serving().iter().map(ToString::to_string).collect()
}

#[test]
fn a_started_server_answers_later_and_serves_once_it_has_caught_up() {
    let mut cluster = paced();
    assert_eq!((serving(&cluster).len(), cluster.needed()), (3, 2));
    cluster.inject(&Fault::Crash(host("db2")));
    assert_eq!(serving(&cluster), ["db1", "db3"]);
    cluster.inject(&Fault::Revive(host("db2")));
    cluster.advance(61 * SECOND);
    assert_eq!(serving(&cluster), ["db1", "db3"]);
    cluster.advance(70 * SECOND);
    assert_eq!(serving(&cluster).len(), 3);
}

#[test]
fn a_server_that_was_only_starting_when_it_was_observed_is_not_restarted() {
    let (service, mut cluster) = (super::service(3, "capacity = 5000\n"), paced());
    for trouble in [Fault::Crash, Fault::Revive] {
        cluster.inject(&trouble(host("db2")));
    }
    let plan = super::plan(&*service, &cluster, &[]);
    let restarts = |plan: &kit::StepPlan| {
        let mut tasks = plan.tasks.iter();
        tasks.any(|task| task.title == "restart ssdb-sessions.service" && task.host == host("db2"))
    };
    assert!(!restarts(&plan));
    assert!(
        plan.refusals
            .iter()
            .any(|refusal| refusal.host == Some(host("db2")) && refusal.passing)
    );
    cluster.advance(70 * SECOND);
    assert_eq!(serving(&cluster).len(), 3);
    assert!(restarts(&super::plan(&*service, &cluster, &[])));
}

#[test]
fn a_restarted_member_has_caught_up_whatever_clients_write_meanwhile() {
    let mut cluster = paced();
    for name in ["db1", "db2"] {
        cluster.set(name, "key", Some("x"));
    }
    cluster.advance(70 * SECOND);
    let restart = Operation::Unit {
        name: UNIT.to_owned(),
        verbs: vec![UnitVerb::Restart],
        reads: Vec::new(),
    };
    cluster.operate(&host("db3"), &restart).unwrap().unwrap();
    for at in 0..100 {
        cluster.set(["db1", "db2"][at % 2], "key", Some("x"));
        cluster.advance(70 * SECOND + i64::try_from(at).unwrap() * SECOND / 5);
    }
    assert_eq!(serving(&cluster).len(), 3);
}

#[test]
fn a_write_is_on_all_in_the_end_whichever_member_crashes_next() {
    let mut cluster = paced();
    for value in 0..3 {
        assert!(cluster.write(value));
        cluster.inject(&Fault::Crash(host(&format!("db{}", value + 1))));
        cluster.inject(&Fault::Revive(host(&format!("db{}", value + 1))));
        let now = (100 + 20 * i64::try_from(value).unwrap()) * SECOND;
        cluster.advance(now);
        assert!(cluster.has_value(value), "{value}");
    }
    assert!(!cluster.has_value(7));
    assert_eq!(cluster.violations().len(), 0);
}

#[test]
fn a_link_to_a_host_that_fell_silent_says_sync_until_its_time_is_over() {
    let mut cluster = paced();
    cluster.inject(&Fault::Down(host("db1")));
    cluster.inject(&Fault::Up(host("db1")));
    cluster.advance(100 * SECOND);
    cluster.set("db1", "new", Some("x"));
    cluster.advance(200 * SECOND);
    assert_eq!(cluster.get("db2", "new"), None);
    // recv_timeout is 900 s.
    cluster.advance(1_000 * SECOND);
    assert_eq!(cluster.get("db2", "new").as_deref(), Some("x"));
}

#[test]
fn a_copy_from_a_host_that_fell_silent_is_waited_for_until_it_begins_again() {
    let (service, mut cluster) = (super::service(3, ""), started());
    let planned = |cluster: &Cluster| render(&super::plan(&*service, cluster, &[]));
    cluster.advance(4 * SECOND);
    cluster.inject(&Fault::Down(host("db1")));
    cluster.inject(&Fault::Up(host("db1")));
    cluster.advance(60 * SECOND);
    assert_eq!(serving(&cluster), ["db1"]);
    assert_snapshot!(planned(&cluster));
    cluster.advance(1_000 * SECOND);
    assert_eq!((planned(&cluster).as_str(), serving(&cluster).len()), ("", 3));
}

#[test]
fn a_host_that_was_cut_off_for_a_while_goes_on_by_itself() {
    let mut cluster = paced();
    cluster.inject(&Fault::Cut(host("db1")));
    assert_eq!(serving(&cluster), ["db2", "db3"]);
    cluster.set("db1", "new", Some("x"));
    cluster.advance(90 * SECOND);
    assert_eq!(cluster.get("db2", "new"), None);
    cluster.inject(&Fault::Heal(host("db1")));
    cluster.advance(91 * SECOND);
    assert_eq!(cluster.get("db2", "new").as_deref(), Some("x"));
}

#[test]
fn a_member_that_reached_nobody_since_its_start_does_not_serve() {
    let (service, mut cluster) = (super::service(3, ""), paced());
    let away = |cluster: &Cluster| -> Vec<String> {
        let away = service.unavailable(&cluster.facts(&*service));
        away.iter().map(ToString::to_string).collect()
    };
    assert!(away(&cluster).is_empty());
    let db2 = host("db2");
    for trouble in [Fault::Cut, Fault::Crash, Fault::Revive] {
        cluster.inject(&trouble(db2.clone()));
    }
    cluster.advance(70 * SECOND);
    cluster.inject(&Fault::Heal(db2));
    assert_eq!(
        (away(&cluster), serving(&cluster).len()),
        (vec!["db2".to_owned()], 2)
    );
    cluster.advance(80 * SECOND);
    assert_eq!((away(&cluster), serving(&cluster).len()), (Vec::new(), 3));
}
