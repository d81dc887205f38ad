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

fn built_by_hand(capacity: &str) -> Cluster {
    let mut world = Cluster::bare(3);
    for (at, name) in ["db1", "db2", "db3"].into_iter().enumerate() {
        world.put_file(name, &by_hand(at + 1, capacity));
        world.make_dir(name);
        world.node(name).unit().is_enabled = true;
    }
    for name in ["db1", "db2", "db3"] {
        world.start(name);
    }
    world
}

#[test]
fn bare_hosts_become_mirrors() {
    let service = service(3, "");
    let world = Cluster::bare(3);
    assert_snapshot!(render(&plan(&*service, &world, &[])));
    converge(&*service, &mut world.clone(), &[]);
    converge_from_everywhere(&*service, &world, &[]);
}

#[test]
fn a_server_alone_has_nobody_to_mirror() {
    let service = service(1, "");
    let mut world = Cluster::bare(1);
    assert_snapshot!(render(&plan(&*service, &world, &[])));
    converge(&*service, &mut world, &[]);
    // A change restarts it, although nobody takes its place meanwhile.
    let text = world.text("db1").replace("500", "600");
    world.put_file("db1", &text);
    converge(&*service, &mut world, &[]);
}

#[test]
fn mirrors_made_by_hand_from_the_runbook_are_adopted() {
    let service = service(3, "");
    let world = built_by_hand("\t\tcapacity: 100000000\n");
    let plan = plan(&*service, &world, &[]);
    assert_eq!(render(&plan), "");
}

#[test]
fn what_the_runbook_gets_wrong_is_corrected_one_member_after_another() {
    let service = service(3, "");
    let mut world = built_by_hand("\tcapacity: 100000000\n");
    world.set("db1", "user", Some("data"));
    for name in ["db1", "db2", "db3"] {
        let text = world.text(name).replace("level: info", "level: debug");
        world.node(name).file().text = text;
        world.node(name).file().mode = 0o644;
        world.node(name).process.as_mut().unwrap().capacity = 20_000_000;
    }
    assert_snapshot!(render(&plan(&*service, &world, &[])));
    converge_from_everywhere(&*service, &world, &[]);
    converge(&*service, &mut world, &[]);
    for name in ["db1", "db2", "db3"] {
        assert_eq!(world.get(name, "user").as_deref(), Some("data"));
        assert!(
            world
                .text(name)
                .contains("\tbinlog: yes\n\t\tcapacity: 100000000\n\tsync_speed: -1\n")
        );
        assert!(world.text(name).contains("\toutput: log.txt\n"));
    }
}

/// One server with data, as upstream installs it, and two new hosts: the step from one instance to mirrors.
fn one_with_data() -> Cluster {
    let mut world = Cluster::bare(3);
    let text =
        format!("work_dir = {DIR}\nserver:\n\tip: 127.0.0.1\n\tport: 4420\n\nlogger:\n\tlevel: info\n");
    world.put_file("db2", &text);
    world.make_dir("db2");
    world.start("db2");
    world.set("db2", "user", Some("data"));
    world
}

#[test]
fn the_one_that_holds_the_data_comes_last_and_the_others_copy_them() {
    let service = service(3, "");
    let mut world = one_with_data();
    assert_snapshot!(render(&plan(&*service, &world, &[])));
    converge_from_everywhere(&*service, &world, &[]);
    converge(&*service, &mut world, &[]);
    for name in ["db1", "db2", "db3"] {
        assert_eq!(world.get(name, "user").as_deref(), Some("data"));
    }
}

#[test]
fn a_new_member_is_started_first_and_then_known_to_all() {
    let three = service(3, "");
    let mut world = built(&*three);
    world.set("db1", "user", Some("data"));
    world.grow(4);
    let four = service(4, "");
    assert_snapshot!(render(&plan(&*four, &world, &[])));
    converge_from_everywhere(&*four, &world, &[]);
    converge(&*four, &mut world, &[]);
    assert_eq!(world.get("db4", "user").as_deref(), Some("data"));
}

#[test]
fn a_host_that_is_out_of_reach_does_not_stop_the_others_from_beginning() {
    let service = service(3, "");
    let mut world = Cluster::bare(3);
    world.inject(&Fault::Cut(host("db3")));
    assert_snapshot!(render(&plan(&*service, &world, &[])));
    apply(&*service, &mut world, &[]).unwrap();
    world.inject(&Fault::Heal(host("db3")));
    converge(&*service, &mut world, &[]);
}

#[test]
fn a_file_of_an_operators_own_keeps_what_is_his() {
    let service = service(3, "sync_speed = 50\nrecv_timeout = 60\n");
    let mut world = Cluster::bare(3);
    let text = "# mine\nwork_dir = /data/ssdb\npidfile = /run/ssdb.pid\n\nserver:\n\tip: 10.0.0.1\n\tport: 8888\n\tdeny: \
                all\n\tallow: 10.0\n\nreplication:\n\tbinlog: yes\n\tsync_speed: 20\n\tslaveof:\n\t\tid: svc_2\n\t\ttype: \
                mirror\n\t\tip: 10.0.0.2\n\t\tport: 4420\n\t\t#auth: password\n\tslaveof:\n\t\ttype: sync\n\t\thost: \
                old-master\n\t\tport: 4420\n\nleveldb:\n\tcache_size: 8000";
    world.put_file("db1", text);
    let plan = plan(&*service, &world, &[]);
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
