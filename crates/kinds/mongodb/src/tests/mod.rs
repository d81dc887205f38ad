//! Case tests: settings and a set → plan; and each plan, carried out, leaves nothing to do.

mod adopted;
mod arbiters;
mod basis;
mod checks;
mod drift;
mod fresh;
mod members;
mod names;
mod paused;
mod refused;
mod rig;
mod scale;
mod settings;
mod silent;
mod stored_data;
mod troubled;

use crate::KIND;
use cases::{self, is_settled, plan_steps_allowing, render};
use kit::Service;
use kit::{StepPlan, Task};

use formats::replset::{MemberConfig as Id, SetConfig};
use protocol::ActionError;
use protocol::facts::Bson;

use crate::tests::rig::Rig as _;
use fakes::Pace;
use fakes::mongodb::{CONF, LOCK, MADE, PACKAGED, Set as Cluster, UNIT};
use rig::{KEY, OUR_KEY};

/// The kinds that inventories here may name.
const KINDS: kit::Kinds = kit::Kinds::new(&[super::KIND]);

/// What reading an inventory reports.
fn errors(inventory: &str) -> Vec<String> {
    cases::errors(KINDS, inventory)
}

/// The service of an inventory that is warned of.
fn service_with_warnings(inventory: &str) -> Box<dyn kit::Service> {
    cases::service_with_warnings(KINDS, inventory)
}

/// The steps of the built-in playbook, in its order.
const STEPS: [&str; 9] = [
    "check", "keyfile", "config", "start", "initiate", "users", "members", "restart", "leave",
];

#[test]
fn the_playbook_has_these_steps() {
    let lines = KIND.playbook().lines();
    let used: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("uses = \"mongodb.")?.strip_suffix('"'))
        .collect();
    assert_eq!(used, STEPS);
    assert_eq!(KIND.steps(), STEPS);
}

/// Access control, with a user for the application.
const AUTH: &str = "keyfile = { file = \"key\" }\nadmin = { password = { file = \"admin\" } }\n\
                    users.altcraft = { password = { file = \"altcraft\" } }\n";

/// An inventory with these hosts and more settings.
fn inventory(hosts: &[&str], more: &str) -> String {
    let all: Vec<String> = (1..=5).map(|at| format!("db{at} = \"10.0.0.{at}\"\n")).collect();
    let names: Vec<String> = hosts.iter().map(|host| format!("{host:?}")).collect();
    format!(
        "[hosts]\n{}\n[services.mongodb]\nhosts = [{}]\n{more}",
        all.concat(),
        names.join(", ")
    )
}

const THREE: [&str; 3] = ["db1", "db2", "db3"];

fn service(more: &str) -> Box<dyn Service> {
    cases::service(KINDS, &inventory(&THREE, more))
}

/// Five hosts on which the package was just installed, which neither starts nor enables its server.
fn untouched() -> Cluster {
    Cluster::packaged(
        &["db1", "db2", "db3", "db4", "db5"],
        Pace::default(),
        1_000_000_000_000,
    )
}

/// The same hosts, with a standalone server running on three of them.
fn packaged() -> Cluster {
    let mut cluster = untouched();
    for name in THREE {
        cluster.node_mut(name).machine.unit(UNIT).is_enabled = true;
        cluster.restart(name);
    }
    cluster
}

/// A set that was built from scratch by our own plan.
fn built(service: &dyn Service) -> Cluster {
    let mut cluster = packaged();
    converge(service, &mut cluster);
    for node in &mut cluster.nodes[..3] {
        node.disk.data.databases = vec!["control"];
    }
    cluster
}

/// A set that an operator built by hand from the runbook: no access control, all members vote at once.
fn by_hand() -> Cluster {
    by_hand_as(str::to_owned)
}

/// The same, whose members know each other by other names than the inventory's.
fn by_hand_as(alias: impl Fn(&str) -> String) -> Cluster {
    let mut cluster = packaged();
    for node in &mut cluster.nodes[..THREE.len()] {
        node.alias = Some(alias(&node.name)).filter(|alias| *alias != node.name);
    }
    for name in THREE {
        let text = format!(
            "storage:\n  dbPath: /var/lib/mongodb\n\nreplication:\n  replSetName: rs0\n\nnet:\n  port: 27017\n  \
             bindIp: \"127.0.0.1,{name}\"\n"
        );
        cluster.write_file(name, CONF, &text, 0o644, "root");
        cluster.restart(name);
    }
    let members: Vec<_> = (0..3)
        .map(|id| {
            let host = format!("{}:27017", alias(&format!("db{}", id + 1)));
            Bson::doc([("_id", id.into()), ("host", host.into())])
        })
        .collect();
    let config = Bson::doc([
        ("_id", "rs0".into()),
        ("version", 1.into()),
        ("members", Bson::Array(members)),
    ]);
    let command = protocol::facts::MongoCommand::new("replSetInitiate", config);
    cluster.command("db1", &command);
    cluster.node_mut("db1").disk.data.databases = vec!["control"];
    cluster.settle();
    cluster
}

