//! The Altcraft Platform: the application that uses all the other services.
//!
//! Its main.json repeats the addresses and passwords of its databases; here they come from the services of the inventory.
//! Of its processes two work as a cluster, proctask and procworkflow, one of each being the master. Source: the runbook
//! (the blocks of main.json, "Altcraft Platform Cluster Setup", "Configuring Custom Reader Groups"); where main.json is:
//! <https://guides.altcraft.com/en/admin-guide/platform-configuration>.

mod checks;
mod observe;
mod rules;
mod settings;
mod status;
mod steps;
#[cfg(test)]
mod tests;

use kit::{Identity, Kind, KindTable, Special, Steps};
use types::{HostName, ServiceName};

use settings::Settings;

/// The kind.
pub const KIND: &dyn Kind = &TABLE;

static TABLE: KindTable<Settings> = KindTable {
    name: "altcraft",
    playbook: include_str!("../../../../playbooks/altcraft.toml"),
    steps: Steps::new(&[
        ("check", steps::check::plan),
        ("config", steps::config::plan),
        ("restart", steps::restart::plan),
        ("leave", steps::leave::plan),
    ]),
    read: settings::read,
    identity: |settings| Identity {
        name: &settings.name,
        hosts: &settings.hosts,
        others: &settings.others,
    },
    vars: |settings| vec![("config", settings.config.clone())],
    names,
    queries: observe::queries::all,
    judge: checks::judge,
    unavailable: status::unavailable,
    basis: status::basis,
    status: status::status,
    special: Special {
        uses: Some(uses),
        budget: Some(status::budget),
        ..Special::none()
    },
};

/// main.json has names, as the runbook does.
fn names(settings: &Settings) -> Vec<HostName> {
    let used = settings.uses.all().flat_map(|used| &used.offer.endpoints);
    let mut names = settings.hosts.clone();
    for host in used.map(|endpoint| &endpoint.host) {
        if !names.contains(host) {
            names.push(host.clone());
        }
    }
    names
}

fn uses(settings: &Settings) -> Vec<ServiceName> {
    let mut names: Vec<ServiceName> = Vec::new();
    for used in settings.uses.all() {
        if !names.contains(&used.service) {
            names.push(used.service.clone());
        }
    }
    names
}
