//! Clusters that an operator made by hand: with other files, of full names, with TLS between the nodes.

use super::*;
use kit::StepPlan;
use protocol::FactError;
use protocol::facts::Silence;

/// A plan for a converged cluster, where these questions have other answers.
fn plan_of(
    inventory: &str,
    instead: impl Fn(&HostName, &FactQuery) -> Option<Result<Fact, FactError>>,
) -> StepPlan {
    let service = super::service(inventory);
    let mut facts = Facts::default();
    for at in service.hosts() {
        let answers = service.queries(at).into_iter().map(|query| {
            let found = instead(at, &query).unwrap_or_else(|| Ok(answer(&member(), &query)));
            (query, found)
        });
        facts.add(at.clone(), HostFacts::Observed(answers.collect()));
    }
    plan_steps(&*service, &KIND.steps(), &facts)
}

#[test]
fn a_cluster_with_files_elsewhere_is_left_alone() {
    let more = "data_dir = \"/srv/rabbitmq\"\nconfig_path = \"/srv/rabbitmq/rabbitmq.conf\"\n\
                unit = \"broker.service\"\npackage = \"rabbitmq\"\n";
    let plan = plan_of(&format!("{INVENTORY}{more}"), |_, query| {
        if let FactQuery::File(query) = query {
            assert!(query.path.starts_with("/srv/rabbitmq/"), "{}", query.path);
        }
        None
    });
    assert_eq!(render(&plan), "");
}

#[test]
fn hosts_with_full_names_have_nodes_of_short_ones() {
    let full = (1..=3).fold(INVENTORY.to_owned(), |text, at| {
        text.replace(&format!("db{at} ="), &format!("\"db{at}.example.com\" ="))
            .replace(&format!("\"db{at}\""), &format!("\"db{at}.example.com\""))
    });
    assert_eq!(render(&plan_of(&full, |_, _| None)), "");
}

#[test]
fn nodes_of_long_names_or_with_tls_between_them_are_refused_with_the_reason() {
    let long = "rabbit@db1: it answered NotAllowed to the handshake";
    let answers = [
        Err(FactError {
            message: long.to_owned(),
        }),
        Ok(Fact::Erlang(ErlangFact::Down(Silence::foreign(
            "it closed the connection",
        )))),
        // inet_dist_use_interface, and a name that resolves to another address of the host.
        Ok(Fact::Erlang(ErlangFact::Down(Silence::refused()))),
    ];
    for found in answers {
        let plan = plan_of(INVENTORY, |_, query| {
            matches!(query, FactQuery::Erlang(_)).then(|| found.clone())
        });
        assert!(plan.tasks.is_empty(), "{}", render(&plan));
        assert_eq!(plan.refusals.len(), 3, "{}", render(&plan));
    }
}
