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

use kit::{Endpoint, Identity, Kind, KindTable, Login, Offer, Special, Steps};
use types::HostName;

use observe::View;
use rules::availability;
use settings::Settings;
use steps::{check, config, initiate, keyfile, leave, members, restart, start, users};

/// The kind.
pub const KIND: &dyn Kind = &TABLE;

static TABLE: KindTable<Settings> = KindTable {
    name: "mongodb",
    playbook: include_str!("../../../../playbooks/mongodb.toml"),
    steps: Steps::new(&[
        ("check", check::plan),
        ("keyfile", keyfile::plan),
        ("config", config::plan),
        ("start", start::plan),
        ("initiate", initiate::plan),
        ("users", users::plan),
        ("members", members::plan),
        ("restart", restart::plan),
        ("leave", leave::plan),
    ]),
    read: |decl, cx| settings::read(decl, cx.inventory, cx.findings),
    identity: |settings| Identity {
        name: &settings.name,
        hosts: &settings.hosts,
        others: &settings.others,
    },
    vars: |settings| vec![("package", settings.package.clone())],
    names: |settings| settings.hosts.clone(),
    queries: observe::queries::all,
    judge: checks::judge,
    unavailable: |settings, facts| availability::unavailable(&View::new(settings, facts)),
    basis: status::basis,
    status: status::status,
    special: Special {
        offer: Some(offer),
        tolerates: Some(tolerates),
        budget: Some(status::budget),
        lacks_ipv6: Some(Settings::lacks_ipv6),
        ..Special::none()
    },
};

/// A majority of the voting members stays.
fn tolerates(settings: &Settings) -> usize {
    let voters = settings
        .members
        .iter()
        .filter(|member| member.votes != Some(false));
    voters.count().saturating_sub(1) / 2
}

/// Clients connect to members that hold data and are not hidden; those know the others.
fn offer(settings: &Settings) -> Offer {
    let members = settings.hosts.iter().zip(&settings.members);
    let shown = members.filter(|(_, options)| !options.is_arbiter && options.hidden != Some(true));
    let hosts: Vec<HostName> = shown.map(|(host, _)| host.clone()).collect();
    let logins = settings.users.iter().map(|user| Login {
        user: Some(user.login.name.clone()),
        password: user.login.password.clone(),
        database: Some(user.login.auth_db.clone()),
        vhosts: Vec::new(),
    });
    Offer {
        endpoints: Endpoint::all(&hosts, settings.port),
        name: Some(settings.replica_set.clone()),
        logins: logins.collect(),
    }
}
