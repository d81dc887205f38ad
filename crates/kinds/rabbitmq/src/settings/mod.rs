//! The settings of a cluster, with the runbook's defaults.

mod config_keys;
mod node_name;
mod policies;
mod users;

use config::{Reader, SecretRule, ServiceDecl};
use types::{HostName, SecretId, ServiceName};

use kit::ReadCx;

pub(crate) use node_name::{NodeName, list};
pub(crate) use policies::Policy;
pub(crate) use users::{Permission, User};

/// What the inventory says of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: ServiceName,
    pub(crate) hosts: Vec<HostName>,
    /// The Erlang cookie.
    pub(crate) cookie: SecretId,
    pub(crate) package: String,
    pub(crate) unit: String,
    /// Where the cookie and the database are: `RABBITMQ_HOME` of Debian's package.
    pub(crate) data_dir: String,
    /// rabbitmq.conf.
    pub(crate) config_path: String,
    /// Its keys that the inventory names, with their values.
    pub(crate) config: Vec<(String, String)>,
    /// Its keys that are taken out of it.
    pub(crate) absent: Vec<String>,
    /// Whether every quorum queue gets a member on every host.
    pub(crate) grow_quorum_queues: bool,
    /// Hosts that may have been members: those of the inventory that no service of this kind lists.
    pub(crate) others: Vec<HostName>,
    /// The policies that the inventory names.
    policies: Option<Vec<Policy>>,
    /// What clients get where they name no type of queue.
    pub(crate) default_queue_type: QueueType,
    /// Where clients connect.
    pub(crate) port: u16,
    /// Virtual hosts that are to exist; those that users have permissions in are among them.
    pub(crate) vhosts: Vec<String>,
    pub(crate) users: Vec<User>,
}

/// A type of queues. Before 4.0 policies replicate classic queues; since then only quorum queues are replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueType {
    Classic,
    Quorum,
}

impl Settings {
    /// The policies that should be there: the runbook's where the inventory is silent and classic queues can have mirrors.
    pub(crate) fn policies(&self, has_mirrors: bool) -> Vec<Policy> {
        let of_runbook = || has_mirrors.then(policies::mirror_everything);
        self.policies
            .clone()
            .unwrap_or_else(|| of_runbook().into_iter().collect())
    }

    /// Whether a node is one of the service's hosts'.
    pub(crate) fn lists(&self, node: &NodeName) -> bool {
        self.hosts.iter().any(|host| NodeName::of(host) == *node)
    }

    pub(crate) fn cookie_path(&self) -> String {
        format!("{}/.erlang.cookie", self.data_dir)
    }

    /// The directory of a node's database: it is there once the node ran.
    pub(crate) fn database_path(&self, host: &HostName) -> String {
        format!("{}/mnesia/{}", self.data_dir, NodeName::of(host))
    }

    /// What a node with Mnesia remembers of its cluster's members while it is off. Where Khepri takes Mnesia's place it is
    /// deleted (seen with 4.0.5), but until 4.2 each reset, and so each join, writes it again with the node's own name
    /// (`rabbit_db:post_reset`).
    pub(crate) fn members_path(&self, host: &HostName) -> String {
        format!("{}/cluster_nodes.config", self.database_path(host))
    }

    /// The names of the feature flags that are enabled. A reset deletes it.
    pub(crate) fn flags_path(&self, host: &HostName) -> String {
        format!("{}-feature_flags", self.database_path(host))
    }
}

pub(crate) fn read(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Settings> {
    let findings = cx.findings;
    let reader = Reader::new(&decl.settings, "a setting of rabbitmq", findings);
    let cookie = reader.secret("cookie", SecretRule::COOKIE);
    let cookie = reader.required(
        "cookie",
        cookie,
        "cookie = { file = \"secrets/rabbitmq.cookie\" }",
    );
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let (package, unit) = (
        text("package", "rabbitmq-server"),
        text("unit", "rabbitmq-server.service"),
    );
    let data_dir = text("data_dir", "/var/lib/rabbitmq");
    let config_path = text("config_path", "/etc/rabbitmq/rabbitmq.conf");
    let config = reader
        .table("config")
        .map(|table| config_keys::read(table, findings))
        .unwrap_or_default();
    let is_set = |key: &str| config.iter().any(|(set, _)| set == key);
    let absent = kit::absent(&reader, is_set, |_| None);
    let grow_quorum_queues = reader.bool("grow_quorum_queues").unwrap_or(false);
    let policies = policies::read(&reader, findings);
    let default_queue_type = queue_type(&reader);
    let users = users::read(&reader, findings);
    let vhosts = users::vhosts(&reader, &users);
    let port = reader.port("port").unwrap_or(5672);
    reader.finish();
    let hosts = decl.hosts.clone();
    Some(Settings {
        name: decl.name.clone(),
        hosts,
        cookie: cookie?,
        package,
        unit,
        data_dir,
        config_path,
        config,
        absent,
        grow_quorum_queues,
        others: cx.inventory.hosts_without(&decl.kind),
        policies,
        default_queue_type,
        port,
        vhosts,
        users,
    })
}

fn queue_type(reader: &Reader<'_>) -> QueueType {
    let types = [("quorum", QueueType::Quorum), ("classic", QueueType::Classic)];
    reader
        .choice("default_queue_type", &types)
        .unwrap_or(QueueType::Quorum)
}
