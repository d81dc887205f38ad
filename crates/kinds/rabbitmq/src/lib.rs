//! A RabbitMQ cluster.
//!
//! Members share an Erlang cookie, join one cluster and carry its policies. Everything about a running node is asked
//! of the node itself over the Erlang distribution; `rabbitmqctl`, which starts a virtual machine each time, is used to
//! change things only. Sources: <https://www.rabbitmq.com/docs/clustering>, the runbook, and the server's own
//! modules (`rabbit_mnesia`, `rabbit_policy`, ...) as of 3.10.

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

use kit::{Cx, StepPlan};
use kit::{Endpoint, Login, Offer};
use kit::{Kind, ReadCx, Service, Steps};
use settings::Settings;

/// The steps, in the order of the built-in playbook.
static STEPS: Steps<Settings> = Steps::new(&[
    ("check", steps::check::plan),
    ("cookie", steps::cookie::plan),
    ("config", steps::config::plan),
    ("stop", steps::stop::plan),
    ("start", steps::start::plan),
    ("join", steps::join::plan),
    ("vhosts", steps::vhosts::plan),
    ("users", steps::users::plan),
    ("policies", steps::policies::plan),
    ("grow", steps::grow::plan),
    ("restart", steps::restart::plan),
    ("leave", steps::leave::plan),
]);

/// The kind.
pub struct RabbitMq;

impl Kind for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/rabbitmq.toml")
    }

    fn steps(&self) -> Vec<&'static str> {
        STEPS.names()
    }

    fn read(&self, decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
        Some(Box::new(Cluster {
            settings: settings::read(decl, cx)?,
        }))
    }
}

/// One cluster of the inventory.
struct Cluster {
    settings: Settings,
}

impl Service for Cluster {
    fn name(&self) -> &ServiceName {
        &self.settings.name
    }

    fn kind(&self) -> &'static str {
        "rabbitmq"
    }

    fn hosts(&self) -> &[HostName] {
        &self.settings.hosts
    }

    fn others(&self) -> Vec<HostName> {
        self.settings.others.clone()
    }

    fn vars(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("package".to_owned(), self.settings.package.clone())])
    }

    fn names(&self) -> Vec<HostName> {
        self.settings.hosts.clone()
    }

    fn queries(&self, host: &HostName) -> Vec<FactQuery> {
        observe::queries::of_host(&self.settings, host)
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

    fn offer(&self) -> Option<Offer> {
        let logins = self.settings.users.iter().map(|user| Login {
            user: Some(user.name.clone()),
            password: user.password.clone(),
            database: None,
        });
        Some(Offer {
            endpoints: Endpoint::all(&self.settings.hosts, self.settings.port),
            name: None,
            logins: logins.collect(),
        })
    }
}
