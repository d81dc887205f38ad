//! One thing differs.

use insta::assert_snapshot;

use super::{OURS, assert_settled, built, converge, converge_from_everywhere, plan, service, shown};
use crate::tests::rig::Rig as _;
use fakes::kvrocks::{Cluster, OPEN_USER};
use kit::Service;
use protocol::{Operation, UnitVerb};

fn redis() -> (Box<dyn Service>, Cluster) {
    let service = service("redis", "");
    let fake = built(&*service, "redis");
    (service, fake)
}

#[test]
fn masterauth_is_missing() {
    let (service, mut fake) = redis();
    let masterauth = format!("masterauth \"{OURS}\"\n");
    fake.edit("db2", |text| text.replace(&masterauth, ""));
    fake.restart("db2");
    assert_snapshot!(shown(&*service, &fake));
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn requirepass_is_missing_everywhere() {
    let (service, mut fake) = redis();
    let lines = [
        format!("masterauth \"{OURS}\"\n"),
        format!("requirepass \"{OURS}\"\n"),
    ];
    for name in ["db1", "db2", "db3"] {
        fake.edit(name, |text| text.replace(&lines[0], "").replace(&lines[1], ""));
        fake.restart(name);
    }
    assert_snapshot!(shown(&*service, &fake));
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_replica_listens_on_the_loopback_only() {
    let (service, mut fake) = redis();
    fake.edit("db3", |text| text.replace("127.0.0.1 10.0.0.3", "127.0.0.1"));
    fake.restart("db3");
    assert_snapshot!(shown(&*service, &fake));
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_wider_bind_is_kept() {
    let (service, mut fake) = redis();
    fake.edit("db3", |text| text.replace("127.0.0.1 10.0.0.3", "0.0.0.0"));
    fake.restart("db3");
    assert_settled(&*service, &fake);
}

#[test]
fn bind_of_the_inventory_holds() {
    let service = service("redis", "bind = [\"127.0.0.1\", \"address\"]\n");
    let mut fake = built(&*service, "redis");
    fake.edit("db3", |text| text.replace("127.0.0.1 10.0.0.3", "0.0.0.0"));
    fake.restart("db3");
    let found = shown(&*service, &fake);
    assert!(found.contains("| bind 127.0.0.1 10.0.0.3"), "{found}");
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_setting_that_the_running_engine_takes() {
    let (_, fake) = redis();
    let service = service("redis", "directives = { maxmemory = \"100mb\" }\n");
    assert_snapshot!(shown(&*service, &fake));
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_setting_that_needs_a_restart_of_all() {
    let (_, fake) = redis();
    let service = service("redis", "directives = { databases = 32 }\n");
    assert_snapshot!(shown(&*service, &fake));
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_setting_that_kvrocks_does_not_know() {
    let fake = built(&*service("kvrocks", ""), "kvrocks");
    let service = service("kvrocks", "directives = { max-io-mbs = 500 }\n");
    let mut fake = fake;
    converge(&*service, &mut fake);
    assert_snapshot!(shown(&*service, &fake), @r"
    Warning db1: kvrocks does not know max-io-mbs: the line in /etc/kvrocks/kvrocks.conf has no effect
    Warning db2: kvrocks does not know max-io-mbs: the line in /etc/kvrocks/kvrocks.conf has no effect
    Warning db3: kvrocks does not know max-io-mbs: the line in /etc/kvrocks/kvrocks.conf has no effect
    ");
}

#[test]
fn a_setting_that_was_changed_in_the_running_engine_only() {
    let service = service("redis", "directives = { maxmemory = \"100mb\" }\n");
    let mut fake = built(&*service, "redis");
    fake.server_mut("db3").set("maxmemory", "1").unwrap();
    assert_snapshot!(shown(&*service, &fake), @r#"
    db3: set maxmemory in the running redis, because it runs with maxmemory "1" instead of "100mb"
        only if db3 still runs with the old maxmemory
        takes /etc/redis/redis.conf
        $ CONFIG SET maxmemory "100mb"
    "#);
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn quorum_and_options_are_set_on_every_sentinel() {
    let (_, fake) = redis();
    let more = "[services.cache.sentinel]\nquorum = 3\ndown_after_ms = 5000\nparallel_syncs = 1\n";
    let service = service("redis", more);
    assert_snapshot!(shown(&*service, &fake));
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_sentinel_without_the_password() {
    let (service, mut fake) = redis();
    let sentinel = fake.node_mut("db2").sentinel.as_mut().unwrap();
    sentinel.watched[0].auth_pass.clear();
    let text = sentinel.file();
    fake.write("db2", "/etc/redis/sentinel.conf", &text);
    assert_snapshot!(shown(&*service, &fake), @r"
    db2: set options of the running sentinel, because it has not our password for the engines
        $ SENTINEL SET altcraft auth-pass ⟪secret:file:pw⟫
    ");
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn units_that_do_not_run_or_do_not_start_at_boot() {
    let (service, mut fake) = redis();
    fake.stop("db2");
    fake.sentinel_off("db2");
    fake.node_mut("db3")
        .machine
        .unit("redis-server.service")
        .is_enabled = false;
    fake.node_mut("db3")
        .machine
        .unit("redis-sentinel.service")
        .is_enabled = false;
    assert_snapshot!(shown(&*service, &fake));
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_file_that_everybody_can_read() {
    let (service, mut fake) = redis();
    let files = &mut fake.node_mut("db2").machine.files;
    files.get_mut("/etc/redis/redis.conf").unwrap().mode = 0o644;
    let found = plan(&*service, &fake);
    assert_eq!(found.tasks.len(), 1);
    assert_eq!(
        found.tasks[0].reason,
        "it is 0644 redis:redis instead of 0640 redis:redis"
    );
    converge(&*service, &mut fake);
}

/// Kvrocks 2.6 makes a new file of mode 0644 (recorded: "config rewrite:replica, minimal file of mode 0600").
#[test]
fn a_failover_of_kvrocks_leaves_its_files_closed() {
    let service = service("kvrocks", "");
    let mut fake = built(&*service, "kvrocks");
    for _ in 0..2 {
        fake.fail_over();
        assert_settled(&*service, &fake);
    }
}

#[test]
fn a_kvrocks_that_was_started_without_the_umask_is_not_restarted_for_it() {
    let service = service("kvrocks", "");
    let mut fake = built(&*service, "kvrocks");
    let (directory, file) = fake.drop_in();
    for node in &mut fake.nodes {
        node.machine.files.remove(&directory);
        node.machine.files.remove(&file);
    }
    for name in ["db1", "db2", "db3"] {
        let host = cases::host(name);
        let (name, verbs) = (fake.unit().to_owned(), vec![UnitVerb::DaemonReload]);
        let reads = Vec::new();
        let told = fake.obey(&host, &Operation::Unit { name, verbs, reads });
        assert_eq!(told, Some(Ok(())));
        fake.restart(host.as_str());
    }
    let found = shown(&*service, &fake);
    assert!(found.contains("| UMask=0027"), "{found}");
    assert!(
        found.contains("db1: daemon-reload kvrocks.service, because the unit's file was changed"),
        "{found}"
    );
    assert!(!found.contains("restart kvrocks"), "{found}");
    converge_from_everywhere(&*service, &fake);
    converge(&*service, &mut fake);
    // What Sentinel makes of the files in the meantime costs no restart, and the failover of a plan leaves nothing.
    fake.fail_over();
    let found = shown(&*service, &fake);
    assert!(found.contains("because it is 0644 kvrocks:kvrocks"), "{found}");
    assert!(!found.contains("kvrocks.service"), "{found}");
    converge(&*service, &mut fake);
}

#[test]
fn a_user_line_of_a_time_without_password_is_removed() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    // As Redis rewrote its file before it had a password.
    let lines = [
        format!("masterauth \"{OURS}\"\n"),
        format!("requirepass \"{OURS}\"\n"),
    ];
    for name in ["db1", "db2", "db3"] {
        fake.edit(name, |text| {
            text.replace(&lines[0], "").replace(&lines[1], "") + OPEN_USER + "\n"
        });
        fake.restart(name);
    }
    let found = shown(&*service, &fake);
    assert!(!found.contains("user default"), "{found}");
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn a_replica_whose_user_line_opens_it_is_restarted() {
    let (service, mut fake) = redis();
    fake.edit("db3", |text| format!("{text}{OPEN_USER}\n"));
    fake.restart("db3");
    let found = shown(&*service, &fake);
    assert!(
        found.contains("it asks for no password, because a line of its file opens"),
        "{found}"
    );
    converge_from_everywhere(&*service, &fake);
}

#[test]
fn an_open_user_line_is_removed_before_it_is_in_force() {
    let (service, mut fake) = redis();
    // The process was given its password while it ran, and its file would take it away.
    fake.edit("db3", |text| format!("{text}{OPEN_USER}\n"));
    let found = plan(&*service, &fake);
    assert_eq!(found.tasks.len(), 1);
    assert_eq!(found.tasks[0].title, "change /etc/redis/redis.conf");
    converge(&*service, &mut fake);
}
