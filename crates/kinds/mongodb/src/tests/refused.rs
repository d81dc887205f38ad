//! What is dangerous is refused, with its proof and the way out.

use insta::assert_snapshot;
use protocol::facts::FileKind;

use super::rig::KEY;
use super::{
    AUTH, CONF, Cluster, built, by_hand, converge, inventory, packaged, service, shown, shown_allowing,
};
use crate::tests::rig::Rig as _;

fn with_conf(text: &str) -> Cluster {
    let mut cluster = by_hand();
    cluster.write_file("db2", CONF, text, 0o644, "root");
    cluster
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

/// mongod exits with 2 at the next start; it may run with an older file until then.
#[test]
fn a_file_that_mongod_does_not_start_with() {
    let own = service("");
    for (from, to) in [
        ("net:\n", "security:\n#  keyFile: /etc/key\nnet:\n"),
        ("net:\n", "security:\n  javascriptEnabled: yes\nnet:\n"),
        ("  port: 27017\n", "  port: 27017\t# ours\n"),
    ] {
        let mut cluster = by_hand();
        cluster.edit("db2", |text| text.replacen(from, to, 1));
        let found = shown(&*own, &cluster);
        assert!(
            found.contains("refused: /etc/mongod.conf is not changed on db2, because "),
            "{found}"
        );
        // Nor is it restarted for another reason.
        let rolled = shown(&*service("config.net.maxIncomingConnections = 500\n"), &cluster);
        assert!(!rolled.contains("db2: restart"), "{rolled}");
    }
    // The inventory's keys mend an empty section.
    let service = service("config.security.redactClientLogData = true\n");
    let mut cluster = by_hand();
    cluster.edit("db2", |text| format!("{text}security:\n"));
    converge(&*service, &mut cluster);
}

/// With chown(1) and chmod(1) by path, root gave the target away.
#[test]
fn a_link_of_the_service_account_in_the_place_of_the_key_file() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    let key = cluster.node_mut("db2").machine.files.get_mut(KEY).unwrap();
    (key.kind, key.mode) = (FileKind::Link, 0o777);
    "/etc/shadow".clone_into(&mut key.text);
    let found = shown(&*service, &cluster);
    let refusal =
        "refused: /etc/mongod.keyfile is not changed on db2, because it is a symbolic link to /etc/shadow";
    assert!(found.contains(refusal), "{found}");
    assert!(!found.contains("$ ch"), "{found}");
}

#[test]
fn members_of_another_set() {
    let mut cluster = by_hand();
    let service = service("replica_set = \"main\"\n");
    assert_snapshot!(shown(&*service, &cluster));
    cluster.stop("db1");
}

#[test]
fn two_sets_of_one_name() {
    let mut cluster = by_hand();
    // db3 was initiated by itself.
    let config = super::single("db3");
    cluster.node_mut("db3").disk.config = Some(config);
    assert_snapshot!(shown(&*service(""), &cluster));
}

#[test]
fn a_joining_member_with_data_of_its_own() {
    let mut cluster = built(&*service(AUTH));
    cluster.restart("db4");
    cluster.node_mut("db4").disk.data.databases = vec!["old"];
    let service = cases::service(
        crate::tests::KINDS,
        &inventory(&["db1", "db2", "db3", "db4", "db5"], AUTH),
    );
    let found = shown(&*service, &cluster);
    assert!(
        found.contains("refused: db4 does not join the set, because it holds the database \"old\""),
        "{found}"
    );
    assert!(found.contains("add db5 without a vote"), "{found}");
    assert!(!found.contains("db4:27017"), "{found}");
}

#[test]
fn data_on_two_hosts_before_there_is_a_set() {
    let mut cluster = packaged();
    cluster.node_mut("db1").disk.data.databases = vec!["control"];
    cluster.node_mut("db3").disk.data.databases = vec!["old"];
    let found = shown(&*service(""), &cluster);
    assert!(
        found.contains("refused: the set is not initiated, because db1 holds the database \"control\" and db3 holds the database \"old\""),
        "{found}"
    );
}

#[test]
fn access_control_for_a_set_that_is_in_use_without() {
    assert_snapshot!(shown(&*service(AUTH), &by_hand()));
    let mut cluster = packaged();
    cluster.node_mut("db1").disk.data.databases = vec!["control"];
    let found = shown(&*service(AUTH), &cluster);
    assert!(
        found.starts_with("refused: access control is not switched on"),
        "{found}"
    );
}

#[test]
fn an_admin_whose_password_is_another_or_who_is_not_named() {
    let cluster = built(&*service(AUTH));
    let other = AUTH.replace("\"admin\"", "\"other\"");
    assert_snapshot!(shown(&*service(&other), &cluster));
    assert_snapshot!(shown(&*service(""), &cluster));
}

#[test]
fn a_set_without_a_primary_that_nothing_can_be_started_for() {
    let mut cluster = built(&*service(AUTH));
    for name in ["db2", "db3"] {
        cluster.node_mut(name).is_reachable = false;
        cluster.stop(name);
    }
    assert_snapshot!(shown(&*service(AUTH), &cluster));
}

#[test]
fn a_restart_that_would_leave_no_majority() {
    let own = service(AUTH);
    let mut cluster = built(&*own);
    cluster.stop("db3");
    cluster.node_mut("db3").is_reachable = false;
    let service = service(&format!("{AUTH}config.net.maxIncomingConnections = 500\n"));
    let found = shown(&*service, &cluster);
    assert!(
        found.contains(
            "refused: no member is restarted, because 1 of 3 voting members are not available (db3)"
        ),
        "{found}"
    );
}

#[test]
fn the_primary_does_not_remove_itself() {
    let cluster = built(&*cases::service(
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
    let found = shown_allowing(&*service, &cluster, &["mongodb.remove=db4"]);
    assert!(
        found.contains("db1 is the primary, and would not be eligible any more"),
        "{found}"
    );
}

#[test]
fn a_version_that_is_too_old() {
    let mut cluster = by_hand();
    cluster.version = "4.2.24";
    let found = shown(&*service(""), &cluster);
    assert!(
        found.starts_with("refused: nothing is changed in the set, because MongoDB 4.2"),
        "{found}"
    );
}

#[test]
fn a_journal_key_that_new_servers_do_not_take_is_warned_of() {
    let mut cluster = by_hand();
    cluster.edit("db2", |text| {
        text.replace("storage:\n", "storage:\n  journal:\n    enabled: true\n")
    });
    assert_snapshot!(shown(&*service(""), &cluster));
    cluster.version = "5.0.9";
    assert_snapshot!(shown(&*service(""), &cluster));
}

#[test]
fn another_port_for_a_member() {
    let cluster = by_hand();
    let found = shown(&*service("port = 27018\n"), &cluster);
    assert!(
        found.contains("the set knows db1 as db1:27017, and the inventory says port 27018"),
        "{found}"
    );
}
