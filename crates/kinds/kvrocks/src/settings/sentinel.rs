//! Settings of the sentinels.

use config::{Findings, Reader, Table};
use types::Diagnostic;

use super::Sentinel;
use formats::engine::Defaults;
use kit::majority;

pub(super) fn read(outer: &Reader<'_>, defaults: &Defaults, hosts: usize, findings: &Findings) -> Sentinel {
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
                .hint(format!("a majority is {}", majority(hosts))),
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
        quorum: quorum.unwrap_or(majority(hosts)),
        unit: text("unit", defaults.sentinel_unit),
        package: package(&reader, defaults.sentinel_package),
        config: text("config", defaults.sentinel_config),
        owner: text("owner", defaults.sentinel_owner),
        options: options.into_iter().flatten().collect(),
    };
    reader.finish();
    sentinel
}

/// A package; empty where it is `"none"`.
pub(super) fn package(reader: &Reader<'_>, default: &str) -> String {
    match reader.string("package") {
        Some("none") => String::new(),
        Some(name) => name.to_owned(),
        None => default.to_owned(),
    }
}
