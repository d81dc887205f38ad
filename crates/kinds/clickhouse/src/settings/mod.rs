//! The settings of a ClickHouse cluster, with the runbook's defaults.

mod coordination;
mod read;
mod root;

use std::collections::BTreeMap;

use types::{HostName, SecretId, ServiceName};

pub(crate) use read::read;
pub(crate) use root::Root;

/// A cluster as the inventory describes it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: ServiceName,
    pub(crate) hosts: Vec<HostName>,
    /// Hosts of the inventory without such a service: they may be former members of this one.
    pub(crate) others: Vec<HostName>,
    /// The address of each of `hosts`: a numeric one where the inventory has it, else a name.
    pub(crate) addresses: Vec<String>,
    /// The cluster's name in `remote_servers`, and the macro of that name.
    pub(crate) cluster: String,
    /// The only shard's name, as a macro.
    pub(crate) shard: String,
    /// Macros that the inventory gives single hosts, beside the usual ones or in their place.
    pub(crate) macros: BTreeMap<HostName, BTreeMap<String, String>>,
    pub(crate) tcp_port: u16,
    pub(crate) http_port: u16,
    /// Where it listens; [`OWN_ADDRESS`] stands for the member's own address.
    pub(crate) listen: Vec<String>,
    /// The application's user, which we use as well, where it has a password.
    pub(crate) user: String,
    pub(crate) password: Option<SecretId>,
    /// Whether the user `default`, which has no password, is kept to the cluster's own hosts.
    pub(crate) restrict_default_user: bool,
    /// The queue of distributed DDL.
    pub(crate) ddl_path: String,
    /// How many seconds behind still counts as caught up.
    pub(crate) max_delay: u64,
    /// Empty where it is not installed by us.
    pub(crate) package: String,
    pub(crate) unit: String,
    pub(crate) config_dir: String,
    pub(crate) data_dir: String,
    /// The root element, where the inventory names it.
    pub(crate) root: Option<Root>,
    pub(crate) coordination: Coordination,
    /// Numbers of coordination members that the inventory names.
    pub(crate) server_ids: BTreeMap<HostName, u32>,
}

/// The program that keeps the replicas' common state.
#[derive(Debug, Clone)]
pub(crate) enum Coordination {
    /// ClickHouse Keeper, within the server.
    Keeper(Keeper),
    /// ZooKeeper on hosts of the service, set up by us.
    ZooKeeper(ZooKeeper),
    /// ZooKeeper or Keeper that is managed elsewhere: names and ports.
    External(Vec<(String, u16)>),
}

/// Keeper's settings.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    pub(crate) members: Vec<HostName>,
    pub(crate) port: u16,
    pub(crate) raft_port: u16,
}

/// ZooKeeper's settings.
#[derive(Debug, Clone)]
pub(crate) struct ZooKeeper {
    pub(crate) members: Vec<HostName>,
    pub(crate) port: u16,
    pub(crate) peer_port: u16,
    pub(crate) election_port: u16,
    /// Empty where it is not installed by us.
    pub(crate) package: String,
    pub(crate) unit: String,
    pub(crate) config_dir: String,
    pub(crate) data_dir: String,
    /// The file that sets the heap, as a line `JAVA_OPTS=`.
    pub(crate) environment: String,
    /// The heap of its Java machine, e.g. `512m`; as it is where the inventory is silent.
    pub(crate) heap: Option<String>,
    /// More keys of zoo.cfg.
    pub(crate) options: Vec<(String, String)>,
}

/// The word that stands for the member's own address in `listen`.
pub(crate) const OWN_ADDRESS: &str = "address";

impl Settings {
    /// The address of a host.
    pub(crate) fn address<'s>(&'s self, host: &'s HostName) -> &'s str {
        let at = self.hosts.iter().position(|other| other == host);
        at.and_then(|at| self.addresses.get(at))
            .map_or(host.as_str(), String::as_str)
    }

    /// The host that a configuration means: it may have its address, or its name with or without the domain.
    pub(crate) fn canonical(&self, name: &str) -> String {
        let label = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let is_numeric = name.parse::<std::net::IpAddr>().is_ok();
        let is_it = |host: &&HostName| {
            let is_same_label = || {
                !is_numeric
                    && (name.contains('.') != host.as_str().contains('.'))
                    && label(name) == label(host.as_str())
            };
            host.as_str() == name
                || self.hosts.contains(host) && self.address(host) == name
                || is_same_label()
        };
        let mut all = self.hosts.iter().chain(&self.others);
        let exact = self
            .hosts
            .iter()
            .chain(&self.others)
            .find(|host| host.as_str() == name);
        exact
            .or_else(|| all.find(is_it))
            .map_or_else(|| name.to_owned(), HostName::to_string)
    }

    /// The voters of the quorum as the inventory has them, in order; none where it is managed elsewhere.
    pub(crate) fn members(&self) -> &[HostName] {
        match &self.coordination {
            Coordination::Keeper(keeper) => &keeper.members,
            Coordination::ZooKeeper(zookeeper) => &zookeeper.members,
            Coordination::External(_) => &[],
        }
    }

    /// The program that the voters run.
    pub(crate) fn coordinator(&self) -> &'static str {
        match &self.coordination {
            Coordination::Keeper(_) => "keeper",
            Coordination::ZooKeeper(_) | Coordination::External(_) => "zookeeper",
        }
    }

    pub(crate) fn zookeeper(&self) -> Option<&ZooKeeper> {
        match &self.coordination {
            Coordination::ZooKeeper(zookeeper) => Some(zookeeper),
            _ => None,
        }
    }

    pub(crate) fn keeper(&self) -> Option<&Keeper> {
        match &self.coordination {
            Coordination::Keeper(keeper) => Some(keeper),
            _ => None,
        }
    }

    /// The unit that runs a voter: Keeper is part of the server.
    pub(crate) fn quorum_unit(&self) -> &str {
        self.zookeeper().map_or(&self.unit, |zookeeper| &zookeeper.unit)
    }

    /// The addresses to listen on, on a host.
    pub(crate) fn listen_on(&self, host: &HostName) -> Vec<String> {
        let own = |address: &String| {
            if address == OWN_ADDRESS {
                self.address(host).to_owned()
            } else {
                address.clone()
            }
        };
        self.listen.iter().map(own).collect()
    }

    /// `::` takes IPv4 connections too, where the kernel lets it; `address` is the member's own.
    pub(crate) fn lacks_ipv6(&self) -> Option<&'static str> {
        let covers = |address: &String| address.contains(':') || address == "*" || address == OWN_ADDRESS;
        let lack = "its servers listen on IPv6 with `listen = [\"::\"]` only";
        (!self.listen.iter().any(covers)).then_some(lack)
    }

    /// Whether the servers listen on every address.
    pub(crate) fn listens_everywhere(&self) -> bool {
        self.listen
            .iter()
            .any(|address| matches!(address.as_str(), "0.0.0.0" | "::" | "*"))
    }

    pub(crate) fn config_d(&self) -> String {
        format!("{}/config.d", self.config_dir)
    }

    pub(crate) fn users_d(&self) -> String {
        format!("{}/users.d", self.config_dir)
    }

    /// A file under config.d.
    pub(crate) fn config_file(&self, name: &str) -> String {
        format!("{}/{name}.xml", self.config_d())
    }

    /// The file of our users; `None` where we have none.
    pub(crate) fn users_file(&self) -> Option<String> {
        let is_needed = self.password.is_some() || self.restrict_default_user;
        is_needed.then(|| format!("{}/{}.xml", self.users_d(), self.user))
    }
}
