//! Overlays: what is merged, what is replaced, and where it then stands.

use super::{inventory_over, place};
use crate::{Reader, SecretRule, SecretSource, ValueKind};

const BASE: &str = r#"
[hosts]
db1 = "10.0.0.1"
db2 = { address = "10.0.0.2", ssh = { user = "root", port = 22 } }

[vars]
env = "production"
zone = "a"

[services.mq]
hosts = ["db1", "db2"]
password = { file = "secrets/mq" }
users = { env = { file = "secrets/env" }, other = { file = "secrets/other" } }
limits = { memory = 5, disk = 6 }
"#;

#[test]
fn tables_are_merged_and_other_values_replaced() {
    let over = r#"
[hosts]
db2 = { ssh = { user = "lab" } }
db3 = "10.0.0.3"

[services.mq]
hosts = ["db3"]
limits = { disk = 7 }
"#;
    let read = inventory_over(&[("inventory.toml", BASE), ("lab.toml", over)]);
    assert_eq!(read.said(), "");
    let db2 = &read.value.hosts[&"db2".parse().unwrap()];
    assert_eq!(db2.address.as_deref(), Some("10.0.0.2"));
    assert_eq!((db2.ssh.user.as_deref(), db2.ssh.port), (Some("lab"), Some(22)));
    let mq = &read.value.services[0];
    assert_eq!(mq.hosts.len(), 1);
    let ValueKind::Table(limits) = &mq.settings.get("limits").unwrap().value.kind else {
        panic!("limits is a table");
    };
    let number = |key| limits.get(key).unwrap().value.clone();
    assert_eq!(number("memory").kind, ValueKind::Int(5));
    assert_eq!(number("disk").kind, ValueKind::Int(7));
    assert_eq!(
        place(&read.sources, number("memory").span),
        "inventory.toml:14:21 \"5\""
    );
    assert_eq!(place(&read.sources, number("disk").span), "lab.toml:8:19 \"7\"");
}

#[test]
fn a_host_that_is_paused_or_reached_otherwise_keeps_its_address() {
    let over = "[hosts.db1]\npaused = { reason = \"x\" }\n[hosts.db2]\naddress = \"10.0.0.9\"\n";
    let read = inventory_over(&[("inventory.toml", BASE), ("maintenance.toml", over)]);
    assert_eq!(read.said(), "");
    let host = |name: &str| &read.value.hosts[&name.parse().unwrap()];
    assert_eq!(host("db1").address.as_deref(), Some("10.0.0.1"));
    assert!(host("db1").paused.is_some());
    assert_eq!(host("db2").address.as_deref(), Some("10.0.0.9"));
    // The address is still told where it stands.
    let bad = BASE.replace("10.0.0.1\"", "10.0.0\"");
    let said = inventory_over(&[("inventory.toml", &bad), ("maintenance.toml", over)]).said();
    assert!(said.contains("at inventory.toml:3:7"), "{said}");
}

#[test]
fn a_reference_to_a_secret_replaces_another() {
    let over = "[services.mq]\npassword = { env = \"MQ\" }\n";
    let read = inventory_over(&[("inventory.toml", BASE), ("lab.toml", over)]);
    let findings = crate::Findings::default();
    let settings = &read.value.services[0].settings;
    Reader::new(settings, "a setting", &findings).secret("password", SecretRule::PASSWORD);
    let (diagnostics, secrets) = findings.into_parts();
    assert_eq!(diagnostics, []);
    assert_eq!(secrets[0].source, SecretSource::Env("MQ".into()));
    assert_eq!(
        place(&read.sources, secrets[0].span),
        "lab.toml:2:12 \"{ env = \\\"MQ\\\" }\""
    );
}

#[test]
fn a_variable_or_a_user_called_env_is_no_reference_to_a_secret() {
    let over = "[vars]\nenv = \"staging\"\n[services.mq.users]\nenv = { file = \"secrets/new\" }\n";
    let read = inventory_over(&[("inventory.toml", BASE), ("staging.toml", over)]);
    assert_eq!(read.said(), "");
    assert_eq!(read.value.vars["env"], "staging");
    assert_eq!(read.value.vars.get("zone").map(String::as_str), Some("a"));
    let ValueKind::Table(users) = &read.value.services[0].settings.get("users").unwrap().value.kind else {
        panic!("users is a table");
    };
    assert_eq!(users.entries.len(), 2);
}

#[test]
fn hosts_called_like_kinds_of_secrets_are_added_to_the_others() {
    let base = "[hosts]\nfile = \"10.0.0.1\"\n";
    let read = inventory_over(&[
        ("inventory.toml", base),
        ("lab.toml", "[hosts]\nage = \"10.0.0.2\"\n"),
    ]);
    assert_eq!(read.value.hosts.len(), 2);
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    let first = "[hosts]\ndb1 = 5\n";
    let second = "[hosts]\ndb2 = \"no good\"\nvars = {\n";
    let read = inventory_over(&[
        ("inventory.toml", BASE),
        ("one.toml", first),
        ("two.toml", second),
    ]);
    insta::assert_snapshot!(read.said());
}
