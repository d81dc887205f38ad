//! The texts of the files under config.d and users.d, as the runbook has them.
//!
//! They are managed as a whole: what the server's own config.xml says stays there, and these are merged over it in alphabetical
//! order (<https://clickhouse.com/docs/operations/configuration-files>).

use std::collections::BTreeMap;

use formats::mark;
use protocol::{Encoding, Text};
use types::HostName;

use crate::observe::coordination::on_disk::OnDisk;
use crate::rules::coordination::ids::Ids;
use crate::rules::coordination::membership::Membership;
use crate::settings::{Coordination, Keeper, Root, Settings};
use formats::xml::Writer;

/// The element with the name that a server registers for others to fetch from: by default what the host takes for its own full
/// name, which the others may not resolve.
pub(crate) const INTERSERVER: &str = "interserver_http_host";

/// The cluster with its replicas.
pub(crate) fn clusters(settings: &Settings, root: Root) -> Text {
    let mut xml = Writer::new(root.name());
    xml.open("remote_servers");
    xml.open(&settings.cluster);
    xml.open("shard");
    xml.leaf("internal_replication", true);
    for host in &settings.hosts {
        xml.open("replica");
        xml.leaf("host", host);
        xml.leaf("port", settings.tcp_port);
        xml.close();
    }
    Text::new(xml.finish())
}

/// The words that stand for the member in the paths of replicated tables.
pub(crate) fn macros(settings: &Settings, root: Root, host: &HostName) -> Text {
    let mut xml = Writer::new(root.name());
    xml.open("macros");
    for (name, value) in macros_of(settings, host) {
        xml.leaf(&name, value);
    }
    Text::new(xml.finish())
}

/// The macros of a host.
pub(crate) fn macros_of(settings: &Settings, host: &HostName) -> BTreeMap<String, String> {
    let usual = [
        ("cluster", settings.cluster.clone()),
        ("replica", host.to_string()),
        ("shard", settings.shard.clone()),
    ];
    let mut macros: BTreeMap<String, String> = usual
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    macros.extend(settings.macros.get(host).cloned().unwrap_or_default());
    macros
}

/// The nodes that keep the common state, and the host's own Keeper.
pub(crate) fn keeper(
    settings: &Settings,
    membership: &Membership,
    root: Root,
    host: &HostName,
    ids: &Ids,
    files: Option<&OnDisk>,
) -> Text {
    let mut xml = Writer::new(root.name());
    if let Coordination::Keeper(keeper) = &settings.coordination
        && let Some(id) = ids.of(host)
    {
        keeper_server(&mut xml, settings, keeper, membership, id, ids, files);
        xml.blank();
    }
    xml.open("zookeeper");
    for (name, port) in nodes(settings, membership) {
        xml.open("node");
        xml.leaf("host", name);
        xml.leaf("port", port);
        xml.close();
    }
    xml.close();
    xml.blank();
    xml.open("distributed_ddl");
    xml.leaf("path", &settings.ddl_path);
    xml.close();
    if settings.keeper().is_some()
        && let Some(highest) = ids.spent()
    {
        xml.comment(&mark::comment(highest));
    }
    Text::new(xml.finish())
}

/// The nodes that ClickHouse connects to: no departing ones.
fn nodes(settings: &Settings, membership: &Membership) -> Vec<(String, u16)> {
    let port = match &settings.coordination {
        Coordination::Keeper(keeper) => keeper.port,
        Coordination::ZooKeeper(zookeeper) => zookeeper.port,
        Coordination::External(nodes) => return nodes.clone(),
    };
    let voters = membership
        .voters
        .iter()
        .filter(|host| !membership.departing.contains(host));
    voters.map(|host| (host.to_string(), port)).collect()
}

fn keeper_server(
    xml: &mut Writer,
    settings: &Settings,
    keeper: &Keeper,
    membership: &Membership,
    id: u32,
    ids: &Ids,
    files: Option<&OnDisk>,
) {
    xml.open("keeper_server");
    xml.leaf("tcp_port", keeper.port);
    xml.leaf("server_id", id);
    let data_dir = &settings.data_dir;
    xml.leaf("log_storage_path", format!("{data_dir}/coordination/log"));
    xml.leaf(
        "snapshot_storage_path",
        format!("{data_dir}/coordination/snapshots"),
    );
    xml.blank();
    xml.open("coordination_settings");
    xml.leaf("operation_timeout_ms", 10_000);
    xml.leaf("session_timeout_ms", 30_000);
    xml.leaf("rotate_log_storage_interval", 10_000);
    xml.close();
    xml.blank();
    xml.open("raft_configuration");
    let mut members: Vec<(u32, &HostName)> = membership
        .voters
        .iter()
        .filter_map(|member| Some((ids.of(member)?, member)))
        .collect();
    members.sort_unstable();
    for (id, member) in members {
        xml.open("server");
        xml.leaf("id", id);
        // A voter keeps the name that the quorum has for it.
        let name = files.map_or(member.as_str(), |files| files.spelling(member.as_str()));
        xml.leaf("hostname", name);
        xml.leaf("port", keeper.raft_port);
        xml.close();
    }
    xml.close();
    xml.close();
}

/// The addresses to listen on, and the name that other replicas fetch from, where it is not the host's own idea of it.
pub(crate) fn listen(settings: &Settings, root: Root, host: &HostName, interserver: Option<&str>) -> Text {
    let mut xml = Writer::new(root.name());
    for address in settings.listen_on(host) {
        xml.leaf("listen_host", address);
    }
    if let Some(name) = interserver {
        xml.leaf(INTERSERVER, name);
    }
    Text::new(xml.finish())
}

/// The users: the application's, and `default` kept to the cluster's hosts where that is set.
pub(crate) fn users(settings: &Settings, root: Root) -> Text {
    let mut xml = Writer::new(root.name());
    xml.open("users");
    if let Some(password) = &settings.password {
        xml.open(&settings.user);
        xml.cdata("password", &Text::secret_in(Encoding::Cdata, password));
        xml.open("networks");
        xml.leaf("ip", "::/0");
        xml.close();
        xml.leaf("profile", "default");
        xml.leaf("quota", "default");
        xml.close();
    }
    if settings.restrict_default_user {
        xml.open("default");
        xml.open("networks replace=\"replace\"");
        xml.leaf("ip", "::1");
        xml.leaf("ip", "127.0.0.1");
        for host in &settings.hosts {
            let address = settings.address(host);
            let is_numeric = address.parse::<std::net::IpAddr>().is_ok();
            xml.leaf(if is_numeric { "ip" } else { "host" }, address);
        }
    }
    Text::new(xml.finish())
}
