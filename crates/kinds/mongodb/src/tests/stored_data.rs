//! What cannot be shown to be empty is not taken for empty: a server that waits for its set shows no databases.
//!
//! The replies are those of a real mongod 4.9: `listDatabases` answers 13436 and `serverStatus` with `oplog` 17347, and there is
//! no `catalogStats`.

use plan::{Facts, Verdict};
use protocol::FactQuery;

use super::{
    AUTH, CONF, Cluster, DISCARDS, STEPS, built, converge, converge_allowing, inventory, plan, service,
    shown, shown_allowing, untouched,
};
use crate::tests::rig::Rig as _;
use fakes::mongodb::{LOCK, MADE};

const OLD: &str = "4.9.0";

/// A host whose standalone server took a database in, and was then started with the name of a set.
fn told_of_its_set_later(cluster: &mut Cluster, name: &str) {
    cluster.restart(name);
    cluster.node_mut(name).disk.data.databases = vec!["control"];
    let text = format!(
        "{}replication:\n  replSetName: rs0\n",
        super::PACKAGED.replace("127.0.0.1", &format!("127.0.0.1,{name}"))
    );
    cluster.write_file(name, CONF, &text, 0o644, "root");
    cluster.restart(name);
}

fn world_of(version: &'static str, holding: &[&str]) -> Cluster {
    let mut cluster = untouched();
    cluster.version = version;
    for name in holding {
        told_of_its_set_later(&mut cluster, name);
    }
    cluster
}

#[test]
fn the_only_host_that_may_hold_data_is_the_seed() {
    for more in ["", AUTH] {
        let service = service(more);
        let mut cluster = world_of(OLD, &["db2"]);
        let found = shown(&*service, &cluster);
        assert!(found.contains("db2: initiate the set rs0"), "{found}");
        assert!(found.contains("and db2 alone may hold data"), "{found}");
        converge(&*service, &mut cluster);
        assert_eq!(cluster.node("db1").disk.data.databases, ["control"]);
    }
}

#[test]
fn a_directory_that_the_command_line_replaces_proves_nothing() {
    let service = service("");
    let mut cluster = untouched();
    let node = cluster.node_mut("db2");
    node.options = vec![("--dbpath", "storage.dbPath", "/srv/mongodb".into())];
    node.disk.data.databases = vec!["control"];
    // It ran, and what it made is elsewhere.
    cluster.restart("db2");
    cluster.stop("db2");
    let files = &mut cluster.node_mut("db2").machine.files;
    assert!(files.remove(LOCK).is_some() && files.remove(MADE).is_some());
    // Its start tells.
    for task in &plan(&*service, &cluster).tasks {
        cluster.perform(&*service, task);
    }
    assert!(cluster.nodes.iter().all(|node| node.disk.config.is_none()));
    converge(&*service, &mut cluster);
    assert_eq!(cluster.node("db1").disk.data.databases, ["control"]);
}

#[test]
fn a_directory_proves_nothing_where_the_command_line_is_not_known() {
    let service = service("");
    let cluster = untouched();
    let facts = cluster.facts(&*service);
    let initiates = |facts: &Facts| {
        let planned = cases::plan_steps(&*service, &STEPS, facts);
        cases::render(&planned).contains("initiate the set")
    };
    assert!(initiates(&facts));
    let is_it = |query: &FactQuery| match query {
        FactQuery::Command(query) => query.argv.iter().any(|word| word == "--property=ExecStart"),
        _ => false,
    };
    assert!(!initiates(&cases::failing(&facts, "db2", is_it, "timed out")));
}

#[test]
fn of_two_that_may_hold_data_the_operator_names_the_one_that_does_not() {
    for more in ["", AUTH] {
        let service = service(more);
        let mut cluster = world_of(OLD, &["db2", "db3"]);
        cluster.node_mut("db3").disk.data.databases.clear();
        let found = shown(&*service, &cluster);
        assert!(!found.contains("initiate the set"), "{found}");
        assert!(found.contains("db2, db3 may hold data"), "{found}");
        assert!(found.contains("--allow mongodb.discard=db3"), "{found}");
        let allow = ["mongodb.discard=db3"];
        let found = shown_allowing(&*service, &cluster, &allow);
        assert!(found.contains("db2: initiate the set rs0"), "{found}");
        converge_allowing(&*service, &mut cluster, &allow);
        assert_eq!(cluster.node("db1").disk.data.databases, ["control"]);
    }
}

#[test]
fn servers_since_5_1_tell_that_they_hold_collections() {
    let cluster = world_of("7.0.14", &["db2", "db3"]);
    let found = shown(&*service(""), &cluster);
    assert!(
        found.contains("db2 holds 1 collections and db3 holds 1 collections"),
        "{found}"
    );
}

#[test]
fn a_host_that_may_hold_data_does_not_join_without_consent() {
    let own = service(AUTH);
    let mut cluster = built(&*own);
    cluster.version = OLD;
    told_of_its_set_later(&mut cluster, "db4");
    let service = cases::service(
        crate::tests::KINDS,
        &inventory(&["db1", "db2", "db3", "db4", "db5"], AUTH),
    );
    let found = shown(&*service, &cluster);
    assert!(!found.contains("add db4"), "{found}");
    assert!(
        found.contains("refused: db4 does not join the set, because it may hold data"),
        "{found}"
    );
    let found = shown_allowing(&*service, &cluster, &DISCARDS);
    assert!(found.contains("add db4"), "{found}");
}

#[test]
fn a_host_that_was_off_joins_only_if_its_start_shows_that_it_holds_nothing() {
    let own = service(AUTH);
    let mut cluster = built(&*own);
    cluster.version = OLD;
    cluster.restart("db4");
    cluster.node_mut("db4").disk.data.databases = vec!["old"];
    cluster.stop("db4");
    let service = cases::service(
        crate::tests::KINDS,
        &inventory(&["db1", "db2", "db3", "db4", "db5"], AUTH),
    );
    let found = plan(&*service, &cluster);
    let joins = found.tasks.iter().position(|task| task.title.contains("add db4"));
    let joins = joins.expect("db4 joins once it is started");
    for task in &found.tasks[..joins] {
        cluster.perform(&*service, task);
    }
    let verdicts: Vec<Verdict> = found.tasks[joins]
        .before
        .iter()
        .map(|gate| cluster.judge(&*service, gate))
        .collect();
    assert!(
        verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Fail(why) if why.contains("db4 may hold data"))),
        "{verdicts:?}"
    );
    let found = shown(&*service, &cluster);
    assert!(found.contains("refused: db4 does not join the set"), "{found}");
    assert_eq!(cluster.node("db4").disk.data.databases, ["old"]);
}
