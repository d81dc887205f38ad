//! The units that run when a restart is requested.
//!
//! A requested restart cannot be read off the hosts, and is not remembered either. The request notes which processes run;
//! a member is due for as long as its noted process still runs. So a run that was cut off continues where it stopped, the
//! plan is empty once every member was restarted, and no clock of a host is trusted.

use std::collections::BTreeMap;

use protocol::FactQuery;
use serde::{Deserialize, Serialize};
use types::HostName;

use crate::facts::{Facts, HostFacts};

/// The running units of every host, with the `InvocationID` by which systemd tells one start from another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunningUnits {
    units: BTreeMap<HostName, BTreeMap<String, String>>,
}

impl RunningUnits {
    /// What runs by these facts.
    pub fn of(facts: &Facts) -> Self {
        let mut units = BTreeMap::new();
        for (host, observed) in facts.hosts() {
            let HostFacts::Observed(answers) = observed else {
                continue;
            };
            let running: BTreeMap<String, String> = answers
                .iter()
                .filter_map(|(query, fact)| match (query, fact) {
                    (FactQuery::Unit(query), Ok(protocol::Fact::Unit(unit))) if unit.is_active() => {
                        Some((query.name.clone(), unit.invocation.clone()))
                    }
                    _ => None,
                })
                .collect();
            units.insert(host.clone(), running);
        }
        Self { units }
    }

    /// Whether a unit ran, as this invocation.
    pub fn has(&self, host: &HostName, unit: &str, invocation: &str) -> bool {
        let noted = self.units.get(host).and_then(|units| units.get(unit));
        noted.is_some_and(|noted| noted == invocation)
    }
}
