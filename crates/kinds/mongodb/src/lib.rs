//! A MongoDB replica set.
//!
//! The set elects its primary itself; the inventory names the members and their options. Everything is asked in MongoDB's
//! own protocol, on each host from the host itself. The order of a new set: configured servers, one initiation, the
//! admin, the application's users, then the other members' votes as they get the data. Sources: <https://www.mongodb.com/docs/manual/replication/>, the runbook, and the server's
//! source where a comment says so.

mod checks;
mod observe;
mod rules;
mod settings;
mod status;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ::config::ServiceDecl;
use plan::{Basis, Budget, Facts, ServiceStatus, Verdict};
use protocol::FactQuery;
use types::{HostName, ServiceName};

use kit::{Cx, StepPlan};
use kit::{Endpoint, Login, Offer};
use kit::{Kind, ReadCx, Service, Steps};
use observe::View;
use rules::availability;
use settings::Settings;
use steps::{check, config, initiate, keyfile, leave, members, restart, start, users};

/// The steps, in the order of the built-in playbook.
static STEPS: Steps<Settings> = Steps::new(&[
    ("check", check::plan),
    ("keyfile", keyfile::plan),
    ("config", config::plan),
    ("start", start::plan),
    ("initiate", initiate::plan),
    ("users", users::plan),
    ("members", members::plan),
    ("restart", restart::plan),
    ("leave", leave::plan),
]);

/// The kind.
pub struct MongoDb;

impl Kind for MongoDb {
    fn name(&self) -> &'static str {
        "mongodb"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/mongodb.toml")
    }

    fn steps(&self) -> Vec<&'static str> {
        STEPS.names()
    }

    fn read(&self, decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
        Some(Box::new(ReplicaSet {
            settings: settings::read(decl, cx.inventory, cx.findings)?,
        }))
    }
}

/// One set of the inventory.
struct ReplicaSet {
    settings: Settings,
}

impl Service for ReplicaSet {
    fn name(&self) -> &ServiceName {
        &self.settings.name
    }

    fn kind(&self) -> &'static str {
        "mongodb"
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

    /// Members know each other by name.
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
        availability::unavailable(&View::new(&self.settings, facts))
    }

    /// A majority of the voting members stays.
    fn tolerates(&self) -> usize {
        let voters = self
            .settings
            .members
            .iter()
            .filter(|member| member.votes != Some(false));
        voters.count().saturating_sub(1) / 2
    }

    fn basis(&self, facts: &Facts) -> Vec<Basis> {
        status::basis(&self.settings, facts)
    }

    fn status(&self, facts: &Facts) -> ServiceStatus {
        status::status(&self.settings, facts)
    }

    /// Clients connect to members that hold data and are not hidden; those know the others.
    fn offer(&self) -> Option<Offer> {
        let members = self.settings.hosts.iter().zip(&self.settings.members);
        let shown = members.filter(|(_, options)| !options.is_arbiter && options.hidden != Some(true));
        let hosts: Vec<HostName> = shown.map(|(host, _)| host.clone()).collect();
        let logins = self.settings.users.iter().map(|user| Login {
            user: Some(user.login.name.clone()),
            password: user.login.password.clone(),
            database: Some(user.login.auth_db.clone()),
        });
        Some(Offer {
            endpoints: Endpoint::all(&hosts, self.settings.port),
            name: Some(self.settings.replica_set.clone()),
            logins: logins.collect(),
        })
    }

    fn budget(&self, facts: &Facts) -> Budget {
        status::budget(&self.settings, facts)
    }
}
