//! The Altcraft Platform: the application that uses all the other services.
//!
//! Its main.json repeats the addresses and passwords of its databases; here they come from the services of the inventory.
//! Of its processes two work as a cluster, proctask and procworkflow, one of each being the master. Source: the runbook
//! (the blocks of main.json, "Altcraft Platform Cluster Setup", "Configuring Custom Reader Groups"); where main.json is:
//! <https://guides.altcraft.com/en/admin-guide/platform-configuration>.

mod checks;
mod observe;
mod rules;
mod settings;
mod status;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use config::ServiceDecl;
use plan::{Basis, Budget, Facts, ServiceStatus, Verdict};
use protocol::FactQuery;
use types::{HostName, ServiceName};

use kit::{Cx, Kind, ReadCx, Service, StepPlan, Steps};
use settings::Settings;

/// The steps, in the order of the built-in playbook.
static STEPS: Steps<Settings> = Steps::new(&[
    ("check", steps::check::plan),
    ("config", steps::config::plan),
    ("restart", steps::restart::plan),
    ("leave", steps::leave::plan),
]);

/// The kind.
pub struct Altcraft;

impl Kind for Altcraft {
    fn name(&self) -> &'static str {
        "altcraft"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/altcraft.toml")
    }

    fn steps(&self) -> Vec<&'static str> {
        STEPS.names()
    }

    fn read(&self, decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
        Some(Box::new(Platform {
            settings: settings::read(decl, cx)?,
        }))
    }
}

/// One platform of the inventory.
struct Platform {
    settings: Settings,
}

impl Service for Platform {
    fn name(&self) -> &ServiceName {
        &self.settings.name
    }

    fn kind(&self) -> &'static str {
        "altcraft"
    }

    fn hosts(&self) -> &[HostName] {
        &self.settings.hosts
    }

    fn others(&self) -> Vec<HostName> {
        self.settings.others.clone()
    }

    fn vars(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("config".to_owned(), self.settings.config.clone())])
    }

    /// main.json has names, as the runbook does.
    fn names(&self) -> Vec<HostName> {
        let used = self.settings.uses.all().flat_map(|used| &used.offer.endpoints);
        let mut names = self.settings.hosts.clone();
        for host in used.map(|endpoint| &endpoint.host) {
            if !names.contains(host) {
                names.push(host.clone());
            }
        }
        names
    }

    fn queries(&self, host: &HostName) -> Vec<FactQuery> {
        observe::queries::all(&self.settings, host)
    }

    fn plan_step(&self, step: &str, cx: &Cx<'_>) -> StepPlan {
        STEPS.plan(step, &self.settings, cx)
    }

    fn judge(&self, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
        checks::judge(&self.settings, check, host, facts)
    }

    fn unavailable(&self, facts: &Facts) -> BTreeSet<HostName> {
        status::unavailable(&self.settings, facts)
    }

    fn basis(&self, facts: &Facts) -> Vec<Basis> {
        status::basis(&self.settings, facts)
    }

    fn status(&self, facts: &Facts) -> ServiceStatus {
        status::status(&self.settings, facts)
    }

    fn uses(&self) -> Vec<ServiceName> {
        let mut names: Vec<ServiceName> = Vec::new();
        for used in self.settings.uses.all() {
            if !names.contains(&used.service) {
                names.push(used.service.clone());
            }
        }
        names
    }

    fn budget(&self, facts: &Facts) -> Budget {
        status::budget(&self.settings, facts)
    }
}
