//! Disruption budgets: how many members of a service may be unavailable at once.

use std::collections::BTreeSet;

use kit::Service;
use plan::{Budget, Consent, Refusal};
use types::HostName;

use crate::request::{Options, PlanCx};

/// The budget of a service.
pub(crate) fn of(service: &dyn Service, cx: &PlanCx<'_>) -> Budget {
    let mut budget = service.budget(cx.facts);
    budget.unavailable.extend(cx.pauses.members(service));
    if let Some(wanted) = cx.options.max_unavailable {
        budget.max_unavailable = wanted.get();
    }
    budget
}

/// Refuses to disrupt any member where those on paused hosts use up the budget: it would be waited for in vain.
pub(crate) fn paused_refusal(service: &dyn Service, cx: &PlanCx<'_>) -> Option<Refusal> {
    let most = of(service, cx).max_unavailable;
    let paused = cx.pauses.members(service);
    let names: Vec<&str> = paused.iter().map(HostName::as_str).collect();
    (names.len() >= most).then(|| Refusal {
        service: Some(service.name().clone()),
        ..Refusal::new(
            format!("no member of {} is made unavailable", service.name()),
            format!(
                "a paused member counts as unavailable ({}), and at most {most} of {} may be",
                names.join(", "),
                service.hosts().len()
            ),
            format!(
                "wait until the pause is over or remove `paused` from the inventory, or pass --max-unavailable {}",
                names.len() + 1
            ),
        )
    })
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
            resolve: format!("pass --max-unavailable {most}, or allow the outage on every member"),
            consent: Some(consent),
            passing: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    use crate::tests::service;

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
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
