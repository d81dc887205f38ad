//! What is not done.

use insta::assert_snapshot;

use super::{OTHER, assert_settled, built, converge, packaged, plan, plan_allowing, service, shown};
use crate::tests::rig::Rig as _;
use cases::render;
use fakes::kvrocks::SENTINEL_ALIAS;
use protocol::{Operation, UnitVerb};

#[test]
fn sentinels_name_different_masters() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    fake.node_mut("db3").sentinel.as_mut().unwrap().watched[0].ip = "10.0.0.3".to_owned();
    assert_snapshot!(shown(&*service, &fake));
}

#[test]
fn the_master_is_no_host_of_the_service() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    for node in &mut fake.nodes {
        node.sentinel.as_mut().unwrap().watched[0].ip = "10.0.0.9".to_owned();
    }
    let found = shown(&*service, &fake);
    assert!(
        found.contains("the master is 10.0.0.9:6666, which is no host of this service"),
        "{found}"
    );
}

#[test]
fn two_masters_have_replicas() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    for name in ["db1", "db2", "db3"] {
        fake.sentinel_off(name);
        fake.write(name, "/etc/redis/sentinel.conf", fakes::kvrocks::SENTINEL_CONF);
    }
    fake.server_mut("db2").follows = None;
    fake.server_mut("db3").follows = Some(("10.0.0.2".to_owned(), 6666));
    let elsewhere = Some(("10.0.0.1".to_owned(), 6666));
    let mut fourth = fake.node("db3").clone();
    (fourth.name, fourth.address) = ("db4".to_owned(), "10.0.0.4".to_owned());
    fourth.engine.as_mut().unwrap().follows = elsewhere;
    fake.nodes.push(fourth);
    assert_snapshot!(shown(&*service, &fake));
}

/// systemctl: "File /etc/systemd/system/sentinel.service already exists and is a symlink to
/// /lib/systemd/system/redis-sentinel.service."
#[test]
fn a_sentinel_whose_alias_another_has_is_not_enabled() {
    for (kind, rival) in [
        ("valkey", "redis-sentinel.service"),
        ("redis", "valkey-sentinel.service"),
    ] {
        let service = service(kind, "");
        let mut fake = packaged(kind, 3);
        let unit = fake.sentinel_unit();
        let machine = &mut fake.node_mut("db2").machine;
        machine.unit(unit).is_enabled = false;
        machine.link(SENTINEL_ALIAS, &format!("/lib/systemd/system/{rival}"), 0);
        let found = plan(&*service, &fake);
        let [refusal] = found.refusals.as_slice() else {
            panic!("{}", render(&found));
        };
        assert!(refusal.why.contains(rival), "{}", refusal.why);
        assert!(
            found.tasks.iter().all(|task| task.host != cases::host("db2")),
            "{}",
            render(&found)
        );
        // One that is enabled is not enabled again.
        fake.node_mut("db2").machine.unit(unit).is_enabled = true;
        converge(&*service, &mut fake);
    }
}

#[test]
fn a_sentinel_whose_alias_another_service_takes_is_not_enabled() {
    let service = service("valkey", "");
    let mut fake = packaged("valkey", 3);
    let unit = fake.sentinel_unit();
    fake.node_mut("db2").machine.unit(unit).is_enabled = false;
    fake.node_mut("db2").machine.files.remove(SENTINEL_ALIAS);
    let operation = Operation::Unit {
        name: "redis-sentinel.service".to_owned(),
        verbs: vec![UnitVerb::Enable, UnitVerb::Start],
        reads: Vec::new(),
    };
    let other = kit::Task::new(&cases::host("db2"), "", "", kit::action(operation, 1_000));
    let facts = fake.facts(&*service);
    let found = cases::plan_steps_after(&*service, vec![other], &super::STEPS, &facts, &[]);
    assert_eq!(found.refusals.len(), 1, "{}", render(&found));
}

#[test]
fn another_password_is_in_force() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    for name in ["db1", "db2", "db3"] {
        fake.edit(name, |text| text.replace(super::OURS, OTHER));
        fake.restart(name);
    }
    assert_snapshot!(shown(&*service, &fake));
}

#[test]
fn a_password_that_was_written_and_is_not_in_force_yet_needs_a_restart() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    let ours = fake.node("db3").machine.text("/etc/redis/redis.conf").to_owned();
    fake.edit("db3", |text| text.replace(super::OURS, OTHER));
    fake.restart("db3");
    fake.write("db3", "/etc/redis/redis.conf", &ours);
    assert_snapshot!(shown(&*service, &fake), @r"
    db3: restart redis-server.service (disrupts), because it asks for another password, and its file is newer than its process
        only if db1 is still the master
        then db3 serves and has caught up
    Warning db1: its sentinel says that db3 is slave,s_down,disconnected
    Warning db2: its sentinel says that db3 is slave,s_down,disconnected
    Warning db3: its sentinel says that db3 is slave,s_down,disconnected
    ");
    converge(&*service, &mut fake);
}

#[test]
fn the_first_host_is_unreachable_and_no_member_has_a_role() {
    let service = service("redis", "");
    let mut fake = packaged("redis", 3);
    fake.node_mut("db1").is_down = true;
    assert_snapshot!(shown(&*service, &fake));
}

#[test]
fn replicas_to_be_hold_data() {
    let service = service("redis", "");
    let mut fake = packaged("redis", 3);
    fake.fill("db2", 3);
    fake.stop("db3");
    assert_snapshot!(shown(&*service, &fake));
    let allow = ["kvrocks.resync=db2", "kvrocks.resync=db3"];
    let allowed = plan_allowing(&*service, &fake, &allow);
    assert!(allowed.refusals.is_empty(), "{}", render(&allowed));
    for task in &allowed.tasks {
        fake.perform(&*service, task);
    }
    assert_settled(&*service, &fake);
}

#[test]
fn stopped_sentinels_whose_files_disagree_and_the_later_election_counts() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    let before = fake
        .node("db3")
        .machine
        .text("/etc/redis/sentinel.conf")
        .to_owned();
    fake.fail_over();
    for name in ["db1", "db2", "db3"] {
        fake.sentinel_off(name);
        fake.stop(name);
    }
    fake.write("db3", "/etc/redis/sentinel.conf", &before);
    let found = render(&super::plan(&*service, &fake));
    assert!(found.contains("the files say that db2 is the master"), "{found}");
}

#[test]
fn a_cluster_that_lives_does_not_change_its_port() {
    let fake = built(&*service("redis", ""), "redis");
    let found = shown(&*service("redis", "port = 6667\n"), &fake);
    assert!(
        found.contains("the port of the inventory is 6667; set port = 6666"),
        "{found}"
    );
}
