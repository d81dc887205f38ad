//! Hosts on which nothing was done yet, and what stands there already.

use insta::assert_snapshot;

use super::{apply, built, converge, converge_from_everywhere, plan, service};
use crate::tests::hosts::{Files as _, Rig as _};
use cases::{host, render};
use fakes::ssdb::{CONFIG, Cluster, DIR, OURS};
use fakes::{FakeCluster as _, Fault};

/// The runbook's file, as it must be written by hand: with TABs, and with capacity where the server looks for it.
fn by_hand(host: usize, capacity: &str) -> String {
    let peers = (1..=3).filter(|peer| *peer != host).map(|peer| {
        format!(
            "\tslaveof:\n\t\tid: db{peer}\n\t\ttype: mirror\n\t\thost: db{peer}\n\t\tport: 4420\n\t\tauth: {OURS}\n\t\t\
             recv_timeout: 900\n"
        )
    });
    format!(
        "work_dir = {DIR}\npidfile = {DIR}/ssdb.pid\n\nserver:\n\tip: 0.0.0.0\n\tport: 4420\n\tauth: {OURS}\n\n\
         replication:\n\tbinlog: yes\n{capacity}\tsync_speed: -1\n{}\nlogger:\n\tlevel: info\n\toutput: log.txt\n",
        peers.collect::<String>()
    )
}

pub(super) fn built_by_hand(capacity: &str) -> Cluster {
    let mut cluster = Cluster::bare(3);
    for (at, name) in ["db1", "db2", "db3"].into_iter().enumerate() {
        cluster.put_file(name, &by_hand(at + 1, capacity));
        cluster.make_dir(name);
        cluster.node(name).unit().is_enabled = true;
    }
    for name in ["db1", "db2", "db3"] {
        cluster.start(name);
    }
    cluster
}

#[test]
fn bare_hosts_become_mirrors() {
    let service = service(3, "");
    let cluster = Cluster::bare(3);
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge(&*service, &mut cluster.clone(), &[]);
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_server_alone_has_nobody_to_mirror() {
    let service = service(1, "");
    let mut cluster = Cluster::bare(1);
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge(&*service, &mut cluster, &[]);
    // A change restarts it, although nobody takes its place meanwhile.
    let text = cluster.text("db1").replace("500", "600");
    cluster.put_file("db1", &text);
    converge(&*service, &mut cluster, &[]);
}

/// Names go to the wrong host (seen), so addresses take their place, one member after another; nothing else changes.
#[test]
fn mirrors_made_by_hand_from_the_runbook_are_adopted_with_addresses_instead_of_names() {
    let service = service(3, "");
    let mut cluster = built_by_hand("\t\tcapacity: 100000000\n");
    cluster.set("db1", "user", Some("data"));
    let names = cluster.text("db1");
    let planned = plan(&*service, &cluster, &[]);
    let restarted = planned.tasks.iter().filter(|task| task.disrupts);
    let restarted: Vec<&str> = restarted.map(|task| task.host.as_str()).collect();
    assert_eq!(restarted, ["db1", "db2", "db3"], "{}", render(&planned));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster, &[]);
    let addresses = names
        .replace("host: db2", "host: 10.0.0.2")
        .replace("host: db3", "host: 10.0.0.3");
    assert_eq!(cluster.text("db1"), addresses);
    // Positions stay: nothing is copied again.
    let copied = |name: &str| cluster.nodes[cluster.at(name)].copied;
    assert_eq!(["db1", "db2", "db3"].map(copied), [2, 2, 2]);
}

