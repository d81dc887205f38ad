//! The settings of SSDB mirrors, with the runbook's defaults.

use config::{Reader, SecretRule, ServiceDecl, Takes};
use types::{Diagnostic, HostName, SecretId, ServiceName};

use kit::ReadCx;

/// What the inventory says of a service.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: ServiceName,
    pub(crate) hosts: Vec<HostName>,
    /// Where each of `hosts` is to be found: numeric, or a name that the hosts resolve.
    pub(crate) places: Vec<String>,
    /// The inventory's other hosts, of which some may have been members, and where they are.
    pub(crate) others: Vec<HostName>,
    other_places: Vec<String>,
    pub(crate) port: u16,
    pub(crate) password: SecretId,
    pub(crate) config: String,
    pub(crate) unit: String,
    pub(crate) owner: String,
    pub(crate) group: String,
    pub(crate) work_dir: String,
    /// Whether the inventory names the directory, so that another one in a file contradicts it.
    pub(crate) is_work_dir_named: bool,
    /// How many changes the binlog keeps: how far a mirror may fall behind before it is out of sync.
    pub(crate) capacity: u64,
    /// MB/s that are sent to each mirror; -1 for no limit. Kept as it is in a file where the inventory is silent.
    pub(crate) sync_speed: Option<i64>,
    /// Seconds without a word after which a mirror connects again.
    pub(crate) recv_timeout: u64,
    /// How many changes behind still counts as caught up. A mirror is told where it stands at least every 1000 changes
    /// that it does not get itself (`backend_sync.cpp`), so under load the numbers never meet; the canaries are the proof.
    pub(crate) max_lag: u64,
    /// Seconds within which a started server must answer; it replays what it had not written away.
    pub(crate) start_timeout: u64,
    /// Seconds that a copy of everything may take.
    pub(crate) sync_timeout: u64,
    /// Seconds within which a canary must have reached all mirrors.
    pub(crate) canary_timeout: u64,
}

impl Settings {
    /// The name or address under which a host is to be found.
    pub(crate) fn place<'h>(&'h self, host: &'h HostName) -> &'h str {
        let places = self.places.iter().chain(&self.other_places);
        let mut known = self.hosts.iter().chain(&self.others).zip(places);
        known
            .find(|(other, _)| *other == host)
            .map_or(host.as_str(), |(_, place)| place.as_str())
    }

    /// The others.
    pub(crate) fn peers<'s>(&'s self, host: &'s HostName) -> impl Iterator<Item = &'s HostName> {
        self.hosts.iter().filter(move |other| *other != host)
    }
}

/// The server's file has no quoting: a value is the rest of its line, trimmed, and a line has 4096 bytes at most
/// (`util/config.cpp`).
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::Trimmed);

pub(crate) fn read(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Settings> {
    let reader = Reader::new(&decl.settings, "a setting of ssdb", cx.findings);
    let password = reader.secret("password", PASSWORD);
    let password = reader.required(
        "password",
        password,
        "password = { file = \"secrets/ssdb.password\" }",
    );
    let suffix = suffix(decl.name.as_str());
    let text = |key, default: String| reader.string(key).map_or(default, str::to_owned);
    let owner = text("owner", "ssdb".to_owned());
    let (owner, group) = owner.split_once(':').unwrap_or((&owner, &owner));
    let number = |key, range, default| {
        reader
            .int(key, range)
            .and_then(|number| u64::try_from(number).ok())
            .unwrap_or(default)
    };
    let port = reader.port("port").unwrap_or(4420);
    let config = text("config", format!("/usr/local/ssdb/ssdb{suffix}.conf"));
    let unit = text("unit", format!("ssdb{suffix}.service"));
    let is_work_dir_named = reader.value("work_dir").is_some();
    let work_dir = text("work_dir", format!("/usr/local/ssdb/var{suffix}"));
    let capacity = number("capacity", 1..=i64::MAX, 100_000_000);
    let sync_speed = reader.int("sync_speed", -1..=100_000);
    let recv_timeout = number("recv_timeout", 1..=86_400, 900);
    let max_lag = number("max_lag", 0..=i64::MAX, 10_000);
    let seconds = |key, default| reader.seconds(key).unwrap_or(default);
    let (start_timeout, sync_timeout) = (seconds("start_timeout", 600), seconds("sync_timeout", 3_600));
    let canary_timeout = seconds("canary_timeout", 60);
    for key in ["config", "work_dir"] {
        if let Some(value) = reader.value(key)
            && let Some(path) = reader.string(key)
            && (!path.starts_with('/') || path.ends_with('/') || path.chars().any(char::is_control))
        {
            let diagnostic = Diagnostic::error(format!("{key} is {path:?}"));
            cx.findings
                .report(diagnostic.at(value.span, "expected an absolute path"));
        }
    }
    reader.finish();
    let others = cx.inventory.hosts.keys();
    let others: Vec<HostName> = others
        .filter(|host| !decl.hosts.contains(host))
        .cloned()
        .collect();
    Some(Settings {
        name: decl.name.clone(),
        hosts: decl.hosts.clone(),
        places: decl
            .hosts
            .iter()
            .map(|host| cx.inventory.reached_at(host).to_owned())
            .collect(),
        other_places: others
            .iter()
            .map(|host| cx.inventory.reached_at(host).to_owned())
            .collect(),
        others,
        port,
        // Last of all: what is wrong with the others is reported, too.
        password: password?,
        config,
        unit,
        owner: owner.to_owned(),
        group: group.to_owned(),
        work_dir,
        is_work_dir_named,
        capacity,
        sync_speed,
        recv_timeout,
        max_lag,
        start_timeout,
        sync_timeout,
        canary_timeout,
    })
}

/// What tells the files of a service from another one's: nothing for the only instance, as upstream has it.
fn suffix(service: &str) -> String {
    match service
        .strip_prefix("ssdb")
        .unwrap_or(service)
        .trim_start_matches(['-', '_'])
    {
        "" => String::new(),
        name => format!("-{name}"),
    }
}
