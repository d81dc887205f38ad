//! A host that is added to the service or taken from it is the whole request, and so is one for another.

use insta::assert_snapshot;

use super::*;
use crate::tests::rig::Rig as _;
use fakes::clickhouse::{KEEPER_LOG, Role, SERVER, ZK, ZOO_CFG};
use fakes::{Fault, Pace};

const KEEPER_FILE: &str = "/etc/clickhouse-server/config.d/keeper.xml";

fn settled(service: &dyn Service, cluster: &Cluster, hosts: &[&str]) {
    let mut cluster = cluster.clone();
    converge(service, &mut cluster);
    assert!(cluster.write(2), "a write is acknowledged");
    for host in ALL {
        let node = cluster.node(host);
        let is_member = hosts.contains(&host);
        assert_eq!(node.answers(), is_member, "{host}");
        assert_eq!(node.machine.unit_fact(SERVER).is_enabled(), is_member, "{host}");
        assert!(is_member || node.zookeeper.is_none(), "{host}");
        let has_all = node
            .table
            .as_ref()
            .is_some_and(|table| table.contains(&1) && table.contains(&2));
        assert!(!is_member || has_all, "{host}");
    }
}

/// Snapshot, convergence from wherever a run dies, and the state at the end.
fn scaled(from: &[&str], to: &[&str], more: &str, version: &'static str) -> String {
    let cluster = built_among(from, more, version);
    let service = among(to, more);
    let found = shown(&*service, &cluster);
    converge_from_everywhere(&*service, &cluster);
    settled(&*service, &cluster, to);
    found
}

#[test]
fn a_host_is_added() {
    assert_snapshot!(scaled(&DB, &ALL, ZOO, DEBIAN));
    assert_snapshot!(scaled(&DB, &ALL, "", MODERN));
}

/// Seen where a run died between the tables and their data: the next one had nothing to do, and clients were told of a replica
/// that lacked most rows.
#[test]
fn the_data_of_a_new_replica_is_waited_for_by_the_next_run_too() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    let service = among(&ALL, ZOO);
    let found = plan(&*service, &cluster);
    let is_made = |task: &Task| task.title.starts_with("make the tables of the other members");
    let made = found.tasks.iter().position(is_made).expect("tables are made");
    perform(&*service, &mut cluster, &found.tasks[..made]);
    cluster.pace = Pace {
        copy_us: 60_000_000,
        ..cluster.pace
    };
    cluster.perform(&found.tasks[made]);
    let left = plan(&*service, &cluster);
    let mut gates = left.tasks.iter().flat_map(|task| &task.before);
    let gate = gates.find(|gate| gate.check == "fetched").expect("a gate");
    let verdict =
        |cluster: &Cluster| service.judge(&gate.check, gate.host.as_ref(), &cluster.facts(&*service));
    assert!(matches!(verdict(&cluster), Verdict::Wait(_)), "{}", render(&left));
    cluster.advance(cluster.now + 120_000_000);
    assert_eq!(verdict(&cluster), Verdict::Pass);
    converge(&*service, &mut cluster);
}

#[test]
fn a_host_is_removed() {
    assert_snapshot!(scaled(&ALL, &["db2", "db3", "db4"], ZOO, DEBIAN));
    assert_snapshot!(scaled(&ALL, &["db2", "db3", "db4"], "", MODERN));
    scaled(&DB, &["db2", "db3"], ZOO, DEBIAN);
    scaled(&DB, &["db2", "db3"], "", MODERN);
}

/// All hosts but the one that leads.
fn but_the_leader(cluster: &Cluster) -> Vec<&'static str> {
    let mut nodes = cluster.nodes.iter();
    let leader = nodes.find(|node| node.role == Role::Leading).unwrap().name();
    ALL.into_iter().filter(|host| *host != leader).collect()
}

#[test]
fn a_leader_steps_down_before_it_is_removed() {
    for (more, version) in [(ZOO, DEBIAN), ("", MODERN)] {
        let cluster = built_among(&ALL, more, version);
        let rest = but_the_leader(&cluster);
        let service = among(&rest, more);
        let found = shown(&*service, &cluster);
        assert!(found.contains("another one leads before"), "{found}");
        converge_from_everywhere(&*service, &cluster);
        settled(&*service, &cluster, &rest);
    }
}

#[test]
fn one_host_takes_the_place_of_another() {
    assert_snapshot!(scaled(&DB, &["db2", "db3", "db4"], ZOO, DEBIAN));
    assert_snapshot!(scaled(&DB, &["db2", "db3", "db4"], "", MODERN));
}

#[test]
fn a_dead_host_is_replaced() {
    // Keeper's leader lets it go by itself; ZooKeeper has nothing to spare while its members learn of the newcomer.
    for (more, version) in [(ZOO, DEBIAN), ("", MODERN)] {
        let mut cluster = built_among(&DB, more, version);
        cluster.inject(&Fault::Down(cases::host("db1")));
        let service = among(&["db2", "db3", "db4"], more);
        assert_snapshot!(shown(&*service, &cluster));
        let allowed = ["clickhouse.outage=db2", "clickhouse.outage=db3"];
        converge_allowing(&*service, &mut cluster, &allowed);
        assert!(cluster.write(2) && cluster.has_value(WRITTEN) && cluster.violations().is_empty());
    }
}

