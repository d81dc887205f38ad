//! Reads the settings of a cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use config::{Findings, Reader, SecretRule, ServiceDecl, Takes, ValueKind};
use types::{Diagnostic, HostName};

use super::coordination::{package, read_coordination};
use super::{Coordination, OWN_ADDRESS, Root, Settings};
use kit::ReadCx;

/// Readers of XML differ in whether they keep blanks at the ends of a text.
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::Trimmed);

pub(crate) fn read(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Settings> {
    let findings = cx.findings;
    let reader = Reader::new(&decl.settings, "a setting of clickhouse", findings);
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let cluster = word(&reader, "cluster", "altcraft");
    let shard = word(&reader, "shard", "01");
    let user = word(&reader, "user", "altcraft");
    let (tcp_port, http_port) = (
        reader.port("tcp_port").unwrap_or(9000),
        reader.port("http_port").unwrap_or(8123),
    );
    let listen = read_listen(&reader, findings);
    let password = reader.secret("password", PASSWORD);
    let restrict_default_user = reader.bool("restrict_default_user").unwrap_or(false);
    let ddl_path = text("ddl_path", &format!("/clickhouse/{cluster}/task_queue/ddl"));
    let max_delay = reader.seconds("max_delay").unwrap_or(300);
    let roots = [Root::ClickHouse, Root::Yandex].map(|root| (root.name(), root));
    let root = reader.choice("root", &roots);
    let (package, unit) = (
        package(&reader, "clickhouse-server"),
        text("unit", "clickhouse-server.service"),
    );
    let (config_dir, data_dir) = (
        text("config_dir", "/etc/clickhouse-server"),
        text("data_dir", "/var/lib/clickhouse"),
    );
    let coordination = read_coordination(&reader, decl, findings)?;
    let members: Vec<HostName> = match &coordination {
        Coordination::Keeper(keeper) => keeper.members.clone(),
        Coordination::ZooKeeper(zookeeper) => zookeeper.members.clone(),
        Coordination::External(_) => Vec::new(),
    };
    let server_ids = read_ids(&reader, &members, findings);
    reader.finish();
    if !members.is_empty() && members.len().is_multiple_of(2) {
        let found = format!("{} coordination members", members.len());
        findings.report(
            Diagnostic::warning(found)
                .at(decl.kind_span, "an even number survives no more than one less")
                .hint("name an odd number of hosts with coordination_hosts"),
        );
    }
    Some(Settings {
        name: decl.name.clone(),
        hosts: decl.hosts.clone(),
        others: cx.inventory.hosts_without(&decl.kind),
        addresses: decl
            .hosts
            .iter()
            .map(|host| cx.inventory.reached_at(host).to_owned())
            .collect(),
        cluster,
        shard,
        tcp_port,
        http_port,
        listen,
        user,
        password,
        restrict_default_user,
        ddl_path,
        max_delay,
        package,
        unit,
        config_dir,
        data_dir,
        root,
        coordination,
        server_ids,
    })
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
