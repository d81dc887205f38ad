//! Reads the settings of a cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use config::{Findings, Reader, SecretRule, ServiceDecl, Takes, ValueKind};
use types::{Diagnostic, HostName};

use super::coordination::{package, read_coordination};
use super::{OWN_ADDRESS, Root, Settings};
use kit::ReadCx;

/// Readers of XML differ in whether they keep blanks at the ends of a text.
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::Trimmed);

/// Reads a cluster of the inventory; `None` where its coordination cannot be read.
pub(crate) fn read(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Settings> {
    let findings = cx.findings;
    let reader = Reader::new(&decl.settings, "a setting of clickhouse", findings);
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let addresses = decl
        .hosts
        .iter()
        .map(|host| cx.inventory.reached_at(host).to_owned());
    let cluster = word(&reader, "cluster", "altcraft");
    let roots = [Root::ClickHouse, Root::Yandex].map(|root| (root.name(), root));
    let mut settings = Settings {
        name: decl.name.clone(),
        hosts: decl.hosts.clone(),
        others: cx.inventory.hosts_without(&decl.kind),
        addresses: addresses.collect(),
        shard: word(&reader, "shard", "01"),
        macros: read_macros(&reader, decl, findings),
        user: word(&reader, "user", "altcraft"),
        tcp_port: reader.port("tcp_port").unwrap_or(9000),
        http_port: reader.port("http_port").unwrap_or(8123),
        listen: read_listen(&reader, findings),
        password: reader.secret("password", PASSWORD),
        restrict_default_user: reader.bool("restrict_default_user").unwrap_or(false),
        ddl_path: text("ddl_path", &format!("/clickhouse/{cluster}/task_queue/ddl")),
        cluster,
        max_delay: reader.seconds("max_delay").unwrap_or(300),
        root: reader.choice("root", &roots),
        package: package(&reader, "clickhouse-server"),
        unit: text("unit", "clickhouse-server.service"),
        config_dir: text("config_dir", "/etc/clickhouse-server"),
        data_dir: text("data_dir", "/var/lib/clickhouse"),
        coordination: read_coordination(&reader, decl, findings)?,
        server_ids: BTreeMap::new(),
    };
    settings.server_ids = read_ids(&reader, settings.members(), findings);
    reader.finish();
    let voters = settings.members().len();
    if voters > 0 && voters.is_multiple_of(2) {
        findings.report(
            Diagnostic::warning(format!("{voters} coordination members"))
                .at(decl.kind_span, "an even number survives no more than one less")
                .hint("name an odd number of hosts with coordination_hosts"),
        );
    }
    Some(settings)
}

/// A string that goes into XML as a name, into macros and into paths of ZooKeeper.
fn word(reader: &Reader<'_>, key: &'static str, default: &str) -> String {
    let Some(text) = reader.string(key) else {
        return default.to_owned();
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let starts_well = key == "shard" || text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if (text.is_empty() || !text.chars().all(fits) || !starts_well)
        && let Some(value) = reader.value(key)
    {
        reader.findings().report(
            Diagnostic::error(format!("{key} cannot be {text:?}"))
                .at(value.span, "letters, digits, _ and -, with a letter first"),
        );
    }
    text.to_owned()
}

/// Macros by host: `macros = { db1 = { replica = "r1" } }`.
fn read_macros(
    reader: &Reader<'_>,
    decl: &ServiceDecl,
    findings: &Findings,
) -> BTreeMap<HostName, BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for entry in reader.table("macros").map_or(&[][..], |table| &table.entries) {
        let host = decl.hosts.iter().find(|host| host.as_str() == entry.key);
        let (Some(host), ValueKind::Table(table)) = (host, &entry.value.kind) else {
            let wrong = Diagnostic::error(format!("macros of {} cannot be read", entry.key));
            findings.report(wrong.at(
                entry.key_span,
                "expected a host of the service, with a table of its macros",
            ));
            continue;
        };
        let mut macros = BTreeMap::new();
        for entry in &table.entries {
            let fits = |text: &str| {
                let is_sound = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
                !text.is_empty() && text.chars().all(is_sound)
            };
            match &entry.value.kind {
                ValueKind::String(value) if fits(value) && fits(&entry.key) => {
                    macros.insert(entry.key.clone(), value.clone());
                }
                _ => {
                    let wrong = Diagnostic::error(format!("the macro {} cannot be read", entry.key));
                    findings.report(wrong.at(entry.key_span, "expected letters, digits, _, - and ."));
                }
            }
        }
        all.insert(host.clone(), macros);
    }
    all
}

fn read_listen(reader: &Reader<'_>, findings: &Findings) -> Vec<String> {
    let Some(given) = reader.strings("listen") else {
        return vec!["0.0.0.0".to_owned()];
    };
    let mut listen = Vec::new();
    for (address, span) in given {
        let fits = address == OWN_ADDRESS || address == "localhost" || address.parse::<IpAddr>().is_ok();
        if !fits {
            let diagnostic = Diagnostic::error(format!("{address:?} is not an address"));
            findings.report(diagnostic.at(span, "a numeric address, or the word address for the host's own"));
        }
        listen.push(address.to_owned());
    }
    listen
}

fn read_ids(reader: &Reader<'_>, members: &[HostName], findings: &Findings) -> BTreeMap<HostName, u32> {
    let mut ids: BTreeMap<HostName, u32> = BTreeMap::new();
    for entry in reader.table("server_ids").map_or(&[][..], |table| &table.entries) {
        let host = members.iter().find(|host| host.as_str() == entry.key);
        let id = match entry.value.kind {
            // ZooKeeper takes 1 to 255, Keeper more; no cluster needs them.
            ValueKind::Int(number) => u32::try_from(number).ok().filter(|id| (1..=255).contains(id)),
            _ => None,
        };
        let wrong = |message: String, label: &str| {
            findings.report(Diagnostic::error(message).at(entry.key_span, label.to_owned()));
        };
        match (host, id) {
            (None, _) => wrong(
                format!("{} is no member of the quorum", entry.key),
                "names a member",
            ),
            (_, None) => wrong(format!("{} has no such number", entry.key), "expected 1 to 255"),
            (Some(_), Some(id)) if ids.values().any(|&other| other == id) => {
                wrong(format!("two members have the number {id}"), "the second one");
            }
            (Some(host), Some(id)) => {
                ids.insert(host.clone(), id);
            }
        }
    }
    ids
}