#[test]
fn data_on_one_host_alone_is_not_left_behind() {
    let mut cluster = built_among(&DB, "", MODERN);
    cluster.node_mut("db1").local_table = Some("default.notes".to_owned());
    let service = among(&["db2", "db3"], "");
    assert_snapshot!(shown(&*service, &cluster));
    converge_allowing(&*service, &mut cluster, &["clickhouse.abandon=db1"]);
    assert!(!cluster.node("db1").answers());
    assert!(cluster.node("db1").machine.files.contains_key(KEEPER_LOG));

    // The only replica of a table.
    let mut cluster = built_among(&DB, "", MODERN);
    for host in ["db2", "db3"] {
        cluster.node_mut(host).table = None;
        cluster.forget(host);
    }
    assert_snapshot!(shown(&*service, &cluster));
}

#[test]
fn a_host_with_data_that_others_lack_is_removed_when_they_have_it() {
    let service = among(&["db2", "db3"], "");
    let mut cluster = built_among(&DB, "", MODERN);
    for host in ["db2", "db3"] {
        cluster.node_mut(host).fetches_from = i64::MAX;
        cluster.node_mut(host).table.as_mut().unwrap().clear();
    }
    let gates: Vec<::plan::Gate> = plan(&*service, &cluster)
        .tasks
        .iter()
        .filter(|task| task.title.contains("disable and stop"))
        .flat_map(|task| task.before.clone())
        .collect();
    let facts = cluster.facts(&*service);
    let verdict = service.judge(&gates[0].check, gates[0].host.as_ref(), &facts);
    assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?}");
}

#[test]
fn hosts_that_never_were_members_are_left_alone() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    cluster.restart("db4", ZK);
    cluster.restart("db4", SERVER);
    let left = plan(&*among(&DB, ZOO), &cluster);
    assert!(is_settled(&left), "{}", render(&left));
}

/// The leader takes newcomers in when its own file names them, and so does one that is to leave.
#[test]
fn a_leader_is_replaced() {
    for (more, version) in [(ZOO, DEBIAN), ("", MODERN)] {
        let cluster = built_among(&DB, more, version);
        let rest = but_the_leader(&cluster);
        let service = among(&rest, more);
        converge_from_everywhere(&*service, &cluster);
        settled(&*service, &cluster, &rest);
    }
}

/// Seen: the file that it has still is from before the one that goes had come, and looked as if the others were to do
/// without that one already. It led, and who came back did not know it.
#[test]
fn a_former_member_replaces_its_replacement() {
    for (more, version, path) in [(ZOO, DEBIAN, ZOO_CFG), ("", MODERN, KEEPER_FILE)] {
        let mut cluster = built_among(&DB, more, version);
        cluster.inject(&Fault::Down(cases::host("db1")));
        let without = among(&["db2", "db3", "db4"], more);
        let allowed = ["clickhouse.outage=db2", "clickhouse.outage=db3"];
        converge_allowing(&*without, &mut cluster, &allowed);
        cluster.inject(&Fault::Up(cases::host("db1")));
        cluster.tick();
        converge(&*without, &mut cluster);
        // What was registered of its replica was dropped: its old table is of no use any more.
        if version == MODERN {
            cluster.node_mut("db1").table = None;
        }
        let service = among(&DB, more);
        let found = plan(&*service, &cluster);
        for host in DB {
            let mut written = found
                .tasks
                .iter()
                .filter_map(|task| match &task.action.as_ref()?.operation {
                    Operation::WriteFile { path: file, text, .. }
                        if task.host.as_str() == host && file == path =>
                    {
                        Some(text.as_str())
                    }
                    _ => None,
                });
            assert!(written.next().unwrap().contains("db4"), "{}", render(&found));
        }
        converge_from_everywhere(&*service, &cluster);
        settled(&*service, &cluster, &DB);
    }
}

/// Seen with a host that was cut off: while a leader was chosen, all servers were restarted at once.
#[test]
fn members_are_restarted_one_after_another_during_an_election() {
    for (more, version) in [(ZOO, DEBIAN), ("", MODERN)] {
        let mut cluster = built_among(&DB, more, version);
        for host in DB {
            cluster.inject(&Fault::Cut(cases::host(host)));
        }
        let service = among(&DB, &format!("{more}ddl_path = \"/clickhouse/other/ddl\"\n"));
        let found = plan(&*service, &cluster);
        let restarts = found.tasks.iter().filter(|task| task.title.contains("restart"));
        assert!(
            restarts.into_iter().all(|task| task.disrupts),
            "{}",
            render(&found)
        );
    }
}

/// A Keeper's log has its voters, and its file may be ahead of it: four voters of whom one is dead have none to spare until
/// the leader has removed that one, whatever the files say.
#[test]
fn a_dead_keeper_counts_until_the_leader_has_removed_it() {
    let rest = ["db2", "db3", "db4"];
    let mut cluster = built_among(&ALL, "", MODERN);
    cluster.inject(&Fault::Down(cases::host("db1")));
    cluster.tick();
    let service = among(&rest, "");
    for host in rest {
        let text = cluster.node(host).machine.text(KEEPER_FILE).to_owned();
        let (before, after) = text.split_once("<server>").unwrap();
        let (_, after) = after.split_once("</server>").unwrap();
        let now = cluster.now;
        let text = format!("{before}{after}");
        cluster
            .node_mut(host)
            .machine
            .write(KEEPER_FILE, &text, 0o644, "root", now);
    }
    let spares = |cluster: &Cluster| {
        let facts = cluster.facts(&*service);
        let mut verdicts = rest
            .map(|host| service.judge("spare", Some(&cases::host(host)), &facts))
            .into_iter();
        verdicts.all(|verdict| verdict == Verdict::Pass)
    };
    assert!(!spares(&cluster));
    cluster.tick();
    assert!(spares(&cluster));
}
