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

use kit::{Endpoint, Identity, Kind, KindTable, Login, Offer, Special, Steps};
use plan::{Budget, Facts};

use observe::view::View;
use rules::coordination::quorum::Quorum;
use settings::Settings;

/// The kind.
pub const KIND: &dyn Kind = &TABLE;

static TABLE: KindTable<Settings> = KindTable {
    name: "clickhouse",
    playbook: include_str!("../../../../playbooks/clickhouse.toml"),
    steps: Steps::new(&[
        ("check", steps::check::plan),
        ("zookeeper-config", steps::zookeeper_config::plan),
        ("zookeeper-start", steps::zookeeper_start::plan),
        ("config", steps::config::plan),
        ("start", steps::start::plan),
        ("zookeeper-restart", steps::zookeeper_restart::plan),
        ("restart", steps::restart::plan),
        ("reload", steps::reload::plan),
        ("replicas", steps::replicas::plan),
        ("new-replicas", steps::new_replicas::plan),
        ("verify", steps::verify::plan),
        ("leave", steps::leave::plan),
    ]),
    read: settings::read,
    identity: |settings| Identity {
        name: &settings.name,
        hosts: &settings.hosts,
        others: &settings.others,
    },
    vars,
    names: |settings| settings.hosts.clone(),
    queries: observe::queries::all,
    judge: checks::judge,
    unavailable: |settings, facts| {
        rules::availability::unavailable(&Quorum::of_inventory(&View::new(settings, facts)))
    },
    basis: |settings, facts| status::basis(&Quorum::of_inventory(&View::new(settings, facts))),
    status: |settings, facts| status::status(&Quorum::of_inventory(&View::new(settings, facts))),
    special: Special {
        offer: Some(offer),
        budget: Some(budget),
        lacks_ipv6: Some(Settings::lacks_ipv6),
        ..Special::none()
    },
};

fn vars(settings: &Settings) -> Vec<(&'static str, String)> {
    let zookeeper = settings.zookeeper();
    let package = zookeeper.map_or_else(String::new, |zookeeper| zookeeper.package.clone());
    vec![
        ("package", settings.package.clone()),
        ("zookeeper_package", package),
    ]
}

/// A former member takes the budget as well while it is removed: it holds a replica until then.
fn budget(settings: &Settings, facts: &Facts) -> Budget {
    let members = settings.hosts.iter().chain(&settings.others);
    Budget {
        members: members.cloned().collect(),
        max_unavailable: 1,
        unavailable: (TABLE.unavailable)(settings, facts),
    }
}

fn offer(settings: &Settings) -> Offer {
    let login = settings.password.as_ref().map(|password| Login {
        user: Some(settings.user.clone()),
        password: password.clone(),
        database: None,
        vhosts: Vec::new(),
    });
    // All replicas are alike: the inventory's order of the hosts is none that clients should restart for.
    let mut hosts = settings.hosts.clone();
    hosts.sort_unstable();
    Offer {
        endpoints: Endpoint::all(&hosts, settings.tcp_port),
        name: None,
        logins: login.into_iter().collect(),
    }
}
