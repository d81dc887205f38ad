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

use kit::{Endpoint, Identity, Kind, KindTable, Login, Offer, Special, Steps};

use settings::Settings;

/// The kind.
pub const KIND: &dyn Kind = &TABLE;

static TABLE: KindTable<Settings> = KindTable {
    name: "rabbitmq",
    playbook: include_str!("../../../../playbooks/rabbitmq.toml"),
    steps: Steps::new(&[
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
    ]),
    read: settings::read,
    identity: |settings| Identity {
        name: &settings.name,
        hosts: &settings.hosts,
        others: &settings.others,
    },
    vars: |settings| vec![("package", settings.package.clone())],
    names: |settings| settings.hosts.clone(),
    queries: observe::queries::of_host,
    judge: checks::judge,
    unavailable: status::unavailable,
    basis: status::basis,
    status: status::status,
    special: Special {
        offer: Some(offer),
        ..Special::none()
    },
};

fn offer(settings: &Settings) -> Offer {
    let logins = settings.users.iter().map(|user| Login {
        user: Some(user.name.clone()),
        password: user.password.clone(),
        database: None,
        vhosts: user
            .permissions
            .iter()
            .map(|permission| permission.vhost.clone())
            .collect(),
    });
    Offer {
        endpoints: Endpoint::all(&settings.hosts, settings.port),
        name: None,
        logins: logins.collect(),
    }
}
