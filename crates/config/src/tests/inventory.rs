//! Inventories, right and wrong.

use insta::assert_snapshot;

use super::inventory;
use crate::ValueKind;

#[test]
fn an_inventory_is_read_whole() {
    let read = inventory(
        r#"
manage_hosts_file = true

[hosts]
db1 = "10.77.0.11"
db2 = { address = "db2.example.com" }
db3 = {}

[groups.db]
hosts = ["db2", "db1"]

[groups.all]
hosts = ["db", "db3"]

[services.rabbitmq]
hosts = ["db"]
port = 5672

[services.sessions]
kind = "ssdb"
hosts = "db3"

[vars]
zone = "a"
count = 3
flag = true
"#,
    );
    assert_eq!(read.said(), "");
    let inventory = read.value;
    let names = |hosts: &[types::HostName]| {
        hosts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(inventory.hosts.len(), 3);
    assert_eq!(
        inventory.hosts[&"db1".parse().unwrap()].address.as_deref(),
        Some("10.77.0.11")
    );
    assert_eq!(inventory.hosts[&"db3".parse().unwrap()].address, None);
    assert_eq!(names(&inventory.groups["all"]), "db2 db1 db3");
    let [rabbitmq, sessions] = inventory.services.as_slice() else {
        panic!("{:?}", inventory.services);
    };
    assert_eq!(
        (rabbitmq.kind.as_str(), names(&rabbitmq.hosts)),
        ("rabbitmq", "db2 db1".into())
    );
    assert_eq!(
        (sessions.kind.as_str(), names(&sessions.hosts)),
        ("ssdb", "db3".into())
    );
    assert_eq!(
        rabbitmq.settings.entries.len(),
        1,
        "hosts and kind are no settings"
    );
    assert!(matches!(
        rabbitmq.settings.get("port").unwrap().value.kind,
        ValueKind::Int(5672)
    ));
    assert_eq!(inventory.vars["count"], "3");
    assert!(inventory.manage_hosts_file && !inventory.allow_weak_secrets);
}

#[test]
fn ssh_settings_of_a_host_stand_over_its_groups_and_those_over_all() {
    let read = inventory(
        r#"
[ssh]
user = "all"
port = 1
connect_timeout = 1
become = "sudo"
jump = ["j1", "j2"]

[hosts]
h1 = { ssh = { user = "host", become = "none" } }
h2 = {}
h3 = {}

[groups.first]
hosts = ["h1", "h2"]
ssh = { user = "first", port = 2 }

[groups.second]
hosts = ["h2"]
ssh = { user = "second", identity_file = "k" }
"#,
    );
    assert_eq!(read.said(), "");
    let ssh = |name: &str| {
        let ssh = read.value.hosts[&name.parse().unwrap()].ssh.clone();
        (
            ssh.user.unwrap(),
            ssh.port.unwrap(),
            ssh.sudo.unwrap(),
            ssh.identity_files,
        )
    };
    assert_eq!(ssh("h1"), ("host".into(), 2, false, None));
    assert_eq!(ssh("h2"), ("first".into(), 2, true, Some(vec!["k".into()])));
    assert_eq!(ssh("h3"), ("all".into(), 1, true, None));
}

#[test]
fn numbers_are_read_however_they_are_written() {
    let read = inventory(
        "[hosts]\nh = { ssh = { port = 2_2 } }\n[services.x]\nhosts = \"h\"\na = 0x1F\nb = 0o17\nc = 1_000\nd = -5\ne = +7\n",
    );
    assert_eq!(read.said(), "");
    let ssh = &read.value.hosts[&"h".parse().unwrap()].ssh;
    assert_eq!(ssh.port, Some(22));
    let kinds: Vec<&ValueKind> = read.value.services[0]
        .settings
        .entries
        .iter()
        .map(|entry| &entry.value.kind)
        .collect();
    let numbers = [31, 15, 1000, -5, 7].map(ValueKind::Int);
    assert_eq!(kinds, numbers.iter().collect::<Vec<_>>());
}

#[test]
fn syntax_errors_do_not_hide_each_other_or_what_else_is_wrong() {
    let read = inventory(
        r#"
[hosts]
db1 = 10.0.0.1
db2 = "10.0.0.2
db3 = "10.0.0.3"

[hostz]
x = 1
"#,
    );
    assert_snapshot!(read.said());
}

#[test]
fn an_empty_inventory_needs_hosts() {
    assert_snapshot!(inventory("").said());
}

#[test]
fn unknown_keys_are_told_at_every_level() {
    let read = inventory(
        r#"
manage_host_file = true
colour = "blue"

[ssh]
usr = "root"

[hosts]
db1 = { adress = "10.0.0.1", ssh = { prot = 22, connect_timout = 3 } }

[groups.db]
host = ["db1"]
hosts = ["db1"]

[group.x]
hosts = []
"#,
    );
    assert_snapshot!(read.said());
}

#[test]
fn wrong_types_are_told_with_what_was_expected() {
    let read = inventory(
        r#"
manage_hosts_file = "yes"
vars = 3

[ssh]
user = 5
port = "22"
identity_file = [1, "k"]
connect_timeout = 1.5
become = "su"
known_hosts = 1979-05-27

[hosts]
db1 = 5
db2 = { address = ["10.0.0.2"] }

[groups]
g = ["db2"]

[services]
mq = "db2"

[services.x]
kind = 3
hosts = { db2 = true }
"#,
    );
    assert_snapshot!(read.said());
}

#[test]
fn numbers_out_of_range_are_told_with_the_range() {
    let read = inventory(
        r"
[ssh]
port = 65536
connect_timeout = 0
[hosts]
a = { ssh = { port = 0 } }
b = { ssh = { port = -1 } }
c = { ssh = { port = 99999999999999999999 } }
",
    );
    assert_snapshot!(read.said());
}

#[test]
fn a_host_is_named_once_and_like_a_host() {
    let read = inventory(
        r#"
[hosts]
db1 = "10.0.0.1"
db1 = "10.0.0.2"
"db_3" = "10.0.0.3"
"#,
    );
    assert_snapshot!(read.said());
}

#[test]
fn an_address_is_numeric_or_a_dns_name() {
    let read = inventory(
        r#"
[hosts]
a = "10.77.0.256"
b = "root@10.0.0.1"
c = "10.0.0.1:22"
d = "::1"
e = "db.example.com"
f = "1.2.3"
"#,
    );
    assert_snapshot!(read.said());
}

#[test]
fn hosts_and_groups_that_do_not_exist_or_are_named_twice() {
    let read = inventory(
        r#"
[hosts]
db1 = "10.0.0.1"
db2 = "10.0.0.2"

[groups.db1]
hosts = ["db2"]

[groups.both]
hosts = ["db2", "db2", "db9"]

[services.Mq]
hosts = ["db2"]

[services.kv]
hosts = ["boht", "web"]

[services.empty]
hosts = []

[services.nowhere]
port = 1
"#,
    );
    assert_snapshot!(read.said());
}

#[test]
fn reserved_characters_are_refused_however_they_are_written() {
    let read = inventory(
        r#"
[hosts]
a = {}

[vars]
plain = "⟪secret:env:X⟫"
escaped = "\u27EAsecret:env:X\u27EB"

[services.x]
hosts = "a"
list = ["\U000027EA"]
"key\u27EB" = 1
"#,
    );
    assert_snapshot!(read.said());
}
