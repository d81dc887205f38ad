//! A restart that is asked for: every process once, in the order of a rolling change.

use insta::assert_snapshot;

use super::*;
use crate::tests::rig::Rig as _;
use cases::plan_restart;

/// What is left of a restart that was asked for then, wherever the run died.
fn restarted(service: &dyn Service, cluster: &Cluster) -> String {
    let then = cluster.facts(service);
    let whole = plan_restart(service, &STEPS, &then, &then);
    for survived in 0..=whole.tasks.len() {
        let mut cluster = cluster.clone();
        perform(service, &mut cluster, &whole.tasks[..survived]);
        let rest = plan_restart(service, &STEPS, &cluster.facts(service), &then);
        let restarts = |tasks: &[Task]| {
            tasks
                .iter()
                .filter(|task| task.title.starts_with("restart"))
                .count()
        };
        assert_eq!(
            restarts(&rest.tasks),
            restarts(&whole.tasks) - restarts(&whole.tasks[..survived]),
            "{}",
            render(&rest)
        );
        perform(service, &mut cluster, &rest.tasks);
        let left = plan_restart(service, &STEPS, &cluster.facts(service), &then);
        assert!(is_settled(&left), "{}", render(&left));
        assert!(cluster.has_value(WRITTEN) && cluster.violations().is_empty());
    }
    let mut whole = whole;
    whole.notes.clear();
    render(&whole)
}

#[test]
fn zookeeper_restarts_before_the_servers_and_its_leader_last() {
    let service = zookeeper("");
    assert_snapshot!(restarted(&*service, &built(&*service, DEBIAN)));
}

#[test]
fn the_server_whose_keeper_leads_restarts_last() {
    let service = keeper("");
    assert_snapshot!(restarted(&*service, &built(&*service, MODERN)));
}

#[test]
fn a_server_that_does_not_run_is_only_started() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    let then = cluster.facts(&*service);
    cluster.stop("db3", fakes::clickhouse::SERVER);
    let plan = plan_restart(&*service, &STEPS, &cluster.facts(&*service), &then);
    let on_db3: Vec<&str> = plan
        .tasks
        .iter()
        .filter(|task| task.host.as_str() == "db3")
        .map(|task| task.title.as_str())
        .collect();
    assert_eq!(on_db3, ["start clickhouse-server.service"]);
    perform(&*service, &mut cluster, &plan.tasks);
    assert!(is_settled(&plan_restart(
        &*service,
        &STEPS,
        &cluster.facts(&*service),
        &then
    )));
}
