//! What operators wrote themselves: into files of ours, into files of other names, by other names of the hosts, and macros
//! that tables stand on. It stays, or the plan says why it would not.

use protocol::UnitVerb;

use super::*;
use crate::tests::rig::Rig as _;
use fakes::clickhouse::{CONFIG_D, SERVER, USERS, USERS_D, ZK, ZOO_CFG};

fn file(name: &str) -> String {
    format!("{CONFIG_D}/{name}.xml")
}

/// Changes a file on each host by hand, and restarts what reads it, as its operator did long ago.
fn by_hand(cluster: &mut Cluster, path: &str, unit: &str, change: impl Fn(&str, &str) -> String) {
    for host in DB {
        let text = change(host, cluster.node(host).machine.text(path));
        cluster.write_file(host, path, &text);
        cluster.restart(host, unit);
        cluster.tick();
    }
}

fn assert_settled(service: &dyn Service, cluster: &Cluster) {
    let found = plan(service, cluster);
    assert!(is_settled(&found), "{}", render(&found));
}

/// The refusals of a plan that does nothing else.
fn refused(service: &dyn Service, cluster: &Cluster) -> String {
    let found = plan(service, cluster);
    assert!(found.tasks.is_empty(), "{}", render(&found));
    assert!(!found.refusals.is_empty(), "{}", render(&found));
    render(&found)
}

/// A cluster replicates by the names that its servers registered: ours is given to servers that are not of one yet.
#[test]
fn the_name_that_replicas_fetch_from_is_left_to_a_cluster_that_has_its_own() {
    let service = keeper("listen = [\"address\"]");
    let named = |host: &str, name: &str| {
        let listen = format!("<listen_host>10.0.0.{}</listen_host>", &host[2..]);
        format!("<clickhouse>{listen}{name}</clickhouse>")
    };
    let own = "<interserver_http_host>10.1.0.1</interserver_http_host>";
    for name in ["", own] {
        let mut cluster = built(&*service, MODERN);
        by_hand(&mut cluster, &file("settings"), SERVER, |host, _| {
            named(host, name)
        });
        assert_settled(&*service, &cluster);
        // Nor is it changed together with others.
        converge(&*keeper(""), &mut cluster);
        let text = cluster.node("db1").machine.text(&file("settings"));
        assert_eq!(
            text.contains("<interserver_http_host>"),
            !name.is_empty(),
            "{text}"
        );
        assert_eq!(text.contains(own), !name.is_empty(), "{text}");
    }
}

#[test]
fn another_order_of_the_hosts_restarts_and_writes_nothing() {
    for (more, version) in [
        (ZOO, DEBIAN),
        ("", MODERN),
        ("restrict_default_user = true", MODERN),
    ] {
        let cluster = built(&*service_on(&DB, more), version);
        assert_settled(&*service_on(&["db3", "db1", "db2"], more), &cluster);
    }
}

/// Seen: a user that was added by hand vanished, and the networks of ours became `::/0`.
#[test]
fn users_of_others_in_our_file_are_not_dropped() {
    let service = keeper("password = { file = \"pw\" }");
    let built = built(&*service, MODERN);
    let changes = [
        (
            "</users>",
            "<grafana><password>x</password></grafana></users>",
            "users/grafana/password",
        ),
        (
            "<ip>::/0</ip>",
            "<ip>10.0.0.0/8</ip>",
            "users/altcraft/networks/ip 10.0.0.0/8",
        ),
    ];
    for (from, to, named) in changes {
        let mut cluster = built.clone();
        let text = cluster.node("db2").machine.text(USERS).replace(from, to);
        cluster.write_file("db2", USERS, &text);
        cluster.node_mut("db2").machine.files.get_mut(USERS).unwrap().mode = 0o640;
        let shown = refused(&*service, &cluster);
        assert!(
            shown.contains(&format!(
                "{named} in it is not of the inventory, and would be lost"
            )),
            "{shown}"
        );
        assert!(shown.contains("clickhouse.overwrite=db2"), "{shown}");
        converge_allowing(&*service, &mut cluster, &["clickhouse.overwrite=db2"]);
    }
}

