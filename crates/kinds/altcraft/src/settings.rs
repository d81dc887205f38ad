//! The settings of the platform, with the runbook's defaults.

use config::reader::with_suggestion;
use config::{Findings, Reader, ServiceDecl, Table, Value as Toml, ValueKind};
use serde_json::Value;
use types::{Diagnostic, HostName, ServiceName, Span};

use super::groups::{self, Groups};
use super::uses::{self, Uses};
use formats::main_json::{Want, Wants};
use kit::ReadCx;

/// What the inventory says of the platform.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) name: ServiceName,
    pub(super) hosts: Vec<HostName>,
    /// Hosts of the inventory that are those of no platform: some may have been of this one.
    pub(super) others: Vec<HostName>,
    /// All hosts of the inventory.
    pub(super) known: Vec<HostName>,
    /// The host of the master processes.
    pub(super) master: HostName,
    /// Where main.json is.
    pub(super) config: String,
    /// The processes, in the order in which a host starts them.
    pub(super) processes: [Process; 2],
    /// Where they accept connections.
    pub(super) rpc_host: String,
    /// Who logs in to the databases.
    pub(super) user: String,
    pub(super) control_db: String,
    pub(super) file_db: String,
    pub(super) uses: Uses,
    /// `None` where main.json keeps the groups that it has.
    pub(super) groups: Option<Groups>,
    /// More keys of main.json, laid over ours.
    pub(super) main: Wants,
    /// Milliseconds that a process may take to start.
    pub(super) start_ms: u64,
}

/// One of the two processes that work as a cluster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Process {
    /// `proctask` or `procworkflow`.
    pub(super) name: &'static str,
    /// Its list in `CLUSTER`.
    pub(super) key: &'static str,
    pub(super) unit: String,
    pub(super) port: u16,
    pub(super) log: String,
}

impl Settings {
    /// Whether a host has the master processes.
    pub(super) fn is_master(&self, host: &HostName) -> bool {
        self.master == *host
    }

    /// The same with one host more, which is not to be the master.
    pub(super) fn with(&self, former: &HostName) -> Self {
        let mut settings = self.clone();
        settings.hosts.push(former.clone());
        settings
    }
}

