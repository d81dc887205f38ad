//! The questions that are asked of each host, and of its files.

use protocol::facts::{CandidateQuery, FileQuery, PackageQuery, UnitQuery};
use protocol::{FactQuery, Query};
use types::HostName;

use super::calls;
use super::configuration::configuration;
use crate::settings::Settings;

/// Values that look like passwords do not leave the host.
const MASK: &str = r"(?i)^\s*[\w.]*(?:pass|secret|cookie)[\w.]*\s*=\s*(\S.*)$";

/// The facts that are needed of a host, a member or one that may have been.
pub(crate) fn of_host(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    let unit = UnitQuery::new(&settings.unit).wrap();
    let (members, node) = (members(settings, host).wrap(), calls::node(settings, host).wrap());
    let (database, flags) = (database(settings, host).wrap(), flags(settings, host).wrap());
    if !settings.hosts.contains(host) {
        let cookie = former_cookie(settings).wrap();
        return vec![unit, cookie, members, flags, database, node];
    }
    let mut queries = vec![
        package(settings).wrap(),
        candidate(settings).wrap(),
        unit,
        cookie(settings).wrap(),
        members,
        flags,
        database,
        node,
    ];
    match config(settings) {
        Some(config) => queries.extend([config.wrap(), configuration(settings, host).wrap()]),
        None => queries.push(foreign_config(settings).wrap()),
    }
    if settings.grow_quorum_queues {
        queries.push(calls::quorum_queues(settings, host).wrap());
    }
    queries
}

pub(super) fn package(settings: &Settings) -> PackageQuery {
    let name = settings.package.clone();
    PackageQuery { name }
}

/// Which version would be installed, where none is: what a cluster is made with depends on it.
pub(super) fn candidate(settings: &Settings) -> CandidateQuery {
    CandidateQuery {
        name: settings.package.clone(),
        unless: "/usr/sbin/rabbitmqctl".to_owned(),
    }
}

/// rabbitmq.conf, where the inventory names keys of it.
pub(crate) fn config(settings: &Settings) -> Option<FileQuery> {
    let query = || FileQuery::text(&settings.config_path).masking(&[MASK]);
    (!settings.config.is_empty() || !settings.absent.is_empty()).then(query)
}

/// rabbitmq.conf, where it is not ours: whether the broker runs with it is told.
pub(crate) fn foreign_config(settings: &Settings) -> FileQuery {
    FileQuery::meta(&settings.config_path)
}

/// The cookie's file, with its text.
pub(crate) fn cookie(settings: &Settings) -> FileQuery {
    FileQuery::text(settings.cookie_path())
        .knowing([&settings.cookie])
        .masking(&["^(.*)$"])
}

/// The cookie's file of a host that may be a former member: its hash tells whether the cookie is that of the members.
pub(super) fn former_cookie(settings: &Settings) -> FileQuery {
    FileQuery::meta(settings.cookie_path())
}

/// The directory of a node's database.
pub(super) fn database(settings: &Settings, host: &HostName) -> FileQuery {
    FileQuery::meta(settings.database_path(host))
}

/// The file in which a node keeps the names of its cluster's members.
pub(super) fn members(settings: &Settings, host: &HostName) -> FileQuery {
    FileQuery::text(settings.members_path(host))
}

/// The file in which a node keeps the names of the feature flags that are enabled.
pub(super) fn flags(settings: &Settings, host: &HostName) -> FileQuery {
    FileQuery::text(settings.flags_path(host))
}
