//! The planner's own gates, as one enum: of a disruption, and of the users of a service.
//!
//! - The executor's schedule counts the members that the run itself takes down. A member that crashes meanwhile shows only
//!   in fresh facts. So a gate right before each disruption asks the service which members are unavailable now.
//! - What a plan changes of a service has gates of its own. Where it changes nothing, and the service was not healthy when
//!   it was observed (it was just started, for example), its users wait until it is.

use std::num::NonZeroUsize;

use kit::Service;
use plan::{Facts, Gate, Health, Verdict};
use types::HostName;

use crate::pauses::Pauses;

/// How long a gate waits, in milliseconds.
const PATIENCE: u64 = 120_000;

/// A check, spelled as in saved plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Fewer than so many other members of the service are unavailable.
    Budget(NonZeroUsize),
    /// The service is healthy.
    Healthy,
}

kit::spell_checks!(Check { "service-is-well" => Healthy; "disruption-budget=" + Budget });

impl Check {
    /// The gate of a service, about a member.
    pub(crate) fn gate(self, service: &dyn Service, host: Option<&HostName>) -> Gate {
        let name = service.name();
        let title = match self {
            Self::Budget(NonZeroUsize::MIN) => format!("all other members of {name} are available"),
            Self::Budget(most) => format!("fewer than {most} other members of {name} are unavailable"),
            Self::Healthy => format!("{name} is healthy"),
        };
        let members = service.hosts().iter();
        let watch = members.map(|host| (host.clone(), service.queries(host)));
        kit::checks::gate(name, &self, host, title, watch.collect(), PATIENCE)
    }

    /// Judges it by facts.
    pub(crate) fn judge(
        self,
        service: &dyn Service,
        host: Option<&HostName>,
        facts: &Facts,
        pauses: &Pauses,
    ) -> Verdict {
        match self {
            Self::Healthy => problem(service, facts).map_or(Verdict::Pass, Verdict::Wait),
            Self::Budget(most) => {
                let unavailable = pauses.unavailable(service, facts);
                let others = unavailable.iter().filter(|other| Some(*other) != host);
                let others: Vec<&str> = others.map(HostName::as_str).collect();
                if others.len() < most.get() {
                    Verdict::Pass
                } else {
                    Verdict::Wait(format!("unavailable: {}", others.join(", ")))
                }
            }
        }
    }
}

/// Why a service is not healthy; `None` where it is.
pub(crate) fn problem(service: &dyn Service, facts: &Facts) -> Option<String> {
    let status = service.status(facts);
    (status.health != Health::Healthy).then_some(status.summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::service;

    #[test]
    fn checks_are_spelled_as_they_were_released() {
        for (text, check) in [
            (
                "disruption-budget=2",
                Some(Check::Budget(NonZeroUsize::new(2).unwrap())),
            ),
            ("service-is-well", Some(Check::Healthy)),
            ("disruption-budget=0", None),
            ("disruption-budget=x", None),
            ("member-healthy", None),
        ] {
            assert_eq!(text.parse().ok(), check, "{text}");
            assert!(
                check.is_none_or(|check: Check| check.to_string() == text),
                "{text}"
            );
        }
    }

    #[test]
    fn a_budget_counts_other_members_that_are_unavailable_now() {
        let service = service();
        let host: HostName = "db1".parse().unwrap();
        let judge = |most| {
            let check = Check::Budget(NonZeroUsize::new(most).unwrap());
            let gate = check.gate(&*service, Some(&host));
            assert_eq!(gate.watch.len(), 3, "it watches all members");
            check.judge(
                &*service,
                gate.host.as_ref(),
                &Facts::default(),
                &Pauses::default(),
            )
        };
        // A member of which nothing is known is not available.
        assert_eq!(judge(1), Verdict::Wait("unavailable: db2, db3".to_owned()));
        assert_eq!(judge(3), Verdict::Pass);
    }
}
