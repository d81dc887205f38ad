//! The cluster itself: members elect, copy and lose what the real ones would.

use std::collections::BTreeSet;

use protocol::facts::MongoCommand;
use protocol::{ActionError, FactQuery, Operation, UnitVerb};

use super::{Cluster, UNIT, built, by_hand, service};
use crate::tests::rig::Rig as _;
use cases::{self, host};
use fakes::{FakeCluster as _, Fault, PLAYS, Pace};

const SECOND: i64 = 1_000_000;
pub(super) const PACE: Pace = Pace {
    start_us: 2 * SECOND,
    elect_us: 10 * SECOND,
    copy_us: 5 * SECOND,
    quiesce_us: 0,
};

/// A set in which things take time.
fn slow() -> Cluster {
    let mut cluster = by_hand();
    cluster.pace = PACE;
    assert!(cluster.write(1));
    cluster
}

fn pass(cluster: &mut Cluster, seconds: i64) {
    cluster.advance(cluster.now_us + seconds * SECOND);
}

fn send(cluster: &mut Cluster, name: &str, command: MongoCommand) -> Result<(), ActionError> {
    let operation = Operation::Mongo {
        address: "127.0.0.1".to_owned(),
        port: 27017,
        user: None,
        commands: vec![command],
        again_on: Vec::new(),
    };
    cluster.operate(&host(name), &operation).expect("one of ours")
}

fn unit(cluster: &mut Cluster, name: &str, verb: UnitVerb) {
    let operation = Operation::Unit {
        name: UNIT.to_owned(),
        verbs: vec![verb],
        reads: Vec::new(),
    };
    assert_eq!(cluster.operate(&host(name), &operation), Some(Ok(())));
}

fn names(names: &[&str]) -> BTreeSet<types::HostName> {
    names.iter().map(|name| host(name)).collect()
}

#[test]
fn after_the_primary_died_another_is_elected_in_time_and_nothing_acknowledged_is_lost() {
    let mut cluster = slow();
    cluster.inject(&Fault::Crash(host("db1")));
    assert_eq!(cluster.serving(), names(&["db2", "db3"]));
    assert!(!cluster.write(2), "no member takes writes before the election");
    pass(&mut cluster, 9);
    assert_eq!(cluster.primary(), None);
    pass(&mut cluster, 1);
    assert_eq!(cluster.primary(), Some("db2"));
    assert!(cluster.write(3) && cluster.has_value(1) && cluster.has_value(3));
    // It comes back, and is behind at first.
    cluster.inject(&Fault::Revive(host("db1")));
    pass(&mut cluster, 3);
    assert_eq!(cluster.serving(), names(&["db2", "db3"]));
    pass(&mut cluster, 5);
    assert_eq!(cluster.serving(), names(&["db1", "db2", "db3"]));
    assert_eq!((cluster.primary(), cluster.violations()), (Some("db2"), &[][..]));
}

#[test]
fn a_primary_that_is_cut_off_acknowledges_nothing_and_loses_what_it_took() {
    let mut cluster = slow();
    cluster.inject(&Fault::Cut(host("db1")));
    assert!(!cluster.write(2), "it takes the write, and no majority gets it");
    pass(&mut cluster, 12);
    // Two take themselves for it: an old one notices later.
    assert!(cluster.node("db1").is_primary() && cluster.node("db2").is_primary());
    assert!(cluster.write(3));
    pass(&mut cluster, 5);
    assert!(!cluster.node("db1").is_primary());
    cluster.inject(&Fault::Heal(host("db1")));
    pass(&mut cluster, 10);
    assert!(cluster.has_value(1) && cluster.has_value(3) && !cluster.has_value(2));
    let values = &cluster.node("db1").disk.data.values;
    assert_eq!(*values, BTreeSet::from([1, 3]));
}

#[test]
fn without_a_majority_there_is_no_primary() {
    let mut cluster = slow();
    cluster.inject(&Fault::Down(host("db2")));
    cluster.inject(&Fault::Down(host("db3")));
    pass(&mut cluster, 60);
    assert_eq!((cluster.primary(), cluster.needed()), (None, 2));
    assert!(cluster.serving().is_empty() && !cluster.write(2));
    cluster.node_mut("db3").machine.unit(UNIT).is_enabled = false;
    cluster.inject(&Fault::Up(host("db3")));
    cluster.inject(&Fault::Up(host("db2")));
    pass(&mut cluster, 60);
    assert_eq!(cluster.serving(), names(&["db1", "db2"]));
    assert!(cluster.write(3));
}

