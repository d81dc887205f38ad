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
use kit::{Kind, ReadCx, Service};
use settings::Settings;

/// The kind.
pub struct Ssdb;

impl Kind for Ssdb {
    fn name(&self) -> &'static str {
        "ssdb"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/ssdb.toml")
    }

    fn steps(&self) -> &'static [&'static str] {
        &[
            "check",
            "directory",
            "config",
            "start",
            "link",
            "restart",
            "canary",
            "leave",
            "forget",
        ]
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
        match step {
            "check" => check::plan(&self.settings, cx),
            "directory" => files::plan_directory(&self.settings, cx),
            "config" => files::plan_config(&self.settings, cx),
            "start" => run::plan_start(&self.settings, cx),
            "link" => run::plan_link(&self.settings, cx),
            "restart" => run::plan_restart(&self.settings, cx),
            "canary" => canary::plan(&self.settings, cx),
            "leave" => leave::plan_leave(&self.settings, cx),
            "forget" => leave::plan_forget(&self.settings, cx),
            _ => StepPlan::nothing(),
        }
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
