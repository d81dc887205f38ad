//! SSDB mirrors: every member takes writes, and copies those of all others.
//!
//! Sources: the runbook ("SSDB Replication Configuration"), the server's own documentation
//! (<https://ideawu.github.io/ssdb-docs/replication.html>) and source (<https://github.com/ideawu/ssdb>), and what was
//! seen on a running one. The need of each host is decided in `rules::need`; the step
//! `canary` proves that changes flow.

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

use kit::Offer;
use kit::{Cx, StepPlan};
use kit::{Kind, ReadCx, Service, Steps};
use settings::Settings;

/// The steps, in the order of the built-in playbook.
static STEPS: Steps<Settings> = Steps::new(&[
    ("check", steps::check::plan),
    ("directory", steps::directory::plan),
    ("config", steps::config::plan),
    ("start", steps::start::plan),
    ("link", steps::link::plan),
    ("restart", steps::restart::plan),
    ("canary", steps::canary::plan),
    ("leave", steps::leave::plan),
    ("forget", steps::forget::plan),
]);

/// The kind.
pub struct Ssdb;

impl Kind for Ssdb {
    fn name(&self) -> &'static str {
        "ssdb"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/ssdb.toml")
    }

    fn steps(&self) -> Vec<&'static str> {
        STEPS.names()
    }

    fn read(&self, decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
        Some(Box::new(Mirrors {
            settings: settings::read(decl, cx)?,
        }))
    }
}

/// One service of the inventory.
struct Mirrors {
    settings: Settings,
}

impl Service for Mirrors {
    fn name(&self) -> &ServiceName {
        &self.settings.name
    }

    fn kind(&self) -> &'static str {
        "ssdb"
    }

    fn hosts(&self) -> &[HostName] {
        &self.settings.hosts
    }

    fn others(&self) -> Vec<HostName> {
        self.settings.others.clone()
    }

    fn vars(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("unit".to_owned(), self.settings.unit.clone()),
            ("config".to_owned(), self.settings.config.clone()),
        ])
    }

    /// The files name peers by their host names, as the runbook does.
    fn names(&self) -> Vec<HostName> {
        self.settings.hosts.clone()
    }

    fn queries(&self, host: &HostName) -> Vec<FactQuery> {
        observe::queries::all(&self.settings, host)
    }

    fn plan_step(&self, step: &str, cx: &Cx<'_>) -> StepPlan {
        if step != "check" && steps::check::refuses_all(&self.settings, cx) {
            return StepPlan::nothing();
        }
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

    fn offer(&self) -> Option<Offer> {
        let Settings {
            hosts,
            port,
            password,
            ..
        } = &self.settings;
        Some(Offer::shared(hosts, *port, password))
    }

    fn budget(&self, facts: &Facts) -> Budget {
        status::budget(&self.settings, facts)
    }
}