#[test]
fn who_is_behind_is_not_elected() {
    let mut cluster = slow();
    cluster.inject(&Fault::Crash(host("db3")));
    assert!(cluster.write(2));
    cluster.inject(&Fault::Crash(host("db2")));
    cluster.inject(&Fault::Revive(host("db3")));
    cluster.inject(&Fault::Crash(host("db1")));
    cluster.inject(&Fault::Revive(host("db2")));
    pass(&mut cluster, 30);
    assert_eq!(cluster.primary(), Some("db2"));
    assert!(cluster.has_value(2));
}

#[test]
fn a_primary_steps_down_only_for_one_that_has_everything() {
    let mut cluster = slow();
    cluster.inject(&Fault::Crash(host("db2")));
    assert!(send(&mut cluster, "db1", MongoCommand::new("replSetStepDown", 60)).is_err());
    cluster.inject(&Fault::Revive(host("db2")));
    pass(&mut cluster, 3);
    assert!(send(&mut cluster, "db2", MongoCommand::new("replSetStepDown", 60)).is_err());
    cluster.inject(&Fault::Crash(host("db3")));
    let early = send(&mut cluster, "db1", MongoCommand::new("replSetStepDown", 60));
    assert!(early.is_err(), "db2 still copies");
    pass(&mut cluster, 5);
    cluster.inject(&Fault::Revive(host("db3")));
    pass(&mut cluster, 8);
    assert_eq!(
        send(&mut cluster, "db1", MongoCommand::new("replSetStepDown", 60)),
        Ok(())
    );
    pass(&mut cluster, 10);
    assert_eq!(cluster.primary(), Some("db2"));
}

#[test]
fn stopping_a_primary_that_could_have_handed_over_is_told() {
    let mut cluster = slow();
    unit(&mut cluster, "db2", UnitVerb::Restart);
    pass(&mut cluster, 60);
    assert_eq!(cluster.violations(), [""; 0]);
    unit(&mut cluster, "db1", UnitVerb::Restart);
    assert_eq!(cluster.violations().len(), 1, "{:?}", cluster.violations());
}

#[test]
fn a_configuration_is_refused_as_the_server_refuses_it() {
    let mut cluster = slow();
    let config = cluster.node("db1").disk.config.clone().unwrap();
    let refused = |cluster: &mut Cluster, name: &str, config: &super::SetConfig| {
        let done = send(
            cluster,
            name,
            MongoCommand::new("replSetReconfig", config.document()),
        );
        done.expect_err("a refusal").to_string()
    };
    let found = refused(&mut cluster, "db1", &config);
    assert!(found.contains("code 103"), "the version is the old one: {found}");
    let found = refused(&mut cluster, "db2", &config);
    assert!(found.contains("code 10107"), "{found}");
    // A primary that lost the others has no majority to commit it.
    cluster.inject(&Fault::Crash(host("db2")));
    cluster.inject(&Fault::Crash(host("db3")));
    let found = refused(&mut cluster, "db1", &config);
    assert!(found.contains("code 308"), "{found}");
}

#[test]
fn what_is_played_is_an_inventory_that_turns() {
    let play = PLAYS.iter().find(|play| play.kind == "mongodb").unwrap();
    let hosts = "db1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\ndb3 = \"10.0.0.3\"\n";
    let text = |turn| format!("[hosts]\n{hosts}{}", (play.inventory)(&super::THREE, turn));
    cases::service(crate::tests::KINDS, &text(0));
    assert_ne!(text(0), text(1));
    let cluster = (play.world)(&["db1", "db2"], PACE);
    assert_eq!((cluster.needed(), cluster.serving().len()), (0, 0));
}

#[test]
fn a_built_set_needs_a_majority_of_its_voters() {
    let cluster = built(&*service(""));
    assert_eq!((cluster.needed(), cluster.serving().len()), (2, 3));
}

