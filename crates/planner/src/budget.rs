//! Disruption budgets: how many members may be away at once, and who sees to it.
//!
//! The schedule counts what the run itself does. What happens beside it, a member that crashes meanwhile, only fresh facts
//! can tell: so each node that disrupts has a guard, a gate right before its action that asks the service which members
//! are unavailable now.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;

use plan::{Budget, Consent, Facts, Gate, Refusal, Verdict};
use services::Service;
use types::{HostName, NodeId};

use crate::chain::Options;

/// The check of a guard; what follows is how many members may be unavailable at once.
const GUARD: &str = "disruption-budget=";
/// How long a guard waits for other members to come back, in milliseconds.
const PATIENCE: u64 = 120_000;

/// The budget of a service.
pub(crate) fn of(service: &dyn Service, facts: &Facts, wanted: Option<NonZeroUsize>) -> Budget {
    let budget = service.budget(facts);
    Budget {
        max_unavailable: wanted.map_or(budget.max_unavailable, NonZeroUsize::get),
        ..budget
    }
}

/// What must be so before a member is disrupted, where at the most so many may be unavailable at once.
pub(crate) fn guard(service: &dyn Service, host: &HostName, most: usize) -> Gate {
    let others = service.hosts().iter();
    Gate {
        service: Some(service.name().clone()),
        check: format!("{GUARD}{most}"),
        host: Some(host.clone()),
        title: match most {
            1 => format!("every other member of {} serves", service.name()),
            most => format!(
                "fewer than {most} other members of {} are unavailable",
                service.name()
            ),
        },
        watch: others.map(|host| (host.clone(), service.queries(host))).collect(),
        limit_ms: PATIENCE,
    }
}

/// Whether a gate is such a guard.
pub(crate) fn is_guard(gate: &Gate) -> bool {
    gate.check.starts_with(GUARD)
}

/// What the service says now.
pub(crate) fn judge(gate: &Gate, service: &dyn Service, facts: &Facts) -> Verdict {
    let most = gate.check.strip_prefix(GUARD).and_then(|most| most.parse().ok());
    let Some(most) = most.filter(|most: &usize| *most > 0) else {
        return Verdict::Fail(format!("{} allows nobody to be away", gate.check));
    };
    let away = service.unavailable(facts);
    let others: Vec<&str> = away
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

/// Why the members are not disrupted so many at once: nobody said that the service may stop.
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
            what: format!("{} is not made unavailable with others", consent.host),
            why: format!(
                "{} has {} members and goes on without {most} of them, and {wanted} are to be away at once",
                service.name(),
                service.hosts().len()
            ),
            way_out: format!("--max-unavailable {most}, or allow the outage on every member"),
            consent: Some(consent),
        })
        .collect()
}

/// Who comes after whom in a serial step: each member waits for the one so many places before it, and what disrupts
/// nobody (a leader that hands over) waits for all, and all after it for that.
pub(crate) struct Queue {
    width: usize,
    /// The last that disrupts nobody.
    handed_over: Option<NodeId>,
    /// Those since then that nobody waits for yet.
    open: VecDeque<NodeId>,
}

impl Queue {
    pub(crate) fn new(width: Option<NonZeroUsize>) -> Self {
        Self {
            width: width.map_or(1, NonZeroUsize::get),
            handed_over: None,
            open: VecDeque::new(),
        }
    }

    /// What the next node waits for.
    pub(crate) fn join(&mut self, id: &NodeId, disrupts: bool) -> Vec<NodeId> {
        let kept = if disrupts { self.width - 1 } else { 0 };
        let waits = self.open.len().saturating_sub(kept);
        let mut needs: Vec<NodeId> = self.open.drain(..waits).collect();
        if needs.is_empty() {
            needs.extend(self.handed_over.clone());
        }
        if disrupts {
            self.open.push_back(id.clone());
        } else {
            self.handed_over = Some(id.clone());
        }
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::{Findings, Inventory};
    use services::{ReadCx, read_service};
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
            findings: &findings,
        };
        read_service(&inventory.services[0], &cx).unwrap()
    }

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    /// What each node of a serial step waits for; those in capitals disrupt nobody.
    fn order(width: usize, ids: &[&str]) -> Vec<String> {
        let mut queue = Queue::new(NonZeroUsize::new(width));
        let mut join = |id: &&str| {
            let disrupts = id.chars().all(char::is_lowercase);
            let needs = queue.join(&id.to_lowercase().parse().unwrap(), disrupts);
            needs.iter().map(NodeId::as_str).collect::<Vec<_>>().join(" ")
        };
        ids.iter().map(&mut join).collect()
    }

    #[test]
    fn members_follow_each_other_as_wide_as_the_budget() {
        assert_eq!(order(1, &["a", "b", "c"]), ["", "a", "b"]);
        assert_eq!(order(1, &["a", "L", "b"]), ["", "a", "l"]);
        assert_eq!(order(2, &["a", "b", "c", "d"]), ["", "", "a", "b"]);
        assert_eq!(order(2, &["a", "b", "L", "c", "d"]), ["", "", "a b", "l", "l"]);
    }

    #[test]
    fn a_guard_counts_the_others_that_are_away_now() {
        let service = service();
        let one = guard(&*service, &host("db1"), 1);
        assert_eq!(one.watch.len(), 3, "it looks at all members");
        // Of whom nothing is known, nobody says that it serves.
        let verdict = judge(&one, &*service, &Facts::default());
        assert_eq!(verdict, Verdict::Wait("unavailable: db2, db3".to_owned()));
        let three = guard(&*service, &host("db1"), 3);
        assert_eq!(judge(&three, &*service, &Facts::default()), Verdict::Pass);
        let none = Gate {
            check: format!("{GUARD}x"),
            ..one
        };
        assert!(matches!(
            judge(&none, &*service, &Facts::default()),
            Verdict::Fail(_)
        ));
    }

    #[test]
    fn more_than_the_quorum_can_spare_takes_consent_on_every_member() {
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
