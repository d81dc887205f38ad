//! Case tests: settings and a cluster → plan; and each plan, carried out, leaves nothing to do.

mod actions;
mod adopted;
mod answers;
mod basis;
mod directives;
mod drift;
mod failover;
mod fresh;
mod judged;
mod members;
mod refused;
mod servers;
mod settings;
mod world;

use std::collections::BTreeMap;

use crate::kind::{Kind, Service};
use crate::kvrocks::Kvrocks;
use crate::step::StepPlan;
use crate::testing::{self, plan_steps_allowing, render};

use world::{Node, OURS, World};

/// The steps of the built-in playbook, in its order.
const STEPS: [&str; 7] = [
    "check",
    "sentinel-set",
    "config",
    "set",
    "restart",
    "sentinel-seed",
    "sentinel-start",
];

#[test]
fn the_playbook_has_these_steps() {
    let lines = Kvrocks.playbook().lines();
    let used: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("uses = \"kvrocks.")?.strip_suffix('"'))
        .collect();
    assert_eq!(used, STEPS);
    assert!(STEPS.iter().all(|step| Kvrocks.steps().contains(step)));
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
    testing::service(&inventory(kind, 3, more))
}

/// Debian's redis.conf, shortened.
const REDIS_CONF: &str = "\
# By default, if no \"bind\" configuration directive is specified, Redis listens
# for connections from all available network interfaces on the host machine.
bind 127.0.0.1 -::1
protected-mode yes
port 6379
daemonize yes
# requirepass foobared
dir /var/lib/redis
";

const KVROCKS_CONF: &str = "\
# By default kvrocks listens for connections from localhost interface.
bind 127.0.0.1
port 6666
dir /var/lib/kvrocks
# requirepass foobared
";

/// Debian's sentinel.conf, shortened.
const SENTINEL_CONF: &str = "\
protected-mode no
port 26379
daemonize yes
pidfile /run/sentinel/redis-sentinel.pid
logfile /var/log/redis/redis-sentinel.log
dir /var/lib/redis
sentinel monitor mymaster 127.0.0.1 6379 2
";

/// Hosts on which the packages were just installed: everything runs with the packages' own files.
fn packaged(kind: &'static str, members: usize) -> World {
    let names = ["db1", "db2", "db3", "db4"];
    let nodes = (1..=members).map(|at| Node {
        name: names[at - 1],
        address: format!("10.0.0.{at}"),
        is_reachable: true,
        files: BTreeMap::new(),
        keys: 0,
        has_data_files: true,
        engine: None,
        is_enabled: true,
        sentinel: None,
        sentinel_is_enabled: true,
        is_installed: true,
    });
    let mut world = World {
        kind,
        nodes: nodes.collect(),
        now: 1_000,
    };
    for name in names.iter().take(members) {
        install(&mut world, name);
    }
    world
}

/// What installing the packages on a host comes to.
fn install(world: &mut World, name: &str) {
    let node = world.node_mut(name);
    (node.is_installed, node.is_enabled, node.sentinel_is_enabled) = (true, true, true);
    node.has_data_files = true;
    let text = if world.kind == "kvrocks" {
        KVROCKS_CONF
    } else {
        REDIS_CONF
    };
    let (config, sentinel_config) = (world.config(), world.sentinel_config());
    world.write(name, config, text);
    world.write(name, sentinel_config, SENTINEL_CONF);
    world.restart(name);
    world.restart_sentinel(name);
}

/// A cluster that was built from scratch by our own plan.
fn built(service: &dyn Service, kind: &'static str) -> World {
    let mut world = packaged(kind, service.hosts().len());
    converge(service, &mut world);
    for node in &mut world.nodes {
        if let Some(sentinel) = &mut node.sentinel {
            sentinel.voters = service.hosts().len();
        }
    }
    world.node_mut("db1").keys = 1_000;
    world.settle();
    world
}

/// A cluster that an operator built by hand from the runbook.
fn by_hand(kind: &'static str) -> World {
    let mut world = packaged(kind, 3);
    for at in 1..=3 {
        let name = world.nodes[at - 1].name;
        let role = if at == 1 { "" } else { "slaveof 10.0.0.1 6666\n" };
        let text = format!(
            "# ours\nport 6666\nbind 127.0.0.1 10.0.0.{at}\nrequirepass {OURS}\nmasterauth {OURS}\n{role}maxmemory 100mb\n"
        );
        let config = world.config();
        world.write(name, config, &text);
        world.restart(name);
    }
    world.node_mut("db1").keys = 1_000;
    world.settle();
    for at in 1..=3 {
        let name = world.nodes[at - 1].name;
        let text = format!(
            "bind 0.0.0.0\nport 26379\nsentinel resolve-hostnames yes\nsentinel monitor altcraft 10.0.0.1 6666 2\n\
             sentinel auth-pass altcraft {OURS}\n"
        );
        let config = world.sentinel_config();
        world.write(name, config, &text);
        world.restart_sentinel(name);
        world.node_mut(name).sentinel.as_mut().expect("a sentinel").voters = 3;
    }
    world
}

fn plan(service: &dyn Service, world: &World) -> StepPlan {
    plan_allowing(service, world, &[])
}

fn plan_allowing(service: &dyn Service, world: &World, allow: &[&str]) -> StepPlan {
    plan_steps_allowing(service, &STEPS, &world.facts(service), allow)
}

/// The plan as text, without what is only good to know.
fn shown(service: &dyn Service, world: &World) -> String {
    let mut plan = plan(service, world);
    plan.notes.retain(|note| note.level == ::plan::Level::Warning);
    render(&plan)
}

/// Plans, carries the plan out, and expects that nothing is left to do.
fn converge(service: &dyn Service, world: &mut World) {
    let found = plan(service, world);
    for task in &found.tasks {
        world.perform(service, task);
    }
    let left = plan(service, world);
    assert!(left.is_settled(), "{}", render(&left));
}

/// The same, but the run dies after each of its actions in turn: the next plan always finishes the work.
fn converge_from_everywhere(service: &dyn Service, world: &World) {
    let steps = plan(service, world).tasks.len();
    for survived in 0..=steps {
        let mut world = world.clone();
        for task in plan(service, &world).tasks.iter().take(survived) {
            world.perform(service, task);
        }
        converge(service, &mut world);
    }
}

fn assert_settled(service: &dyn Service, world: &World) {
    let left = plan(service, world);
    assert!(left.is_settled(), "{}", render(&left));
}
