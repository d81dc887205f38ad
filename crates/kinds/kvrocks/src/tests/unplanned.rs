//! Members whose file cannot be read or written, as where the agent does not run as root.

use plan::Facts;
use protocol::{FactQuery, Operation};

use super::{OURS, STEPS, built, converge, service};
use crate::tests::rig::Rig as _;
use cases::{host, plan_steps, render};
use fakes::kvrocks::Cluster;

/// The files of a host cannot be read. What the agent says is the error of open(2).
fn hide_files(facts: &mut Facts, name: &str) {
    let is_file = |query: &FactQuery| matches!(query, FactQuery::File(_));
    *facts = cases::failing(facts, name, is_file, "Permission denied (os error 13)");
}

/// A cluster whose engines neither ask for a password nor show one.
fn without_passwords(kind: &str) -> Cluster {
    let mut fake = built(&*service(kind, ""), kind);
    for name in ["db1", "db2", "db3"] {
        let is_other = |line: &&str| {
            !["requirepass", "masterauth"]
                .iter()
                .any(|key| line.starts_with(key))
        };
        fake.edit(name, |text| text.split_inclusive('\n').filter(is_other).collect());
        fake.restart(name);
    }
    fake
}

#[test]
fn no_master_asks_for_a_password_that_a_stopped_member_does_not_get() {
    for kind in ["redis", "valkey", "kvrocks"] {
        let fake = without_passwords(kind);
        let service = service(kind, "");
        let sets = |plan: &kit::StepPlan, key: &str| {
            let title = format!("set {key} in the running");
            let tasks = plan.tasks.iter().filter(|task| task.title.starts_with(&title));
            tasks.map(|task| task.host.to_string()).collect::<Vec<_>>()
        };
        let mut facts = fake.facts(&*service);
        let plan = plan_steps(&*service, &STEPS, &facts);
        assert_eq!(sets(&plan, "requirepass").len(), 3, "{kind}: {}", render(&plan));
        hide_files(&mut facts, "db2");
        let plan = plan_steps(&*service, &STEPS, &facts);
        assert_eq!(
            sets(&plan, "masterauth"),
            ["db3", "db1"],
            "{kind}: {}",
            render(&plan)
        );
        // A master that asks for it would lose db2 as a replica, after a reboot too.
        assert!(sets(&plan, "requirepass").is_empty(), "{kind}: {}", render(&plan));
        let has = |name: &str, key: &str| {
            let path = fake.config();
            let mut tasks = plan.tasks.iter().filter(|task| task.host == host(name));
            let text = tasks.find_map(|task| match &task.action.as_ref()?.operation {
                Operation::WriteFile { path: to, text, .. } if to == path => Some(text.as_str()),
                _ => None,
            });
            text.is_some_and(|text| text.lines().any(|line| line.starts_with(key)))
        };
        for name in ["db1", "db3"] {
            assert!(has(name, "masterauth"), "{kind}: {}", render(&plan));
            assert!(!has(name, "requirepass"), "{kind}: {}", render(&plan));
        }
    }
}

/// CONFIG GET of Kvrocks tells what is empty as nil (recorded, 2.6: `slaveof`).
#[test]
fn an_engine_without_passwords_gets_them_while_it_runs() {
    for kind in ["redis", "valkey", "kvrocks"] {
        let mut fake = without_passwords(kind);
        let starts = fake.node("db1").machine.units[fake.unit()].starts;
        converge(&*service(kind, ""), &mut fake);
        for name in ["db1", "db2", "db3"] {
            let node = fake.node(name);
            let engine = node.engine.as_ref().unwrap();
            assert!(engine.asks() && engine.masterauth == OURS, "{kind}: {name}");
        }
        assert_eq!(
            fake.node("db1").machine.units[fake.unit()].starts,
            starts,
            "{kind}"
        );
    }
}

#[test]
fn a_stopped_member_whose_file_is_not_planned_may_start_without_masterauth() {
    let service = service("redis", "");
    let mut fake = without_passwords("redis");
    fake.stop("db2");
    let mut facts = fake.facts(&*service);
    let title = "set requirepass in the running redis";
    let sets = |plan: &kit::StepPlan| plan.tasks.iter().any(|task| task.title == title);
    let plan = plan_steps(&*service, &STEPS, &facts);
    assert!(sets(&plan), "{}", render(&plan));
    hide_files(&mut facts, "db2");
    let plan = plan_steps(&*service, &STEPS, &facts);
    assert!(!sets(&plan), "{}", render(&plan));
}

#[test]
fn a_member_whose_file_is_not_planned_is_not_set_either() {
    for (kind, directives) in [
        ("redis", "maxmemory = \"100mb\""),
        ("valkey", "maxmemory = \"100mb\""),
        ("kvrocks", "max-io-mb = 500"),
    ] {
        let fake = built(&*service(kind, ""), kind);
        let changed = service(kind, &format!("directives = {{ {directives} }}\n"));
        let mut facts = fake.facts(&*changed);
        let plan = plan_steps(&*changed, &STEPS, &facts);
        let sets = |plan: &kit::StepPlan, name: &str| {
            let mut tasks = plan.tasks.iter();
            tasks.any(|task| task.host == host(name) && task.title.starts_with("set "))
        };
        assert!(sets(&plan, "db2"), "{kind}: {}", render(&plan));
        hide_files(&mut facts, "db2");
        let plan = plan_steps(&*changed, &STEPS, &facts);
        // CONFIG SET would be gone at the next restart.
        assert!(
            plan.tasks.iter().all(|task| task.host != host("db2")),
            "{kind}: {}",
            render(&plan)
        );
        assert!(
            plan.unplanned.iter().any(|(at, _)| *at == host("db2")),
            "{kind}: {}",
            render(&plan)
        );
        assert!(sets(&plan, "db3"), "{kind}: {}", render(&plan));
    }
}
