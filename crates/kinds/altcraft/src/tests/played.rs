//! Plans carried out on hosts in memory, cut off anywhere, and hosts that come and go.

use insta::assert_snapshot;
use plan::{Facts, Gate, HostFacts, Verdict};
use protocol::{FactError, FactQuery};
use types::HostName;

use crate::tests::service;
use cases::{host, plan_restart, plan_steps_allowing, render};
use fakes::altcraft::{Cluster, PROGRAMS};
use fakes::{FakeCluster as _, Fault, Pace};
use kit::Service;
use kit::{StepPlan, Task};

pub(super) fn on(hosts: &[&str], more: &str) -> Box<dyn Service> {
    service(&inventory(hosts, more))
}

fn inventory(hosts: &[&str], more: &str) -> String {
    format!(
        "[hosts]\napp1 = \"10.0.0.1\"\napp2 = \"10.0.0.2\"\napp3 = \"10.0.0.3\"\napp4 = \"10.0.0.4\"\n\n\
         [services.altcraft]\nhosts = {hosts:?}\n{more}"
    )
}

/// The same with a database.
fn with_database(hosts: &[&str]) -> Box<dyn Service> {
    let more = "\n[services.rabbitmq]\nhosts = [\"app4\"]\ncookie = { file = \"cookie\" }\n";
    service(&inventory(hosts, more))
}

fn steps() -> Vec<&'static str> {
    crate::KIND.steps()
}

fn gather(fake: &Cluster, facts: &mut Facts, name: &HostName, queries: Vec<FactQuery>) {
    let at = fake.find(name.as_str()).expect("a host");
    if !fake.nodes[at].is_up || fake.nodes[at].is_cut {
        facts.add(
            name.clone(),
            HostFacts::Unreachable("no route to host".to_owned()),
        );
        return;
    }
    let answers = queries.into_iter().map(|query| {
        let unknown = || FactError {
            message: format!("{query:?}"),
        };
        let fact = fake.answer(name, &query).unwrap_or_else(|| Err(unknown()));
        (query, fact)
    });
    facts.add(name.clone(), HostFacts::Observed(answers.collect()));
}

pub(super) fn facts(fake: &Cluster, service: &dyn Service) -> Facts {
    let mut facts = Facts::default();
    for name in service.hosts().iter().chain(&service.others()) {
        gather(fake, &mut facts, name, service.queries(name));
    }
    facts
}

fn pass(fake: &Cluster, service: &dyn Service, gates: &[Gate]) -> Result<(), String> {
    for gate in gates {
        let mut facts = Facts::default();
        for (host, queries) in &gate.watch {
            gather(fake, &mut facts, host, queries.clone());
        }
        match service.judge(&gate.check, gate.host.as_ref(), &facts) {
            Verdict::Pass => {}
            Verdict::Wait(why) | Verdict::Fail(why) => return Err(format!("{}: {why}", gate.title)),
        }
    }
    Ok(())
}

fn perform(fake: &mut Cluster, service: &dyn Service, task: &Task) -> Result<(), String> {
    if task.disrupts {
        let away = service.unavailable(&facts(fake, service));
        if away.iter().any(|away| *away != task.host) {
            return Err(format!("{away:?} are away before {}", task.title));
        }
    }
    pass(fake, service, &task.before)?;
    if let Some(action) = &task.action {
        let done = fake.operate(&task.host, &action.operation).expect("known");
        done.map_err(|error| error.to_string())?;
    }
    pass(fake, service, &task.gates)
}

fn plan(fake: &Cluster, service: &dyn Service) -> StepPlan {
    plan_steps_allowing(service, &steps(), &facts(fake, service), &[])
}

fn apply(fake: &mut Cluster, service: &dyn Service) -> Result<(), String> {
    let plan = plan(fake, service);
    plan.tasks
        .iter()
        .try_for_each(|task| perform(fake, service, task))
}

fn assert_converged(fake: &Cluster, service: &dyn Service, when: &str) {
    let left = plan(fake, service);
    assert!(
        left.tasks.is_empty() && left.refusals.is_empty() && left.unplanned.is_empty(),
        "{when}:\n{}",
        render(&left)
    );
    assert_eq!(fake.violations(), &[""; 0], "{when}");
}

fn converge(fake: &mut Cluster, service: &dyn Service) {
    apply(fake, service).expect("every gate passes");
    assert_converged(fake, service, "in the end");
}

/// Cuts the plan off after each task, lets the trouble come, and lets the next plan finish it.
fn converge_from_everywhere(fake: &Cluster, service: &dyn Service, troubles: &[Fault]) {
    let tasks = plan(fake, service).tasks;
    let mut so_far = fake.clone();
    for done in 0..=tasks.len() {
        if let Some(task) = done.checked_sub(1).map(|last| &tasks[last]) {
            perform(&mut so_far, service, task).expect("it is done");
        }
        let mut cut = so_far.clone();
        for trouble in troubles {
            cut.inject(trouble);
            for number in 0..PROGRAMS.len() {
                assert!(cut.masters(number).len() < 2, "{trouble:?} after {done}");
            }
        }
        apply(&mut cut, service).unwrap_or_else(|why| panic!("after {done}: {why}"));
        assert_converged(&cut, service, &format!("cut off after {done} of {}", tasks.len()));
    }
}

