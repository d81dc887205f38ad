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

use kit::{Identity, Kind, KindTable, Offer, Special, Steps};
use types::HostName;

use observe::View;
use rules::availability::unavailable;
use rules::find_roles::find_roles;
use settings::{Place, Settings};

/// The kind.
pub const KIND: &dyn Kind = &TABLE;

static TABLE: KindTable<Settings> = KindTable {
    name: "kvrocks",
    playbook: include_str!("../../../../playbooks/kvrocks.toml"),
    steps: Steps::new(&[
        ("check", steps::check::plan),
        ("sentinel-set", steps::sentinel_set::plan),
        ("config", steps::config::plan),
        ("set", steps::config_set::plan),
        ("restart", steps::restart::plan),
        ("sentinel-seed", steps::sentinel_seed::plan),
        ("sentinel-start", steps::sentinel_start::plan),
        ("sentinel-quorum", steps::sentinel_quorum::plan),
        ("leave", steps::leave::plan),
    ]),
    read: settings::read,
    identity: |settings| Identity {
        name: &settings.name,
        hosts: &settings.hosts,
        others: &settings.others,
    },
    vars: |settings| {
        let sentinel = &settings.sentinel;
        vec![
            ("package", settings.package.clone()),
            ("sentinel_package", sentinel.package.clone()),
            ("unit", settings.unit.clone()),
            ("sentinel_unit", sentinel.unit.clone()),
        ]
    },
    names,
    queries: observe::queries::all,
    judge: checks::judge,
    unavailable: |settings, facts| {
        let view = View::new(settings, facts);
        unavailable(&view, &find_roles(&view))
    },
    basis: status::basis,
    status: status::status,
    special: Special {
        offer: Some(offer),
        ..Special::none()
    },
};

/// Files get addresses, so names matter only where the inventory has no address.
fn names(settings: &Settings) -> Vec<HostName> {
    let hosts = settings.hosts.iter().zip(&settings.places);
    hosts
        .filter(|(host, place)| matches!(place, Place::Name(name) if name == host.as_str()))
        .map(|(host, _)| host.clone())
        .collect()
}

/// Clients ask the sentinels where the master is.
fn offer(settings: &Settings) -> Offer {
    let sentinel = &settings.sentinel;
    Offer {
        name: Some(sentinel.master_name.clone()),
        ..Offer::shared(&settings.hosts, sentinel.port, &settings.password)
    }
}
