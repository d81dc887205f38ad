//! What is asked of each host.

use std::net::IpAddr;

use protocol::FactQuery;
use protocol::facts::{
    FileQuery, Query, ResolveQuery, SsdbCommand, SsdbQuery, THIS_HOST, TcpQuery, UnitQuery,
};
use types::HostName;

use crate::settings::Settings;

/// Passwords of other instances and masters do not leave the host.
const MASK: &str = r"^\s*auth\s*[:=]\s*(.*?)\s*$";

/// Everything that is asked of a host; of one that is no member only what tells whether it was one.
pub(crate) fn all(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    if !settings.hosts.contains(host) {
        let mut queries = vec![config(settings).wrap(), pid_file(settings).wrap()];
        queries.extend(live(settings, host));
        return queries;
    }
    let mut queries = vec![
        config(settings).wrap(),
        data_dir(settings).wrap(),
        FileQuery::meta(&settings.work_dir).wrap(),
        pid_file(settings).wrap(),
    ];
    queries.extend(live(settings, host));
    queries.extend(names(settings).iter().map(Query::wrap));
    queries.extend(settings.peers(host).map(|peer| reach(settings, peer).wrap()));
    queries
}

/// Whether a host reaches a peer's server. Of one that fell silent a link says SYNC for long.
pub(crate) fn reach(settings: &Settings, peer: &HostName) -> TcpQuery {
    TcpQuery {
        host: settings.place(peer).to_owned(),
        port: settings.port,
    }
}

/// What gates watch: the unit and the running server.
pub(crate) fn live(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    let mut queries = vec![UnitQuery::new(&settings.unit).wrap()];
    queries.extend(servers(settings, host).iter().map(Query::wrap));
    queries
}

/// The configuration file.
pub(crate) fn config(settings: &Settings) -> FileQuery {
    FileQuery::text(&settings.config)
        .knowing([&settings.password])
        .masking(&[MASK])
}

/// Where the server keeps its data: it is there once the server ran.
pub(crate) fn data_dir(settings: &Settings) -> FileQuery {
    FileQuery::meta(format!("{}/data", settings.work_dir))
}

/// The file that stops a start with `-d` where a killed server left it.
pub(crate) fn pid_file(settings: &Settings) -> FileQuery {
    FileQuery::meta(format!("{}/ssdb.pid", settings.work_dir))
}

/// Names that stand for addresses.
pub(crate) fn names(settings: &Settings) -> Vec<ResolveQuery> {
    let names = settings
        .places
        .iter()
        .filter(|place| place.parse::<IpAddr>().is_err());
    names.map(|name| ResolveQuery { name: name.clone() }).collect()
}

/// The server where its peers reach it, and at whatever address of its host: one that is not clustered yet listens on the
/// loopback.
pub(crate) fn servers(settings: &Settings, host: &HostName) -> [SsdbQuery; 2] {
    [settings.place(host), THIS_HOST].map(|address| SsdbQuery {
        address: address.to_owned(),
        port: settings.port,
        password: Some(settings.password.clone()),
        commands: commands(settings),
    })
}

/// The commands that tell a server's state; `view` reads their replies in this order.
fn commands(settings: &Settings) -> Vec<SsdbCommand> {
    // One more than there are canaries and farewells: what is left over is data.
    let few = (settings.hosts.len() + 2).to_string();
    let mut commands = vec![
        SsdbCommand::new(["info"]),
        // Names of keys are nobody's business.
        SsdbCommand::new(["keys", "", "", &few]).private(),
        SsdbCommand::new(["hlist", "", "", "1"]).private(),
        SsdbCommand::new(["zlist", "", "", "1"]).private(),
        SsdbCommand::new(["qlist", "", "", "1"]).private(),
        SsdbCommand::new(["get", FAREWELL]),
    ];
    commands.extend(
        settings
            .hosts
            .iter()
            .map(|host| SsdbCommand::new(["get", &canary_key(host)])),
    );
    commands
}

/// How many replies come before the one that tells the farewell; those that tell the canaries come after it.
pub(crate) const BEFORE_FAREWELL: usize = 5;

/// The key that is written on a member that leaves.
pub(crate) const FAREWELL: &str = "clusterctl.farewell";

/// The key of the canary that is written on a host.
pub(crate) fn canary_key(host: &HostName) -> String {
    format!("clusterctl.canary.{host}")
}

/// Asks a server for one host's canary.
pub(crate) fn canary(settings: &Settings, at: &str, host: &HostName) -> SsdbQuery {
    SsdbQuery {
        address: at.to_owned(),
        port: settings.port,
        password: Some(settings.password.clone()),
        commands: vec![SsdbCommand::new(["get", &canary_key(host)])],
    }
}
