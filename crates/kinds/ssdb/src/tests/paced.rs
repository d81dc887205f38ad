//! The world itself, where things take time: what the kind and the simulation rely on.

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
};

/// Mirrors as our plan builds them, just started in a world in which things take time.
fn started() -> Cluster {
    let quick = super::built(&*super::service(3, ""));
    let mut world = Cluster::new(&["db1", "db2", "db3"], PACE);
    for (node, built) in world.nodes.iter_mut().zip(&quick.nodes) {
        node.machine.files.clone_from(&built.machine.files);
        node.unit().is_enabled = true;
    }
    world.advance(SECOND);
    for name in ["db1", "db2", "db3"] {
        world.start(name);
    }
    world
}

/// The same, linked.
fn paced() -> Cluster {
    let mut world = started();
    world.advance(60 * SECOND);
    world
}

fn serving(world: &Cluster) -> Vec<String> {
    world.serving().iter().map(ToString::to_string).collect()
}

#[test]
fn a_started_server_answers_later_and_serves_once_it_has_caught_up() {
    let mut world = paced();
    assert_eq!((serving(&world).len(), world.needed()), (3, 2));
    world.inject(&Fault::Crash(host("db2")));
    assert_eq!(serving(&world), ["db1", "db3"]);
    world.inject(&Fault::Revive(host("db2")));
    world.advance(61 * SECOND);
    assert_eq!(serving(&world), ["db1", "db3"]);
    world.advance(70 * SECOND);
    assert_eq!(serving(&world).len(), 3);
}

#[test]
fn a_server_that_was_only_starting_when_it_was_looked_at_is_not_restarted() {
    let (service, mut world) = (super::service(3, "capacity = 5000\n"), paced());
    for trouble in [Fault::Crash, Fault::Revive] {
        world.inject(&trouble(host("db2")));
    }
    let plan = super::plan(&*service, &world, &[]);
    let mut restarts = plan
        .tasks
        .iter()
        .filter(|task| task.title == "restart ssdb-sessions.service");
    let first = restarts.next().unwrap();
    assert_eq!(first.host.as_str(), "db2");
    world.advance(70 * SECOND);
    assert_eq!(serving(&world).len(), 3);
    assert_eq!(
        world.perform(&*service, first).unwrap_err(),
        "changed since the plan: db2 still does not answer"
    );
}

#[test]
fn whoever_was_restarted_has_caught_up_whatever_clients_write_meanwhile() {
    let mut world = paced();
    for name in ["db1", "db2"] {
        world.set(name, "key", Some("x"));
    }
    world.advance(70 * SECOND);
    let restart = Operation::Unit {
        name: UNIT.to_owned(),
        verbs: vec![UnitVerb::Restart],
    };
    world.operate(&host("db3"), &restart).unwrap().unwrap();
    for at in 0..100 {
        world.set(["db1", "db2"][at % 2], "key", Some("x"));
        world.advance(70 * SECOND + i64::try_from(at).unwrap() * SECOND / 5);
    }
    assert_eq!(serving(&world).len(), 3);
}

#[test]
fn a_write_is_on_all_in_the_end_whoever_crashes_next() {
    let mut world = paced();
    for value in 0..3 {
        assert!(world.write(value));
        world.inject(&Fault::Crash(host(&format!("db{}", value + 1))));
        world.inject(&Fault::Revive(host(&format!("db{}", value + 1))));
        let now = (100 + 20 * i64::try_from(value).unwrap()) * SECOND;
        world.advance(now);
        assert!(world.has_value(value), "{value}");
    }
    assert!(!world.has_value(7));
    assert_eq!(world.violations().len(), 0);
}

#[test]
fn a_link_to_a_host_that_fell_silent_says_sync_until_its_time_is_over() {
    let mut world = paced();
    world.inject(&Fault::Down(host("db1")));
    world.inject(&Fault::Up(host("db1")));
    world.advance(100 * SECOND);
    world.set("db1", "new", Some("x"));
    world.advance(200 * SECOND);
    assert_eq!(world.get("db2", "new"), None);
    // recv_timeout is 900 s.
    world.advance(1_000 * SECOND);
    assert_eq!(world.get("db2", "new").as_deref(), Some("x"));
}

#[test]
fn a_copy_from_a_host_that_fell_silent_is_waited_for_until_it_is_begun_anew() {
    let (service, mut world) = (super::service(3, ""), started());
    let planned = |world: &Cluster| render(&super::plan(&*service, world, &[]));
    world.advance(4 * SECOND);
    world.inject(&Fault::Down(host("db1")));
    world.inject(&Fault::Up(host("db1")));
    world.advance(60 * SECOND);
    assert_eq!(serving(&world), ["db1"]);
    assert_snapshot!(planned(&world));
    world.advance(1_000 * SECOND);
    assert_eq!((planned(&world).as_str(), serving(&world).len()), ("", 3));
}

#[test]
fn what_was_cut_off_for_a_while_goes_on_by_itself() {
    let mut world = paced();
    world.inject(&Fault::Cut(host("db1")));
    assert_eq!(serving(&world), ["db2", "db3"]);
    world.set("db1", "new", Some("x"));
    world.advance(90 * SECOND);
    assert_eq!(world.get("db2", "new"), None);
    world.inject(&Fault::Heal(host("db1")));
    world.advance(91 * SECOND);
    assert_eq!(world.get("db2", "new").as_deref(), Some("x"));
}

#[test]
fn whoever_reached_nobody_since_its_start_does_not_serve() {
    let (service, mut world) = (super::service(3, ""), paced());
    let away = |world: &Cluster| -> Vec<String> {
        let away = service.unavailable(&world.facts(&*service));
        away.iter().map(ToString::to_string).collect()
    };
    assert!(away(&world).is_empty());
    let db2 = host("db2");
    for trouble in [Fault::Cut, Fault::Crash, Fault::Revive] {
        world.inject(&trouble(db2.clone()));
    }
    world.advance(70 * SECOND);
    world.inject(&Fault::Heal(db2));
    assert_eq!((away(&world), serving(&world).len()), (vec!["db2".to_owned()], 2));
    world.advance(80 * SECOND);
    assert_eq!((away(&world), serving(&world).len()), (Vec::new(), 3));
}
