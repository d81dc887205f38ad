//! Case tests: settings and a cluster → plan; and each plan, carried out, leaves nothing to do.

mod adopt;
mod basis;
mod checks;
mod drift;
mod fresh;
mod in_time;
mod members;
mod moved_leader;
mod others_settings;
mod paused;
mod refused;
mod rejoin;
mod restart;
mod rig;
mod runbook;
mod scale;
mod settings;

use ::plan::{Level, Verdict};
use protocol::{Action, Operation};

use crate::KIND;
use cases::{self, plan_steps_after, render};
use fakes::FakeCluster as _;
use fakes::clickhouse::{DEBIAN, MODERN};
use kit::Service;
use kit::{StepPlan, Task};

use crate::tests::rig::Rig as _;
use fakes::clickhouse::Cluster;

/// The kinds that inventories here may name.
const KINDS: kit::Kinds = kit::Kinds::new(&[super::KIND]);

/// What reading an inventory reports.
fn errors(inventory: &str) -> Vec<String> {
    cases::errors(KINDS, inventory)
}

/// The service of an inventory.
fn service(inventory: &str) -> Box<dyn kit::Service> {
    cases::service(KINDS, inventory)
}

/// The service of an inventory that is warned of.
fn service_with_warnings(inventory: &str) -> Box<dyn kit::Service> {
    cases::service_with_warnings(KINDS, inventory)
}

/// The steps of the built-in playbook, in its order; the packages are installed before the second of them.
const STEPS: [&str; 12] = [
    "check",
    "zookeeper-config",
    "zookeeper-start",
    "config",
    "start",
    "zookeeper-restart",
    "restart",
    "reload",
    "replicas",
    "new-replicas",
    "verify",
    "leave",
];

#[test]
fn the_playbook_has_these_steps() {
    let lines = KIND.playbook().lines();
    let used: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("uses = \"clickhouse.")?.strip_suffix('"'))
        .collect();
    assert_eq!(used, STEPS);
    assert_eq!(KIND.steps(), STEPS);
}

fn inventory(hosts: &[&str], more: &str) -> String {
    inventory_among(hosts, hosts, more)
}

/// The same where the inventory has other hosts too.
fn inventory_among(all: &[&str], hosts: &[&str], more: &str) -> String {
    let named: Vec<String> = all
        .iter()
        .map(|host| format!("{host} = \"10.0.0.{}\"", &host[2..]))
        .collect();
    let named = named.join("\n");
    let list: Vec<String> = hosts.iter().map(|host| format!("{host:?}")).collect();
    format!(
        "[hosts]\n{named}\n[services.clickhouse]\nhosts = [{}]\n{more}",
        list.join(", ")
    )
}

const DB: [&str; 3] = ["db1", "db2", "db3"];
/// All hosts of the inventory where it has more than the service.
const ALL: [&str; 4] = ["db1", "db2", "db3", "db4"];
const ZOO: &str = "coordination = \"zookeeper\"\n";
/// What the client wrote into the cluster that was built.
const WRITTEN: u64 = 1;

/// The service on some of all hosts.
fn among(hosts: &[&str], more: &str) -> Box<dyn Service> {
    crate::tests::service_with_warnings(&inventory_among(&ALL, hosts, more))
}

/// The cluster on these hosts, with all four there.
fn built_among(hosts: &[&str], more: &str, version: &'static str) -> Cluster {
    let mut cluster = packaged(&ALL, version);
    converge(&*among(hosts, more), &mut cluster);
    assert!(cluster.write(WRITTEN));
    cluster
}

fn service_on(hosts: &[&str], more: &str) -> Box<dyn Service> {
    crate::tests::service(&inventory(hosts, more))
}

/// ZooKeeper, no password.
fn zookeeper(more: &str) -> Box<dyn Service> {
    service_on(&DB, &format!("coordination = \"zookeeper\"\n{more}"))
}

fn keeper(more: &str) -> Box<dyn Service> {
    service_on(&DB, more)
}

/// Hosts whose packages were installed and never started.
fn packaged(hosts: &[&str], version: &'static str) -> Cluster {
    let mut cluster = Cluster::new(hosts, version);
    for host in hosts {
        cluster.install_both(host);
    }
    cluster
}

/// A cluster that was built by our own plan, with a replicated table.
fn built(service: &dyn Service, version: &'static str) -> Cluster {
    let hosts: Vec<&str> = service.hosts().iter().map(types::HostName::as_str).collect();
    let mut cluster = packaged(&hosts, version);
    converge(service, &mut cluster);
    // The client makes its table and writes into it.
    assert!(cluster.write(WRITTEN));
    cluster
}

