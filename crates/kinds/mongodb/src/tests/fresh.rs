//! No host is in a set yet.

use insta::assert_snapshot;

use super::{
    AUTH, CONF, DISCARDS, KEY, LOCK, MADE, OUR_KEY, UNIT, assert_settled, built, converge,
    converge_from_everywhere, packaged, plan, service, shown, untouched,
};
use crate::tests::rig::Rig as _;
use cases::render;

#[test]
fn fresh_hosts_become_a_set_with_users() {
    assert_snapshot!(render(&plan(&*service(AUTH), &packaged())));
}

#[test]
fn fresh_hosts_become_a_set_without_access_control() {
    assert_snapshot!(shown(&*service(""), &packaged()));
}

#[test]
fn a_run_that_dies_anywhere_is_finished_by_the_next() {
    for more in [AUTH, ""] {
        converge_from_everywhere(&*service(more), &untouched(), &[]);
        converge_from_everywhere(&*service(more), &packaged(), &DISCARDS);
    }
}

#[test]
fn a_built_set_is_left_alone() {
    for more in [AUTH, ""] {
        let service = service(more);
        let cluster = built(&*service);
        assert_settled(&*service, &cluster);
        assert_eq!(cluster.primary(), Some("db1"));
    }
}

#[test]
fn the_files_are_the_runbooks() {
    let service = service(AUTH);
    let cluster = built(&*service);
    let file = &cluster.node("db2").machine.files[CONF];
    assert_snapshot!(file.text);
    assert_eq!((file.mode, file.owner.as_str()), (0o644, "root"));
    let key = &cluster.node("db2").machine.files[KEY];
    assert_eq!(
        (key.text.as_str(), key.mode, key.owner.as_str()),
        (OUR_KEY, 0o400, "mongodb")
    );
}

#[test]
fn every_member_votes_in_the_end() {
    let service = service("members.db3 = { priority = 0.5, tags = { dc = \"b\" } }\n");
    let cluster = built(&*service);
    let config = cluster.node("db3").disk.config.clone().unwrap();
    assert_snapshot!(config.document().to_string());
}

#[test]
fn who_holds_data_is_the_seed() {
    let service = service("");
    let mut cluster = packaged();
    cluster.node_mut("db2").disk.data.databases = vec!["control"];
    let found = shown(&*service, &cluster);
    assert!(found.contains("db2: initiate the set rs0"), "{found}");
    assert!(
        found.contains("Warning db2: it is restarted, and holds the database \"control\""),
        "{found}"
    );
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster);
    assert_eq!(cluster.node("db1").disk.data.databases, ["control"]);
}

#[test]
fn a_single_server_with_access_control_becomes_a_set() {
    let service = service(AUTH);
    let mut cluster = packaged();
    let text = super::PACKAGED.replace("#security:\n", "security:\n  authorization: enabled\n");
    cluster.write_file("db1", CONF, &text, 0o644, "root");
    let root = vec![("root".to_owned(), "admin".to_owned())];
    let users = [("admin", root.clone()), ("altcraft", root)];
    let users =
        users.map(|(name, roles)| (format!("admin.{name}"), (format!("⟪secret:file:{name}⟫"), roles)));
    cluster.node_mut("db1").disk.data.users = users.into();
    cluster.node_mut("db1").disk.data.databases = vec!["control"];
    cluster.restart("db1");
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &DISCARDS);
}

#[test]
fn servers_that_are_off_are_started_first() {
    let service = service(AUTH);
    let mut cluster = packaged();
    for name in super::THREE {
        cluster.stop(name);
        cluster.node_mut(name).machine.unit(UNIT).is_enabled = false;
        cluster.node_mut(name).machine.files.remove(LOCK);
        cluster.node_mut(name).machine.files.remove(MADE);
    }
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_server_that_has_run_before_is_asked_first_what_it_is() {
    let service = service(AUTH);
    let mut cluster = packaged();
    cluster.stop("db2");
    let found = plan(&*service, &cluster);
    let text = render(&found);
    assert!(!text.contains("initiate the set"), "{text}");
    assert!(
        text.contains("db2 has run before, and only its start tells the set that it is a member of"),
        "{text}"
    );
    for task in &found.tasks {
        cluster.perform(&*service, task);
    }
    converge_from_everywhere(&*service, &cluster, &DISCARDS);
}

#[test]
fn without_the_package_nothing_is_planned() {
    let mut cluster = packaged();
    for name in super::THREE {
        cluster.uninstall(name);
    }
    assert_snapshot!(shown(&*service(""), &cluster));
}

#[test]
fn a_host_that_is_out_of_reach_keeps_the_set_from_being_made() {
    let mut cluster = packaged();
    cluster.node_mut("db3").is_reachable = false;
    let found = shown(&*service(""), &cluster);
    assert!(!found.contains("initiate the set"), "{found}");
    assert!(
        found.contains(
            "not planned on db3: the set is initiated once all its hosts are ready: db3 cannot be reached"
        ),
        "{found}"
    );
}

#[test]
fn an_arbiter_comes_last_and_needs_a_write_concern() {
    let service = service(&format!("{AUTH}members.db3.arbiter = true\n"));
    assert_snapshot!(shown(&*service, &packaged()));
    converge_from_everywhere(&*service, &packaged(), &DISCARDS);
}

#[test]
fn another_port_is_found_on_the_packages_own() {
    let service = service(&format!("{AUTH}port = 27018\n"));
    converge_from_everywhere(&*service, &packaged(), &DISCARDS);
}

#[test]
fn versions_before_five_call_the_delay_by_its_old_name() {
    let service = service("members.db3 = { delay_s = 3600, hidden = true }\n");
    for (version, name) in [("4.4.29", "slaveDelay"), ("7.0.14", "secondaryDelaySecs")] {
        let mut cluster = packaged();
        cluster.version = version;
        // It is known before any server runs, too.
        for host in super::THREE {
            cluster.stop(host);
            cluster.node_mut(host).machine.files.remove(LOCK);
            cluster.node_mut(host).machine.files.remove(MADE);
        }
        let found = shown(&*service, &cluster);
        assert!(found.contains(&format!("hidden: true, {name}: 3600")), "{found}");
        // What is delayed is behind, and not late.
        converge(&*service, &mut cluster);
    }
}