/// Seen in the adoption of a cluster whose operator had given `default` its password in a file of another name: the same user
/// was written a second time.
#[test]
fn a_user_that_another_file_has_with_the_same_password_is_not_written_again() {
    for user in ["altcraft", "default"] {
        let (ours, other) = (format!("{USERS_D}/{user}.xml"), format!("{USERS_D}/50-users.xml"));
        let service = keeper(&format!("password = {{ file = \"pw\" }}\nuser = \"{user}\""));
        let mut cluster = built(&*service, MODERN);
        for host in DB {
            let machine = &mut cluster.node_mut(host).machine;
            let moved = machine.files.remove(&ours).expect("our file");
            machine.files.insert(other.clone(), moved);
        }
        cluster.tick();
        assert_settled(&*service, &cluster);
        // Where no file has it any more, ours is written again.
        for host in DB {
            cluster.node_mut(host).machine.files.remove(&other);
        }
        cluster.tick();
        let found = plan(&*service, &cluster);
        let is_written = |task: &&Task| task.title == format!("create {ours}");
        assert_eq!(
            found.tasks.iter().filter(is_written).count(),
            3,
            "{}",
            render(&found)
        );
    }
}

#[test]
fn settings_of_others_in_our_files_are_not_dropped() {
    let service = keeper("");
    let built = built(&*service, MODERN);
    let changes = [
        (
            "settings",
            "</clickhouse>",
            "<max_connections>4096</max_connections></clickhouse>",
            "max_connections 4096",
        ),
        (
            "clusters",
            "</altcraft>",
            "</altcraft><other><shard><replica><host>a</host></replica></shard></other>",
            "remote_servers/other/shard/replica/host a",
        ),
        (
            "macros",
            "</macros>",
            "<layer>05</layer></macros>",
            "macros/layer 05",
        ),
        (
            "keeper",
            "<session_timeout_ms>30000<",
            "<session_timeout_ms>90000<",
            "keeper_server/coordination_settings/session_timeout_ms 90000",
        ),
    ];
    for (name, from, to, named) in changes {
        let mut cluster = built.clone();
        let text = cluster.node("db1").machine.text(&file(name)).replace(from, to);
        cluster.write_file("db1", &file(name), &text);
        let shown = refused(&*service, &cluster);
        assert!(
            shown.contains(&format!("{named} in it is not of the inventory")),
            "{shown}"
        );
    }
}

/// A cluster whose operator has all of it in files of other names.
fn with_other_names(more: &str) -> Cluster {
    let mut cluster = built(&*keeper(more), MODERN);
    for host in DB {
        for name in ["clusters", "macros", "keeper", "settings"] {
            let machine = &mut cluster.node_mut(host).machine;
            let moved = machine.files.remove(&file(name)).unwrap();
            machine.files.insert(file(&format!("50-{name}")), moved);
        }
        cluster.restart(host, SERVER);
        cluster.tick();
    }
    cluster
}

#[test]
fn a_cluster_in_files_of_other_names_is_adopted_as_it_is() {
    let cluster = with_other_names("");
    assert_settled(&*keeper(""), &cluster);
    let ids = |cluster: &Cluster| DB.map(|host| cluster.node(host).server.as_ref().map(|server| server.id));
    assert_eq!(ids(&cluster), [Some(1), Some(2), Some(3)]);
}

#[test]
fn files_of_other_names_that_say_something_else_are_not_merged_with_ours() {
    let cases = [
        (
            "keeper = { raft_port = 9445 }",
            "another file of the server has <keeper_server> with other values",
        ),
        (
            "listen = [\"10.0.0.9\"]",
            "another file of the server has <listen_host> with other values",
        ),
        (
            "cluster = \"altcraft\"\ntcp_port = 9100",
            "another file of the server has <remote_servers/altcraft> with other values",
        ),
    ];
    for (more, why) in cases {
        let shown = refused(&*keeper(more), &with_other_names(""));
        assert!(shown.contains(why), "{shown}");
    }
}

