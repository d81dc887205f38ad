//! A ClickHouse cluster: one shard, replicated on all hosts, with Keeper or ZooKeeper for the common state.
//!
//! The quorum comes first: a server with replicated tables that finds none dies at its start (18.16) or stays read-only.
//! What a server takes at run time, clusters, macros and users, never restarts it; where it listens and whom it asks for
//! the common state does, one member after another. Sources: the runbook, <https://clickhouse.com/docs/operations/>, and
//! ClickHouse 18.16 with ZooKeeper 3.8 as they behaved.

mod basis;
mod check;
mod config;
mod files;
mod former;
mod gates;
mod health;
mod ids;
mod leave;
mod margin;
mod need;
mod queries;
mod quorum;
mod reload;
mod replicas;
mod rounds;
mod run;
mod settings;
mod stage;
mod stranded;
#[cfg(test)]
mod tests;
mod verify;
mod view;
mod zoo;
mod zookeeper;

use std::collections::{BTreeMap, BTreeSet};

use ::config::ServiceDecl;
use plan::{Basis, Budget, Facts, ServiceStatus, Verdict};
use protocol::FactQuery;
use types::{HostName, ServiceName};

use kit::{Cx, StepPlan};
use kit::{Endpoint, Login, Offer};
use kit::{Kind, ReadCx, Service};
use settings::Settings;

/// The kind.
pub struct ClickHouse;

impl Kind for ClickHouse {
    fn name(&self) -> &'static str {
        "clickhouse"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/clickhouse.toml")
    }

    fn steps(&self) -> &'static [&'static str] {
        &[
            "check",
            "zookeeper-config",
            "zookeeper-start",
            "config",
            "start",
            "zookeeper-restart",
            "restart",
            "reload",
            "replicas",
            "verify",
            "leave",
        ]
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
        if self.settings.hosts.contains(host) {
            queries::all(&self.settings, host)
        } else {
            former::queries(&self.settings, host)
        }
    }

    fn plan_step(&self, step: &str, cx: &Cx<'_>) -> StepPlan {
        // Who leaves the quorum stays in it until those that join serve.
        let first = stage::first(&self.settings, cx.facts);
        let settings = first.as_ref().unwrap_or(&self.settings);
        match step {
            "check" => check::plan(settings, &self.settings, cx),
            "zookeeper-config" => zookeeper::plan_config(settings, cx),
            "zookeeper-start" => zookeeper::plan_start(settings, cx),
            "zookeeper-restart" => zookeeper::plan_restart(settings, cx),
            "config" => config::plan(settings, cx),
            "start" => run::plan_start(settings, cx),
            "restart" => run::plan_restart(settings, cx),
            "reload" => reload::plan(settings, cx),
            "replicas" => replicas::plan(settings, cx),
            "verify" => verify::plan(settings, cx),
            "leave" => leave::plan(&self.settings, cx),
            _ => StepPlan::nothing(),
        }
    }

    fn judge(&self, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
        health::judge(&self.settings, check, host, facts)
    }

    fn unavailable(&self, facts: &Facts) -> BTreeSet<HostName> {
        health::unavailable(&self.settings, facts)
    }

    /// A former member takes the budget as well when it goes: it holds a replica until then.
    fn budget(&self, facts: &Facts) -> Budget {
        let members = self.settings.hosts.iter().chain(&self.settings.others);
        Budget {
            members: members.cloned().collect(),
            max_unavailable: 1,
            unavailable: self.unavailable(facts),
        }
    }

    fn basis(&self, facts: &Facts) -> Vec<Basis> {
        basis::basis(&self.settings, facts)
    }

    fn status(&self, facts: &Facts) -> ServiceStatus {
        health::status(&self.settings, facts)
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
