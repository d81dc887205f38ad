//! Reading the settings, and what is wrong with them.

use std::net::IpAddr;

use config::{Findings, Reader, SecretRule, ServiceDecl, Takes};
use types::{Diagnostic, HostName};

use super::sentinel::{self, package};
use super::{Place, Settings, absent, directives};
use formats::engine::Engine;
use kit::{IPV4_ONLY, ReadCx};

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
    let bind = read_bind(&reader, findings);
    let directives = reader
        .table("directives")
        .map(|table| directives::read(table, engine, findings))
        .unwrap_or_default();
    let absent = absent::read(&reader, engine, &directives);
    let port = reader.port("port").unwrap_or(6666);
    let (config, unit) = (text("config", defaults.config), text("unit", defaults.unit));
    let (package, owner) = (package(&reader, defaults.package), text("owner", defaults.owner));
    let sentinel = sentinel::read(&reader, defaults, decl.hosts.len(), findings);
    reader.finish();
    if decl.hosts.len() < 3 {
        let found = format!("{} has {} hosts", decl.name, decl.hosts.len());
        let label = "fewer than three sentinels cannot outvote a lost one";
        let diagnostic = Diagnostic::warning(found).at(decl.kind_span, label);
        findings.report(diagnostic.hint("three hosts survive the loss of one"));
    }
    report_ipv6(decl, cx);
    let others = cx.inventory.hosts_without(&decl.kind);
    Some(Settings {
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
        absent,
        sentinel,
    })
}

fn read_bind(reader: &Reader<'_>, findings: &Findings) -> Option<Vec<String>> {
    let addresses = reader.strings("bind")?;
    for (address, span) in &addresses {
        if address.is_empty() || address.chars().any(char::is_whitespace) {
            let diagnostic = Diagnostic::error(format!("{address:?} is not an address"));
            findings.report(diagnostic.at(*span, "one address for each string"));
        }
    }
    let addresses = addresses.into_iter();
    Some(addresses.map(|(address, _)| address.to_owned()).collect())
}

/// The engine would listen on such an address, and Sentinel, whose file has `bind 0.0.0.0`, would not.
fn report_ipv6(decl: &ServiceDecl, cx: &ReadCx<'_>) {
    let place = |host: &&HostName| cx.inventory.reached_at(host).parse::<IpAddr>();
    let only = |host: &&HostName| place(host).is_ok_and(|address| address.is_ipv6());
    for host in decl.hosts.iter().filter(only) {
        let found = format!("{host} of {} has an IPv6 address, and {IPV4_ONLY}", decl.name);
        let diagnostic = Diagnostic::error(found).at(decl.kind_span, "its members are named by addresses");
        cx.findings
            .report(diagnostic.hint("give the host an IPv4 address under [hosts]"));
    }
}

fn place(host: &HostName, cx: &ReadCx<'_>) -> Place {
    let at = cx.inventory.reached_at(host);
    if at.parse::<IpAddr>().is_ok() {
        Place::Address(at.to_owned())
    } else {
        Place::Name(at.to_owned())
    }
}
