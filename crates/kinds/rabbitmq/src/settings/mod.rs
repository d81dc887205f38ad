//! The settings of a cluster, with the runbook's defaults.

use config::{Findings, Reader, SecretRule, ServiceDecl, Table, Value, ValueKind};
use serde_json::Value as Json;
use types::{Diagnostic, HostName, SecretId, ServiceName};

use crate::steps::users;
use kit::ReadCx;

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
    /// Whether every quorum queue gets a member on every host.
    pub(crate) grow_quorum_queues: bool,
    /// Hosts that may have been members: those of the inventory that no service of this kind lists.
    pub(crate) others: Vec<HostName>,
    pub(crate) policies: Vec<Policy>,
    /// Where clients connect.
    pub(crate) port: u16,
    /// Virtual hosts that are to exist; those that users have permissions in are among them.
    pub(crate) vhosts: Vec<String>,
    pub(crate) users: Vec<User>,
}

/// A user as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: SecretId,
    /// Sorted, each once.
    pub(crate) tags: Vec<String>,
    pub(crate) permissions: Vec<Permission>,
}

/// What a user may do in a virtual host: regular expressions of names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Permission {
    pub(crate) vhost: String,
    pub(crate) configure: String,
    pub(crate) write: String,
    pub(crate) read: String,
}

/// A policy as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// The virtual hosts that have it; `None` for all that exist.
    pub(crate) vhosts: Option<Vec<String>>,
    pub(crate) pattern: String,
    pub(crate) definition: serde_json::Map<String, Json>,
    pub(crate) priority: i64,
    /// `all`, `queues` or `exchanges` (and their finer sorts since 3.12).
    pub(crate) apply_to: String,
}

impl Settings {
    /// The node's name on a host: short names, as Erlang's `-sname`.
    pub(crate) fn node(host: &HostName) -> String {
        format!("rabbit@{}", host.short())
    }

    /// Whether a node is one of the service's hosts'.
    pub(crate) fn lists(&self, node: &str) -> bool {
        self.hosts.iter().any(|host| Self::node(host) == node)
    }

    pub(crate) fn cookie_path(&self) -> String {
        format!("{}/.erlang.cookie", self.data_dir)
    }

    /// What a node remembers of its cluster's members while it is off, beside its database: written by
    /// `rabbit_node_monitor`.
    pub(crate) fn members_path(&self, host: &HostName) -> String {
        format!(
            "{}/mnesia/{}/cluster_nodes.config",
            self.data_dir,
            Self::node(host)
        )
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
        .map(|table| crate::steps::config::read(table, findings));
    let grow_quorum_queues = reader.bool("grow_quorum_queues").unwrap_or(false);
    let policies = match reader.table("policies") {
        Some(table) => table
            .entries
            .iter()
            .filter_map(|entry| policy(&entry.key, &entry.value, findings))
            .collect(),
        None => vec![mirror_everything()],
    };
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
        config: config.unwrap_or_default(),
        grow_quorum_queues,
        others: cx.inventory.hosts_without(&decl.kind),
        policies,
        port,
        vhosts,
        users,
    })
}

/// The runbook's policy: `ha-all`.
fn mirror_everything() -> Policy {
    let definition = [("ha-mode", "all"), ("ha-sync-mode", "automatic")];
    Policy {
        name: "ha-all".to_owned(),
        vhosts: None,
        pattern: ".*".to_owned(),
        definition: definition
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Json::from(value)))
            .collect(),
        priority: 0,
        apply_to: "all".to_owned(),
    }
}

fn policy(name: &str, value: &Value, findings: &Findings) -> Option<Policy> {
    let ValueKind::Table(table) = &value.kind else {
        let found = format!("the policy {name} is {}", value.kind.describe());
        findings.report(Diagnostic::error(found).at(value.span, "expected a table"));
        return None;
    };
    let reader = Reader::new(table, "a key of a policy", findings);
    let definition = reader.required(
        "definition",
        reader.table("definition"),
        "what the policy sets, e.g. max-length",
    );
    let vhosts = reader
        .strings("vhosts")
        .map(|names| names.into_iter().map(|(name, _)| name.to_owned()).collect());
    let policy = Policy {
        name: name.to_owned(),
        vhosts,
        pattern: reader.string("pattern").unwrap_or(".*").to_owned(),
        definition: definition
            .map(|table| definition_of(table, findings))
            .unwrap_or_default(),
        priority: reader
            .int("priority", i64::from(i32::MIN)..=i64::from(i32::MAX))
            .unwrap_or(0),
        apply_to: reader.string("apply_to").unwrap_or("all").to_owned(),
    };
    reader.finish();
    Some(policy)
}

fn definition_of(table: &Table, findings: &Findings) -> serde_json::Map<String, Json> {
    let mut definition = serde_json::Map::new();
    for entry in &table.entries {
        if let Some(value) = json(&entry.value, findings) {
            definition.insert(entry.key.clone(), value);
        }
    }
    definition
}

fn json(value: &Value, findings: &Findings) -> Option<Json> {
    match &value.kind {
        ValueKind::String(text) => Some(Json::from(text.as_str())),
        ValueKind::Int(number) => Some(Json::from(*number)),
        ValueKind::Bool(flag) => Some(Json::from(*flag)),
        ValueKind::Array(items) => items.iter().map(|item| json(item, findings)).collect(),
        other => {
            findings.report(
                Diagnostic::error(format!("a policy cannot hold {}", other.describe())).at(
                    value.span,
                    "expected a string, an integer, a boolean or an array of them",
                ),
            );
            None
        }
    }
}
