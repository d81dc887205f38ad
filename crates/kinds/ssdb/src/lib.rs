//! SSDB mirrors: every member takes writes, and copies those of all others.
//!
//! Sources: the runbook ("SSDB Replication Configuration"), the server's own documentation
//! (<https://ideawu.github.io/ssdb-docs/replication.html>) and source (<https://github.com/ideawu/ssdb>), and what was
//! seen on a running one. What each host needs is decided in [`need`], what proves that changes flow in [`canary`].

mod basis;
mod canary;
mod check;
mod files;
mod former;
mod health;
mod info;
mod leave;
mod need;
mod queries;
mod run;
mod settings;
#[cfg(test)]
mod tests;
mod view;
mod wanted;

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
    ("check", check::plan),
    ("directory", files::plan_directory),
    ("config", files::plan_config),
    ("start", run::plan_start),
    ("link", run::plan_link),
    ("restart", run::plan_restart),
    ("canary", canary::plan),
    ("leave", leave::plan_leave),
    ("forget", leave::plan_forget),
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
        queries::all(&self.settings, host)
    }

    fn plan_step(&self, step: &str, cx: &Cx<'_>) -> StepPlan {
        if step != "check" && check::refuses_all(&self.settings, cx) {
            return StepPlan::nothing();
        }
        STEPS.plan(step, &self.settings, cx)
    }

    fn judge(&self, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
        health::judge(&self.settings, check, host, facts)
    }

    fn unavailable(&self, facts: &Facts) -> BTreeSet<HostName> {
        health::unavailable(&self.settings, facts)
    }

    fn basis(&self, facts: &Facts) -> Vec<Basis> {
        basis::basis(&self.settings, facts)
    }

    fn status(&self, facts: &Facts) -> ServiceStatus {
        health::status(&self.settings, facts)
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
        health::budget(&self.settings, facts)
    }
}