/// Numbers were read from our own file alone, and made again where that did not exist.
#[test]
fn numbers_of_keeper_are_read_from_whatever_file_has_them() {
    let mut cluster = built(&*keeper("server_ids = { db1 = 11, db2 = 12, db3 = 13 }"), MODERN);
    for host in DB {
        let machine = &mut cluster.node_mut(host).machine;
        let moved = machine.files.remove(&file("keeper")).unwrap();
        machine.files.insert(file("quorum"), moved);
    }
    let found = plan(&*keeper(""), &cluster);
    assert!(is_settled(&found), "{}", render(&found));
    // The running Keeper tells its own number, whatever its files say by now.
    for host in DB {
        cluster.node_mut(host).machine.files.remove(&file("quorum"));
        cluster
            .node_mut(host)
            .machine
            .files
            .remove("/var/lib/clickhouse/preprocessed_configs/config.xml");
    }
    let found = plan(&*keeper(""), &cluster);
    let keeper_xml = found
        .tasks
        .iter()
        .find_map(|task| match &task.action.as_ref()?.operation {
            Operation::WriteFile { path, text, .. } if *path == file("keeper") => Some(text.to_string()),
            _ => None,
        });
    let text = keeper_xml.expect("a keeper.xml");
    assert!(
        ["<id>11</id>", "<id>12</id>", "<id>13</id>"]
            .iter()
            .all(|id| text.contains(id)),
        "{text}"
    );
}

#[test]
fn a_keeper_file_that_cannot_be_read_is_none_without_members() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    cluster.stop("db2", SERVER);
    cluster.write_file("db2", &file("keeper"), "<clickhouse><keeper_server>");
    cluster
        .node_mut("db2")
        .machine
        .files
        .remove("/var/lib/clickhouse/preprocessed_configs/config.xml");
    let shown = refused(&*service, &cluster);
    assert!(
        shown.contains("db2: /etc/clickhouse-server/config.d/keeper.xml is not XML"),
        "{shown}"
    );
}

