//! Blocks of main.json that are not managed and name our hosts, and the virtual host of RabbitMQ.

use super::{Host, INVENTORY, converged, facts, service};
use cases::plan_steps_allowing;

/// The warnings of a plan for hosts whose main.json has these keys too.
fn warnings(inventory: &str, keys: &str) -> Vec<String> {
    let hosts: Vec<(&str, Host)> = ["app1", "app2"]
        .map(|name| {
            let mut host = converged(inventory, name);
            let main = host.main.unwrap();
            host.main = Some(main.replacen('{', &format!("{{\n  {keys}"), 1));
            (name, host)
        })
        .to_vec();
    let plan = plan_steps_allowing(&*service(inventory), &["check"], &facts(inventory, &hosts), &[]);
    let warnings = plan
        .notes
        .into_iter()
        .filter(|note| note.level == plan::Level::Warning);
    warnings.map(|note| note.text).collect()
}

#[test]
fn blocks_that_name_our_hosts_and_are_not_managed_are_told() {
    let keys = r#""PROCWORKFLOW_DISTRIBUTED_CACHE_DB": {"MODE": "standalone", "NODES": [{"HOST": "127.0.0.1", "PORT": 6666}]},
  "WORKFLOW_CACHE": {"HOST": "db1", "PORT": 6666}, "LOCAL": {"HOST": "127.0.0.1", "PORT": 80},
  "SSDB_SESSIONS": [{"IP": "db1", "PORT": 4440}, {"IP": "10.0.0.2", "PORT": 4440}],
  "PUSH": {"NODES": ["db3:6666", "example.com:443"]},
  "MAIL": {"HOST": "mail.example.com", "PORT": 25},"#;
    assert_eq!(
        warnings(INVENTORY, keys),
        [
            "main.json names hosts of the inventory in blocks that are not managed: \
             PROCWORKFLOW_DISTRIBUTED_CACHE_DB has 127.0.0.1:6666; PUSH has db3:6666; SSDB_SESSIONS has \
             10.0.0.2:4440, db1:4440; WORKFLOW_CACHE has db1:6666; change them by hand where services move"
        ]
    );
}

#[test]
fn a_virtual_host_in_which_our_user_has_no_permissions_is_told() {
    assert_eq!(warnings(INVENTORY, ""), [""; 0]);
    assert_eq!(warnings(INVENTORY, r#""RABBITMQ_VHOST": "altcraft","#), [""; 0]);
    let found = warnings(INVENTORY, r#""RABBITMQ_VHOST": "/","#);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains(r#"the virtual host "/" of RabbitMQ"#),
        "{found:?}"
    );
    // The platform's own where main.json names none; a user without a word on permissions has them in "/".
    let elsewhere = INVENTORY.replace(", permissions = { altcraft = \".*\" }", "");
    let found = warnings(&elsewhere, "");
    assert!(
        found[0].contains(r#"users.altcraft.permissions = { "altcraft" = ".*" }"#),
        "{found:?}"
    );
    // One that the inventory has written there counts.
    let written = INVENTORY.replace(
        "hosts = [\"app1\", \"app2\"]\n",
        "hosts = [\"app1\", \"app2\"]\nmain = { RABBITMQ_VHOST = \"jobs\" }\n",
    );
    let found = warnings(&written, "");
    assert!(found[0].contains(r#"the virtual host "jobs""#), "{found:?}");
}