#[test]
fn who_is_unavailable_is_known_at_any_moment() {
    let four = ["db1", "db2", "db3", "db4"];
    let service = service(super::AUTH);
    let larger = crate::tests::service_with_warnings(&super::inventory(&four, super::AUTH));
    let away = |cluster: &Cluster| service.unavailable(&cluster.facts(&*service));
    let mut cluster = built(&*service);
    assert_eq!(away(&cluster), names(&[]));
    // It reports the role secondary, and no member hears of it.
    cluster.inject(&Fault::Cut(host("db3")));
    assert_eq!(away(&cluster), names(&["db3"]));
    cluster.inject(&Fault::Heal(host("db3")));
    cluster.node_mut("db2").lag_s = 60;
    assert_eq!(away(&cluster), names(&["db2"]));
    cluster.node_mut("db2").lag_s = 0;
    // A joining member that copies takes nothing from the set.
    let plan = super::plan(&*larger, &cluster);
    cluster.node_mut("db4").is_copying = true;
    let tasks = plan
        .tasks
        .iter()
        .take_while(|task| !task.part.starts_with("sync"));
    tasks.for_each(|task| cluster.perform(&*larger, task));
    assert_eq!(larger.unavailable(&cluster.facts(&*larger)), names(&[]));
    // A member that the inventory does not list, and that votes.
    let mut cluster = built(&*larger);
    cluster.inject(&Fault::Crash(host("db4")));
    assert_eq!(away(&cluster), names(&["db4"]));
    // There is no primary.
    let mut cluster = built(&*service);
    cluster.pace = PACE;
    cluster.inject(&Fault::Crash(host("db1")));
    assert_eq!(away(&cluster), names(&["db1", "db2", "db3"]));
    pass(&mut cluster, 11);
    assert_eq!(away(&cluster), names(&["db1"]));
}

#[test]
fn who_does_not_serve_is_restarted_first() {
    let mut cluster = by_hand();
    cluster.node_mut("db3").lag_s = 60;
    let service = service("config.net.maxIncomingConnections = 500\n");
    let plan = super::plan(&*service, &cluster);
    let restarted = plan.tasks.iter().filter(|task| task.disrupts);
    let order: Vec<&str> = restarted.map(|task| task.host.as_str()).collect();
    assert_eq!(order, ["db3", "db2", "db1"]);
}

#[test]
fn a_server_that_is_only_starting_is_not_restarted() {
    let service = service("config.net.maxIncomingConnections = 500\n");
    let mut cluster = by_hand();
    cluster.pace = PACE;
    for name in super::THREE {
        cluster.edit(name, |text| {
            text.replace("net:\n", "net:\n  maxIncomingConnections: 500\n")
        });
        cluster.inject(&Fault::Crash(host(name)));
        cluster.inject(&Fault::Revive(host(name)));
        // Somebody touches the file meanwhile.
        cluster.edit(name, |text| format!("{text}# ours\n"));
    }
    let restarts = |cluster: &Cluster| {
        let plan = super::plan(&*service, cluster);
        let restart = |task: &&kit::Task| task.title == "restart mongod.service";
        plan.tasks.iter().filter(restart).count()
    };
    assert_eq!(restarts(&cluster), 0);
    pass(&mut cluster, 60);
    assert_eq!(cluster.primary(), Some("db1"));
    super::converge(&*service, &mut cluster);
}

#[test]
fn a_member_that_was_down_for_seconds_is_available_once_it_replicates() {
    let service = service("");
    let mut cluster = by_hand();
    cluster.pace = PACE;
    pass(&mut cluster, 60);
    assert!(cluster.write(1));
    unit(&mut cluster, "db2", UnitVerb::Restart);
    assert!(cluster.write(2));
    pass(&mut cluster, 3);
    let facts = cluster.facts(&*service);
    assert_eq!(
        service.unavailable(&facts),
        names(&["db2"]),
        "it is 3 s behind, and gets nothing yet"
    );
    let is_unit = |query: &FactQuery| matches!(query, FactQuery::Unit(_));
    let silent = cases::failing(&facts, "db2", is_unit, "systemctl: timed out");
    assert_eq!(
        service.unavailable(&silent),
        names(&["db2"]),
        "when it was started is not known"
    );
    pass(&mut cluster, 5);
    assert_eq!(service.unavailable(&cluster.facts(&*service)), names(&[]));
}