/// The configuration of a set that a host is alone in.
fn single(name: &str) -> SetConfig {
    let member = Bson::doc([("_id", 0.into()), ("host", format!("{name}:27017").into())]);
    SetConfig::read(&Bson::doc([
        ("_id", "rs0".into()),
        ("version", 1.into()),
        ("members", Bson::Array(vec![member])),
        (
            "settings",
            Bson::doc([("replicaSetId", Bson::ObjectId(name.to_owned()))]),
        ),
    ]))
}

/// Changes each member's document on all disks, as `rs.reconfig()` does.
fn reconfigure(cluster: &mut Cluster, change: impl Fn(usize, &mut Vec<(String, Bson)>)) {
    let config = cluster.node("db1").disk.config.clone().expect("a configuration");
    let mut document = config.document();
    if let Bson::Doc(fields) = &mut document {
        for (name, value) in fields {
            if name == "version" {
                *value = (config.version() + 1).into();
            }
            if let (Bson::Array(items), "members") = (value, name.as_str()) {
                for (at, item) in items.iter_mut().enumerate() {
                    if let Bson::Doc(member) = item {
                        change(at, member);
                    }
                }
            }
        }
    }
    cluster.node_mut("db1").disk.config = Some(SetConfig::read(&document));
    cluster.settle();
}

fn plan(service: &dyn Service, cluster: &Cluster) -> StepPlan {
    plan_allowing(service, cluster, &[])
}

fn plan_allowing(service: &dyn Service, cluster: &Cluster, allow: &[&str]) -> StepPlan {
    plan_steps_allowing(service, &STEPS, &cluster.facts(service), allow)
}

/// The plan as text, without what is only good to know.
fn shown(service: &dyn Service, cluster: &Cluster) -> String {
    shown_allowing(service, cluster, &[])
}

fn shown_allowing(service: &dyn Service, cluster: &Cluster, allow: &[&str]) -> String {
    let mut plan = plan_allowing(service, cluster, allow);
    plan.notes.retain(|note| note.level == ::plan::Level::Warning);
    render(&plan)
}

/// Plans, carries the plan out, and expects that nothing is left to do. Where something changes in the middle, such as
/// the primary, it plans again, as an apply does.
fn converge(service: &dyn Service, cluster: &mut Cluster) {
    converge_allowing(service, cluster, &[]);
}

fn converge_allowing(service: &dyn Service, cluster: &mut Cluster, allow: &[&str]) {
    let is_done = (0..5).any(|_| {
        let plan = plan_allowing(service, cluster, allow);
        let mut tasks = plan.tasks.iter();
        tasks.all(|task| performs(service, cluster, task))
    });
    assert!(is_done, "something changes with each plan");
    assert_settled(service, cluster);
}

/// Consents for standalone servers that this very plan restarts into a set: killed right then, they show nothing any more.
const DISCARDS: [&str; 5] = [
    "mongodb.discard=db1",
    "mongodb.discard=db2",
    "mongodb.discard=db3",
    "mongodb.discard=db4",
    "mongodb.discard=db5",
];

/// Carries a task out, unless something changed since the plan.
fn performs(service: &dyn Service, cluster: &mut Cluster, task: &Task) -> bool {
    match cluster.try_perform(service, task) {
        Ok(()) => true,
        Err(ActionError::Changed { .. }) => false,
        Err(error) => panic!("{}: {error}", task.title),
    }
}

/// The same, but the run dies after each of its actions in turn: the next plan always finishes the work.
fn converge_from_everywhere(service: &dyn Service, cluster: &Cluster, allow: &[&str]) {
    let steps = plan_allowing(service, cluster, allow).tasks.len();
    for survived in 0..=steps {
        let mut cluster = cluster.clone();
        let plan = plan_allowing(service, &cluster, allow);
        let mut tasks = plan.tasks.iter().take(survived);
        tasks.all(|task| performs(service, &mut cluster, task));
        converge_allowing(service, &mut cluster, allow);
    }
}

fn assert_settled(service: &dyn Service, cluster: &Cluster) {
    let left = plan(service, cluster);
    assert!(is_settled(&left), "{}", render(&left));
}
