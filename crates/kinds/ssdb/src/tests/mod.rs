//! Case tests: settings and hosts → plan; and each plan, carried out or cut off, leaves nothing to do in the end.

mod adopted;
mod basis;
mod changes;
mod fresh;
mod hosts;
mod paced;
mod paused;
mod queues;
mod refused;
mod scale;
mod silent;
mod stalled;
mod trouble;

use crate::KIND;
use cases::{self, plan_steps_allowing, render};
use kit::Service;
use kit::StepPlan;

use crate::tests::hosts::Rig as _;
use fakes::ssdb::Cluster;

/// The kinds that inventories here may name.
const KINDS: kit::Kinds = kit::Kinds::new(&[super::KIND]);

/// What reading an inventory reports.
fn errors(inventory: &str) -> Vec<String> {
    cases::errors(KINDS, inventory)
}

/// The steps of the built-in playbook, in its order.
const STEPS: [&str; 9] = [
    "check",
    "directory",
    "config",
    "start",
    "link",
    "restart",
    "canary",
    "leave",
    "forget",
];

#[test]
fn the_playbook_has_these_steps() {
    let lines = KIND.playbook().lines();
    let used: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("uses = \"ssdb.")?.strip_suffix('"'))
        .collect();
    assert_eq!(used, STEPS);
    assert_eq!(KIND.steps(), STEPS);
}

#[test]
fn every_check_of_a_saved_plan_is_read_and_an_unknown_one_fails() {
    use crate::checks::Check;
    for spelling in [
        "answers",
        "linked",
        "filled",
        "canary 7-00000001-db2",
        "no-canary",
        "farewell db1-7-00000001-all",
        "no-farewell",
    ] {
        let check: Result<Check, kit::checks::UnknownCheck> = spelling.parse();
        assert_eq!(check.map(|check| check.to_string()), Ok(spelling.to_owned()));
    }
    let service = service(3, "");
    let facts = built(&*service).facts(&*service);
    for unknown in ["", "link", "canary", "farewell"] {
        let verdict = service.judge(unknown, Some(&cases::host("db1")), &facts);
        assert!(
            matches!(verdict, plan::Verdict::Fail(_)),
            "{unknown}: {verdict:?}"
        );
    }
}

fn inventory(members: usize, more: &str) -> String {
    let hosts: Vec<String> = (1..=members)
        .map(|at| format!("db{at} = \"10.0.0.{at}\"\n"))
        .collect();
    let names: Vec<String> = (1..=members).map(|at| format!("\"db{at}\"")).collect();
    format!(
        "[hosts]\n{}\n[services.sessions]\nkind = \"ssdb\"\nhosts = [{}]\npassword = {{ file = \"pw\" }}\n{more}",
        hosts.concat(),
        names.join(", ")
    )
}

/// The service on these hosts, of an inventory with four.
fn service_on(hosts: &[&str]) -> Box<dyn Service> {
    let all = inventory(4, "");
    cases::service(
        KINDS,
        &all.replace(r#"["db1", "db2", "db3", "db4"]"#, &format!("{hosts:?}")),
    )
}

fn service(members: usize, more: &str) -> Box<dyn Service> {
    cases::service(KINDS, &inventory(members, more))
}

fn plan(service: &dyn Service, cluster: &Cluster, allow: &[&str]) -> StepPlan {
    plan_steps_allowing(service, &STEPS, &cluster.facts(service), allow)
}

/// Carries the whole plan out; the first gate that does not pass ends it.
fn apply(service: &dyn Service, cluster: &mut Cluster, allow: &[&str]) -> Result<(), String> {
    let plan = plan(service, cluster, allow);
    plan.tasks
        .iter()
        .try_for_each(|task| cluster.perform(service, task))
}

/// Carries the plan out, and finds nothing to do afterwards.
fn converge(service: &dyn Service, cluster: &mut Cluster, allow: &[&str]) {
    apply(service, cluster, allow).expect("every gate passes");
    let left = plan(service, cluster, &[]);
    assert!(
        left.tasks.is_empty() && left.refusals.is_empty() && left.unplanned.is_empty(),
        "{}",
        render(&left)
    );
}

/// Cuts the plan off after each of its tasks, and lets the next plans finish it: with the same consents the first.
fn converge_from_everywhere(service: &dyn Service, cluster: &Cluster, allow: &[&str]) {
    let tasks = plan(service, cluster, allow).tasks;
    let mut so_far = cluster.clone();
    for done in 0..=tasks.len() {
        if let Some(task) = done.checked_sub(1).map(|last| &tasks[last]) {
            // A gate is not waited for by a run that died.
            let _ = so_far.perform(service, task);
        }
        let mut cut = so_far.clone();
        // What the first finds refused or stopped at a gate, a second one finishes.
        if apply(service, &mut cut, allow).is_err() {
            let _ = apply(service, &mut cut, allow);
        }
        let left = plan(service, &cut, &[]);
        assert!(
            left.tasks.is_empty() && left.refusals.is_empty(),
            "cut off after {done} of {}:\n{}",
            tasks.len(),
            render(&left)
        );
    }
}

/// Mirrors that our own plan has built.
fn built(service: &dyn Service) -> Cluster {
    let mut cluster = Cluster::bare(service.hosts().len());
    converge(service, &mut cluster, &[]);
    cluster
}
