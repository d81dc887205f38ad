//! What is not planned, and what is wrong with settings.

use super::KINDS;
use insta::assert_snapshot;

use super::{built, converge, converge_from_everywhere, inventory, plan, service};
use crate::tests::errors;
use crate::tests::hosts::{Files as _, Rig as _};
use cases::render;
use fakes::ssdb::{Cluster, DIR};

fn standalone(cluster: &mut Cluster, name: &str) {
    let text = format!("work_dir = {DIR}\nserver:\n\tip: 127.0.0.1\n\tport: 4420\nlogger:\n\tlevel: info\n");
    cluster.put_file(name, &text);
    cluster.make_dir(name);
    cluster.start(name);
    cluster.set(name, &format!("of-{name}"), Some("x"));
}

#[test]
fn two_servers_with_data_are_not_mixed() {
    let service = service(3, "");
    let mut cluster = Cluster::bare(3);
    standalone(&mut cluster, "db1");
    standalone(&mut cluster, "db2");
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    let both = plan(&*service, &cluster, &["ssdb.wipe=db1", "ssdb.wipe=db2"]);
    assert!(both.tasks.is_empty());
    assert!(render(&both).contains("the consents cover every host that holds data"));
    let allow = ["ssdb.wipe=db2"];
    assert_snapshot!(render(&plan(&*service, &cluster, &allow)));
    converge_from_everywhere(&*service, &cluster, &allow);
    converge(&*service, &mut cluster, &allow);
    assert_eq!(cluster.get("db2", "of-db1").as_deref(), Some("x"));
    assert_eq!(cluster.get("db1", "of-db2"), None);
    assert!(cluster.node("db2").aside[0].1.data.contains_key("of-db2"));
}

#[test]
fn a_new_member_with_data_does_not_join_mirrors_that_have_some() {
    let mut cluster = built(&*service(3, ""));
    cluster.set("db1", "user", Some("data"));
    cluster.grow(4);
    standalone(&mut cluster, "db4");
    let four = service(4, "");
    let refused = plan(&*four, &cluster, &[]);
    assert!(refused.tasks.is_empty());
    assert_snapshot!(render(&refused));
    converge_from_everywhere(&*four, &cluster, &["ssdb.wipe=db4"]);
}

#[test]
fn files_that_the_server_would_not_take_are_left_alone() {
    let service = service(3, "");
    let mut cluster = built(&*service);
    let spaced = cluster.text("db1").replace("\tip:", "    ip:");
    cluster.node("db1").file().text = spaced.clone();
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    assert_eq!(cluster.text("db1"), spaced);
}

#[test]
fn hosts_without_a_unit_are_told_what_is_missing() {
    let service = service(3, "");
    let mut cluster = Cluster::bare(3);
    cluster.node("db2").machine.units.clear();
    let rendered = render(&plan(&*service, &cluster, &[]));
    let refused = rendered.lines().find(|line| line.starts_with("refused")).unwrap();
    assert_snapshot!(refused);
}

#[test]
fn data_are_not_looked_for_elsewhere_than_the_file_says() {
    let mut cluster = built(&*service(3, ""));
    let moved = service(3, "work_dir = \"/data/ssdb\"\n");
    assert_eq!(plan(&*moved, &cluster, &[]).refusals.len(), 3);
    let refused = render(&plan(&*moved, &cluster, &[]));
    assert!(
        refused.contains("keeps its data in /usr/local/ssdb/var-sessions, and the inventory says /data/ssdb"),
        "{refused}"
    );
    cluster.node("db1").machine.files.clear();
}

#[test]
fn a_last_line_that_was_cut_gets_its_newline() {
    let service = service(3, "");
    let mut cluster = built(&*service);
    let text = cluster.text("db1");
    cluster.put_file("db1", text.trim_end());
    let rendered = render(&plan(&*service, &cluster, &[]));
    assert!(
        rendered.contains("without it the server drops the line's last character"),
        "{rendered}"
    );
    converge(&*service, &mut cluster, &[]);
    assert!(cluster.text("db1").ends_with('\n'));
}

#[test]
fn wrong_settings_are_told_all_at_once() {
    let more = "port = 0\ncapacity = -1\nrecv_timout = 5\nwork_dir = \"var\"\n";
    let text = inventory(3, more).replace("password = { file = \"pw\" }", "password = \"written-out\"");
    assert_snapshot!(errors(&text).join("\n"));
}

#[test]
fn files_are_named_after_the_service() {
    let places = |name: &str| {
        let text = inventory(1, "").replace("services.sessions", &format!("services.{name}"));
        let vars = cases::service(KINDS, &text).vars();
        (vars["config"].clone(), vars["unit"].clone())
    };
    let path = |file: &str, unit: &str| (format!("/usr/local/ssdb/{file}"), unit.to_owned());
    assert_eq!(places("ssdb"), path("ssdb.conf", "ssdb.service"));
    assert_eq!(places("hbsupp"), path("ssdb-hbsupp.conf", "ssdb-hbsupp.service"));
    assert_eq!(
        places("ssdb-notify"),
        path("ssdb-notify.conf", "ssdb-notify.service")
    );
}
