//! The world itself: members elect, copy and lose what the real ones would.

use std::collections::BTreeSet;

use protocol::facts::MongoCommand;
use protocol::{ActionError, Operation, UnitVerb};

use super::{UNIT, World, built, by_hand, service};
use crate::tests::world::Rig as _;
use cases::{self, host};
use fakes::{FakeCluster as _, Fault, PLAYS, Pace};

const SECOND: i64 = 1_000_000;
const PACE: Pace = Pace {
    start_us: 2 * SECOND,
    elect_us: 10 * SECOND,
    copy_us: 5 * SECOND,
};

/// A set in which things take time.
fn slow() -> World {
    let mut world = by_hand();
    world.pace = PACE;
    assert!(world.write(1));
    world
}

fn pass(world: &mut World, seconds: i64) {
    world.advance(world.now_us + seconds * SECOND);
}

fn send(world: &mut World, name: &str, command: MongoCommand) -> Result<(), ActionError> {
    let operation = Operation::Mongo {
        address: "127.0.0.1".to_owned(),
        port: 27017,
        user: None,
        commands: vec![command],
        again_on: Vec::new(),
    };
    world.operate(&host(name), &operation).expect("one of ours")
}

fn unit(world: &mut World, name: &str, verb: UnitVerb) {
    let operation = Operation::Unit {
        name: UNIT.to_owned(),
        verbs: vec![verb],
    };
    assert_eq!(world.operate(&host(name), &operation), Some(Ok(())));
}

fn names(names: &[&str]) -> BTreeSet<types::HostName> {
    names.iter().map(|name| host(name)).collect()
}

#[test]
fn after_the_primary_died_another_leads_in_time_and_nothing_acknowledged_is_lost() {
    let mut world = slow();
    world.inject(&Fault::Crash(host("db1")));
    assert_eq!(world.serving(), names(&["db2", "db3"]));
    assert!(!world.write(2), "nobody takes writes before the election");
    pass(&mut world, 9);
    assert_eq!(world.primary(), None);
    pass(&mut world, 1);
    assert_eq!(world.primary(), Some("db2"));
    assert!(world.write(3) && world.has_value(1) && world.has_value(3));
    // It comes back, and is behind at first.
    world.inject(&Fault::Revive(host("db1")));
    pass(&mut world, 3);
    assert_eq!(world.serving(), names(&["db2", "db3"]));
    pass(&mut world, 5);
    assert_eq!(world.serving(), names(&["db1", "db2", "db3"]));
    assert_eq!((world.primary(), world.violations()), (Some("db2"), &[][..]));
}

#[test]
fn a_primary_that_is_cut_off_acknowledges_nothing_and_loses_what_it_took() {
    let mut world = slow();
    world.inject(&Fault::Cut(host("db1")));
    assert!(!world.write(2), "it takes the write, and no majority gets it");
    pass(&mut world, 12);
    // Two take themselves for it: an old one notices later.
    assert!(world.node("db1").is_primary() && world.node("db2").is_primary());
    assert!(world.write(3));
    pass(&mut world, 5);
    assert!(!world.node("db1").is_primary());
    world.inject(&Fault::Heal(host("db1")));
    pass(&mut world, 10);
    assert!(world.has_value(1) && world.has_value(3) && !world.has_value(2));
    let values = &world.node("db1").disk.data.values;
    assert_eq!(*values, BTreeSet::from([1, 3]));
}

#[test]
fn without_a_majority_there_is_no_primary() {
    let mut world = slow();
    world.inject(&Fault::Down(host("db2")));
    world.inject(&Fault::Down(host("db3")));
    pass(&mut world, 60);
    assert_eq!((world.primary(), world.needed()), (None, 2));
    assert!(world.serving().is_empty() && !world.write(2));
    world.node_mut("db3").machine.unit(UNIT).is_enabled = false;
    world.inject(&Fault::Up(host("db3")));
    world.inject(&Fault::Up(host("db2")));
    pass(&mut world, 60);
    assert_eq!(world.serving(), names(&["db1", "db2"]));
    assert!(world.write(3));
}

#[test]
fn who_is_behind_is_not_elected() {
    let mut world = slow();
    world.inject(&Fault::Crash(host("db3")));
    assert!(world.write(2));
    world.inject(&Fault::Crash(host("db2")));
    world.inject(&Fault::Revive(host("db3")));
    world.inject(&Fault::Crash(host("db1")));
    world.inject(&Fault::Revive(host("db2")));
    pass(&mut world, 30);
    assert_eq!(world.primary(), Some("db2"));
    assert!(world.has_value(2));
}

#[test]
fn a_primary_steps_down_only_for_one_that_has_everything() {
    let mut world = slow();
    world.inject(&Fault::Crash(host("db2")));
    assert!(send(&mut world, "db1", MongoCommand::new("replSetStepDown", 60)).is_err());
    world.inject(&Fault::Revive(host("db2")));
    pass(&mut world, 3);
    assert!(send(&mut world, "db2", MongoCommand::new("replSetStepDown", 60)).is_err());
    world.inject(&Fault::Crash(host("db3")));
    let early = send(&mut world, "db1", MongoCommand::new("replSetStepDown", 60));
    assert!(early.is_err(), "db2 still copies");
    pass(&mut world, 5);
    world.inject(&Fault::Revive(host("db3")));
    pass(&mut world, 8);
    assert_eq!(
        send(&mut world, "db1", MongoCommand::new("replSetStepDown", 60)),
        Ok(())
    );
    pass(&mut world, 10);
    assert_eq!(world.primary(), Some("db2"));
}

