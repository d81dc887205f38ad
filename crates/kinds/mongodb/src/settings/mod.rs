//! The settings of a replica set, with the runbook's defaults.

mod access;
mod config_keys;
mod member_options;
mod read;

use protocol::facts::MongoUser;
use serde_json::Value;
use types::{HostName, ServiceName};

pub(crate) use access::{Keyfile, User, UserRole};
pub(crate) use config_keys::is_below;
pub(crate) use member_options::MemberOptions;
pub(crate) use read::read;

/// The settings of a replica set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: ServiceName,
    pub(crate) hosts: Vec<HostName>,
    /// Hosts of the inventory that no replica set lists, and that may be former members of this one.
    pub(crate) others: Vec<HostName>,
    /// The options of the members, in the order of `hosts`.
    pub(crate) members: Vec<MemberOptions>,
    pub(crate) replica_set: String,
    pub(crate) port: u16,
    pub(crate) config_path: String,
    pub(crate) unit: String,
    /// Empty where clusterctl does not install it.
    pub(crate) package: String,
    /// Where the server keeps its data.
    pub(crate) data_dir: String,
    /// Owner of the key file, and group of the same name.
    pub(crate) owner: String,
    /// The addresses to listen on, where the inventory gives them; [`OWN_NAME`] stands for the member's own name.
    pub(crate) bind: Option<Vec<String>>,
    /// More keys of mongod.conf, by dotted path, in the order in which they are written.
    pub(crate) config: Vec<(String, Value)>,
    /// Keys of mongod.conf that are taken out of it, with all that is below them.
    pub(crate) absent: Vec<String>,
    /// The user that observes and changes the set; `None` where there is no access control, or it is managed elsewhere.
    pub(crate) admin: Option<MongoUser>,
    /// The key by which members authenticate each other; `None` where it is not managed.
    pub(crate) keyfile: Option<Keyfile>,
    pub(crate) users: Vec<User>,
    /// The most that a healthy member lags behind, in seconds.
    pub(crate) max_lag_s: i64,
}

/// The word that stands for the member's own name in `bind`.
const OWN_NAME: &str = "host";

impl Settings {
    /// The name that a host's member gets in the set's configuration.
    pub(crate) fn member_name(&self, host: &HostName) -> String {
        format!("{host}:{}", self.port)
    }

    /// The options of a host's member.
    pub(crate) fn options(&self, host: &HostName) -> Option<&MemberOptions> {
        let at = self.hosts.iter().position(|other| other == host)?;
        self.members.get(at)
    }

    /// Whether access control is switched on here: there is a key for the members, and an admin.
    pub(crate) fn manages_auth(&self) -> bool {
        self.keyfile.is_some()
    }

    /// mongod opens IPv6 sockets only where it is told to (`net.ipv6`), whatever `net.bindIp` says.
    pub(crate) fn lacks_ipv6(&self) -> Option<&'static str> {
        let is_on = |(key, value): &(String, Value)| key == "net.ipv6" && *value == Value::Bool(true);
        let lack = "mongod listens on IPv6 with `config.net.ipv6 = true` only";
        (!self.config.iter().any(is_on)).then_some(lack)
    }

    /// The keys of mongod.conf as they should be on a host; `None` for one that must not be there.
    pub(crate) fn conf(&self, host: &HostName) -> Vec<(String, Option<Value>)> {
        let bind = self.bind.as_ref().map_or(vec!["127.0.0.1", OWN_NAME], |given| {
            given.iter().map(String::as_str).collect()
        });
        let bind = bind.into_iter().map(|address| match address {
            OWN_NAME => host.as_str(),
            other => other,
        });
        let bind: Vec<&str> = bind.collect();
        let mut keys = vec![
            (
                "replication.replSetName".to_owned(),
                Some(self.replica_set.as_str().into()),
            ),
            ("net.port".to_owned(), Some(self.port.into())),
            ("net.bindIp".to_owned(), Some(bind.join(",").into())),
            // mongod does not start with both.
            ("net.bindIpAll".to_owned(), None),
        ];
        if let Some(keyfile) = &self.keyfile {
            keys.push(("security.keyFile".to_owned(), Some(keyfile.path.as_str().into())));
            keys.push(("security.authorization".to_owned(), Some("enabled".into())));
        }
        let more = self.config.iter();
        keys.extend(more.map(|(path, value)| (path.clone(), Some(value.clone()))));
        keys
    }
}
