//! Servers that run and do not answer us: they are in use, and of what they hold nothing is known.

use plan::{Facts, HostFacts};
use protocol::facts::{Silence, SsdbFact};
use protocol::{Fact, FactError, FactQuery};
use types::HostName;

use super::{STEPS, built, inventory, service};
use crate::tests::hosts::Rig as _;
use cases::{host, plan_steps, render};
use fakes::ssdb::Cluster;
use kit::{Service, StepPlan};

const MEMBERS: [&str; 3] = ["db1", "db2", "db3"];

/// The answers of a cluster, but for some.
fn answers(
    service: &dyn Service,
    cluster: &Cluster,
    instead: impl Fn(&HostName, &FactQuery) -> Option<Result<Fact, FactError>>,
) -> Facts {
    let mut facts = Facts::default();
    for (at, found) in cluster.facts(service).hosts() {
        let found = match found {
            HostFacts::Observed(answers) => HostFacts::Observed(
                answers
                    .iter()
                    .map(|(query, answer)| {
                        let answer = instead(at, query).unwrap_or_else(|| answer.clone());
                        (query.clone(), answer)
                    })
                    .collect(),
            ),
            lost @ HostFacts::Unreachable(_) => lost.clone(),
        };
        facts.add(at.clone(), found);
    }
    facts
}

/// The same where these servers do not answer us.
fn silenced(service: &dyn Service, cluster: &Cluster, names: &[&str]) -> Facts {
    answers(service, cluster, |at, query| match query {
        FactQuery::Ssdb(_) if names.contains(&at.as_str()) => {
            Some(Ok(Fact::Ssdb(SsdbFact::Down(Silence::refused()))))
        }
        _ => None,
    })
}

fn assert_left_alone(plan: &StepPlan, name: &str) {
    let is_touched = plan.tasks.iter().any(|task| task.host == host(name));
    assert!(!is_touched, "{name} is touched:\n{}", render(plan));
    let mut refused = plan.refusals.iter();
    let is_told = refused.any(|refusal| refusal.host.as_ref().is_none_or(|at| *at == host(name)));
    assert!(is_told, "nobody says why {name} is left alone:\n{}", render(plan));
}

#[test]
fn mirrors_that_none_of_us_can_ask_are_left_alone() {
    let mut cluster = built(&*service(3, ""));
    // Another capacity changes every file, and files that somebody touched are newer than the processes.
    let service = service(3, "capacity = 5000\n");
    for name in MEMBERS {
        let text = cluster.text(name);
        cluster.put_file(name, &text);
    }
    let plan = plan_steps(&*service, &STEPS, &silenced(&*service, &cluster, &MEMBERS));
    for name in MEMBERS {
        assert_left_alone(&plan, name);
    }
}

#[test]
fn no_other_is_restarted_while_one_may_not_serve() {
    let cluster = built(&*service(3, ""));
    let service = service(3, "capacity = 5000\n");
    let facts = silenced(&*service, &cluster, &["db2"]);
    let plan = plan_steps(&*service, &STEPS, &facts);
    assert_left_alone(&plan, "db2");
    assert!(plan.tasks.iter().all(|task| !task.disrupts), "{}", render(&plan));
    assert!(service.unavailable(&facts).contains(&host("db2")));
}

#[test]
fn a_stopped_server_of_whose_disk_nothing_is_known_may_hold_data() {
    let mut cluster = built(&*service(2, ""));
    cluster.set("db1", "a", Some("1"));
    cluster.grow(3);
    let service = cases::service(super::KINDS, &inventory(3, ""));
    for path in ["/data", "ssdb-sessions.conf"] {
        let facts = answers(&*service, &cluster, |at, query| match query {
            FactQuery::File(query) if at.as_str() == "db3" && query.path.ends_with(path) => {
                let message = "permission denied".to_owned();
                Some(Err(FactError { message }))
            }
            _ => None,
        });
        let plan = plan_steps(&*service, &STEPS, &facts);
        let starts = plan
            .tasks
            .iter()
            .any(|task| task.host == host("db3") && task.title.contains("start"));
        assert!(!starts, "{path}: {}", render(&plan));
    }
}

#[test]
fn the_status_of_what_could_not_be_asked_is_unknown() {
    let service = service(3, "");
    let mut cluster = built(&*service);
    cluster.stop("db3");
    let status = service.status(&silenced(&*service, &cluster, &["db2"]));
    let health: Vec<String> = status
        .members
        .iter()
        .map(|row| format!("{:?}", row.health))
        .collect();
    assert_eq!(health[1..], ["Unknown", "Down"]);
}