#[test]
fn stopping_a_primary_that_could_have_handed_over_is_told() {
    let mut world = slow();
    unit(&mut world, "db2", UnitVerb::Restart);
    pass(&mut world, 60);
    assert_eq!(world.violations(), [""; 0]);
    unit(&mut world, "db1", UnitVerb::Restart);
    assert_eq!(world.violations().len(), 1, "{:?}", world.violations());
}

#[test]
fn a_configuration_is_refused_as_the_server_refuses_it() {
    let mut world = slow();
    let config = world.node("db1").disk.config.clone().unwrap();
    let refused = |world: &mut World, name: &str, config: &super::SetConfig| {
        let done = send(
            world,
            name,
            MongoCommand::new("replSetReconfig", config.document()),
        );
        done.expect_err("a refusal").to_string()
    };
    let found = refused(&mut world, "db1", &config);
    assert!(found.contains("code 103"), "the version is the old one: {found}");
    let found = refused(&mut world, "db2", &config);
    assert!(found.contains("code 10107"), "{found}");
    // A primary that lost the others has nobody to commit it.
    world.inject(&Fault::Crash(host("db2")));
    world.inject(&Fault::Crash(host("db3")));
    let found = refused(&mut world, "db1", &config);
    assert!(found.contains("code 308"), "{found}");
}

#[test]
fn what_is_played_is_an_inventory_that_turns() {
    let play = PLAYS.iter().find(|play| play.kind == "mongodb").unwrap();
    let hosts = "db1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\ndb3 = \"10.0.0.3\"\n";
    let text = |turn| format!("[hosts]\n{hosts}{}", (play.inventory)(&super::THREE, turn));
    cases::service(crate::tests::KINDS, &text(0));
    assert_ne!(text(0), text(1));
    let world = (play.world)(&["db1", "db2"], PACE);
    assert_eq!((world.needed(), world.serving().len()), (0, 0));
}

#[test]
fn a_built_set_needs_a_majority_of_its_voters() {
    let world = built(&*service(""));
    assert_eq!((world.needed(), world.serving().len()), (2, 3));
}

#[test]
fn who_is_unavailable_is_known_at_any_moment() {
    let four = ["db1", "db2", "db3", "db4"];
    let service = service(super::AUTH);
    let larger = crate::tests::service_with_warnings(&super::inventory(&four, super::AUTH));
    let away = |world: &World| service.unavailable(&world.facts(&*service));
    let mut world = built(&*service);
    assert_eq!(away(&world), names(&[]));
    // It takes itself for a secondary, and nobody hears of it.
    world.inject(&Fault::Cut(host("db3")));
    assert_eq!(away(&world), names(&["db3"]));
    world.inject(&Fault::Heal(host("db3")));
    world.node_mut("db2").lag_s = 60;
    assert_eq!(away(&world), names(&["db2"]));
    world.node_mut("db2").lag_s = 0;
    // A newcomer that copies takes nothing from the set.
    let plan = super::plan(&*larger, &world);
    world.node_mut("db4").is_copying = true;
    let tasks = plan
        .tasks
        .iter()
        .take_while(|task| !task.part.starts_with("sync"));
    tasks.for_each(|task| world.perform(&*larger, task));
    assert_eq!(larger.unavailable(&world.facts(&*larger)), names(&[]));
    // A member that the inventory does not list, and that votes.
    let mut world = built(&*larger);
    world.inject(&Fault::Crash(host("db4")));
    assert_eq!(away(&world), names(&["db4"]));
    // Nobody leads.
    let mut world = built(&*service);
    world.pace = PACE;
    world.inject(&Fault::Crash(host("db1")));
    assert_eq!(away(&world), names(&["db1", "db2", "db3"]));
    pass(&mut world, 11);
    assert_eq!(away(&world), names(&["db1"]));
}

#[test]
fn who_does_not_serve_is_restarted_first() {
    let mut world = by_hand();
    world.node_mut("db3").lag_s = 60;
    let service = service("config.net.maxIncomingConnections = 500\n");
    let plan = super::plan(&*service, &world);
    let restarted = plan.tasks.iter().filter(|task| task.disrupts);
    let order: Vec<&str> = restarted.map(|task| task.host.as_str()).collect();
    assert_eq!(order, ["db3", "db2", "db1"]);
}

#[test]
fn a_server_that_was_only_starting_is_not_restarted_as_the_primary() {
    let service = service("config.net.maxIncomingConnections = 500\n");
    let mut world = by_hand();
    world.pace = PACE;
    for name in super::THREE {
        world.edit(name, |text| {
            text.replace("net:\n", "net:\n  maxIncomingConnections: 500\n")
        });
        world.inject(&Fault::Crash(host(name)));
        world.inject(&Fault::Revive(host(name)));
        // Somebody touches the file meanwhile.
        world.edit(name, |text| format!("{text}# ours\n"));
    }
    let plan = super::plan(&*service, &world);
    let restart = plan
        .tasks
        .iter()
        .find(|task| task.title == "restart mongod.service")
        .unwrap();
    pass(&mut world, 60);
    assert_eq!(world.primary(), Some("db1"));
    let done = world.try_perform(&*service, restart);
    assert!(matches!(done, Err(ActionError::Changed { .. })), "{done:?}");
}

#[test]
fn a_member_that_was_away_for_seconds_serves_once_it_follows() {
    let service = service("");
    let mut world = by_hand();
    world.pace = PACE;
    pass(&mut world, 60);
    assert!(world.write(1));
    unit(&mut world, "db2", UnitVerb::Restart);
    assert!(world.write(2));
    pass(&mut world, 3);
    let facts = world.facts(&*service);
    assert_eq!(
        service.unavailable(&facts),
        names(&["db2"]),
        "it is 3 s behind, and gets nothing yet"
    );
    pass(&mut world, 5);
    assert_eq!(service.unavailable(&world.facts(&*service)), names(&[]));
}
