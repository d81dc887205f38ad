//! Members come, go and change.

use insta::assert_snapshot;
use plan::Verdict;

use super::{AUTH, built, by_hand, converge, converge_from_everywhere, inventory, plan, service, shown};
use crate::tests::rig::Rig as _;
use cases::{self, host};
use fakes::{FakeCluster as _, Fault};

const FIVE: [&str; 5] = ["db1", "db2", "db3", "db4", "db5"];

#[test]
fn members_are_added_without_a_vote_and_get_one_when_they_have_the_data() {
    let cluster = built(&*service(AUTH));
    let service = cases::service(crate::tests::KINDS, &inventory(&FIVE, AUTH));
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn members_that_are_not_named_leave_one_after_the_other() {
    let cluster = built(&*cases::service(crate::tests::KINDS, &inventory(&FIVE, AUTH)));
    let service = service(AUTH);
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_member_is_replaced_the_new_one_first() {
    let mut cluster = built(&*service(AUTH));
    cluster.stop("db3");
    let service = cases::service(crate::tests::KINDS, &inventory(&["db1", "db2", "db4"], AUTH));
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster);
    let config = cluster.node("db1").disk.config.clone().unwrap();
    let ids: Vec<i64> = config.members().iter().map(super::Id::id).collect();
    assert_eq!(ids, [0, 1, 3]);
}

#[test]
fn a_removed_member_comes_back() {
    let own = service(AUTH);
    let mut cluster = built(&*cases::service(crate::tests::KINDS, &inventory(&FIVE, AUTH)));
    converge(&*own, &mut cluster);
    let service = cases::service(crate::tests::KINDS, &inventory(&FIVE, AUTH));
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn settings_of_members_change_and_votes_one_at_a_time() {
    let cluster = built(&*cases::service(crate::tests::KINDS, &inventory(&FIVE, AUTH)));
    let more = format!(
        "{AUTH}members.db2.priority = 2\nmembers.db3.tags = {{ dc = \"b\" }}\nmembers.db4 = {{ votes = 0, priority = 0 }}\n\
         members.db5 = {{ votes = 0, hidden = true }}\n"
    );
    let service = cases::service(crate::tests::KINDS, &inventory(&FIVE, &more));
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
    // And back again.
    let mut cluster = cluster;
    super::converge(&*service, &mut cluster);
    assert_eq!(
        cluster.primary(),
        Some("db2"),
        "the member of the highest priority takes over"
    );
    let more = format!(
        "{AUTH}members.db4 = {{ votes = 1, priority = 1 }}\nmembers.db5 = {{ votes = 1, hidden = false, priority = 1 }}\n"
    );
    converge_from_everywhere(
        &*cases::service(crate::tests::KINDS, &inventory(&FIVE, &more)),
        &cluster,
        &[],
    );
}

#[test]
fn a_joining_member_that_still_copies_is_waited_for() {
    let mut cluster = by_hand();
    let config = cases::service(
        crate::tests::KINDS,
        &inventory(&["db1", "db2", "db3", "db4", "db5"], ""),
    );
    cluster.node_mut("db4").is_copying = true;
    let found = plan(&*config, &cluster);
    // The run dies while the first joining member copies.
    let until = found
        .tasks
        .iter()
        .position(|task| task.part == "sync-db4")
        .unwrap();
    for task in &found.tasks[..until] {
        cluster.perform(&*config, task);
    }
    assert_snapshot!(shown(&*config, &cluster));
    // It may copy for a day; one whose server has ended copies nothing.
    let gate = &found.tasks[until].gates[0];
    assert!(matches!(cluster.judge(&*config, gate), Verdict::Wait(_)));
    let mut ended = cluster.clone();
    ended.inject(&Fault::Crash(host("db4")));
    assert_eq!(
        ended.judge(&*config, gate),
        Verdict::Fail("db4: its server has ended".to_owned())
    );
    // Nor does it without a member to copy from, where no member becomes the primary by itself.
    let mut headless = cluster.clone();
    for name in ["db1", "db2"] {
        headless.inject(&Fault::Crash(host(name)));
    }
    assert_eq!(
        headless.judge(&*config, gate),
        Verdict::Fail("there is no primary, and the server on db1 has ended".to_owned())
    );
    cluster.node_mut("db4").is_copying = false;
    cluster.settle();
    converge_from_everywhere(&*config, &cluster, &[]);
}

#[test]
fn a_host_that_cannot_join_does_not_keep_the_others_from_it() {
    let mut cluster = built(&*service(AUTH));
    cluster.node_mut("db5").is_reachable = false;
    let service = cases::service(crate::tests::KINDS, &inventory(&FIVE, AUTH));
    let found = shown(&*service, &cluster);
    assert!(found.contains("add db4 without a vote"), "{found}");
    assert!(!found.contains("db5:27017"), "{found}");
}

#[test]
fn an_arbiter_is_added_to_a_set() {
    let cluster = built(&*service(AUTH));
    let service = cases::service(
        crate::tests::KINDS,
        &inventory(&FIVE, &format!("{AUTH}members.db4.arbiter = true\n")),
    );
    converge_from_everywhere(&*service, &cluster, &[]);
}
