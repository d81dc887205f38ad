//! Somebody asks for a restart, and members are away while others are to be restarted.

use insta::assert_snapshot;
use plan::Level;

use super::{STEPS, assert_settled, built, converge, converge_from_everywhere, plan, service, shown};
use crate::tests::world::Rig as _;
use cases::{host, plan_restart, render};
use fakes::kvrocks::Cluster;
use kit::Service;
use kit::{StepPlan, Task};

fn asked(service: &dyn Service, world: &Cluster, then: &plan::Facts) -> StepPlan {
    let mut plan = plan_restart(service, &STEPS, &world.facts(service), then);
    plan.notes.retain(|note| note.level == Level::Warning);
    plan
}

#[test]
fn a_restart_that_is_asked_for_ends_once_every_process_was_started_again() {
    for kind in ["redis", "kvrocks"] {
        let service = service(kind, "");
        let mut world = built(&*service, kind);
        let then = world.facts(&*service);
        let whole = asked(&*service, &world, &then);
        if kind == "redis" {
            assert_snapshot!(render(&whole));
        }
        for task in &whole.tasks {
            world.perform(&*service, task);
            // Whoever was started again is not due any more, wherever the run stops.
            let left = asked(&*service, &world, &then);
            let is_same = |left: &Task| (&left.host, &left.title) == (&task.host, &task.title);
            let restarts = task.title.starts_with("restart");
            assert!(!restarts || !left.tasks.iter().any(is_same), "{}", render(&left));
        }
        let left = asked(&*service, &world, &then);
        assert!(cases::is_settled(&left), "{}", render(&left));
        assert_eq!(world.violations(), [""; 0]);
        assert_settled(&*service, &world);
    }
}

#[test]
fn a_restart_that_dies_anywhere_goes_on_with_the_rest() {
    let service = service("redis", "");
    let world = built(&*service, "redis");
    let then = world.facts(&*service);
    let whole = asked(&*service, &world, &then).tasks.len();
    for survived in 0..=whole {
        let mut world = world.clone();
        for task in asked(&*service, &world, &then).tasks.iter().take(survived) {
            world.perform(&*service, task);
        }
        let rest = asked(&*service, &world, &then);
        // A master that handed over before the run died is a replica like others now, and another has to hand over.
        assert!(rest.tasks.len() <= whole, "{}", render(&rest));
        for task in &rest.tasks {
            world.perform(&*service, task);
        }
        let left = asked(&*service, &world, &then);
        assert!(cases::is_settled(&left), "{}", render(&left));
        assert_eq!(world.violations(), [""; 0]);
    }
}

#[test]
fn an_old_master_that_does_not_know_it_yet_is_waited_for() {
    let mut world = built(&*service("redis", ""), "redis");
    world.fail_over();
    world.server_mut("db1").follows = None;
    let service = service("redis", "directives = { databases = 32 }\n");
    let found = shown(&*service, &world);
    let waits =
        "    only if db1 is a replica now\n    once all sentinels name another master than db1\n    $ sed";
    assert!(found.contains(waits), "{found}");
}

#[test]
fn who_is_off_is_started_before_anybody_is_restarted() {
    let mut world = built(&*service("redis", ""), "redis");
    world.stop("db3");
    world.sentinel_off("db2");
    let service = service("redis", "directives = { databases = 32 }\n");
    let found = plan(&*service, &world);
    let order = found
        .tasks
        .iter()
        .map(|task| format!("{} {}", task.host, task.title));
    let order: Vec<String> = order.filter(|line| line.contains("start ")).collect();
    assert_eq!(
        order,
        [
            "db3 start redis-server.service",
            "db2 start redis-sentinel.service",
            "db2 restart redis-server.service",
            "db1 restart redis-server.service"
        ]
    );
    converge_from_everywhere(&*service, &world);
}

#[test]
fn members_are_away_in_many_ways() {
    let service = service("redis", "");
    let away = |world: &Cluster| service.unavailable(&world.facts(&*service));
    let world = built(&*service, "redis");
    assert_eq!(away(&world), [].into());
    let mut behind = world.clone();
    behind.server_mut("db2").lag = 2_000_000;
    assert_eq!(away(&behind), [host("db2")].into());
    let mut unlinked = world.clone();
    unlinked.server_mut("db3").masterauth.clear();
    unlinked.settle();
    assert_eq!(away(&unlinked), [host("db3")].into());
    let mut second = world.clone();
    second.server_mut("db3").follows = None;
    assert_eq!(away(&second), [host("db3")].into());
    let mut mute = world.clone();
    mute.sentinel_off("db1");
    assert_eq!(away(&mute), [host("db1")].into());
    let mut torn = world.clone();
    let sentinel = torn.node_mut("db3").sentinel.as_mut().unwrap();
    sentinel.watched[0].ip = "10.0.0.3".to_owned();
    assert_eq!(away(&torn).len(), 3);
}

#[test]
fn a_master_that_was_replaced_while_it_was_off_never_starts_as_a_second_one() {
    for kind in ["redis", "kvrocks"] {
        let service = service(kind, "");
        let mut world = built(&*service, kind);
        world.stop("db1");
        world.fail_over();
        converge_from_everywhere(&*service, &world);
        converge(&*service, &mut world);
        assert_eq!(world.violations(), [""; 0]);
    }
}

/// Starts an engine that is about to answer.
fn boots(world: &mut Cluster, name: &str) {
    world.tempo.start = 1_000_000;
    world.restart(name);
    world.tempo.start = 0;
}

#[test]
fn a_master_that_was_replaced_and_boots_while_it_is_looked_at_never_serves_as_a_second_one() {
    let mut world = built(&*service("redis", ""), "redis");
    world.stop("db1");
    world.fail_over();
    boots(&mut world, "db1");
    let service = service("redis", "directives = { databases = 32 }\n");
    let found = plan(&*service, &world);
    assert!(
        found
            .tasks
            .iter()
            .any(|task| task.reason.contains("it becomes a replica of db2")),
        "{}",
        render(&found)
    );
    converge_from_everywhere(&*service, &world);
    for task in &found.tasks {
        world.perform(&*service, task);
    }
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn a_sentinel_that_is_about_to_answer_is_waited_for() {
    let service = service("redis", "");
    let mut world = built(&*service, "redis");
    world.tempo.start = 1_000_000;
    world.restart_sentinel("db2");
    let found = shown(&*service, &world);
    assert!(
        found.starts_with(
            "db2: wait for redis-sentinel.service, because it was started, and does not answer yet"
        ),
        "{found}"
    );
    converge(&*service, &mut world);
}

/// It is planned to be restarted at once, for nobody uses it; it may serve by then, and would be missed.
#[test]
fn who_boots_while_it_is_looked_at_is_not_stopped_once_it_serves() {
    for name in ["db1", "db3"] {
        let mut world = built(&*service("redis", ""), "redis");
        world.stop(name);
        boots(&mut world, name);
        let service = service("redis", "directives = { databases = 32 }\n");
        let found = plan(&*service, &world);
        let is_restart = |task: &&Task| task.host == host(name) && task.title.starts_with("restart");
        let restart = found.tasks.iter().find(is_restart).unwrap();
        let only_if = restart.action.iter().flat_map(|action| &action.only_if);
        let what: Vec<&str> = only_if.map(|only| only.what.as_str()).collect();
        let silent = format!("{name} still does not answer");
        assert_eq!(what, ["db1 is still the master", silent.as_str()]);
        converge(&*service, &mut world);
        assert_eq!(world.violations(), [""; 0]);
    }
}
