//! A ClickHouse cluster: one shard, replicated on all hosts, with Keeper or ZooKeeper for the common state.
//!
//! The quorum comes first: a server with replicated tables that finds none dies at its start (18.16) or stays read-only.
//! What a server takes at run time, clusters, macros and users, never restarts it; the addresses that it listens on and
//! the nodes of the quorum do, one member after another. Sources: the runbook, <https://clickhouse.com/docs/operations/>, and
//! ClickHouse 18.16 with ZooKeeper 3.8 as they behaved.

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

use kit::{Cx, StepPlan};
use kit::{Endpoint, Login, Offer};
use kit::{Kind, ReadCx, Service, Steps};
use observe::view::View;
use rules::coordination::quorum::Quorum;
use settings::Settings;

/// The steps, in the order of the built-in playbook.
static STEPS: Steps<Settings> = Steps::new(&[
    ("check", steps::check::plan),
    ("zookeeper-config", steps::zookeeper_config::plan),
    ("zookeeper-start", steps::zookeeper_start::plan),
    ("config", steps::config::plan),
    ("start", steps::start::plan),
    ("zookeeper-restart", steps::zookeeper_restart::plan),
    ("restart", steps::restart::plan),
    ("reload", steps::reload::plan),
    ("replicas", steps::replicas::plan),
    ("verify", steps::verify::plan),
    ("leave", steps::leave::plan),
]);

/// The kind.
pub struct ClickHouse;

impl Kind for ClickHouse {
    fn name(&self) -> &'static str {
        "clickhouse"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/clickhouse.toml")
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
        "clickhouse"
    }

    fn hosts(&self) -> &[HostName] {
        &self.settings.hosts
    }

    fn others(&self) -> Vec<HostName> {
        self.settings.others.clone()
    }

    fn vars(&self) -> BTreeMap<String, String> {
        let zookeeper = self.settings.zookeeper();
        BTreeMap::from([
            ("package".to_owned(), self.settings.package.clone()),
            (
                "zookeeper_package".to_owned(),
                zookeeper.map_or_else(String::new, |zookeeper| zookeeper.package.clone()),
            ),
        ])
    }

    /// Replicas fetch from each other by name, and the members of the quorum are named as well.
    fn names(&self) -> Vec<HostName> {
        self.settings.hosts.clone()
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
        rules::availability::unavailable(&Quorum::of_inventory(&View::new(&self.settings, facts)))
    }

    /// A former member takes the budget as well while it is removed: it holds a replica until then.
    fn budget(&self, facts: &Facts) -> Budget {
        let members = self.settings.hosts.iter().chain(&self.settings.others);
        Budget {
            members: members.cloned().collect(),
            max_unavailable: 1,
            unavailable: self.unavailable(facts),
        }
    }

    fn basis(&self, facts: &Facts) -> Vec<Basis> {
        status::basis(&Quorum::of_inventory(&View::new(&self.settings, facts)))
    }

    fn status(&self, facts: &Facts) -> ServiceStatus {
        status::status(&Quorum::of_inventory(&View::new(&self.settings, facts)))
    }

    fn offer(&self) -> Option<Offer> {
        let settings = &self.settings;
        let login = settings.password.as_ref().map(|password| Login {
            user: Some(settings.user.clone()),
            password: password.clone(),
            database: None,
        });
        Some(Offer {
            endpoints: Endpoint::all(&settings.hosts, settings.tcp_port),
            name: None,
            logins: login.into_iter().collect(),
        })
    }
}