#[test]
fn what_the_runbook_gets_wrong_is_corrected_one_member_after_another() {
    let service = service(3, "");
    let mut cluster = built_by_hand("\tcapacity: 100000000\n");
    cluster.set("db1", "user", Some("data"));
    for name in ["db1", "db2", "db3"] {
        let text = cluster.text(name).replace("level: info", "level: debug");
        cluster.node(name).file().text = text;
        cluster.node(name).file().mode = 0o644;
        cluster.node(name).process.as_mut().unwrap().capacity = 20_000_000;
    }
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster, &[]);
    for name in ["db1", "db2", "db3"] {
        assert_eq!(cluster.get(name, "user").as_deref(), Some("data"));
        assert!(
            cluster
                .text(name)
                .contains("\tbinlog: yes\n\t\tcapacity: 100000000\n\tsync_speed: -1\n")
        );
        assert!(cluster.text(name).contains("\toutput: log.txt\n"));
    }
}

/// One server with data, as upstream installs it, and two new hosts: the step from one instance to mirrors.
fn one_with_data() -> Cluster {
    let mut cluster = Cluster::bare(3);
    let text =
        format!("work_dir = {DIR}\nserver:\n\tip: 127.0.0.1\n\tport: 4420\n\nlogger:\n\tlevel: info\n");
    cluster.put_file("db2", &text);
    cluster.make_dir("db2");
    cluster.start("db2");
    cluster.set("db2", "user", Some("data"));
    cluster
}

#[test]
fn the_one_that_holds_the_data_comes_last_and_the_others_copy_them() {
    let service = service(3, "");
    let mut cluster = one_with_data();
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster, &[]);
    for name in ["db1", "db2", "db3"] {
        assert_eq!(cluster.get(name, "user").as_deref(), Some("data"));
    }
}

#[test]
fn a_new_member_is_started_first_and_then_known_to_all() {
    let three = service(3, "");
    let mut cluster = built(&*three);
    cluster.set("db1", "user", Some("data"));
    cluster.grow(4);
    let four = service(4, "");
    assert_snapshot!(render(&plan(&*four, &cluster, &[])));
    converge_from_everywhere(&*four, &cluster, &[]);
    converge(&*four, &mut cluster, &[]);
    assert_eq!(cluster.get("db4", "user").as_deref(), Some("data"));
}

#[test]
fn a_host_that_is_out_of_reach_does_not_stop_the_others_from_beginning() {
    let service = service(3, "");
    let mut cluster = Cluster::bare(3);
    cluster.inject(&Fault::Cut(host("db3")));
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    apply(&*service, &mut cluster, &[]).unwrap();
    cluster.inject(&Fault::Heal(host("db3")));
    converge(&*service, &mut cluster, &[]);
}

#[test]
fn a_file_of_an_operators_own_keeps_what_is_his() {
    let service = service(3, "sync_speed = 50\nrecv_timeout = 60\n");
    let mut cluster = Cluster::bare(3);
    let text = "# mine\nwork_dir = /data/ssdb\npidfile = /run/ssdb.pid\n\nserver:\n\tip: 10.0.0.1\n\tport: 4420\n\tdeny: \
                all\n\tallow: 10.0\n\nreplication:\n\tbinlog: yes\n\tsync_speed: 20\n\tslaveof:\n\t\tid: svc_2\n\t\ttype: \
                mirror\n\t\tip: 10.0.0.2\n\t\tport: 4420\n\t\t#auth: password\n\tslaveof:\n\t\ttype: sync\n\t\thost: \
                old-master\n\t\tport: 4420\n\nleveldb:\n\tcache_size: 8000";
    cluster.put_file("db1", text);
    // It runs, and tells that it holds no queues.
    cluster
        .node("db1")
        .machine
        .write("/data/ssdb", "", 0o750, "ssdb", 1);
    cluster.start("db1");
    let plan = plan(&*service, &cluster, &["ssdb.restart-all=db1"]);
    let written = plan
        .tasks
        .iter()
        .find(|task| task.host.as_str() == "db1" && task.title.contains(CONFIG))
        .unwrap();
    let only = kit::StepPlan {
        tasks: vec![written.clone()],
        notes: plan.notes.clone(),
        ..Default::default()
    };
    assert_snapshot!(render(&only));
}
