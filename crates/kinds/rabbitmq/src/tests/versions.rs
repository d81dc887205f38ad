//! What a version has and lacks: mirrors until 4.0, quorum queues by default from then on, flags and maintenance mode.

use super::*;

const QUORUM: &str = "--default-queue-type quorum";
const CONFIG: &str =
    "users.app = { password = { file = \"secrets/app\" }, permissions = { app = \".*\" } }\n";
const MIRRORED: &str = "policies.ha-all.definition = { ha-mode = \"all\", ha-sync-mode = \"automatic\" }\n";

fn of_version(version: &'static str, queues: &[(&'static str, &'static str)]) -> Host {
    up(|broker| {
        broker.version = version;
        broker.policies = vec![];
        broker.queues = queues.to_vec();
    })
}

fn planned(more: &str, host: &Host) -> kit::StepPlan {
    let service = service(&format!("{INVENTORY}{more}"));
    let facts = answer_all(&*service, |_, query| Some(answer(host, query)));
    plan_steps(&*service, &KIND.steps(), &facts)
}

/// 4.0.5 answers `set_policy` with "Validation failed: ... are not recognised policy settings".
#[test]
fn mirroring_is_refused_where_it_is_gone() {
    let plan = planned(MIRRORED, &of_version("4.1.0", &[]));
    assert_snapshot!(render(&plan));
    let plan = planned(MIRRORED, &of_version("3.13.7", &[]));
    assert!(plan.refusals.is_empty(), "{}", render(&plan));
}

/// Of hosts without the package, the one that would be installed tells: the plan failed in its middle.
#[test]
fn on_bare_hosts_the_candidate_tells_how_queues_are_replicated() {
    let service = service(&format!("{INVENTORY}{CONFIG}"));
    for (version, has_mirrors) in [("3.10.8-1.1+deb12u1", true), ("4.0.5-6+deb13u2", false)] {
        let facts = answer_all(&*service, |_, query| {
            Some(match query {
                FactQuery::Package(_) => Fact::Package(PackageFact::default()),
                FactQuery::Candidate(_) => Fact::Candidate(CandidateFact {
                    version: Some(version.to_owned()),
                }),
                query => answer(&fresh(), query),
            })
        });
        let shown = render(&plan_steps(&*service, &KIND.steps(), &facts));
        assert_eq!(shown.contains("set_policy"), has_mirrors, "{shown}");
        let defaults = shown.matches(QUORUM).count();
        assert_eq!(defaults, if has_mirrors { 0 } else { 2 }, "{shown}");
    }
}

#[test]
fn a_virtual_host_that_has_queues_keeps_its_default_and_it_is_told() {
    let plan = planned("", &of_version("4.0.5", &[("/", "mail")]));
    assert_eq!(plan.tasks, []);
    assert_snapshot!(render(&plan));
    let plan = planned("", &of_version("4.0.5", &[]));
    assert_snapshot!("without_queues_it_gets_another", render(&plan));
}

#[test]
fn the_default_of_virtual_hosts_is_left_where_the_inventory_says_classic() {
    let plan = planned("default_queue_type = \"classic\"\n", &of_version("4.0.5", &[]));
    assert_eq!(render(&plan), "");
    let wrong = errors(&format!("{INVENTORY}default_queue_type = \"lazy\"\n"));
    assert!(wrong[0].contains("default_queue_type"), "{wrong:?}");
}

#[test]
fn status_tells_mixed_versions_disabled_flags_and_maintenance() {
    // `rabbit_feature_flags:list(disabled, stable)`: a map from names to properties, empty on 4.0.5 (seen).
    let of = |version, flags: &[&str], is_drained: &str| {
        let Node::Up(broker) = of_version(version, &[]).node else {
            unreachable!()
        };
        let mut results = super::results(&broker);
        let pairs = flags.iter().map(|flag| (Term::atom(*flag), Term::Map(vec![])));
        results[12] = Ok(Term::Map(pairs.collect()));
        results[13] = Ok(Term::atom(is_drained));
        Host {
            node: Node::Told(results),
            ..member()
        }
    };
    let service = service(INVENTORY);
    let facts = facts([
        of("4.2.0", &["khepri_db", "rabbitmq_4.2.0"], "false"),
        of("4.2.0", &["khepri_db", "rabbitmq_4.2.0"], "true"),
        of("4.1.8", &[], "false"),
    ]);
    let status = service.status(&facts);
    let lines: Vec<String> = status
        .members
        .iter()
        .map(|row| format!("{} {:?} {}", row.host, row.health, row.detail))
        .collect();
    assert_snapshot!(format!("{}\n{}", status.summary, lines.join("\n")));
    // Another is not stopped beside it.
    assert_eq!(service.unavailable(&facts), BTreeSet::from([host("db2")]));
}
