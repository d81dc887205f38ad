//! Everything that is asked of a host.

use protocol::FactQuery;
use protocol::facts::{Query, UnitQuery};
use types::HostName;

use super::coordination::queries as coordination;
use super::server::queries as server;
use crate::settings::Settings;

/// The queries to a host: a member, or another host, which may be a former member.
pub(crate) fn all(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    if settings.hosts.contains(host) {
        of_member(settings)
    } else {
        of_other(settings)
    }
}

fn of_member(settings: &Settings) -> Vec<FactQuery> {
    let mut queries = vec![
        server::config(settings).wrap(),
        server::merged_config(settings).wrap(),
        server::default_users(settings).wrap(),
        server::merged_users(settings).wrap(),
        server::directory(&settings.config_d()).wrap(),
        server::directory(&settings.users_d()).wrap(),
    ];
    if !settings.package.is_empty() {
        queries.push(server::package(settings).wrap());
        queries.push(server::candidate(settings).wrap());
    }
    queries.extend(server::config_files(settings).iter().map(Query::wrap));
    queries.extend(server::users_file(settings).iter().map(Query::wrap));
    if settings.keeper().is_some() {
        queries.push(coordination::keeper_log(settings).wrap());
        queries.push(server::tables_on_disk(settings).wrap());
    }
    if let Some(zookeeper) = settings.zookeeper() {
        queries.extend(coordination::zookeeper_files(zookeeper).iter().map(Query::wrap));
    }
    let at = server::endpoints(settings);
    queries.extend(at.iter().map(|at| server::registered(at).wrap()));
    queries.extend(at.iter().map(|at| server::engines(at).wrap()));
    for with_uuids in [true, false] {
        queries.extend(at.iter().map(|at| server::schema(at, with_uuids).wrap()));
    }
    queries.extend(live(settings));
    queries
}

/// The questions to running servers: what gates watch.
pub(crate) fn live(settings: &Settings) -> Vec<FactQuery> {
    let mut queries = vec![UnitQuery::new(&settings.unit).wrap()];
    for at in server::endpoints(settings) {
        queries.push(server::state(settings, &at).wrap());
        queries.push(server::replicas(&at).wrap());
        queries.push(server::session(&at).wrap());
    }
    if let Some(zookeeper) = settings.zookeeper() {
        queries.push(UnitQuery::new(&zookeeper.unit).wrap());
    }
    queries.extend(coordination::words(settings).iter().map(Query::wrap));
    queries
}

/// A host that is no member is asked little, for most of them never were one.
fn of_other(settings: &Settings) -> Vec<FactQuery> {
    let mut all = live(settings);
    all.push(server::merged_config(settings).wrap());
    all.push(server::config(settings).wrap());
    all.push(server::config_file(settings, "clusters").wrap());
    match settings.zookeeper() {
        Some(zookeeper) => all.push(coordination::zoo_cfg(zookeeper).wrap()),
        None => all.push(server::config_file(settings, "keeper").wrap()),
    }
    let local = server::endpoints(settings);
    all.extend(local.iter().map(|at| server::local_tables(at).wrap()));
    all
}
