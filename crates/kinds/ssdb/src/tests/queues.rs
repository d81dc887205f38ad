//! Queues, the items of which every full copy pushes once more.

use super::{built, converge, plan, service, service_on};
use crate::tests::hosts::{Files as _, Rig as _};
use cases::{host, render};
use fakes::ssdb::{Cluster, DIR};
use fakes::{FakeCluster as _, Fault};

const THREE: [&str; 3] = ["db1", "db2", "db3"];

/// Mirrors on three of four hosts, with a queue.
fn with_queue() -> Cluster {
    let mut cluster = Cluster::bare(4);
    converge(&*service_on(&THREE), &mut cluster, &[]);
    for item in ["a", "b"] {
        cluster.push("db1", "jobs", item);
    }
    cluster
}

/// Nothing of the plan copies or restarts anything, carried out as often as one likes, and the reason is told.
fn assert_refused(to: &[&str], cluster: &Cluster, allow: &[&str]) -> String {
    let service = service_on(to);
    let mut cluster = cluster.clone();
    let copied = |cluster: &Cluster| cluster.nodes.iter().map(|node| node.copied).collect::<Vec<_>>();
    let before = copied(&cluster);
    let refused = plan(&*service, &cluster, allow);
    assert!(!refused.refusals.is_empty(), "{}", render(&refused));
    for _ in 0..3 {
        let _ = super::apply(&*service, &mut cluster, allow);
    }
    assert_eq!(copied(&cluster), before, "{}", render(&refused));
    render(&refused)
}

#[test]
fn no_host_is_added_or_replaced_where_there_are_queues() {
    let mut cluster = with_queue();
    for to in [
        &["db1", "db2", "db3", "db4"][..],
        &["db2", "db3", "db4"],
        &["db4"],
    ] {
        let told = assert_refused(to, &cluster, &[]);
        assert!(
            told.contains("db4 does not become a mirror of the others, because db"),
            "{told}"
        );
        assert!(told.contains("holds queues"), "{told}");
    }
    // What copies nothing goes on.
    converge(&*service_on(&THREE), &mut cluster, &[]);
    converge(&*service_on(&["db2", "db3"]), &mut cluster, &[]);
    for name in ["db2", "db3"] {
        assert_eq!(cluster.queue(name, "jobs"), ["a", "b"], "{name}");
    }
}

/// The runbook's other way: one server with data becomes three mirrors, which copy from one another.
#[test]
fn one_server_with_queues_does_not_become_mirrors() {
    let mut cluster = Cluster::bare(4);
    let alone = service_on(&["db1"]);
    converge(&*alone, &mut cluster, &[]);
    cluster.push("db1", "jobs", "a");
    assert_refused(&THREE, &cluster, &[]);
}

#[test]
fn a_mirror_is_not_filled_again_where_there_are_queues() {
    let mut cluster = super::trouble::fallen_behind();
    cluster.push("db1", "jobs", "a");
    let three = service(3, "capacity = 20\n");
    let allow = ["ssdb.wipe=db3"];
    let refused = plan(&*three, &cluster, &allow);
    assert_eq!(refused.refusals.len(), 1, "{}", render(&refused));
    assert!(refused.tasks.is_empty(), "{}", render(&refused));
    let _ = super::apply(&*three, &mut cluster, &allow);
    assert!(cluster.node("db3").aside.is_empty());
}

/// The items of a queue that clients emptied on the others did not leave the one that is out of sync. To take them out there
/// would take others out of the same queue on the others.
#[test]
fn a_mirror_is_filled_again_whatever_queues_it_holds_itself() {
    let mut cluster = super::trouble::fallen_behind_with(|cluster| cluster.push("db1", "jobs", "a"));
    let three = service(3, "capacity = 20\n");
    let allow = ["ssdb.wipe=db3"];
    let refused = render(&plan(&*three, &cluster, &allow));
    assert!(
        refused.contains("db3 is not filled again, because db"),
        "{refused}"
    );
    for node in &mut cluster.nodes[..2] {
        node.disk.as_mut().unwrap().queues.clear();
    }
    converge(&*three, &mut cluster, &allow);
    for name in THREE {
        assert_eq!(cluster.queue(name, "jobs"), [""; 0], "{name}");
    }
    assert_eq!(cluster.node("db3").aside.len(), 1);
}

/// A server that does not run does not tell.
#[test]
fn a_stopped_server_is_asked_for_queues_before_others_copy_from_it() {
    let mut cluster = Cluster::bare(4);
    let alone = service_on(&["db1"]);
    converge(&*alone, &mut cluster, &[]);
    cluster.push("db1", "jobs", "a");
    cluster.stop("db1");
    let three = service_on(&THREE);
    let first = plan(&*three, &cluster, &[]);
    assert!(
        first.refusals.iter().all(|refusal| refusal.passing),
        "{}",
        render(&first)
    );
    assert_refused(&THREE, &cluster, &[]);
    cluster.start("db1");
    let told = assert_refused(&THREE, &cluster, &[]);
    assert!(told.contains("db1 holds queues"), "{told}");
}

/// Power loss, a cut and a restart copy nothing: the items stay as they are.
#[test]
fn queues_stay_as_they_are_where_nothing_is_copied() {
    let three = service_on(&THREE);
    let mut cluster = with_queue();
    cluster.inject(&Fault::Down(host("db2")));
    cluster.push("db1", "jobs", "c");
    cluster.inject(&Fault::Up(host("db2")));
    converge(&*three, &mut cluster, &[]);
    cluster.inject(&Fault::Cut(host("db3")));
    cluster.push("db1", "jobs", "d");
    cluster.inject(&Fault::Heal(host("db3")));
    converge(&*three, &mut cluster, &[]);
    cluster.inject(&Fault::Crash(host("db3")));
    converge(&*three, &mut cluster, &[]);
    let text = cluster.text("db1").replace("500", "600");
    cluster.put_file("db1", &text);
    converge(&*three, &mut cluster, &[]);
    for name in THREE {
        assert_eq!(cluster.queue(name, "jobs"), ["a", "b", "c", "d"], "{name}");
    }
}

/// Our file names no pid file, so that a killed server starts again.
#[test]
fn a_killed_server_starts_again_by_itself() {
    let mut cluster = built(&*service(3, ""));
    cluster.inject(&Fault::Crash(host("db2")));
    assert!(
        !cluster
            .node("db2")
            .machine
            .files
            .contains_key(&format!("{DIR}/ssdb.pid"))
    );
    cluster.inject(&Fault::Revive(host("db2")));
    assert!(cluster.node("db2").process.is_some());
    // One that an operator's file names is taken away before the start.
    let text = cluster.text("db2");
    cluster.put_file("db2", &format!("pidfile = {DIR}/ssdb.pid\n{text}"));
    cluster.start("db2");
    cluster.inject(&Fault::Crash(host("db2")));
    cluster.inject(&Fault::Revive(host("db2")));
    assert!(cluster.node("db2").process.is_none() && cluster.node("db2").unit().has_failed);
    converge(&*service(3, ""), &mut cluster, &[]);
}
