//! The settings of a replicated store, with the runbook's defaults.

mod absent;
mod defaults;
mod directives;
mod read;
mod secret_names;
mod sentinel;

use types::{HostName, SecretId, ServiceName};

pub(crate) use defaults::{compared, default_of};
use formats::engine::Engine;
use kit::Process;
pub(crate) use read::read;
pub(crate) use secret_names::{masks, secret_names};

/// The settings of a store.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: ServiceName,
    pub(crate) hosts: Vec<HostName>,
    /// Where each of `hosts` is to be found.
    pub(crate) places: Vec<Place>,
    /// The inventory's other hosts, without the members of other stores: each may have been a member.
    pub(crate) others: Vec<HostName>,
    /// Where each of `others` is to be found.
    pub(crate) other_places: Vec<Place>,
    pub(crate) engine: Engine,
    pub(crate) port: u16,
    /// The password of the engine: what it asks for (`requirepass`) and what it shows its master (`masterauth`).
    pub(crate) password: SecretId,
    pub(crate) config: String,
    pub(crate) unit: String,
    /// Empty where it is not installed by us.
    pub(crate) package: String,
    pub(crate) owner: String,
    /// The addresses to listen on; `address` stands for the member's own one.
    pub(crate) bind: Option<Vec<String>>,
    /// More directives of the engine, in the order in which they are written.
    pub(crate) directives: Vec<Directive>,
    /// Those that are taken out of the file.
    pub(crate) absent: Vec<Absent>,
    pub(crate) sentinel: Sentinel,
}

/// How a host's address is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The inventory has it.
    Address(String),
    /// The hosts resolve this name.
    Name(String),
}

/// A directive with the values of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

/// A directive that no line of the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absent {
    pub(crate) key: String,
    /// What it has then; `None` where that is not known here.
    pub(crate) default: Option<&'static str>,
}

/// The settings of its sentinels.
#[derive(Debug, Clone)]
pub(crate) struct Sentinel {
    pub(crate) master_name: String,
    pub(crate) port: u16,
    pub(crate) quorum: usize,
    pub(crate) unit: String,
    /// Empty where it is not installed by us.
    pub(crate) package: String,
    pub(crate) config: String,
    pub(crate) owner: String,
    /// The options that the inventory names, in Sentinel's words.
    pub(crate) options: Vec<(&'static str, i64)>,
}

/// The word that stands for the member's own address in `bind`.
pub(crate) const OWN_ADDRESS: &str = "address";

impl Settings {
    /// The place of a host.
    pub(crate) fn place(&self, host: &HostName) -> Option<&Place> {
        let places = self.places.iter().chain(&self.other_places);
        let mut known = self.hosts.iter().chain(&self.others).zip(places);
        known.find(|(known, _)| *known == host).map(|(_, place)| place)
    }

    /// Whether the inventory names a directive.
    pub(crate) fn manages(&self, key: &str) -> bool {
        let set = self.directives.iter().map(|directive| &directive.key);
        let mut all = set.chain(self.absent.iter().map(|absent| &absent.key));
        all.any(|named| self.engine.is_same_directive(named, key))
    }

    /// The directory and the file that are laid over the unit of Kvrocks.
    ///
    /// Its CONFIG REWRITE makes a new file, with the mode that its umask leaves (recorded, 2.6: 0644 with 0022), and there are
    /// passwords in it. Debian's units of Redis and Valkey have a `UMask`.
    pub(crate) fn drop_in(&self) -> Option<(String, String)> {
        let directory = format!("/etc/systemd/system/{}.d", self.unit);
        let file = format!("{directory}/clusterctl.conf");
        (self.engine == Engine::Kvrocks).then_some((directory, file))
    }

    /// The engine's process on a host.
    pub(crate) fn engine_process<'s>(&'s self, host: &'s HostName) -> Process<'s> {
        let mut reads = vec![self.config.clone()];
        reads.extend(self.drop_in().map(|(_, file)| file));
        Process {
            host,
            unit: &self.unit,
            package: &self.package,
            reads,
        }
    }

    /// The other unit that has the alias of our sentinel's: Debian's sentinels of Redis and of Valkey share it, and systemd
    /// enables one of them (ran: Debian 13).
    pub(crate) fn rival_sentinel(&self) -> Option<&'static str> {
        let units = [Engine::Redis, Engine::Valkey].map(|engine| engine.defaults().sentinel_unit);
        let is_one = units.contains(&self.sentinel.unit.as_str());
        units
            .into_iter()
            .find(|unit| is_one && *unit != self.sentinel.unit)
    }

    /// The sentinel's process on a host.
    pub(crate) fn sentinel_process<'s>(&'s self, host: &'s HostName) -> Process<'s> {
        Process {
            host,
            unit: &self.sentinel.unit,
            package: &self.sentinel.package,
            // It writes its file when it has read it.
            reads: Vec::new(),
        }
    }
}

/// User and group of an `owner`: `redis` or `redis:redis`.
pub(crate) fn owner(owner: &str) -> (&str, &str) {
    owner.split_once(':').unwrap_or((owner, owner))
}
