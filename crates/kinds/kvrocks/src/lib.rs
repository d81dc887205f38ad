//! A replicated store behind Redis Sentinel: Kvrocks, Redis or Valkey.
//!
//! The inventory says who the members are and which password they share; it does not say who is the master, for that
//! changes while the cluster runs. How it is found is in [`rules::find_roles`].

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
use plan::{Basis, Facts, ServiceStatus, Verdict};
use protocol::FactQuery;
use types::{HostName, ServiceName};

use kit::{Cx, Kind, Offer, ReadCx, Service, StepPlan, Steps};
use observe::View;
use rules::availability::unavailable;
use rules::find_roles::find_roles;
use settings::{Place, Settings};

/// The steps, in the order of the built-in playbook.
static STEPS: Steps<Settings> = Steps::new(&[
    ("check", steps::check::plan),
    ("sentinel-set", steps::sentinel_set::plan),
    ("config", steps::config::plan),
    ("set", steps::config_set::plan),
    ("restart", steps::restart::plan),
    ("sentinel-seed", steps::sentinel_seed::plan),
    ("sentinel-start", steps::sentinel_start::plan),
    ("sentinel-quorum", steps::sentinel_quorum::plan),
    ("leave", steps::leave::plan),
]);

/// The kind.
pub struct Kvrocks;

impl Kind for Kvrocks {
    fn name(&self) -> &'static str {
        "kvrocks"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/kvrocks.toml")
    }

    fn steps(&self) -> Vec<&'static str> {
        STEPS.names()
    }

    fn read(&self, decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
        Some(Box::new(Store {
            settings: settings::read(decl, cx)?,
        }))
    }
}

/// One store of the inventory.
struct Store {
    settings: Settings,
}

impl Service for Store {
    fn name(&self) -> &ServiceName {
        &self.settings.name
    }

    fn kind(&self) -> &'static str {
        "kvrocks"
    }

    fn hosts(&self) -> &[HostName] {
        &self.settings.hosts
    }

    fn others(&self) -> Vec<HostName> {
        self.settings.others.clone()
    }

    fn vars(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("package".to_owned(), self.settings.package.clone()),
            (
                "sentinel_package".to_owned(),
                self.settings.sentinel.package.clone(),
            ),
        ])
    }

    /// Files get addresses, so names matter only where the inventory has no address.
    fn names(&self) -> Vec<HostName> {
        let hosts = self.settings.hosts.iter().zip(&self.settings.places);
        hosts
            .filter(|(host, place)| matches!(place, Place::Name(name) if name == host.as_str()))
            .map(|(host, _)| host.clone())
            .collect()
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
        let view = View::new(&self.settings, facts);
        unavailable(&view, &find_roles(&view))
    }

    fn basis(&self, facts: &Facts) -> Vec<Basis> {
        status::basis(&self.settings, facts)
    }

    fn status(&self, facts: &Facts) -> ServiceStatus {
        status::status(&self.settings, facts)
    }

    /// Clients ask the sentinels where the master is.
    fn offer(&self) -> Option<Offer> {
        let Settings {
            hosts,
            sentinel,
            password,
            ..
        } = &self.settings;
        Some(Offer {
            name: Some(sentinel.master_name.clone()),
            ..Offer::shared(hosts, sentinel.port, password)
        })
    }
}
