//! Reads the settings of a replica set.

use config::{Findings, Inventory, Reader, ServiceDecl};
use types::Diagnostic;

use super::access::{read_admin, read_keyfile, read_users};
use super::config_keys::{read_absent, read_config};
use super::{Settings, member_options};

pub(crate) fn read(decl: &ServiceDecl, inventory: &Inventory, findings: &Findings) -> Option<Settings> {
    let reader = Reader::new(&decl.settings, "a setting of mongodb", findings);
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let admin = reader.table("admin").map(|table| read_admin(table, findings));
    let keyfile = read_keyfile(&reader, admin.is_some());
    let users = reader.table("users").map(|table| read_users(table, findings));
    if let Some(value) = reader.value("users")
        && admin.is_none()
    {
        findings.report(
            Diagnostic::error("users need an admin")
                .at(value.span, "no user could create them")
                .hint("admin = { password = { file = \"secrets/mongodb.admin\" } }"),
        );
    }
    let config = reader.table("config");
    let config = config
        .map(|table| read_config(table, findings))
        .unwrap_or_default();
    let port = reader.port("port").unwrap_or(27017);
    let settings = Settings {
        name: decl.name.clone(),
        hosts: decl.hosts.clone(),
        others: inventory.hosts_without(&decl.kind),
        members: member_options::read(&reader, &decl.hosts, findings),
        replica_set: text("replica_set", "rs0"),
        port,
        config_path: text("config_path", "/etc/mongod.conf"),
        unit: text("unit", "mongod.service"),
        package: reader
            .string("package")
            .filter(|name| *name != "none")
            .unwrap_or_default()
            .to_owned(),
        data_dir: text("data_dir", "/var/lib/mongodb"),
        owner: text("owner", "mongodb"),
        bind: read_bind(&reader, matches!(keyfile, Ok(Some(_)))),
        absent: read_absent(&reader, &config),
        config,
        users: users.unwrap_or_default(),
        max_lag_s: reader.int("max_lag_s", 1..=86_400).unwrap_or(10),
        // Last: what is wrong with the others is reported first.
        admin: match admin {
            Some(admin) => Some(admin?),
            None => None,
        },
        keyfile: keyfile.ok()?,
    };
    reader.finish();
    member_options::check(&settings.name, &settings.members, decl.kind_span, findings);
    Some(settings)
}

fn read_bind(reader: &Reader<'_>, makes_users: bool) -> Option<Vec<String>> {
    let addresses = reader.strings("bind")?;
    for (address, span) in &addresses {
        if address.is_empty() || address.contains([',', ' ']) {
            let diagnostic = Diagnostic::error(format!("{address:?} is not an address"));
            reader
                .findings()
                .report(diagnostic.at(*span, "one address for each string"));
        }
    }
    // The localhost exception holds there only, by which the first user is made.
    if let Some(value) = reader.value("bind")
        && makes_users
        && !addresses
            .iter()
            .any(|(address, _)| ["127.0.0.1", "localhost", "0.0.0.0"].contains(address))
    {
        let diagnostic = Diagnostic::error("bind leaves out 127.0.0.1");
        reader.findings().report(diagnostic.at(
            value.span,
            "the first user is created there; security = \"kept\" needs none",
        ));
    }
    let addresses = addresses.into_iter().map(|(address, _)| address.to_owned());
    Some(addresses.collect())
}