/// The plan without the text of the files.
fn outline(plan: &StepPlan) -> String {
    let text = render(plan);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("    |")).collect();
    lines.join("\n")
}

pub(super) fn built(hosts: &[&str]) -> Cluster {
    let mut fake = Cluster::new(&["app1", "app2", "app3", "app4"], Pace::default());
    converge(&mut fake, &*on(hosts, ""));
    fake
}

#[test]
fn fresh_hosts_become_a_platform() {
    let fake = Cluster::new(&["app1", "app2", "app3", "app4"], Pace::default());
    converge_from_everywhere(&fake, &*on(&["app1", "app2", "app3"], ""), &[]);
}

#[test]
fn the_master_moves_whatever_crashes_or_boots_meanwhile() {
    let fake = built(&["app1", "app2", "app3"]);
    let service = on(&["app1", "app2", "app3"], "master = \"app2\"\n");
    converge_from_everywhere(&fake, &*service, &[]);
    for name in ["app1", "app2", "app3"] {
        let name = || host(name);
        let crash = [Fault::Crash(name()), Fault::Revive(name())];
        converge_from_everywhere(&fake, &*service, &crash);
        converge_from_everywhere(&fake, &*service, &crash[..1]);
        converge_from_everywhere(&fake, &*service, &[Fault::Down(name()), Fault::Up(name())]);
    }
}

#[test]
fn a_requested_restart_ends_with_the_master() {
    let mut fake = built(&["app1", "app2", "app3"]);
    let service = on(&["app1", "app2", "app3"], "");
    let then = facts(&fake, &*service);
    let rest = |fake: &Cluster| plan_restart(&*service, &steps(), &facts(fake, &*service), &then);
    assert_snapshot!(outline(&rest(&fake)));
    let tasks = rest(&fake).tasks;
    for (done, task) in tasks.iter().enumerate() {
        assert_eq!(rest(&fake).tasks.len(), tasks.len() - done);
        perform(&mut fake, &*service, task).unwrap();
    }
    assert!(rest(&fake).tasks.is_empty());
}

#[test]
fn a_host_is_added() {
    let fake = built(&["app1", "app2"]);
    let service = on(&["app1", "app2", "app3"], "");
    assert_snapshot!(outline(&plan(&fake, &*service)));
    converge_from_everywhere(&fake, &*service, &[]);
}

#[test]
fn a_host_is_removed() {
    let fake = built(&["app1", "app2", "app3"]);
    let service = on(&["app1", "app2"], "");
    assert_snapshot!(outline(&plan(&fake, &*service)));
    converge_from_everywhere(&fake, &*service, &[]);
}

#[test]
fn the_masters_host_is_removed_after_the_role_has_moved() {
    let fake = built(&["app1", "app2", "app3"]);
    let service = on(&["app2", "app3"], "");
    assert_snapshot!(outline(&plan(&fake, &*service)));
    for name in ["app1", "app2", "app3"] {
        let crash = [Fault::Crash(host(name)), Fault::Revive(host(name))];
        converge_from_everywhere(&fake, &*service, &crash);
        converge_from_everywhere(&fake, &*service, &crash[..1]);
    }
    let mut fake = fake;
    converge(&mut fake, &*service);
    // It stays off, whatever comes.
    fake.inject(&Fault::Down(host("app1")));
    fake.inject(&Fault::Up(host("app1")));
    assert_converged(&fake, &*service, "after a boot");
}

#[test]
fn a_host_is_replaced_and_one_of_two_leaves() {
    let fake = built(&["app1", "app2"]);
    for hosts in [&["app2", "app3"][..], &["app1", "app4"], &["app2"], &["app1"]] {
        converge_from_everywhere(&fake, &*on(hosts, ""), &[]);
    }
}

#[test]
fn the_masters_host_that_cannot_be_observed_does_not_leave_without_consent() {
    let mut fake = built(&["app1", "app2", "app3"]);
    fake.inject(&Fault::Cut(host("app1")));
    let service = on(&["app2", "app3"], "");
    let refused = plan(&fake, &*service);
    assert!(refused.tasks.is_empty(), "{}", outline(&refused));
    assert_snapshot!(outline(&refused));
}

#[test]
fn all_hosts_are_replaced_where_their_databases_show_the_platform() {
    let mut fake = built(&["app1", "app2"]);
    let refused = plan(&fake, &*on(&["app3", "app4"], ""));
    assert!(refused.tasks.is_empty(), "{}", outline(&refused));
    assert_snapshot!(outline(&refused));
    converge(&mut fake, &*with_database(&["app1", "app2"]));
    let service = with_database(&["app3", "app4"]);
    assert_snapshot!(outline(&plan(&fake, &*service)));
    converge_from_everywhere(&fake, &*service, &[]);
}

#[test]
fn another_rpc_port_is_rolled_out() {
    let fake = built(&["app1", "app2", "app3"]);
    let service = on(&["app1", "app2", "app3"], "proctask = { port = 8970 }\n");
    converge_from_everywhere(&fake, &*service, &[]);
}
