//! Reading the settings, and what is wrong with them.

use config::reader::with_suggestion;
use config::{Findings, Reader, ServiceDecl, Table};
use types::{Diagnostic, HostName, Span};

use super::{Process, Program, Settings, find_uses, main_keys, reader_groups};
use kit::ReadCx;

pub(crate) fn read(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Settings> {
    let findings = cx.findings;
    let reader = Reader::new(&decl.settings, "a setting of altcraft", findings);
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let user = text("user", "altcraft");
    let processes = [
        process(&reader, Program::Proctask, 8962),
        process(&reader, Program::Procworkflow, 7962),
    ];
    let settings = Settings {
        name: decl.name.clone(),
        hosts: decl.hosts.clone(),
        others: cx.inventory.hosts_without(&decl.kind),
        known: cx.inventory.hosts.keys().cloned().collect(),
        addresses: cx
            .inventory
            .hosts
            .keys()
            .map(|host| cx.inventory.reached_at(host).to_owned())
            .collect(),
        master: master(&reader, &decl.hosts, findings).or_else(|| decl.hosts.first().cloned())?,
        config: path(&reader, "config", "/opt/akd/config/main.json"),
        rpc_host: text("rpc_host", "0.0.0.0"),
        control_db: text("control_db", "control"),
        file_db: text("file_db", "filedb"),
        uses: find_uses::find(&reader, decl, &user, cx),
        user,
        groups: reader_groups::read(&reader, &decl.hosts, findings),
        main: reader
            .table("main")
            .map(|table| main_keys::read(table, findings))
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

fn process(outer: &Reader<'_>, program: Program, port: u16) -> Process {
    let name = program.name();
    let empty = Table::empty(outer.span());
    let table = outer.table(name).unwrap_or(&empty);
    let reader = Reader::new(table, "a setting of a process", outer.findings());
    let process = Process {
        program,
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
        let (first, second, port) = (first.program.name(), second.program.name(), second.port);
        clash(second, port, first, place(second));
    }
    for process in &settings.processes {
        for used in settings.uses.all() {
            let endpoints = used.offer.endpoints.iter();
            let at = endpoints.filter(|at| at.port == process.port && settings.hosts.contains(&at.host));
            for endpoint in at {
                let with = format!("{} on {}", used.service, endpoint.host);
                let name = process.program.name();
                clash(name, process.port, &with, place(name));
            }
        }
    }
}
