//! Reads what the inventory says of ZooKeeper or Keeper.

use config::{Findings, Reader, ServiceDecl, Table, ValueKind};
use types::{Diagnostic, HostName};

use super::{Coordination, Keeper, ZooKeeper};

#[derive(Clone, Copy)]
enum Sort {
    Keeper,
    ZooKeeper,
}

pub(super) fn read_coordination(
    reader: &Reader<'_>,
    decl: &ServiceDecl,
    findings: &Findings,
) -> Option<Coordination> {
    let sorts = [("keeper", Sort::Keeper), ("zookeeper", Sort::ZooKeeper)];
    let sort = reader.choice("coordination", &sorts).unwrap_or(Sort::Keeper);
    let members = read_members(reader, decl, findings);
    let empty = Table::empty(reader.span());
    match sort {
        Sort::Keeper => {
            let table = reader.table("keeper").unwrap_or(&empty);
            let keeper = Reader::new(table, "a setting of keeper", findings);
            let read = Keeper {
                members,
                port: keeper.port("port").unwrap_or(9181),
                raft_port: keeper.port("raft_port").unwrap_or(9444),
            };
            keeper.finish();
            Some(Coordination::Keeper(read))
        }
        Sort::ZooKeeper => {
            let table = reader.table("zookeeper").unwrap_or(&empty);
            let zookeeper = Reader::new(table, "a setting of zookeeper", findings);
            let read = match zookeeper.strings("nodes") {
                Some(nodes) => Coordination::External(
                    nodes
                        .into_iter()
                        .map(|(text, span)| {
                            node(text).or_else(|| {
                                let wrong = Diagnostic::error(format!("{text:?} is not a node"));
                                findings.report(wrong.at(span, "HOST or HOST:PORT"));
                                None
                            })
                        })
                        .collect::<Option<_>>()?,
                ),
                None => Coordination::ZooKeeper(read_zookeeper(&zookeeper, members, findings)),
            };
            zookeeper.finish();
            Some(read)
        }
    }
}

fn node(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, 2181),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!host.is_empty() && host.chars().all(fits)).then(|| (host.to_owned(), port))
}

fn read_members(reader: &Reader<'_>, decl: &ServiceDecl, findings: &Findings) -> Vec<HostName> {
    let Some(named) = reader.strings("coordination_hosts") else {
        return decl.hosts.clone();
    };
    let mut members = Vec::new();
    for (name, span) in named {
        match decl.hosts.iter().find(|host| host.as_str() == name) {
            Some(host) if !members.contains(host) => members.push(host.clone()),
            Some(_) => {
                findings.report(Diagnostic::error(format!("{name} is listed twice")).at(span, "here again"));
            }
            None => {
                let known = decl.hosts.iter().map(HostName::as_str);
                let diagnostic = Diagnostic::error(format!("{name} is no host of {}", decl.name))
                    .at(span, "members of the quorum are hosts of the service");
                findings.report(config::reader::with_suggestion(diagnostic, name, known));
            }
        }
    }
    members
}

fn read_zookeeper(reader: &Reader<'_>, members: Vec<HostName>, findings: &Findings) -> ZooKeeper {
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let heap = reader.string("heap").map(str::to_owned);
    if let Some(heap) = &heap
        && let Some(value) = reader.value("heap")
        && !is_size(heap)
    {
        let diagnostic = Diagnostic::error(format!("heap cannot be {heap:?}"));
        findings.report(diagnostic.at(value.span, "a number of megabytes or gigabytes: 512m, 2g"));
    }
    let mut options = Vec::new();
    for entry in reader.table("options").map_or(&[][..], |table| &table.entries) {
        let managed = ["clientPort", "dataDir", "4lw.commands.whitelist"].contains(&entry.key.as_str())
            || entry.key.starts_with("server.");
        let value = match &entry.value.kind {
            ValueKind::String(text) if !text.chars().any(char::is_control) => Some(text.clone()),
            ValueKind::Int(number) => Some(number.to_string()),
            ValueKind::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        let sound_key = !entry
            .key
            .contains(|c: char| c.is_whitespace() || "=:#!\\".contains(c));
        match value {
            Some(value) if !managed && sound_key => options.push((entry.key.clone(), value)),
            _ => {
                let label = if managed {
                    "managed by the service itself"
                } else {
                    "expected a key with a string, an integer or a boolean"
                };
                let diagnostic = Diagnostic::error(format!("{} is not for options", entry.key));
                findings.report(diagnostic.at(entry.key_span, label));
            }
        }
    }
    ZooKeeper {
        members,
        port: reader.port("port").unwrap_or(2181),
        peer_port: reader.port("peer_port").unwrap_or(2888),
        election_port: reader.port("election_port").unwrap_or(3888),
        package: package(reader, "zookeeperd"),
        unit: text("unit", "zookeeper.service"),
        config_dir: text("config_dir", "/etc/zookeeper/conf"),
        data_dir: text("data_dir", "/var/lib/zookeeper"),
        environment: text("environment", "/etc/default/zookeeper"),
        heap,
        options,
    }
}

fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(['m', 'g', 'M', 'G']);
    text.len() == digits.len() + 1 && !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
}

/// The name of a package; empty where it is not installed by us.
pub(super) fn package(reader: &Reader<'_>, default: &str) -> String {
    match reader.string("package") {
        Some("none") => String::new(),
        Some(name) => name.to_owned(),
        None => default.to_owned(),
    }
}
