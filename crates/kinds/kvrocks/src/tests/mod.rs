//! Case tests: settings and a cluster → plan; and each plan, carried out, leaves nothing to do.

mod absent;
mod adopted;
mod basis;
mod directives;
mod drift;
mod failover;
mod file_drift;
mod fresh;
mod judged;
mod members;
mod paused;
mod played;
mod refused;
mod restarted;
mod rig;
mod scaled;
mod settings;
mod silent;
mod unplanned;

use crate::KIND;
use crate::tests::rig::Rig as _;
use cases::{self, plan_steps_allowing, render};
use fakes::kvrocks::{Cluster, Tempo};
use formats::engine::Engine;
use kit::Service;
use kit::StepPlan;

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

/// Our password as facts show it.
const OURS: &str = "⟪secret:file:pw⟫";
/// Somebody else's.
const OTHER: &str = "⟪kept:10+32⟫";

/// The steps of the built-in playbook, in its order.
const STEPS: [&str; 9] = [
    "check",
    "sentinel-set",
    "config",
    "set",
    "restart",
    "sentinel-seed",
    "sentinel-start",
    "sentinel-quorum",
    "leave",
];

#[test]
fn the_playbook_has_these_steps() {
    let lines = KIND.playbook().lines();
    let used: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("uses = \"kvrocks.")?.strip_suffix('"'))
        .collect();
    assert_eq!(used, STEPS);
    assert!(STEPS.iter().all(|step| KIND.steps().contains(step)));
}

/// An inventory with an engine, its members and more settings.
fn inventory(kind: &str, members: usize, more: &str) -> String {
    let hosts: Vec<String> = (1..=members)
        .map(|at| format!("db{at} = \"10.0.0.{at}\"\n"))
        .collect();
    let names: Vec<String> = (1..=members).map(|at| format!("\"db{at}\"")).collect();
    format!(
        "[hosts]\n{}\n[services.cache]\nkind = \"kvrocks\"\nengine = \"{kind}\"\nhosts = [{}]\n\
         password = {{ file = \"pw\" }}\n{more}",
        hosts.concat(),
        names.join(", ")
    )
}

fn service(kind: &str, more: &str) -> Box<dyn Service> {
    cases::service(KINDS, &inventory(kind, 3, more))
}

/// Hosts on which the packages were just installed: everything runs with the packages' own files.
fn packaged(kind: &str, members: usize) -> Cluster {
    let names = ["db1", "db2", "db3", "db4"];
    let engines = [Engine::Kvrocks, Engine::Redis, Engine::Valkey];
    let engine = engines.into_iter().find(|engine| engine.name() == kind);
    let tempo = Tempo {
        // Nobody is elected unless a test asks for it.
        elect: i64::MAX / 4,
        ..Tempo::default()
    };
    let mut fake = Cluster::new(engine.expect("an engine"), &names[..members], tempo);
    for name in &names[..members] {
        fake.install(name);
    }
    fake
}

/// A cluster that was built from scratch by our own plan.
fn built(service: &dyn Service, kind: &str) -> Cluster {
    let mut fake = packaged(kind, service.hosts().len());
    converge(service, &mut fake);
    fake.fill("db1", 100);
    fake
}

/// A cluster that an operator built by hand from the runbook.
fn by_hand(kind: &str) -> Cluster {
    let mut fake = packaged(kind, 3);
    for at in 1..=3 {
        let name = &fake.nodes[at - 1].name.clone();
        let role = if at == 1 { "" } else { "slaveof 10.0.0.1 6666\n" };
        let text = format!(
            "# ours\nport 6666\nbind 127.0.0.1 10.0.0.{at}\nrequirepass {OURS}\nmasterauth {OURS}\n{role}maxmemory 100mb\n"
        );
        let config = fake.config();
        fake.write(name, config, &text);
        fake.restart(name);
    }
    fake.fill("db1", 100);
    for at in 1..=3 {
        let name = &fake.nodes[at - 1].name.clone();
        let text = format!(
            "bind 0.0.0.0\nport 26379\nsentinel resolve-hostnames yes\nsentinel monitor altcraft 10.0.0.1 6666 2\n\
             sentinel auth-pass altcraft {OURS}\n"
        );
        let config = fake.sentinel_config();
        fake.write(name, config, &text);
        fake.restart_sentinel(name);
    }
    fake
}

fn plan(service: &dyn Service, fake: &Cluster) -> StepPlan {
    plan_allowing(service, fake, &[])
}

fn plan_allowing(service: &dyn Service, fake: &Cluster, allow: &[&str]) -> StepPlan {
    plan_steps_allowing(service, &STEPS, &fake.facts(service), allow)
}

/// The plan as text, without what is only good to know.
fn shown(service: &dyn Service, fake: &Cluster) -> String {
    let mut plan = plan(service, fake);
    plan.notes.retain(|note| note.level == ::plan::Level::Warning);
    render(&plan)
}

/// Plans, carries the plan out, and expects that nothing is left to do.
fn converge(service: &dyn Service, fake: &mut Cluster) {
    let mut found = plan(service, fake);
    if found.refusals.iter().any(|refusal| refusal.passing) {
        // A failover was cut off: Sentinel elects another.
        let tempo = fake.tempo;
        (fake.tempo.down, fake.tempo.elect) = (30_000_000, 50_000_000);
        fake.pass_until(fake.now + 60_000_000);
        fake.tempo = tempo;
        found = plan(service, fake);
    }
    for task in &found.tasks {
        fake.perform(service, task);
    }
    let left = plan(service, fake);
    assert!(cases::is_settled(&left), "{}", render(&left));
}

/// The same, but the run dies after each of its actions in turn: the next plan always finishes the work.
fn converge_from_everywhere(service: &dyn Service, fake: &Cluster) {
    let steps = plan(service, fake).tasks.len();
    for survived in 0..=steps {
        let mut fake = fake.clone();
        for task in plan(service, &fake).tasks.iter().take(survived) {
            fake.perform(service, task);
        }
        converge(service, &mut fake);
    }
}

fn assert_settled(service: &dyn Service, fake: &Cluster) {
    let left = plan(service, fake);
    assert!(cases::is_settled(&left), "{}", render(&left));
}
