//! The settings of a replicated store, with the runbook's defaults.

use std::net::IpAddr;

use config::{Findings, Reader, SecretRule, ServiceDecl, Table, Takes, ValueKind};
use types::{Diagnostic, HostName, SecretId, ServiceName};

use formats::engine::{Defaults, Engine};
use kit::ReadCx;

/// What the inventory says of a store.
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

/// What the inventory says of the sentinels.
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
}

/// Sentinel writes `sentinel auth-pass` into its file without quotes (`rewriteConfigSentinelOption`), so that with a blank
/// or a quote it would not start again. The engines' CONFIG REWRITE replaces what is not ASCII by escapes, which Kvrocks
/// does not read, and Redis takes no more than 512 bytes (`CONFIG_AUTHPASS_MAX_LEN`).
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::Word).at_most(512);

pub(crate) fn read(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Settings> {
    let findings = cx.findings;
    let reader = Reader::new(&decl.settings, "a setting of kvrocks", findings);
    let engine = [Engine::Kvrocks, Engine::Redis, Engine::Valkey].map(|engine| (engine.name(), engine));
    let engine = reader.choice("engine", &engine).unwrap_or(Engine::Kvrocks);
    let defaults = engine.defaults();
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let password = reader.required(
        "password",
        reader.secret("password", PASSWORD),
        "password = { file = \"secrets/kvrocks.password\" }",
    );
    let bind = reader.strings("bind");
    for (address, span) in bind.iter().flatten() {
        if address.is_empty() || address.chars().any(char::is_whitespace) {
            let diagnostic = Diagnostic::error(format!("{address:?} is not an address"));
            findings.report(diagnostic.at(*span, "one address for each string"));
        }
    }
    let directives = reader
        .table("directives")
        .map(|table| read_directives(table, engine, findings))
        .unwrap_or_default();
    let bind = bind.map(|addresses| {
        addresses
            .into_iter()
            .map(|(address, _)| address.to_owned())
            .collect()
    });
    let port = reader.port("port").unwrap_or(6666);
    let (config, unit) = (text("config", defaults.config), text("unit", defaults.unit));
    let (package, owner) = (package(&reader, defaults.package), text("owner", defaults.owner));
    let sentinel = read_sentinel(&reader, defaults, decl.hosts.len(), findings);
    reader.finish();
    let others = cx.inventory.hosts_without(&decl.kind);
    let settings = Settings {
        name: decl.name.clone(),
        other_places: others.iter().map(|host| place(host, cx)).collect(),
        others,
        hosts: decl.hosts.clone(),
        places: decl.hosts.iter().map(|host| place(host, cx)).collect(),
        engine,
        port,
        password: password?,
        config,
        unit,
        package,
        owner,
        bind,
        directives,
        sentinel,
    };
    if settings.hosts.len() < 3 {
        let found = format!("{} has {} hosts", settings.name, settings.hosts.len());
        findings.report(
            Diagnostic::warning(found)
                .at(
                    decl.kind_span,
                    "fewer than three sentinels cannot outvote a lost one",
                )
                .hint("three hosts survive the loss of one"),
        );
    }
    Some(settings)
}

fn place(host: &HostName, cx: &ReadCx<'_>) -> Place {
    let at = cx.inventory.reached_at(host);
    if at.parse::<IpAddr>().is_ok() {
        Place::Address(at.to_owned())
    } else {
        Place::Name(at.to_owned())
    }
}

fn package(reader: &Reader<'_>, default: &str) -> String {
    match reader.string("package") {
        Some("none") => String::new(),
        Some(name) => name.to_owned(),
        None => default.to_owned(),
    }
}

fn read_sentinel(outer: &Reader<'_>, defaults: &Defaults, hosts: usize, findings: &Findings) -> Sentinel {
    let empty = Table::empty(outer.span());
    let table = outer.table("sentinel").unwrap_or(&empty);
    let reader = Reader::new(table, "a setting of sentinel", findings);
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let master_name = text("master_name", "altcraft");
    // sentinel.c takes letters, digits and ".-_" only.
    let odd = |c: char| !(c.is_ascii_alphanumeric() || ".-_".contains(c));
    if let Some(value) = reader.value("master_name")
        && (master_name.is_empty() || master_name.contains(odd))
    {
        let diagnostic = Diagnostic::error(format!("{master_name:?} is not a name of a master"));
        findings.report(diagnostic.at(value.span, "letters, digits, dots, hyphens and underscores"));
    }
    let quorum = reader
        .int("quorum", 1..=1_000)
        .and_then(|quorum| usize::try_from(quorum).ok());
    if let Some(quorum) = quorum
        && quorum > hosts
        && let Some(value) = reader.value("quorum")
    {
        findings.report(
            Diagnostic::error(format!("quorum is {quorum}, and there are {hosts} sentinels"))
                .at(value.span, "never reached")
                .hint(format!("a majority is {}", hosts / 2 + 1)),
        );
    }
    let options = [
        ("down_after_ms", "down-after-milliseconds", 86_400_000),
        ("failover_timeout_ms", "failover-timeout", 86_400_000),
        ("parallel_syncs", "parallel-syncs", 1_000),
    ];
    let options = options.map(|(key, option, most)| Some((option, reader.int(key, 1..=most)?)));
    let sentinel = Sentinel {
        master_name,
        port: reader.port("port").unwrap_or(26379),
        quorum: quorum.unwrap_or(hosts / 2 + 1),
        unit: text("unit", defaults.sentinel_unit),
        package: package(&reader, defaults.sentinel_package),
        config: text("config", defaults.sentinel_config),
        owner: text("owner", defaults.sentinel_owner),
        options: options.into_iter().flatten().collect(),
    };
    reader.finish();
    sentinel
}

fn read_directives(table: &Table, engine: Engine, findings: &Findings) -> Vec<Directive> {
    let mut directives: Vec<Directive> = Vec::new();
    for entry in &table.entries {
        let key = entry.key.to_ascii_lowercase();
        let wrong = |message: String, label: &str| {
            findings.report(Diagnostic::error(message).at(entry.key_span, label.to_owned()));
        };
        if let Some(way_out) = managed(&key, engine) {
            findings.report(
                Diagnostic::error(format!("{key} is not for directives"))
                    .at(entry.key_span, "managed by the service itself")
                    .hint(way_out),
            );
            continue;
        }
        if key.is_empty() || key.contains(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))) {
            wrong(
                format!("{:?} is not the name of a directive", entry.key),
                "one word",
            );
            continue;
        }
        if engine.has_aliases()
            && matches!(key.as_str(), "include" | "loadmodule" | "user" | "rename-command")
        {
            wrong(
                format!("{key} cannot be compared with what the server runs with"),
                "write it into the file by hand: it is kept there",
            );
            continue;
        }
        let values = match &entry.value.kind {
            ValueKind::Array(items) => items.iter().map(|item| scalar(&item.kind)).collect(),
            other => scalar(other).map(|value| vec![value]),
        };
        let Some(values) = values.filter(|values: &Vec<String>| !values.is_empty()) else {
            wrong(
                format!("{key} is {}", entry.value.kind.describe()),
                "expected a string, an integer, a boolean, or an array of them for several lines",
            );
            continue;
        };
        if values.len() > 1 && !Engine::adds_up(&key) {
            wrong(
                format!("{key} has {} lines", values.len()),
                "the last one alone would hold",
            );
        }
        directives.push(Directive { key, values });
    }
    directives
}

fn scalar(value: &ValueKind) -> Option<String> {
    match value {
        ValueKind::String(text) if text.chars().any(char::is_control) => None,
        ValueKind::String(text) if text.is_empty() => Some("\"\"".to_owned()),
        ValueKind::String(text) | ValueKind::Float(text) => Some(text.clone()),
        ValueKind::Int(number) => Some(number.to_string()),
        ValueKind::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        _ => None,
    }
}

/// How to say what a directive says that the service manages itself; `None` for all others.
fn managed(key: &str, engine: Engine) -> Option<&'static str> {
    match key {
        "port" => Some("set port of the service"),
        "requirepass" | "masterauth" => Some("set password of the service: all members share it"),
        "bind" => Some("set bind of the service"),
        "slaveof" | "replicaof" => Some(
            "roles are the state of the cluster: Sentinel hands them out, and new members join by themselves",
        ),
        "use-rsid-psync" if engine == Engine::Kvrocks => {
            Some("it is always yes: without it a restarted old master can keep stray writes")
        }
        _ => None,
    }
}
