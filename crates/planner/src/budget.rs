//! Disruption budgets: how many members of a service may be unavailable at once.
//!
//! The executor's schedule counts the members that the run itself takes down. A member that crashes meanwhile shows only
//! in fresh facts. So each node that disrupts has a precondition, a gate right before its action that asks the service
//! which members are unavailable now.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use kit::Service;
use plan::{Budget, Consent, Facts, Gate, Refusal, Verdict};
use types::HostName;

use crate::request::Options;

/// The check, as saved plans spell it; what follows is how many members may be unavailable at once.
const CHECK: &str = "disruption-budget=";
/// How long other members are waited for, in milliseconds.
const PATIENCE: u64 = 120_000;

/// The budget of a service.
pub(crate) fn of(service: &dyn Service, facts: &Facts, wanted: Option<NonZeroUsize>) -> Budget {
    let budget = service.budget(facts);
    Budget {
        max_unavailable: wanted.map_or(budget.max_unavailable, NonZeroUsize::get),
        ..budget
    }
}

/// The precondition of disrupting a member, where at most so many may be unavailable at once.
pub(crate) fn precondition(service: &dyn Service, host: &HostName, most: usize) -> Gate {
    let others = service.hosts().iter();
    Gate {
        service: Some(service.name().clone()),
        check: format!("{CHECK}{most}"),
        host: Some(host.clone()),
        title: match most {
            1 => format!("all other members of {} are available", service.name()),
            most => format!(
                "fewer than {most} other members of {} are unavailable",
                service.name()
            ),
        },
        watch: others.map(|host| (host.clone(), service.queries(host))).collect(),
        limit_ms: PATIENCE,
    }
}

/// Whether a gate is such a precondition.
pub(crate) fn is_precondition(gate: &Gate) -> bool {
    gate.check.starts_with(CHECK)
}

/// Judges it by the members that are unavailable now.
pub(crate) fn judge(gate: &Gate, service: &dyn Service, facts: &Facts) -> Verdict {
    let most = gate.check.strip_prefix(CHECK).and_then(|most| most.parse().ok());
    let Some(most) = most.filter(|most: &usize| *most > 0) else {
        return Verdict::Fail(format!("{} allows no member to be unavailable", gate.check));
    };
    let unavailable = service.unavailable(facts);
    let others: Vec<&str> = unavailable
        .iter()
        .filter(|host| Some(*host) != gate.host.as_ref())
        .map(HostName::as_str)
        .collect();
    if others.len() < most {
        Verdict::Pass
    } else {
        Verdict::Wait(format!("unavailable: {}", others.join(", ")))
    }
}

/// Refuses to disrupt more members at once than the quorum tolerates, on each host without consent to the outage.
pub(crate) fn refusals(
    service: &dyn Service,
    disrupted: &BTreeSet<HostName>,
    options: &Options,
) -> Vec<Refusal> {
    let most = service.tolerates().max(1);
    let Some(wanted) = options.max_unavailable.filter(|wanted| wanted.get() > most) else {
        return Vec::new();
    };
    let action = format!("{}.outage", service.kind());
    let consents = disrupted.iter().map(|host| Consent {
        action: action.clone(),
        host: host.clone(),
    });
    let missing = consents.filter(|consent| !options.consents.contains(consent));
    missing
        .map(|consent| Refusal {
            service: Some(service.name().clone()),
            host: Some(consent.host.clone()),
            what: format!(
                "{} is not made unavailable together with other members",
                consent.host
            ),
            why: format!(
                "{} has {} members and tolerates the loss of {most}; --max-unavailable is {wanted}",
                service.name(),
                service.hosts().len()
            ),
            way_out: format!("pass --max-unavailable {most}, or allow the outage on every member"),
            consent: Some(consent),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::{Findings, Inventory};
    use kit::ReadCx;
    use services::KINDS;
    use types::Sources;

    fn service() -> Box<dyn Service> {
        let text = "[hosts]\ndb1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\ndb3 = \"10.0.0.3\"\n[services.mq]\n\
                    kind = \"rabbitmq\"\nhosts = [\"db1\", \"db2\", \"db3\"]\ncookie = { file = \"mq\" }\n";
        let mut sources = Sources::new();
        let id = sources.add("inventory.toml", text);
        let findings = Findings::default();
        let inventory = Inventory::read(&sources, id, &[], &findings);
        let cx = ReadCx {
            inventory: &inventory,
            kinds: KINDS,
            findings: &findings,
        };
        cx.read(&inventory.services[0]).unwrap()
    }

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    #[test]
    fn the_precondition_counts_other_members_that_are_unavailable_now() {
        let service = service();
        let one = precondition(&*service, &host("db1"), 1);
        assert_eq!(one.watch.len(), 3, "it watches all members");
        // A member of which nothing is known is not available.
        let verdict = judge(&one, &*service, &Facts::default());
        assert_eq!(verdict, Verdict::Wait("unavailable: db2, db3".to_owned()));
        let three = precondition(&*service, &host("db1"), 3);
        assert_eq!(judge(&three, &*service, &Facts::default()), Verdict::Pass);
        let none = Gate {
            check: format!("{CHECK}x"),
            ..one
        };
        assert!(matches!(
            judge(&none, &*service, &Facts::default()),
            Verdict::Fail(_)
        ));
    }

    #[test]
    fn more_than_the_quorum_tolerates_takes_consent_on_every_member() {
        let service = service();
        let disrupted = BTreeSet::from([host("db1"), host("db2")]);
        let refused = |wanted: usize, allowed: &[&str]| -> Vec<String> {
            let consents = allowed.iter().map(|name| Consent {
                action: "rabbitmq.outage".to_owned(),
                host: host(name),
            });
            let options = Options {
                consents: consents.collect(),
                max_unavailable: NonZeroUsize::new(wanted),
                ..Options::default()
            };
            let refusals = refusals(&*service, &disrupted, &options);
            refusals
                .iter()
                .map(|refusal| refusal.consent.as_ref().unwrap().to_string())
                .collect()
        };
        assert_eq!(refused(1, &[]), Vec::<String>::new());
        assert_eq!(refused(2, &[]), ["rabbitmq.outage=db1", "rabbitmq.outage=db2"]);
        assert_eq!(refused(2, &["db1"]), ["rabbitmq.outage=db2"]);
        assert_eq!(refused(2, &["db1", "db2"]), Vec::<String>::new());
    }
}
