//! Links that stall, mirrors that fell behind, and members that were rebuilt.

use insta::assert_snapshot;

use super::{apply, built, converge, converge_from_everywhere, plan, service};
use crate::tests::hosts::Rig as _;
use cases::render;
use fakes::ssdb::Cluster;

#[test]
fn a_stalled_link_stops_the_rollout_at_its_canary_and_is_healed_by_the_next_plan() {
    let service = service(3, "capacity = 5000\n");
    let mut cluster = built(&*super::service(3, ""));
    cluster.stall("db3", "db2");
    // The link says SYNC, so nothing shows.
    assert_eq!(render(&plan(&*super::service(3, ""), &cluster, &[])), "");
    let stopped = apply(&*service, &mut cluster, &[]).unwrap_err();
    assert_snapshot!(stopped);
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster, &[]);
}

#[test]
fn of_members_whose_links_stall_the_one_that_lacks_most_is_restarted_first() {
    let service = service(4, "capacity = 5000\n");
    let mut cluster = built(&*super::service(4, ""));
    for (mirror, key) in [("db3", "old"), ("db1", "new")] {
        cluster.stall(mirror, "db4");
        cluster.set("db4", key, Some("x"));
    }
    apply(&*service, &mut cluster, &[]).unwrap_err();
    let plan = plan(&*service, &cluster, &[]);
    let restarted = plan.tasks.iter().filter(|task| task.disrupts);
    let restarted: Vec<&str> = restarted.map(|task| task.host.as_str()).collect();
    assert_eq!(restarted, ["db3", "db1", "db2", "db4"], "{}", render(&plan));
}

#[test]
fn a_link_that_is_far_behind_is_tried() {
    let service = service(3, "max_lag = 2\n");
    let mut cluster = built(&*service);
    cluster.stall("db3", "db2");
    for at in 0..5 {
        cluster.set("db2", &at.to_string(), Some("x"));
    }
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    apply(&*service, &mut cluster, &[]).unwrap_err();
    converge(&*service, &mut cluster, &[]);
    assert_eq!(cluster.get("db3", "4").as_deref(), Some("x"));
}

/// db3 was down while the others made more changes than their binlogs keep, which is 10,000 beyond their capacity.
pub(super) fn fallen_behind() -> Cluster {
    fallen_behind_with(|cluster| cluster.set("db3", "old", Some("x")))
}

/// The same, where clients wrote this before.
pub(super) fn fallen_behind_with(write: impl FnOnce(&mut Cluster)) -> Cluster {
    let mut cluster = built(&*service(3, "capacity = 20\n"));
    write(&mut cluster);
    cluster.stop("db3");
    cluster.set_often("db1", &["0", "1", "2"], 10_030);
    cluster.start("db3");
    cluster
}

#[test]
fn a_mirror_that_fell_behind_is_filled_again_with_consent() {
    let service = service(3, "capacity = 20\n");
    let mut cluster = fallen_behind();
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    let allow = ["ssdb.wipe=db3"];
    assert_snapshot!(render(&plan(&*service, &cluster, &allow)));
    converge_from_everywhere(&*service, &cluster, &allow);
    converge(&*service, &mut cluster, &allow);
    assert_eq!(cluster.get("db3", "2").as_deref(), Some("x"));
    assert_eq!(cluster.get("db3", "old").as_deref(), Some("x"));
    // Nothing is thrown away.
    assert_eq!(cluster.node("db3").aside.len(), 1);
}

#[test]
fn others_wait_for_a_mirror_that_fell_behind() {
    let service = service(3, "capacity = 21\n");
    let cluster = fallen_behind();
    let refused = plan(&*service, &cluster, &[]);
    assert!(
        refused.tasks.iter().all(|task| !task.disrupts),
        "{}",
        render(&refused)
    );
    assert_eq!(refused.unplanned.len(), 2, "{}", render(&refused));
    converge_from_everywhere(&*service, &cluster, &["ssdb.wipe=db3"]);
}

#[test]
fn of_two_that_fell_behind_none_is_filled_from_the_other() {
    let service = service(3, "capacity = 20\n");
    let mut cluster = built(&*service);
    cluster.set_often("db1", &["a0", "a1", "a2"], 30);
    for name in ["db2", "db3"] {
        cluster.stop(name);
    }
    cluster.set_often("db1", &["b0", "b1", "b2"], 10_030);
    for name in ["db2", "db3"] {
        cluster.start(name);
    }
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    // One consent fills one; the other follows with its own.
    let one = plan(&*service, &cluster, &["ssdb.wipe=db2"]);
    assert_eq!(one.refusals.len(), 1);
    assert!(
        apply(&*service, &mut cluster, &["ssdb.wipe=db2"]).is_ok() || !cluster.node("db2").aside.is_empty()
    );
    let _ = apply(&*service, &mut cluster, &["ssdb.wipe=db3"]);
    converge(&*service, &mut cluster, &[]);
    assert_eq!(cluster.get("db3", "b2").as_deref(), Some("x"));
}

#[test]
fn a_rebuilt_member_overtakes_the_changes_that_others_remember_of_it() {
    let service = service(3, "");
    let mut cluster = built(&*service);
    for at in 0..9 {
        cluster.set("db3", "key", Some(&at.to_string()));
    }
    cluster.stop("db3");
    *cluster.node("db3") = Cluster::bare(3).nodes.pop().unwrap();
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster, &[]);
    assert_eq!(cluster.get("db3", "key").as_deref(), Some("8"));
    cluster.set("db3", "new", Some("x"));
    assert_eq!(cluster.get("db1", "new").as_deref(), Some("x"));
}

#[test]
fn a_file_that_was_changed_by_hand_and_that_the_server_has_not_read() {
    let service = service(3, "");
    let mut cluster = built(&*service);
    let text = cluster.text("db2");
    cluster.put_file("db2", &format!("# by hand\n{text}"));
    let detail = |cluster: &Cluster| {
        service
            .status(&cluster.facts(&*service))
            .members
            .swap_remove(1)
            .detail
    };
    let newer = "its file differs from what its process was started with";
    let found = render(&plan(&*service, &cluster, &[]));
    assert!(found.contains(&format!("because {newer}")), "{found}");
    assert!(detail(&cluster).ends_with(newer), "{}", detail(&cluster));
    converge(&*service, &mut cluster, &[]);
    assert!(!detail(&cluster).contains(newer), "{}", detail(&cluster));
}

#[test]
fn status_tells_what_is_wrong_with_whom() {
    let service = service(3, "capacity = 20\n");
    let show = |cluster: &Cluster| {
        let status = service.status(&cluster.facts(&*service));
        let lines = status.members.iter().map(|member| {
            format!(
                "{} {} {:?} [{}] {}",
                member.host, member.role, member.health, member.lag, member.detail
            )
        });
        format!(
            "{:?}: {}\n{}",
            status.health,
            status.summary,
            lines.collect::<Vec<_>>().join("\n")
        )
    };
    let mut cluster = built(&*service);
    let healthy = show(&cluster);
    cluster.stop("db2");
    let lame = show(&cluster);
    let behind = show(&fallen_behind());
    assert_snapshot!([healthy, lame, behind].join("\n\n"));
}