pub(super) fn read(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Settings> {
    let findings = cx.findings;
    let reader = Reader::new(&decl.settings, "a setting of altcraft", findings);
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let user = text("user", "altcraft");
    let processes = [
        process(&reader, "proctask", "PROC_TASKS", 8962),
        process(&reader, "procworkflow", "PROC_WORKFLOW", 7962),
    ];
    let settings = Settings {
        name: decl.name.clone(),
        hosts: decl.hosts.clone(),
        others: cx.inventory.hosts_without(&decl.kind),
        known: cx.inventory.hosts.keys().cloned().collect(),
        master: master(&reader, &decl.hosts, findings).or_else(|| decl.hosts.first().cloned())?,
        config: path(&reader, "config", "/opt/akd/config/main.json"),
        rpc_host: text("rpc_host", "0.0.0.0"),
        control_db: text("control_db", "control"),
        file_db: text("file_db", "filedb"),
        uses: uses::read(&reader, decl, &user, cx),
        user,
        groups: groups::read(&reader, &decl.hosts, findings),
        main: reader
            .table("main")
            .map(|table| main(table, findings))
            .unwrap_or_default(),
        start_ms: reader.seconds("start_timeout").unwrap_or(300) * 1000,
        processes,
    };
    ports(&settings, &reader, findings);
    reader.finish();
    Some(settings)
}

fn master(reader: &Reader<'_>, hosts: &[HostName], findings: &Findings) -> Option<HostName> {
    let name = reader.string("master")?;
    let found = hosts.iter().find(|host| host.as_str() == name);
    if found.is_none() {
        let place = reader.value("master")?.span;
        let diagnostic = Diagnostic::error(format!("the master {name:?} is no host of this service"))
            .at(place, "not among its hosts");
        findings.report(with_suggestion(
            diagnostic,
            name,
            hosts.iter().map(HostName::as_str),
        ));
    }
    found.cloned()
}

fn path(reader: &Reader<'_>, key: &'static str, default: &str) -> String {
    let path = reader.string(key).unwrap_or(default);
    if !path.starts_with('/') || path.ends_with('/') || path.chars().any(char::is_control) {
        let place = reader.value(key).map_or(reader.span(), |value| value.span);
        let diagnostic = Diagnostic::error(format!("{key} is {path:?}"));
        reader
            .findings()
            .report(diagnostic.at(place, "expected an absolute path"));
    }
    path.to_owned()
}

fn process(outer: &Reader<'_>, name: &'static str, key: &'static str, port: u16) -> Process {
    let empty = Table::empty(outer.span());
    let table = outer.table(name).unwrap_or(&empty);
    let reader = Reader::new(table, "a setting of a process", outer.findings());
    let process = Process {
        name,
        key,
        unit: reader
            .string("unit")
            .map_or_else(|| format!("{name}.service"), str::to_owned),
        port: reader.port("port").unwrap_or(port),
        log: path(&reader, "log", &format!("/opt/akd/var/log/{name}.log")),
    };
    reader.finish();
    process
}

/// Two processes cannot listen on the same port of a host; neither can a database there.
fn ports(settings: &Settings, reader: &Reader<'_>, findings: &Findings) {
    let place = |name: &'static str| reader.value(name).map_or(reader.span(), |value| value.span);
    let clash = |name: &'static str, port: u16, with: &str, place: Span| {
        let found = format!("{name} has the RPC port {port}, which {with} has too");
        findings.report(Diagnostic::error(found).at(place, "choose another port"));
    };
    let [first, second] = &settings.processes;
    if first.port == second.port {
        clash(second.name, second.port, first.name, place(second.name));
    }
    for process in &settings.processes {
        for used in settings.uses.all() {
            let endpoints = used.offer.endpoints.iter();
            let at = endpoints.filter(|at| at.port == process.port && settings.hosts.contains(&at.host));
            for endpoint in at {
                let with = format!("{} on {}", used.service, endpoint.host);
                clash(process.name, process.port, &with, place(process.name));
            }
        }
    }
}

/// More keys of main.json.
fn main(table: &Table, findings: &Findings) -> Wants {
    let entries = table.entries.iter().filter_map(|entry| {
        if super::queries::names_a_secret(&entry.key) {
            findings.report(
                Diagnostic::error(format!("{} is a secret, and would be written out", entry.key))
                    .at(entry.key_span, "a secret must not stand in the inventory")
                    .hint("write it into main.json by hand: it is kept there"),
            );
            return None;
        }
        Some((entry.key.clone(), want(&entry.value, findings)?))
    });
    entries.collect()
}

fn want(value: &Toml, findings: &Findings) -> Option<Want> {
    match &value.kind {
        ValueKind::Table(table) => Some(Want::Has(main(table, findings))),
        _ => json(value, findings).map(Want::Is),
    }
}

fn json(value: &Toml, findings: &Findings) -> Option<Value> {
    match &value.kind {
        ValueKind::String(text) => Some(Value::from(text.as_str())),
        ValueKind::Int(number) => Some(Value::from(*number)),
        ValueKind::Float(text) if serde_json::from_str::<serde_json::Number>(text).is_ok() => {
            serde_json::from_str(text).ok()
        }
        ValueKind::Bool(flag) => Some(Value::from(*flag)),
        ValueKind::Array(items) => items.iter().map(|item| json(item, findings)).collect(),
        ValueKind::Table(table) => {
            let entries = table
                .entries
                .iter()
                .map(|entry| Some((entry.key.clone(), json(&entry.value, findings)?)));
            entries
                .collect::<Option<serde_json::Map<_, _>>>()
                .map(Value::Object)
        }
        other => {
            findings.report(
                Diagnostic::error(format!("main.json cannot hold {}", other.describe()))
                    .at(value.span, "expected what JSON has"),
            );
            None
        }
    }
}
