//! Somebody asks for a restart, and members are away while others are to be restarted.

use insta::assert_snapshot;
use plan::Level;

use super::{STEPS, assert_settled, built, converge, converge_from_everywhere, plan, service, shown};
use crate::tests::rig::Rig as _;
use cases::{host, plan_restart, render};
use fakes::kvrocks::Cluster;
use kit::Service;
use kit::{StepPlan, Task};

fn asked(service: &dyn Service, fake: &Cluster, then: &plan::Facts) -> StepPlan {
    let mut plan = plan_restart(service, &STEPS, &fake.facts(service), then);
    plan.notes.retain(|note| note.level == Level::Warning);
    plan
}

#[test]
fn a_requested_restart_ends_once_every_process_was_restarted() {
    for kind in ["redis", "kvrocks"] {
        let service = service(kind, "");
        let mut fake = built(&*service, kind);
        let then = fake.facts(&*service);
        let whole = asked(&*service, &fake, &then);
        if kind == "redis" {
            assert_snapshot!(render(&whole));
        }
        for task in &whole.tasks {
            fake.perform(&*service, task);
            // Whoever was started again is not due any more, wherever the run stops.
            let left = asked(&*service, &fake, &then);
            let is_same = |left: &Task| (&left.host, &left.title) == (&task.host, &task.title);
            let restarts = task.title.starts_with("restart");
            assert!(!restarts || !left.tasks.iter().any(is_same), "{}", render(&left));
        }
        let left = asked(&*service, &fake, &then);
        assert!(cases::is_settled(&left), "{}", render(&left));
        assert_eq!(fake.violations(), [""; 0]);
        assert_settled(&*service, &fake);
    }
}

#[test]
fn a_restart_that_dies_anywhere_goes_on_with_the_rest() {
    let service = service("redis", "");
    let fake = built(&*service, "redis");
    let then = fake.facts(&*service);
    let whole = asked(&*service, &fake, &then).tasks.len();
    for survived in 0..=whole {
        let mut fake = fake.clone();
        for task in asked(&*service, &fake, &then).tasks.iter().take(survived) {
            fake.perform(&*service, task);
        }
        let rest = asked(&*service, &fake, &then);
        // A master that handed over before the run died is a replica like others now, and another has to hand over.
        assert!(rest.tasks.len() <= whole, "{}", render(&rest));
        for task in &rest.tasks {
            fake.perform(&*service, task);
        }
        let left = asked(&*service, &fake, &then);
        assert!(cases::is_settled(&left), "{}", render(&left));
        assert_eq!(fake.violations(), [""; 0]);
    }
}

#[test]
fn an_old_master_that_does_not_know_it_yet_is_waited_for() {
    let mut fake = built(&*service("redis", ""), "redis");
    fake.fail_over();
    fake.server_mut("db1").follows = None;
    let service = service("redis", "directives = { databases = 32 }\n");
    let found = shown(&*service, &fake);
    let waits =
        "    only if db1 is a replica now\n    once all sentinels name another master than db1\n    $ sed";
    assert!(found.contains(waits), "{found}");
}

#[test]
fn what_is_down_is_started_before_any_member_is_restarted() {
    let mut fake = built(&*service("redis", ""), "redis");
    fake.stop("db3");
    fake.sentinel_off("db2");
    let service = service("redis", "directives = { databases = 32 }\n");
    let found = plan(&*service, &fake);
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
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn members_are_away_in_many_ways() {
    let service = service("redis", "");
    let away = |fake: &Cluster| service.unavailable(&fake.facts(&*service));
    let fake = built(&*service, "redis");
    assert_eq!(away(&fake), [].into());
    let mut behind = fake.clone();
    behind.server_mut("db2").lag = 2_000_000;
    assert_eq!(away(&behind), [host("db2")].into());
    let mut unlinked = fake.clone();
    unlinked.server_mut("db3").masterauth.clear();
    unlinked.settle();
    assert_eq!(away(&unlinked), [host("db3")].into());
    let mut second = fake.clone();
    second.server_mut("db3").follows = None;
    assert_eq!(away(&second), [host("db3")].into());
    let mut mute = fake.clone();
    mute.sentinel_off("db1");
    assert_eq!(away(&mute), [host("db1")].into());
    let mut torn = fake.clone();
    let sentinel = torn.node_mut("db3").sentinel.as_mut().unwrap();
    sentinel.watched[0].ip = "10.0.0.3".to_owned();
    assert_eq!(away(&torn).len(), 3);
}

#[test]
fn a_master_that_was_replaced_while_it_was_off_never_starts_as_a_second_one() {
    for kind in ["redis", "kvrocks"] {
        let service = service(kind, "");
        let mut fake = built(&*service, kind);
        fake.stop("db1");
        fake.fail_over();
        converge_from_everywhere(&*service, &fake);
        converge(&*service, &mut fake);
        assert_eq!(fake.violations(), [""; 0]);
    }
}

/// Starts an engine that is about to answer.
fn boots(fake: &mut Cluster, name: &str) {
    fake.tempo.start = 1_000_000;
    fake.restart(name);
    fake.tempo.start = 0;
}

#[test]
fn a_master_that_was_replaced_and_boots_while_it_is_looked_at_never_serves_as_a_second_one() {
    let mut fake = built(&*service("redis", ""), "redis");
    fake.stop("db1");
    fake.fail_over();
    boots(&mut fake, "db1");
    let service = service("redis", "directives = { databases = 32 }\n");
    let found = plan(&*service, &fake);
    assert!(
        found.tasks.iter().all(|task| task.host != host("db1")),
        "{}",
        render(&found)
    );
    assert!(
        found
            .refusals
            .iter()
            .any(|refusal| refusal.host == Some(host("db1"))),
        "{}",
        render(&found)
    );
    // Sentinel makes it a replica once it has seen it.
    fake.pass_until(fake.now + 31_000_000);
    converge_from_everywhere(&*service, &fake);
    converge(&*service, &mut fake);
    assert_eq!(fake.violations(), [""; 0]);
}

#[test]
fn a_sentinel_that_is_about_to_answer_is_waited_for() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    fake.tempo.start = 1_000_000;
    fake.restart_sentinel("db2");
    let found = shown(&*service, &fake);
    assert!(
        found.starts_with(
            "db2: wait for redis-sentinel.service, because it was started, and does not answer yet"
        ),
        "{found}"
    );
    converge(&*service, &mut fake);
}

/// It may be available by the time of its restart, and would be missed.
#[test]
fn a_member_that_boots_while_facts_are_gathered_is_not_restarted_before_it_answers() {
    for name in ["db1", "db3"] {
        let mut fake = built(&*service("redis", ""), "redis");
        fake.stop(name);
        boots(&mut fake, name);
        let service = service("redis", "directives = { databases = 32 }\n");
        let found = plan(&*service, &fake);
        assert!(
            found.tasks.iter().all(|task| task.host != host(name)),
            "{}",
            render(&found)
        );
        assert!(
            found
                .refusals
                .iter()
                .any(|refusal| refusal.host == Some(host(name))),
            "{}",
            render(&found)
        );
        fake.pass_until(fake.now + 31_000_000);
        converge(&*service, &mut fake);
        assert_eq!(fake.violations(), [""; 0]);
    }
}