fn plan(service: &dyn Service, cluster: &Cluster) -> StepPlan {
    plan_allowing(service, cluster, &[])
}

fn plan_allowing(service: &dyn Service, cluster: &Cluster, allow: &[&str]) -> StepPlan {
    let facts = cluster.facts(service);
    let mut earlier: Vec<Task> = Vec::new();
    for host in service.hosts() {
        let node = cluster.node(host.as_str());
        if node.is_up && node.machine.packages.is_empty() {
            let mut names = vec![
                service.vars()["package"].clone(),
                service.vars()["zookeeper_package"].clone(),
            ];
            names.retain(|name| !name.is_empty());
            let action = Action {
                only_if: Vec::new(),
                operation: Operation::InstallPackages { names },
                limit_ms: 1,
            };
            earlier.push(Task::new(host, "install", "it is missing", action));
        }
    }
    plan_steps_after(service, earlier, &STEPS, &facts, allow)
}

/// The plan as text, without what is only good to know.
fn shown(service: &dyn Service, cluster: &Cluster) -> String {
    shown_allowing(service, cluster, &[])
}

fn shown_allowing(service: &dyn Service, cluster: &Cluster, allow: &[&str]) -> String {
    let mut plan = plan_allowing(service, cluster, allow);
    plan.notes
        .retain(|note| note.level == Level::Warning && !note.text.contains("has no password"));
    for task in &mut plan.tasks {
        task.preview = None;
    }
    render(&plan)
}

fn is_settled(plan: &StepPlan) -> bool {
    plan.tasks.is_empty() && plan.refusals.is_empty() && plan.unplanned.is_empty()
}

/// Plans, carries the plan out, and expects that all gates pass and nothing is left to do.
fn converge(service: &dyn Service, cluster: &mut Cluster) {
    converge_allowing(service, cluster, &[]);
}

fn converge_allowing(service: &dyn Service, cluster: &mut Cluster, allow: &[&str]) {
    let found = plan_allowing(service, cluster, allow);
    perform(service, cluster, &found.tasks);
    let facts = cluster.facts(service);
    let gates = found.tasks.iter().flat_map(|task| &task.gates);
    for gate in gates.filter(|gate| gate.check != "votes") {
        let verdict = service.judge(&gate.check, gate.host.as_ref(), &facts);
        assert_eq!(verdict, Verdict::Pass, "{}", gate.title);
    }
    let left = plan_allowing(service, cluster, allow);
    assert!(is_settled(&left), "{}", render(&left));
    if allow.is_empty() {
        assert!(cluster.violations().is_empty(), "{:?}", cluster.violations());
        assert!(cluster.has_value(WRITTEN) || !cluster.has_tables());
    }
}

/// Carries tasks out under the budget of one, as the executor does: a host that is missed blocks the disruption of others
/// until a node that disrupts it has passed its gates.
fn perform(service: &dyn Service, cluster: &mut Cluster, tasks: &[Task]) {
    let mut missed = service.unavailable(&cluster.facts(service));
    for task in tasks {
        for gate in &task.before {
            wait(service, cluster, gate, &task.title);
        }
        if task.disrupts {
            let others: Vec<_> = missed.iter().filter(|host| **host != task.host).collect();
            assert!(
                others.is_empty(),
                "{} on {} waits for {others:?} for ever",
                task.title,
                task.host
            );
            missed.remove(&task.host);
        }
        cluster.perform(task);
        // What is true only until a later task.
        for gate in task.gates.iter().filter(|gate| gate.check == "votes") {
            wait(service, cluster, gate, &task.title);
        }
    }
}

/// Waits until a gate passes.
fn wait(service: &dyn Service, cluster: &mut Cluster, gate: &::plan::Gate, title: &str) {
    for left in (0..5).rev() {
        match service.judge(&gate.check, gate.host.as_ref(), &cluster.facts(service)) {
            Verdict::Pass => return,
            verdict => assert!(left > 0, "{title}: {}: {verdict:?}", gate.title),
        }
        cluster.tick();
    }
}

/// The same, but the run dies after each of its actions in turn: the next plan always finishes the work.
fn converge_from_everywhere(service: &dyn Service, cluster: &Cluster) {
    let tasks = plan(service, cluster).tasks;
    for survived in 0..=tasks.len() {
        let mut cluster = cluster.clone();
        perform(service, &mut cluster, &tasks[..survived]);
        cluster.tick();
        converge(service, &mut cluster);
    }
}
