//! What is dangerous is refused, with its proof and the way out.

use insta::assert_snapshot;
use protocol::facts::FileKind;

use super::world::KEY;
use super::{AUTH, CONF, World, built, by_hand, inventory, packaged, service, shown, shown_allowing};
use crate::tests::world::Rig as _;

fn with_conf(text: &str) -> World {
    let mut world = by_hand();
    world.write_file("db2", CONF, text, 0o644, "root");
    world
}

#[test]
fn a_file_with_tabs_or_broken_yaml() {
    let whole = service("");
    for text in ["storage:\n\tdbPath: /var/lib/mongodb\n", "net: [\n"] {
        let found = shown(&*whole, &with_conf(text));
        assert!(
            found.starts_with("refused: /etc/mongod.conf is not changed on db2, because line "),
            "{found}"
        );
    }
    assert_snapshot!(shown(&*whole, &with_conf("net:\n\tport: 1\n")));
}

/// With chown(1) and chmod(1) by path, root gave the target away.
#[test]
fn a_link_of_the_service_account_in_the_place_of_the_key_file() {
    let service = service(AUTH);
    let mut world = built(&*service);
    let key = world.node_mut("db2").machine.files.get_mut(KEY).unwrap();
    (key.kind, key.mode) = (FileKind::Link, 0o777);
    "/etc/shadow".clone_into(&mut key.text);
    let found = shown(&*service, &world);
    let refusal =
        "refused: /etc/mongod.keyfile is not changed on db2, because it is a symbolic link to /etc/shadow";
    assert!(found.contains(refusal), "{found}");
    assert!(!found.contains("$ ch"), "{found}");
}

#[test]
fn members_of_another_set() {
    let mut world = by_hand();
    let service = service("replica_set = \"main\"\n");
    assert_snapshot!(shown(&*service, &world));
    world.stop("db1");
}

#[test]
fn two_sets_of_one_name() {
    let mut world = by_hand();
    // db3 was initiated by itself.
    let config = super::single("db3");
    world.node_mut("db3").disk.config = Some(config);
    assert_snapshot!(shown(&*service(""), &world));
}

#[test]
fn a_newcomer_with_data_of_its_own() {
    let mut world = built(&*service(AUTH));
    world.restart("db4");
    world.node_mut("db4").disk.data.databases = vec!["old"];
    let service = cases::service(
        crate::tests::KINDS,
        &inventory(&["db1", "db2", "db3", "db4", "db5"], AUTH),
    );
    let found = shown(&*service, &world);
    assert!(
        found.contains("refused: db4 does not join the set, because it holds the database \"old\""),
        "{found}"
    );
    assert!(found.contains("add db5 without a vote"), "{found}");
    assert!(!found.contains("db4:27017"), "{found}");
}

#[test]
fn data_on_two_hosts_before_there_is_a_set() {
    let mut world = packaged();
    world.node_mut("db1").disk.data.databases = vec!["control"];
    world.node_mut("db3").disk.data.databases = vec!["old"];
    let found = shown(&*service(""), &world);
    assert!(
        found.contains("refused: the set is not initiated, because db1 holds the database \"control\" and db3 holds the database \"old\""),
        "{found}"
    );
}

#[test]
fn access_control_for_a_set_that_is_in_use_without() {
    assert_snapshot!(shown(&*service(AUTH), &by_hand()));
    let mut world = packaged();
    world.node_mut("db1").disk.data.databases = vec!["control"];
    let found = shown(&*service(AUTH), &world);
    assert!(
        found.starts_with("refused: access control is not switched on"),
        "{found}"
    );
}

#[test]
fn an_admin_whose_password_is_another_or_who_is_not_named() {
    let world = built(&*service(AUTH));
    let other = AUTH.replace("\"admin\"", "\"other\"");
    assert_snapshot!(shown(&*service(&other), &world));
    assert_snapshot!(shown(&*service(""), &world));
}

#[test]
fn a_set_without_a_primary_that_nothing_can_be_started_for() {
    let mut world = built(&*service(AUTH));
    for name in ["db2", "db3"] {
        world.node_mut(name).is_reachable = false;
        world.stop(name);
    }
    assert_snapshot!(shown(&*service(AUTH), &world));
}

#[test]
fn a_restart_that_would_leave_no_majority() {
    let own = service(AUTH);
    let mut world = built(&*own);
    world.stop("db3");
    world.node_mut("db3").is_reachable = false;
    let service = service(&format!("{AUTH}config.net.maxIncomingConnections = 500\n"));
    let found = shown(&*service, &world);
    assert!(
        found.contains(
            "refused: no member is restarted, because 1 of 3 voting members are not available (db3)"
        ),
        "{found}"
    );
}

#[test]
fn the_primary_does_not_remove_itself() {
    let world = built(&*cases::service(
        crate::tests::KINDS,
        &inventory(&["db1", "db2", "db3", "db4", "db5"], AUTH),
    ));
    let service = cases::service(
        crate::tests::KINDS,
        &inventory(
            &["db1", "db2", "db3"],
            &format!("{AUTH}members.db1.priority = 0\n"),
        ),
    );
    let found = shown_allowing(&*service, &world, &["mongodb.remove=db4"]);
    assert!(
        found.contains("db1 is the primary, and would not be eligible any more"),
        "{found}"
    );
}

#[test]
fn a_version_that_is_too_old() {
    let mut world = by_hand();
    world.version = "4.2.24";
    let found = shown(&*service(""), &world);
    assert!(
        found.starts_with("refused: nothing is changed in the set, because MongoDB 4.2"),
        "{found}"
    );
}

#[test]
fn a_journal_key_that_new_servers_do_not_take_is_warned_of() {
    let mut world = by_hand();
    world.edit("db2", |text| {
        text.replace("storage:\n", "storage:\n  journal:\n    enabled: true\n")
    });
    assert_snapshot!(shown(&*service(""), &world));
    world.version = "5.0.9";
    assert_snapshot!(shown(&*service(""), &world));
}

#[test]
fn another_port_for_a_member() {
    let world = by_hand();
    let found = shown(&*service("port = 27018\n"), &world);
    assert!(
        found.contains("the set knows db1 as db1:27017, and the inventory says port 27018"),
        "{found}"
    );
}