#[test]
fn hosts_named_by_address_or_full_name_are_the_same_hosts() {
    let address = |host: &str| format!("10.0.0.{}", &host[2..]);
    let full = |host: &str| format!("{host}.example.com");
    let spellings: [&dyn Fn(&str) -> String; 2] = [&address, &full];
    for spelled in spellings {
        let respell = |text: &str, around: (&str, &str)| {
            DB.iter().fold(text.to_owned(), |text, host| {
                let (before, after) = around;
                text.replace(
                    &format!("{before}{host}{after}"),
                    &format!("{before}{}{after}", spelled(host)),
                )
            })
        };
        let service = keeper("");
        let mut cluster = built(&*service, MODERN);
        for host in DB {
            for (name, tag) in [("clusters", "host"), ("keeper", "host"), ("keeper", "hostname")] {
                let around = (format!("<{tag}>"), format!("</{tag}>"));
                let machine = &mut cluster.node_mut(host).machine;
                let text = respell(machine.text(&file(name)), (&around.0, &around.1));
                machine.files.get_mut(&file(name)).unwrap().text = text;
                // Nobody noted what it was started with.
                let unit = machine.unit(SERVER);
                let started_us = unit.started_us.unwrap();
                unit.start(started_us);
            }
            cluster.tick();
        }
        assert_settled(&*service, &cluster);
        // A change keeps the names that the quorum has.
        let found = plan(&*keeper("ddl_path = \"/clickhouse/other/ddl\""), &cluster);
        let texts: Vec<&str> = found
            .tasks
            .iter()
            .filter_map(|task| match &task.action.as_ref()?.operation {
                Operation::WriteFile { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts.len(), 3, "{}", render(&found));
        assert!(
            texts
                .iter()
                .all(|text| text.contains(&format!("<hostname>{}<", spelled("db2")))),
            "{texts:?}"
        );

        let service = zookeeper("");
        let mut cluster = built(&*service, DEBIAN);
        for host in DB {
            let machine = &mut cluster.node_mut(host).machine;
            let text = respell(machine.text(ZOO_CFG), ("=", ":"));
            machine.files.get_mut(ZOO_CFG).unwrap().text = text;
            let unit = machine.unit(ZK);
            let started_us = unit.started_us.unwrap();
            unit.start(started_us);
        }
        assert_settled(&*service, &cluster);
    }
}

#[test]
fn a_quorum_with_data_elsewhere_keeps_its_directory() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    for host in DB {
        let machine = &mut cluster.node_mut(host).machine;
        let zoo = machine.files.get_mut(ZOO_CFG).unwrap();
        zoo.text = zoo
            .text
            .replace("dataDir=/var/lib/zookeeper", "dataDir=/data/zookeeper");
    }
    let found = plan(&*service, &cluster);
    assert!(
        !found.tasks.iter().any(|task| task.tells(ZK, UnitVerb::Restart)),
        "{}",
        render(&found)
    );
    let shown = render(&found);
    assert!(
        shown.contains("its data are in /data/zookeeper instead of /var/lib/zookeeper"),
        "{shown}"
    );
}

/// A table is read-only from the next start on where a macro of its path has changed.
#[test]
fn macros_that_tables_stand_on_are_not_changed() {
    for (service, version) in [(keeper(""), MODERN), (zookeeper(""), DEBIAN)] {
        let mut cluster = built(&*service, version);
        // Its operator calls the replica so, and the table was made with that.
        by_hand(&mut cluster, &file("macros"), SERVER, |host, text| {
            text.replace(&format!("<replica>{host}<"), &format!("<replica>r{host}<"))
        });
        let facts = |cluster: &Cluster| {
            cases::answer_all(&*service, |host, query| {
                let fact = cluster.answer(host, query)?.ok()?;
                let protocol::Fact::Http(protocol::facts::HttpFact::Reply { status, body }) = &fact else {
                    return Some(fact);
                };
                let named = body
                    .as_str()
                    .replace(&format!("events\t{host}\n"), &format!("events\tr{host}\n"));
                let body = protocol::Text::new(named);
                Some(protocol::Fact::Http(protocol::facts::HttpFact::Reply {
                    status: *status,
                    body,
                }))
            })
        };
        let found = cases::plan_steps(&*service, &STEPS, &facts(&cluster));
        assert!(found.tasks.is_empty(), "{}", render(&found));
        let shown = render(&found);
        assert!(
            shown.contains("the macro replica of db1 is not changed from rdb1 to db1"),
            "{shown}"
        );
        assert!(
            shown.contains("set macros = { db1 = { replica = \"rdb1\" } } in the inventory"),
            "{shown}"
        );
    }
    let macros = DB.map(|host| format!("{host} = {{ replica = \"r{host}\" }}"));
    let service = keeper(&format!("macros = {{ {} }}", macros.join(", ")));
    let mut cluster = built(&*keeper(""), MODERN);
    by_hand(&mut cluster, &file("macros"), SERVER, |host, text| {
        text.replace(&format!("<replica>{host}<"), &format!("<replica>r{host}<"))
    });
    assert!(
        !plan(&*service, &cluster)
            .tasks
            .iter()
            .any(|task| task.title.contains("macros"))
    );
}

#[test]
fn macros_of_a_server_that_does_not_run_are_not_changed() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    by_hand(&mut cluster, &file("macros"), SERVER, |_, text| {
        text.replace(">01<", ">s1<")
    });
    cluster.stop("db3", SERVER);
    let shown = render(&plan(&*service, &cluster));
    assert!(
        shown.contains("the macro shard of db3 is not changed from s1 to 01"),
        "{shown}"
    );
}

#[test]
fn a_cluster_of_several_shards_is_not_made_one_of_one() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    let shard = "<shard><replica><host>db9</host><port>9000</port></replica></shard></altcraft>";
    by_hand(&mut cluster, &file("clusters"), SERVER, |_, text| {
        text.replace("</altcraft>", shard)
    });
    let shown = refused(&*service, &cluster);
    assert!(
        shown.contains("its cluster altcraft has 2 shards, and a service has one"),
        "{shown}"
    );
}
